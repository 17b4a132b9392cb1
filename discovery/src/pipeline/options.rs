use std::fmt;
use std::time::Duration;

/// Longer than anybody waits for anything here, and short enough that no clock overflows.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// How a pipeline guards and delays what its source says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipelineOptions {
    /// How long a set that becomes empty stays as it was before the emptiness is believed; 30 s unless given, 0 believes
    /// it as any other removal. It does not concern the first answer, which is published at once.
    pub empty_hold: Duration,
    /// The epoch by which removals are delayed: an endpoint leaves when the second epoch from its disappearance begins,
    /// so after one to two epochs. 10 s unless given; 0 removes at once and without a budget.
    pub removal_epoch: Duration,
    /// How many percent of the published endpoints one epoch may take out, rounded up; 1 to 100, 50 unless given. 100 is no
    /// limit.
    pub max_drop_ratio: u8,
    /// How long it must be quiet before changes that follow a publication are published; 100 ms unless given. A change
    /// after a quiet time does not wait.
    pub debounce: Duration,
    /// How long a change waits at most where changes never stop; 1 s unless given, at least `debounce`.
    pub max_delay: Duration,
    /// How old what is known may become before it counts as stale though the source said nothing wrong, and before
    /// `on_stale` applies. `None`, the default, is for ever.
    pub max_stale: Option<Duration>,
    /// What happens to endpoints older than `max_stale`.
    pub on_stale: StalePolicy,
}

/// What happens to endpoints that are older than [`PipelineOptions::max_stale`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StalePolicy {
    /// They stay in use, marked as stale. A registry that is down takes no healthy service away.
    #[default]
    Keep,
    /// Where the source cannot be asked, or what is known is from disk, they are dropped and the state becomes
    /// [`State::Unknown`](super::State::Unknown); for networks where an address may soon be somebody else's. A source
    /// that is merely quiet loses nothing.
    Drop,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            empty_hold: Duration::from_secs(30),
            removal_epoch: Duration::from_secs(10),
            max_drop_ratio: 50,
            debounce: Duration::from_millis(100),
            max_delay: Duration::from_secs(1),
            max_stale: None,
            on_stale: StalePolicy::Keep,
        }
    }
}

impl PipelineOptions {
    /// Publishes what the source says as it is said: no hold, no epochs, no window. For tests, and for sources that never
    /// err.
    pub fn immediate() -> Self {
        Self {
            empty_hold: Duration::ZERO,
            removal_epoch: Duration::ZERO,
            max_drop_ratio: 100,
            debounce: Duration::ZERO,
            max_delay: Duration::ZERO,
            ..Self::default()
        }
    }

    /// Whether the options make sense. A pipeline takes any of them and brings what is out of range to the nearest value
    /// that is in it.
    ///
    /// # Errors
    ///
    /// The first option that does not, and why.
    pub fn check(&self) -> Result<(), OptionError> {
        let durations = [
            ("empty_hold", self.empty_hold),
            ("removal_epoch", self.removal_epoch),
            ("debounce", self.debounce),
            ("max_delay", self.max_delay),
            ("max_stale", self.max_stale.unwrap_or_default()),
        ];
        if let Some((option, _)) = durations.into_iter().find(|(_, duration)| *duration > LONGEST) {
            return Err(OptionError { option, reason: "is longer than a year".to_owned() });
        }
        if !(1..=100).contains(&self.max_drop_ratio) {
            let reason = format!("is {}; it is a percentage from 1 to 100", self.max_drop_ratio);
            return Err(OptionError { option: "max_drop_ratio", reason });
        }
        if self.max_delay < self.debounce {
            let reason = format!("is {:?}, less than debounce ({:?})", self.max_delay, self.debounce);
            return Err(OptionError { option: "max_delay", reason });
        }
        if self.max_stale == Some(Duration::ZERO) {
            let reason = "is 0: nothing would ever be fresh; leave it out for no limit".to_owned();
            return Err(OptionError { option: "max_stale", reason });
        }
        if self.on_stale == StalePolicy::Drop && self.max_stale.is_none() {
            let reason = "is drop, which needs max_stale".to_owned();
            return Err(OptionError { option: "on_stale", reason });
        }
        Ok(())
    }

    /// The same with everything in range.
    pub(super) fn clamped(mut self) -> Self {
        for duration in
            [&mut self.empty_hold, &mut self.removal_epoch, &mut self.debounce, &mut self.max_delay]
        {
            *duration = (*duration).min(LONGEST);
        }
        self.max_stale = self.max_stale.filter(|limit| !limit.is_zero()).map(|limit| limit.min(LONGEST));
        self.max_drop_ratio = self.max_drop_ratio.clamp(1, 100);
        self.max_delay = self.max_delay.max(self.debounce);
        self
    }
}

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// The option's name.
    pub option: &'static str,
    /// What is wrong with it; reads on after the name.
    pub reason: String,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.option, self.reason)
    }
}

impl std::error::Error for OptionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range_and_what_is_not_is_named() {
        let good = PipelineOptions::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(PipelineOptions::immediate().check(), Ok(()));
        assert_eq!(good.clone().clamped(), good);

        let second = Duration::from_secs(1);
        for (bad, expected) in [
            (
                PipelineOptions { max_drop_ratio: 0, ..good.clone() },
                "max_drop_ratio is 0; it is a percentage from 1 to 100",
            ),
            (
                PipelineOptions { max_drop_ratio: 101, ..good.clone() },
                "max_drop_ratio is 101; it is a percentage from 1 to 100",
            ),
            (
                PipelineOptions { debounce: 2 * second, ..good.clone() },
                "max_delay is 1s, less than debounce (2s)",
            ),
            (
                PipelineOptions { empty_hold: Duration::MAX, ..good.clone() },
                "empty_hold is longer than a year",
            ),
            (
                PipelineOptions { max_stale: Some(Duration::MAX), ..good.clone() },
                "max_stale is longer than a year",
            ),
            (
                PipelineOptions { max_stale: Some(Duration::ZERO), ..good.clone() },
                "max_stale is 0: nothing would ever be fresh; leave it out for no limit",
            ),
            (
                PipelineOptions { on_stale: StalePolicy::Drop, ..good.clone() },
                "on_stale is drop, which needs max_stale",
            ),
        ] {
            assert_eq!(bad.check().unwrap_err().to_string(), expected);
            let clamped = bad.clamped();
            assert!(clamped.check().is_ok() || clamped.on_stale == StalePolicy::Drop, "{clamped:?}");
        }
    }
}
