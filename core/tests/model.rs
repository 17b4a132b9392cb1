//! Random histories of a controller against a naive model of it: maps and lists instead of slots, stages and bits.
#![cfg(not(loom))]

use evener_core::{
    Action, Balancer, Changes, Connectivity, Controller, Counters, Cursor, Endpoint, EndpointId, FailReason,
    Handle, Health, Limits, Member, Options, Outcome, Pick, Policy, Start, TICKS_PER_SECOND, Ticket,
    UpdateError, sync::AtomicU32, words,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

const CAPACITY: u32 = 5;
/// More identities than room, so that tables fill up.
const IDS: u64 = 9;

#[derive(Clone, Debug)]
enum Step {
    /// Identity, weight, priority.
    Update(Vec<(u64, u32, u32)>),
    Policy(Policy),
    State(u64, Connectivity),
    Health(u64, Health),
    /// Time goes by, in ticks.
    Wait(u32),
    /// One call of poll, or until nothing is left.
    Poll(bool),
    Start,
    /// Finishes one of the calls under way.
    Finish(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..IDS;
    prop_oneof![
        4 => prop::collection::vec((id.clone(), 0_u32..4, 0_u32..3), 0..8).prop_map(Step::Update),
        1 => prop_oneof![
            Just(Policy::RoundRobin),
            Just(Policy::PickRandom),
            Just(Policy::WeightedRoundRobin),
        ].prop_map(Step::Policy),
        6 => (id.clone(), prop_oneof![
            Just(Connectivity::Idle),
            Just(Connectivity::Connecting),
            Just(Connectivity::Ready),
            Just(Connectivity::Ready),
            Just(Connectivity::Ready),
            Just(Connectivity::TransientFailure),
        ]).prop_map(|(id, state)| Step::State(id, state)),
        2 => (id, prop_oneof![Just(Health::Unknown), Just(Health::Serving), Just(Health::NotServing)])
            .prop_map(|(id, health)| Step::Health(id, health)),
        2 => prop_oneof![0..4_000_000_u32, Just(300 * TICKS_PER_SECOND)].prop_map(Step::Wait),
        6 => any::<bool>().prop_map(Step::Poll),
        5 => Just(Step::Start),
        4 => any::<usize>().prop_map(Step::Finish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_naive_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            world.compare();
        }
        world.wind_up();
    }
}

/// What the model knows of one endpoint that has a slot.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    handle: Handle,
    weight: u32,
    priority: u32,
    state: Connectivity,
    health: Health,
    /// It failed and was not READY since.
    failed: bool,
    /// That may be forgotten.
    outdated: bool,
    /// The host was told to connect it, or did, and was not told to disconnect it since.
    connected: bool,
    /// The same, and it has not been IDLE since.
    dialled: bool,
    /// In the list, or draining.
    listed: bool,
    calls: u32,
    ok: u32,
}

/// The controller and its model, side by side.
struct World {
    controller: Controller<Arc<[AtomicU32]>, Vec<Member>>,
    balancer: Balancer<Arc<[AtomicU32]>>,
    cursor: Cursor,
    tickets: Vec<(u64, Ticket)>,
    now: u32,
    endpoints: BTreeMap<u64, Known>,
    policy: Policy,
    updated: bool,
    refused: bool,
    /// Something was put in since the last publication.
    changed: bool,
    published: u32,
    /// What the published table says: whom it names by weight, or what calls are told.
    table: Result<BTreeMap<u64, u32>, Pick>,
}

impl World {
    fn new() -> Self {
        let limits = Limits::new(CAPACITY).with_schedule(16);
        let memory: Arc<[AtomicU32]> = (0..words(&limits)).map(|_| AtomicU32::new(0)).collect();
        let members = vec![Member::EMPTY; CAPACITY as usize];
        let controller = Controller::claim(memory, members, limits, Options::default()).unwrap();
        Self {
            balancer: controller.balancer(),
            controller,
            cursor: Cursor::at(0, 1),
            tickets: Vec::new(),
            // Soon to wrap.
            now: 0_u32.wrapping_sub(60 * TICKS_PER_SECOND),
            endpoints: BTreeMap::new(),
            policy: Policy::RoundRobin,
            updated: false,
            refused: false,
            changed: true,
            published: 0,
            table: Err(Pick::Queue),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Update(list) => self.update(list),
            Step::Policy(policy) => {
                self.controller.set_policy(*policy);
                self.changed |= self.policy != *policy;
                self.policy = *policy;
            }
            Step::State(id, state) => self.set_state(*id, *state),
            Step::Health(id, health) => {
                let Some(known) = self.endpoints.get_mut(id) else { return };
                self.controller.set_health(known.handle, *health).expect("it has a slot");
                self.changed |= known.listed && known.health != *health;
                known.health = *health;
            }
            Step::Wait(ticks) => self.now = self.now.wrapping_add(*ticks),
            Step::Poll(false) => drop(self.poll()),
            Step::Poll(true) => while self.poll() {},
            Step::Start => self.start(),
            Step::Finish(which) => self.finish(*which),
        }
    }

    fn update(&mut self, list: &[(u64, u32, u32)]) {
        // The first entry of an identity counts.
        let mut wanted: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for &(id, weight, priority) in list {
            wanted.entry(id).or_insert((weight, priority));
        }
        let new = wanted.keys().filter(|&id| !self.endpoints.contains_key(id)).count() as u32;
        let free = CAPACITY - self.endpoints.len() as u32;
        let endpoints: Vec<Endpoint> = list.iter().map(|&entry| endpoint(entry)).collect();
        let answer = self.controller.update(&endpoints);
        if new > free {
            let Err(UpdateError::Full { needed, free: said }) = answer else {
                panic!("{answer:?} to {new} new")
            };
            assert!(said == free && needed >= new, "needed {needed}, free {said}");
            self.refused = true;
            return;
        }
        let mut expected = Changes::default();
        for (id, known) in &mut self.endpoints {
            match (known.listed, wanted.contains_key(id)) {
                (true, true) => expected.kept += 1,
                (true, false) => expected.removed += 1,
                (false, true) => expected.returned += 1,
                (false, false) => {}
            }
            known.listed = wanted.contains_key(id);
        }
        expected.added = new;
        assert_eq!(answer, Ok(expected));
        self.changed |= !self.updated || expected.added + expected.removed + expected.returned > 0;
        self.updated = true;
        for (&id, &(weight, priority)) in &wanted {
            let handle = self.controller.handle(EndpointId::from_raw(id.into())).expect("it was taken in");
            let known = self.endpoints.entry(id).or_insert(Known {
                handle,
                weight,
                priority,
                state: Connectivity::Idle,
                health: Health::Unknown,
                failed: false,
                outdated: false,
                connected: false,
                dialled: false,
                listed: true,
                calls: 0,
                ok: 0,
            });
            self.changed |= (known.weight, known.priority) != (weight, priority);
            (known.weight, known.priority) = (weight, priority);
        }
    }

    fn set_state(&mut self, id: u64, state: Connectivity) {
        let Some(known) = self.endpoints.get_mut(&id) else { return };
        self.controller.set_connectivity(known.handle, state).expect("it has a slot");
        self.changed |= known.listed && known.state != state;
        if matches!(state, Connectivity::Ready | Connectivity::TransientFailure) {
            (known.failed, known.outdated) = (state == Connectivity::TransientFailure, false);
        }
        match state {
            Connectivity::Connecting | Connectivity::Ready => (known.connected, known.dialled) = (true, true),
            Connectivity::Idle => known.dialled = false,
            _ => {}
        }
        known.state = state;
    }

    /// Calls poll once; false if it had nothing.
    fn poll(&mut self) -> bool {
        let action = self.controller.poll(self.now);
        self.see_who_was_let_go();
        if self.changed {
            self.changed = false;
            self.published += 1;
            self.table = self.compose();
        }
        match action {
            None => return false,
            Some(Action::Close { handle, user }) => {
                let known = self.endpoints.remove(&user).expect("closed once, and only what had a slot");
                assert_eq!(known.handle, handle);
                assert!(!known.listed && known.calls == 0, "closed in use: {known:?}");
                assert!(
                    self.controller.set_connectivity(handle, Connectivity::Ready).is_err(),
                    "the handle is stale"
                );
                assert!(self.balancer.counters(handle).is_none() && self.balancer.begin(handle, 0).is_err());
            }
            Some(Action::Connect { handle, user }) => {
                let tier = self.serving().map(|(_, known)| known.priority).min();
                let known = self.endpoints.get_mut(&user).expect("it has a slot");
                assert!(known.handle == handle && known.listed, "dialled: {known:?}");
                assert!(tier.is_none_or(|tier| tier >= known.priority), "a tier before it serves: {known:?}");
                (known.connected, known.dialled) = (true, true);
            }
            Some(Action::Disconnect { handle, user }) => {
                let known = self.endpoints.get_mut(&user).expect("it has a slot");
                assert!(known.handle == handle && known.listed, "disconnected: {known:?}");
                assert!(std::mem::take(&mut known.connected), "there was nothing to disconnect: {known:?}");
            }
            Some(Action::CancelCalls { handle, user }) => {
                let known = &self.endpoints[&user];
                assert!(known.handle == handle && !known.listed, "cancelled: {known:?}");
            }
            Some(Action::RoomAgain) => {
                assert!(std::mem::take(&mut self.refused), "nobody was refused");
                assert!(self.endpoints.len() < CAPACITY as usize, "there is no room");
            }
            Some(Action::StateChanged(state)) => assert_eq!(state, self.controller.connectivity()),
            Some(Action::Reresolve) => {}
            Some(other) => panic!("{other:?} was not due"),
        }
        true
    }

    /// Only behind a tier that serves is anybody let go: it counts as IDLE then, and as never dialled.
    fn see_who_was_let_go(&mut self) {
        let serves = self.serving().map(|(_, known)| known.priority).min();
        for known in self.endpoints.values_mut().filter(|known| known.listed) {
            let status = self.controller.status(known.handle).expect("it has a slot");
            if known.state != Connectivity::Idle && status.connectivity == Connectivity::Idle {
                assert!(serves.is_some_and(|tier| tier < known.priority), "let go: {known:?}");
                (known.state, known.dialled) = (Connectivity::Idle, false);
            }
            // Of a connection that nobody makes, an old failure says nothing; whether anybody is to make it depends on the
            // tiers before it, which `failover.rs` is about.
            known.outdated |= known.failed && !known.dialled;
        }
    }

    /// What a table says, straight from the rules.
    fn compose(&self) -> Result<BTreeMap<u64, u32>, Pick> {
        if !self.updated {
            return Err(Pick::Queue);
        }
        if self.candidates().next().is_none() {
            return Err(Pick::Fail(FailReason::NoEndpoints));
        }
        if let Some(tier) = self.serving().map(|(_, known)| known.priority).min() {
            let first = self.serving().filter(|(_, known)| known.priority == tier);
            return Ok(first.map(|(id, known)| (id, known.weight.max(1))).collect());
        }
        let rests = |known: &Known| matches!(known.state, Connectivity::Idle | Connectivity::Connecting);
        if self.candidates().any(|(_, known)| rests(known) && !known.failed) {
            return Err(Pick::Queue);
        }
        let maybe = self.candidates().any(|(_, known)| rests(known) && known.outdated);
        if maybe && self.controller.connectivity() == Connectivity::Connecting {
            return Err(Pick::Queue);
        }
        let connected = self.candidates().any(|(_, known)| known.state == Connectivity::Ready);
        Err(Pick::Fail(if connected { FailReason::NotServing } else { FailReason::AllFailing }))
    }

    /// In the list, and not draining by its weight.
    fn candidates(&self) -> impl Iterator<Item = (u64, &Known)> {
        let listed = || self.endpoints.iter().filter(|(_, known)| known.listed);
        let all_zero = listed().all(|(_, known)| known.weight == 0);
        listed().map(|(&id, known)| (id, known)).filter(move |(_, known)| all_zero || known.weight > 0)
    }

    /// Candidates that could take a call, whatever their priority.
    fn serving(&self) -> impl Iterator<Item = (u64, &Known)> {
        let serves = |known: &Known| known.state == Connectivity::Ready && known.health != Health::NotServing;
        self.candidates().filter(move |(_, known)| serves(known))
    }

    fn start(&mut self) {
        // A table may name endpoints that have left since, or are being closed; then `start` looks on.
        match self.balancer.start(&self.cursor, 0) {
            Start::Started(ticket) => {
                let id = ticket.user();
                assert!(
                    self.table.as_ref().is_ok_and(|rows| rows.contains_key(&id)),
                    "{id} is not in the table"
                );
                let known = self.endpoints.get_mut(&id).expect("a call is where an endpoint is");
                assert_eq!(known.handle, ticket.handle());
                known.calls += 1;
                self.tickets.push((id, ticket));
            }
            Start::Queue => assert!(
                self.table == Err(Pick::Queue)
                    || self.table.as_ref().is_ok_and(|rows| !self.all_listed(rows)),
                "queued beside {:?}",
                self.table
            ),
            Start::Fail(reason) => assert_eq!(self.table, Err(Pick::Fail(reason))),
            Start::Drop => panic!("nothing is ever dropped here"),
        }
    }

    fn all_listed(&self, rows: &BTreeMap<u64, u32>) -> bool {
        rows.keys().all(|id| self.endpoints.get(id).is_some_and(|known| known.listed))
    }

    fn finish(&mut self, which: usize) {
        if self.tickets.is_empty() {
            return;
        }
        let (id, ticket) = self.tickets.swap_remove(which % self.tickets.len());
        self.balancer.finish(ticket, Outcome::Success, 0);
        let known = self.endpoints.get_mut(&id).expect("a call pins its endpoint");
        known.calls -= 1;
        known.ok += 1;
    }

    /// Everything that can be seen is as the model says.
    fn compare(&self) {
        assert_eq!(
            self.balancer.published(),
            self.published,
            "a table for every change, and none without one"
        );
        for id in 0..IDS {
            let handle = self.controller.handle(EndpointId::from_raw(id.into()));
            let known = self.endpoints.get(&id);
            assert_eq!(handle, known.map(|known| known.handle), "endpoint {id} is where it was");
            let Some(known) = known else { continue };
            let status = self.controller.status(known.handle).expect("it has a slot");
            assert_eq!(
                (status.connectivity, status.health, status.weight, status.draining),
                (known.state, known.health, known.weight, !known.listed),
                "status of {id}"
            );
            assert_eq!(self.balancer.user(known.handle), Some(id));
            let counters = Counters { ok: known.ok, in_flight: known.calls, ..Counters::default() };
            assert_eq!(self.balancer.counters(known.handle), Some(counters), "calls of {id}");
        }
        self.compare_picks();
    }

    /// Twenty picks: of the table's rows and all of them, or what it says instead.
    fn compare_picks(&self) {
        let cursor = Cursor::at(7, 1);
        let picks: Vec<Pick> = (0..20).map(|_| self.balancer.pick(&cursor)).collect();
        let Ok(rows) = &self.table else {
            assert!(
                picks.iter().all(|pick| Err(pick) == self.table.as_ref().map(|_| ())),
                "{picks:?}, {:?}",
                self.table
            );
            return;
        };
        let picked: HashSet<Handle> = picks
            .iter()
            .map(|pick| match pick {
                Pick::Complete(handle) => *handle,
                other => panic!("{other:?} beside {rows:?}"),
            })
            .collect();
        // Rows of endpoints that have been closed since are stale handles; of the others each is known.
        let known: HashSet<Handle> =
            rows.keys().filter_map(|id| self.endpoints.get(id)).map(|known| known.handle).collect();
        if known.len() == rows.len() {
            assert!(picked.is_subset(&known), "{picked:?} of {known:?}");
            // Chance may leave one out in twenty; a turn does not, at weights up to 3.
            assert!(
                self.policy == Policy::PickRandom || self.changed || picked == known,
                "{picked:?} of {known:?}"
            );
        }
    }

    /// Every call ends, everybody leaves: everything is closed, once.
    fn wind_up(mut self) {
        while !self.tickets.is_empty() {
            self.finish(0);
        }
        self.update(&[]);
        while self.poll() {}
        assert!(self.endpoints.is_empty(), "not closed: {:?}", self.endpoints);
        self.compare();
    }
}

fn endpoint((id, weight, priority): (u64, u32, u32)) -> Endpoint {
    let endpoint = Endpoint::new(EndpointId::from_raw(id.into())).with_user(id);
    endpoint.with_weight(weight).with_priority(priority)
}
