//! Health as a checker or a registry reports it, apart from connectivity.

/// What a health check says of an endpoint (gRPC's `grpc.health.v1`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// Nobody checks, or no answer is in yet: picks may go there.
    #[default]
    Unknown = 0,
    /// It serves.
    Serving = 1,
    /// It is connected and does not serve: no picks, and it counts as failing (gRFC A17).
    NotServing = 2,
}

impl Health {
    /// The health with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Unknown,
            1 => Self::Serving,
            2 => Self::NotServing,
            _ => return None,
        })
    }
}
