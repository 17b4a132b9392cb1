//! Debounce: when what has changed is published.

use std::time::{Duration, Instant};

/// A change after a quiet time is published at once. What follows waits until it has been quiet for the window, or the
/// first change that waits has done so for the longest delay. Publications are so a window apart, but for urgent ones.
#[derive(Debug)]
pub(super) struct Debounce {
    window: Duration,
    max_delay: Duration,
    published: Option<Instant>,
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    since: Instant,
    due: Instant,
}

impl Debounce {
    pub(super) const fn new(window: Duration, max_delay: Duration) -> Self {
        Self { window, max_delay, published: None, pending: None }
    }

    /// Something differs from what is published.
    pub(super) fn changed(&mut self, now: Instant) {
        let quiet = self.published.is_none_or(|last| now.saturating_duration_since(last) >= self.window);
        let since = self.pending.map_or(now, |pending| pending.since);
        let due = match self.pending {
            Some(pending) if pending.due <= now => pending.due,
            None if quiet => now,
            _ => later(now, self.window).min(later(since, self.max_delay)),
        };
        self.pending = Some(Pending { since, due });
    }

    /// Something differs that must not wait.
    pub(super) fn urgent(&mut self, now: Instant) {
        let since = self.pending.map_or(now, |pending| pending.since);
        self.pending = Some(Pending { since, due: now });
    }

    /// Nothing differs any more.
    pub(super) const fn cancel(&mut self) {
        self.pending = None;
    }

    /// Whether it is time to publish.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.pending.is_some_and(|pending| pending.due <= now)
    }

    /// It has been published.
    pub(super) const fn published(&mut self, now: Instant) {
        self.published = Some(now);
        self.pending = None;
    }

    /// When it is time to publish.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.map(|pending| pending.due)
    }
}

/// Options are bounded, so that this never has to fall back.
fn later(from: Instant, delay: Duration) -> Instant {
    from.checked_add(delay).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn leading_edge_trailing_edge_and_longest_delay() {
        let start = Instant::now();
        let mut debounce = Debounce::new(ms(100), ms(1000));
        assert_eq!(debounce.deadline(), None);
        debounce.changed(start);
        assert!(debounce.is_due(start));
        debounce.published(start);
        assert!(!debounce.is_due(start));

        debounce.changed(start + ms(10));
        assert_eq!(debounce.deadline(), Some(start + ms(110)));
        for at in (60..=1000).step_by(50) {
            debounce.changed(start + ms(at));
            assert_eq!(debounce.deadline(), Some(start + ms((at + 100).min(1010))));
        }
        assert!(debounce.is_due(start + ms(1010)));
        debounce.changed(start + ms(1010));
        assert!(debounce.is_due(start + ms(1010)), "what is due is not put off");
        debounce.published(start + ms(1010));

        debounce.changed(start + ms(1110));
        assert!(debounce.is_due(start + ms(1110)), "a window after the last one it is quiet again");
    }

    #[test]
    fn urgent_changes_pass_and_cancelled_ones_are_forgotten() {
        let start = Instant::now();
        let mut debounce = Debounce::new(ms(100), ms(1000));
        debounce.published(start);
        debounce.changed(start + ms(1));
        debounce.urgent(start + ms(2));
        assert!(debounce.is_due(start + ms(2)));
        debounce.cancel();
        assert_eq!(debounce.deadline(), None);
        debounce.changed(start + ms(50));
        assert_eq!(debounce.deadline(), Some(start + ms(150)), "the delay counts from what still waits");
    }
}
