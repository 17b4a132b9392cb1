//! The endpoints of one channel: a dense index each, and what the transport has told about them.

use std::collections::{HashMap, HashSet, VecDeque};

use evener_core::{Connectivity, Counters, EndpointId, Handle, Health};
use evener_discovery::{Condition, Endpoint};

use crate::blocks::LARGEST;
use crate::options::UpdateError;

/// Indices in use at most: a full set, and as many that still drain or wait to be acknowledged.
pub(crate) const MAX_RECORDS: usize = 131_072;
/// A transport's error text is kept up to this length, in bytes.
const MAX_ERROR: usize = 512;

/// Where an endpoint's index is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the current list.
    Live,
    /// Removed, with a slot in some block until its calls have ended.
    Draining,
    /// `Close` was sent; the index is free again when the transport has acknowledged it.
    Closed,
}

/// A slot of one block that an endpoint lives in.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) block: u32,
    pub(crate) handle: Handle,
    /// The counters as they were when they were last added to the totals.
    counted: Counters,
    in_flight: u32,
}

/// Calls by how they ended, over all blocks and for the endpoint's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) rejected: u64,
    pub(crate) other: u64,
}

/// All that is known of one endpoint.
#[derive(Debug)]
pub(crate) struct Subchannel {
    pub(crate) id: EndpointId,
    pub(crate) endpoint: Endpoint,
    pub(crate) target: String,
    pub(crate) phase: Phase,
    /// Its place in the latest list that had it.
    pub(crate) order: u32,
    /// As the transport told it last; mirrored into every block, also into later ones.
    pub(crate) state: Connectivity,
    /// It failed and was not READY since (gRFC A62).
    pub(crate) failing: bool,
    /// As the transport told it last; see [`Subchannel::serves`].
    pub(crate) health: Health,
    pub(crate) last_error: String,
    /// The transport was asked to connect, and not to disconnect since.
    pub(crate) dialled: bool,
    /// `CancelCalls` was sent since it was removed.
    pub(crate) cancelled: bool,
    pub(crate) seats: Vec<Seat>,
    totals: Totals,
    round: u64,
}

impl Subchannel {
    fn new(id: EndpointId, endpoint: &Endpoint) -> Self {
        Self {
            id,
            target: endpoint.grpc_target().unwrap_or_default(),
            endpoint: endpoint.clone(),
            phase: Phase::Live,
            order: 0,
            state: Connectivity::Idle,
            failing: false,
            health: Health::Unknown,
            last_error: String::new(),
            dialled: false,
            cancelled: false,
            seats: Vec::new(),
            totals: Totals::default(),
            round: 0,
        }
    }

    /// Whether the transport may still say something about it.
    pub(crate) fn is_open(&self) -> bool {
        self.phase != Phase::Closed
    }

    /// Its health by both that know something of it: whoever says no is right.
    pub(crate) fn serves(&self) -> Health {
        match self.endpoint.condition {
            Condition::Unhealthy => Health::NotServing,
            Condition::Ready | Condition::Draining => self.health,
        }
    }

    /// Takes the transport's word.
    pub(crate) fn observe(&mut self, state: Connectivity, error: &str) {
        if !error.is_empty() {
            self.last_error = clip(error, MAX_ERROR);
        }
        self.state = state;
        match state {
            Connectivity::TransientFailure => self.failing = true,
            Connectivity::Ready => self.failing = false,
            _ => {}
        }
    }

    /// It was told to disconnect: what it said before counts no more.
    pub(crate) fn let_go(&mut self) {
        self.state = Connectivity::Idle;
        self.failing = false;
        self.dialled = false;
    }

    /// Takes a seat in a block. Returns whether it is a new one, whose slot has been told nothing yet.
    pub(crate) fn sit(&mut self, block: u32, handle: Handle) -> bool {
        let new = !self.sits_in(block);
        if new {
            self.seats.push(Seat { block, handle, counted: Counters::default(), in_flight: 0 });
        }
        new
    }

