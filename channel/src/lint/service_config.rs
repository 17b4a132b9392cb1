//! gRPC's service config: what is refused, what has no effect, what is missing.

use serde_json::{Map, Value, json};

use crate::config::{MISPLACED_RETRY, MendedRetry, Parsed, SERVICE_CONFIG_FIELDS, ServiceConfig, Warning};

use super::finding::{Finding, Severity};
use super::kind::{Kind, wrong_kind};
use super::retries;
use super::spelling::nearest;

/// The path of a method that no config names.
const EVERY_METHOD: &str = "/any/Any";

/// The findings of a service config in JSON.
pub fn service_config(text: &str) -> Vec<Finding> {
    match ServiceConfig::parse(text) {
        Err(error) => vec![
            Finding::new(Severity::Error, "config-refused", &error.path)
                .says(format!("It is refused as a whole: this {}.", error.reason))
                .advises("Until it is right, clients keep the config they have, or start without one."),
        ],
        Ok(parsed) => of_parsed(text, &parsed),
    }
}

fn of_parsed(text: &str, parsed: &Parsed) -> Vec<Finding> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(finding) = wrong_kind(&document, Kind::ServiceConfig) {
        return vec![finding];
    }
    let mut findings = Vec::new();
    findings.extend(misplaced_retry(&document, parsed));
    findings.extend(unknown_keys(&document, parsed));
    findings.extend(parsed.warnings.iter().filter(|warning| !is_told_better(warning)).map(of_warning));
    findings.extend(methods(&document, parsed));
    findings.extend(no_timeout(&document));
    findings.extend(no_health_check(&document, parsed));
    findings
}

/// What the findings here say in more words than the parser.
fn is_told_better(warning: &Warning) -> bool {
    warning.path == "retryPolicy"
}

fn of_warning(warning: &Warning) -> Finding {
    let (severity, code) = if warning.path.ends_with("retryableStatusCodes") {
        (Severity::Warning, "retry-codes")
    } else if warning.text.contains("yet") {
        (Severity::Advice, "not-obeyed-yet")
    } else if warning.text.contains("which it ignores") {
        (Severity::Error, "config-suspicious")
    } else if warning.text.contains("ignores it") {
        (Severity::Error, "misplaced")
    } else {
        (Severity::Warning, "config-suspicious")
    };
    Finding::new(severity, code, &warning.path).says(&warning.text)
}

/// Keys of the top level that gRPC does not know, unless the parser has something to say of them.
fn unknown_keys(document: &Value, parsed: &Parsed) -> Vec<Finding> {
    let is_told = |key: &str| parsed.warnings.iter().any(|warning| warning.path == key);
    let keys = document.as_object().into_iter().flat_map(Map::keys);
    let unknown = keys.filter(|key| !SERVICE_CONFIG_FIELDS.contains(&key.as_str()) && !is_told(key));
    unknown.map(|key| unknown_key(document, key)).collect()
}

fn unknown_key(document: &Value, key: &str) -> Finding {
    let Some(meant) = nearest(key, &SERVICE_CONFIG_FIELDS) else {
        return Finding::new(Severity::Warning, "config-suspicious", key)
            .says(format!("gRPC knows no `{key}` and ignores it."))
            .advises(format!("At the top level it knows {}.", SERVICE_CONFIG_FIELDS.join(", ")));
    };
    let finding = Finding::new(Severity::Error, "config-suspicious", key)
        .says(format!("gRPC knows `{meant}`, not `{key}`, which it ignores."));
    match renamed(document, key, meant) {
        Some(text) => finding.corrects(text),
        None => finding,
    }
}

/// The whole document with a key as it was meant.
fn renamed(document: &Value, key: &str, meant: &str) -> Option<String> {
    let mut corrected = document.as_object()?.clone();
    let value = corrected.remove(key)?;
    if corrected.insert(meant.to_owned(), value).is_some() {
        return None;
    }
    if_right(&corrected)
}

/// `retryPolicy` beside `methodConfig` instead of in it: gRPC ignores it without a word. What it would do in its place comes
/// with it.
fn misplaced_retry(document: &Value, parsed: &Parsed) -> Vec<Finding> {
    const PLACE: &str = "retryPolicy";

    let Some(policy) = document.get(PLACE) else { return Vec::new() };
    let finding = Finding::new(Severity::Error, "retry-misplaced", PLACE)
        .advises("Move it into methodConfig; {} as the name means every method.");
    let Some(mended) = MendedRetry::of(policy) else {
        return vec![finding.says(MISPLACED_RETRY)];
    };
    let finding = finding.says(format!("{MISPLACED_RETRY}{}", mended.changes));
    let finding = match corrected(document, &mended.policy) {
        Some(text) => finding.corrects(text),
        None => finding,
    };
    let mut findings = vec![finding];
    let every = parsed.config.method(EVERY_METHOD);
    findings.extend(retries::of_policy(PLACE, &mended.parsed, every.timeout, parsed.config.retry_throttling));
    findings
}

