//! When to ask again and with which index: the documented rules of Consul's blocking queries, without a clock or a
//! connection.

use std::time::{Duration, Instant};

/// Consul's own default.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(300);
/// Below what proxies usually let a silent request live.
pub(crate) const PROXIED_WAIT: Duration = Duration::from_secs(55);
/// A wait that ends in a failure before this did so for another reason than its length.
const CUT_AFTER: Duration = Duration::from_secs(25);

/// The loop of one blocking query.
///
/// - An index that is lower than the one before it means that the servers' state was replaced: the next question has
///   index 0, which does not wait.
/// - An index that is missing or 0 would make the next question answer at once, for ever: it has index 1.
/// - After a failure nothing is known of the index any more: the next question has index 0. Without that a restored
///   server, whose index is far lower, would be silent for a whole wait.
/// - Questions are limited by two token buckets. Answers that bring nothing new before their time is over (unrelated
///   changes, faulty headers) get the one that Consul's documentation names, two at once and one every 15 s after that.
///   Answers that do bring a change under an index that went forward get a wider one, since they are what is being
///   waited for: a rolling deployment must not be seen every 15 s only.
/// - A look that somebody asked for costs nothing: whoever asks is limited already, and what follows would be a time in
///   which nothing is watched.
#[derive(Clone, Debug)]
pub(crate) struct Blocking {
    index: u64,
    wait: Duration,
    slack: Duration,
    idle: Bucket,
    changes: Bucket,
    next_at: Option<Instant>,
    /// The question that is asked now is a look.
    is_look: bool,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The parameter `index`. With 0 the answer comes at once.
    pub index: u64,
    /// The parameter `wait`.
    pub wait: Duration,
    /// When the answer is overdue.
    pub timeout: Duration,
}

impl Blocking {
    /// `slack` is the time for an answer beyond the wait.
    pub fn new(wait: Duration, slack: Duration) -> Self {
        let idle = Bucket::new(2, Duration::from_secs(15));
        let changes = Bucket::new(30, Duration::from_millis(500));
        Self { index: 0, wait, slack, idle, changes, next_at: None, is_look: false }
    }

    /// The next question. Consul adds up to a sixteenth of the wait at random.
    pub fn ask(&self) -> Ask {
        let waiting = if self.index == 0 { Duration::ZERO } else { self.wait * 17 / 16 };
        Ask { index: self.index, wait: self.wait, timeout: waiting + self.slack }
    }

    /// How long the next question has to wait at `now`.
    pub fn pause(&self, now: Instant) -> Duration {
        self.next_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// An answer to the question that was asked at `asked`, with its index header, has come; `changed` tells whether its
    /// content is another one than the last.
    pub fn answered(&mut self, header: Option<u64>, changed: bool, asked: Instant, now: Instant) {
        let waited = self.index > 0 && now.saturating_duration_since(asked) >= self.wait;
        let went_on = header.is_some_and(|index| index > 0 && index >= self.index);
        let was_free = std::mem::take(&mut self.is_look) || (waited && !changed && went_on);
        self.index = match header {
            None | Some(0) => 1,
            Some(index) if index < self.index => 0,
            Some(index) => index,
        };
        let bucket = if changed && went_on { &mut self.changes } else { &mut self.idle };
        self.next_at = if was_free { None } else { Some(bucket.take(now)) };
    }

    /// No answer, or one that cannot be used.
    pub const fn failed(&mut self) {
        self.begin_anew();
        self.next_at = None;
    }

    /// The question that was asked at `asked` was cut off: its connection was closed, or a gateway gave it up. Where it had
    /// waited for long a proxy that does not show itself has done so.
    pub fn cut(&mut self, asked: Instant, now: Instant) {
        if self.index > 0 && now.saturating_duration_since(asked) >= CUT_AFTER {
            self.shorten();
        }
    }

    /// Somebody doubts what is known: the next question does not wait, and costs nothing. To be called seldom.
    pub const fn look(&mut self) {
        self.index = 0;
        self.is_look = true;
    }

    /// The next question does not wait, since what is known of the index is of no use to whoever is asked.
    pub const fn begin_anew(&mut self) {
        self.index = 0;
        self.is_look = false;
    }

    /// A proxy is between: it would cut a long wait.
    pub fn shorten(&mut self) {
        self.wait = self.wait.min(PROXIED_WAIT);
    }
}

/// A token bucket, as the instant at which it would be full again (the generic cell rate algorithm).
#[derive(Clone, Debug)]
struct Bucket {
    every: Duration,
    burst: Duration,
    full_at: Option<Instant>,
}

impl Bucket {
    const fn new(burst: u32, every: Duration) -> Self {
        Self { every, burst: every.saturating_mul(burst), full_at: None }
    }

