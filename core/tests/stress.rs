//! Threads that call against a controller that replaces endpoints: a second of what the models explore step by step.
#![cfg(not(loom))]

use evener_core::{
    Action, Balancer, Connectivity, Controller, Cursor, Endpoint, EndpointId, Limits, Member, Options,
    Outcome, Policy, Start, Ticket, sync::AtomicU32, words,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LIMITS: Limits = Limits::new(16).with_schedule(64);
const LENGTH: Duration = Duration::from_millis(1500);
const CALLERS: u64 = 3;
/// More than a test comes to, and the end of it if not.
const IDENTITIES: u64 = 1 << 18;
const POLICIES: [Policy; 3] = [Policy::RoundRobin, Policy::WeightedRoundRobin, Policy::PickRandom];

type Memory = Arc<[AtomicU32]>;

/// What the callers and the controller share besides the balancer, by identity.
struct Arena {
    over: AtomicBool,
    /// Which endpoint the host's memory belongs to; 0 when it is free.
    owners: Vec<AtomicU64>,
    /// Calls that ended on the endpoint.
    ended: Vec<AtomicU64>,
}

impl Arena {
    fn new() -> Self {
        let zeros = || (0..IDENTITIES).map(|_| AtomicU64::new(0)).collect();
        Self { over: AtomicBool::new(false), owners: zeros(), ended: zeros() }
    }

    fn owner(&self, id: u64) -> &AtomicU64 {
        &self.owners[id as usize]
    }

    fn ended(&self, id: u64) -> &AtomicU64 {
        &self.ended[id as usize]
    }
}

#[test]
fn calls_land_where_their_ticket_says_and_every_one_is_counted() {
    let memory: Memory = (0..words(&LIMITS)).map(|_| AtomicU32::new(0)).collect();
    let members = vec![Member::EMPTY; LIMITS.endpoints as usize];
    let controller = Controller::claim(memory, members, LIMITS, Options::default()).unwrap();
    let arena = Arena::new();
    let mut host = Host { controller, next: 1, list: Vec::new(), closed: 0 };
    host.replace(&arena);
    let balancer = host.controller.balancer();
    std::thread::scope(|scope| {
        for seed in 0..CALLERS {
            let (arena, balancer) = (&arena, balancer.clone());
            scope.spawn(move || call(arena, &balancer, seed));
        }
        let end = Instant::now() + LENGTH;
        let mut rounds = 0;
        while Instant::now() < end && host.next < IDENTITIES {
            host.controller.set_policy(POLICIES[rounds % POLICIES.len()]);
            host.replace(&arena);
            rounds += 1;
        }
        arena.over.store(true, Ordering::Relaxed);
        assert!(rounds > 100, "the controller was busy: {rounds}");
    });
    let mut calls = 0;
    for endpoint in &host.list {
        let counters = balancer.counters(host.controller.handle(endpoint.id).unwrap()).unwrap();
        let ended = arena.ended(endpoint.user).load(Ordering::Relaxed);
        assert_eq!(
            (u64::from(counters.ok), counters.in_flight),
            (ended, 0),
            "every call was counted where it ran"
        );
        calls += ended;
    }
    assert!(calls > 0, "there were calls");
    host.list.clear();
    host.apply(&arena);
    assert_eq!(host.closed + 1, host.next, "every endpoint was closed, once");
}

/// The controller and its host, which keeps eight endpoints and replaces one in each round.
struct Host {
    controller: Controller<Memory, Vec<Member>>,
    next: u64,
    list: Vec<Endpoint>,
    closed: u64,
}

impl Host {
    fn replace(&mut self, arena: &Arena) {
        if self.list.len() == 8 {
            self.list.remove(0);
        }
        let id = self.next;
        self.list.push(
            Endpoint::new(EndpointId::from_raw(id.into())).with_user(id).with_weight(1 + id as u32 % 5),
        );
        let before = arena.owner(id).swap(id, Ordering::Relaxed);
        assert_eq!(before, 0, "the host's memory was never freed");
        if self.controller.update(&self.list).is_ok() {
            arena.ended(id).store(0, Ordering::Relaxed);
            self.next += 1;
        } else {
            // No room while others drain: one leaves, none comes.
            arena.owner(id).store(0, Ordering::Relaxed);
            self.list.pop();
        }
        self.apply(arena);
    }

    fn apply(&mut self, arena: &Arena) {
        self.controller.update(&self.list).expect("nobody is new");
        while let Some(action) = self.controller.poll(0) {
            match action {
                Action::Connect { handle, .. } => {
                    self.controller.set_connectivity(handle, Connectivity::Ready).expect("it lives");
                }
                Action::Close { user, .. } => {
                    let owner = arena.owner(user).swap(0, Ordering::Relaxed);
                    assert_eq!(owner, user, "closed twice");
                    self.closed += 1;
                }
                _ => {}
            }
        }
    }
}

/// Begins calls, a few at a time, and ends them, until it is over; looks at what each ticket pins.
fn call(arena: &Arena, balancer: &Balancer<Memory>, seed: u64) {
    let cursor = Cursor::seeded(seed);
    while !arena.over.load(Ordering::Relaxed) {
        let tickets: Vec<Ticket> = (0..4)
            .filter_map(|_| match balancer.start(&cursor, 0) {
                Start::Started(ticket) => Some(ticket),
                _ => None,
            })
            .collect();
        for ticket in tickets {
            let user = ticket.user();
            assert_eq!(balancer.user(ticket.handle()), Some(user), "the slot has another's user");
            assert_eq!(
                arena.owner(user).load(Ordering::Relaxed),
                user,
                "the host's memory was freed under a call"
            );
            arena.ended(user).fetch_add(1, Ordering::Relaxed);
            balancer.finish(ticket, Outcome::Success, 1);
        }
    }
}
