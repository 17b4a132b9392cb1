use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::freshness::Freshness;
use crate::event::{ErrorClass, SourceError};

/// Whether a set of endpoints is an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has said what there is, or it was too long ago. There are no endpoints; that does not mean that there is no
    /// server.
    #[default]
    Unknown,
    /// There are endpoints.
    Known,
    /// The source said that there are none.
    KnownEmpty,
}

impl State {
    /// `unknown`, `known` or `known_empty`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Known => "known",
            Self::KnownEmpty => "known_empty",
        }
    }
}

/// How a pipeline is doing, at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What was published last.
    pub state: State,
    /// How far it can be relied on.
    pub freshness: Freshness,
    /// How long ago the source, or any of the places that it consists of, last said that this is how it is; `None` where it never
    /// did.
    pub age: Option<Duration>,
    /// How the source counts its changes, as of the last answer.
    pub revision: Option<String>,
    /// The endpoints that are published.
    pub endpoints: EndpointCounts,
    /// What the source has said.
    pub updates: UpdateCounts,
    /// How often it could not be asked, by kind.
    pub errors: BTreeMap<ErrorClass, u64>,
    /// Why it cannot be asked now.
    pub last_error: Option<SourceError>,
    /// Records that were left out because they could not be understood or name no address.
    pub skipped: u64,
    /// Why the last one of these was.
    pub skipped_example: Option<String>,
    /// How many snapshots have been published.
    pub publications: u64,
    /// How often everything was read anew, after the first time.
    pub relists: u64,
    /// How often the source could be asked again after it could not.
    pub reconnects: u64,
}

/// Published endpoints, by condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    /// All of them.
    pub total: usize,
    /// Those that take calls.
    pub ready: usize,
    /// Those that are about to leave.
    pub draining: usize,
    /// Those whose checks fail.
    pub unhealthy: usize,
    /// Those that are kept though the source no longer reports them; counted above as well.
    pub held: usize,
    /// Those whose probes fail, whether that counts or not (where all fail it need not); counted above as well. 0 without
    /// probes.
    pub failing_probes: usize,
}

/// What a source has said, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateCounts {
    /// Everything there is.
    pub reset: u64,
    /// What changed.
    pub apply: u64,
    /// That nothing changed.
    pub confirmed: u64,
}

impl Status {
    /// The status as JSON, its times as seconds up to `now`. Its keys:
    ///
    /// - `state`: `unknown`, `known` or `known_empty`; `freshness`: `fresh`, `stale` or `unknown`
    /// - `since_seconds`, `cause` (a word) and `reason` (for people): only where it is not fresh
    /// - `age_seconds`, `revision`, `last_error`, `skipped_example`: null where there is none
    /// - `endpoints`: `{total, ready, draining, unhealthy, held, failing_probes}`
    /// - `updates_total`: `{reset, apply, confirmed}`; `errors_total`: by class, those that occurred
    /// - `parse_skipped_total`, `publications_total`, `relists_total`, `reconnects_total`
    pub fn to_json(&self, now: Instant) -> Value {
        let errors: serde_json::Map<String, Value> =
            self.errors.iter().map(|(class, count)| (class.name().to_owned(), json!(count))).collect();
        let mut object = json!({
            "state": self.state.name(),
            "freshness": self.freshness.name(),
            "age_seconds": self.age.map(|age| age.as_secs_f64()),
            "revision": self.revision,
            "endpoints": {
                "total": self.endpoints.total,
                "ready": self.endpoints.ready,
                "draining": self.endpoints.draining,
                "unhealthy": self.endpoints.unhealthy,
                "held": self.endpoints.held,
                "failing_probes": self.endpoints.failing_probes,
            },
            "updates_total": {
                "reset": self.updates.reset,
                "apply": self.updates.apply,
                "confirmed": self.updates.confirmed,
            },
            "errors_total": errors,
            "last_error": self.last_error.as_ref().map(|error| &error.message),
            "parse_skipped_total": self.skipped,
            "skipped_example": self.skipped_example,
            "publications_total": self.publications,
            "relists_total": self.relists,
            "reconnects_total": self.reconnects,
        });
        if let Freshness::Stale { since, cause } | Freshness::Unknown { since, cause } = &self.freshness
            && let Some(object) = object.as_object_mut()
        {
            let seconds = now.saturating_duration_since(*since).as_secs_f64();
            object.insert("since_seconds".to_owned(), json!(seconds));
            object.insert("cause".to_owned(), json!(cause.name()));
            object.insert("reason".to_owned(), json!(cause.to_string()));
        }
        object
    }
}
