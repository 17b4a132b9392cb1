//! The results of reading a service config: what was accepted, what was refused, what to know.

use std::fmt;

use evener_discovery::json::JsonError;

use super::service::ServiceConfig;

/// A service config that was accepted, and what its author should know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parsed {
    /// The config.
    pub config: ServiceConfig,
    /// What is not obeyed yet, and what most likely does not mean what was meant; in the order of
    /// the document's parts.
    pub warnings: Vec<Warning>,
}

/// Something in a valid service config that its author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The place, as in `methodConfig[1].retryPolicy`.
    pub path: String,
    /// What to know about it: a whole sentence or several.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service config: {}: {}", self.path, self.text)
    }
}

/// Collects the warnings of one parse.
#[derive(Debug, Default)]
pub(super) struct Warnings(pub(super) Vec<Warning>);

impl Warnings {
    pub(super) fn push(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Warning { path: path.into(), text: text.into() });
    }
}

/// Why a service config was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The place, as in `methodConfig[1].retryPolicy.maxAttempts`; empty for the document as a whole.
    pub path: String,
    /// What is wrong there; reads on after the path.
    pub reason: String,
}

impl From<JsonError> for ConfigError {
    fn from(error: JsonError) -> Self {
        Self { path: error.path, reason: error.reason }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "invalid service config: the document {}", self.reason),
            path => write!(f, "invalid service config: {path}: {}", self.reason),
        }
    }
}

impl std::error::Error for ConfigError {}
