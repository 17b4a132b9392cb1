//! What a watch is to be like.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::pipeline::PipelineOptions;
use crate::probe::ProbeOptions;
use crate::target::DnsParameters;

/// How a target is watched. Watches of the same target share one connection to its registry exactly where their
/// options are equal.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchOptions {
    /// What is held back, for how long, and how much may leave at once.
    pub pipeline: PipelineOptions,
    /// What the registry is asked with.
    pub credentials: Credentials,
    /// How DNS is asked; other kinds of targets ignore it.
    pub dns: DnsOptions,
    /// How the endpoints are probed, for sources that know nothing of their health. One that fails is published as
    /// unhealthy at once, and as it was when it passes again; the rest of the set is none of the probes' business.
    /// `None` probes nothing. It needs a build with the feature `probes`.
    pub probe: Option<ProbeOptions>,
    /// A directory where the last known endpoints are kept for a start at which the registry is down. `None` keeps
    /// nothing. It is made if it is not there; one file per target, readable by the user alone, without secrets. While a part of
    /// the source (one of several datacenters) cannot be asked nothing is written.
    pub snapshot_dir: Option<PathBuf>,
    /// How old a snapshot may be to be used at a start: 7 days; zero: however old.
    pub snapshot_max_age: Duration,
    /// How long a watch goes on after its last user has left, for whoever opens it again: 5 s.
    pub linger: Duration,
    /// Makes jitter repeatable. `None` is a random seed.
    pub seed: Option<u64>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            pipeline: PipelineOptions::default(),
            credentials: Credentials::default(),
            dns: DnsOptions::default(),
            probe: None,
            snapshot_dir: None,
            snapshot_max_age: Duration::from_secs(7 * 24 * 3600),
            linger: Duration::from_secs(5),
            seed: None,
        }
    }
}

/// How names are looked up in DNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsOptions {
    /// The servers to ask, in this order. Empty takes those of `/etc/resolv.conf`; a server in the target goes
    /// before both.
    pub servers: Vec<SocketAddr>,
    /// From one answer to the next question, instead of what the records' time to live says.
    pub refresh: Option<Duration>,
    /// The least time from an answer to the next question, whatever the records or a lost connection ask for: 5 s.
    pub min_interval: Duration,
    /// The longest time from an answer to the next question where the records' time to live decides: 5 minutes.
    pub max_interval: Duration,
    /// Whether `TXT` records at `_grpc_config.NAME` are asked for a service config (gRFC A2). Off: whoever can write
    /// there can turn a client's traffic.
    pub service_config: bool,
    /// The client's language, which such a service config may be meant for: `rust` unless set, `c++`, `python`...
    pub language: String,
    /// Whether the system's resolver (`getaddrinfo`) is asked, for names that only it knows (nsswitch, mDNS). It
    /// tells no time to live: names are asked again every 30 s unless `refresh` says otherwise.
    pub system: bool,
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            refresh: None,
            min_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(300),
            service_config: false,
            language: "rust".to_owned(),
            system: false,
        }
    }
}

impl DnsOptions {
    /// The same with what a target itself says.
    pub(crate) fn with(&self, parameters: &DnsParameters) -> Self {
        Self { refresh: parameters.refresh.or(self.refresh), ..self.clone() }
    }
}
