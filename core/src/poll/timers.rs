//! The deadlines of draining endpoints: the earliest one is kept, and looked for again when it has passed.

use crate::members::{Member, Stage, flag};
use crate::ticks::{earlier, reached};

/// The longest time to drain or to wait: a deadline further away would be taken for one that has passed.
pub(crate) const MAX_TIMEOUT: u32 = u32::MAX >> 1;

/// Gives an endpoint that has just begun to drain its deadline, `timeout` ticks from now; 0 is none.
pub(crate) fn start_drain(member: &mut Member, now: u32, timeout: u32) -> Option<u32> {
    if timeout == 0 {
        return None;
    }
    member.tier_or_deadline = now.wrapping_add(timeout.min(MAX_TIMEOUT));
    member.set(flag::DRAINS_UNTIL);
    Some(member.tier_or_deadline)
}

/// Marks every draining endpoint whose time is over; answers the earliest deadline that is left.
pub(crate) fn expire_drains(members: &mut [Member], now: u32) -> Option<u32> {
    let mut next = None;
    for member in members {
        if member.stage != Stage::Draining || !member.has(flag::DRAINS_UNTIL) {
            continue;
        }
        if reached(now, member.tier_or_deadline) {
            member.clear(flag::DRAINS_UNTIL);
            member.set(flag::CANCEL);
        } else {
            next = earlier(next, Some(member.tier_or_deadline));
        }
    }
    next
}
