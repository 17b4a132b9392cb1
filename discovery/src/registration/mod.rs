//! Servers that register themselves, and stay registered.
//!
//! [`Runtime::register`](crate::runtime::Runtime::register) begins; a [`Registration`] is what it answers. It is kept
//! for ever: published, kept alive, read back now and then, and published again whenever it is gone, however long the
//! registry was away. It ends in the right order: marked as leaving, given time, taken away. That loop is written once;
//! what each registry does for it is a [`Registrar`].

#[cfg(feature = "runtime")]
mod address;
#[cfg(feature = "consul")]
mod consul;
mod definition;
#[cfg(feature = "runtime")]
mod desk;
#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "runtime")]
mod handle;
#[cfg(feature = "runtime")]
mod keeper;
#[cfg(feature = "runtime")]
mod open;
#[cfg(feature = "runtime")]
mod options;
#[cfg(feature = "runtime")]
mod registrar;
pub(crate) mod shown;
#[cfg(feature = "runtime")]
mod status;

pub use crate::record::consul::definition::services as from_consul;
pub use definition::{Check, CheckKind, MIN_TTL, ServiceDefinition};
#[cfg(feature = "runtime")]
pub use handle::Registration;
#[cfg(feature = "runtime")]
pub use options::{Ready, ReadyProbe, RegistrationOptions};
#[cfg(feature = "runtime")]
pub use registrar::{Beat, Finding, Published, Record, Registrar};
#[cfg(feature = "runtime")]
pub use status::{RegistrationState, RegistrationStatus};

/// The environment variable that says under which address this machine's servers are reached: `HOST` or `HOST:PORT`.
pub const ADVERTISE_ENV: &str = "EVENER_ADVERTISE_ADDRESS";