    pub(crate) fn sits_in(&self, block: u32) -> bool {
        self.seats.iter().any(|seat| seat.block == block)
    }

    /// Gives up the seat in a block. Returns whether it was the last one.
    pub(crate) fn leave(&mut self, block: u32) -> bool {
        self.seats.retain(|seat| seat.block != block);
        self.seats.is_empty()
    }

    /// Adds what the blocks have counted since the last time. The core's counters wrap at 2³²; the
    /// totals do not, as long as this runs at least once in so many calls.
    pub(crate) fn count(&mut self, read: impl Fn(u32, Handle) -> Option<Counters>) {
        for seat in &mut self.seats {
            let Some(now) = read(seat.block, seat.handle) else {
                continue;
            };
            let since = |now: u32, before: u32| u64::from(now.wrapping_sub(before));
            self.totals.ok += since(now.ok, seat.counted.ok);
            self.totals.failed += since(now.failed, seat.counted.failed);
            self.totals.rejected += since(now.rejected, seat.counted.rejected);
            self.totals.other += since(now.other, seat.counted.other);
            seat.in_flight = now.in_flight;
            seat.counted = now;
        }
    }

    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Calls in flight when [`Subchannel::count`] ran last, over all blocks.
    pub(crate) fn in_flight(&self) -> u64 {
        self.seats.iter().map(|seat| u64::from(seat.in_flight)).sum()
    }

    /// The addresses as text, for people.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<String> = self.endpoint.addresses.iter().map(ToString::to_string).collect();
        addresses.join("|")
    }
}

/// An endpoint of a list that is about to be taken over.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) index: u32,
    pub(crate) id: EndpointId,
    pub(crate) endpoint: Endpoint,
    added: bool,
}

/// The endpoints of one channel by index and by identity.
#[derive(Debug)]
pub(crate) struct Subchannels {
    records: Vec<Option<Subchannel>>,
    free: VecDeque<u32>,
    by_id: HashMap<EndpointId, u32>,
    key: [u64; 2],
    round: u64,
    draining: usize,
}

/// An endpoint without an address cannot be dialled, and has no identity; and a list may have more
/// different endpoints than the core can hold. Such lists are refused before anything else happens.
pub(crate) fn check(list: &[Endpoint]) -> Result<(), UpdateError> {
    if let Some(position) = list.iter().position(|endpoint| endpoint.addresses.is_empty()) {
        return Err(UpdateError::NoAddress { position });
    }
    if list.len() <= LARGEST as usize {
        return Ok(());
    }
    // Any key will do to tell them apart.
    let different: HashSet<EndpointId> = list.iter().map(|endpoint| endpoint.id([0; 2])).collect();
    match different.len() {
        given if given > LARGEST as usize => Err(UpdateError::TooMany { given }),
        _ => Ok(()),
    }
}

impl Subchannels {
    /// `key` makes identities unpredictable to whoever chooses addresses.
    pub(crate) fn new(key: [u64; 2]) -> Self {
        Self { records: Vec::new(), free: VecDeque::new(), by_id: HashMap::new(), key, round: 0, draining: 0 }
    }

    /// Gives each endpoint of a list its index; of endpoints with the same addresses the first one
    /// counts. Follow it by [`Subchannels::settle`], or by [`Subchannels::withdraw`].
    ///
    /// There may be no indices for it: too many removed endpoints still drain, or the transport does not
    /// acknowledge `Close`. The list is one that [`check`] let pass.
    pub(crate) fn admit(&mut self, list: &[Endpoint]) -> Result<Vec<Admitted>, UpdateError> {
        let mut seen = HashSet::new();
        let unique: Vec<(EndpointId, &Endpoint)> = list
            .iter()
            .map(|endpoint| (endpoint.id(self.key), endpoint))
            .filter(|(id, _)| seen.insert(*id))
            .collect();
        let new = unique.iter().filter(|(id, _)| !self.by_id.contains_key(id)).count();
        if new > self.free.len() + (MAX_RECORDS - self.records.len()) {
            return Err(UpdateError::NoRoom);
        }
        self.round += 1;
        Ok(unique.into_iter().map(|(id, endpoint)| self.admit_one(id, endpoint)).collect())
    }

