//! Guard: how far a source is believed that takes endpoints away.

use std::time::{Duration, Instant};

/// What may leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Nothing, before this time or, without one, before the source is heard of again.
    Closed(Option<Instant>),
    /// What is due, within the budget.
    Budgeted,
    /// All that is due.
    Open,
}

/// Whether the source says that there is nothing, since when, and whether that is believed.
#[derive(Debug)]
pub(super) struct Guard {
    empty_hold: Duration,
    known: bool,
    empty_since: Option<Instant>,
}

impl Guard {
    pub(super) const fn new(empty_hold: Duration) -> Self {
        Self { empty_hold, known: false, empty_since: None }
    }

    /// Whether the source has ever said what there is.
    pub(super) const fn is_known(&self) -> bool {
        self.known
    }

    /// The source has said what there is.
    pub(super) fn observe(&mut self, empty: bool, now: Instant) {
        self.known = true;
        match (empty, self.empty_since) {
            (true, None) => self.empty_since = Some(now),
            (false, Some(_)) => self.empty_since = None,
            _ => {}
        }
    }

    /// A source that fell silent right after it had said "nothing" was on its way down: that answer waits until it can be
    /// asked again.
    pub(super) fn gate(&self, failing: bool, now: Instant) -> Gate {
        let Some(since) = self.empty_since.filter(|_| !self.empty_hold.is_zero()) else {
            return Gate::Budgeted;
        };
        if failing {
            return Gate::Closed(None);
        }
        match since.checked_add(self.empty_hold) {
            Some(end) if now < end => Gate::Closed(Some(end)),
            _ => Gate::Open,
        }
    }
}

/// How many endpoints an epoch may still take out.
#[derive(Debug)]
pub(super) struct Budget {
    percent: usize,
    epoch: u64,
    /// Of how many endpoints the percentage is taken.
    base: usize,
    used: usize,
    exhausted: bool,
}

impl Budget {
    pub(super) fn new(percent: u8) -> Self {
        Self { percent: usize::from(percent), epoch: 0, base: 0, used: 0, exhausted: false }
    }

    /// An epoch has begun, or goes on, with so many endpoints in use. While a mass removal is being spread its percentage
    /// stays that of the whole: the last half leaves as fast as the first.
    pub(super) fn begin(&mut self, epoch: u64, in_use: usize) {
        if epoch == self.epoch {
            return;
        }
        self.base = if self.exhausted { self.base.max(in_use) } else { in_use };
        self.epoch = epoch;
        self.used = 0;
        self.exhausted = false;
    }

    /// Takes one out of the budget, if there is one left.
    pub(super) fn take(&mut self) -> bool {
        let allowed = (self.base * self.percent).div_ceil(100).max(1);
        self.exhausted = self.used >= allowed;
        if !self.exhausted {
            self.used += 1;
        }
        !self.exhausted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(30);

    #[test]
    fn emptiness_is_believed_after_the_hold_and_only_from_a_source_that_can_be_asked() {
        let start = Instant::now();
        let mut guard = Guard::new(HOLD);
        assert!(!guard.is_known());
        guard.observe(false, start);
        assert!(guard.is_known());
        assert_eq!(guard.gate(false, start), Gate::Budgeted);

        guard.observe(true, start);
        guard.observe(true, start + HOLD / 2);
        let just_before = start + HOLD - Duration::from_nanos(1);
        assert_eq!(guard.gate(false, just_before), Gate::Closed(Some(start + HOLD)));
        assert_eq!(guard.gate(true, just_before), Gate::Closed(None));
        assert_eq!(guard.gate(true, start + HOLD), Gate::Closed(None));
        assert_eq!(guard.gate(false, start + HOLD), Gate::Open);

        guard.observe(false, start + HOLD);
        guard.observe(true, start + 2 * HOLD);
        assert_eq!(guard.gate(false, start + 2 * HOLD), Gate::Closed(Some(start + 3 * HOLD)));
    }

    #[test]
    fn a_budget_is_a_share_of_what_was_there_when_the_removal_began() {
        let take_all = |budget: &mut Budget| (0..1000).filter(|_| budget.take()).count();
        let mut budget = Budget::new(30);
        budget.begin(1, 10);
        assert_eq!(take_all(&mut budget), 3);
        budget.begin(1, 10);
        assert_eq!(take_all(&mut budget), 0, "an epoch has one budget");
        budget.begin(2, 7);
        assert_eq!(take_all(&mut budget), 3, "of 10, not of the 7 that are left");
        budget.begin(3, 4);
        assert!(budget.take());
        budget.begin(4, 3);
        assert_eq!(take_all(&mut budget), 1, "the one before was not used up: a new removal");
        budget.begin(9, 0);
        assert_eq!(take_all(&mut budget), 1, "one may always leave");
    }
}
