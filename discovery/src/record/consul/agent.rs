//! What `/v1/agent/service/register` takes, and what the agent says of a service afterwards.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::duration;
use super::health::{OWNER_KEY, PRIORITY_KEY};
use crate::registration::{Check, CheckKind, ServiceDefinition};

/// The least that Consul takes, and what counts unless a check says otherwise: whoever is alive registers again.
const DEREGISTER_AFTER: Duration = Duration::from_secs(60);
/// Consul refuses larger weights.
const MAX_WEIGHT: u32 = 65_535;

/// The body that registers a service, with a sign of life of its own unless it has one, and how often that is due. `owner` is
/// written into the metadata.
pub(crate) fn body(definition: &ServiceDefinition, owner: &str) -> Value {
    let id = definition.id.as_deref().unwrap_or(&definition.name);
    let mut body: Map<String, Value> = definition.extra.clone().into_iter().collect();
    // It goes in a header, not here.
    body.remove("Token");
    body.insert("ID".to_owned(), id.into());
    body.insert("Name".to_owned(), definition.name.as_str().into());
    body.insert("Tags".to_owned(), definition.tags.clone().into());
    body.insert("Address".to_owned(), definition.host.clone().into());
    body.insert("Port".to_owned(), definition.port.into());
    body.insert("Meta".to_owned(), meta(definition, owner));
    body.insert("Weights".to_owned(), weights(definition));
    let mut checks: Vec<Value> = definition.checks.iter().map(check).collect();
    if !definition.checks.iter().any(|check| matches!(check.kind, CheckKind::Ttl(_))) {
        checks.push(sign_of_life(id, definition.ttl));
    }
    name_ttl_checks(id, &mut checks);
    body.insert("Checks".to_owned(), checks.into());
    Value::Object(body)
}

/// The ids of the checks that wait for signs of life.
pub(crate) fn ttl_checks(body: &Value) -> Vec<String> {
    let checks = body.get("Checks").and_then(Value::as_array).into_iter().flatten();
    let ttl = checks.filter(|check| check.get("TTL").is_some());
    ttl.filter_map(|check| check.get("CheckID")?.as_str().map(ToOwned::to_owned)).collect()
}

/// The shortest time to live of a definition's signs of life.
pub(crate) fn ttl(definition: &ServiceDefinition) -> Duration {
    let own = definition.checks.iter().filter_map(|check| match check.kind {
        CheckKind::Ttl(ttl) => Some(ttl),
        _ => None,
    });
    own.min().unwrap_or(definition.ttl)
}

/// Clients read zone, region and tier from the metadata; Consul's own fields for them are for its enterprise version.
fn meta(definition: &ServiceDefinition, owner: &str) -> Value {
    let mut meta = definition.metadata.clone();
    let priority = (definition.priority != 0).then(|| definition.priority.to_string());
    let named =
        [("zone", definition.zone.clone()), ("region", definition.region.clone()), (PRIORITY_KEY, priority)];
    for (key, value) in named {
        if let Some(value) = value {
            meta.insert(key.to_owned(), value);
        }
    }
    meta.insert(OWNER_KEY.to_owned(), owner.to_owned());
    json!(meta)
}

/// Consul knows no weight 0 of a passing service: it is in maintenance instead.
fn weights(definition: &ServiceDefinition) -> Value {
    let passing = definition.weight.clamp(1, MAX_WEIGHT);
    json!({"Passing": passing, "Warning": definition.warning_weight.unwrap_or(1).min(MAX_WEIGHT)})
}

fn sign_of_life(id: &str, ttl: Duration) -> Value {
    json!({
        "CheckID": format!("{id}:alive"),
        "Name": "the server says that it is alive",
        "TTL": duration::encode(ttl),
        "Status": "passing",
        "DeregisterCriticalServiceAfter": duration::encode(DEREGISTER_AFTER),
    })
}

