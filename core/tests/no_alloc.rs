//! The core allocates nothing: here the allocator ends the process when it is called while a balancer works.
#![cfg(not(loom))]

use evener_core::{
    Connectivity, Controller, Cursor, Endpoint, EndpointId, Limits, Member, Options, Outcome, Policy,
    SharedCursor, Start, sync::AtomicU32, words,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;

struct Guarded;

thread_local! {
    /// What the allocator does when it is called from this thread: the test harness has one of its own, which may allocate.
    static GUARD: Cell<u32> = const { Cell::new(OFF) };
}
const OFF: u32 = 0;
/// It ends the process: an allocator must not unwind.
const ARMED: u32 = 1;
/// It counts down from here, to show that the guard sees calls.
const TRIAL: u32 = 1000;

fn guard() {
    match GUARD.get() {
        OFF => {}
        ARMED => {
            let _ = std::io::stderr().write_all(b"the core touched the allocator\n");
            std::process::abort();
        }
        left => GUARD.set(left - 1),
    }
}

// SAFETY: every call is handed to the system's allocator as it came, with the caller's promises.
unsafe impl GlobalAlloc for Guarded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        guard();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        guard();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Guarded = Guarded;

const LIMITS: Limits = Limits::new(64).with_schedule(256);
const ROUNDS: u32 = 100_000;
const POLICIES: [Policy; 4] =
    [Policy::WeightedRoundRobin, Policy::RoundRobin, Policy::PickRandom, Policy::PickFirst { shuffle: true }];

/// One test in this file, as the allocator is everybody's: updates, states, polls, calls and refusals under every policy.
#[test]
fn a_hundred_thousand_rounds_allocate_nothing() {
    let memory: Vec<AtomicU32> = (0..words(&LIMITS)).map(|_| AtomicU32::new(0)).collect();
    let mut members = vec![Member::EMPTY; 64];
    let endpoint = |id| Endpoint::new(EndpointId::from_raw(id)).with_user(id as u64);
    let mut list: Vec<Endpoint> = (0..8).map(|id| endpoint(id).with_priority(id as u32 / 3)).collect();
    let too_long: Vec<Endpoint> = (1000..1100).map(|id| Endpoint::new(EndpointId::from_raw(id))).collect();
    let (own, shared) = (Cursor::seeded(1), SharedCursor::seeded(2));
    let mut controller = Controller::claim(&memory[..], &mut members[..], LIMITS, Options::default())
        .expect("the memory is right");
    let balancer = controller.balancer();
    let (mut calls, mut refused) = (0_u32, 0_u32);

    GUARD.set(ARMED);
    for round in 0..ROUNDS {
        let place = round as usize % list.len();
        list[place].id = EndpointId::from_raw(u128::from(round) + 8);
        list[place].weight = round % 5;
        controller.set_policy(POLICIES[round as usize / 64 % POLICIES.len()]);
        let updated = controller.update(&list).is_ok();
        assert!(updated, "eight of 64 always fit");
        refused += u32::from(controller.update(&too_long).is_err());
        while controller.poll(round).is_some() {}
        for endpoint in &list {
            if let Some(handle) = controller.handle(endpoint.id) {
                let _ = controller.set_connectivity(handle, Connectivity::Ready);
            }
        }
        while controller.poll(round).is_some() {}
        let started =
            if round % 2 == 0 { balancer.start(&own, round) } else { balancer.start(&shared, round) };
        if let Start::Started(ticket) = started {
            balancer.finish(ticket, Outcome::Success, round + 1);
            calls += 1;
        }
    }
    GUARD.set(TRIAL);
    drop(std::hint::black_box(Box::new(1_u64)));
    let left = GUARD.replace(OFF);

    assert_eq!((calls, refused), (ROUNDS, ROUNDS), "every round did its work");
    assert_eq!(left, TRIAL - 2, "the guard sees an allocation and its end");
}
