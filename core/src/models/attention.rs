//! Attention: calls that end against the controller that looks. No wake may be lost.

use super::{PREEMPTIONS, breaks, holds};
use crate::layout::{Layout, Limits, words};
use crate::slot::attention::{self, Orders, Sound};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use std::sync::Arc;
use std::vec::Vec;

const LIMITS: Limits = Limits::new(2);

/// Two calls end, each in a slot of its own; the controller looks twice meanwhile, and once more when it is woken.
fn model<O: Orders + 'static>() {
    let layout = Layout::of(&LIMITS);
    let memory: Arc<[AtomicU32]> = (0..words(&LIMITS)).map(|_| AtomicU32::new(0)).collect();
    let over: Arc<[AtomicU32]> = (0..2).map(|_| AtomicU32::new(0)).collect();
    let threads: Vec<_> = (0..2_u16)
        .map(|slot| {
            let (memory, over) = (memory.clone(), over.clone());
            thread::spawn(move || {
                over[usize::from(slot)].store(1, Relaxed);
                attention::raise::<O>(&memory, &layout, slot);
            })
        })
        .collect();
    let mut seen = [false; 2];
    let mut look = || {
        if attention::is_raised(&memory) {
            attention::take::<O>(&memory, &layout, |slot| {
                seen[usize::from(slot)] |= over[usize::from(slot)].load(Relaxed) == 1;
            });
        }
    };
    look();
    look();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    look();
    assert_eq!(seen, [true; 2], "a wake was lost");
}

#[test]
fn no_wake_is_lost() {
    // Two preemptions: three threads; a lost wake needs one raiser in the middle of one look.
    holds(2, model::<Sound>);
    holds(PREEMPTIONS, || one_slot::<Sound>(1));
    holds(PREEMPTIONS, || one_slot::<Sound>(2));
}

/// Calls end in one slot, one after the other: a bit that is raised again while it is looked at.
fn one_slot<O: Orders + 'static>(calls: u32) {
    let layout = Layout::of(&LIMITS);
    let memory: Arc<[AtomicU32]> = (0..words(&LIMITS)).map(|_| AtomicU32::new(0)).collect();
    let over = Arc::new(AtomicU32::new(0));
    let (their_memory, theirs) = (memory.clone(), over.clone());
    let thread = thread::spawn(move || {
        for times in 1..=calls {
            theirs.store(times, Relaxed);
            attention::raise::<O>(&their_memory, &layout, 1);
        }
    });
    let mut seen = 0;
    let mut look = || {
        if attention::is_raised(&memory) {
            attention::take::<O>(&memory, &layout, |_| seen = over.load(Relaxed));
        }
    };
    look();
    thread.join().unwrap();
    look();
    assert_eq!(seen, calls, "a wake was lost");
}

#[test]
fn needs_clearing_before_looking() {
    struct LookFirst;
    impl Orders for LookFirst {
        const CLEAR_FIRST: bool = false;
    }
    breaks("a wake was lost", || one_slot::<LookFirst>(2));
}

#[test]
fn needs_the_bit_before_the_word() {
    struct WordFirst;
    impl Orders for WordFirst {
        const BIT_FIRST: bool = false;
    }
    breaks("a wake was lost", || one_slot::<WordFirst>(1));
}
