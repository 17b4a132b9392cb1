//! Where a picker stands. The cursor is what a pick costs: a locked add on a shared one takes several times as
//! long as all the rest, so the main path is a cursor of the caller's own.
//!
//! No update ever resets a cursor, and each starts at an offset of its own, so that many clients
//! that start together do not all begin with the same endpoint.

use super::Draw;
use crate::rng::{mix32, mix64};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use core::cell::Cell;

/// How many steps a [`ClaimedCursor`] takes from a shared one at a time.
pub const CLAIM: u32 = 64;

/// Something that counts picks. Sealed: [`Cursor`], [`SharedCursor`] and [`ClaimedCursor`].
pub trait PickCursor: sealed::Draws {}

impl<C: sealed::Draws> PickCursor for C {}

pub(crate) mod sealed {
    use super::AtomicU32;

    pub trait Draws {
        /// Takes the next step. `seeds` is the balancer's source of offsets for cursors that have none yet.
        fn step(&self, seeds: &AtomicU32) -> u32;

        /// Which stream of random numbers its steps belong to. Asked after a step, and only where it is needed: most
        /// shapes of table are no matter of chance.
        fn key(&self) -> u32;
    }
}

/// A cursor of the caller's own, one per thread: the fast one.
///
/// All zero is a valid cursor: the balancer gives it its offset at the first pick. Sharing one between threads by
/// mistake is safe: some picks then repeat a step, no more. Four words, so that a C program can keep it by value.
#[derive(Debug)]
#[repr(C)]
pub struct Cursor {
    count: AtomicU32,
    key: AtomicU32,
    reserved: [AtomicU32; 2],
}

impl Cursor {
    /// A cursor that gets its offset at the first pick.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self::at(0, 0)
    }

    /// A cursor whose offset follows from `seed`.
    #[cfg(not(loom))]
    pub const fn seeded(seed: u64) -> Self {
        let (count, key) = start(mix64(seed));
        Self::at(count, key)
    }

    /// A cursor at an exact position: step `count` (which wraps) of the random stream `key`
    /// (0 = it gets both at the first pick).
    #[cfg(not(loom))]
    pub const fn at(count: u32, key: u32) -> Self {
        Self {
            count: AtomicU32::new(count),
            key: AtomicU32::new(key),
            reserved: [const { AtomicU32::new(0) }; 2],
        }
    }

    /// A cursor at an exact position.
    #[cfg(loom)]
    pub fn at(count: u32, key: u32) -> Self {
        Self {
            count: AtomicU32::new(count),
            key: AtomicU32::new(key),
            reserved: [AtomicU32::new(0), AtomicU32::new(0)],
        }
    }

    /// The step the next pick takes; wraps at 2³².
    pub fn position(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// The next step, unless the cursor has no offset yet.
    #[inline(always)]
    pub(crate) fn step_on(&self) -> Option<u32> {
        (self.key.load(Relaxed) != 0).then(|| self.advance())
    }

    #[inline(always)]
    fn advance(&self) -> u32 {
        let count = self.count.load(Relaxed);
        self.count.store(count.wrapping_add(1), Relaxed);
        count
    }

    /// The step taken last, if there was one.
    pub(crate) fn last(&self) -> Option<Draw> {
        let key = self.key.load(Relaxed);
        (key != 0).then(|| Draw { count: self.position().wrapping_sub(1), key })
    }

    /// Gives a cursor that is all zero its offset.
    #[cold]
    #[inline(never)]
    fn set_out(&self, seeds: &AtomicU32) {
        let (count, key) = fresh(seeds);
        self.count.store(count, Relaxed);
        self.key.store(key, Relaxed);
    }
}

#[cfg(not(loom))]
impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

impl sealed::Draws for Cursor {
    #[inline(always)]
    fn step(&self, seeds: &AtomicU32) -> u32 {
        if self.key.load(Relaxed) == 0 {
            self.set_out(seeds);
        }
        self.advance()
    }

    #[inline(always)]
    fn key(&self) -> u32 {
        self.key.load(Relaxed)
    }
}

/// The choice that sharing a cursor rests on. The provided one is right; a model overrides it to show that it is needed.
pub(crate) trait Orders {
    /// Whether steps are taken by one addition, not by a load and a store.
    const ADDS: bool = true;
}

/// The protocol as it is used.
pub(crate) struct Sound;
impl Orders for Sound {}

/// A cursor for many threads: exact order over all of them, for a locked add at every pick.
///
/// It has a cache line to itself.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct SharedCursor {
    count: AtomicU32,
    key: AtomicU32,
}

