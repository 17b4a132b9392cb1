//! Who may be the controller: a word that is swapped. Model-checked in `models/claim.rs`.

use crate::layout::{CLAIM, ClaimError, Layout, Limits};
use crate::members::{Member, Stage, stride_order};
use crate::slot::{Slot, gate};
use crate::sync::{
    AtomicU32,
    Ordering::{AcqRel, Release},
};

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
    let claimed = shared.get(CLAIM).is_none_or(|claim| claim.swap(1, AcqRel) != 0);
    if claimed && !seize {
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
        claim.store(0, Release);
    }
}