/// Whoever sends signs of life has to know the check's id.
fn name_ttl_checks(id: &str, checks: &mut [Value]) {
    for (number, check) in checks.iter_mut().enumerate() {
        if let Some(check) = check.as_object_mut().filter(|check| check.contains_key("TTL")) {
            check.entry("CheckID").or_insert_with(|| format!("{id}:ttl:{}", number + 1).into());
            // Whoever registers is alive.
            check.entry("Status").or_insert_with(|| "passing".into());
        }
    }
}

fn check(check: &Check) -> Value {
    let mut body: Map<String, Value> = check.extra.clone().into_iter().collect();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let span = |span: Duration| Some(Value::from(duration::encode(span)));
    match &check.kind {
        CheckKind::Ttl(ttl) => set("TTL", span(*ttl)),
        CheckKind::Http { url, method, header, body } => {
            set("HTTP", Some(url.as_str().into()));
            set("Method", method.clone().map(Value::from));
            set("Header", (!header.is_empty()).then(|| json!(header)));
            set("Body", body.clone().map(Value::from));
        }
        CheckKind::Tcp(address) => set("TCP", Some(address.as_str().into())),
        CheckKind::Grpc { target, tls } => {
            set("GRPC", Some(target.as_str().into()));
            set("GRPCUseTLS", tls.then(|| true.into()));
        }
        CheckKind::Script(args) => set("Args", Some(args.clone().into())),
        CheckKind::Other => {}
    }
    set("CheckID", check.id.clone().map(Value::from));
    set("Name", check.name.clone().map(Value::from));
    set("Status", check.status.clone().map(Value::from));
    if !matches!(check.kind, CheckKind::Ttl(_)) {
        set("Interval", span(check.interval));
    }
    set("Timeout", check.timeout.and_then(span));
    set("TLSSkipVerify", check.tls_skip_verify.then(|| true.into()));
    set("SuccessBeforePassing", check.success_before_passing.map(Value::from));
    set("FailuresBeforeCritical", check.failures_before_critical.map(Value::from));
    set(
        "DeregisterCriticalServiceAfter",
        span(check.deregister_after.unwrap_or(DEREGISTER_AFTER).max(DEREGISTER_AFTER)),
    );
    Value::Object(body)
}

/// What `/v1/agent/service/ID` says: whose it is.
pub(crate) fn owner(service: &Value) -> Option<&str> {
    service.get("Meta")?.get(OWNER_KEY)?.as_str()
}

/// Whether `/v1/agent/service/ID` names the address that `body` registers.
pub(crate) fn has_address_of(service: &Value, body: &Value) -> bool {
    ["Address", "Port"].iter().all(|key| service.get(key) == body.get(key))
}

/// Why what the agent holds is not what was registered, if so.
pub(crate) fn difference(service: &Value, body: &Value) -> Option<&'static str> {
    let tags_are_free = body.get("EnableTagOverride") == Some(&Value::Bool(true));
    let fields = [
        ("Service", "Name"),
        ("Address", "Address"),
        ("Port", "Port"),
        ("Meta", "Meta"),
        ("Weights", "Weights"),
    ];
    let other =
        fields.iter().find(|(theirs, ours)| service.get(theirs) != body.get(ours)).map(|(_, ours)| *ours);
    other.or_else(|| (!tags_are_free && !same_tags(service, body)).then_some("Tags"))
}

