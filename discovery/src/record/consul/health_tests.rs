use proptest::prelude::*;
use serde_json::json;

use super::*;

fn decoded(instances: &Value, mapping: &Mapping) -> Vec<String> {
    let health = decode(instances.to_string().as_bytes(), mapping).unwrap();
    assert_eq!(health.skipped, 0, "{:?}", health.example);
    let plain = |mut endpoint: Endpoint| {
        endpoint.metadata.retain(|key, _| !key.starts_with("consul."));
        endpoint.to_string()
    };
    health.endpoints.into_iter().map(plain).collect()
}

fn one(service: Value, checks: Value) -> Value {
    let node = json!({"Node": "n1", "Address": "10.0.0.9", "Datacenter": "dc1",
        "TaggedAddresses": {"lan": "10.0.0.9", "wan": "198.51.100.9"}, "Meta": {"zone": "z-node"}});
    json!([{"Node": node, "Service": service, "Checks": checks}])
}

fn passing() -> Value {
    json!([{"CheckID": "serfHealth", "Status": "passing"}])
}

#[test]
fn weights_go_by_the_worst_check() {
    let service =
        json!({"ID": "a", "Address": "10.0.0.1", "Port": 80, "Weights": {"Passing": 10, "Warning": 2}});
    let checks = |statuses: &[&str]| {
        Value::Array(statuses.iter().map(|status| json!({"CheckID": "c", "Status": status})).collect())
    };
    for (statuses, passing, expected) in [
        (&[] as &[&str], false, "10.0.0.1:80;weight=10;zone=z-node;region=dc1"),
        (&["passing", "passing"], false, "10.0.0.1:80;weight=10;zone=z-node;region=dc1"),
        (&["passing", "warning"], false, "10.0.0.1:80;weight=2;zone=z-node;region=dc1"),
        (&["passing", "warning"], true, "10.0.0.1:80;weight=2;zone=z-node;region=dc1;condition=unhealthy"),
        (&["critical", "warning"], false, "10.0.0.1:80;weight=10;zone=z-node;region=dc1;condition=unhealthy"),
        (&["passing", "odd"], false, "10.0.0.1:80;weight=10;zone=z-node;region=dc1;condition=unhealthy"),
    ] {
        let mapping = Mapping { passing, ..Mapping::default() };
        assert_eq!(decoded(&one(service.clone(), checks(statuses)), &mapping), [expected], "{statuses:?}");
    }
    let mapping = Mapping { weights: false, ..Mapping::default() };
    let all = decoded(&one(service, checks(&["warning"])), &mapping);
    assert_eq!(all, ["10.0.0.1:80;zone=z-node;region=dc1"]);
}

#[test]
fn an_instance_of_which_nothing_was_heard_in_time_is_missing_and_one_that_is_unwell_is_not() {
    let service = json!({"ID": "a", "Address": "10.0.0.1", "Port": 80});
    let ttl = |status: &str, output: &str| json!({"Type": "ttl", "Status": status, "Output": output});
    let run_out = "TTL expired (last output before timeout follows): well";
    let unwell = ["10.0.0.1:80;zone=z-node;region=dc1;condition=unhealthy"];
    for (checks, expected) in [
        (json!([ttl("critical", run_out)]), &[] as &[&str]),
        (json!([ttl("critical", "TTL expired"), {"Status": "passing"}, {"Status": "warning"}]), &[]),
        (json!([{"Status": "critical", "Output": "TTL expired"}]), &[]),
        (json!([ttl("critical", "the disk is full")]), &unwell),
        (json!([ttl("critical", "TTL expired, says the server")]), &unwell),
        (json!([ttl("critical", "")]), &unwell),
        (json!([ttl("critical", run_out), {"Status": "critical", "Output": "refused"}]), &unwell),
        (json!([{"Type": "http", "Status": "critical", "Output": "TTL expired"}]), &unwell),
        (json!([ttl("passing", run_out)]), &["10.0.0.1:80;zone=z-node;region=dc1"]),
    ] {
        assert_eq!(decoded(&one(service.clone(), checks.clone()), &Mapping::default()), expected, "{checks}");
    }
}

