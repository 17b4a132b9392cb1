//! Where the parts of a balancer lie in the caller's block.
//!
//! ```text
//! evener_balancer | shared words || evener_controller | members
//!       read by any thread       ||   the controller's alone
//! ```
//! The two halves never share a cache line on hosts that have caches.

use core::mem::size_of;

use evener_core::sync::AtomicU32;
use evener_core::{Limits, Member};

use super::objects::{evener_balancer, evener_controller};
use crate::evener_status::{self, *};

/// Alignment of the block: a cache line where there are caches, else what the fields need.
pub(super) const ALIGN: usize = if cfg!(target_pointer_width = "64") { 64 } else { 8 };

/// Offsets from the start of the block, and its size, in bytes.
pub(super) struct Layout {
    pub(super) words: usize,
    pub(super) word_count: usize,
    pub(super) controller: usize,
    pub(super) members: usize,
    pub(super) member_count: usize,
    pub(super) size: usize,
}

impl Layout {
    /// The layout for `limits`, or `EVENER_BAD_ARGUMENT` when they are out of range.
    pub(super) fn of(limits: &Limits) -> Result<Self, evener_status> {
        if !(1..=65_534).contains(&limits.endpoints) || limits.schedule > 65_536 {
            return Err(EVENER_BAD_ARGUMENT);
        }
        // Within these ranges the whole is a few MB: no sum below can overflow 32 bits.
        let (word_count, member_count) = (evener_core::words(limits), limits.endpoints as usize);
        let words = up(size_of::<evener_balancer>());
        let controller = up(words + word_count * size_of::<AtomicU32>());
        let members = up(controller + size_of::<evener_controller>());
        let size = up(members + member_count * size_of::<Member>());
        Ok(Self { words, word_count, controller, members, member_count, size })
    }
}

const fn up(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}

const _: () = {
    assert!(align_of::<evener_balancer>() <= ALIGN);
    assert!(align_of::<evener_controller>() <= ALIGN);
    assert!(align_of::<Member>() <= ALIGN);
};
