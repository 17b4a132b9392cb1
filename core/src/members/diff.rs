//! From one address list to the next: two-pass mark and sweep over stable slots, in time linear in both, in any
//! order, all or nothing.
//!
//! The first pass looks every entry up, marks the endpoints that are there and takes free slots for those that
//! are not; it alone can fail, and then puts everything back. The second goes over the slots once: what is marked
//! stays, comes or returns, what is not marked leaves.

use super::list::List;
use super::{Member, NONE, Stage, flag, index};
use crate::endpoint::Endpoint;
use crate::layout::Layout;
use crate::slot::{Slot, gate};
use crate::state::{connectivity::Connectivity, health::Health};
use crate::sync::AtomicU32;

/// What an update changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Endpoints that were not there.
    pub added: u32,
    /// Endpoints that left; they drain.
    pub removed: u32,
    /// Endpoints that stay, whatever else changed about them.
    pub kept: u32,
    /// Endpoints that were draining and are back, in the same slot, with their calls and counters.
    pub returned: u32,
}

/// Why an address list was refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// The list needs more slots than are free. [`Action::RoomAgain`](crate::Action::RoomAgain) tells when an
    /// endpoint has drained.
    Full {
        /// Slots that the list's new endpoints need; more than that if the list repeats some of them.
        needed: u32,
        /// Slots that are free: those of draining endpoints are not.
        free: u32,
    },
}

impl core::fmt::Display for UpdateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self::Full { needed, free } = self;
        write!(f, "the list has {needed} new endpoints, and {free} slots are free")
    }
}

impl core::error::Error for UpdateError {}

/// The result of [`update`].
pub(crate) struct Outcome {
    pub(crate) changes: Changes,
    /// An endpoint came, left, returned, or has another weight or priority.
    pub(crate) changed: bool,
    /// Endpoints have other places in the list than before, which only some policies heed.
    pub(crate) reordered: bool,
}

/// Compares `endpoints` with the members and makes the members follow.
pub(crate) fn update(
    words: &[AtomicU32],
    layout: &Layout,
    members: &mut [Member],
    free: &mut List,
    endpoints: &[Endpoint],
    pass: u16,
) -> Result<Outcome, UpdateError> {
    admit(members, free, endpoints, pass)?;
    Ok(sweep(words, layout, members, endpoints, pass))
}

/// First pass. Entries of an identity already marked are duplicates: the first one counts.
fn admit(
    members: &mut [Member],
    free: &mut List,
    endpoints: &[Endpoint],
    pass: u16,
) -> Result<(), UpdateError> {
    let room = free.len();
    for (position, endpoint) in endpoints.iter().enumerate() {
        let known = index::find(members, endpoint.id);
        let Some(slot) = known.or_else(|| free.pop_front(members)) else {
            let needed = room + missing(members, &endpoints[position..]);
            put_back(members, free, &endpoints[..position]);
            return Err(UpdateError::Full { needed, free: room });
        };
        let Some(member) = members.get_mut(usize::from(slot)) else { continue };
        if known.is_some() && member.mark == pass {
            continue;
        }
        member.mark = pass;
        member.scratch = [position as u32, endpoint.weight, endpoint.priority];
        if known.is_none() {
            member.id = endpoint.id;
            member.stage = Stage::Fresh;
            index::insert(members, slot);
        }
    }
    Ok(())
}

#[cold]
fn missing(members: &[Member], endpoints: &[Endpoint]) -> u32 {
    endpoints.iter().filter(|endpoint| index::find(members, endpoint.id).is_none()).count() as u32
}

/// Undoes a first pass that failed, last entry first, so that the free slots keep their order.
#[cold]
fn put_back(members: &mut [Member], free: &mut List, endpoints: &[Endpoint]) {
    for (position, endpoint) in endpoints.iter().enumerate().rev() {
        let Some(slot) = index::find(members, endpoint.id) else { continue };
        let Some(member) = members.get_mut(usize::from(slot)) else { continue };
        // So that no later pass of the same number takes it for marked.
        member.mark = 0;
        if member.stage == Stage::Fresh && member.scratch[0] == position as u32 {
            member.stage = Stage::Free;
            index::remove(members, slot);
            free.push_front(members, slot);
        }
    }
}

/// Second pass. Cannot fail.
fn sweep(
    words: &[AtomicU32],
    layout: &Layout,
    members: &mut [Member],
    endpoints: &[Endpoint],
    pass: u16,
) -> Outcome {
    let mut changes = Changes::default();
    let (mut moved, mut reordered) = (false, false);
    for (slot, member) in members.iter_mut().enumerate() {
        if member.mark != pass {
            if member.stage == Stage::Live {
                leave(member);
                changes.removed += 1;
            }
            continue;
        }
        match member.stage {
            Stage::Live => changes.kept += 1,
            Stage::Fresh => {
                let user = endpoints.get(member.scratch[0] as usize).map_or(0, |endpoint| endpoint.user);
                if let Some(shared) = Slot::at(words, layout, slot as u16) {
                    shared.give_to(user);
                    // Nobody can have a handle of its generation before it is published.
                    gate::open::<gate::Sound>(shared.gate());
                }
                *member = newcomer(member);
                changes.added += 1;
            }
            Stage::Draining | Stage::Closing => {
                if let Some(shared) = Slot::at(words, layout, slot as u16) {
                    gate::open::<gate::Sound>(shared.gate());
                }
                member.stage = Stage::Live;
                member.clear(flag::CLOSE | flag::CANCEL | flag::DRAINS_UNTIL);
                changes.returned += 1;
            }
            Stage::Free => continue,
        }
        let [order, weight, priority] = member.scratch;
        reordered |= member.order != order;
        moved |= member.weight != weight || member.tier_or_deadline != priority;
        (member.order, member.weight, member.tier_or_deadline) = (order, weight, priority);
    }
    let changed = moved || changes.added + changes.removed + changes.returned > 0;
    Outcome { changes, changed, reordered }
}

fn leave(member: &mut Member) {
    member.stage = Stage::Closing;
    member.mark = 0;
    if member.has(flag::CONNECT) {
        // The host has never heard of it: should the endpoint return, it must.
        member.clear(flag::CONNECT | flag::DIALLED);
    }
}

const fn newcomer(member: &Member) -> Member {
    Member {
        stage: Stage::Live,
        connectivity: Connectivity::Idle,
        health: Health::Unknown,
        flags: 0,
        next: NONE,
        ..*member
    }
}
