//! How calls tell the controller that it has something to look at: a bit per slot and one word that says
//! whether any bit is set. Model-checked in `models/attention.rs`, each order with a control that breaks it.
//!
//! A raiser sets its bit before the word. The controller clears the word before the bits, and a bit
//! before it looks at the slot: what is raised meanwhile is seen in this round or causes another one. The
//! other way round, a wake would be lost.

use crate::layout::{ATTENTION, Layout};
use crate::sync::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// The choices the protocol rests on. The provided ones are right; models override one at a time to show
/// that each is needed.
pub trait Orders {
    /// Whether a raiser sets the slot's bit before the word.
    const BIT_FIRST: bool = true;
    /// Whether the controller clears before it looks.
    const CLEAR_FIRST: bool = true;
}

/// The protocol as it is used.
pub(crate) struct Sound;
impl Orders for Sound {}

/// Asks for a look at `slot`. Any thread.
pub(crate) fn raise<O: Orders>(words: &[AtomicU32], layout: &Layout, slot: u16) {
    let (Some(word), Some(summary)) =
        (layout.attention(words).get(usize::from(slot) / 32), words.get(ATTENTION))
    else {
        return;
    };
    if O::BIT_FIRST {
        word.fetch_or(1 << (slot % 32), Release);
        summary.fetch_or(1, Release);
    } else {
        summary.fetch_or(1, Release);
        word.fetch_or(1 << (slot % 32), Release);
    }
}

/// Whether anything was raised since the last [`take`]. The controller.
pub(crate) fn is_raised(words: &[AtomicU32]) -> bool {
    words.get(ATTENTION).is_some_and(|summary| summary.load(Relaxed) != 0)
}

/// Clears everything that is raised and names each slot, after its bit is cleared. The controller.
pub(crate) fn take<O: Orders>(words: &[AtomicU32], layout: &Layout, mut inspect: impl FnMut(u16)) {
    if let (Some(summary), true) = (words.get(ATTENTION), O::CLEAR_FIRST) {
        summary.swap(0, Acquire);
    }
    for (i, word) in layout.attention(words).iter().enumerate() {
        if word.load(Relaxed) == 0 {
            continue;
        }
        let mut bits = if O::CLEAR_FIRST { word.swap(0, AcqRel) } else { word.load(Acquire) };
        while bits != 0 {
            inspect((i as u32 * 32 + bits.trailing_zeros()) as u16);
            bits &= bits - 1;
        }
        if !O::CLEAR_FIRST {
            word.swap(0, AcqRel);
        }
    }
    if let (Some(summary), false) = (words.get(ATTENTION), O::CLEAR_FIRST) {
        summary.swap(0, Acquire);
    }
}
