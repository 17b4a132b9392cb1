//! gRPC's service config: which policy balances, and what holds for which method.
//!
//! [`ServiceConfig::parse`] reads the JSON that gRPC reads (`grpc.service_config`,
//! `SetServiceConfigJSON`), by the same rules: an unknown field is ignored, a known field that is
//! wrong refuses the whole config and says where, null counts as absent, durations are proto3's
//! (`"1.5s"`), and numbers may stand in strings. Where gRPC's implementations differ, what proto3's JSON
//! or gRFC A6 allows is taken: `4.0` for 4, a status code by number or in lower case.
//!
//! Three things differ on purpose. Without a `loadBalancingConfig` the policy is `round_robin`:
//! gRPC's own default, `pick_first`, sends everything to one server, which is its users' most
//! frequent complaint. `pick_random` is a policy. And what is read but not obeyed yet is answered by
//! a [`Warning`] that says so, never by silence.
//!
//! ```
//! use evener_channel::config::ServiceConfig;
//! use std::time::Duration;
//!
//! let parsed = ServiceConfig::parse(
//!     r#"{"loadBalancingConfig": [{"pick_random": {}}],
//!         "methodConfig": [{"name": [{"service": "user.UserService"}], "timeout": "1.5s"}]}"#,
//! )?;
//! assert_eq!(parsed.config.policy.name(), "pick_random");
//! assert_eq!(parsed.config.method("/user.UserService/Get").timeout, Some(Duration::from_millis(1500)));
//! assert_eq!(parsed.config.method("/other.Service/Get").timeout, None);
//!
//! let error = ServiceConfig::parse(r#"{"methodConfig": [{"name": [{}], "timeout": "1.5"}]}"#).unwrap_err();
//! assert_eq!(error.path, "methodConfig[0].timeout");
//! # Ok::<(), evener_channel::config::ConfigError>(())
//! ```

pub mod duration;
mod error;
mod lint;
mod lookup;
mod method;
mod parse;
mod policy;
mod retry;
mod schema;
mod service;
mod spelling;
mod status;

pub use error::{ConfigError, Parsed, Warning};
pub(crate) use lint::{MISPLACED_RETRY, MendedRetry};
pub(crate) use parse::FIELDS as SERVICE_CONFIG_FIELDS;
pub use schema::{
    Attempts, ConnectionScaling, HealthCheck, HedgingPolicy, LoadReports, Locality, MethodConfig,
    RetryPolicy, RetryThrottling,
};
pub use service::ServiceConfig;
pub use status::StatusCodes;

#[cfg(test)]
mod tests;
