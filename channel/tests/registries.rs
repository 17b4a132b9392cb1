//! Channels on a real etcd: their endpoints, their service config, and servers that register themselves there.
#![cfg(not(loom))]

mod support;

use std::time::Duration;

use evener_channel::ChannelOptions;
use evener_discovery::registration::{RegistrationOptions, ServiceDefinition};
use evener_test_servers::Etcd;
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
