//! What a channel may be told when it is opened, and why that can fail.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use evener_discovery::{Endpoint, NamedLists, TargetError};

use crate::config::ConfigError;

/// How a channel is to work. Every field has a default.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// The endpoints, given by the application instead of the target. The target then only names the
    /// channel. [`Channel::update_endpoints`](crate::Channel::update_endpoints) replaces them.
    pub endpoints: Option<Vec<Endpoint>>,
    /// gRPC's service config, as JSON. Without one the policy is `round_robin`.
    pub service_config: Option<String>,
    /// The lists that `static:///NAME` may name.
    pub named_lists: Option<NamedLists>,
    /// A JSON file of such lists. It is read again when it changes, looked at once a second. Where it is
    /// given `named_lists` is not asked.
    pub static_file: Option<PathBuf>,
    /// How long calls may go on at an endpoint that was removed, before they are to be cancelled.
    /// 30 s; zero is for ever, and more than 30 minutes count as 30 minutes.
    pub drain_timeout: Duration,
    /// From one DNS answer to the next lookup: 30 s, varied by 10 %. At least one second, at most 30
    /// minutes.
    pub dns_refresh: Duration,
    /// The least time from a DNS answer to a lookup that a failed connection asks for: 5 s. At most 30
    /// minutes.
    pub dns_min_interval: Duration,
    /// Makes the order of picks, shuffles and jitter repeatable. `None` is a random seed.
    pub seed: Option<u64>,
    /// The authority, where the target's own is not wanted.
    pub default_authority: Option<String>,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            endpoints: None,
            service_config: None,
            named_lists: None,
            static_file: None,
            drain_timeout: Duration::from_secs(30),
            dns_refresh: Duration::from_secs(30),
            dns_min_interval: Duration::from_secs(5),
            seed: None,
            default_authority: None,
        }
    }
}

/// Why a channel cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The target makes no sense, or nothing here can resolve it.
    Target(TargetError),
    /// The service config is wrong.
    Config(ConfigError),
    /// The endpoints of the options cannot be taken.
    Endpoints(UpdateError),
    /// The driver was shut down.
    ShutDown,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Endpoints(error) => error.fmt(f),
            Self::ShutDown => f.write_str("the driver is shut down"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Target(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::Endpoints(error) => Some(error),
            Self::ShutDown => None,
        }
    }
}

/// Why a list of endpoints was not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// The list has more different endpoints than a channel can hold (65 534). It was dropped.
    TooMany {
        /// How many it has.
        given: usize,
    },
    /// The endpoint at this position (from 0) has no address. The list was dropped.
    NoAddress {
        /// Its position in the list.
        position: usize,
    },
    /// Together with the removed endpoints whose calls still run there are too many. The list is
    /// kept, and taken over when enough of those calls have ended.
    NoRoom,
    /// The channel is closed.
    Closed,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { given } => {
                write!(f, "{given} endpoints are more than a channel can hold (65534)")
            }
            Self::NoAddress { position } => write!(f, "the endpoint at position {position} has no address"),
            Self::NoRoom => {
                f.write_str("no room until calls at removed endpoints have ended; the list is kept")
            }
            Self::Closed => f.write_str("channel is closed"),
        }
    }
}

impl std::error::Error for UpdateError {}
