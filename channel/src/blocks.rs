//! The balancers of one channel: a larger one takes over when the endpoints no longer fit.
//!
//! The core's memory never grows, so a channel has a row of blocks whose sizes double. A call reads
//! which block is current (one load), starts there, and finishes in the block it started in, however
//! many have taken over since. A block is never freed before its channel: a ticket may point into it.

use std::sync::{Arc, OnceLock};

use evener_core::sync::AtomicU32 as Word;
use evener_core::{
    Balancer, ClaimError, Controller, Counters, Endpoint, Finished, Handle, Limits, Member, Options, Outcome,
    PickCursor, RawTicket, Start, words,
};

use crate::sync::atomic::{AtomicU32, Ordering};

/// Endpoints in the smallest block.
const SMALLEST: u32 = 32;
/// The most endpoints the core can hold.
pub(crate) const LARGEST: u32 = 65_534;
/// 32 · 2¹¹ is more than the largest.
const BLOCKS: usize = 12;
/// No block is current: nothing was resolved yet, or the channel is closed.
const NONE: u32 = u32::MAX;

/// The shared memory of a block. A slice behind an `Arc`, so that a balancer holds its memory alive.
pub(crate) type Words = Arc<[Word]>;
/// The exclusive side of a block. Lives behind the channel's mutex.
pub(crate) type BlockController = Controller<Words, Box<[Member]>>;

/// The blocks of one channel.
#[derive(Debug)]
pub(crate) struct Blocks {
    table: [OnceLock<Balancer<Words>>; BLOCKS],
    current: AtomicU32,
}

impl Blocks {
    pub(crate) fn new() -> Self {
        Self { table: [const { OnceLock::new() }; BLOCKS], current: AtomicU32::new(NONE) }
    }

    /// Lays out the block `index` and keeps its balancer. It becomes current by
    /// [`Blocks::promote`], once its first table is published.
    pub(crate) fn lay_out(&self, index: u32, options: Options) -> Result<BlockController, ClaimError> {
        let limits = limits(index);
        let shared: Words = (0..words(&limits)).map(|_| Word::new(0)).collect();
        let members = vec![Member::EMPTY; limits.endpoints as usize].into_boxed_slice();
        let controller = Controller::claim(shared, members, limits, options)?;
        if let Some(place) = self.table.get(index as usize) {
            // A block is laid out once, behind the channel's mutex: the place is always empty.
            let _ = place.set(controller.balancer());
        }
        Ok(controller)
    }

    /// Calls start in block `index` from now on.
    pub(crate) fn promote(&self, index: u32) {
        self.current.store(index, Ordering::Release);
    }

    /// No call starts from now on.
    pub(crate) fn retire(&self) {
        self.current.store(NONE, Ordering::Release);
    }

    /// Which block is current, as a number to compare with a later one.
    pub(crate) fn current(&self) -> u32 {
        self.current.load(Ordering::Acquire)
    }

    /// The balancer of a block.
    pub(crate) fn get(&self, index: u32) -> Option<&Balancer<Words>> {
        self.table.get(index as usize)?.get()
    }

    /// Starts a call in a block; `None` where there is no such block.
    pub(crate) fn start(&self, index: u32, cursor: &impl PickCursor, now: u32) -> Option<Start> {
        Some(self.get(index)?.start(cursor, now))
    }

    /// Whether a block's controller has something to look at.
    pub(crate) fn needs_poll(&self, index: u32) -> bool {
        self.get(index).is_some_and(Balancer::needs_poll)
    }

    /// Finishes a call in the block it started in; `None` for what no call can be.
    pub(crate) fn finish(&self, index: u32, raw: RawTicket, outcome: Outcome, now: u32) -> Option<Finished> {
        let balancer = self.get(index)?;
        let ticket = balancer.ticket(raw).ok()?;
        Some(balancer.finish(ticket, outcome, now))
    }

    /// The counters of an endpoint in a block.
    pub(crate) fn counters(&self, index: u32, handle: Handle) -> Option<Counters> {
        self.get(index)?.counters(handle)
    }
}

/// Endpoints a block has room for.
pub(crate) const fn capacity(index: u32) -> u32 {
    if index >= BLOCKS as u32 - 1 { LARGEST } else { SMALLEST << index }
}

/// The smallest block for so many endpoints that comes after `after`; `None` behind the last.
pub(crate) fn block_for(endpoints: usize, after: Option<u32>) -> Option<u32> {
    let first = after.map_or(0, |index| index + 1);
    (first..BLOCKS as u32).find(|&index| capacity(index) as usize >= endpoints)
}

/// Small blocks get a generous exact schedule (four bytes an entry, twice), large ones in proportion.
fn limits(index: u32) -> Limits {
    let endpoints = capacity(index);
    Limits::new(endpoints).with_schedule((4 * endpoints).clamp(4_096, 65_536))
}

/// What the core is told about an endpoint of record `index`.
pub(crate) fn member(id: evener_core::EndpointId, index: u32, weight: u32, tier: u32) -> Endpoint {
    Endpoint::new(id).with_user(u64::from(index)).with_weight(weight).with_priority(tier)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn sizes_double_up_to_what_the_core_can_hold() {
        assert_eq!((0..12).map(capacity).collect::<Vec<_>>()[..4], [32, 64, 128, 256]);
        assert_eq!(capacity(10), 32_768);
        assert_eq!(capacity(11), LARGEST);
        assert!((0..12).all(|index| limits(index).are_valid()));
    }

    #[test]
    fn a_block_is_chosen_by_size_and_never_twice() {
        assert_eq!(block_for(0, None), Some(0));
        assert_eq!(block_for(32, None), Some(0));
        assert_eq!(block_for(33, None), Some(1));
        assert_eq!(block_for(3, Some(4)), Some(5));
        assert_eq!(block_for(LARGEST as usize, Some(4)), Some(11));
        assert_eq!(block_for(LARGEST as usize + 1, None), None);
        assert_eq!(block_for(1, Some(11)), None);
    }

    #[test]
    fn nothing_starts_without_a_current_block() {
        let blocks = Blocks::new();
        let cursor = evener_core::SharedCursor::new();
        assert!(blocks.start(blocks.current(), &cursor, 0).is_none());
        blocks.lay_out(0, Options::default()).expect("laid out");
        assert!(blocks.start(blocks.current(), &cursor, 0).is_none(), "laid out, not promoted");
        blocks.promote(0);
        assert!(matches!(blocks.start(blocks.current(), &cursor, 0), Some(Start::Queue)));
        blocks.retire();
        assert!(blocks.start(blocks.current(), &cursor, 0).is_none());
    }
}
