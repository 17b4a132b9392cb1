//! The gate of a slot: calls that begin and end against a controller that closes, reuses and reopens.

use super::{PREEMPTIONS, breaks, holds};
use crate::layout::{Layout, Limits, Options, words};
use crate::slot::counters::{self, Outcome};
use crate::slot::gate::{self, GenerationCheck, Orders, Sound};
use crate::slot::{Slot, attention};
use crate::sync::{
    AtomicU32,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release},
};
use crate::{Action, Connectivity, Controller, Cursor, Endpoint, EndpointId, Member, Start};
use loom::thread;
use std::sync::Arc;
use std::vec::Vec;

const LIMITS: Limits = Limits::new(1);
// The published table, in one word: the endpoint of generation 1, nobody, the endpoint of generation 2.
const FIRST: u32 = 0;
const NOBODY: u32 = 1;
const SECOND: u32 = 2;

/// One slot that changes hands, and what the models watch it by.
struct Scene {
    memory: Vec<AtomicU32>,
    table: AtomicU32,
    /// Calls that the first endpoint has had. Not loom's: always up to date.
    calls: std::sync::atomic::AtomicU32,
}

impl Scene {
    fn new() -> Arc<Self> {
        let scene = Self {
            memory: (0..words(&LIMITS)).map(|_| AtomicU32::new(0)).collect(),
            table: AtomicU32::new(FIRST),
            calls: std::sync::atomic::AtomicU32::new(0),
        };
        scene.slot().retire();
        scene.slot().give_to(1);
        Arc::new(scene)
    }

    fn slot(&self) -> Slot<'_> {
        Slot::at(&self.memory, &Layout::of(&LIMITS), 0).unwrap()
    }

    fn raise(&self) {
        attention::raise::<attention::Sound>(&self.memory, &Layout::of(&LIMITS), 0);
    }

    /// A call: pick from the table, begin, end.
    fn call<O: Orders>(&self) {
        let table = self.table.load(Acquire);
        if table == NOBODY {
            return;
        }
        let generation = if table == FIRST { 1 } else { 2 };
        match gate::begin::<O>(self.slot(), generation, u32::MAX) {
            Ok(()) => {
                // A read-modify-write sees the latest value: the ticket must hold the slot in its place.
                let latest = self.slot().generation().fetch_add(0, AcqRel);
                assert_eq!(latest, generation, "the ticket landed on a newcomer");
                assert_eq!(self.slot().user(), u64::from(generation), "the ticket has another's user");
                counters::count(self.slot(), Outcome::Success);
                if generation == 1 {
                    self.calls.fetch_add(1, Relaxed);
                }
                if gate::finish::<O>(self.slot().gate()) {
                    self.raise();
                }
            }
            Err(refused) => {
                if refused.last_out {
                    self.raise();
                }
                assert!(self.table.load(Relaxed) > table, "stale without a newer table");
            }
        }
    }

    /// The controller takes the first endpoint out and, if it has drained by now, gives its slot to the second. True if so.
    fn replace<O: Orders>(&self, close_first: bool) -> bool {
        let slot = self.slot();
        if close_first {
            gate::close::<O>(slot.gate());
            self.table.store(NOBODY, Release);
        } else {
            self.table.store(NOBODY, Release);
            gate::close::<O>(slot.gate());
        }
        if !gate::drained::<O>(slot.gate()) {
            return false;
        }
        assert_eq!(counters::read(slot).ok, self.calls.load(Relaxed), "drained before its calls were over");
        slot.retire();
        slot.give_to(2);
        gate::open::<O>(slot.gate());
        self.table.store(SECOND, Release);
        true
    }
}

fn model<O: Orders + 'static>(close_first: bool) {
    let scene = Scene::new();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let scene = scene.clone();
            thread::spawn(move || scene.call::<O>())
        })
        .collect();
    let drained = scene.replace::<O>(close_first);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(gate::in_flight(scene.slot().gate()), 0, "the count leaked");
    assert!(drained || attention::is_raised(&scene.memory), "drained unnoticed");
}

#[test]
fn a_slot_changes_hands_only_when_it_has_drained() {
    holds(PREEMPTIONS, || model::<Sound>(false));
}

/// Declares a control: the protocol with one choice changed, and the failure that follows.
macro_rules! control {
    ($name:ident, $control:ident, $choice:ident: $type:ty = $value:expr, $message:literal) => {
        #[test]
        fn $name() {
            struct $control;
            impl Orders for $control {
                const $choice: $type = $value;
            }
            breaks($message, || model::<$control>(false));
        }
    };
}

