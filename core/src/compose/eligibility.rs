//! Whether an endpoint can take calls now: connectivity and health folded together.

use crate::members::{Member, flag};
use crate::state::connectivity::Connectivity::{self, Connecting, Idle, Ready, TransientFailure};
use crate::state::health::Health;

/// The state an endpoint counts with: once failed, it stays failing until READY (gRFC A62), and connected without
/// serving is failing (gRFC A17).
pub(crate) fn effective(member: &Member, heeds_health: bool) -> Connectivity {
    match member.connectivity {
        Idle | Connecting if member.has(flag::FAILED) => TransientFailure,
        Ready if heeds_health && member.health == Health::NotServing => TransientFailure,
        state => state,
    }
}

/// Connected, and says that it does not serve.
pub(crate) fn is_not_serving(member: &Member) -> bool {
    member.connectivity == Ready && member.health == Health::NotServing
}

/// In the list, connected, and serving as far as anyone knows.
pub(crate) fn is_eligible(member: &Member, heeds_health: bool) -> bool {
    member.is_live() && effective(member, heeds_health) == Ready
}