#[test]
fn the_address_is_the_one_that_was_asked_for() {
    let service = json!({"ID": "a", "Address": "10.0.0.1", "Port": 80, "TaggedAddresses": {
        "lan": {"Address": "10.0.0.1", "Port": 80},
        "WAN": {"address": "203.0.113.1", "port": 8080},
        "wan_ipv6": {"Address": "2001:db8::1", "Port": 81},
        "grpc": {"Address": "grpc://10.0.0.1:9000?isSecure=false", "Port": 0},
        "empty": {"Address": "", "Port": 1}}});
    let bare = json!({"ID": "a", "Port": 80});
    for (service, tagged, expected) in [
        (&service, "", "10.0.0.1:80"),
        (&service, "wan", "203.0.113.1:8080"),
        (&service, "nothing|empty|wan_ipv6|wan", "[2001:db8::1]:81"),
        (&service, "grpc", "10.0.0.1:9000"),
        (&service, "nothing", "10.0.0.1:80"),
        (&bare, "", "10.0.0.9:80"),
        (&bare, "wan", "198.51.100.9:80"),
        (&json!({"ID": "a", "Address": "2001:db8::2", "Port": 80}), "", "[2001:db8::2]:80"),
        (&json!({"ID": "a", "Address": "[2001:db8::2]", "Port": 80}), "", "[2001:db8::2]:80"),
        (&json!({"ID": "a", "Address": "backend.example", "Port": 80}), "", "backend.example:80"),
        (&json!({"ID": "a", "SocketPath": "/run/a.sock"}), "wan", "unix:/run/a.sock"),
    ] {
        let tagged = tagged.split('|').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect();
        let mapping = Mapping { tagged, ..Mapping::default() };
        let expected = format!("{expected};zone=z-node;region=dc1");
        assert_eq!(decoded(&one(service.clone(), passing()), &mapping), [expected]);
    }
}

#[test]
fn the_place_is_the_nearest_that_is_named() {
    let base = json!({"ID": "a", "Address": "10.0.0.1", "Port": 80});
    let with = |key: &str, value: Value| {
        let mut service = base.clone();
        service[key] = value;
        decoded(&one(service, passing()), &Mapping::default())
    };
    assert_eq!(with("Meta", json!({"zone": "z1"})), ["10.0.0.1:80;zone=z1;region=dc1;meta.zone=z1"]);
    let both = with("Locality", json!({"Region": "eu", "Zone": "eu-1"}));
    assert_eq!(both, ["10.0.0.1:80;zone=eu-1;region=eu"]);
    let mapping = Mapping { zone_key: "az".into(), region_key: "area".into(), ..Mapping::default() };
    let mut service = base.clone();
    service["Meta"] = json!({"az": "x", "area": "y"});
    assert_eq!(
        decoded(&one(service, passing()), &mapping),
        ["10.0.0.1:80;zone=x;region=y;meta.area=y;meta.az=x"]
    );
}

#[test]
fn tags_tiers_and_metadata() {
    let service = json!({"ID": "a", "Address": "10.0.0.1", "Port": 80, "Tags": ["v1", "blue"], "Meta": {"priority": "2"}});
    let instances = one(service, passing());
    let health = decode(instances.to_string().as_bytes(), &Mapping::default()).unwrap();
    let endpoint = &health.endpoints[0];
    assert_eq!(endpoint.priority, 2);
    assert_eq!(endpoint.metadata["consul.id"], "a");
    assert_eq!(endpoint.metadata["consul.node"], "n1");
    assert_eq!(endpoint.metadata["consul.tags"], "v1,blue");
    let mapping = |tags: &[&str], priority| Mapping {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        priority,
        ..Mapping::default()
    };
    assert_eq!(decoded(&instances, &mapping(&["blue", "v1"], Some(0))).len(), 1);
    assert_eq!(decoded(&instances, &mapping(&["blue", "v2"], None)).len(), 0);
}

#[test]
fn what_cannot_be_understood_is_left_out_and_counted() {
    let body = json!([
        {"Service": {"ID": "no-port", "Address": "10.0.0.1", "Port": 0}},
        {"Service": {"ID": "no-address", "Port": 80}},
        {"Service": {"ID": "nowhere", "Address": "0.0.0.0", "Port": 80}},
        {"Service": {"ID": "port", "Address": "10.0.0.1", "Port": 70_000}},
        {"Service": {"ID": "odd", "Address": "10.0.0.1", "Port": "80"}},
        {"Service": {"ID": "good", "Address": "10.0.0.2", "Port": 80, "Weights": {"Passing": 99_999_999, "Warning": -1}}},
        7,
    ]);
    let health = decode(body.to_string().as_bytes(), &Mapping::default()).unwrap();
    assert_eq!((health.endpoints.len(), health.skipped), (1, 6));
    assert_eq!(health.endpoints[0].weight, 65_535);
    assert!(decode(b"{}", &Mapping::default()).is_err());
    assert!(decode(b"[", &Mapping::default()).is_err());
    assert_eq!(decode(b"[]", &Mapping::default()), Ok(Health::default()));
}

#[test]
fn a_server_that_came_back_under_another_id_is_healthy() {
    let instance = |id: &str, status: &str| {
        json!({"Service": {"ID": id, "Address": "10.0.0.1", "Port": 80},
        "Checks": [{"Status": status}]})
    };
    for order in [["critical", "passing"], ["passing", "critical"]] {
        let body = json!([instance("a", order[0]), instance("b", order[1])]);
        assert_eq!(decoded(&body, &Mapping::default()), ["10.0.0.1:80"]);
    }
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "\\[\\{\"Service\":\\{\"Address\":\"[^\"\\\\]{0,12}\",\"Port\":-?[0-9]{1,9}\\}\\}\\]") {
        let mapping = Mapping { tagged: vec!["wan".into()], ..Mapping::default() };
        let _ = decode(&bytes, &mapping);
        let _ = decode(text.as_bytes(), &mapping);
    }
}
