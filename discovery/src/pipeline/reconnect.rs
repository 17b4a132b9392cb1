use std::time::{Duration, Instant};

/// How reconnecting is spread; see [`Reconnect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectOptions {
    /// The shortest wait; 100 ms unless given.
    pub base: Duration,
    /// The longest wait; 60 s unless given.
    pub cap: Duration,
    /// The first wait after a healthy time lies anywhere from 0 to this; 5 s unless given.
    pub splay: Duration,
    /// How long a connection must last to have been a healthy time; 30 s unless given.
    pub stable: Duration,
}

impl Default for ReconnectOptions {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(60),
            splay: Duration::from_secs(5),
            stable: Duration::from_secs(30),
        }
    }
}

/// How long a backend waits before it asks again, for ever, so that neither its source is flooded nor all clients come back
/// at once.
///
/// Waits grow by decorrelated jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): each lies anywhere between the
/// base and three times the one before, at most the cap. They begin anew only after a connection that lasted; one that is
/// accepted and dropped again and again is backed off from like one that is refused. Whoever loses a healthy connection
/// probably does so together with everybody else: the wait after it is spread widely, and those after it go on from there.
#[derive(Clone, Debug)]
pub struct Reconnect {
    options: ReconnectOptions,
    /// The upper end of the last draw, or what stands for it.
    last: Duration,
    connected: Option<Instant>,
    was_healthy: bool,
    attempts: u64,
}

impl Reconnect {
    /// For a source that has not been asked yet.
    pub const fn new(options: ReconnectOptions) -> Self {
        Self { options, last: options.base, connected: None, was_healthy: false, attempts: 0 }
    }

    /// The source can be asked. Said again without a [loss](Self::lost) in between it changes nothing: a watch that is renewed goes on.
    pub fn connected(&mut self, now: Instant) {
        self.connected.get_or_insert(now);
    }

    /// The source can no longer be asked.
    pub fn lost(&mut self, now: Instant) {
        let connected = self.connected.take();
        if connected.is_some_and(|since| now.saturating_duration_since(since) >= self.options.stable) {
            self.was_healthy = true;
            self.attempts = 0;
        }
    }

    /// How long to wait before the next attempt. `random` is any number, all of its bits random. A connection that is
    /// still there counts as [lost](Self::lost) now.
    pub fn next(&mut self, now: Instant, random: u64) -> Duration {
        self.lost(now);
        self.attempts = self.attempts.saturating_add(1);
        if std::mem::take(&mut self.was_healthy) {
            self.last = self.options.splay.max(self.options.base);
            return between(Duration::ZERO, self.options.splay, random);
        }
        let highest = self.last.saturating_mul(3).min(self.options.cap);
        self.last = between(self.options.base, highest, random);
        self.last
    }

    /// How many waits there have been since the last healthy time.
    pub const fn attempts(&self) -> u64 {
        self.attempts
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::new(ReconnectOptions::default())
    }
}

/// A duration from a range, evenly spread; `low` where the range is empty.
fn between(low: Duration, high: Duration, random: u64) -> Duration {
    let width = high.saturating_sub(low).as_nanos().min(u128::from(u64::MAX));
    let nanos = (width * u128::from(random)) >> u64::BITS;
    low + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
