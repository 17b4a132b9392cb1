//! A cursor that threads share, one step or a block at a time: every step is taken once.

use super::{PREEMPTIONS, breaks, holds};
use crate::pick::cursor::sealed::Draws;
use crate::pick::cursor::{CLAIM, ClaimedCursor, Orders, SharedCursor, Sound};
use crate::sync::AtomicU32;
use loom::{sync::Arc, thread};
use std::vec::Vec;

/// Each of two threads takes two blocks of steps.
fn blocks<O: Orders + 'static>() {
    let cursor = Arc::new(SharedCursor::seeded(1));
    let seeds = Arc::new(AtomicU32::new(0));
    let take = |cursor: Arc<SharedCursor>, seeds: Arc<AtomicU32>| {
        [0, 1].map(|_| cursor.take::<O>(CLAIM, &seeds).count)
    };
    let (theirs, their_seeds) = (cursor.clone(), seeds.clone());
    let thread = thread::spawn(move || take(theirs, their_seeds));
    let mut firsts: Vec<u32> = take(cursor, seeds).into();
    firsts.extend(thread.join().unwrap());
    firsts.sort_unstable();
    assert!(firsts.windows(2).all(|pair| pair[1] - pair[0] == CLAIM), "steps were taken twice");
}

#[test]
fn blocks_are_taken_once() {
    holds(PREEMPTIONS, blocks::<Sound>);
}

#[test]
fn needs_one_addition() {
    struct LoadAndStore;
    impl Orders for LoadAndStore {
        const ADDS: bool = false;
    }
    breaks("steps were taken twice", blocks::<LoadAndStore>);
}

#[test]
fn claimed_cursors_take_every_step_once() {
    holds(PREEMPTIONS, || {
        let shared = Arc::new(SharedCursor::seeded(1));
        let seeds = Arc::new(AtomicU32::new(0));
        let draw = |shared: &SharedCursor, seeds: &AtomicU32| -> Vec<u32> {
            let cursor = ClaimedCursor::new(shared);
            (0..CLAIM + 1).map(|_| cursor.step(seeds)).collect()
        };
        let (theirs, their_seeds) = (shared.clone(), seeds.clone());
        let thread = thread::spawn(move || draw(&theirs, &their_seeds));
        let mut steps = draw(&shared, &seeds);
        steps.extend(thread.join().unwrap());
        steps.sort_unstable();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "steps were taken twice");
        let claimed = 4 * CLAIM;
        assert!(steps[steps.len() - 1] - steps[0] < claimed, "steps were left out beyond what is claimed");
    });
}

/// A cursor without an offset gets one, by whichever thread is first or by both: no step is taken twice.
#[test]
fn an_offset_may_be_given_twice() {
    holds(PREEMPTIONS, || {
        let cursor = Arc::new(SharedCursor::new());
        let seeds = Arc::new(AtomicU32::new(7));
        let (theirs, their_seeds) = (cursor.clone(), seeds.clone());
        let thread = thread::spawn(move || theirs.take::<Sound>(1, &their_seeds));
        let ours = cursor.take::<Sound>(1, &seeds);
        let theirs = thread.join().unwrap();
        assert_ne!(ours.count, theirs.count, "steps were taken twice");
        assert!(ours.key != 0 && theirs.key != 0, "a key is missing");
    });
}
