//! A channel as JSON, for people and for tools.
//!
//! Two steps, because of the channel's mutex: a [`Snapshot`] is taken behind it, and made into JSON without
//! it. For tens of thousands of endpoints the second takes far longer than the first.

use std::time::Instant;

use evener_core::Policy;
use evener_discovery::Endpoint;
use serde_json::{Value, json};

use crate::seating::Seating;
use crate::shared::Shared;
use crate::source::Source;
use crate::stats::{EndpointStats, health_name, state_name};

/// What is told of a channel, but for what can be read without its mutex.
#[derive(Debug)]
pub(crate) struct Snapshot {
    policy: Policy,
    blocks: usize,
    capacity: u32,
    source: &'static str,
    answered: Option<Instant>,
    error: Option<String>,
    waits_for_room: bool,
    config: Option<String>,
    endpoints: Vec<(EndpointStats, Endpoint, String)>,
}

impl Snapshot {
    /// A copy of a channel's parts, their counters up to date. `config` is the service config as it was
    /// given.
    pub(crate) fn of(seating: &Seating, source: &Source, config: Option<&str>, waits_for_room: bool) -> Self {
        let endpoints = seating.subchannels.open().map(|(index, record)| {
            (EndpointStats::of(index, record), record.endpoint.clone(), record.target.clone())
        });
        Self {
            policy: seating.policy(),
            blocks: seating.blocks(),
            capacity: seating.capacity(),
            source: source.kind(),
            answered: source.answered(),
            error: source.error(),
            waits_for_room,
            config: config.map(str::to_owned),
            endpoints: endpoints.collect(),
        }
    }

    /// The whole channel.
    pub(crate) fn describe(self, shared: &Shared, now: Instant) -> Value {
        let config = self.config.and_then(|text| serde_json::from_str(&text).ok());
        let since = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
        let endpoints: Vec<Value> = self.endpoints.into_iter().map(describe_one).collect();
        json!({
            "target": shared.target,
            "authority": shared.authority,
            "state": state_name(shared.state()),
            "policy": self.policy.name(),
            "service_config": config.unwrap_or(Value::Null),
            "resolution": {
                "source": self.source,
                "age_seconds": self.answered.map(since),
                "error": self.error,
                "waits_for_room": self.waits_for_room,
            },
            "blocks": self.blocks,
            "capacity": self.capacity,
            "endpoints": endpoints,
        })
    }
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
