//! How a registration is doing.

use std::time::Instant;

use serde_json::{Value, json};

use crate::event::SourceError;

/// Where a registration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// It has not been in the registry yet.
    Registering,
    /// It is in the registry.
    Registered {
        /// Since when, without a break that was noticed.
        since: Instant,
    },
    /// It was in the registry, and as far as is known it is not now. It will be again.
    Lost {
        /// Since when.
        since: Instant,
        /// Why.
        cause: SourceError,
    },
    /// It is marked as leaving, and still kept alive.
    Draining,
    /// It is over: taken away, or given up at its deadline.
    Closed,
}

impl RegistrationState {
    /// `registering`, `registered`, `lost`, `draining` or `closed`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registering => "registering",
            Self::Registered { .. } => "registered",
            Self::Lost { .. } => "lost",
            Self::Draining => "draining",
            Self::Closed => "closed",
        }
    }
}

/// A registration in words and numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationStatus {
    /// Where it stands.
    pub state: RegistrationState,
    /// The registry's target, without secrets.
    pub target: String,
    /// The instance's id, once it is known.
    pub id: Option<String>,
    /// `HOST:PORT` as it is registered, once it is known.
    pub address: Option<String>,
    /// What is to be known of it although nothing went wrong: that no address was found that others can use, or that
    /// a part of the definition has no effect in this registry.
    pub remark: Option<String>,
    /// What went wrong last, unless something has gone well since.
    pub last_error: Option<SourceError>,
    /// How often the record was written.
    pub publications: u64,
    /// How many signs of life the registry took.
    pub beats: u64,
    /// How often the registration was found gone or damaged, and written again.
    pub repairs: u64,
    /// How often something went wrong.
    pub errors: u64,
}

impl RegistrationStatus {
    pub(super) const fn new(target: String) -> Self {
        Self {
            state: RegistrationState::Registering,
            target,
            id: None,
            address: None,
            remark: None,
            last_error: None,
            publications: 0,
            beats: 0,
            repairs: 0,
            errors: 0,
        }
    }

    /// The status as JSON: `state`, `since_seconds` and `cause` where the state has them, `target`, `id`, `address`,
    /// `remark`, `last_error`, `publications_total`, `beats_total`, `repairs_total`, `errors_total`.
    pub fn to_json(&self, now: Instant) -> Value {
        let (since, cause) = match &self.state {
            RegistrationState::Registered { since } => (Some(*since), None),
            RegistrationState::Lost { since, cause } => (Some(*since), Some(&cause.message)),
            _ => (None, None),
        };
        json!({
            "state": self.state.name(),
            "since_seconds": since.map(|since| now.saturating_duration_since(since).as_secs_f64()),
            "cause": cause,
            "target": self.target,
            "id": self.id,
            "address": self.address,
            "remark": self.remark,
            "last_error": self.last_error.as_ref().map(|error| &error.message),
            "publications_total": self.publications,
            "beats_total": self.beats,
            "repairs_total": self.repairs,
            "errors_total": self.errors,
        })
    }
}
