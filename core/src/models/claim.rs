//! One controller at a time, and a new one that goes on where the former left.

use super::{PREEMPTIONS, breaks, holds};
use crate::controller::claim::{self, Orders, Sound};
use crate::layout::{Limits, Options, words};
use crate::publish::state_word;
use crate::sync::{
    AtomicU32,
    Ordering::{self, AcqRel, Relaxed},
};
use crate::{
    Action, Balancer, ClaimError, Connectivity, Controller, Cursor, Endpoint, EndpointId, Member, Outcome,
    Pick, Policy, Start,
};
use loom::thread;
use std::sync::Arc;
use std::vec::Vec;

struct Shared {
    claim: AtomicU32,
    state: AtomicU32,
    controllers: std::sync::atomic::AtomicU32,
}

/// Claims, publishes once, gives back; true if the claim was free.
fn rule<O: Orders>(shared: &Shared) -> bool {
    if !claim::take::<O>(&shared.claim) {
        return false;
    }
    let others = shared.controllers.fetch_add(1, AcqRel);
    assert_eq!(others, 0, "two controllers at once");
    let k = state_word::current(&shared.state);
    thread::yield_now();
    state_word::write::<state_word::Sound>(&shared.state, k, |_| {});
    shared.controllers.fetch_sub(1, AcqRel);
    claim::give_back::<O>(&shared.claim);
    true
}

fn model<O: Orders + 'static>() {
    let shared = loom::sync::Arc::new(Shared {
        claim: AtomicU32::new(0),
        state: AtomicU32::new(0),
        controllers: std::sync::atomic::AtomicU32::new(0),
    });
    let theirs = shared.clone();
    let thread = thread::spawn(move || rule::<O>(&theirs));
    let ours = rule::<O>(&shared);
    let theirs = thread.join().unwrap();
    let published = state_word::published(&shared.state);
    assert_eq!(published, u32::from(ours) + u32::from(theirs), "a table number was used twice");
}

#[test]
fn one_controller_at_a_time_and_tables_count_on() {
    holds(PREEMPTIONS, model::<Sound>);
}

#[test]
fn needs_one_swap() {
    struct LookAndStore;
    impl Orders for LookAndStore {
        const SWAPS: bool = false;
    }
    breaks("two controllers at once", model::<LookAndStore>);
}

#[test]
fn needs_the_claim_acquired() {
    struct RelaxedTake;
    impl Orders for RelaxedTake {
        const TAKE: Ordering = Relaxed;
    }
    breaks("a table number was used twice", model::<RelaxedTake>);
}

#[test]
fn needs_the_claim_given_back_released() {
    struct RelaxedGiveBack;
    impl Orders for RelaxedGiveBack {
        const GIVE_BACK: Ordering = Relaxed;
    }
    breaks("a table number was used twice", model::<RelaxedGiveBack>);
}

const LIMITS: Limits = Limits::new(2).with_schedule(4);

fn controller(
    memory: &Arc<[AtomicU32]>,
    seize: bool,
) -> Result<Controller<Arc<[AtomicU32]>, Vec<Member>>, ClaimError> {
    let members = std::vec![Member::EMPTY; 2];
    match seize {
        false => Controller::claim(memory.clone(), members, LIMITS, Options::default()),
        true => Controller::seize(memory.clone(), members, LIMITS, Options::default()),
    }
}

/// Endpoints 1 and 2 of these weights, READY and published.
fn ready(controller: &mut Controller<Arc<[AtomicU32]>, Vec<Member>>, users: u64, weights: [u32; 2]) {
    controller.set_policy(Policy::WeightedRoundRobin);
    let endpoint = |id: u64, weight| {
        Endpoint::new(EndpointId::from_raw(id.into())).with_user(users + id).with_weight(weight)
    };
    controller.update(&[endpoint(1, weights[0]), endpoint(2, weights[1])]).unwrap();
    for id in [1, 2] {
        let handle = controller.handle(EndpointId::from_raw(id)).unwrap();
        controller.set_connectivity(handle, Connectivity::Ready).unwrap();
    }
    while controller.poll(0).is_some() {}
}

