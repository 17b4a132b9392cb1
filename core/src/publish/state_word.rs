//! The one word that says which table is current, and the orderings around it. Model-checked in
//! `models/publish.rs`, each ordering with a control that breaks it.
//!
//! ```text
//! 2k     table k is current
//! 2k + 1 table k is current and table k + 1 is being written
//! ```
//!
//! Table k lives in buffer k & 1. A reader notes the word, reads the buffer, and looks at the word again: what it
//! read is whole unless a *second* write has begun meanwhile, which is when its buffer is written again. So readers
//! never write shared memory, and a writer that stalls or dies in the middle disturbs none of them.
//!
//! The word wraps after 2³¹ publications. Only a reader that sleeps in the middle of a pick across almost
//! exactly 2³¹ of them could be fooled.

use crate::sync::{
    AtomicU32,
    Ordering::{self, Acquire, Relaxed, Release},
    fence, pause,
};

/// The choices the protocol rests on. The provided ones are right; models override one at a time to show
/// that each is needed.
pub trait Orders {
    /// Of the store that marks the start of a write; `None` leaves the mark out.
    const MARK: Option<Ordering> = Some(Release);
    /// Whether the writer fences between the mark and the data.
    const WRITER_FENCE: bool = true;
    /// Of the store that publishes.
    const PUBLISH: Ordering = Release;
    /// Of the reader's first look at the word.
    const FIRST_LOAD: Ordering = Acquire;
    /// Whether the reader fences between the data and its second look.
    const READER_FENCE: bool = true;
    /// How far the word may have moved from the table's own number; `None` leaves the second look out.
    const TOLERANCE: Option<u32> = Some(2);
}

/// The protocol as it is used.
pub(crate) struct Sound;
impl Orders for Sound {}

/// The number of the table that is current, for a controller that takes over. Read once: a controller
/// counts by itself from then on, and writes anew what a dead one left half-written.
pub(crate) fn current(state: &AtomicU32) -> u32 {
    state.load(Acquire) >> 1
}

/// How many tables have been published, modulo 2³¹.
pub(crate) fn published(state: &AtomicU32) -> u32 {
    state.load(Relaxed) >> 1
}

/// Writes the table that follows `k` by way of `fill`, which gets the number of its buffer, and publishes it.
/// Answers its number. One writer at a time.
pub(crate) fn write<O: Orders>(state: &AtomicU32, k: u32, fill: impl FnOnce(u32)) -> u32 {
    let next = k.wrapping_add(1) & (u32::MAX >> 1);
    if let Some(order) = O::MARK {
        state.store(k << 1 | 1, order);
    }
    if O::WRITER_FENCE {
        fence(Release);
    }
    fill(next & 1);
    state.store(next << 1, O::PUBLISH);
    next
}

/// Reads the current table by way of `look`, which gets the number of its buffer and must take whatever it
/// finds there: until the second look it may be garbage. Tries again as long as it was.
pub(crate) fn read<O: Orders, T>(state: &AtomicU32, look: impl Fn(u32) -> T) -> T {
    loop {
        if let Some(found) = try_read::<O, T>(state, &look) {
            return found;
        }
        pause();
    }
}

/// One attempt of [`read`].
pub(crate) fn try_read<O: Orders, T>(state: &AtomicU32, look: impl Fn(u32) -> T) -> Option<T> {
    let seen = Seen::now::<O>(state);
    let found = look(seen.buffer());
    seen.is_whole::<O>(state).then_some(found)
}

/// A reader's first look at the word: the two halves of [`try_read`], for the one caller that is too hot for a closure.
#[derive(Clone, Copy)]
pub(crate) struct Seen(u32);

impl Seen {
    #[inline(always)]
    pub(crate) fn now<O: Orders>(state: &AtomicU32) -> Self {
        Self(state.load(O::FIRST_LOAD))
    }

    /// Which buffer to read.
    #[inline(always)]
    pub(crate) const fn buffer(self) -> u32 {
        self.0 >> 1 & 1
    }

    /// The second look: whether what was read since the first one is whole.
    #[inline(always)]
    pub(crate) fn is_whole<O: Orders>(self, state: &AtomicU32) -> bool {
        let now = again::<O>(state);
        O::TOLERANCE.is_none_or(|moved| now.wrapping_sub(self.0 & !1) <= moved)
    }

    /// A second look that takes less: whether the word has not moved at all. What was read may be whole where this says no.
    #[inline(always)]
    pub(crate) fn is_unmoved<O: Orders>(self, state: &AtomicU32) -> bool {
        again::<O>(state) == self.0
    }
}

#[inline(always)]
fn again<O: Orders>(state: &AtomicU32) -> u32 {
    if O::READER_FENCE {
        fence(Acquire);
    }
    state.load(Relaxed)
}
