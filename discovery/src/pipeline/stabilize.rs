//! Stabilize: what is gone leaves late, in step with epochs, and not at all if it comes back before.
//!
//! As Finagle's `Stabilizer` has it, epochs follow one another from the pipeline's start, and what disappears in one leaves
//! as the second after it begins: removals are gathered, and each is delayed by one to two epochs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guard::{Budget, Gate};
use super::identity::Identity;
use crate::model::{Condition, Endpoint};

/// Endpoints that are published though their source no longer reports them.
#[derive(Debug)]
pub(super) struct Stabilizer {
    start: Instant,
    epoch: Duration,
    budget: Budget,
    limbo: HashMap<Identity, Held>,
    /// Those whose leaving was announced: only emptiness holds them.
    announced: BTreeMap<Ticket, Identity>,
    /// The others, in the order in which they leave.
    waiting: BTreeMap<Ticket, Identity>,
    tickets: u64,
}

#[derive(Debug)]
struct Held {
    endpoint: Arc<Endpoint>,
    gone_at: Instant,
    ticket: Ticket,
}

/// The epoch with which an endpoint may leave, then the order of disappearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    due: u64,
    number: u64,
}

impl Stabilizer {
    pub(super) fn new(epoch: Duration, max_drop_ratio: u8, now: Instant) -> Self {
        Self {
            start: now,
            epoch,
            budget: Budget::new(max_drop_ratio),
            limbo: HashMap::new(),
            announced: BTreeMap::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
        }
    }

    /// How many endpoints are held.
    pub(super) fn len(&self) -> usize {
        self.limbo.len()
    }

    /// The last record of an endpoint that is held.
    pub(super) fn find(&self, identity: &Identity) -> Option<&Arc<Endpoint>> {
        self.limbo.get(identity).map(|held| &held.endpoint)
    }

    /// Holds an endpoint that is published and no longer reported.
    pub(super) fn hold(&mut self, identity: Identity, endpoint: Arc<Endpoint>, now: Instant) {
        self.cancel(&identity);
        let announced = is_announced(&endpoint);
        let due = if announced { 0 } else { self.epoch_at(now).saturating_add(2) };
        let ticket = Ticket { due, number: self.tickets };
        self.tickets += 1;
        let queue = if announced { &mut self.announced } else { &mut self.waiting };
        queue.insert(ticket, identity.clone());
        self.limbo.insert(identity, Held { endpoint, gone_at: now, ticket });
    }

    /// Stops holding an endpoint: it is reported again.
    pub(super) fn cancel(&mut self, identity: &Identity) {
        if let Some(held) = self.limbo.remove(identity) {
            self.announced.remove(&held.ticket);
            self.waiting.remove(&held.ticket);
        }
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self) -> Vec<Identity> {
        self.announced.clear();
        self.waiting.clear();
        self.limbo.drain().map(|(identity, _)| identity).collect()
    }

    /// What leaves now. `in_use` endpoints are reported or held; the source was `read` in full for the last time then.
    pub(super) fn release(
        &mut self,
        gate: Gate,
        in_use: usize,
        read: Option<Instant>,
        now: Instant,
    ) -> Vec<Identity> {
        if self.limbo.is_empty() || matches!(gate, Gate::Closed(_)) {
            return Vec::new();
        }
        let current = self.epoch_at(now);
        self.budget.begin(current, in_use);
        let mut leaving: Vec<Identity> = std::mem::take(&mut self.announced).into_values().collect();
        for identity in &leaving {
            self.limbo.remove(identity);
        }
        while let Some(first) = self.waiting.first_entry() {
            let due = self.epoch.is_zero() || first.key().due <= current;
            let confirmed = self.epoch.is_zero()
                || self
                    .limbo
                    .get(first.get())
                    .is_some_and(|held| is_confirmed(held.gone_at, self.epoch, read));
            if !due || !(gate == Gate::Open || confirmed || self.budget.take()) {
                break;
            }
            let identity = first.remove();
            self.limbo.remove(&identity);
            leaving.push(identity);
        }
        leaving
    }

    /// When there may next be something to [release](Stabilizer::release); right after a release it is later than now.
    pub(super) fn deadline(&self, gate: Gate, now: Instant) -> Option<Instant> {
        if self.limbo.is_empty() {
            return None;
        }
        match gate {
            Gate::Closed(until) => until,
            Gate::Budgeted | Gate::Open if !self.announced.is_empty() => Some(now),
            Gate::Budgeted | Gate::Open => {
                let (first, _) = self.waiting.first_key_value()?;
                // What is due and still here waits for the next epoch's budget.
                self.begin_of(first.due.max(self.epoch_at(now).saturating_add(1)))
            }
        }
    }

    fn epoch_at(&self, now: Instant) -> u64 {
        let nanos = self.epoch.as_nanos().max(1);
        u64::try_from(now.saturating_duration_since(self.start).as_nanos() / nanos).unwrap_or(u64::MAX)
    }

    fn begin_of(&self, epoch: u64) -> Option<Instant> {
        let nanos = self.epoch.as_nanos().checked_mul(u128::from(epoch))?;
        let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
        let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
        self.start.checked_add(Duration::new(seconds, rest))
    }
}

/// Whether an endpoint's last record said that it would leave, or took no calls anyway.
fn is_announced(endpoint: &Endpoint) -> bool {
    endpoint.weight == 0 || endpoint.condition != Condition::Ready
}

/// Whether the source was read again late enough after a disappearance for that to be more than the same answer twice.
fn is_confirmed(gone_at: Instant, epoch: Duration, read: Option<Instant>) -> bool {
    read.is_some_and(|read| read.saturating_duration_since(gone_at) >= epoch)
}
