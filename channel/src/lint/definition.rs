//! Consul's service definitions.

use serde_json::{Value, json};

use super::finding::{Finding, Severity};

/// The findings of `{"service": {...}}` or `{"services": [...]}`, with the checks that stand beside them.
pub(super) fn definition(document: &Value) -> Vec<Finding> {
    let single = document.get("service").map(|service| ("service".to_owned(), service));
    let services = document.get("services").and_then(Value::as_array);
    let listed = services.into_iter().flatten().enumerate();
    let listed = listed.map(|(index, service)| (format!("services[{index}]"), service));
    let beside = checks(document);
    let all = single.into_iter().chain(listed);
    let mut findings: Vec<Finding> = all.flat_map(|(place, service)| one(&place, service, &beside)).collect();
    findings.extend(of_checks(&beside));
    findings
}

fn one(place: &str, service: &Value, beside: &[(String, &Value)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if field(service, "name").and_then(Value::as_str).is_none_or(str::is_empty) {
        findings.push(
            Finding::new(Severity::Error, "no-name", "name")
                .says("A service must have a name; Consul refuses it otherwise."),
        );
    }
    let own = checks(service);
    if own.is_empty() && !beside.iter().any(|(_, check)| is_of(check, service)) {
        findings.push(no_check(service));
    }
    findings.extend(of_checks(&own));
    findings.into_iter().map(|finding| finding.within(place)).collect()
}

/// Whether a check that stands beside the services is of this one: it names its id, which is its name unless it has one.
fn is_of(check: &Value, service: &Value) -> bool {
    let text = |object, name| field(object, name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = text(service, "id").or_else(|| text(service, "name"));
    id.is_some() && text(check, "service_id") == id
}

fn of_checks(checks: &[(String, &Value)]) -> Vec<Finding> {
    let of = |(place, check): &(String, &Value)| {
        let place = place.clone();
        of_check(check).into_iter().map(move |finding| finding.within(&place)).collect::<Vec<_>>()
    };
    checks.iter().flat_map(of).collect()
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
