//! The one place where the clock's time becomes the core's ticks.

use std::time::{Duration, Instant};

/// The longest span given to the core, well inside the 35 minutes in which two ticks compare rightly.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Maps [`Instant`]s to ticks of one microsecond that wrap after 71 minutes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose tick 0 is `origin`. Earlier instants count as tick 0.
    pub(crate) const fn new(origin: Instant) -> Self {
        Self { origin }
    }

    /// The tick of an instant. Cutting the number off is the wrap that the core expects.
    pub(crate) fn tick(&self, at: Instant) -> u32 {
        at.saturating_duration_since(self.origin).as_micros() as u32
    }

    /// The instant of a tick that lies less than 35 minutes from `now`; a past one is `now`.
    pub(crate) fn instant(&self, tick: u32, now: Instant) -> Instant {
        let ahead = tick.wrapping_sub(self.tick(now)) as i32;
        now + Duration::from_micros(u64::try_from(ahead).unwrap_or(0))
    }
}

/// A span in ticks, cut to [`LONGEST`] and rounded up: only a span of zero is zero ticks.
pub(crate) fn ticks(span: Duration) -> u32 {
    span.min(LONGEST).as_nanos().div_ceil(1_000) as u32
}

/// A span in ticks as the [`Duration`] it stands for.
pub(crate) fn span(ticks: u32) -> Duration {
    Duration::from_micros(u64::from(ticks))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn ticks_wrap_and_come_back_as_the_same_instant() {
        let origin = Instant::now();
        let clock = Clock::new(origin);
        let before_the_wrap = origin + Duration::from_micros(u64::from(u32::MAX) - 10);
        let after_the_wrap = before_the_wrap + Duration::from_micros(100);
        assert_eq!(clock.tick(before_the_wrap), u32::MAX - 10);
        assert_eq!(clock.tick(after_the_wrap), 89);
        assert_eq!(clock.instant(clock.tick(after_the_wrap), before_the_wrap), after_the_wrap);
    }

    #[test]
    fn a_tick_of_the_past_is_now() {
        let origin = Instant::now();
        let clock = Clock::new(origin);
        let now = origin + Duration::from_secs(5);
        assert_eq!(clock.instant(1, now), now);
    }

    #[test]
    fn spans_are_cut_to_what_ticks_can_compare() {
        assert_eq!(ticks(Duration::from_secs(3)), 3_000_000);
        assert_eq!(ticks(Duration::MAX), ticks(LONGEST));
        assert!(ticks(LONGEST) < 1 << 31);
        assert_eq!((ticks(Duration::ZERO), ticks(Duration::from_nanos(1))), (0, 1));
        assert_eq!(span(ticks(Duration::from_millis(7))), Duration::from_millis(7));
    }
}
