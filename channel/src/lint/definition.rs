//! Consul's service definitions.

use serde_json::{Value, json};

use super::finding::{Finding, Severity};

/// The findings of `{"service": {...}}` or `{"services": [...]}`.
pub(super) fn definition(document: &Value) -> Vec<Finding> {
    if let Some(service) = document.get("service") {
        return one(service).into_iter().map(|finding| finding.within("service")).collect();
    }
    let services = document.get("services").and_then(Value::as_array);
    let all = services.into_iter().flatten().enumerate();
    all.flat_map(|(index, service)| {
        one(service).into_iter().map(move |finding| finding.within(&format!("services[{index}]")))
    })
    .collect()
}

fn one(service: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    if field(service, "name").and_then(Value::as_str).is_none_or(str::is_empty) {
        findings.push(
            Finding::new(Severity::Error, "no-name", "name")
                .says("A service must have a name; Consul refuses it otherwise."),
        );
    }
    let checks = checks(service);
    if checks.is_empty() {
        findings.push(no_check(service));
    }
    for (place, check) in checks {
        findings.extend(of_check(check).into_iter().map(|finding| finding.within(&place)));
    }
    findings
}

/// A field in either of the spellings that Consul takes.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let plain = |key: &str| key.replace('_', "").to_ascii_lowercase();
    object.as_object()?.iter().find(|(key, _)| plain(key) == plain(name)).map(|(_, value)| value)
}

fn checks(service: &Value) -> Vec<(String, &Value)> {
    let single = field(service, "check").map(|check| ("check".to_owned(), check));
    let list = field(service, "checks").and_then(Value::as_array);
    let listed = list.into_iter().flatten().enumerate();
    single.into_iter().chain(listed.map(|(index, check)| (format!("checks[{index}]"), check))).collect()
}

fn no_check(service: &Value) -> Finding {
    let port = field(service, "port").and_then(Value::as_u64).unwrap_or(8080);
    let check = json!({"grpc": format!("localhost:{port}"), "interval": "10s", "timeout": "3s"});
    Finding::new(Severity::Warning, "no-health-check", "check")
        .says("It has no check: Consul calls it healthy for ever, whatever becomes of it.")
        .advises("Give it one; for a gRPC server that serves grpc.health.v1 this one.")
        .corrects(format!("\"check\": {check}"))
}

fn of_check(check: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let seconds = |name| field(check, name).and_then(Value::as_str).and_then(seconds);
    if let (Some(interval), Some(timeout)) = (seconds("interval"), seconds("timeout"))
        && timeout > interval
    {
        findings.push(
            Finding::new(Severity::Warning, "check-timeout", "timeout")
                .says(format!(
                    "A check may take {timeout} s and is made every {interval} s: failures are seen late."
                ))
                .advises("Keep the timeout below the interval."),
        );
    }
    if field(check, "deregister_critical_service_after").is_none() {
        findings.push(
            Finding::new(Severity::Advice, "never-deregistered", "deregister_critical_service_after")
                .says("A server that dies stays in the catalogue as critical for ever.")
                .advises(
                    "evener's registration sets it; in a file for the agent write it down (at least 1m).",
                )
                .corrects("\"deregister_critical_service_after\": \"10m\""),
        );
    }
    findings
}

/// Go's durations with one unit, as Consul's files have them.
fn seconds(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}
