//! Consul's service definitions.

use evener_discovery::json::Node;
use evener_discovery::record::consul::duration;
use evener_discovery::registration::{ServiceDefinition, from_consul};
use serde_json::{Value, json};

use super::finding::{Finding, Severity};

/// The findings of `{"service": {...}}` or `{"services": [...]}`, with the checks that stand beside them, or of a service by
/// itself.
pub(super) fn definition(text: &str, document: &Value) -> Vec<Finding> {
    let services = services(document);
    let is_bare = services.iter().any(|(place, _)| place.is_empty());
    let beside = if is_bare { Vec::new() } else { checks(document) };
    let mut own: Vec<Finding> =
        services.iter().flat_map(|(place, service)| one(place, service, &beside)).collect();
    own.extend(of_checks(&beside));
    let is_told = |place: &str| own.iter().any(|own| own.severity == Severity::Error && own.place == place);
    let mut findings = registering(text, &services);
    findings.retain(|finding| !is_told(&finding.place));
    findings.extend(own);
    findings
}

/// Whether a document has services in it, as registering looks for them.
pub(super) fn has_services(document: &Value) -> bool {
    field(document, "service").or_else(|| field(document, "services")).is_some()
}

/// Whether a document has a name of its own, as a service by itself does.
pub(super) fn is_named(document: &Value) -> bool {
    text(document, "name").is_some()
}

/// Each service with its place, in the order in which registering reads them.
fn services(document: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (key, value) in document.as_object().into_iter().flatten() {
        match plain(key).as_str() {
            "service" => all.push((key.clone(), value)),
            "services" => {
                let listed = value.as_array().into_iter().flatten().enumerate();
                all.extend(listed.map(|(index, service)| (format!("{key}[{index}]"), service)));
            }
            _ => {}
        }
    }
    if all.is_empty() && is_named(document) {
        all.push((String::new(), document));
    }
    all
}

/// What registering says of it: whatever that refuses has no other rule here.
fn registering(text: &str, services: &[(String, &Value)]) -> Vec<Finding> {
    let (read, warnings) = match from_consul(text) {
        Ok(read) => read,
        Err(error) => return vec![refused(&error)],
    };
    let places = services.iter().map(|(place, _)| place.as_str());
    let mut findings: Vec<Finding> =
        places.zip(&read).filter_map(|(place, service)| unfit(place, service)).collect();
    findings.extend(warnings.iter().map(|warning| {
        let (place, what) = placed(warning);
        Finding::new(Severity::Warning, "definition-suspicious", place)
            .says(format!("Registering it warns: {what}."))
    }));
    findings
}

/// A service that can be read and not be registered as it is.
fn unfit(place: &str, service: &ServiceDefinition) -> Option<Finding> {
    let error = service.check().err()?;
    let finding = refused(error.message.strip_prefix("registration: ").unwrap_or(&error.message))
        .advises("A port, a host or an id that is given when it is registered goes before the file's.");
    Some(finding.within(place))
}

fn refused(error: &str) -> Finding {
    let (place, why) = placed(error);
    Finding::new(Severity::Error, "definition-refused", place).says(format!("Registering refuses it: {why}."))
}

/// The place that a text of registering begins with, and the rest; it has none where the whole is meant.
fn placed(text: &str) -> (&str, &str) {
    text.split_once(": ").unwrap_or(("", text))
}

fn one(place: &str, service: &Value, beside: &[(String, &Value)]) -> Vec<Finding> {
    // Anything else is refused.
    if !service.is_object() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if field(service, "name").is_none_or(|name| name.is_null() || name == "") {
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
    object.as_object()?.iter().find(|(key, _)| plain(key) == plain(name)).map(|(_, value)| value)
}

/// The text of a field, unless it is empty.
fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    field(object, name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn plain(key: &str) -> String {
    key.replace('_', "").to_ascii_lowercase()
}

fn checks(service: &Value) -> Vec<(String, &Value)> {
    let single = field(service, "check").map(|check| ("check".to_owned(), check));
    let list = field(service, "checks").and_then(Value::as_array);
    let listed = list.into_iter().flatten().enumerate();
    single.into_iter().chain(listed.map(|(index, check)| (format!("checks[{index}]"), check))).collect()
}

fn no_check(service: &Value) -> Finding {
    let finding = Finding::new(Severity::Warning, "no-health-check", "check")
        .says("It has no check: Consul calls it healthy for ever, whatever becomes of it.");
    let Some(port) = checked_port(service) else {
        return finding.advises("Give it one.");
    };
    let check = json!({"grpc": format!("localhost:{port}"), "interval": "10s", "timeout": "3s"});
    finding
        .advises("Give it one; for a gRPC server that serves grpc.health.v1 this one.")
        .corrects(format!("\"check\": {check}"))
}

/// The port that a check asks, one to begin with where there is none; `None` for what is no port.
fn checked_port(service: &Value) -> Option<u16> {
    let Some(port) = field(service, "port").filter(|port| !port.is_null()) else { return Some(8080) };
    let port = Node::root(port).integer().ok()?;
    u16::try_from(port).ok().filter(|port| *port > 0)
}

fn of_check(check: &Value) -> Vec<Finding> {
    // Anything else is refused.
    if !check.is_object() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let span = |name| text(check, name).and_then(|text| duration::decode(text).ok());
    if let (Some(interval), Some(timeout)) = (span("interval"), span("timeout"))
        && timeout > interval
    {
        let (interval, timeout) = (interval.as_secs_f64(), timeout.as_secs_f64());
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
