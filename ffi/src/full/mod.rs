//! Channels: targets, resolution, service config, waiting calls, over the `channel` crate. Needs std.
//!
//! A program has one driver (or a few) and any number of channels. The transport is the program's: it takes events from the
//! driver, connects, reports states, and asks the channel where each call goes.

mod call;
mod channel;
#[cfg(feature = "registries")]
mod config;
mod credentials;
mod driver;
mod endpoints;
mod fields;
mod lint;
mod object;
mod options;
mod probe;
#[cfg(feature = "registries")]
mod probing;
#[cfg(feature = "registries")]
mod registration;
#[cfg(feature = "registries")]
mod resolvers;
#[cfg(feature = "registries")]
mod secrets;
#[cfg(feature = "registries")]
mod service;
mod text;

pub use call::*;
pub use channel::*;
#[cfg(feature = "registries")]
pub use config::*;
pub use credentials::evener_credentials;
pub use driver::*;
pub use endpoints::{evener_address_endpoint, evener_condition, evener_named_list, evener_pair};
pub use fields::EVENER_OFF;
pub use lint::*;
pub use options::{evener_channel_options, evener_stale_policy};
pub use probe::evener_probe;
#[cfg(feature = "registries")]
pub use registration::*;
#[cfg(feature = "registries")]
pub use resolvers::*;
#[cfg(feature = "registries")]
pub use service::{evener_check, evener_check_kind, evener_service, evener_word};
pub use text::{evener_redact_target, evener_text};
