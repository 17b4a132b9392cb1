//! gRPC's connectivity states, of one endpoint and of the whole channel.

/// The state of a connection, with gRPC's numbers (`grpc_connectivity_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Connectivity {
    /// Nobody has asked for a connection, or it was closed in peace.
    #[default]
    Idle = 0,
    /// An attempt is under way.
    Connecting = 1,
    /// Calls can be sent.
    Ready = 2,
    /// The last attempt failed, or the connection was lost in trouble. It stays so for the channel's
    /// state, through further attempts, until the endpoint is READY (gRFC A62).
    TransientFailure = 3,
    /// Shut down for good.
    Shutdown = 4,
}

impl Connectivity {
    /// The state with gRPC's number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Idle,
            1 => Self::Connecting,
            2 => Self::Ready,
            3 => Self::TransientFailure,
            4 => Self::Shutdown,
            _ => return None,
        })
    }
}

/// How many endpoints are in which effective state; the channel's state follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) ready: u32,
    pub(crate) connecting: u32,
    pub(crate) idle: u32,
    pub(crate) failing: u32,
}

impl Tally {
    /// Counts one endpoint.
    pub(crate) const fn add(&mut self, state: Connectivity) {
        match state {
            Connectivity::Ready => self.ready += 1,
            Connectivity::Connecting => self.connecting += 1,
            Connectivity::Idle => self.idle += 1,
            Connectivity::TransientFailure | Connectivity::Shutdown => self.failing += 1,
        }
    }

    /// The channel's state under a policy that keeps all its endpoints connected. IDLE counts as
    /// CONNECTING: such a policy dials again at once. No endpoint at all is TRANSIENT_FAILURE.
    pub(crate) const fn aggregate(&self) -> Connectivity {
        if self.ready > 0 {
            Connectivity::Ready
        } else if self.connecting > 0 || self.idle > 0 {
            Connectivity::Connecting
        } else {
            Connectivity::TransientFailure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Connectivity::{Connecting, Idle, Ready, Shutdown, TransientFailure};

    fn aggregate(states: &[Connectivity]) -> Connectivity {
        let mut tally = Tally::default();
        states.iter().for_each(|&state| tally.add(state));
        tally.aggregate()
    }

    #[test]
    fn the_best_state_wins() {
        assert_eq!(aggregate(&[TransientFailure, Connecting, Ready]), Ready);
        assert_eq!(aggregate(&[TransientFailure, Connecting]), Connecting);
        assert_eq!(aggregate(&[TransientFailure, Idle]), Connecting);
        assert_eq!(aggregate(&[TransientFailure, Shutdown]), TransientFailure);
        assert_eq!(aggregate(&[]), TransientFailure);
    }

    #[test]
    fn numbers_are_grpcs() {
        for number in 0..5 {
            assert_eq!(Connectivity::from_number(number).map(|s| s as u32), Some(number));
        }
        assert_eq!(Connectivity::from_number(5), None);
    }
}