control!(needs_finish_released, RelaxedFinish, FINISH: Ordering = Relaxed, "drained before its calls were over");
control!(needs_drained_acquired, RelaxedDrained, DRAINED: Ordering = Relaxed, "drained before its calls were over");
control!(needs_begin_acquired, RelaxedBegin, BEGIN: Ordering = Relaxed, "landed on a newcomer");
control!(needs_open_released, RelaxedOpen, OPEN: Ordering = Relaxed, "landed on a newcomer");
control!(needs_close_released, RelaxedClose, CLOSE: Ordering = Relaxed, "stale without a newer table");
control!(needs_the_generation, NoGeneration, GENERATION: GenerationCheck = GenerationCheck::Never, "landed on a newcomer");
control!(
    needs_the_generation_after_the_add,
    EarlyGeneration,
    GENERATION: GenerationCheck = GenerationCheck::BeforeAdd,
    "landed on a newcomer"
);
control!(needs_a_look_at_closed, NoClosed, CHECK_CLOSED: bool = false, "landed on a newcomer");
control!(needs_opening_to_keep_the_count, StoreOpen, OPEN_KEEPS_COUNT: bool = false, "the count leaked");
control!(needs_an_undone_begin_to_report, SilentUndo, UNDO_REPORTS: bool = false, "drained unnoticed");

#[test]
fn needs_publishing_before_closing() {
    breaks("stale without a newer table", || model::<Sound>(true));
}

/// The endpoint leaves and returns while its last call is ending, and leaves again.
fn resurrection<O: Orders + 'static>() {
    let scene = Scene::new();
    assert!(gate::begin::<O>(scene.slot(), 1, u32::MAX).is_ok());
    let caller = scene.clone();
    let thread = thread::spawn(move || {
        if gate::finish::<O>(caller.slot().gate()) {
            caller.raise();
        }
    });
    let slot = scene.slot();
    gate::close::<O>(slot.gate());
    // It is back. Should the call have been the last one out in between, the attention it raises means nothing now.
    gate::open::<O>(slot.gate());
    attention::take::<attention::Sound>(&scene.memory, &Layout::of(&LIMITS), |_| {});
    gate::close::<O>(slot.gate());
    let drained = gate::drained::<O>(slot.gate());
    thread.join().unwrap();
    assert_eq!(gate::in_flight(slot.gate()), 0, "the count leaked");
    assert!(drained || attention::is_raised(&scene.memory), "drained unnoticed");
}

#[test]
fn an_endpoint_returns_against_its_last_finish() {
    holds(PREEMPTIONS, resurrection::<Sound>);
}

#[test]
fn returning_needs_the_count_kept() {
    struct StoreOpen;
    impl Orders for StoreOpen {
        const OPEN_KEEPS_COUNT: bool = false;
    }
    breaks("the count leaked", resurrection::<StoreOpen>);
}

/// The same with the whole controller and balancer: whatever the order, the endpoint is closed once, after its call.
#[test]
fn a_whole_controller_returns_an_endpoint_against_its_last_finish() {
    // Two preemptions: the controller takes many steps, the call three; one preemption parts it from each of them.
    holds(2, || {
        let memory: Arc<[AtomicU32]> = (0..words(&LIMITS)).map(|_| AtomicU32::new(0)).collect();
        let mut controller =
            Controller::claim(memory, std::vec![Member::EMPTY; 1], LIMITS, Options::default()).unwrap();
        let list = [Endpoint::new(EndpointId::from_raw(1)).with_user(1)];
        controller.update(&list).unwrap();
        let handle = controller.handle(list[0].id).unwrap();
        controller.set_connectivity(handle, Connectivity::Ready).unwrap();
        while controller.poll(0).is_some() {}
        let balancer = controller.balancer();
        let Start::Started(ticket) = balancer.start(&Cursor::at(0, 1), 0) else { panic!("READY") };
        let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let theirs = over.clone();
        let thread = thread::spawn(move || {
            theirs.store(true, Relaxed);
            balancer.finish(ticket, Outcome::Success, 1);
        });
        let mut closed = 0;
        let mut poll = |controller: &mut Controller<_, _>| {
            while let Some(action) = controller.poll(0) {
                if let Action::Close { user, .. } = action {
                    assert!(user == 1 && over.load(Relaxed), "closed under a call");
                    closed += 1;
                }
            }
        };
        controller.update(&[]).unwrap();
        poll(&mut controller);
        let back = controller.update(&list).unwrap();
        poll(&mut controller);
        controller.update(&[]).unwrap();
        poll(&mut controller);
        thread.join().unwrap();
        poll(&mut controller);
        assert_eq!(closed, 1 + back.added, "closed once for every time it came");
    });
}
