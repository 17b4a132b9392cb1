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

    /// How often the slot was given to an endpoint. Written only while the gate is closed and drained.
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

    /// Sets the host's value; the gate must be closed and drained.
    pub(crate) fn set_user(self, user: u64) {
        self.words[USER].store(user as u32, Relaxed);
        self.words[USER + 1].store((user >> 32) as u32, Relaxed);
    }
}