fn memory() -> Arc<[AtomicU32]> {
    (0..words(&LIMITS)).map(|_| AtomicU32::new(0)).collect()
}

/// Two threads claim the same memory, with all that a controller does then: one of them gets it.
#[test]
fn the_whole_claim_goes_to_one() {
    // Whole controllers take many steps; the word itself is explored further above.
    holds(1, || {
        let memory = memory();
        let theirs = memory.clone();
        let thread = thread::spawn(move || controller(&theirs, false));
        let ours = controller(&memory, false);
        let theirs = thread.join().unwrap();
        assert!(ours.is_ok() != theirs.is_ok(), "one controller");
        assert!(matches!(ours.as_ref().err().or(theirs.as_ref().err()), Some(ClaimError::Claimed)));
    });
}

/// A controller dies; another seizes the memory while a call of the former's endpoints begins and ends. The call is counted out, its
/// endpoint is closed once, with the former's `user`.
#[test]
fn a_call_outlives_its_controller() {
    // As above: two preemptions are one in the call and one in the seizure.
    holds(2, || {
        let memory = memory();
        let mut former = controller(&memory, false).unwrap();
        ready(&mut former, 100, [1, 1]);
        core::mem::forget(former);
        let balancer = Balancer::new(memory.clone(), &LIMITS).unwrap();
        let thread = thread::spawn(move || {
            if let Start::Started(ticket) = balancer.start(&Cursor::at(0, 1), 0) {
                // The second one if the first was closed already and the second not yet.
                assert!([101, 102].contains(&ticket.user()), "an endpoint of the former controller");
                balancer.finish(ticket, Outcome::Success, 1);
            }
        });
        let mut new = controller(&memory, true).unwrap();
        let mut closed = drain(&mut new);
        thread.join().unwrap();
        closed.extend(drain(&mut new));
        closed.sort_unstable();
        assert_eq!(closed, [101, 102], "each endpoint of the former controller is closed once");
    });
}

fn drain(controller: &mut Controller<Arc<[AtomicU32]>, Vec<Member>>) -> Vec<u64> {
    let mut closed = Vec::new();
    while let Some(action) = controller.poll(0) {
        if let Action::Close { user, .. } = action {
            closed.push(user);
        }
    }
    closed
}

/// A reader in the middle of the dead controller's table, which goes by a schedule, while the new one builds another schedule:
/// what is picked is what one of the two tables says.
#[test]
fn a_pick_outlives_its_controller() {
    // One preemption, in the pick or in the controller, whose many steps more would take minutes; `models/publish.rs` explores
    // the same hand-over in few steps.
    holds(1, || {
        let memory = memory();
        let mut former = controller(&memory, false).unwrap();
        // 3:1 is 1 1 2 1: step 2 is endpoint 2's, in slot 1.
        ready(&mut former, 0, [3, 1]);
        let second = former.handle(EndpointId::from_raw(2)).unwrap();
        core::mem::forget(former);
        let balancer = Balancer::new(memory.clone(), &LIMITS).unwrap();
        let thread = thread::spawn(move || balancer.pick(&Cursor::at(2, 1)));
        let mut new = controller(&memory, true).unwrap();
        new.set_policy(Policy::WeightedRoundRobin);
        while new.poll(0).is_some() {}
        ready(&mut new, 0, [1, 3]);
        // 1:3 begins 2 1 2 2: step 2 is endpoint 2's as well, under a new handle.
        let newer = new.handle(EndpointId::from_raw(2)).unwrap();
        let picked = thread.join().unwrap();
        let right = [Pick::Complete(second), Pick::Queue, Pick::Complete(newer)];
        assert!(right.contains(&picked), "{picked:?} is none of {right:?}");
    });
}
