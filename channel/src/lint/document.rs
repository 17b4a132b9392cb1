//! Whatever a file may hold: a service config, a Consul definition, or a description of a whole channel.

use evener_discovery::json::{JsonError, parse};
use serde_json::Value;

use super::definition::definition;
use super::finding::{Finding, Severity};
use super::keepalive::json_args;
use super::service_config::service_config;
use super::target::target;

/// The findings of a document in JSON, which is recognised by what is in it: `service` or `services` make a Consul
/// definition; `target`, `service_config` or `channel_args` a channel (`channel_args` has gRPC's names as keys, as in
/// `grpc.keepalive_time_ms`); everything else is a service config.
pub fn document(text: &str) -> Vec<Finding> {
    let document = match parse(text) {
        Ok(document) => document,
        Err(error) => return not_json(&error),
    };
    let has = |keys: &[&str]| keys.iter().any(|key| document.get(key).is_some());
    if has(&["service", "services"]) {
        return definition(&document);
    }
    if has(&["target", "service_config", "channel_args"]) {
        return channel(&document);
    }
    service_config(text)
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
    if let Some(text) = document.get("target").and_then(Value::as_str) {
        findings.extend(target(text).into_iter().map(|finding| finding.within("target")));
    }
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
    if let Some(args) = document.get("channel_args") {
        findings.extend(json_args(args).into_iter().map(|finding| finding.within("channel_args")));
    }
    findings
}
