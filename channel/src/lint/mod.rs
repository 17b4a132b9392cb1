//! What a careful colleague would say of a target, a service config, a Consul definition or a channel's
//! arguments before they go into production.
//!
//! Everything here is pure: nothing is resolved, read or asked. [`document`] reads whatever a file may hold,
//! [`target`] a target alone. Findings come in the order of the document; what would be refused outright comes
//! first and as an [`Severity::Error`].
//!
//! ```
//! use evener_channel::lint::{self, Severity};
//!
//! let findings = lint::document(r#"{"retryPolicy": {"maxAttempts": 3}}"#);
//! assert_eq!(findings[0].place, "retryPolicy");
//! assert_eq!(findings[0].severity, Severity::Error);
//! assert!(findings[0].corrected.as_ref().is_some_and(|text| text.contains("methodConfig")));
//! ```

mod definition;
mod document;
mod finding;
mod keepalive;
mod kind;
mod retries;
mod service_config;
mod spelling;
mod target;

pub use document::{channel_args_document, document};
pub use finding::{Finding, Severity, to_json};
pub use keepalive::channel_args;
pub use service_config::service_config;
pub use target::target;

#[cfg(test)]
mod tests;
