//! A channel as JSON, for people and for tools.

use std::time::Instant;

use serde_json::{Value, json};

use crate::seating::Seating;
use crate::shared::Shared;
use crate::source::Source;
use crate::stats::{EndpointStats, health_name, state_name};
use crate::subchannels::Subchannel;

/// What is told of a channel: its parts behind the mutex, their counters up to date.
pub(crate) struct Subject<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) seating: &'a Seating,
    pub(crate) source: &'a Source,
    /// The service config as it was given.
    pub(crate) config: Option<&'a str>,
    pub(crate) waits_for_room: bool,
}

/// The whole channel.
pub(crate) fn describe(channel: &Subject<'_>, now: Instant) -> Value {
    let Subject { shared, seating, source, .. } = channel;
    let endpoints: Vec<Value> =
        seating.subchannels.open().map(|(index, record)| describe_one(index, record)).collect();
    let config = channel.config.and_then(|text| serde_json::from_str(text).ok());
    let since = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
    json!({
        "target": shared.target,
        "authority": shared.authority,
        "state": state_name(shared.state()),
        "policy": seating.policy().name(),
        "service_config": config.unwrap_or(Value::Null),
        "resolution": {
            "source": source.kind(),
            "age_seconds": source.answered().map(since),
            "error": source.error(),
            "waits_for_room": channel.waits_for_room,
        },
        "blocks": seating.blocks(),
        "capacity": seating.capacity(),
        "endpoints": endpoints,
    })
}

fn describe_one(index: u32, record: &Subchannel) -> Value {
    let stats = EndpointStats::of(index, record);
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
