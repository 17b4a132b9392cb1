//! The controller's private knowledge: who the endpoints are, and which slot each lives in.

pub(crate) mod diff;
pub(crate) mod index;
pub(crate) mod list;

use crate::endpoint::EndpointId;
use crate::state::{connectivity::Connectivity, health::Health};

/// No slot.
pub(crate) const NONE: u16 = u16::MAX;

/// What the controller keeps per endpoint slot. Plain data in memory of the caller's, only ever seen by the
/// controller.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub(crate) id: EndpointId,
    pub(crate) weight: u32,
    /// Place in the latest address list.
    pub(crate) order: u32,
    /// While it is in the list: its priority. While it drains: when its calls are cancelled, where [`flag::DRAINS_UNTIL`] is set.
    /// It never needs both, and a word more would cost each endpoint eight bytes.
    pub(crate) tier_or_deadline: u32,
    /// Of the step under way: place, weight and priority in the list being compared, or the turn of a schedule.
    pub(crate) scratch: [u32; 3],
    /// Two buckets of the index over all members.
    pub(crate) buckets: [u32; 2],
    /// The next member of the list this one is in.
    pub(crate) next: u16,
    /// The latest comparison that found this endpoint in its list.
    pub(crate) mark: u16,
    pub(crate) stage: Stage,
    pub(crate) connectivity: Connectivity,
    pub(crate) health: Health,
    pub(crate) flags: u8,
}

/// Where an endpoint is in its life.
///
/// ```text
/// Free ─► Fresh ─► Live ─► Closing ─► Draining ─► Free
///                    ▲────────┴──────────┘ it returned
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Nobody lives here.
    Free,
    /// In the list being compared, and not taken in yet.
    Fresh,
    /// In the address list.
    Live,
    /// Left the address list; the table that says so is not published yet.
    Closing,
    /// Its gate is closed; calls may be in flight.
    Draining,
}

/// Bits of [`Member::flags`].
pub(crate) mod flag {
    /// The host was asked to connect, and has not said IDLE since.
    pub(crate) const DIALLED: u8 = 1;
    /// It failed, and was not READY since (gRFC A62).
    pub(crate) const FAILED: u8 = 1 << 1;
    /// It is in the list of members with actions.
    pub(crate) const QUEUED: u8 = 1 << 2;
    /// The drain deadline counts.
    pub(crate) const DRAINS_UNTIL: u8 = 1 << 3;
    /// Actions the host has not been told yet.
    pub(crate) const CONNECT: u8 = 1 << 4;
    pub(crate) const DISCONNECT: u8 = 1 << 5;
    pub(crate) const CANCEL: u8 = 1 << 6;
    pub(crate) const CLOSE: u8 = 1 << 7;
    pub(crate) const ACTIONS: u8 = CONNECT | DISCONNECT | CANCEL | CLOSE;
}

impl Member {
    /// A member nobody lives in: what the memory is filled with at first.
    pub const EMPTY: Self = Self {
        id: EndpointId::from_raw(0),
        weight: 0,
        order: 0,
        tier_or_deadline: 0,
        scratch: [0; 3],
        buckets: [index::EMPTY; 2],
        next: NONE,
        mark: 0,
        stage: Stage::Free,
        connectivity: Connectivity::Idle,
        health: Health::Unknown,
        flags: 0,
    };

    pub(crate) const fn has(&self, bits: u8) -> bool {
        self.flags & bits != 0
    }

    pub(crate) const fn set(&mut self, bits: u8) {
        self.flags |= bits;
    }

    pub(crate) const fn clear(&mut self, bits: u8) {
        self.flags &= !bits;
    }

    pub(crate) fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }
}

impl Default for Member {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Gives every slot number once, those that share a cache line (two slots do) far apart: all even ones, then all odd ones.
pub(crate) fn stride_order(endpoints: u32) -> impl Iterator<Item = u16> {
    (0..endpoints).step_by(2).chain((1..endpoints).step_by(2)).map(|slot| slot as u16)
}
