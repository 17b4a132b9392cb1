//! What a pick starts from and what it answers.

pub(crate) mod cursor;

use crate::handle::{Handle, Ticket};

/// One step of a cursor: which draw this is, and of which stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    pub(crate) count: u32,
    pub(crate) key: u32,
}

/// What a pick says, as in gRPC: an endpoint, or what to do without one, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pick {
    /// Send the call there.
    Complete(Handle),
    /// Wait for the next table, whatever the call's wait_for_ready says.
    Queue,
    /// Fail the call, unless it waits for ready.
    Fail(FailReason),
    /// Fail the call in any case, and do not retry it.
    Drop,
}

/// What [`Balancer::start`](crate::Balancer::start) says: a pick that has begun where it could.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Start {
    /// The call has begun; its ticket must be finished.
    Started(Ticket),
    /// As [`Pick::Queue`]; also when all endpoints tried are full.
    Queue,
    /// As [`Pick::Fail`].
    Fail(FailReason),
    /// As [`Pick::Drop`].
    Drop,
}

/// Why calls fail without an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum FailReason {
    /// The address list is empty.
    NoEndpoints = 1,
    /// No endpoint can be reached.
    AllFailing = 2,
    /// Endpoints are connected, and none of them says that it serves.
    NotServing = 3,
}

impl FailReason {
    /// The reason with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::NoEndpoints,
            2 => Self::AllFailing,
            3 => Self::NotServing,
            _ => return None,
        })
    }
}

impl core::fmt::Display for FailReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoEndpoints => "the address list is empty",
            Self::AllFailing => "no endpoint can be reached",
            Self::NotServing => "no connected endpoint is serving",
        })
    }
}
