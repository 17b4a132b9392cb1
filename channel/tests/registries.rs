//! Channels on real registries: their endpoints, their service config, and servers that register themselves there.
#![cfg(not(loom))]

mod support;

use std::net::TcpListener;
use std::time::Duration;

use evener_channel::ChannelOptions;
use evener_discovery::registration::{RegistrationOptions, ServiceDefinition};
use evener_test_servers::{Bind, BindOptions, Etcd};
use support::{FakeTransport, LIMIT, at_once, call, describe, eventually, eventually_has};

const KEY: &str = "/config/user-service";
const PICK_FIRST: &str = r#"{"loadBalancingConfig":[{"pick_first":{}}]}"#;
const RANDOM: &str = r#"{"loadBalancingConfig":[{"pick_random":{}}]}"#;

#[test]
fn a_service_config_in_a_registry_is_live_and_what_is_wrong_with_it_costs_nothing() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put(KEY, PICK_FIRST);
    let transport = FakeTransport::new();
    let source = format!("etcd://{}{KEY}", etcd.client().trim_start_matches("http://"));
    let options = ChannelOptions {
        service_config: Some(RANDOM.to_owned()),
        service_config_source: Some(source),
        ..at_once()
    };
    let channel = transport.open("static:///127.0.0.1:1,127.0.0.1:2", options);
    let in_force = |policy: &'static str| {
        eventually(policy, || (channel.policy_name() == policy).then_some(()));
    };
    in_force("pick_first");
    assert_eq!(describe(&channel)["service_config_origin"], "source");
    let at_first = describe(&channel)["resolution"]["config"]["revision"].clone();
    assert!(at_first.is_string(), "{at_first}");

    etcd.put(KEY, r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#);
    in_force("round_robin");
    assert_ne!(describe(&channel)["resolution"]["config"]["revision"], at_first);

    let faults: [(&str, &dyn Fn()); 2] = [
        ("refused", &|| etcd.put(KEY, r#"{"loadBalancingConfig":"round"}"#)),
        ("there is no such key", &|| etcd.delete(KEY)),
    ];
    for (part, spoil) in faults {
        spoil();
        eventually(part, || transport.logs().into_iter().find(|text| text.contains(part)));
        assert!(describe(&channel)["service_config_error"].is_string());
        assert_eq!(channel.policy_name(), "round_robin", "the one before stays");
    }
    // The application's own word does not go before the source that it has named.
    channel.set_service_config(RANDOM).expect("a config");
    assert_eq!(channel.policy_name(), "round_robin");
    etcd.put(KEY, PICK_FIRST);
    in_force("pick_first");
    eventually("no fault", || describe(&channel)["service_config_error"].is_null().then_some(()));
}

#[test]
fn the_first_call_obeys_a_service_config_in_a_registry_and_waits_for_none_that_cannot_be_had() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put(KEY, PICK_FIRST);
    let transport = FakeTransport::new();
    // Nobody ever answers there: what it takes is a connection, not a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = silent.local_addr().expect("bound").to_string();
    let refusing = evener_test_servers::free_port();
    let [soon, never] = [Duration::from_millis(150), Duration::ZERO];
    let sources = [
        (etcd.client().trim_start_matches("http://").to_owned(), never, "pick_first"),
        (format!("127.0.0.1:{refusing}"), never, "pick_random"),
        (silent, soon, "pick_random"),
    ];
    for (at, initial_timeout, policy) in sources {
        let options = ChannelOptions {
            service_config: Some(RANDOM.to_owned()),
            service_config_source: Some(format!("etcd://{at}{KEY}")),
            initial_timeout,
            ..at_once()
        };
        let channel = transport.open("static:///127.0.0.1:1,127.0.0.1:2", options);
        call(&channel).expect("it waits, and goes on");
        assert_eq!(channel.policy_name(), policy, "{at}");
    }
    let said = "no answer within 150ms; calls go on without it";
    assert!(transport.logs().iter().any(|text| text.contains(said)), "{:?}", transport.logs());
}

#[test]
fn servers_that_register_themselves_are_where_calls_go_also_while_the_registry_is_away() {
    let Some(etcd) = Etcd::start() else { return };
    let transport = FakeTransport::new();
    let at = etcd.client();
    let at = at.trim_start_matches("http://");
    let register = |port: u16| {
        let host = Some("127.0.0.1".to_owned());
        let ttl = Duration::from_secs(3);
        let definition = ServiceDefinition { host, ttl, ..ServiceDefinition::new("user-service", port) };
        let target = format!("etcd://{at}/");
        transport
            .driver
            .runtime()
            .register(&target, definition, RegistrationOptions::default(), None)
            .expect("valid")
    };
    let [one, two] = [1, 2].map(register);
    assert!(one.wait_registered(LIMIT) && two.wait_registered(LIMIT));
    let channel = transport.open(&format!("etcd://{at}/user-service"), at_once());
    eventually_has(&channel, &[1, 2]);

    etcd.kill();
    eventually("stale", || (describe(&channel)["resolution"]["freshness"] == "stale").then_some(()));
    eventually_has(&channel, &[1, 2]);
    call(&channel).expect("what is known is used");
    etcd.restart();
    eventually("fresh", || (describe(&channel)["resolution"]["freshness"] == "fresh").then_some(()));
    assert!(two.wait_registered(LIMIT) && two.close(Duration::ZERO, LIMIT));
    eventually_has(&channel, &[1]);
    call(&channel).expect("one is left");
    drop(one);
    eventually_has(&channel, &[]);
}

#[test]
fn a_service_config_from_dns_is_the_one_for_the_clients_language() {
    if !evener_discovery::HAS_DNS {
        return; // In a build without DNS there is nothing to show.
    }
    let choices = r#"grpc_config=[{\"clientLanguage\":[\"python\",\"go\"],\"serviceConfig\":{\"loadBalancingConfig\":[{\"pick_first\":{}}]}}," "{\"clientLanguage\":[\"c++\"],\"serviceConfig\":{\"loadBalancingConfig\":[{\"pick_random\":{}}]}}]"#;
    let records = vec!["svc 1 A 127.0.0.1".to_owned(), format!("_grpc_config.svc 1 TXT \"{choices}\"")];
    let Some(bind) = Bind::start(&BindOptions { records, ..BindOptions::default() }) else { return };
    let transport = FakeTransport::new();
    let target = format!("dns://{}/svc.example.test:7", bind.address());
    for (language, policy) in [("python", "pick_first"), ("c++", "pick_random"), ("rust", "round_robin")] {
        let dns_language = language.to_owned();
        let options = ChannelOptions { service_config_from_dns: true, dns_language, ..at_once() };
        let channel = transport.open(&target, options);
        eventually_has(&channel, &[7]);
        assert_eq!(channel.policy_name(), policy, "{language}: it comes with the first list");
    }
    assert_eq!(ChannelOptions::default().dns_language, "rust");
}
