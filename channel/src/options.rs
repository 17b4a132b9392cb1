//! What a channel may be told when it is opened, and why that can fail.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "runtime")]
use evener_discovery::credentials::Credentials;
use evener_discovery::pipeline::PipelineOptions;
#[cfg(feature = "runtime")]
use evener_discovery::probe::ProbeOptions;
use evener_discovery::target::redact;
use evener_discovery::{Endpoint, NamedLists, SourceError, TargetError};

use crate::config::ConfigError;

/// How a channel is to work. Every field has a default. `Debug` shows no secret of its targets.
#[derive(Clone)]
pub struct ChannelOptions {
    /// The endpoints, given by the application instead of the target. The target then only names the
    /// channel. [`Channel::update_endpoints`](crate::Channel::update_endpoints) replaces them.
    pub endpoints: Option<Vec<Endpoint>>,
    /// gRPC's service config, as JSON. Without one the policy is `round_robin`.
    ///
    /// Where several are known the first of these is in force: the one of `service_config_source`, the one from DNS if
    /// `service_config_from_dns` is set, this one (or what
    /// [`Channel::set_service_config`](crate::Channel::set_service_config) has put in its place), and the one that a
    /// resolver of the application's own has pushed.
    pub service_config: Option<String>,
    /// The lists that `static:///NAME` may name.
    pub named_lists: Option<NamedLists>,
    /// A JSON file of such lists. It is read again when it changes, looked at once a second. Refused together with
    /// `named_lists`.
    pub static_file: Option<PathBuf>,
    /// How long calls may go on at an endpoint that was removed, before they are to be cancelled.
    /// 30 s; zero is for ever, and more than 30 minutes count as 30 minutes.
    pub drain_timeout: Duration,
    /// From one DNS answer to the next lookup, varied by 10 %. `None` is what the records' time to live says (5 s to
    /// 5 minutes), and 30 s with the system's resolver, which tells none. At least one second, at most 30 minutes.
    pub dns_refresh: Option<Duration>,
    /// The least time from a DNS answer to a lookup that a failed connection asks for: 5 s. At most 30
    /// minutes.
    pub dns_min_interval: Duration,
    /// The DNS servers to ask, in this order. Empty asks those of `/etc/resolv.conf`; a server in the target goes before
    /// both.
    pub dns_servers: Vec<SocketAddr>,
    /// Whether the system's resolver (`getaddrinfo`) is asked instead of DNS servers, for names that only it knows
    /// (nsswitch, mDNS). The environment variable `GRPC_DNS_RESOLVER=native` asks for it as well.
    pub system_dns: bool,
    /// Whether a service config is taken from `TXT` records at `_grpc_config.NAME` (gRFC A2). Off: whoever can write
    /// there can turn this client's traffic. See [`ChannelOptions::service_config`] for what goes first.
    pub service_config_from_dns: bool,
    /// The client's language, which a choice of such a config may be meant for (`clientLanguage`): `rust` unless set; gRPC's own
    /// names are `c++`, `python`, `go`, `java` and so on.
    pub dns_language: String,
    /// A key in a registry whose value is the service config, live: `consul:///config/user-service` or
    /// `etcd:///config/user-service`. It is read when the channel is first used, and every change is taken over. The first
    /// calls wait for it, unless it cannot be asked, for as long as `initial_timeout` says. A value that is wrong, or a key
    /// that is deleted, is refused with a warning; the one before stays.
    pub service_config_source: Option<String>,
    /// How long the first calls wait for the target's first answer before they fail (and the fallback target is used), and
    /// for that of `service_config_source` before they go on without it: 5 s; zero is for ever. An answer of the registry
    /// that waiting cannot mend is not waited for. Calls that wait for ready go on waiting.
    pub initial_timeout: Duration,
    /// A target to use while the main one has never answered: from when calls would otherwise fail, until the main one
    /// answers, and never after that. Refused with [`endpoints`](Self::endpoints); a target whose endpoints are written out
    /// answers at once and never needs it.
    pub fallback_target: Option<String>,
    /// What of the target's changes is held back, for how long, and how much may leave at once. It does not concern
    /// lists that are written out, files and, unless its endpoints are probed, the system's resolver.
    pub pipeline: PipelineOptions,
    /// A directory where the last known endpoints are kept for a start at which the registry is down. `None` keeps
    /// nothing. Its files are named by the target as it is written: whoever changes by the environment or by credentials
    /// which registry that means gives each a directory of its own. While one of several datacenters cannot be asked nothing is
    /// written. What the system's resolver says is kept only where its endpoints are probed.
    pub snapshot_dir: Option<PathBuf>,
    /// How old what is there may be to be used at a start: 7 days; zero: however old.
    pub snapshot_max_age: Duration,
    /// What registries are asked with: the target's, the fallback's and the service config's.
    #[cfg(feature = "runtime")]
    pub credentials: Credentials,
    /// How the endpoints are probed, for targets whose registry knows nothing of their health: DNS, lists that are written out or
    /// named, a bare etcd prefix. One that fails gets no calls from then on, and calls again when it passes; `describe` counts
    /// them (`failing_probes`). `None` probes nothing. The fallback's endpoints are probed as well, once it is in use.
    ///
    /// It goes with every target. Refused with [`endpoints`](Self::endpoints) and [`static_file`](Self::static_file), whose
    /// conditions are the application's to say.
    #[cfg(feature = "runtime")]
    pub probe: Option<ProbeOptions>,
    /// Makes the order of picks, shuffles and jitter repeatable. `None` is a random seed.
    pub seed: Option<u64>,
    /// The authority, where the target's own is not wanted.
    pub default_authority: Option<String>,
    /// The zone this client runs in, for the policy `locality_weighted`. `None` is what the environment says
    /// (`EVENER_ZONE`) when the channel is opened; the policy's own `zone` goes before both.
    pub zone: Option<String>,
    /// The region that zone is in; likewise (`EVENER_REGION`).
    pub region: Option<String>,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            endpoints: None,
            service_config: None,
            named_lists: None,
            static_file: None,
            drain_timeout: Duration::from_secs(30),
            dns_refresh: None,
            dns_min_interval: Duration::from_secs(5),
            dns_servers: Vec::new(),
            system_dns: false,
            service_config_from_dns: false,
            dns_language: "rust".to_owned(),
            service_config_source: None,
            initial_timeout: Duration::from_secs(5),
            fallback_target: None,
            pipeline: PipelineOptions::default(),
            snapshot_dir: None,
            snapshot_max_age: Duration::from_secs(7 * 24 * 3600),
            #[cfg(feature = "runtime")]
            credentials: Credentials::default(),
            #[cfg(feature = "runtime")]
            probe: None,
            seed: None,
            default_authority: None,
            zone: None,
            region: None,
        }
    }
}

