//! What Consul writes: the health of a service's instances, keys, and the files that define services.

#[cfg(feature = "consul")]
pub(crate) mod agent;
pub mod definition;
pub mod duration;
pub mod health;
pub mod kv;
