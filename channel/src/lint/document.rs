//! Whatever a file may hold: a service config, a Consul definition, a channel's arguments, or a description of a whole channel.

use evener_discovery::Target;
use evener_discovery::json::{JsonError, parse};
use serde_json::Value;

use super::definition::definition;
use super::finding::{Finding, Severity};
use super::keepalive::json_args;
use super::kind::Kind;
use super::service_config::service_config;
use super::target::target;

/// The findings of a document in JSON, which is recognised by what is in it: `service`, `services` or a `name` (in any case) make a
/// Consul definition, as registering reads it; `target`, `service_config` or `channel_args` a channel (`channel_args` has gRPC's
/// names as keys, as in `grpc.keepalive_time_ms`), whose `fallback_target` and `snapshot_dir` are looked at as well; gRPC's names
/// by themselves a channel's arguments; everything else is a service config.
pub fn document(text: &str) -> Vec<Finding> {
    let document = match parse(text) {
        Ok(document) => document,
        Err(error) => return not_json(&error),
    };
    match Kind::of(&document) {
        Some(Kind::Definition) => definition(text, &document),
        Some(Kind::Channel) => channel(&document),
        Some(Kind::ChannelArgs) => json_args(&document),
        Some(Kind::ServiceConfig) | None => service_config(text),
    }
}

/// Findings on gRPC's channel arguments, a JSON object with their names as keys.
pub fn channel_args_document(text: &str) -> Vec<Finding> {
    parse(text).map_or_else(|error| not_json(&error), |args| json_args(&args))
}

fn not_json(error: &JsonError) -> Vec<Finding> {
    let finding = Finding::new(Severity::Error, "not-json", &error.path);
    vec![finding.says(format!("It {}.", error.reason))]
}

fn channel(document: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for option in ["target", "fallback_target"] {
        if let Some(text) = text(document, option) {
            findings.extend(target(text).into_iter().map(|finding| finding.within(option)));
        }
    }
    findings.extend(start_order(document));
    let config = match document.get("service_config") {
        Some(Value::String(text)) => Some(text.clone()),
        config => config.map(Value::to_string),
    };
    match config {
        Some(config) => {
            findings.extend(service_config(&config).into_iter().map(|f| f.within("service_config")));
        }
        None => findings.push(
            Finding::new(Severity::Advice, "no-service-config", "service_config")
                .says("Without a service config there are no deadlines and no health checks; the policy is round_robin."),
        ),
    }
    if let Some(args) = document.get("channel_args").filter(|args| !args.is_null()) {
        findings.extend(json_args(args).into_iter().map(|finding| finding.within("channel_args")));
    }
    findings
}

/// A text that is there and not empty.
fn text<'a>(document: &'a Value, key: &str) -> Option<&'a str> {
    document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A channel that knows nothing until its registry has answered.
fn start_order(document: &Value) -> Option<Finding> {
    let registry = match Target::parse(text(document, "target")?).ok()? {
        Target::Etcd(_) => "etcd",
        Target::Consul(_) => "Consul",
        Target::Kubernetes(_) => "Kubernetes' API",
        _ => return None,
    };
    if text(document, "snapshot_dir").or_else(|| text(document, "fallback_target")).is_some() {
        return None;
    }
    let finding = Finding::new(Severity::Advice, "start-order", "snapshot_dir").says(format!(
        "Whoever is started while {registry} is away knows no server: its first calls wait for 5 s (`initial_timeout`), \
         then they fail until {registry} is back."
    ));
    Some(finding.advises(
        "Name a snapshot_dir, so that it starts with the servers that it knew last, or a fallback_target. Nothing need be \
         started in an order: a channel goes on asking for as long as it lives.",
    ))
}
