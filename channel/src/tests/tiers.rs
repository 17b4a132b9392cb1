//! Priorities, conditions and places of endpoints, and the policies that heed them.

use super::*;
use evener_core::Health;

const NEAREST: &str =
    r#"{"loadBalancingConfig": [{"locality_weighted": {"zone": "eu-1a", "region": "eu-1"}}]}"#;

fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
    texts.iter().map(|text| format!("127.0.0.1:{text}").parse().expect("an endpoint")).collect()
}

fn over(texts: &[&str], config: Option<&str>) -> FakeTransport {
    let options = ChannelOptions {
        endpoints: Some(endpoints(texts)),
        service_config: config.map(str::to_owned),
        ..ChannelOptions::default()
    };
    let transport = FakeTransport::open("test-service", options);
    transport.engine.state(true);
    transport
}

fn take_over(transport: &FakeTransport, texts: &[&str]) {
    transport.engine.update_endpoints(endpoints(texts)).expect("a list");
}

/// Who gets the next eight calls.
fn picked(transport: &FakeTransport) -> Vec<u32> {
    let mut picked: Vec<u32> = (0..8)
        .map(|_| {
            let ticket = transport.started();
            let endpoint = ticket.endpoint();
            transport.finish(ticket);
            endpoint
        })
        .collect();
    picked.sort_unstable();
    picked.dedup();
    picked
}

#[test]
fn priorities_are_used_one_after_the_other() {
    let mut transport = over(&["1;priority=20", "2;priority=10", "3;priority=10"], None);
    assert_eq!(transport.connect_all(), [1, 2], "the backup is not even connected");
    assert_eq!(picked(&transport), [1, 2]);
    transport.fail(1, "refused");
    transport.fail(2, "refused");
    assert_eq!(transport.connect_all(), [0]);
    assert_eq!(picked(&transport), [0]);
    transport.set(2, Connectivity::Ready);
    transport.poll();
    assert_eq!(picked(&transport), [2], "back at once");
}

#[test]
fn a_silent_priority_is_waited_for() {
    let mut transport = over(&["1", "2;priority=1"], None);
    assert_eq!(connects(&transport.poll()), [0]);
    transport.set(0, Connectivity::Connecting);
    assert_eq!(connects(&transport.pass(9 * SECOND)), NOBODY);
    assert_eq!(connects(&transport.pass(2 * SECOND)), [1]);
}

#[test]
fn draining_endpoints_are_a_last_resort_within_their_priority() {
    let mut transport = over(&["1", "2", "3;priority=1"], None);
    assert_eq!(transport.connect_all(), [0, 1]);
    // A pod terminates: it keeps its connection, and gets no new calls.
    take_over(&transport, &["1", "2;condition=draining", "3;priority=1"]);
    assert_eq!(transport.poll(), [], "no connection is made or lost");
    assert_eq!(picked(&transport), [0]);
    transport.fail(0, "gone");
    assert_eq!(transport.poll(), [], "what is connected is used, and nobody is dialled");
    assert_eq!(picked(&transport), [1]);
    take_over(&transport, &["1", "2", "3;priority=1"]);
    transport.set(0, Connectivity::Ready);
    assert_eq!(transport.poll(), []);
    assert_eq!(picked(&transport), [0, 1]);
}

#[test]
fn unhealthy_endpoints_get_no_calls_whatever_their_connection_says() {
    let mut transport = over(&["1", "2", "3;condition=unhealthy"], None);
    assert_eq!(transport.connect_all(), [0, 1, 2]);
    assert_eq!(picked(&transport), [0, 1]);
    take_over(&transport, &["1;condition=unhealthy", "2", "3"]);
    assert_eq!(transport.poll(), [], "no connection is made or lost");
    assert_eq!(picked(&transport), [1, 2]);
    // Whoever says no is right.
    assert!(transport.engine.set_health(0, Health::Serving));
    assert!(transport.engine.set_health(1, Health::NotServing));
    transport.poll();
    assert_eq!(picked(&transport), [2]);
    take_over(&transport, &["1", "2", "3;condition=unhealthy"]);
    transport.poll();
    assert_eq!(picked(&transport), [0], "the server's own word on 2 still holds");
    take_over(&transport, &["1;condition=unhealthy", "2", "3;condition=unhealthy"]);
    transport.poll();
    let StartCall::Fail { message, .. } = transport.start(Some(false)) else {
        panic!("nobody serves");
    };
    for port in 1..=3 {
        assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    }
}

#[test]
fn a_health_that_a_larger_block_inherits_is_the_registrys_too() {
    let mut transport = over(&["1", "2;condition=unhealthy"], None);
    assert_eq!(transport.connect_all(), [0, 1]);
    let texts: Vec<String> = (3..60).map(|port| port.to_string()).collect();
    let mut list = vec!["1", "2;condition=unhealthy"];
    list.extend(texts.iter().map(String::as_str));
    take_over(&transport, &list);
    transport.poll();
    assert_eq!(picked(&transport), [0]);
}

