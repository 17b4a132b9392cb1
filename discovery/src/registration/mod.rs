//! Servers that register themselves, and stay registered.

#[cfg(feature = "consul")]
mod consul;
mod definition;
#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "runtime")]
mod options;
#[cfg(feature = "runtime")]
mod registrar;

pub use crate::record::consul::definition::services as from_consul;
pub use definition::{Check, CheckKind, MIN_TTL, ServiceDefinition};
#[cfg(feature = "runtime")]
pub use options::{Ready, ReadyProbe, RegistrationOptions};
#[cfg(feature = "runtime")]
pub use registrar::{Beat, Finding, Published, Record, Registrar};

/// The environment variable that says under which address this machine's servers are reached: `HOST` or `HOST:PORT`.
pub const ADVERTISE_ENV: &str = "EVENER_ADVERTISE_ADDRESS";
