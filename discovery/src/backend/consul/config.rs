//! Keys of Consul's store, watched: a live configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::api::{Answer, Api};
use super::poller::{Outcome, Poller};
use super::settings::Settings;
use super::{environment, refused};
use crate::config_watch::{ConfigEvent, ConfigFeed, ConfigOpener};
use crate::event::{ErrorClass, SourceError};
use crate::model::percent;
use crate::record::consul::kv;
use crate::runtime::{Dice, WatchOptions};
use crate::target::{ConsulConsistency, ConsulPlace, ConsulTarget, Target};

/// The configuration at `consul://[agent]/KEY`, or below `consul://[agent]/PREFIX/`. Nothing is connected yet.
///
/// The leader is asked unless the target says `stale=true`: an older value must not come back after a newer one.
///
/// # Errors
/// The target or an option is wrong ([`ErrorClass::Config`]).
pub fn config(target: &str, options: &WatchOptions) -> Result<ConfigOpener, SourceError> {
    let Target::Consul(mut parsed) = Target::parse(target).map_err(|error| refused(&error.to_string()))?
    else {
        return Err(refused("the target of a configuration is consul:///KEY or consul:///PREFIX/"));
    };
    if parsed.places.len() > 1 {
        return Err(refused("invalid target: query: dc: a configuration is read from one datacenter"));
    }
    if parsed.consistency == ConsulConsistency::Cached {
        return Err(refused("invalid target: query: cached: Consul does not cache keys"));
    }
    let written = target.split(['?', '&']).any(|part| part == "stale" || part.starts_with("stale="));
    if parsed.consistency == ConsulConsistency::Stale && !written {
        parsed.consistency = ConsulConsistency::Leader;
    }
    let settings = Settings::new(&parsed, &options.credentials, &environment)?;
    let dice = Dice::new(options.seed);
    Ok(Box::new(move |feed| {
        let api = Arc::new(Api::new(settings));
        let hint = Arc::new(Notify::new());
        let watch = KeyWatch::new(&api, &parsed, Arc::clone(&hint), dice);
        Box::pin(async move {
            let hints = async {
                loop {
                    feed.hinted().await;
                    hint.notify_one();
                }
            };
            tokio::select! {
                error = watch.run(&feed) => error,
                error = hints => error,
            }
        })
    }))
}

struct KeyWatch {
    poller: Poller,
    key: String,
    known: Option<BTreeMap<String, Vec<u8>>>,
    /// Something was left out of what is known, since the token may not read it.
    was_filtered: bool,
    /// An empty answer came, and is asked for again before it is believed.
    is_confirming: bool,
}

impl KeyWatch {
    fn new(api: &Arc<Api>, target: &ConsulTarget, hint: Arc<Notify>, dice: Dice) -> Self {
        // Keys have no slash in front, however they are written.
        let key = target.service.trim_start_matches('/').to_owned();
        let place = target.places.first().cloned().unwrap_or(ConsulPlace::Own);
        let path = format!("/v1/kv/{}", percent::encode(&key, b";"));
        let poller = Poller::new(Arc::clone(api), target, format!("key {key}"), path, hint, dice);
        let recurse = key.ends_with('/').then(String::new);
        let poller = poller.at(&place).with("recurse", recurse).or_status(404);
        Self { poller, key, known: None, was_filtered: false, is_confirming: false }
    }

    async fn run(mut self, feed: &ConfigFeed) -> SourceError {
        loop {
            match self.next().await {
                Ok(event) => feed.send(event),
                Err(error) if error.class == ErrorClass::Config => return error,
                Err(error) => {
                    // What was heard before an outage confirms nothing after it.
                    self.is_confirming = false;
                    feed.send(ConfigEvent::Failed(error));
                }
            }
        }
    }

    async fn next(&mut self) -> Result<ConfigEvent, SourceError> {
        loop {
            if let Some(event) = self.try_next().await? {
                return Ok(event);
            }
        }
    }

    /// None where an answer is not believed before it comes again.
    async fn try_next(&mut self) -> Result<Option<ConfigEvent>, SourceError> {
        let Outcome { answer, doubt } = self.poller.next().await?;
        if let Some(doubt) = doubt.filter(|_| self.known.is_some()) {
            return Err(self.poller.refuse(doubt));
        }
        let values = self.values(&answer).map_err(|error| self.poller.refuse(error))?;
        if values.is_empty() {
            let may = self.poller.may_read("key", &self.key).await;
            may.map_err(|refusal| self.poller.refuse(refusal))?;
            if self.known.as_ref().is_some_and(|known| !known.is_empty()) && !self.is_confirming {
                self.is_confirming = true;
                self.poller.confirm();
                return Ok(None);
            }
        }
        self.is_confirming = false;
        let changed = self.known.as_ref() != Some(&values);
        self.poller.settle(&answer, changed);
        self.was_filtered = answer.is_filtered;
        if !changed {
            return Ok(Some(ConfigEvent::Confirmed));
        }
        self.known = Some(values.clone());
        let revision = answer.index.map(|index| index.to_string()).unwrap_or_default();
        Ok(Some(ConfigEvent::Reset { values, revision }))
    }

    fn values(&self, answer: &Answer) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
        let key = &self.key;
        let values = match answer.status {
            404 => BTreeMap::new(),
            _ => kv::decode(&answer.body, key).map_err(|reason| {
                SourceError::new(ErrorClass::Protocol, format!("consul: key {key}: {reason}"))
            })?,
        };
        let gone = self.known.iter().flatten().any(|(name, _)| !values.contains_key(name));
        if answer.is_filtered && (values.is_empty() || !self.was_filtered && gone) {
            let text = format!(
                "consul: key {key}: keys were left out, since the ACL token may not read them (it needs key:read)"
            );
            return Err(SourceError::new(ErrorClass::Denied, text));
        }
        Ok(values)
    }
}
