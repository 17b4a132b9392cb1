//! One watch of endpoints, as a channel uses it.

use std::sync::Arc;
use std::time::Instant;

use evener_discovery::pipeline::State;
use evener_discovery::runtime::Watch;
use evener_discovery::target::redact;
use evener_discovery::{Endpoint, SourceError, Target};
use serde_json::{Value, json};

use super::Listener;

/// What is new of a watch.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The endpoints, where they are others.
    pub(crate) list: Option<Vec<Endpoint>>,
    /// The service config that comes with them, where it is another.
    pub(crate) config: Option<Option<String>>,
    /// Why the source cannot be asked now.
    pub(crate) error: Option<SourceError>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Feeding {
    target: Target,
    name: String,
    stage: Stage,
    epoch: u64,
    /// Whether the source, or a snapshot on disk, has ever said what there is.
    answered: bool,
    config: Option<Arc<str>>,
    error: Option<SourceError>,
}

#[derive(Debug)]
enum Stage {
    Dormant,
    Wanted,
    Asked,
    Watched(Watch, Arc<Listener>),
    /// It cannot be watched, which is to be told.
    Refused {
        told: bool,
    },
}

impl Feeding {
    pub(super) fn new(target: Target) -> Self {
        let name = redact(&target.to_string());
        Self { target, name, stage: Stage::Dormant, epoch: 0, answered: false, config: None, error: None }
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn want(&mut self) {
        if matches!(self.stage, Stage::Dormant) {
            self.stage = Stage::Wanted;
        }
    }

    /// The target, if it is to be watched from now on.
    pub(super) fn ask(&mut self) -> Option<Target> {
        let wanted = matches!(self.stage, Stage::Wanted);
        wanted.then(|| {
            self.stage = Stage::Asked;
            self.target.clone()
        })
    }

    pub(super) fn opened(&mut self, watch: Result<Watch, SourceError>, listener: Arc<Listener>) {
        if !matches!(self.stage, Stage::Asked) {
            return;
        }
        self.stage = match watch {
            Ok(watch) => Stage::Watched(watch, listener),
            Err(error) => {
                self.error = Some(error);
                Stage::Refused { told: false }
            }
        };
    }

    pub(super) fn hear(&mut self) -> Option<Heard> {
        let (watch, listener) = match &mut self.stage {
            Stage::Watched(watch, listener) => (watch, listener),
            Stage::Refused { told } if !*told => {
                *told = true;
                return Some(Heard { error: self.error.clone(), ..Heard::default() });
            }
            _ => return None,
        };
        // Taken first: what comes after it is read next time.
        if !listener.take() {
            return None;
        }
        // The error first: one that an answer has ended must not outlive it.
        let error = watch.status().and_then(|status| status.last_error);
        let latest = watch.latest();
        self.error.clone_from(&error);
        let Some(snapshot) = latest.filter(|snapshot| snapshot.epoch != self.epoch) else {
            return Some(Heard { error, ..Heard::default() });
        };
        self.epoch = snapshot.epoch;
        let unknown = snapshot.state == State::Unknown;
        // Once there was an answer, endpoints that were dropped for their age are none.
        let list = (!unknown || self.answered).then(|| snapshot.endpoints.to_vec());
        self.answered |= !unknown;
        let differs = snapshot.service_config != self.config;
        self.config = snapshot.service_config;
        let config = differs.then(|| self.config.as_deref().map(str::to_owned));
        Some(Heard { list, config, error })
    }

    pub(super) fn resolve_now(&self) {
        if let Stage::Watched(watch, _) = &self.stage {
            watch.resolve_now();
        }
    }

    pub(super) const fn error(&self) -> Option<&SourceError> {
        self.error.as_ref()
    }

    /// The watch's status and what it is of; a watch that has not begun has none.
    pub(super) fn describe(&self, now: Instant) -> Value {
        let watch = match &self.stage {
            Stage::Watched(watch, _) => Some(watch),
            _ => None,
        };
        let status = watch.and_then(Watch::status).map(|status| status.to_json(now));
        let mut value = status.unwrap_or_else(|| {
            let error = self.error.as_ref().map(|error| error.message.as_str());
            json!({ "state": "unknown", "freshness": "unknown", "age_seconds": null, "last_error": error })
        });
        if let Some(object) = value.as_object_mut() {
            object.insert("target".to_owned(), json!(self.name));
            object.insert("watched".to_owned(), json!(watch.is_some()));
            object.insert("snapshot_error".to_owned(), json!(watch.and_then(Watch::snapshot_error)));
        }
        value
    }
}
