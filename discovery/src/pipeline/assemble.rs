//! Assemble: from the parts of a source (slices, keys, answers) to one record for each endpoint.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::identity::Identity;
use crate::event::Part;
use crate::model::Endpoint;

/// What is known of one endpoint before and after an event; the two differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) identity: Identity,
    pub(super) before: Option<Arc<Endpoint>>,
    pub(super) after: Option<Arc<Endpoint>>,
}

/// The endpoints of all parts. One that several parts report is there once, for as long as one of them reports it, and
/// what the part with the smallest key says of it counts.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    parts: HashMap<Arc<str>, Vec<Identity>>,
    records: BTreeMap<Identity, Owners>,
}

/// The parts that report an endpoint, by their keys; never empty between events.
type Owners = Vec<(Arc<str>, Arc<Endpoint>)>;

/// What an event has touched, with what was there before it.
type Touched = BTreeMap<Identity, Option<Arc<Endpoint>>>;

impl Assembler {
    /// How many endpoints are reported.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What is reported of an endpoint.
    pub(super) fn find(&self, identity: &Identity) -> Option<&Arc<Endpoint>> {
        self.records.get(identity)?.first().map(|(_, endpoint)| endpoint)
    }

    /// Every endpoint that is reported.
    pub(super) fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.records.keys()
    }

    /// Takes over everything there is, besides a part that is `kept`. Answers what differs and how many records no one can be
    /// sent to.
    pub(super) fn reset(&mut self, parts: Vec<Part>, kept: Option<&str>) -> (Vec<Change>, u64) {
        let there: HashSet<&str> = parts.iter().map(|part| part.key.as_str()).chain(kept).collect();
        let gone: Vec<String> =
            self.parts.keys().filter(|key| !there.contains(&***key)).map(|key| key.to_string()).collect();
        self.apply(parts, &gone)
    }

    /// Takes over what changed at one instant. Answers as [`Assembler::reset`].
    pub(super) fn apply(&mut self, changed: Vec<Part>, removed: &[String]) -> (Vec<Change>, u64) {
        let mut touched = Touched::new();
        let mut skipped = 0;
        for key in removed {
            if let Some((key, identities)) = self.parts.remove_entry(key.as_str()) {
                self.disown(&key, &identities, &mut touched);
            }
        }
        for part in changed {
            skipped += self.replace(part, &mut touched);
        }
        (self.changes(touched), skipped)
    }

    /// Gives a part another content; answers how many of its records have no address.
    fn replace(&mut self, part: Part, touched: &mut Touched) -> u64 {
        let (content, skipped) = content(part.endpoints);
        let key: Arc<str> = part.key.into();
        let identities = content.keys().cloned().collect();
        let (key, before) = match self.parts.entry(key) {
            Entry::Occupied(mut entry) => (Arc::clone(entry.key()), entry.insert(identities)),
            Entry::Vacant(entry) => {
                let key = Arc::clone(entry.key());
                entry.insert(identities);
                (key, Vec::new())
            }
        };
        let gone: Vec<Identity> =
            before.into_iter().filter(|identity| !content.contains_key(identity)).collect();
        self.disown(&key, &gone, touched);
        for (identity, endpoint) in content {
            self.own(&key, identity, endpoint, touched);
        }
        skipped
    }

    fn own(&mut self, key: &Arc<str>, identity: Identity, endpoint: Endpoint, touched: &mut Touched) {
        let owners = self.records.entry(identity.clone()).or_default();
        let first = owners.first().map(|(_, endpoint)| Arc::clone(endpoint));
        match owners.binary_search_by(|(owner, _)| owner.cmp(key)) {
            // What has not changed keeps its memory, so that comparing it again is comparing two pointers.
            Ok(at) if owners.get(at).is_some_and(|(_, known)| **known == endpoint) => return,
            Ok(at) => {
                if let Some((_, known)) = owners.get_mut(at) {
                    *known = Arc::new(endpoint);
                }
            }
            Err(at) => owners.insert(at, (Arc::clone(key), Arc::new(endpoint))),
        }
        touched.entry(identity).or_insert(first);
    }

    fn disown(&mut self, key: &Arc<str>, identities: &[Identity], touched: &mut Touched) {
        for identity in identities {
            let Some(owners) = self.records.get_mut(identity) else { continue };
            let first = owners.first().map(|(_, endpoint)| Arc::clone(endpoint));
            if let Ok(at) = owners.binary_search_by(|(owner, _)| owner.cmp(key)) {
                owners.remove(at);
                touched.entry(identity.clone()).or_insert(first);
            }
        }
    }

    /// What has become of what was touched; records that nobody reports any more are forgotten.
    fn changes(&mut self, touched: Touched) -> Vec<Change> {
        let mut changes = Vec::new();
        for (identity, before) in touched {
            let after = self.find(&identity).cloned();
            if after.is_none() {
                self.records.remove(&identity);
            }
            if before != after {
                changes.push(Change { identity, before, after });
            }
        }
        changes
    }
}

/// A part's endpoints, each once, and how many records have no address.
fn content(endpoints: Vec<Endpoint>) -> (BTreeMap<Identity, Endpoint>, u64) {
    let mut content: BTreeMap<Identity, Endpoint> = BTreeMap::new();
    let mut skipped = 0;
    for endpoint in endpoints {
        let Some(identity) = Identity::of(&endpoint) else {
            skipped += 1;
            continue;
        };
        match content.get_mut(&identity) {
            Some(other) if preferred(&endpoint, other) == Ordering::Less => *other = endpoint,
            Some(_) => {}
            None => {
                content.insert(identity, endpoint);
            }
        }
    }
    (content, skipped)
}

/// Which of two records of one endpoint in one part counts, whatever their order there: the healthier one (an instance
/// that restarted under another name leaves a failing record behind), then the better tier, then any fixed order.
fn preferred(one: &Endpoint, other: &Endpoint) -> Ordering {
    let by_use = |endpoint: &Endpoint| (endpoint.condition, endpoint.priority);
    by_use(one)
        .cmp(&by_use(other))
        .then_with(|| other.weight.cmp(&one.weight))
        .then_with(|| {
            (&one.zone, &one.region, &one.metadata).cmp(&(&other.zone, &other.region, &other.metadata))
        })
        .then_with(|| one.addresses.cmp(&other.addresses))
}
