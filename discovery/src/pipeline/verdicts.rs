//! Verdicts: which endpoints fail their probes, and whether that counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::identity::Identity;
use crate::model::{Condition, Endpoint};

/// What probes say of endpoints; nothing where there are none.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    failing: BTreeSet<Identity>,
    fail_open: bool,
    /// Whether they are let pass: all that is in use fails, and that is to take nothing out.
    is_open: bool,
}

impl Verdicts {
    /// Takes over which endpoints fail. Answers those of which that is new, either way.
    pub(super) fn replace(&mut self, failing: BTreeSet<Identity>, fail_open: bool) -> Vec<Identity> {
        let changed = self.failing.symmetric_difference(&failing).cloned().collect();
        self.failing = failing;
        self.fail_open = fail_open;
        changed
    }

    /// Works out whether they count where `total` endpoints are in use. Answers whether that has changed.
    pub(super) fn weigh(&mut self, total: usize, is_used: impl Fn(&Identity) -> bool) -> bool {
        // Counted only where it may come out as all of them.
        let all = self.fail_open && total > 0 && self.failing.len() >= total && self.count(is_used) == total;
        std::mem::replace(&mut self.is_open, all) != all
    }

    /// How many of those in use fail.
    pub(super) fn count(&self, is_used: impl Fn(&Identity) -> bool) -> usize {
        self.failing.iter().filter(|identity| is_used(identity)).count()
    }

    pub(super) fn failing(&self) -> impl Iterator<Item = &Identity> {
        self.failing.iter()
    }

    /// What becomes of an endpoint.
    pub(super) fn apply(&self, identity: &Identity, endpoint: &Arc<Endpoint>) -> Arc<Endpoint> {
        let passes = self.is_open || !self.failing.contains(identity);
        if passes || endpoint.condition == Condition::Unhealthy {
            return Arc::clone(endpoint);
        }
        Arc::new(Endpoint { condition: Condition::Unhealthy, ..Endpoint::clone(endpoint) })
    }
}