    /// Takes one; the answer is when that is allowed.
    fn take(&mut self, now: Instant) -> Instant {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + self.every;
        self.full_at = Some(full_at);
        full_at.checked_sub(self.burst).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLACK: Duration = Duration::from_secs(10);

    fn blocking() -> Blocking {
        Blocking::new(DEFAULT_WAIT, SLACK)
    }

    #[test]
    fn a_backward_index_begins_anew_and_a_missing_one_is_one() {
        let (mut blocking, now) = (blocking(), Instant::now());
        assert_eq!(blocking.ask().index, 0);
        for (header, next) in [
            (Some(100), 100),
            (Some(7), 0),
            (Some(7), 7),
            (Some(7), 7),
            (None, 1),
            (Some(0), 1),
            (Some(1), 1),
            (Some(u64::MAX), u64::MAX),
            (None, 1),
        ] {
            blocking.answered(header, false, now, now);
            assert_eq!(blocking.ask().index, next, "after {header:?}");
        }
        blocking.answered(Some(9), true, now, now);
        blocking.failed();
        assert_eq!(blocking.ask().index, 0);
    }

    #[test]
    fn an_answer_is_overdue_after_the_wait_its_jitter_and_slack() {
        let (mut blocking, now) = (blocking(), Instant::now());
        assert_eq!(blocking.ask().timeout, SLACK);
        blocking.answered(Some(5), true, now, now);
        assert_eq!(blocking.ask().timeout, DEFAULT_WAIT * 17 / 16 + SLACK);
        blocking.shorten();
        assert_eq!(blocking.ask().wait, PROXIED_WAIT);
        assert_eq!(blocking.ask().timeout, PROXIED_WAIT * 17 / 16 + SLACK);
    }

    #[test]
    fn a_wait_that_is_cut_off_late_is_shortened() {
        let now = Instant::now();
        let cut = |mut blocking: Blocking, after: u64| {
            blocking.cut(now, now + Duration::from_secs(after));
            blocking.failed();
            blocking.ask().wait
        };
        let mut waiting = blocking();
        waiting.answered(Some(5), true, now, now);
        assert_eq!(cut(waiting.clone(), 60), PROXIED_WAIT);
        assert_eq!(cut(waiting.clone(), 25), PROXIED_WAIT);
        // An agent that goes away early, and a question that does not wait.
        assert_eq!(cut(waiting, 24), DEFAULT_WAIT);
        assert_eq!(cut(blocking(), 60), DEFAULT_WAIT);
        // One that is short already stays so.
        let mut short = Blocking::new(Duration::from_secs(40), SLACK);
        short.answered(Some(5), true, now, now);
        assert_eq!(cut(short, 30), Duration::from_secs(40));
    }

    #[test]
    fn a_whole_wait_costs_nothing_and_a_change_little() {
        let (mut blocking, mut now) = (blocking(), Instant::now());
        blocking.answered(Some(5), true, now, now);
        for _ in 0..50 {
            let asked = now;
            now += DEFAULT_WAIT;
            blocking.answered(Some(5), false, asked, now);
            assert_eq!(blocking.pause(now), Duration::ZERO);
        }
        for index in 6..30 {
            blocking.answered(Some(index), true, now, now);
            assert_eq!(blocking.pause(now), Duration::ZERO);
        }
    }

    #[test]
    fn answers_that_bring_nothing_slow_down_to_one_in_fifteen_seconds() {
        let (mut blocking, mut now) = (blocking(), Instant::now());
        let start = now;
        let mut pauses = Vec::new();
        for index in 1..=5 {
            blocking.answered(Some(index), false, now, now);
            pauses.push(blocking.pause(now).as_secs());
            now += blocking.pause(now);
        }
        assert_eq!(pauses, [0, 0, 15, 15, 15]);
        assert_eq!(now - start, Duration::from_secs(45));
    }

    #[test]
    fn a_look_costs_nothing_whatever_it_brings() {
        let (mut blocking, mut now) = (blocking(), Instant::now());
        blocking.answered(Some(5), true, now, now);
        for index in 5..50 {
            now += Duration::from_secs(5);
            blocking.look();
            assert_eq!(blocking.ask().index, 0);
            blocking.answered(Some(index), index % 3 == 0, now, now);
            assert_eq!((blocking.ask().index, blocking.pause(now)), (index, Duration::ZERO));
        }
        // The buckets are full, and only one question was a look.
        let mut pauses = Vec::new();
        for index in 50..53 {
            blocking.answered(Some(index), false, now, now);
            pauses.push(blocking.pause(now).as_secs());
        }
        assert_eq!(pauses, [0, 0, 15]);
        // Neither is one that failed, nor one that somebody else is asked instead.
        for forget in [Blocking::failed, Blocking::begin_anew] {
            blocking.look();
            forget(&mut blocking);
            blocking.answered(Some(60), false, now, now);
            assert!(blocking.pause(now) > Duration::ZERO);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Answer { header: Option<u64>, changed: bool, after: u64 },
        Fail,
        Look,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let header =
            prop_oneof![Just(None), Just(Some(0)), (0..5_u64).prop_map(Some), any::<u64>().prop_map(Some)];
        let answer = (header, any::<bool>(), prop_oneof![Just(0), 0..400_000_u64]);
        let step = prop_oneof![
            8 => answer.prop_map(|(header, changed, after)| Step::Answer { header, changed, after }),
            1 => Just(Step::Fail),
            1 => Just(Step::Look),
        ];
        prop::collection::vec(step, 1..80)
    }

    proptest! {
        #[test]
        fn the_index_follows_the_rules(steps in steps()) {
            let (mut blocking, mut now) = (blocking(), Instant::now());
            for step in steps {
                let before = blocking.ask();
                match step {
                    Step::Answer { header, changed, after } => {
                        let asked = now;
                        now += Duration::from_millis(after);
                        blocking.answered(header, changed, asked, now);
                        let expected = match header.unwrap_or(0) {
                            0 => 1,
                            index if index < before.index => 0,
                            index => index,
                        };
                        prop_assert_eq!(blocking.ask().index, expected);
                    }
                    Step::Fail => blocking.failed(),
                    Step::Look => blocking.look(),
                }
                let ask = blocking.ask();
                prop_assert!(ask.index == 0 || ask.timeout == ask.wait * 17 / 16 + SLACK);
            }
        }

        /// However the answers come, there are never more questions than the buckets allow, looks aside, and no pause is
        /// longer than the bucket takes for one.
        #[test]
        fn no_hot_loop(
            answers in prop::collection::vec((prop::option::of(0..20_u64), prop::bool::weighted(0.2)), 1..60),
            changed in any::<bool>(),
        ) {
            let (mut blocking, start) = (blocking(), Instant::now());
            let mut now = start;
            let mut asked = 0_u32;
            for (header, is_look) in answers {
                if is_look {
                    blocking.look();
                    blocking.answered(header, changed, now, now);
                    prop_assert_eq!(blocking.pause(now), Duration::ZERO);
                    continue;
                }
                asked += 1;
                blocking.answered(header, changed, now, now);
                let pause = blocking.pause(now);
                prop_assert!(pause <= Duration::from_secs(15));
                now += pause;
            }
            let elapsed = now - start;
            let allowed = if changed { 33 + elapsed.as_millis() / 500 } else { 3 + elapsed.as_millis() / 15_000 };
            prop_assert!(u128::from(asked) <= allowed, "{asked} questions in {elapsed:?}");
        }
    }
}
