//! The two roles over every kind of memory: borrowed, static, shared; and who may be the controller.

use std::sync::Arc;
use std::thread;

use evener_core::sync::AtomicU32;
use evener_core::{
    Action, Balancer, ClaimError, Connectivity, Controller, Cursor, Endpoint, EndpointId, Limits, Member,
    Memory, Options, Pick, words,
};

const LIMITS: Limits = Limits::new(4);
const WORDS: usize = words(&LIMITS);

fn connect_one<S, M>(controller: &mut Controller<S, M>)
where
    S: std::ops::Deref<Target = [AtomicU32]>,
    M: AsRef<[Member]> + AsMut<[Member]>,
{
    controller.update(&[Endpoint::new(EndpointId::from_raw(1))]).expect("room");
    while let Some(action) = controller.poll(0) {
        if let Action::Connect { handle, .. } = action {
            controller.set_connectivity(handle, Connectivity::Ready).expect("live");
        }
    }
}

fn picks<S: std::ops::Deref<Target = [AtomicU32]>>(balancer: &Balancer<S>) -> bool {
    matches!(balancer.pick(&Cursor::new()), Pick::Complete(_))
}

#[test]
fn memory_may_be_borrowed() {
    let mut memory = Memory::<4, WORDS>::new();
    let (mut controller, balancer) = memory.split(LIMITS, Options::default()).expect("fresh");
    connect_one(&mut controller);
    let copy = balancer;
    assert!(picks(&balancer) && picks(&copy));
    thread::scope(|scope| assert!(scope.spawn(|| picks(&balancer)).join().expect("no panic")));
}

#[test]
fn memory_may_be_static() {
    static SHARED: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];
    let words: &'static [AtomicU32] = &SHARED;
    let members = [Member::EMPTY; 4];
    let mut controller = Controller::claim(words, members, LIMITS, Options::default()).expect("fresh");
    connect_one(&mut controller);
    let balancer: Balancer<&'static [AtomicU32]> = controller.balancer();
    assert!(thread::spawn(move || picks(&balancer)).join().expect("no panic"));
}

#[test]
fn memory_may_be_reference_counted() {
    let words: Arc<[AtomicU32]> = (0..WORDS).map(|_| AtomicU32::new(0)).collect();
    let members = vec![Member::EMPTY; 4];
    let mut controller = Controller::claim(words, members, LIMITS, Options::default()).expect("fresh");
    connect_one(&mut controller);
    let balancer = controller.balancer();
    let elsewhere = balancer.clone();
    assert!(thread::spawn(move || picks(&elsewhere)).join().expect("no panic"));
    drop(controller);
    assert!(picks(&balancer), "picks go on without a controller");
}

#[test]
fn there_is_one_controller_at_a_time() {
    let shared: Vec<AtomicU32> = (0..WORDS).map(|_| AtomicU32::new(0)).collect();
    let claim = || Controller::claim(&shared[..], [Member::EMPTY; 4], LIMITS, Options::default());
    let first = claim().expect("fresh");
    assert_eq!(claim().err(), Some(ClaimError::Claimed));
    drop(first);
    let second = claim().expect("given back");
    // It died without giving the memory back.
    std::mem::forget(second);
    assert_eq!(claim().err(), Some(ClaimError::Claimed));
    let seized = Controller::seize(&shared[..], [Member::EMPTY; 4], LIMITS, Options::default());
    connect_one(&mut seized.expect("the former one is dead"));
}

#[test]
fn memory_that_does_not_fit_is_refused() {
    let shared: Vec<AtomicU32> = (0..WORDS).map(|_| AtomicU32::new(0)).collect();
    let claim = |words: usize, members: usize, limits: Limits| {
        let memory =
            Controller::claim(&shared[..words], vec![Member::EMPTY; members], limits, Options::default());
        memory.err()
    };
    assert_eq!(claim(WORDS - 1, 4, LIMITS), Some(ClaimError::TooSmall { needed: WORDS }));
    assert_eq!(claim(WORDS, 3, LIMITS), Some(ClaimError::TooFewMembers { needed: 4 }));
    assert_eq!(claim(WORDS, 4, Limits::new(0)), Some(ClaimError::Limits));
    assert_eq!(claim(WORDS, 4, Limits::new(65_535)), Some(ClaimError::Limits));
    assert_eq!(claim(WORDS, 4, LIMITS.with_schedule(65_537)), Some(ClaimError::Limits));
    assert_eq!(claim(WORDS, 4, LIMITS), None);
}