    fn admit_one(&mut self, id: EndpointId, endpoint: &Endpoint) -> Admitted {
        let known = self.by_id.get(&id).copied();
        let index = known.unwrap_or_else(|| self.insert(id, endpoint));
        let round = self.round;
        if let Some(record) = self.get_mut(index) {
            record.round = round;
        }
        Admitted { index, id, endpoint: endpoint.clone(), added: known.is_none() }
    }

    fn insert(&mut self, id: EndpointId, endpoint: &Endpoint) -> u32 {
        let record = Some(Subchannel::new(id, endpoint));
        let index = match self.free.pop_front() {
            Some(index) => index,
            None => {
                self.records.push(None);
                (self.records.len() - 1) as u32
            }
        };
        if let Some(place) = self.records.get_mut(index as usize) {
            *place = record;
        }
        self.by_id.insert(id, index);
        index
    }

    /// The list was taken over: its endpoints are live, all others drain. Returns those that were there
    /// before with another health.
    pub(crate) fn settle(&mut self, admitted: Vec<Admitted>) -> Vec<u32> {
        let round = self.round;
        for record in self.records.iter_mut().flatten() {
            if record.phase == Phase::Live && record.round != round {
                record.phase = Phase::Draining;
            }
        }
        let mut flipped = Vec::new();
        for (order, Admitted { index, endpoint, .. }) in (0..).zip(admitted) {
            if let Some(record) = self.get_mut(index) {
                let served = record.serves();
                record.phase = Phase::Live;
                record.order = order;
                record.cancelled = false;
                if record.endpoint.addresses != endpoint.addresses {
                    record.target = endpoint.grpc_target().unwrap_or_default();
                }
                record.endpoint = endpoint;
                if record.serves() != served {
                    flipped.push(index);
                }
            }
        }
        self.draining = self.open().filter(|(_, record)| record.phase == Phase::Draining).count();
        flipped
    }

    /// Whether an endpoint drains.
    pub(crate) const fn is_draining(&self) -> bool {
        self.draining > 0
    }

    /// The list was not taken over: as if it had never been admitted.
    pub(crate) fn withdraw(&mut self, admitted: &[Admitted]) {
        for admitted in admitted.iter().filter(|admitted| admitted.added) {
            self.by_id.remove(&admitted.id);
            self.release(admitted.index);
        }
    }

    /// `Close` was sent: a later list that names the endpoint gets another index.
    pub(crate) fn close(&mut self, index: u32) {
        let Some(record) = self.get_mut(index) else {
            return;
        };
        let was = std::mem::replace(&mut record.phase, Phase::Closed);
        let id = record.id;
        self.by_id.remove(&id);
        self.draining -= usize::from(was == Phase::Draining);
    }

    /// The transport has freed what it had for the endpoint. Returns whether that was awaited.
    pub(crate) fn acknowledge(&mut self, index: u32) -> bool {
        let awaited = self.get(index).is_some_and(|record| record.phase == Phase::Closed);
        if awaited {
            self.release(index);
        }
        awaited
    }

