//! Verdicts: which endpoints fail their probes, and whether that counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::identity::Identity;
use crate::model::{Condition, Endpoint};

/// What probes say of endpoints; nothing where there are none.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    failing: BTreeSet<Identity>,
    passing: BTreeSet<Identity>,
    fail_open: bool,
    /// Whether they are let pass: nothing that is in use passes, and that is to take nothing out.
    is_open: bool,
}

impl Verdicts {
    /// Takes over which endpoints fail, and which have been seen to pass. Answers which fail that did not, or the other way.
    pub(super) fn replace(
        &mut self,
        failing: BTreeSet<Identity>,
        passing: BTreeSet<Identity>,
        fail_open: bool,
    ) -> Vec<Identity> {
        let changed = self.failing.symmetric_difference(&failing).cloned().collect();
        (self.failing, self.passing, self.fail_open) = (failing, passing, fail_open);
        changed
    }

    /// Works out whether they count. An endpoint that was never seen to pass proves nothing: where all others fail the check is as likely to be wrong as
    /// they are, and whoever has just come must not take everybody's calls alone. Answers whether that has changed.
    pub(super) fn weigh(
        &mut self,
        is_used: impl Fn(&Identity) -> bool,
        takes_calls: impl Fn(&Identity) -> bool,
    ) -> bool {
        let is_open =
            self.fail_open && self.failing.iter().any(is_used) && !self.passing.iter().any(takes_calls);
        std::mem::replace(&mut self.is_open, is_open) != is_open
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
