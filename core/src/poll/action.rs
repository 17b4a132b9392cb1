//! What the host is asked to do.

use crate::handle::Handle;
use crate::state::connectivity::Connectivity;

/// One thing for the host to do or to know, as [`Controller::poll`](crate::Controller::poll) hands it out.
///
/// Actions are kept as bits of what is due, never as a queue of events: none is lost or overflows, and what was undone before
/// it was told is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect this endpoint and report its connectivity from now on. Asked again only after the host has
    /// reported IDLE.
    Connect {
        /// Which endpoint.
        handle: Handle,
        /// The host's own value for it.
        user: u64,
    },
    /// Drop this endpoint's connection; calls on it may go on. Only pick_first asks for it.
    Disconnect {
        /// Which endpoint.
        handle: Handle,
        /// The host's own value for it.
        user: u64,
    },
    /// The endpoint has left and its time to drain is over: cancel the calls that are still running.
    CancelCalls {
        /// Which endpoint.
        handle: Handle,
        /// The host's own value for it.
        user: u64,
    },
    /// The endpoint has left and its last call is over: nothing refers to `user` any more.
    Close {
        /// Which endpoint; the handle is stale now.
        handle: Handle,
        /// The host's own value for it.
        user: u64,
    },
    /// After an update was refused for lack of room: an endpoint has drained, try again.
    RoomAgain,
    /// Connections were lost or cannot be made: ask the resolver for a fresh list.
    Reresolve,
    /// The state of the whole channel is another one.
    StateChanged(Connectivity),
}