    fn release(&mut self, index: u32) {
        if let Some(place) = self.records.get_mut(index as usize) {
            *place = None;
            self.free.push_back(index);
        }
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Subchannel> {
        self.records.get(index as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Subchannel> {
        self.records.get_mut(index as usize)?.as_mut()
    }

    /// Every endpoint that is not closed, with its index.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u32, &Subchannel)> {
        let records = self.records.iter().enumerate();
        records
            .filter_map(|(index, record)| Some((index as u32, record.as_ref()?)))
            .filter(|(_, record)| record.is_open())
    }

    /// Every endpoint that is not closed, to change it.
    pub(crate) fn open_mut(&mut self) -> impl Iterator<Item = &mut Subchannel> {
        self.records.iter_mut().flatten().filter(|record| record.is_open())
    }

    /// Whether every endpoint is closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// Cuts a text to at most `max` bytes, at a character's edge.
pub(crate) fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        format!("127.0.0.1:{port}").parse().expect("an address")
    }

    fn admit(subchannels: &mut Subchannels, ports: &[u16]) -> Vec<u32> {
        let list: Vec<Endpoint> = ports.iter().copied().map(endpoint).collect();
        let admitted = subchannels.admit(&list).expect("room");
        let indices = admitted.iter().map(|admitted| admitted.index).collect();
        subchannels.settle(admitted);
        indices
    }

    #[test]
    fn an_index_is_reused_only_after_the_acknowledgement() {
        let mut subchannels = Subchannels::new([1, 2]);
        assert_eq!(admit(&mut subchannels, &[1, 2]), [0, 1]);
        assert_eq!(admit(&mut subchannels, &[2]), [1]);
        assert_eq!(subchannels.get(0).map(|record| record.phase), Some(Phase::Draining));
        assert!(!subchannels.acknowledge(0), "not closed yet");
        subchannels.close(0);
        assert_eq!(admit(&mut subchannels, &[2, 3]), [1, 2], "index 0 still belongs to the transport");
        assert!(subchannels.acknowledge(0));
        assert!(!subchannels.acknowledge(0), "once");
        assert_eq!(admit(&mut subchannels, &[2, 3, 1]), [1, 2, 0]);
    }

    #[test]
    fn a_draining_endpoint_that_returns_keeps_its_index() {
        let mut subchannels = Subchannels::new([1, 2]);
        admit(&mut subchannels, &[1]);
        admit(&mut subchannels, &[]);
        assert_eq!(admit(&mut subchannels, &[1]), [0]);
        assert_eq!(subchannels.get(0).map(|record| record.phase), Some(Phase::Live));
    }

    #[test]
    fn of_equal_endpoints_the_first_counts() {
        let mut subchannels = Subchannels::new([1, 2]);
        let list = [endpoint(1).with_weight(5), endpoint(1).with_weight(9), endpoint(2)];
        let admitted = subchannels.admit(&list).expect("room");
        assert_eq!(admitted.iter().map(|admitted| admitted.endpoint.weight).collect::<Vec<_>>(), [5, 1]);
        subchannels.withdraw(&admitted);
        assert!(subchannels.is_empty());
        assert_eq!(admit(&mut subchannels, &[7]), [0], "withdrawn indices are free");
    }

    #[test]
    fn more_than_the_core_can_hold_is_refused() {
        let address =
            |n: u32| std::net::SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 1 + (n >> 16) as u16));
        let list: Vec<Endpoint> = (0..=LARGEST).map(|n| Endpoint::new(vec![address(n).into()])).collect();
        assert_eq!(check(&list), Err(UpdateError::TooMany { given: 65_535 }));
        assert_eq!(check(&list[1..]), Ok(()));
    }

    #[test]
    fn totals_add_up_across_the_wrap() {
        let mut record = Subchannel::new(endpoint(1).id([1, 2]), &endpoint(1));
        record.sit(0, Handle::new(0, 1));
        record.sit(3, Handle::new(0, 1));
        let counters = |ok, in_flight| Counters { ok, failed: 0, rejected: 0, other: 0, in_flight };
        record.count(|block, _| (block == 0).then(|| counters(u32::MAX, 2)));
        record.count(|block, _| Some(counters(if block == 0 { 4 } else { 1 }, 2)));
        assert_eq!(record.totals().ok, u64::from(u32::MAX) + 5 + 1);
        assert_eq!(record.in_flight(), 4);
        assert!(!record.leave(0));
        assert!(record.leave(3));
    }

    #[test]
    fn long_errors_are_cut_at_a_character() {
        let mut record = Subchannel::new(endpoint(1).id([1, 2]), &endpoint(1));
        record.observe(Connectivity::TransientFailure, &"ß".repeat(400));
        record.observe(Connectivity::TransientFailure, "");
        assert_eq!(record.last_error.chars().filter(|&c| c == 'ß').count(), MAX_ERROR / 2);
    }
}
