//! A valid service config as a whole.

use evener_core::Policy;

use super::lookup::MethodTable;
use super::schema::{ConnectionScaling, HealthCheck, LoadReports, Locality, MethodConfig, RetryThrottling};

/// The policy that is a tier for each distance, and `weighted_round_robin` within one.
pub(super) const LOCALITY_WEIGHTED: &str = "locality_weighted";

/// A valid service config. The default is what holds where none is given: `round_robin`, nothing else.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// The first policy of `loadBalancingConfig` that evener can run, else `loadBalancingPolicy`, else
    /// `round_robin`.
    ///
    /// That is how endpoints of one tier are picked: `weighted_round_robin` for `locality_weighted`; see
    /// [`ServiceConfig::policy_name`].
    pub policy: Policy,
    /// The client's place, where the policy is `locality_weighted`: in each priority the endpoints of the own
    /// zone come first, those of the own region next, all others last. What is `None` here is taken from
    /// [`ChannelOptions`](crate::ChannelOptions), and then from the environment (`EVENER_ZONE`, `EVENER_REGION`).
    pub locality: Option<Locality>,
    /// Parameters of `weighted_round_robin` that concern weights from load reports (gRFC A58). Not obeyed
    /// yet.
    pub load_reports: Option<LoadReports>,
    /// When to stop retrying. Not obeyed yet.
    pub retry_throttling: Option<RetryThrottling>,
    /// The service whose health each server is to be asked for, unless the policy is `pick_first`: see
    /// [`ServiceConfig::asked_health`].
    pub health_check: Option<HealthCheck>,
    /// How many connections an endpoint may have. Not obeyed yet.
    pub connection_scaling: Option<ConnectionScaling>,
    pub(super) methods: MethodTable,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            policy: Policy::RoundRobin,
            locality: None,
            load_reports: None,
            retry_throttling: None,
            health_check: None,
            connection_scaling: None,
            methods: MethodTable::default(),
        }
    }
}

impl ServiceConfig {
    /// The policy's name as a config writes it, without `_experimental`.
    pub fn policy_name(&self) -> &'static str {
        if self.locality.is_some() { LOCALITY_WEIGHTED } else { self.policy.name() }
    }

    /// The health check that transports are to make: none under `pick_first`, as gRFC A17 says.
    pub fn asked_health(&self) -> Option<&HealthCheck> {
        self.health_check.as_ref().filter(|_| !matches!(self.policy, Policy::PickFirst { .. }))
    }

    /// What holds for a method, by its path as gRPC sends it: `/package.Service/Method`.
    ///
    /// The most specific name wins: the method's, then its service's, then the empty one. Neither
    /// allocates nor locks; any text is a valid argument.
    pub fn method(&self, path: &str) -> &MethodConfig {
        self.methods.find(path).unwrap_or(const { &MethodConfig::UNSET })
    }
}
