//! A channel as JSON, for people and for tools.
//!
//! Two steps, because of the channel's mutex: a [`Snapshot`] is taken behind it, and made into JSON without
//! it. For tens of thousands of endpoints the second takes far longer than the first.

use std::time::Instant;

use evener_discovery::Endpoint;
use serde_json::{Value, json};

use crate::choice::Choice;
use crate::seating::Seating;
use crate::shared::Shared;
use crate::source::Source;
use crate::stats::{EndpointStats, health_name, state_name};

/// What is told of a channel, but for what can be read without its mutex.
#[derive(Debug)]
pub(crate) struct Snapshot {
    policy: &'static str,
    blocks: usize,
    capacity: u32,
    resolution: Value,
    waits_for_room: bool,
    config: Option<String>,
    config_origin: Option<&'static str>,
    config_fault: Option<String>,
    endpoints: Vec<(EndpointStats, Endpoint, String)>,
}

impl Snapshot {
    /// A copy of a channel's parts, their counters up to date.
    pub(crate) fn of(
        seating: &Seating,
        source: &Source,
        choice: &Choice,
        waits_for_room: bool,
        now: Instant,
    ) -> Self {
        let endpoints = seating.subchannels.open().map(|(index, record)| {
            (EndpointStats::of(index, record), record.endpoint.clone(), record.target.clone())
        });
        Self {
            policy: seating.policy_name(),
            blocks: seating.blocks(),
            capacity: seating.capacity(),
            resolution: source.describe(seating.blocks() > 0, now),
            waits_for_room,
            config: choice.in_force().map(|(_, candidate)| candidate.json.clone()),
            config_fault: choice.fault().map(str::to_owned),
            config_origin: choice.in_force().map(|(origin, _)| origin.name()),
            endpoints: endpoints.collect(),
        }
    }

    /// The whole channel.
    pub(crate) fn describe(self, shared: &Shared) -> Value {
        let config = self.config.and_then(|text| serde_json::from_str(&text).ok());
        let endpoints: Vec<Value> = self.endpoints.into_iter().map(describe_one).collect();
        json!({
            "target": shared.target,
            "authority": shared.authority,
            "state": state_name(shared.state()),
            "policy": self.policy,
            "service_config": config.unwrap_or(Value::Null),
            "service_config_origin": self.config_origin,
            "service_config_error": self.config_fault,
            "resolution": resolution(self.resolution, self.waits_for_room),
            "blocks": self.blocks,
            "capacity": self.capacity,
            "endpoints": endpoints,
        })
    }
}

/// What every source says of itself, and above it what counts now.
fn resolution(mut sources: Value, waits_for_room: bool) -> Value {
    let uses_fallback = sources["uses_fallback"] == json!(true);
    let used = &sources[if uses_fallback { "fallback" } else { "main" }];
    let keys = ["state", "freshness", "age_seconds", "revision"].map(|key| (key, used[key].clone()));
    let held = used["endpoints"]["held"].as_u64().unwrap_or(0);
    for (key, value) in keys {
        sources[key] = value;
    }
    sources["held"] = json!(held);
    sources["waits_for_room"] = json!(waits_for_room);
    sources
}

fn describe_one((stats, endpoint, target): (EndpointStats, Endpoint, String)) -> Value {
    json!({
        "endpoint": stats.endpoint,
        "addresses": endpoint.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "target": target,
        "state": state_name(stats.state),
        "health": health_name(stats.health),
        "weight": stats.weight,
        "priority": endpoint.priority,
        "zone": endpoint.zone,
        "region": endpoint.region,
        "condition": endpoint.condition.name(),
        "metadata": endpoint.metadata,
        "draining": stats.draining,
        "in_flight": stats.in_flight,
        "ok": stats.ok,
        "failed": stats.failed,
        "rejected": stats.rejected,
        "other": stats.other,
        "last_error": stats.last_error,
    })
}
