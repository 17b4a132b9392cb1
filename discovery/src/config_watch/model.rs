//! What is made of a configuration's events. Pure: time is an argument.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::source::{ConfigEvent, ConfigMap};
use crate::event::{ErrorClass, SourceError};
use crate::runtime::{Lists, Model, Shared};

/// How a watch of a configuration is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigStatus {
    /// How many different configurations there were so far; 0 where the registry has not answered yet.
    pub epoch: u64,
    /// How long ago the registry last said that this is the configuration.
    pub age: Option<Duration>,
    /// How the registry counts its changes, as of the last answer.
    pub revision: Option<String>,
    /// Why it cannot be asked now.
    pub last_error: Option<SourceError>,
    /// How often it could not be.
    pub errors: u64,
}

impl ConfigStatus {
    /// The status as JSON: `epoch`, `age_seconds`, `revision`, `last_error`, `errors_total`.
    pub fn to_json(&self) -> Value {
        json!({
            "epoch": self.epoch,
            "age_seconds": self.age.map(|age| age.as_secs_f64()),
            "revision": self.revision,
            "last_error": self.last_error.as_ref().map(|error| &error.message),
            "errors_total": self.errors,
        })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Config {
    latest: Option<Arc<ConfigMap>>,
    waits: bool,
    heard: Option<Instant>,
    last_error: Option<SourceError>,
    errors: u64,
}

impl Model for Config {
    type Event = ConfigEvent;
    type Latest = Arc<ConfigMap>;
    type Status = ConfigStatus;

    fn handle(&mut self, event: ConfigEvent, now: Instant) {
        let (values, revision) = match event {
            ConfigEvent::Failed(error) => return self.failed(error, now),
            ConfigEvent::Confirmed if self.latest.is_none() => return,
            ConfigEvent::Confirmed => return self.heard(now),
            ConfigEvent::Reset { values, revision } => (values, revision),
        };
        self.heard(now);
        let last = self.latest.as_deref();
        let moved = last.is_none_or(|last| last.values != values);
        if !moved && last.is_some_and(|last| last.revision == revision) {
            return;
        }
        // A revision that moves without the values is kept, but is no news.
        let epoch = last.map_or(0, |last| last.epoch) + u64::from(moved);
        self.latest = Some(Arc::new(ConfigMap { epoch, revision, values }));
        self.waits |= moved;
    }

    fn failed(&mut self, error: SourceError, _now: Instant) {
        self.errors += 1;
        self.last_error = Some(error);
    }

    fn poll(&mut self, _now: Instant) -> Option<Arc<ConfigMap>> {
        std::mem::take(&mut self.waits).then(|| self.latest.clone()).flatten()
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn status(&self, now: Instant) -> ConfigStatus {
        ConfigStatus {
            epoch: self.latest.as_ref().map_or(0, |latest| latest.epoch),
            age: self.heard.map(|at| now.saturating_duration_since(at)),
            revision: self.latest.as_ref().map(|latest| latest.revision.clone()),
            last_error: self.last_error.clone(),
            errors: self.errors,
        }
    }

    fn listed(lists: &mut Lists) -> &mut Vec<Arc<Shared<Self>>> {
        &mut lists.configs
    }
}

impl Config {
    fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
        self.last_error = None;
    }

    /// Whether asking again cannot help.
    pub(super) fn is_hopeless(status: &ConfigStatus) -> bool {
        status.last_error.as_ref().is_some_and(|error| error.class == ErrorClass::Config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(value: &str, revision: &str) -> ConfigEvent {
        let values = [("log_level".to_owned(), value.as_bytes().to_vec())].into();
        ConfigEvent::Reset { values, revision: revision.to_owned() }
    }

    #[test]
    fn what_differs_is_published_and_what_does_not_is_not() {
        let now = Instant::now();
        let mut config = Config::default();
        assert!(config.poll(now).is_none() && config.status(now).age.is_none());
        config.handle(reset("info", "7"), now);
        let first = config.poll(now).unwrap();
        assert_eq!((first.epoch, first.revision.as_str()), (1, "7"));
        config.handle(reset("info", "8"), now);
        assert!(config.poll(now).is_none(), "the same values");
        assert_eq!(config.status(now).revision.as_deref(), Some("8"));
        config.handle(reset("debug", "9"), now);
        assert_eq!(config.poll(now).map(|map| map.epoch), Some(2));
        assert!(config.poll(now).is_none());
    }

    #[test]
    fn a_failure_keeps_what_is_known_and_lets_it_age() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        let mut config = Config::default();
        config.handle(reset("info", "7"), now);
        config.poll(now);
        config.handle(ConfigEvent::Failed(SourceError::new(ErrorClass::Timeout, "no answer")), later);
        assert!(config.poll(later).is_none());
        let status = config.status(later);
        assert_eq!((status.epoch, status.errors), (1, 1));
        assert_eq!(status.age, Some(Duration::from_secs(60)));
        assert_eq!(status.last_error.unwrap().message, "no answer");
        config.handle(ConfigEvent::Confirmed, later);
        assert_eq!(config.status(later).last_error, None);
        assert_eq!(config.status(later).age, Some(Duration::ZERO));
    }
}
