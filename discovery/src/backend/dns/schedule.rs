//! When to ask again: pure.

use std::time::Duration;

use crate::runtime::{Dice, DnsOptions};

/// How much intervals differ from what they should be, so that clients do not ask in step.
const JITTER_PERCENT: u32 = 10;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// Below this an interval would be a flood, whatever the options say.
const FLOOR: Duration = Duration::from_millis(100);
/// The same for an interval that goes on for ever, and not only as long as a record asks for it.
const REFRESH_FLOOR: Duration = Duration::from_secs(1);

/// When to ask again after an answer, and after none.
pub(super) struct Schedule {
    refresh: Option<Duration>,
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Schedule {
    pub(super) fn new(options: &DnsOptions) -> Self {
        let min = options.min_interval.max(FLOOR);
        let refresh = options.refresh.map(|refresh| refresh.max(REFRESH_FLOOR));
        Self { refresh, min, max: options.max_interval.max(min), failures: 0 }
    }

    /// The least time from an answer to the next question.
    pub(super) const fn least(&self) -> Duration {
        self.min
    }

    /// The time from an answer to the next question, where `ttl` is for how long the answer holds.
    pub(super) fn after(&mut self, ttl: Option<Duration>, dice: &mut Dice) -> Duration {
        self.failures = 0;
        if let Some(refresh) = self.refresh {
            return dice.around(refresh, JITTER_PERCENT);
        }
        // The middle of the range is kept so far from its ends that none is ever crossed.
        let (low, high) = (self.min * 10 / 9, self.max * 10 / 11);
        let middle = ttl.unwrap_or(self.min).min(high).max(low);
        dice.around(middle, JITTER_PERCENT).max(self.min)
    }

    /// The time from a failure to the next question.
    pub(super) fn after_failure(&mut self, dice: &mut Dice) -> Duration {
        let pause = FIRST_PAUSE * (1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        dice.around(pause.min(LAST_PAUSE), 20)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    proptest! {
        #[test]
        fn answers_are_asked_for_again_within_the_bounds(ttl in prop::option::of(0_u64..100_000), seed: u64) {
            let mut schedule = Schedule::new(&DnsOptions::default());
            let interval = schedule.after(ttl.map(seconds), &mut Dice::new(Some(seed)));
            prop_assert!(interval >= seconds(5) && interval <= seconds(300), "{interval:?}");
            if let Some(ttl) = ttl.filter(|ttl| (6..=272).contains(ttl)) {
                let off = interval.as_secs_f64() / ttl as f64;
                prop_assert!((0.899..=1.101).contains(&off), "{ttl} s -> {interval:?}");
            }
        }
    }

    #[test]
    fn intervals_differ_between_clients() {
        let mut schedule = Schedule::new(&DnsOptions::default());
        for ttl in [0, 60, 86_400] {
            let of = |seed| Some(seed);
            let first = schedule.after(Some(seconds(ttl)), &mut Dice::new(of(1)));
            let second = schedule.after(Some(seconds(ttl)), &mut Dice::new(of(2)));
            assert_ne!(first, second, "{ttl}");
        }
    }

    #[test]
    fn a_fixed_interval_goes_before_the_time_to_live() {
        let options = DnsOptions { refresh: Some(seconds(1000)), ..DnsOptions::default() };
        let interval = Schedule::new(&options).after(Some(seconds(1)), &mut Dice::new(Some(1)));
        assert!((900..=1100).contains(&interval.as_secs()), "{interval:?}");
    }

    #[test]
    fn failures_are_asked_about_soon_and_then_less_often() {
        let mut schedule = Schedule::new(&DnsOptions::default());
        let mut dice = Dice::new(Some(1));
        let pauses: Vec<f64> = (0..40).map(|_| schedule.after_failure(&mut dice).as_secs_f64()).collect();
        assert!((0.8..=1.2).contains(&pauses[0]) && (3.2..=4.8).contains(&pauses[2]), "{pauses:?}");
        assert!(pauses[7..].iter().all(|pause| (48.0..=72.0).contains(pause)), "{pauses:?}");
        schedule.after(None, &mut dice);
        assert!(schedule.after_failure(&mut dice) < seconds(2));
    }

    #[test]
    fn bounds_that_make_no_sense_are_put_right() {
        let options =
            DnsOptions { min_interval: seconds(0), max_interval: seconds(0), ..DnsOptions::default() };
        let mut schedule = Schedule::new(&options);
        assert_eq!(schedule.least(), FLOOR);
        assert!(schedule.after(Some(seconds(9)), &mut Dice::new(Some(1))) >= FLOOR);
        let options = DnsOptions { refresh: Some(seconds(0)), ..DnsOptions::default() };
        let interval = Schedule::new(&options).after(Some(seconds(9)), &mut Dice::new(Some(1)));
        assert!(interval >= REFRESH_FLOOR * 9 / 10, "{interval:?}");
    }
}
