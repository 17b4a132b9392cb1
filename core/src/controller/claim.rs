//! Who may be the controller: a word that is swapped. Model-checked in `models/claim.rs`, each choice with a control that breaks
//! it.

use crate::layout::{CLAIM, ClaimError, Layout, Limits};
use crate::members::{Member, Stage, stride_order};
use crate::slot::{Slot, gate};
use crate::sync::{
    AtomicU32,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release},
};

/// The choices the protocol rests on. The provided ones are right; models override one at a time to show
/// that each is needed.
pub trait Orders {
    /// Of the swap that takes the claim: what the former controller did comes before.
    const TAKE: Ordering = AcqRel;
    /// Whether it is one swap, not a look and a store.
    const SWAPS: bool = true;
    /// Of the store that gives the claim back.
    const GIVE_BACK: Ordering = Release;
}

/// The protocol as it is used.
pub(crate) struct Sound;
impl Orders for Sound {}

/// Takes the claim; true if nobody had it.
pub(crate) fn take<O: Orders>(claim: &AtomicU32) -> bool {
    if O::SWAPS {
        return claim.swap(1, O::TAKE) == 0;
    }
    let free = claim.load(Acquire) == 0;
    claim.store(1, Relaxed);
    free
}

/// Gives the claim back.
pub(crate) fn give_back<O: Orders>(claim: &AtomicU32) {
    claim.store(0, O::GIVE_BACK);
}

/// Checks the memory, claims it (from whomever, when `seize`) and closes every gate, so that what a former controller had
/// published can begin no more calls.
pub(super) fn claim(
    shared: &[AtomicU32],
    members: &mut [Member],
    limits: &Limits,
    seize: bool,
) -> Result<Layout, ClaimError> {
    let layout = limits.lay_out(shared.len())?;
    let needed = limits.endpoints as usize;
    if members.len() < needed {
        return Err(ClaimError::TooFewMembers { needed });
    }
    let taken = shared.get(CLAIM).is_some_and(take::<Sound>);
    if !taken && !seize {
        return Err(ClaimError::Claimed);
    }
    members.fill(Member::EMPTY);
    for slot in stride_order(limits.endpoints) {
        inherit(shared, &layout, members, slot);
    }
    Ok(layout)
}

/// A slot that still has calls, or whose host is still owed a Close, drains.
fn inherit(shared: &[AtomicU32], layout: &Layout, members: &mut [Member], slot: u16) {
    let Some(words) = Slot::at(shared, layout, slot) else { return };
    gate::close::<gate::Sound>(words.gate());
    let owed = !gate::drained::<gate::Sound>(words.gate()) || words.user() != 0;
    if !owed {
        words.retire();
    }
    if let Some(member) = members.get_mut(usize::from(slot)) {
        member.stage = if owed { Stage::Draining } else { Stage::Free };
    }
}

/// Gives the claim back.
pub(super) fn release(shared: &[AtomicU32]) {
    if let Some(claim) = shared.get(CLAIM) {
        give_back::<Sound>(claim);
    }
}
