//! From keys to a configuration.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use super::list::{Entry, Range};
use super::sink::{Change, Sink};
use crate::config_watch::{ConfigEvent, ConfigFeed};
use crate::event::SourceError;

/// The values of a prefix or of one key, told to a feed.
pub(crate) struct Settings {
    feed: ConfigFeed,
    place: Place,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Where a configuration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As the target has it: a prefix where it ends with a slash, otherwise a key.
    path: String,
}

impl Place {
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned() }
    }

    /// Keys are written with and without a slash in front, so both are read where the path has none.
    fn spellings(&self) -> Vec<String> {
        if self.path.starts_with('/') {
            return vec![self.path.clone()];
        }
        vec![self.path.clone(), format!("/{}", self.path)]
    }

    pub fn ranges(&self) -> Vec<Range> {
        let range: fn(&str) -> Range = if self.path.ends_with('/') { Range::prefix } else { Range::key };
        self.spellings().iter().map(|path| range(path)).collect()
    }

    /// What a key is called in the map, and whether it is spelled as the target is, which goes before.
    fn name(&self, key: &[u8]) -> Option<(String, bool)> {
        let key = str::from_utf8(key).ok()?;
        let is_exact = key.starts_with(&self.path);
        let name = if self.path.ends_with('/') {
            self.spellings().iter().find_map(|prefix| key.strip_prefix(prefix.as_str()))?
        } else {
            key.rsplit('/').next()?
        };
        Some((name.to_owned(), is_exact))
    }
}

impl Settings {
    pub fn new(feed: ConfigFeed, place: Place) -> Self {
        Self { feed, place, values: BTreeMap::new() }
    }

    fn tell(&self, revision: i64) {
        let mut values = BTreeMap::new();
        for (key, value) in &self.values {
            let Some((name, is_exact)) = self.place.name(key) else { continue };
            if is_exact || !values.contains_key(&name) {
                values.insert(name, value.clone());
            }
        }
        self.feed.send(ConfigEvent::Reset { values, revision: revision.to_string() });
    }
}

impl Sink for Settings {
    fn reset(&mut self, entries: Vec<Entry>, revision: i64) {
        self.values = entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        self.tell(revision);
    }

    fn apply(&mut self, changes: Vec<Change>, revision: i64) {
        for Change { key, value } in changes {
            match value {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
        self.tell(revision);
    }

    fn confirmed(&mut self, _revision: i64) {
        self.feed.send(ConfigEvent::Confirmed);
    }

    fn failed(&mut self, error: SourceError) {
        self.feed.send(ConfigEvent::Failed(error));
    }

    /// One of two spellings may not be read; the other one is the configuration.
    fn skipped(&mut self, _why: String) {}

    fn hinted(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.feed.hinted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_map_and_a_key_is_itself() {
        let prefix = Place::new("config/user-service/");
        assert_eq!(
            prefix.ranges(),
            [Range::prefix("config/user-service/"), Range::prefix("/config/user-service/")]
        );
        assert_eq!(prefix.name(b"config/user-service/cache/size"), Some(("cache/size".to_owned(), true)));
        assert_eq!(prefix.name(b"/config/user-service/url"), Some(("url".to_owned(), false)));
        let key = Place::new("/config/lb");
        assert_eq!(key.ranges(), [Range::key("/config/lb")]);
        assert_eq!(key.name(b"/config/lb"), Some(("lb".to_owned(), true)));
        assert_eq!(key.name(b"\xff"), None);
    }

    #[test]
    fn the_spelling_of_the_target_goes_before_the_other() {
        let (feed, mut events, _) = ConfigFeed::new();
        let mut settings = Settings::new(feed, Place::new("c/"));
        let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
        settings.reset(vec![entry("/c/a", "other"), entry("c/a", "own"), entry("/c/b", "other")], 7);
        let Ok(ConfigEvent::Reset { values, revision }) = events.try_recv() else { panic!("no map") };
        assert_eq!(revision, "7");
        assert_eq!(values, [("a", "own"), ("b", "other")].map(|(k, v)| (k.to_owned(), v.into())).into());
    }
}
