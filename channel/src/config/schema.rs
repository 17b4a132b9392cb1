//! The parts of a service config, once they have been found valid.

use std::time::Duration;

use super::status::StatusCodes;

/// What holds for a method: one entry of `methodConfig`, whole; entries are never mixed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MethodConfig {
    /// Longest time a call may take; a shorter deadline of the application wins.
    pub timeout: Option<Duration>,
    /// Whether a call waits while the channel is failing; what the application says wins.
    pub wait_for_ready: Option<bool>,
    /// Largest request in bytes, 0 included; a smaller limit of the application wins.
    pub max_request_bytes: Option<u64>,
    /// Largest response in bytes, 0 included; a smaller limit of the application wins.
    pub max_response_bytes: Option<u64>,
    /// Whether and how a call is tried more than once. Not obeyed yet.
    pub attempts: Option<Attempts>,
}

impl MethodConfig {
    /// Nothing said.
    pub(super) const UNSET: Self = Self {
        timeout: None,
        wait_for_ready: None,
        max_request_bytes: None,
        max_response_bytes: None,
        attempts: None,
    };
}

impl Default for MethodConfig {
    fn default() -> Self {
        Self::UNSET
    }
}

/// The two ways of trying a call more than once (gRFC A6), of which a method has at most one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attempts {
    /// One after the other, each when the one before it has failed.
    Retry(RetryPolicy),
    /// At the same time, each a while after the one before it.
    Hedging(HedgingPolicy),
}

/// `retryPolicy`. The delay before retry n is `initial_backoff * multiplier^(n-1)`, at most
/// `max_backoff`, times a random factor from 0.8 to 1.2.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all, the first one included: 2 to 5.
    pub max_attempts: u32,
    /// Delay before the first retry; more than 0.
    pub initial_backoff: Duration,
    /// Longest delay; more than 0.
    pub max_backoff: Duration,
    /// What the delay is multiplied by after each retry; more than 0, finite.
    pub multiplier: f64,
    /// The statuses that are worth a retry; empty only if `per_attempt_timeout` is there.
    pub codes: StatusCodes,
    /// Longest time one attempt may take, `perAttemptRecvTimeout`; more than 0.
    pub per_attempt_timeout: Option<Duration>,
}

/// `hedgingPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HedgingPolicy {
    /// Attempts in all, the first one included: 2 to 5.
    pub max_attempts: u32,
    /// Time from one attempt to the next; 0 starts all at once.
    pub delay: Duration,
    /// The statuses after which the other attempts go on; any other one ends the call.
    pub non_fatal_codes: StatusCodes,
}

/// `retryThrottling`, in thousandths of a token: gRPC gives the ratio three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryThrottling {
    /// Tokens at the start and at most: 1 to 1 000 000 thousandths.
    pub max_milli_tokens: u32,
    /// What a success adds, at least 1 thousandth; what goes beyond `max_milli_tokens` adds no more.
    pub milli_token_ratio: u32,
}

/// Where a client runs, as `locality_weighted` says or the channel's options and environment do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// Its zone; compared with [`Endpoint::zone`](evener_discovery::Endpoint::zone).
    pub zone: Option<String>,
    /// Its region.
    pub region: Option<String>,
}

/// `healthCheckConfig` with a service name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheck {
    /// The service asked for; empty for the server as a whole.
    pub service_name: String,
}

/// `connectionScaling` (gRFC A105).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionScaling {
    /// Most connections to one endpoint, at least 1.
    pub max_connections_per_subchannel: u32,
}

/// Parameters of `weighted_round_robin` (gRFCs A58 and A114) with gRPC's defaults filled in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoadReports {
    /// Whether servers are asked for reports on a stream of its own.
    pub enable_oob_load_report: bool,
    /// How often a server is to report there; 10 s unless given.
    pub oob_reporting_period: Duration,
    /// How long a server must have reported before its weight counts; 10 s unless given.
    pub blackout_period: Duration,
    /// After how long without a report a weight counts no more; 3 min unless given.
    pub weight_expiration_period: Duration,
    /// How often weights are taken over; 1 s unless given, at least 100 ms.
    pub weight_update_period: Duration,
    /// By how much errors lower a weight; not negative, 1 unless given.
    pub error_utilization_penalty: f64,
    /// The metrics whose greatest value is the utilization; empty for gRPC's own choice.
    pub utilization_metrics: Vec<String>,
}

impl Default for LoadReports {
    fn default() -> Self {
        Self {
            enable_oob_load_report: false,
            oob_reporting_period: Duration::from_secs(10),
            blackout_period: Duration::from_secs(10),
            weight_expiration_period: Duration::from_secs(180),
            weight_update_period: Duration::from_secs(1),
            error_utilization_penalty: 1.0,
            utilization_metrics: Vec::new(),
        }
    }
}