fn same_tags(service: &Value, body: &Value) -> bool {
    let tags = |value: &Value| value.get("Tags").and_then(Value::as_array).cloned().unwrap_or_default();
    tags(service) == tags(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::consul::definition;

    #[test]
    fn the_first_user_s_definition_becomes_a_registration_that_stays() {
        let text = r#"{"service": {"name": "user-service", "port": 8080, "check": {"http": "http://localhost:8080/health", "interval": "10s", "timeout": "3s"}}}"#;
        let (services, warnings) = definition::services(text).unwrap();
        assert!(warnings.is_empty());
        let mut service = services[0].clone();
        service.host = Some("10.0.0.1".to_owned());
        service.id = Some("u-1".to_owned());
        service.ttl = Duration::from_secs(15);
        let body = body(&service, "me");
        assert_eq!(
            body,
            json!({
                "ID": "u-1", "Name": "user-service", "Tags": [], "Address": "10.0.0.1", "Port": 8080,
                "Meta": {"evener-owner": "me"}, "Weights": {"Passing": 1, "Warning": 1},
                "Checks": [
                    {"HTTP": "http://localhost:8080/health", "Interval": "10s", "Timeout": "3s", "DeregisterCriticalServiceAfter": "60s"},
                    {"CheckID": "u-1:alive", "Name": "the server says that it is alive", "TTL": "15s", "Status": "passing",
                     "DeregisterCriticalServiceAfter": "60s"},
                ],
            })
        );
        assert_eq!(ttl_checks(&body), ["u-1:alive"]);
    }

    #[test]
    fn every_kind_of_check_survives_the_way_through() {
        let text = r#"{"service": {"id": "i", "name": "s", "address": "h", "port": 1, "token": "hush", "tags": ["a"],
            "weights": {"passing": 7, "warning": 0}, "tagged_addresses": {"wan": {"address": "w", "port": 2}}, "novel": 1,
            "checks": [
                {"ttl": "6s", "status": "warning"},
                {"http": "http://h/", "method": "PUT", "header": {"x": ["y"]}, "body": "b", "interval": "1s", "tls_skip_verify": true},
                {"tcp": "h:1", "interval": "2s", "failures_before_critical": 3},
                {"grpc": "h:1/s", "grpc_use_tls": true, "interval": "3s", "success_before_passing": 2},
                {"args": ["/bin/true"], "interval": "4s", "deregister_critical_service_after": "2m", "novel": 1},
                {"udp": "h:1", "interval": "5s"}]}}"#;
        let (services, _) = definition::services(text).unwrap();
        let service = &services[0];
        assert_eq!(service.extra["Token"], "hush");
        let body = body(service, "me");
        assert!(body.get("Token").is_none());
        assert_eq!(body["Weights"], json!({"Passing": 7, "Warning": 0}));
        assert_eq!(body["TaggedAddresses"]["wan"]["Port"], 2);
        assert_eq!(body["novel"], 1);
        let drop = "DeregisterCriticalServiceAfter";
        assert_eq!(
            body["Checks"],
            json!([
                {"CheckID": "i:ttl:1", "TTL": "6s", "Status": "warning", drop: "60s"},
                {"HTTP": "http://h/", "Method": "PUT", "Header": {"x": ["y"]}, "Body": "b", "Interval": "1s", "TLSSkipVerify": true, drop: "60s"},
                {"TCP": "h:1", "Interval": "2s", "FailuresBeforeCritical": 3, drop: "60s"},
                {"GRPC": "h:1/s", "GRPCUseTLS": true, "Interval": "3s", "SuccessBeforePassing": 2, drop: "60s"},
                {"Args": ["/bin/true"], "Interval": "4s", "novel": 1, drop: "120s"},
                {"UDP": "h:1", "Interval": "5s", drop: "60s"},
            ])
        );
        assert_eq!((ttl(service), ttl_checks(&body).len()), (Duration::from_secs(6), 1));
    }

    #[test]
    fn what_the_agent_holds_is_compared() {
        let mut definition = ServiceDefinition::new("s", 1);
        definition.host = Some("h".to_owned());
        definition.zone = Some("z".to_owned());
        definition.priority = 2;
        definition.tags = vec!["a".to_owned()];
        let body = body(&definition, "me");
        let held = json!({"Service": "s", "Address": "h", "Port": 1, "Tags": ["a"], "ContentHash": "x",
            "Meta": {"zone": "z", "priority": "2", "evener-owner": "me"}, "Weights": {"Passing": 1, "Warning": 1}});
        assert_eq!(difference(&held, &body), None);
        assert_eq!(owner(&held), Some("me"));
        assert!(has_address_of(&held, &body));
        for (key, value, expected) in [
            ("Port", json!(2), "Port"),
            ("Tags", json!([]), "Tags"),
            ("Meta", json!({}), "Meta"),
            ("Weights", json!({"Passing": 2, "Warning": 1}), "Weights"),
        ] {
            let mut other = held.clone();
            other[key] = value;
            assert_eq!(difference(&other, &body), Some(expected));
        }
    }
}
