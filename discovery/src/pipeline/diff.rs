//! Diff: what differs from what was published last, and the snapshot that says what is there instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::identity::Identity;
use super::status::{EndpointCounts, State};
use crate::model::{Condition, Endpoint};

/// What a pipeline publishes: everything a channel needs to know, immutable, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The publication's number, from 1.
    pub epoch: u64,
    /// Whether the endpoints are an answer, and which.
    pub state: State,
    /// The endpoints, each once, in the order of their addresses (kind, address, port). Those that are held though the source no
    /// longer reports them are among them.
    pub endpoints: Arc<[Endpoint]>,
    /// The service config that came with them, as it came.
    pub service_config: Option<Arc<str>>,
    /// Up to which of its changes the source was heard, where it counts them.
    pub revision: Option<Arc<str>>,
    /// What differs from the publication before.
    pub changes: Changes,
}

/// How many endpoints a publication concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Endpoints that were not there.
    pub added: usize,
    /// Endpoints of which something else is known: weight, condition, zone.
    pub updated: usize,
    /// Endpoints that are no longer there.
    pub removed: usize,
}

/// What was published, and what has come to differ from it since.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    epoch: u64,
    state: State,
    endpoints: BTreeMap<Identity, Arc<Endpoint>>,
    service_config: Option<Arc<str>>,
    counts: EndpointCounts,
    dirty: BTreeSet<Identity>,
}

impl Publisher {
    /// How many publications there have been.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) const fn counts(&self) -> EndpointCounts {
        self.counts
    }

    pub(super) fn find(&self, identity: &Identity) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(identity)
    }

    pub(super) fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.endpoints.keys()
    }

    /// Notes what is to be published of an endpoint from now on. Answers whether that differs from what is.
    pub(super) fn compare(&mut self, identity: &Identity, view: Option<&Arc<Endpoint>>) -> bool {
        let published = self.endpoints.get(identity);
        let differs = match (published, view) {
            (Some(published), Some(view)) => !Arc::ptr_eq(published, view) && published != view,
            (None, None) => false,
            _ => true,
        };
        if differs {
            self.dirty.insert(identity.clone());
        } else {
            self.dirty.remove(identity);
        }
        differs
    }

    /// Whether a publication would say anything new.
    pub(super) fn differs(&self, state: State, service_config: Option<&Arc<str>>) -> bool {
        !self.dirty.is_empty() || state != self.state || service_config != self.service_config.as_ref()
    }

    /// Publishes what `view` has of the endpoints that differ.
    pub(super) fn publish(
        &mut self,
        state: State,
        service_config: Option<Arc<str>>,
        revision: Option<Arc<str>>,
        view: impl Fn(&Identity) -> Option<Arc<Endpoint>>,
    ) -> Snapshot {
        let mut changes = Changes::default();
        for identity in std::mem::take(&mut self.dirty) {
            match view(&identity) {
                Some(endpoint) => match self.endpoints.insert(identity, endpoint) {
                    Some(_) => changes.updated += 1,
                    None => changes.added += 1,
                },
                None => changes.removed += usize::from(self.endpoints.remove(&identity).is_some()),
            }
        }
        self.epoch += 1;
        self.state = state;
        self.service_config.clone_from(&service_config);
        self.counts = count(self.endpoints.values());
        let endpoints = self.endpoints.values().map(|endpoint| Endpoint::clone(endpoint)).collect();
        Snapshot { epoch: self.epoch, state, endpoints, service_config, revision, changes }
    }
}

fn count<'a>(endpoints: impl Iterator<Item = &'a Arc<Endpoint>>) -> EndpointCounts {
    let mut counts = EndpointCounts::default();
    for endpoint in endpoints {
        counts.total += 1;
        match endpoint.condition {
            Condition::Ready => counts.ready += 1,
            Condition::Draining => counts.draining += 1,
            Condition::Unhealthy => counts.unhealthy += 1,
        }
    }
    counts
}
