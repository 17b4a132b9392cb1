//! From a method's path to what holds for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::schema::MethodConfig;

/// The entries of `methodConfig`, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MethodTable {
    configs: Vec<MethodConfig>,
    /// Keys are `/service/method`, `/service/` and, for all methods, the empty string.
    names: HashMap<Box<str>, usize>,
}

impl MethodTable {
    /// Adds an entry and the names it holds for; answers the first key that is there already.
    pub(super) fn add(&mut self, config: MethodConfig, names: Vec<String>) -> Result<(), usize> {
        for (place, name) in names.into_iter().enumerate() {
            match self.names.entry(name.into_boxed_str()) {
                Entry::Occupied(_) => return Err(place),
                Entry::Vacant(vacant) => vacant.insert(self.configs.len()),
            };
        }
        self.configs.push(config);
        Ok(())
    }

    /// The entry of the most specific name: the method's, its service's, the empty one.
    pub(super) fn find(&self, path: &str) -> Option<&MethodConfig> {
        if self.names.is_empty() {
            return None;
        }
        let service =
            path.rfind('/').and_then(|slash| path.get(..=slash)).filter(|service| service.len() > 1);
        let found = self.names.get(path).or_else(|| self.names.get(service?)).or_else(|| self.names.get(""));
        self.configs.get(*found?)
    }
}

/// The key of a name; a name without a method stands for all of its service's.
pub(super) fn key(service: &str, method: &str) -> String {
    if service.is_empty() { String::new() } else { format!("/{service}/{method}") }
}
