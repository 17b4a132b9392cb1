//! What a document is: told by its keys.

use serde_json::Value;

use crate::config::SERVICE_CONFIG_FIELDS;

use super::definition;
use super::finding::{Finding, Severity};

/// What is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Definition,
    Channel,
    ChannelArgs,
    ServiceConfig,
}

impl Kind {
    /// `None` where no key says so: what only looks like a kind is none of another kind yet.
    pub(super) fn of(document: &Value) -> Option<Self> {
        let has = |keys: &[&str]| keys.iter().any(|key| document.get(key).is_some());
        if definition::has_services(document) {
            return Some(Self::Definition);
        }
        if has(&["target", "service_config", "channel_args"]) {
            return Some(Self::Channel);
        }
        if has(&SERVICE_CONFIG_FIELDS) {
            return Some(Self::ServiceConfig);
        }
        if definition::is_named(document) {
            return Some(Self::Definition);
        }
        let is_argument = document.as_object()?.keys().any(|key| key.starts_with("grpc."));
        is_argument.then_some(Self::ChannelArgs)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Definition => "a Consul service definition",
            Self::Channel => "the description of a channel",
            Self::ChannelArgs => "a channel's arguments",
            Self::ServiceConfig => "a service config",
        }
    }
}

/// A document that is clearly something else than it is said to be.
pub(super) fn wrong_kind(document: &Value, said: Kind) -> Option<Finding> {
    let shown = Kind::of(document).filter(|shown| *shown != said)?;
    Some(
        Finding::new(Severity::Error, "wrong-kind", "")
            .says(format!("It is {}, not {}: nothing of it has an effect here.", shown.name(), said.name()))
            .advises("Give what is asked for here, or have it looked at as what it is: without a kind that shows in its keys."),
    )
}
