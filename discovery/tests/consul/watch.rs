//! What a service's instances are, and when another answer comes.

use std::time::{Duration, Instant};

use evener_discovery::{ErrorClass, Event};
use evener_test_servers::Consul;
use serde_json::json;

use crate::support::Backend;
use crate::{instance, open, plain, quick, shared, target};

#[test]
fn instances_arrive_change_and_leave() {
    let Some(consul) = shared() else { return };
    let mut backend = open(consul, "arrive");
    backend.until_set(&[]);
    consul.register(&instance("arrive", 1));
    backend.until_set(&["10.0.0.1:50051"]);
    let mut weighted = instance("arrive", 1);
    weighted["Weights"] = json!({"Passing": 7, "Warning": 1});
    weighted["Meta"] = json!({"zone": "z", "version": "2"});
    consul.register(&weighted);
    backend.until_set(&["10.0.0.1:50051;weight=7;zone=z;meta.version=2;meta.zone=z"]);
    consul.register(&instance("arrive", 2));
    consul.deregister("arrive-1");
    backend.until_set(&["10.0.0.2:50051"]);
    consul.deregister("arrive-2");
    backend.until_set(&[]);
}

#[test]
fn weights_follow_the_checks_and_an_expired_ttl_wakes_the_watch() {
    let Some(consul) = shared() else { return };
    let mut definition = instance("ttl", 1);
    definition["Weights"] = json!({"Passing": 10, "Warning": 2});
    definition["Check"] = json!({"CheckID": "ttl-check", "TTL": "2s"});
    consul.register(&definition);
    let mut backend = open(consul, "ttl");
    backend.until_set(&["10.0.0.1:50051;weight=10;condition=unhealthy"]);
    consul.put("/v1/agent/check/pass/ttl-check", "");
    backend.until_set(&["10.0.0.1:50051;weight=10"]);
    consul.put("/v1/agent/check/warn/ttl-check", "");
    let warned = Instant::now();
    backend.until_set(&["10.0.0.1:50051;weight=2"]);
    // Nobody speaks for the server any more, which is not that it is unwell.
    backend.until_set(&[]);
    assert!(warned.elapsed() >= Duration::from_secs(1), "{:?}", warned.elapsed());
    let mut strict = open(consul, "ttl?passing");
    strict.until_set(&[]);
    consul.put("/v1/agent/check/pass/ttl-check", "");
    strict.until_set(&["10.0.0.1:50051;weight=10"]);
    consul.put("/v1/agent/check/fail/ttl-check", "");
    strict.until_set(&["10.0.0.1:50051;weight=10;condition=unhealthy"]);
    backend.until_set(&["10.0.0.1:50051;weight=10;condition=unhealthy"]);
    consul.put("/v1/agent/check/warn/ttl-check", "");
    strict.until_set(&["10.0.0.1:50051;weight=2;condition=unhealthy"]);
    consul.deregister("ttl-1");
}

#[test]
fn maintenance_of_a_service_takes_it_out() {
    let Some(consul) = shared() else { return };
    consul.register(&instance("maintained", 1));
    let mut backend = open(consul, "maintained");
    backend.until_set(&["10.0.0.1:50051"]);
    consul.put("/v1/agent/service/maintenance/maintained-1?enable=true", "");
    backend.until_set(&["10.0.0.1:50051;condition=unhealthy"]);
    consul.put("/v1/agent/service/maintenance/maintained-1?enable=false", "");
    backend.until_set(&["10.0.0.1:50051"]);
}

#[test]
fn maintenance_of_a_node_takes_its_instances_out() {
    let Some(consul) = Consul::start() else { return };
    consul.register(&instance("on-node", 1));
    consul.register(&instance("on-node", 2));
    let mut backend = open(&consul, "on-node");
    backend.until_set(&["10.0.0.1:50051", "10.0.0.2:50051"]);
    consul.put("/v1/agent/maintenance?enable=true", "");
    backend.until_set(&["10.0.0.1:50051;condition=unhealthy", "10.0.0.2:50051;condition=unhealthy"]);
    consul.put("/v1/agent/maintenance?enable=false", "");
    backend.until_set(&["10.0.0.1:50051", "10.0.0.2:50051"]);
}

#[test]
fn tags_and_filters_choose() {
    let Some(consul) = shared() else { return };
    for (number, tags, version) in
        [(1, json!(["blue", "v1"]), "1"), (2, json!(["v1"]), "2"), (3, json!([]), "2")]
    {
        let mut definition = instance("tagged", number);
        definition["Tags"] = tags;
        definition["Meta"] = json!({"version": version});
        consul.register(&definition);
    }
    for (query, expected) in [
        ("tag=v1", vec!["10.0.0.1:50051;meta.version=1", "10.0.0.2:50051;meta.version=2"]),
        ("tag=v1&tag=blue", vec!["10.0.0.1:50051;meta.version=1"]),
        ("tag=v1&filter=Service.Meta.version%20==%20%222%22", vec!["10.0.0.2:50051;meta.version=2"]),
        ("filter=%22v1%22%20not%20in%20Service.Tags", vec!["10.0.0.3:50051;meta.version=2"]),
        ("tag=%22%5C", vec![]),
    ] {
        open(consul, &format!("tagged?{query}")).until_set(&expected);
    }
    let error = open(consul, "tagged?filter=no%20filter%20(").until_failed(ErrorClass::Config);
    assert!(error.message.contains("boolean expression"), "{error}");
}