#[test]
fn pick_first_leaves_whom_the_registry_calls_unhealthy() {
    let config = r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#;
    let mut transport = over(&["1", "2", "3;priority=1"], Some(config));
    assert_eq!(transport.connect_all(), [0]);
    take_over(&transport, &["1;condition=unhealthy", "2;condition=draining", "3;priority=1"]);
    assert_eq!(transport.connect_all(), [1]);
    assert_eq!(picked(&transport), [1]);
    // Of all it says so: then it says nothing.
    take_over(&transport, &["1;condition=unhealthy", "2;condition=unhealthy", "3;condition=unhealthy"]);
    transport.poll();
    assert_eq!(picked(&transport), [1]);
}

#[test]
fn the_own_zone_comes_first_and_then_the_own_region() {
    let list = [
        "1;zone=us-1a;region=us-1",
        "2;zone=eu-1b;region=eu-1",
        "3;zone=eu-1a;region=eu-1;weight=3",
        "4;zone=eu-1a;region=eu-1",
        "5;zone=eu-1a;region=eu-1;priority=1",
    ];
    let mut transport = over(&list, Some(NEAREST));
    assert_eq!(transport.connect_all(), [2, 3]);
    let calls: Vec<CallTicket> = (0..8).map(|_| transport.started()).collect();
    let heavy = calls.iter().filter(|ticket| ticket.endpoint() == 2).count();
    assert_eq!(heavy, 6, "by weight within the zone");
    calls.into_iter().for_each(|ticket| transport.finish(ticket));

    transport.fail(2, "gone");
    transport.fail(3, "gone");
    assert_eq!(transport.connect_all(), [1]);
    assert_eq!(picked(&transport), [1]);
    transport.fail(1, "gone");
    assert_eq!(transport.connect_all(), [0]);
    assert_eq!(picked(&transport), [0], "far away, but of the first priority");
    transport.fail(0, "gone");
    assert_eq!(transport.connect_all(), [4]);
}

#[test]
fn another_policy_moves_calls_and_no_connections() {
    let list = ["1;zone=us-1a", "2;zone=eu-1a", "3;zone=us-1a"];
    let mut transport = over(&list, None);
    assert_eq!(transport.connect_all(), [0, 1, 2]);
    assert_eq!(picked(&transport), [0, 1, 2]);
    transport.engine.set_service_config(NEAREST).expect("a config");
    let quiet =
        |events: Vec<Action>| events.iter().all(|event| matches!(event, Action::ServiceConfig { .. }));
    assert!(quiet(transport.poll()));
    assert_eq!(picked(&transport), [1]);
    assert_eq!(transport.engine.describe(transport.now)["policy"], "locality_weighted");
    let other = NEAREST.replace("eu-1a", "us-1a");
    transport.engine.set_service_config(&other).expect("a config");
    assert!(quiet(transport.poll()));
    assert_eq!(picked(&transport), [0, 2]);
    transport.engine.set_service_config("{}").expect("a config");
    assert!(quiet(transport.poll()));
    assert_eq!(picked(&transport), [0, 1, 2]);
    assert_eq!(transport.engine.describe(transport.now)["policy"], "round_robin");
}

#[test]
fn the_options_say_where_the_client_is() {
    let options = ChannelOptions {
        endpoints: Some(endpoints(&["1;region=us", "2;zone=a;region=eu", "3;zone=b;region=eu"])),
        service_config: Some(r#"{"loadBalancingConfig": [{"locality_weighted": {}}]}"#.to_owned()),
        zone: Some("b".to_owned()),
        region: Some("eu".to_owned()),
        ..ChannelOptions::default()
    };
    let mut transport = FakeTransport::open("test-service", options.clone());
    transport.engine.state(true);
    assert_eq!(transport.connect_all(), [2]);
    let warned = transport.logs.iter().any(|(level, _)| *level == Level::Warning);
    assert!(!warned, "{:?}", transport.logs);

    // The policy's own word goes before them, one by one.
    let config = r#"{"loadBalancingConfig": [{"locality_weighted": {"zone": "a"}}]}"#.to_owned();
    let mut transport =
        FakeTransport::open("test-service", ChannelOptions { service_config: Some(config), ..options });
    transport.engine.state(true);
    assert_eq!(transport.connect_all(), [1]);
    transport.fail(1, "gone");
    assert_eq!(transport.connect_all(), [2], "the region is still the option's");
}

#[test]
fn a_client_that_is_nowhere_is_told_so() {
    let options = ChannelOptions {
        endpoints: Some(endpoints(&["1;zone=a", "2"])),
        service_config: Some(r#"{"loadBalancingConfig": [{"locality_weighted": {}}]}"#.to_owned()),
        // As if the environment had nothing to say.
        zone: Some(String::new()),
        region: Some(String::new()),
        ..ChannelOptions::default()
    };
    let mut transport = FakeTransport::open("test-service", options);
    transport.engine.state(true);
    assert_eq!(transport.connect_all(), [0, 1]);
    let (level, text) = transport.logs.first().expect("a warning");
    assert_eq!(*level, Level::Warning);
    assert!(text.contains("EVENER_ZONE"), "{text}");
}
