//! Who may be the controller: a word that is swapped. Model-checked in `models/claim.rs`.

use crate::members::{Member, Stage, stride_order};
use crate::memory::{CLAIM, Layout, Limits, MAX_ENDPOINTS, MAX_SCHEDULE, words};
use crate::slot::{Slot, gate};
use crate::sync::{
    AtomicU32,
    Ordering::{AcqRel, Relaxed, Release},
};

/// Why memory cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// A limit is out of range.
    Limits,
    /// The shared memory has fewer words than the limits need.
    TooSmall {
        /// Words that are needed.
        needed: usize,
    },
    /// There are fewer members than endpoints.
    TooFewMembers {
        /// Members that are needed.
        needed: usize,
    },
    /// Another controller has the memory.
    Claimed,
}

impl core::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Limits => {
                write!(f, "endpoints must be 1 to {MAX_ENDPOINTS}, the schedule at most {MAX_SCHEDULE}")
            }
            Self::TooSmall { needed } => write!(f, "these limits need {needed} words of shared memory"),
            Self::TooFewMembers { needed } => write!(f, "these limits need {needed} members"),
            Self::Claimed => f.write_str("the memory has a controller already"),
        }
    }
}

impl core::error::Error for ClaimError {}

/// Checks the memory, claims it (from whomever, when `seize`) and closes every gate, so that what a former controller had
/// published can begin no more calls.
pub(super) fn claim(
    shared: &[AtomicU32],
    members: &mut [Member],
    limits: &Limits,
    seize: bool,
) -> Result<Layout, ClaimError> {
    if !limits.are_valid() {
        return Err(ClaimError::Limits);
    }
    let needed = words(limits);
    let claim = shared.get(..needed).and_then(|shared| shared.get(CLAIM));
    let claim = claim.ok_or(ClaimError::TooSmall { needed })?;
    let needed = limits.endpoints as usize;
    if members.len() < needed {
        return Err(ClaimError::TooFewMembers { needed });
    }
    if claim.swap(1, AcqRel) != 0 && !seize {
        return Err(ClaimError::Claimed);
    }
    let layout = Layout::of(limits);
    members.fill(Member::EMPTY);
    for slot in stride_order(limits.endpoints) {
        inherit(shared, &layout, members, slot);
    }
    Ok(layout)
}

/// A slot that still has calls, or whose host is still owed a Close, drains.
fn inherit(shared: &[AtomicU32], layout: &Layout, members: &mut [Member], slot: u16) {
    let Some(words) = Slot::at(shared, layout, slot) else { return };
    let used = words.generation().load(Relaxed) != 0;
    gate::close::<gate::Sound>(words.gate());
    let owed = used && (words.user() != 0 || gate::in_flight(words.gate()) != 0);
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