impl SharedCursor {
    /// A cursor that gets its offset at the first pick.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { count: AtomicU32::new(0), key: AtomicU32::new(0) }
    }

    /// A cursor that gets its offset at the first pick.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { count: AtomicU32::new(0), key: AtomicU32::new(0) }
    }

    /// A cursor whose offset follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        let (count, key) = start(mix64(seed));
        Self { count: AtomicU32::new(count), key: AtomicU32::new(key) }
    }

    /// Takes `steps` steps at once; answers the first. Model-checked in `models/cursor.rs`.
    #[inline(always)]
    pub(crate) fn take<O: Orders>(&self, steps: u32, seeds: &AtomicU32) -> Draw {
        let key = match self.key.load(Relaxed) {
            0 => self.set_out(seeds),
            key => key,
        };
        if O::ADDS {
            return Draw { count: self.count.fetch_add(steps, Relaxed), key };
        }
        let count = self.count.load(Relaxed);
        self.count.store(count.wrapping_add(steps), Relaxed);
        Draw { count, key }
    }

    /// Gives a cursor that is all zero its offset, and answers its key. Two threads may both do this: the offset
    /// then moves twice, which nobody can tell.
    #[cold]
    #[inline(never)]
    fn set_out(&self, seeds: &AtomicU32) -> u32 {
        let (count, key) = fresh(seeds);
        self.count.fetch_add(count, Relaxed);
        self.key.store(key, Relaxed);
        key
    }
}

impl Default for SharedCursor {
    fn default() -> Self {
        Self::new()
    }
}

impl sealed::Draws for SharedCursor {
    #[inline(always)]
    fn step(&self, seeds: &AtomicU32) -> u32 {
        self.take::<Sound>(1, seeds).count
    }

    #[inline(always)]
    fn key(&self) -> u32 {
        self.key.load(Relaxed)
    }
}

/// The middle way: a thread's own cursor that claims 64 steps of a shared one at a time. Over
/// all threads the order is exact to within that many steps per thread, at nearly the cost of an own cursor.
#[derive(Debug)]
pub struct ClaimedCursor<'a> {
    shared: &'a SharedCursor,
    next: Cell<u32>,
    /// Where the claim ends.
    end: Cell<u32>,
    key: Cell<u32>,
}

impl<'a> ClaimedCursor<'a> {
    /// A cursor that claims from `shared`.
    pub const fn new(shared: &'a SharedCursor) -> Self {
        Self { shared, next: Cell::new(0), end: Cell::new(0), key: Cell::new(0) }
    }
}

impl ClaimedCursor<'_> {
    #[cold]
    #[inline(never)]
    fn claim(&self, seeds: &AtomicU32) {
        let first = self.shared.take::<Sound>(CLAIM, seeds);
        self.next.set(first.count);
        self.end.set(first.count.wrapping_add(CLAIM));
        self.key.set(first.key);
    }
}

impl sealed::Draws for ClaimedCursor<'_> {
    #[inline(always)]
    fn step(&self, seeds: &AtomicU32) -> u32 {
        if self.next == self.end {
            self.claim(seeds);
        }
        let count = self.next.get();
        self.next.set(count.wrapping_add(1));
        count
    }

    #[inline(always)]
    fn key(&self) -> u32 {
        self.key.get()
    }
}

/// An offset nobody had yet: 31 bits of count, so that a cursor does not wrap soon, and a key that is not 0.
#[cold]
fn fresh(seeds: &AtomicU32) -> (u32, u32) {
    let n = seeds.fetch_add(0x9E37_79B9, Relaxed);
    start(mix64(u64::from(n) << 32 | u64::from(mix32(n))))
}

const fn start(random: u64) -> (u32, u32) {
    (random as u32 >> 1, (random >> 32) as u32 | 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{sealed::Draws, *};

    #[test]
    fn a_zero_cursor_gets_its_own_offset() {
        let seeds = AtomicU32::new(1);
        let (a, b) = (Cursor::new(), Cursor::new());
        let (first, other) = (a.step(&seeds), b.step(&seeds));
        assert_ne!((first, a.key()), (other, b.key()));
        let key = a.key();
        assert_ne!(key, 0);
        assert_eq!((a.step(&seeds), a.key()), (first + 1, key));
    }

    #[test]
    fn a_claimed_cursor_takes_every_step_once() {
        let seeds = AtomicU32::new(1);
        let shared = SharedCursor::seeded(3);
        let (a, b) = (ClaimedCursor::new(&shared), ClaimedCursor::new(&shared));
        let mut steps: std::vec::Vec<u32> = std::vec::Vec::new();
        for _ in 0..2 * CLAIM {
            steps.push(a.step(&seeds));
            steps.push(b.step(&seeds));
        }
        steps.sort_unstable();
        assert!(steps.windows(2).all(|pair| pair[1] == pair[0] + 1), "no step twice, none left out");
    }

    #[test]
    fn steps_wrap() {
        let cursor = Cursor::at(u32::MAX, 1);
        let seeds = AtomicU32::new(1);
        assert_eq!(cursor.step(&seeds), u32::MAX);
        assert_eq!(cursor.step(&seeds), 0);
    }
}
