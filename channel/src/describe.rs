//! What a channel tells about itself: as JSON, as numbers, and as the reason of a failed call.

use std::time::Instant;

use evener_core::{Connectivity, FailReason, Health};
use serde_json::{Value, json};

use crate::control::Control;
use crate::engine::Shared;
use crate::subchannels::{Phase, Subchannel, clip};

/// The longest text of a failed call, in bytes.
const MAX_FAILURE: usize = 1_024;

/// An endpoint in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStats {
    /// Its index, as in events.
    pub endpoint: u32,
    /// Its addresses as text, separated by `|`.
    pub addresses: String,
    /// Its connection's state, as the transport told it last.
    pub state: Connectivity,
    /// Its health, as the transport told it last.
    pub health: Health,
    /// Its weight.
    pub weight: u32,
    /// Whether it was removed and waits for its calls to end.
    pub draining: bool,
    /// Calls that run there now.
    pub in_flight: u64,
    /// Calls that succeeded, application errors included (see [`outcome_of`](crate::outcome_of)).
    pub ok: u64,
    /// Calls that failed or ran out of time.
    pub failed: u64,
    /// Calls that were rejected with RESOURCE_EXHAUSTED.
    pub rejected: u64,
    /// Calls that were cancelled or abandoned.
    pub other: u64,
    /// The last error the transport told, or empty; it stays when the endpoint recovers.
    pub last_error: String,
}

impl Control {
    /// Every endpoint that is not closed, in the order of their indices.
    pub(crate) fn stats(&mut self, shared: &Shared) -> Vec<EndpointStats> {
        self.count(shared);
        self.subchannels.open().map(|(index, record)| stats_of(index, record)).collect()
    }

    pub(crate) fn describe(&mut self, shared: &Shared, now: Instant) -> Value {
        self.count(shared);
        let (policy, blocks, capacity) = self.shape();
        let endpoints: Vec<Value> =
            self.subchannels.open().map(|(index, record)| describe_one(index, record)).collect();
        let config = self.config_text.as_deref().and_then(|text| serde_json::from_str(text).ok());
        json!({
            "target": shared.target,
            "authority": shared.authority,
            "state": state_name(shared.state()),
            "policy": policy.name(),
            "service_config": config.unwrap_or(Value::Null),
            "resolution": self.describe_resolution(now),
            "blocks": blocks,
            "capacity": capacity,
            "endpoints": endpoints,
        })
    }

    fn describe_resolution(&self, now: Instant) -> Value {
        let seconds = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
        json!({
            "source": self.lookup.as_ref().map_or("list", |lookup| lookup.kind()),
            "age_seconds": self.resolution.answered().map(seconds),
            "error": self.resolution.error().map(str::to_owned).or_else(|| Some(self.unusable?.to_string())),
            "waits_for_room": self.refused,
        })
    }

    /// Why calls fail now. `None` stands for a name that was never resolved.
    pub(crate) fn failure(&mut self, shared: &Shared, reason: Option<FailReason>) -> String {
        if let Some((known, text)) = &self.reasons
            && *known == reason
        {
            return text.to_string();
        }
        let text = self.failure_now(shared, reason);
        self.reasons = Some((reason, text.as_str().into()));
        text
    }

    fn failure_now(&self, shared: &Shared, reason: Option<FailReason>) -> String {
        let text = match reason {
            Some(FailReason::AllFailing) => self.all_failing(),
            Some(FailReason::NotServing) => self.not_serving(),
            Some(_) => format!("no endpoints: the list of {} is empty", shared.target),
            None => format!("name resolution failed for {}", shared.target) + &self.refusal(),
        };
        let between = if reason == Some(FailReason::AllFailing) { "; " } else { ": " };
        let lookup = self.resolution.error().map(|error| format!("{between}{error}"));
        clip(&(text + &lookup.unwrap_or_default()), MAX_FAILURE)
    }

    fn refusal(&self) -> String {
        self.unusable.map(|error| format!(": {error}")).unwrap_or_default()
    }

    fn all_failing(&self) -> String {
        let live = self.subchannels.open().filter(|(_, record)| record.phase == Phase::Live);
        let failing = live.map(|(_, record)| {
            move || {
                let reason = Some(&record.last_error).filter(|error| !error.is_empty());
                format!("{}: {}", record.addresses(), reason.map_or("no reason given", String::as_str))
            }
        });
        join("failed to connect to all addresses", failing)
    }

    fn not_serving(&self) -> String {
        let serves_not =
            |record: &Subchannel| record.phase == Phase::Live && record.health == Health::NotServing;
        let idle = self.subchannels.open().filter(|(_, record)| serves_not(record));
        join("all connected endpoints report NOT_SERVING", idle.map(|(_, record)| || record.addresses()))
    }
}

/// `head; item; item; and 5 more`, not much longer than a failure may be.
///
/// The first item that does not fit ends the list: of thousands no more are written out than are shown.
fn join(head: &str, items: impl Iterator<Item = impl FnOnce() -> String>) -> String {
    let mut text = head.to_owned();
    let (mut left, mut full) = (0, false);
    for item in items {
        let item = if full { String::new() } else { clip(&item(), MAX_FAILURE / 2) };
        full |= text.len() + item.len() > MAX_FAILURE - 100;
        if full {
            left += 1;
            continue;
        }
        text.push_str("; ");
        text.push_str(&item);
    }
    if left > 0 {
        text.push_str(&format!("; and {left} more"));
    }
    text
}

fn stats_of(index: u32, record: &Subchannel) -> EndpointStats {
    let totals = record.totals();
    EndpointStats {
        endpoint: index,
        addresses: record.addresses(),
        state: record.state,
        health: record.health,
        weight: record.endpoint.weight,
        draining: record.phase == Phase::Draining,
        in_flight: record.in_flight(),
        ok: totals.ok,
        failed: totals.failed,
        rejected: totals.rejected,
        other: totals.other,
        last_error: record.last_error.clone(),
    }
}

fn describe_one(index: u32, record: &Subchannel) -> Value {
    let stats = stats_of(index, record);
    json!({
        "endpoint": index,
        "addresses": record.endpoint.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "target": record.target,
        "state": state_name(stats.state),
        "health": health_name(stats.health),
        "weight": stats.weight,
        "zone": record.endpoint.zone,
        "metadata": record.endpoint.metadata,
        "draining": stats.draining,
        "in_flight": stats.in_flight,
        "ok": stats.ok,
        "failed": stats.failed,
        "rejected": stats.rejected,
        "other": stats.other,
        "last_error": stats.last_error,
    })
}

/// gRPC's name of a state.
pub const fn state_name(state: Connectivity) -> &'static str {
    match state {
        Connectivity::Idle => "IDLE",
        Connectivity::Connecting => "CONNECTING",
        Connectivity::Ready => "READY",
        Connectivity::TransientFailure => "TRANSIENT_FAILURE",
        Connectivity::Shutdown => "SHUTDOWN",
    }
}

const fn health_name(health: Health) -> &'static str {
    match health {
        Health::Unknown => "UNKNOWN",
        Health::Serving => "SERVING",
        Health::NotServing => "NOT_SERVING",
    }
}