#[test]
fn addresses_are_those_asked_for() {
    let Some(consul) = shared() else { return };
    let mut definition = instance("addressed", 1);
    definition["TaggedAddresses"] = json!({
        "wan": {"Address": "198.51.100.1", "Port": 8080}, "wan_ipv6": {"Address": "2001:db8::1", "Port": 8081}});
    consul.register(&definition);
    open(consul, "addressed").until_set(&["10.0.0.1:50051"]);
    open(consul, "addressed?tagged=WAN").until_set(&["198.51.100.1:8080"]);
    open(consul, "addressed?tagged=none|wan_ipv6").until_set(&["[2001:db8::1]:8081"]);
    consul.register(&json!({"ID": "nodes-1", "Name": "on-its-node", "Port": 1}));
    open(consul, "on-its-node").until_set(&["127.0.0.1:1"]);
    consul.register(&json!({"ID": "sock", "Name": "on-a-socket", "SocketPath": "/run/sock"}));
    open(consul, "on-a-socket").until_set(&["unix:/run/sock"]);
}

#[test]
fn every_consistency_gives_the_same_and_confirms_it_after_its_wait() {
    let Some(consul) = shared() else { return };
    consul.register(&instance("steady", 1));
    for mode in
        ["stale", "stale=false", "consistent", "cached", "allow-stale=true", "require-consistent=true"]
    {
        let mut backend = open(consul, &format!("steady?{mode}&wait=1s"));
        backend.until_set(&["10.0.0.1:50051"]);
        let begun = Instant::now();
        for _ in 0..2 {
            backend
                .until(mode, |event| matches!(event, Event::Confirmed { revision: Some(_) }).then_some(()));
        }
        assert!(begun.elapsed() >= Duration::from_secs(1), "{mode}: {:?}", begun.elapsed());
    }
}

#[test]
fn an_index_that_moves_without_a_change_is_no_change() {
    let Some(consul) = shared() else { return };
    let mut definition = instance("same", 1);
    definition["Check"] = json!({"CheckID": "same-check", "TTL": "1h", "Status": "passing"});
    consul.register(&definition);
    let mut backend = open(consul, "same");
    backend.until_set(&["10.0.0.1:50051"]);
    // Another name of the check moves the index, and means nothing to clients.
    definition["Check"]["Notes"] = json!("another");
    consul.register(&definition);
    backend.until("an answer without a change", |event| match event {
        Event::Confirmed { .. } => Some(()),
        Event::Apply { changed, .. } => panic!("{:?}", plain(&changed)),
        _ => None,
    });
}

#[test]
fn a_hint_asks_again_at_once() {
    let Some(consul) = shared() else { return };
    consul.register(&instance("hinted", 1));
    let mut backend = open(consul, "hinted");
    backend.until_set(&["10.0.0.1:50051"]);
    assert_eq!(backend.within(Duration::from_millis(200)), None);
    backend.hint();
    backend.hint();
    backend.until("a confirmation", |event| matches!(event, Event::Confirmed { .. }).then_some(()));
    assert_eq!(backend.within(Duration::from_millis(500)), None);
}

#[test]
fn a_limit_keeps_what_can_take_calls() {
    let Some(consul) = shared() else { return };
    for number in 1..=6 {
        let mut definition = instance("limited", number);
        definition["Check"] =
            json!({"CheckID": format!("limited-{number}"), "TTL": "1h", "Status": "passing"});
        consul.register(&definition);
    }
    let mut backend = open(consul, "limited?limit=2");
    let chosen = backend.until("two endpoints", |event| match event {
        Event::Reset { parts, .. } => Some(plain(&parts)),
        _ => None,
    });
    assert_eq!(chosen.len(), 2);
    let number = chosen[0].trim_start_matches("10.0.0.").trim_end_matches(":50051").to_owned();
    consul.put(&format!("/v1/agent/check/fail/limited-{number}"), "");
    backend.until("another in its place, and it as unhealthy", |event| match event {
        Event::Apply { changed, .. } => {
            let all = plain(&changed);
            let sick = all.contains(&format!("{};condition=unhealthy", chosen[0]));
            (sick && all.contains(&chosen[1]) && all.len() >= 3).then_some(())
        }
        _ => None,
    });
}

#[test]
fn the_known_grammar_works_as_it_is() {
    let Some(consul) = shared() else { return };
    consul.register(&instance("known", 1));
    let text = format!(
        "consul://user:pass@{}/known?healthy=true&wait=14s&near=_agent&insecure=true&limit=5&tag=&token=&dc=dc1&allow-stale=true&max-backoff=1s&timeout=5s",
        consul.http()
    );
    // An empty token is none.
    let text = text.replace("&token=", "");
    Backend::open(&text, &quick()).until_set(&["10.0.0.1:50051"]);
}

#[test]
fn what_is_no_service_is_refused() {
    let Some(consul) = shared() else { return };
    let parsed = target(consul, "config/").parse().unwrap();
    let error = evener_discovery::backend::open(&parsed, &quick()).err().expect("a refusal");
    assert!(error.message.contains("prefix of keys"), "{error}");
}
