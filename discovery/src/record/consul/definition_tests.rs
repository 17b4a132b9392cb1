use proptest::prelude::*;
use serde_json::json;

use super::*;

fn only(text: &str) -> Definition {
    let mut definitions = decode(text).unwrap();
    assert_eq!(definitions.warnings, [""; 0]);
    assert_eq!(definitions.services.len(), 1);
    definitions.services.remove(0)
}

#[test]
fn the_first_user_s_definition_is_read_as_it_is() {
    let service = only(
        r#"{"service": {"name": "user-service", "port": 8080, "check": {"http": "http://localhost:8080/health", "interval": "10s", "timeout": "3s"}}}"#,
    );
    assert_eq!((service.name.as_str(), service.port), ("user-service", Some(8080)));
    let check = json!({"HTTP": "http://localhost:8080/health", "Interval": "10s", "Timeout": "3s"});
    assert_eq!(Value::Object(service.checks[0].clone()), check);
    assert!(service.rest.is_empty());
}

#[test]
fn both_spellings_of_keys_mean_the_same() {
    let file = only(
        r#"{"service": {"id": "web-1", "name": "web", "tags": ["v1"], "address": "10.0.0.1", "port": 80,
            "meta": {"zone": "a"}, "weights": {"passing": 10, "warning": 1}, "enable_tag_override": true,
            "tagged_addresses": {"wan": {"address": "198.51.100.1", "port": 8080}}, "token": "hush",
            "socket_path": "", "locality": {"region": "eu", "zone": "eu-1"},
            "checks": [{"id": "c1", "args": ["/bin/true"], "interval": "5s", "tls_skip_verify": true,
                        "deregister_critical_service_after": "90m", "header": {"x": ["y"]}},
                       {"check_id": "c2", "ttl": "30s", "success_before_passing": 2}]}}"#,
    );
    let api = only(
        r#"{"ID": "web-1", "Name": "web", "Tags": ["v1"], "Address": "10.0.0.1", "Port": 80,
            "Meta": {"zone": "a"}, "Weights": {"Passing": 10, "Warning": 1}, "EnableTagOverride": true,
            "TaggedAddresses": {"wan": {"Address": "198.51.100.1", "Port": 8080}}, "Token": "hush",
            "SocketPath": "", "Locality": {"Region": "eu", "Zone": "eu-1"},
            "Checks": [{"CheckID": "c1", "Args": ["/bin/true"], "Interval": "5s", "TLSSkipVerify": true,
                        "DeregisterCriticalServiceAfter": "5400s", "Header": {"x": ["y"]}},
                       {"CheckID": "c2", "TTL": "30s", "SuccessBeforePassing": 2}]}"#,
    );
    assert_eq!(file, api);
    assert_eq!((file.weight, file.token.as_deref(), file.tags.len()), (Some(10), Some("hush"), 1));
    assert_eq!(file.metadata["zone"], "a");
    assert_eq!(file.rest["TaggedAddresses"]["wan"]["Port"], 8080);
    assert!(!format!("{file:?}").contains("hush"));
}

#[test]
fn several_services_and_checks_beside_them() {
    let text = r#"{"services": [{"name": "a", "port": 1}, {"id": "b-1", "name": "b", "port": 2}],
        "check": {"service_id": "b-1", "tcp": "127.0.0.1:2", "interval": "1s"}}"#;
    let definitions = decode(text).unwrap();
    assert_eq!(definitions.services.len(), 2);
    assert_eq!(definitions.services[1].checks[0]["TCP"], "127.0.0.1:2");
    assert!(definitions.warnings.is_empty());
}

#[test]
fn what_is_not_known_is_told_and_kept() {
    let text = r#"{"datacenter": "dc1", "check": {"service_id": "x", "ttl": "1s"}, "service": {"name": "a", "port": 1, "chekc": {"a": 1},
        "check": {"script": "true", "interval": "1s", "deregister_critical_service_after": "10s", "colour": 3}}}"#;
    let definitions = decode(text).unwrap();
    let service = &definitions.services[0];
    assert_eq!(service.rest["chekc"], json!({"a": 1}));
    assert_eq!(service.checks[0]["colour"], 3);
    assert_eq!(service.checks[0]["Args"], json!(["/bin/sh", "-c", "true"]));
    assert_eq!(service.checks[0]["DeregisterCriticalServiceAfter"], "60s");
    let all = definitions.warnings.join("\n");
    for place in [
        "datacenter: ",
        "service.chekc: ",
        "service.check.colour: ",
        "script is no longer",
        "least of 1m",
        "`x`",
    ] {
        assert!(all.contains(place), "{place} is not in {all}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, place) in [
        ("[]", "must be an object"),
        ("{}", "neither service"),
        (r#"{"service": {"port": 80}}"#, "service.name"),
        (r#"{"service": {"name": "a", "port": 70000}}"#, "service.port"),
        (r#"{"service": {"name": "a", "tags": "x"}}"#, "service.tags"),
        (r#"{"service": {"name": "a", "check": {"interval": "10"}}}"#, "service.check.interval"),
        (r#"{"service": {"name": "a", "check": {"interval": 10}}}"#, "service.check.interval"),
        (r#"{"services": [{"name": "a"}, {"name": "b", "meta": {"k": 1}}]}"#, "services[1].meta.k"),
        (r#"{"service": {"name": "a", "Name": "b"}}"#, "two spellings"),
        (r#"{"service": {"name": "a", "name": "b"}}"#, "name"),
    ] {
        let error = decode(text).expect_err(text);
        assert!(error.contains(place), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in ".*", key in "[a-zA-Z_]{1,12}", value in "(\"[a-z0-9]{0,5}\"|[0-9]{1,9}|\\[\\]|\\{\\}|null|true)") {
        let _ = decode(&text);
        let _ = decode(&format!("{{\"service\":{{\"name\":\"a\",\"{key}\":{value},\"check\":{{\"{key}\":{value}}}}}}}"));
    }
}
