//! From keys to endpoints.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use super::list::Entry;
use super::sink::{Change, Sink};
use crate::backend::Feed;
use crate::event::{Event, Part, SourceError};
use crate::model::Endpoint;
use crate::record::etcd::decode;

/// The records below some prefixes, told to a feed.
pub(crate) struct Records {
    feed: Feed,
    /// What each key said when it last made sense.
    known: BTreeMap<String, Vec<Endpoint>>,
}

/// Counts what cannot be read.
#[derive(Default)]
struct Skipped {
    count: u64,
    example: String,
}

impl Records {
    pub const fn new(feed: Feed) -> Self {
        Self { feed, known: BTreeMap::new() }
    }

    fn tell(&self, skipped: Skipped) {
        if skipped.count > 0 {
            self.feed.send(Event::Skipped { count: skipped.count, example: skipped.example });
        }
    }
}

impl Skipped {
    fn add(&mut self, key: &[u8], reason: &str) {
        self.count += 1;
        self.example = format!("{}: {reason}", String::from_utf8_lossy(key));
    }

    /// What a key says; `None` where that makes no sense.
    fn read(&mut self, key: &[u8], value: &[u8]) -> Option<Vec<Endpoint>> {
        let Ok(name) = str::from_utf8(key) else {
            self.add(key, "the key is not UTF-8");
            return None;
        };
        match decode(name, value) {
            Ok(endpoint) => Some(endpoint.into_iter().collect()),
            Err(reason) => {
                self.add(key, &reason);
                None
            }
        }
    }
}

impl Sink for Records {
    fn reset(&mut self, entries: Vec<Entry>, revision: i64) {
        let before = std::mem::take(&mut self.known);
        let mut skipped = Skipped::default();
        for Entry { key, value } in entries {
            let read = skipped.read(&key, &value);
            // What a key said before it was broken is better than nothing.
            let Ok(key) = String::from_utf8(key) else { continue };
            if let Some(endpoints) = read.or_else(|| before.get(&key).cloned()) {
                self.known.insert(key, endpoints);
            }
        }
        self.tell(skipped);
        let part = |(key, endpoints): (&String, &Vec<Endpoint>)| Part {
            key: key.clone(),
            endpoints: endpoints.clone(),
        };
        let parts = self.known.iter().map(part).collect();
        self.feed.send(Event::Reset { parts, revision: Some(revision.to_string()) });
    }

    fn apply(&mut self, changes: Vec<Change>, revision: i64) {
        let revision = Some(revision.to_string());
        let mut skipped = Skipped::default();
        // The last change of a key that makes sense counts.
        let mut outcome: BTreeMap<String, Option<Vec<Endpoint>>> = BTreeMap::new();
        for Change { key, value } in changes {
            let read = match value {
                Some(value) => skipped.read(&key, &value).map(Some),
                None => Some(None),
            };
            if let (Some(read), Ok(key)) = (read, String::from_utf8(key)) {
                outcome.insert(key, read);
            }
        }
        self.tell(skipped);
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        for (key, endpoints) in outcome {
            match endpoints {
                Some(endpoints) => {
                    self.known.insert(key.clone(), endpoints.clone());
                    changed.push(Part { key, endpoints });
                }
                None => {
                    self.known.remove(&key);
                    removed.push(key);
                }
            }
        }
        if changed.is_empty() && removed.is_empty() {
            return self.feed.send(Event::Confirmed { revision });
        }
        self.feed.send(Event::Apply { changed, removed, revision });
    }

    fn confirmed(&mut self, revision: i64) {
        self.feed.send(Event::Confirmed { revision: Some(revision.to_string()) });
    }

    fn failed(&mut self, error: SourceError) {
        self.feed.send(Event::Failed(error));
    }

    fn skipped(&mut self, why: String) {
        self.feed.send(Event::Skipped { count: 1, example: why });
    }

    fn hinted(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.feed.hinted())
    }
}
