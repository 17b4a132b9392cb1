//! What is told about an endpoint in numbers, and the names of states.

use evener_core::{Connectivity, Health};

use crate::subchannels::{Phase, Subchannel};

/// An endpoint in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStats {
    /// Its index, as in events.
    pub endpoint: u32,
    /// Its addresses as text, separated by `|`.
    pub addresses: String,
    /// Its connection's state, as the transport told it last.
    pub state: Connectivity,
    /// Its health, as the transport told it last.
    pub health: Health,
    /// Its weight.
    pub weight: u32,
    /// Whether it was removed and waits for its calls to end.
    pub draining: bool,
    /// Calls that run there now.
    pub in_flight: u64,
    /// Calls that succeeded, application errors included (see [`outcome_of`](crate::outcome_of)).
    pub ok: u64,
    /// Calls that failed or ran out of time.
    pub failed: u64,
    /// Calls that were rejected with RESOURCE_EXHAUSTED.
    pub rejected: u64,
    /// Calls that were cancelled or abandoned.
    pub other: u64,
    /// The last error the transport told, or empty; it stays when the endpoint recovers.
    pub last_error: String,
}

impl EndpointStats {
    /// An endpoint as its totals were counted last.
    pub(crate) fn of(index: u32, record: &Subchannel) -> Self {
        let totals = record.totals();
        Self {
            endpoint: index,
            addresses: record.addresses(),
            state: record.state,
            health: record.health,
            weight: record.endpoint.weight,
            draining: record.phase == Phase::Draining,
            in_flight: record.in_flight(),
            ok: totals.ok,
            failed: totals.failed,
            rejected: totals.rejected,
            other: totals.other,
            last_error: record.last_error.clone(),
        }
    }
}

/// gRPC's name of a state.
pub const fn state_name(state: Connectivity) -> &'static str {
    match state {
        Connectivity::Idle => "IDLE",
        Connectivity::Connecting => "CONNECTING",
        Connectivity::Ready => "READY",
        Connectivity::TransientFailure => "TRANSIENT_FAILURE",
        Connectivity::Shutdown => "SHUTDOWN",
    }
}

/// The name of a health, as in gRPC's health service.
pub(crate) const fn health_name(health: Health) -> &'static str {
    match health {
        Health::Unknown => "UNKNOWN",
        Health::Serving => "SERVING",
        Health::NotServing => "NOT_SERVING",
    }
}
