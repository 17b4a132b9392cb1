//! What a channel asks of its transport.

use evener_core::Connectivity;

/// Something for the transport of one channel to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The token given to [`Channel::open`](crate::Channel::open); 0 for what is about no channel but a resolver.
    pub channel: u64,
    /// What to do.
    pub action: Action,
}

/// What an [`Event`] asks for.
///
/// `endpoint` is a dense index below 131 072. It means one endpoint from its first event until the
/// transport has answered [`Action::Close`] with [`Channel::closed`](crate::Channel::closed), and may
/// mean another one after that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect to the endpoint, and stay connected. Comes again for an endpoint that fell back to
    /// IDLE; asked of an endpoint that is connecting or connected, it asks nothing new.
    Connect {
        /// Which one.
        endpoint: u32,
    },
    /// Close the endpoint's connection, keep the endpoint: another one was chosen.
    Disconnect {
        /// Which one.
        endpoint: u32,
    },
    /// The endpoint was removed and its calls have had their time: cancel what still runs there.
    CancelCalls {
        /// Which one.
        endpoint: u32,
    },
    /// The endpoint is gone and no call runs there: free it, then say
    /// [`Channel::closed`](crate::Channel::closed). Comes exactly once per endpoint.
    Close {
        /// Which one.
        endpoint: u32,
    },
    /// The channel's state is another one.
    StateChanged(
        /// The new state.
        Connectivity,
    ),
    /// Calls that were told to wait should be started again.
    PickAgain,
    /// Another service config is in force, whoever gave it. Not sent for the one the channel was opened with.
    ServiceConfig {
        /// The config as it was given.
        json: String,
    },
    /// Begin to resolve a target of a scheme that was registered with
    /// [`Driver::register_polled_scheme`](crate::Driver::register_polled_scheme). Say what is known with
    /// [`Driver::resolver_push`](crate::Driver::resolver_push) and its siblings, now and at any time until
    /// [`Action::ResolveStop`]. Channels with the same target and options share it.
    ResolveStart {
        /// Which one: a number that never comes again.
        resolver: u64,
        /// The target in its canonical form.
        target: String,
    },
    /// Somebody has reason to think that what was pushed last is out of date.
    ResolveNow {
        /// Which one.
        resolver: u64,
    },
    /// The target is no longer to be resolved. What is said of it from now on is dropped.
    ResolveStop {
        /// Which one.
        resolver: u64,
    },
    /// Something for the application's log.
    Log {
        /// How bad it is.
        level: Level,
        /// One line, without a line break at its end.
        text: String,
    },
}

/// How bad a logged event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Level {
    /// Something asked for cannot be done.
    Error = 1,
    /// Something is not as it should be; the channel goes on.
    Warning = 2,
    /// A change worth knowing.
    Info = 3,
    /// Detail for whoever looks for a fault.
    Debug = 4,
}

impl Level {
    /// The level's name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}