impl fmt::Debug for ChannelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = |target: &Option<String>| target.as_deref().map(redact);
        let mut shown = f.debug_struct("ChannelOptions");
        shown
            .field("endpoints", &self.endpoints)
            .field("service_config", &self.service_config)
            .field("named_lists", &self.named_lists)
            .field("static_file", &self.static_file)
            .field("drain_timeout", &self.drain_timeout)
            .field("dns_refresh", &self.dns_refresh)
            .field("dns_min_interval", &self.dns_min_interval)
            .field("dns_servers", &self.dns_servers)
            .field("system_dns", &self.system_dns)
            .field("service_config_from_dns", &self.service_config_from_dns)
            .field("dns_language", &self.dns_language)
            .field("service_config_source", &redacted(&self.service_config_source))
            .field("initial_timeout", &self.initial_timeout)
            .field("fallback_target", &redacted(&self.fallback_target))
            .field("pipeline", &self.pipeline)
            .field("snapshot_dir", &self.snapshot_dir)
            .field("snapshot_max_age", &self.snapshot_max_age);
        #[cfg(feature = "runtime")]
        shown.field("credentials", &self.credentials).field("probe", &self.probe);
        shown
            .field("seed", &self.seed)
            .field("default_authority", &self.default_authority)
            .field("zone", &self.zone)
            .field("region", &self.region)
            .finish()
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
    /// A target is right and cannot be used here: the build has nothing for it, or an option does not fit.
    Source(SourceError),
    /// The driver was shut down.
    ShutDown,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Endpoints(error) => error.fmt(f),
            Self::Source(error) => error.fmt(f),
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
            Self::Source(error) => Some(error),
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
