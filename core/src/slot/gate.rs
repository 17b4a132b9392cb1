//! The gate of a slot: `in_flight << 1 | CLOSED` in one word, and the orderings that make a drained slot
//! the controller's alone. Model-checked in `models/gate.rs`, each ordering with a control that
//! breaks it.
//!
//! - `begin` adds first and looks afterwards, so that no call can slip in between a look and an add.
//! - `finish` releases what the call wrote; `drained` acquires it: what the controller does with a drained
//!   slot comes after everything its calls did.
//! - `open` releases the new owner's data; `begin` acquires it.
//! - `close` comes after the publication of a table without the slot, so a `begin` that meets a closed gate
//!   can see that table: picking again makes progress.

use super::Slot;
use crate::handle::BeginError;
use crate::sync::{
    AtomicU32,
    Ordering::{self, Acquire, Relaxed, Release},
};

const CLOSED: u32 = 1;
const ONE: u32 = 2;

/// The choices the protocol rests on. The provided ones are right; models override one at a time to show
/// that each is needed.
pub trait Orders {
    /// Of the add in `begin`.
    const BEGIN: Ordering = Acquire;
    /// Of the subtraction in `finish`.
    const FINISH: Ordering = Release;
    /// Of the load in `drained`.
    const DRAINED: Ordering = Acquire;
    /// Of closing.
    const CLOSE: Ordering = Release;
    /// Of opening.
    const OPEN: Ordering = Release;
    /// Whether `begin` compares generations, and when.
    const GENERATION: GenerationCheck = GenerationCheck::AfterAdd;
    /// Whether `begin` looks at CLOSED.
    const CHECK_CLOSED: bool = true;
    /// Whether opening keeps the count (read-modify-write) or overwrites it.
    const OPEN_KEEPS_COUNT: bool = true;
    /// Whether a `begin` that is undone reports that it was the last one out.
    const UNDO_REPORTS: bool = true;
}

/// When `begin` compares the handle's generation with the slot's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GenerationCheck {
    /// Once the count holds the slot in place: right.
    AfterAdd,
    /// Before it does: wrong, the slot may change hands in between.
    BeforeAdd,
    /// Not at all: wrong.
    #[cfg(all(test, loom))]
    Never,
}

/// The protocol as it is used.
pub(crate) struct Sound;
impl Orders for Sound {}

/// What `begin` answers, and whether the undone begin was the last one out of a closed slot.
pub(crate) struct Refused {
    pub(crate) error: BeginError,
    pub(crate) last_out: bool,
}

/// Counts a call in, if the slot is open, still of this generation, and has fewer than `limit` calls.
pub(crate) fn begin<O: Orders>(slot: Slot<'_>, generation: u32, limit: u32) -> Result<(), Refused> {
    if O::GENERATION == GenerationCheck::BeforeAdd && slot.generation().load(Acquire) != generation {
        return Err(Refused { error: BeginError::Stale, last_out: false });
    }
    let old = slot.gate().fetch_add(ONE, O::BEGIN);
    let stale = (O::CHECK_CLOSED && old & CLOSED != 0)
        || (O::GENERATION == GenerationCheck::AfterAdd && slot.generation().load(Relaxed) != generation);
    let error = if stale {
        BeginError::Stale
    } else if old >> 1 >= limit {
        BeginError::Full
    } else {
        return Ok(());
    };
    // Nothing was written that anyone must see: Relaxed is enough to undo.
    let last_out = leave(slot.gate(), Relaxed) && O::UNDO_REPORTS;
    Err(Refused { error, last_out })
}

/// Counts a call out. True if it was the last one of a closed slot: the controller must hear of it.
#[must_use]
pub(crate) fn finish<O: Orders>(gate: &AtomicU32) -> bool {
    leave(gate, O::FINISH)
}

/// Refuses new calls. Only after a table without the slot has been published.
pub(crate) fn close<O: Orders>(gate: &AtomicU32) {
    gate.fetch_or(CLOSED, O::CLOSE);
}

/// Lets calls in: for a new owner once its data is written, or again for one that returned while draining.
/// Before the slot is published.
pub(crate) fn open<O: Orders>(gate: &AtomicU32) {
    if O::OPEN_KEEPS_COUNT {
        gate.fetch_and(!CLOSED, O::OPEN);
    } else {
        gate.store(0, O::OPEN);
    }
}

/// Whether the slot is closed and its last call is out: then the controller alone owns it.
pub(crate) fn drained<O: Orders>(gate: &AtomicU32) -> bool {
    gate.load(O::DRAINED) == CLOSED
}

/// How many calls are in flight, as far as can be seen now.
pub(crate) fn in_flight(gate: &AtomicU32) -> u32 {
    gate.load(Relaxed) >> 1
}

fn leave(gate: &AtomicU32, order: Ordering) -> bool {
    gate.fetch_sub(ONE, order) == (ONE | CLOSED)
}
