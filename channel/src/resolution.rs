//! When to look a name up: at first use, periodically, on request, and after failures. Pure: time is
//! an argument, and somebody else does the looking up.

use std::time::{Duration, Instant};

use evener_core::Backoff;

use crate::clock;
use evener_discovery::dice::Dice;

/// How often a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// From one answer to the next question; `None` asks once, and again only on request.
    pub(crate) refresh: Option<Duration>,
    /// The least time from an answer to the next question, when that was requested.
    pub(crate) min_interval: Duration,
    /// How much `refresh` varies, in percent to both sides, so that clients do not ask in step.
    pub(crate) jitter_percent: u32,
    /// The longest pause after failures.
    pub(crate) max_backoff: Duration,
}

/// The lookups of one channel.
#[derive(Debug)]
pub(crate) struct Resolution {
    /// `None` where nothing is looked up: the list is the target's, or the application's.
    schedule: Option<Schedule>,
    asked: bool,
    next: Option<Instant>,
    failures: u32,
    answered: Option<Instant>,
    error: Option<String>,
    dice: Dice,
}

impl Resolution {
    pub(crate) const fn new(schedule: Option<Schedule>, dice: Dice) -> Self {
        Self { schedule, asked: false, next: None, failures: 0, answered: None, error: None, dice }
    }

    /// The channel is used for the first time: ask at once.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.schedule.is_some() && !self.asked {
            self.next = Some(now);
        }
    }

    /// Never ask again, and take no answer that is still under way.
    pub(crate) fn stop(&mut self) {
        self.schedule = None;
        self.asked = false;
        self.next = None;
        self.error = None;
    }

    /// A connection was lost or could not be made: ask again soon, but not more often than allowed.
    /// After a failed lookup the backoff goes on instead.
    pub(crate) fn request(&mut self, now: Instant) {
        let (Some(schedule), Some(answered)) = (self.schedule, self.answered) else {
            return;
        };
        if self.asked || self.failures > 0 {
            return;
        }
        let soonest = now.max(answered + schedule.min_interval);
        self.next = Some(self.next.map_or(soonest, |next| next.min(soonest)));
    }

    /// Whether to ask now. The answer is told by [`Resolution::succeeded`] or [`Resolution::failed`].
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        if self.asked || self.next.is_none_or(|next| next > now) {
            return false;
        }
        self.asked = true;
        self.next = None;
        true
    }

    /// Whether an answer is awaited; one that is not (after [`Resolution::stop`]) is to be dropped.
    pub(crate) const fn is_asked(&self) -> bool {
        self.asked
    }

    /// The source answered. Returns the error it had before, if this is the recovery.
    pub(crate) fn succeeded(&mut self, now: Instant) -> Option<String> {
        self.asked = false;
        self.failures = 0;
        self.answered = Some(now);
        self.next = self.next_refresh(now);
        self.error.take()
    }

    /// The source could not answer. Returns after how long it is asked again.
    pub(crate) fn failed(&mut self, now: Instant, error: String) -> Duration {
        self.asked = false;
        self.error = Some(error);
        let longest = self.schedule.map_or(clock::LONGEST, |schedule| schedule.max_backoff);
        let pause =
            clock::span(Backoff::default().next_delay(self.failures, self.dice.roll32())).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.next = self.schedule.map(|_| now + pause);
        pause
    }

    fn next_refresh(&mut self, now: Instant) -> Option<Instant> {
        let schedule = self.schedule?;
        let refresh = schedule.refresh?;
        let range = refresh.as_micros() as u64 * u64::from(schedule.jitter_percent) / 100;
        let early = refresh.saturating_sub(Duration::from_micros(range));
        let random = if range == 0 { 0 } else { self.dice.roll() % (2 * range + 1) };
        Some(now + early + Duration::from_micros(random))
    }

    /// When to call [`Resolution::ask`] again.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Why the last lookup failed, if it did.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// When the source last answered.
    pub(crate) const fn answered(&self) -> Option<Instant> {
        self.answered
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn dns() -> Resolution {
        let schedule = Schedule {
            refresh: Some(30 * SECOND),
            min_interval: 5 * SECOND,
            jitter_percent: 10,
            max_backoff: 120 * SECOND,
        };
        Resolution::new(Some(schedule), Dice::new(Some(7)))
    }

    #[test]
    fn nothing_is_asked_before_the_first_use() {
        let now = Instant::now();
        let mut resolution = dns();
        assert!(!resolution.ask(now) && resolution.deadline().is_none());
        resolution.begin(now);
        assert!(resolution.ask(now));
        assert!(!resolution.ask(now), "one question at a time");
    }

    #[test]
    fn refreshes_keep_their_distance_within_the_jitter() {
        let mut now = Instant::now();
        let mut resolution = dns();
        resolution.begin(now);
        let mut pauses = Vec::new();
        for _ in 0..100 {
            assert!(resolution.ask(now));
            assert_eq!(resolution.succeeded(now), None);
            let next = resolution.deadline().expect("refreshed");
            pauses.push(next - now);
            assert!(!resolution.ask(next - Duration::from_micros(1)));
            now = next;
        }
        assert!(pauses.iter().all(|&pause| pause >= 27 * SECOND && pause <= 33 * SECOND));
        assert!(
            pauses.iter().any(|&pause| pause < 29 * SECOND)
                && pauses.iter().any(|&pause| pause > 31 * SECOND)
        );
    }

    #[test]
    fn a_request_waits_for_the_least_interval() {
        let start = Instant::now();
        let mut resolution = dns();
        resolution.request(start);
        assert!(resolution.deadline().is_none(), "nothing was ever answered");
        resolution.begin(start);
        assert!(resolution.ask(start));
        resolution.succeeded(start);
        resolution.request(start + SECOND);
        assert_eq!(resolution.deadline(), Some(start + 5 * SECOND));
        let late = start + 20 * SECOND;
        resolution.request(late);
        assert_eq!(resolution.deadline(), Some(start + 5 * SECOND), "a request never puts one off");
        assert!(resolution.ask(late));
        resolution.succeeded(late);
        resolution.request(late + 6 * SECOND);
        assert_eq!(resolution.deadline(), Some(late + 6 * SECOND));
    }

    #[test]
    fn failures_back_off_and_requests_do_not_shorten_it() {
        let mut now = Instant::now();
        let mut resolution = dns();
        resolution.begin(now);
        let mut longest = Duration::ZERO;
        for attempt in 0..20 {
            assert!(resolution.ask(now));
            let pause = resolution.failed(now, format!("failure {attempt}"));
            resolution.request(now);
            assert_eq!(resolution.deadline(), Some(now + pause));
            longest = longest.max(pause);
            now += pause;
        }
        assert!(longest > 60 * SECOND && longest <= 120 * SECOND, "{longest:?}");
        assert_eq!(resolution.error(), Some("failure 19"));
        assert!(resolution.ask(now));
        assert_eq!(resolution.succeeded(now).as_deref(), Some("failure 19"));
        assert_eq!(resolution.error(), None);
    }

    #[test]
    fn after_a_stop_nothing_is_asked_and_no_answer_awaited() {
        let now = Instant::now();
        let mut resolution = dns();
        resolution.begin(now);
        assert!(resolution.ask(now) && resolution.is_asked());
        resolution.stop();
        assert!(!resolution.is_asked());
        resolution.begin(now);
        assert!(!resolution.ask(now + 1000 * SECOND));
    }
}
