//! The watch of a service config in a registry, as a channel uses it.

use std::sync::Arc;

use evener_discovery::SourceError;
use evener_discovery::config_watch::{ConfigMap, ConfigWatch};
use evener_discovery::target::redact;
use serde_json::{Value, json};

use super::Listener;
use crate::shared::Given;

/// See the module.
#[derive(Debug)]
pub(super) struct ConfigFeeding {
    target: Given,
    name: String,
    stage: Stage,
    epoch: u64,
    /// Said already.
    last_error: Option<SourceError>,
}

#[derive(Debug)]
enum Stage {
    Dormant,
    Wanted,
    Asked,
    Watched(ConfigWatch, Arc<Listener>),
    Refused(SourceError),
}

impl ConfigFeeding {
    pub(super) fn new(target: Given) -> Self {
        let name = redact(&target.0);
        Self { target, name, stage: Stage::Dormant, epoch: 0, last_error: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn want(&mut self) {
        if matches!(self.stage, Stage::Dormant) {
            self.stage = Stage::Wanted;
        }
    }

    pub(super) fn ask(&mut self) -> Option<Given> {
        let wanted = matches!(self.stage, Stage::Wanted);
        wanted.then(|| {
            self.stage = Stage::Asked;
            self.target.clone()
        })
    }

    pub(super) fn opened(&mut self, watch: Result<ConfigWatch, SourceError>, listener: Arc<Listener>) {
        if !matches!(self.stage, Stage::Asked) {
            return;
        }
        self.stage = match watch {
            Ok(watch) => Stage::Watched(watch, listener),
            Err(error) => Stage::Refused(error),
        };
    }

    /// The service config where it is another one, or what is wrong, said once.
    pub(super) fn hear(&mut self) -> Option<Result<String, String>> {
        let (latest, error) = match &self.stage {
            Stage::Watched(watch, listener) if listener.take() => {
                (watch.latest(), watch.status().and_then(|status| status.last_error))
            }
            Stage::Refused(error) => (None, Some(error.clone())),
            _ => return None,
        };
        if let Some(map) = latest.filter(|map| map.epoch != self.epoch) {
            self.epoch = map.epoch;
            self.last_error = error;
            return Some(text_of(&map));
        }
        let new = error != self.last_error;
        self.last_error = error;
        let said = self.last_error.as_ref().filter(|_| new)?;
        Some(Err(said.message.clone()))
    }

    pub(super) fn describe(&self) -> Value {
        let mut value = match &self.stage {
            Stage::Watched(watch, _) => watch.status().map(|status| status.to_json()),
            Stage::Refused(error) => Some(json!({ "last_error": error.message })),
            _ => None,
        };
        let value = value.get_or_insert_with(|| json!({}));
        value["target"] = json!(self.name);
        value.take()
    }
}

/// The one value of a key.
fn text_of(map: &ConfigMap) -> Result<String, String> {
    let value = match map.values.len() {
        0 => return Err("there is no such key".to_owned()),
        1 => map.values.values().next().cloned().unwrap_or_default(),
        count => return Err(format!("{count} keys are there; name one of them, without a slash at the end")),
    };
    String::from_utf8(value).map_err(|_| "the value is not UTF-8".to_owned())
}
