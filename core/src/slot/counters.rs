//! What calls leave behind in their slot: one wrapping counter per kind of outcome.

use super::{Slot, gate};
use crate::sync::Ordering::Relaxed;

/// How a call ended, as far as balancing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The endpoint did its work, whatever the application thinks of the answer.
    Success = 0,
    /// The endpoint or the way to it failed.
    Failure = 1,
    /// The endpoint refused the call because of its load.
    Rejected = 2,
    /// The caller cancelled.
    Cancelled = 3,
    /// The deadline passed.
    TimedOut = 4,
    /// The caller dropped the call without asking how it ended.
    Abandoned = 5,
}

impl Outcome {
    /// The outcome with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Success,
            1 => Self::Failure,
            2 => Self::Rejected,
            3 => Self::Cancelled,
            4 => Self::TimedOut,
            5 => Self::Abandoned,
            _ => return None,
        })
    }
}

/// The counters a slot has.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Kind {
    Ok = 0,
    Failed = 1,
    Rejected = 2,
    Other = 3,
}

impl Kind {
    const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Ok,
            Outcome::Failure | Outcome::TimedOut => Self::Failed,
            Outcome::Rejected => Self::Rejected,
            Outcome::Cancelled | Outcome::Abandoned => Self::Other,
        }
    }
}

/// The calls of one endpoint so far. Each counter is right by itself; together they are no snapshot, as
/// calls go on while they are read. They wrap at 2³²: add up differences to count further.
///
/// There is no counter of picks, as a pick writes nothing shared: calls started are the sum of all five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that ended with [`Outcome::Success`].
    pub ok: u32,
    /// Calls that ended with [`Outcome::Failure`] or [`Outcome::TimedOut`].
    pub failed: u32,
    /// Calls that ended with [`Outcome::Rejected`].
    pub rejected: u32,
    /// Calls that ended with [`Outcome::Cancelled`] or [`Outcome::Abandoned`].
    pub other: u32,
    /// Calls that have begun and not finished.
    pub in_flight: u32,
}

/// Counts an outcome. The caller holds a ticket.
pub(crate) fn count(slot: Slot<'_>, outcome: Outcome) {
    slot.counter(Kind::of(outcome)).fetch_add(1, Relaxed);
}

/// Reads all counters.
pub(crate) fn read(slot: Slot<'_>) -> Counters {
    let load = |kind| slot.counter(kind).load(Relaxed);
    Counters {
        ok: load(Kind::Ok),
        failed: load(Kind::Failed),
        rejected: load(Kind::Rejected),
        other: load(Kind::Other),
        in_flight: gate::in_flight(slot.gate()),
    }
}

/// Starts at zero for a new owner; the gate must be closed and drained.
pub(crate) fn reset(slot: Slot<'_>) {
    for kind in [Kind::Ok, Kind::Failed, Kind::Rejected, Kind::Other] {
        slot.counter(kind).store(0, Relaxed);
    }
}
