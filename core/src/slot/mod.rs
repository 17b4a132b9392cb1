//! The shared memory of one endpoint: eight words that calls write and the controller reads.

pub(crate) mod attention;
pub(crate) mod counters;
pub(crate) mod gate;

use crate::layout::{Layout, SLOT_WORDS};
use crate::sync::{AtomicU32, Ordering::Relaxed};

const GATE: usize = 0;
const GENERATION: usize = 1;
const USER: usize = 2;
const COUNTERS: usize = 4;

/// A view of one slot's words.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    words: &'a [AtomicU32; SLOT_WORDS as usize],
}

impl<'a> Slot<'a> {
    /// The slot with this number, if there is one.
    pub(crate) fn at(words: &'a [AtomicU32], layout: &Layout, slot: u16) -> Option<Self> {
        if u32::from(slot) >= layout.endpoints {
            return None;
        }
        let start = (layout.slots + u32::from(slot) * SLOT_WORDS) as usize;
        words.get(start..)?.first_chunk().map(|words| Self { words })
    }

    /// How many calls are in flight, and whether new ones are refused.
    pub(crate) const fn gate(self) -> &'a AtomicU32 {
        &self.words[GATE]
    }

    /// The generation of whom the slot belongs to, or will: handles of any other are stale. Written only while the gate
    /// is closed and drained.
    pub(crate) const fn generation(self) -> &'a AtomicU32 {
        &self.words[GENERATION]
    }

    /// The wrapping counter of one kind of outcome.
    pub(crate) const fn counter(self, kind: counters::Kind) -> &'a AtomicU32 {
        &self.words[COUNTERS + kind as usize]
    }

    /// The host's value. Right only for whoever owns the slot or holds a ticket on it.
    pub(crate) fn user(self) -> u64 {
        let [low, high] = [self.words[USER].load(Relaxed), self.words[USER + 1].load(Relaxed)];
        u64::from(low) | u64::from(high) << 32
    }

    /// Prepares the slot for an endpoint; the gate must be closed and drained.
    pub(crate) fn give_to(self, user: u64) {
        self.set_user(user);
        counters::reset(self);
    }

    /// Makes the handles of the endpoint that lived here stale; the gate must be closed and drained.
    pub(crate) fn retire(self) {
        self.set_user(0);
        // 0 is nobody's, so that a zeroed handle is stale.
        let generation = self.generation().load(Relaxed).wrapping_add(1).max(1);
        self.generation().store(generation, Relaxed);
    }

    fn set_user(self, user: u64) {
        self.words[USER].store(user as u32, Relaxed);
        self.words[USER + 1].store((user >> 32) as u32, Relaxed);
    }
}