/// The whole document with the policy where it belongs, and with what bounds it.
fn corrected(document: &Value, policy: &Value) -> Option<String> {
    let mut corrected = document.as_object()?.clone();
    corrected.remove("retryPolicy");
    let Value::Array(entries) = corrected.entry("methodConfig").or_insert_with(|| json!([])) else {
        return None;
    };
    match entries.iter_mut().filter_map(Value::as_object_mut).find(|entry| names_all(entry)) {
        Some(entry) => drop(entry.entry("retryPolicy").or_insert_with(|| policy.clone())),
        None => entries.push(json!({"name": [{}], "retryPolicy": policy})),
    }
    corrected.entry("retryThrottling").or_insert_with(retries::default_throttling);
    if_right(&corrected)
}

/// Only a correction that is right itself is one.
fn if_right(corrected: &Map<String, Value>) -> Option<String> {
    let text = serde_json::to_string_pretty(corrected).ok()?;
    ServiceConfig::parse(&text).is_ok().then_some(text)
}

/// Whether an entry of `methodConfig` is the one for every method: there can be but one.
fn names_all(entry: &Map<String, Value>) -> bool {
    let names = entry.get("name").and_then(Value::as_array);
    names.is_some_and(|names| names.contains(&json!({})))
}

/// What each entry of `methodConfig` says of its methods, asked for by the first name it has.
fn methods(document: &Value, parsed: &Parsed) -> Vec<Finding> {
    let entries = document.get("methodConfig").and_then(Value::as_array);
    let mut findings = Vec::new();
    for (index, entry) in entries.into_iter().flatten().enumerate() {
        let Some(path) = first_method(entry) else { continue };
        let (place, method) = (format!("methodConfig[{index}]"), parsed.config.method(&path));
        findings.extend(retries::findings(&place, method, parsed.config.retry_throttling));
        if method.wait_for_ready == Some(true) && method.timeout.is_none() {
            findings.push(
                Finding::new(Severity::Warning, "waits-for-ever", format!("{place}.waitForReady"))
                    .says("A call that waits for a connection and has no deadline waits for ever.")
                    .advises(
                        "Give the methods a timeout, which a shorter deadline of the caller's own undercuts.",
                    )
                    .corrects("\"timeout\": \"5s\""),
            );
        }
    }
    findings
}

/// A call without any deadline holds what it has for as long as a server that hangs likes.
fn no_timeout(document: &Value) -> Option<Finding> {
    let entries = document.get("methodConfig").and_then(Value::as_array);
    let has_timeout = |entry: &Value| entry.get("timeout").is_some_and(|timeout| !timeout.is_null());
    if entries.into_iter().flatten().any(has_timeout) {
        return None;
    }
    Some(
        Finding::new(Severity::Advice, "no-timeout", "methodConfig")
            .says(
                "No method has a timeout: where the caller sets no deadline, a call to a server that hangs never ends.",
            )
            .advises(
                "Give the methods one, as in {\"name\": [{\"service\": \"package.Service\"}], \"timeout\": \"5s\"}; more to those \
                 that stream. A shorter deadline of the caller's own counts.",
            ),
    )
}

/// The path of a method that an entry's first name matches.
fn first_method(entry: &Value) -> Option<String> {
    let name = entry.get("name")?.get(0)?;
    let part = |key| name.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    Some(format!("/{}/{}", part("service").unwrap_or("any"), part("method").unwrap_or("Any")))
}

/// Without health checks only a lost connection takes a server out.
fn no_health_check(document: &Value, parsed: &Parsed) -> Option<Finding> {
    if parsed.config.health_check.is_some() {
        return None;
    }
    let mut corrected = document.as_object()?.clone();
    corrected.insert("healthCheckConfig".to_owned(), json!({"serviceName": ""}));
    Some(
        Finding::new(Severity::Advice, "no-health-check", "healthCheckConfig")
            .says("There is no health check: a server that accepts connections and cannot serve keeps its calls.")
            .advises(
                "Serve grpc.health.v1 and name the service here (\"\" is the server as a whole); servers without \
                 the health service count as healthy.",
            )
            .corrects(serde_json::to_string_pretty(&corrected).unwrap_or_default()),
    )
}
