//! Lists that change: removal, drain, return, growth.

use super::*;
use crate::options::{OpenError, UpdateError};

fn ports(from: u16, count: u16) -> Vec<u16> {
    (from..from + count).collect()
}

/// One call at each endpoint of a channel.
fn one_each(transport: &FakeTransport, count: usize) -> Vec<CallTicket> {
    let tickets: Vec<CallTicket> = (0..count).map(|_| transport.started()).collect();
    let mut endpoints: Vec<u32> = tickets.iter().map(CallTicket::endpoint).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    assert_eq!(endpoints.len(), count, "round robin reaches everybody");
    tickets
}

#[test]
fn calls_of_a_removed_endpoint_go_on_until_the_drain_timeout() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.connect_all();
    let tickets = one_each(&transport, 2);
    transport.update(&[2]);
    assert_eq!(closes(&transport.poll()), NOBODY);
    for _ in 0..10 {
        let ticket = transport.started();
        assert_eq!(ticket.endpoint(), 1, "no pick of a removed endpoint");
        transport.finish(ticket);
    }
    assert_eq!(cancels(&transport.pass(29 * SECOND)), NOBODY);
    assert_eq!(cancels(&transport.pass(2 * SECOND)), [0]);
    assert_eq!(cancels(&transport.pass(120 * SECOND)), NOBODY, "once");
    for ticket in tickets {
        transport.finish(ticket);
    }
    assert_eq!(closes(&transport.poll()), [0]);
    assert!(!transport.set(0, Connectivity::Ready), "closed: nothing is listened to any more");
    assert!(transport.engine.acknowledge(0));
    assert!(!transport.engine.acknowledge(0));
}

#[test]
fn a_full_channel_with_a_call_everywhere_is_replaced_altogether() {
    let mut transport = FakeTransport::over(&ports(1, 32));
    assert_eq!(transport.connect_all().len(), 32);
    let tickets = one_each(&transport, 32);
    transport.update(&ports(101, 32));
    let fresh = transport.connect_all();
    assert_eq!(fresh.len(), 32, "not refused although every slot still has a call");
    let newer = one_each(&transport, 32);
    assert!(newer.iter().all(|ticket| fresh.contains(&ticket.endpoint())));
    assert_eq!(transport.in_flight(), 64);

    assert_eq!(cancels(&transport.pass(31 * SECOND)).len(), 32);
    for ticket in tickets {
        transport.finish(ticket);
    }
    let mut closed = closes(&transport.poll());
    closed.sort_unstable();
    assert_eq!(closed, (0..32).collect::<Vec<u32>>());
    assert_eq!(transport.in_flight(), 32);
    newer.into_iter().for_each(|ticket| transport.finish(ticket));
    assert_eq!(transport.in_flight(), 0);
}

#[test]
fn with_no_drain_timeout_calls_are_never_cancelled() {
    let options = ChannelOptions { drain_timeout: Duration::ZERO, ..ChannelOptions::default() };
    let mut transport = FakeTransport::over_with(&[1, 2], options);
    transport.connect_all();
    let tickets = one_each(&transport, 2);
    transport.update(&[2]);
    let events = transport.pass(3_600 * SECOND);
    assert_eq!((cancels(&events), closes(&events)), (vec![], vec![]));
    tickets.into_iter().for_each(|ticket| transport.finish(ticket));
    assert_eq!(closes(&transport.poll()), [0]);
}

#[test]
fn an_endpoint_that_returns_keeps_index_connection_and_calls() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.connect_all();
    let tickets = one_each(&transport, 2);
    transport.update(&[2]);
    transport.poll();
    transport.update(&[1, 2]);
    let events = transport.pass(120 * SECOND);
    assert_eq!((connects(&events), cancels(&events), closes(&events)), (vec![], vec![], vec![]));
    assert_eq!(transport.index_of(1), Some(0));
    tickets.into_iter().for_each(|ticket| transport.finish(ticket));
    assert_eq!(transport.in_flight(), 0);
    one_each(&transport, 2).into_iter().for_each(|ticket| transport.finish(ticket));
}

#[test]
fn an_index_means_one_endpoint_until_its_close_is_acknowledged() {
    let mut transport = FakeTransport::over(&[1]);
    transport.connect_all();
    transport.update(&[2]);
    let events = transport.poll();
    assert_eq!((closes(&events), connects(&events)), (vec![0], vec![1]));
    assert_eq!(transport.engine.endpoint_target(0).as_deref(), Some("ipv4:127.0.0.1:1"));
    transport.update(&[2, 3]);
    assert_eq!(connects(&transport.poll()), [2]);
    assert!(transport.engine.acknowledge(0));
    assert_eq!(transport.engine.endpoint_target(0), None);
    transport.update(&[2, 3, 1]);
    assert_eq!(connects(&transport.poll()), [0]);
}

#[test]
fn growing_keeps_connections_counts_and_running_calls() {
    let mut transport = FakeTransport::over(&ports(1, 20));
    transport.connect_all();
    let tickets = one_each(&transport, 20);
    transport.engine.finish_call(transport.started(), CallReport::default(), transport.now);
    let before = tickets[0].block();

    transport.update(&ports(1, 300));
    let asked = connects(&transport.poll());
    assert_eq!(asked.len(), 280, "connections that exist are not asked for again");
    assert_eq!(transport.state(), Connectivity::Ready);
    for endpoint in asked {
        transport.set(endpoint, Connectivity::Ready);
    }
    transport.poll();
    let newer = one_each(&transport, 300);
    assert_ne!(newer[0].block(), before, "calls start in the larger block");
    assert_eq!(transport.in_flight(), 320, "the sum over both");
    let stats = transport.engine.stats();
    assert_eq!(stats.iter().map(|stats| stats.ok).sum::<u64>(), 1, "what was counted before stays");

    tickets.into_iter().for_each(|ticket| transport.finish(ticket));
    newer.into_iter().for_each(|ticket| transport.finish(ticket));
    assert_eq!(transport.in_flight(), 0);
    let stats = transport.engine.stats();
    assert_eq!(stats.iter().map(|stats| stats.ok).sum::<u64>(), 321);
}

#[test]
fn an_endpoint_with_calls_in_two_blocks_closes_once_and_last() {
    let mut transport = FakeTransport::over(&ports(1, 20));
    transport.connect_all();
    let old = one_each(&transport, 20);
    transport.update(&ports(1, 100));
    transport.connect_all();
    let new = one_each(&transport, 100);
    transport.update(&[]);
    assert_eq!(closes(&transport.poll()), NOBODY);
    let cancelled = cancels(&transport.pass(31 * SECOND));
    assert_eq!(cancelled.len(), 100, "once each, though some have calls in both blocks");
    new.into_iter().for_each(|ticket| transport.finish(ticket));
    assert_eq!(closes(&transport.poll()).len(), 80);
    old.into_iter().for_each(|ticket| transport.finish(ticket));
    assert_eq!(closes(&transport.poll()).len(), 20);
    assert_eq!(transport.engine.stats(), []);
}

#[test]
fn an_endpoint_that_returns_while_only_an_outgrown_block_has_its_call_is_picked_again() {
    let mut transport = FakeTransport::over(&ports(1, 2));
    transport.connect_all();
    let old = one_each(&transport, 2);
    transport.update(&ports(1, 40));
    transport.connect_all();
    one_each(&transport, 40).into_iter().for_each(|ticket| transport.finish(ticket));
    transport.update(&ports(2, 39));
    assert_eq!(closes(&transport.poll()), NOBODY, "a call from before the growth runs at it");
    transport.update(&ports(1, 40));
    assert_eq!(connects(&transport.poll()), NOBODY, "its connection was kept");
    one_each(&transport, 40).into_iter().for_each(|ticket| transport.finish(ticket));
    old.into_iter().for_each(|ticket| transport.finish(ticket));
    let stats = transport.engine.stats();
    assert_eq!((stats[0].ok, stats[0].in_flight), (3, 0), "no block's counts are lost");
}

#[test]
fn what_an_outgrown_block_answers_counts_no_more() {
    let mut transport = FakeTransport::over(&[]);
    transport.poll();
    transport.failed();
    let answer =
        |transport: &FakeTransport, block| transport.engine.answer(block, METHOD, None, 0, transport.now);
    assert!(matches!(answer(&transport, 0), Some(StartCall::Fail { .. })));
    transport.update(&ports(1, 40));
    transport.poll();
    // A call that read "block 0" just before the growth: its list is empty there, and that is old news.
    assert_eq!(answer(&transport, 0), None);
    assert!(matches!(answer(&transport, 1), Some(StartCall::Wait { .. })));
}

#[test]
fn growth_carries_failures_as_well() {
    let mut transport = FakeTransport::over(&ports(1, 32));
    for endpoint in connects(&transport.poll()) {
        transport.fail(endpoint, "connection refused");
    }
    transport.poll();
    transport.failed();
    transport.update(&ports(1, 33));
    transport.poll();
    assert!(transport.waits(None), "the new one may still connect");
    transport.fail(transport.index_of(33).expect("known"), "connection refused");
    transport.poll();
    transport.failed();
}

#[test]
fn an_endpoint_that_fails_is_failing_until_it_is_ready_whatever_grows_meanwhile() {
    let mut transport = FakeTransport::over(&ports(1, 32));
    for endpoint in connects(&transport.poll()) {
        transport.fail(endpoint, "connection refused");
        transport.set(endpoint, Connectivity::Connecting);
    }
    transport.poll();
    transport.failed();
    transport.update(&ports(1, 33));
    transport.poll();
    transport.fail(transport.index_of(33).expect("known"), "connection refused");
    transport.poll();
    transport.failed();
    transport.set(0, Connectivity::Ready);
    transport.poll();
    transport.finish(transport.started());
}

#[test]
fn pick_first_that_has_failed_everywhere_tries_only_what_is_new_when_it_grows() {
    let config = r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#.to_owned();
    let options = ChannelOptions { service_config: Some(config), ..ChannelOptions::default() };
    let mut transport = FakeTransport::over_with(&ports(1, 32), options);
    for _ in 0..32 {
        for endpoint in connects(&transport.poll()) {
            transport.fail(endpoint, "connection refused");
        }
    }
    transport.poll();
    transport.failed();
    transport.update(&ports(1, 33));
    assert_eq!(connects(&transport.poll()), [32]);
    transport.fail(32, "connection refused");
    transport.poll();
    transport.failed();
}

#[test]
fn the_order_of_addresses_is_that_of_the_latest_list() {
    let given = |text: &str| vec![text.parse::<Endpoint>().expect("an endpoint")];
    let mut transport = FakeTransport::over(&[]);
    transport.engine.update_endpoints(given("127.0.0.1:1|127.0.0.1:2")).expect("taken over");
    transport.connect_all();
    transport.engine.update_endpoints(given("127.0.0.1:2|127.0.0.1:1")).expect("taken over");
    assert_eq!(transport.poll(), [], "it is the same endpoint");
    assert_eq!(transport.engine.endpoint_target(0).as_deref(), Some("ipv4:127.0.0.1:2,127.0.0.1:1"));
}

#[test]
fn pick_first_grows_without_a_new_connection_and_rests_without_any() {
    let config = r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#.to_owned();
    let options = ChannelOptions { service_config: Some(config), ..ChannelOptions::default() };
    let mut transport = FakeTransport::over_with(&ports(1, 32), options);
    assert_eq!(connects(&transport.poll()), [0]);
    transport.set(0, Connectivity::Connecting);
    assert_eq!(connects(&transport.pass(SECOND / 3)), [1], "the second attempt");
    transport.set(1, Connectivity::Connecting);

    transport.update(&ports(1, 40));
    assert_eq!(connects(&transport.poll()), NOBODY);
    transport.set(1, Connectivity::Ready);
    let events = transport.poll();
    assert!(events.contains(&Action::Disconnect { endpoint: 0 }), "{events:?}");
    let ticket = transport.started();
    assert_eq!(ticket.endpoint(), 1);
    transport.finish(ticket);

    transport.update(&ports(1, 80));
    assert_eq!(connects(&transport.poll()), NOBODY, "connected already");
    transport.finish(transport.started());
    transport.set(1, Connectivity::TransientFailure);
    let events = transport.poll();
    assert!(events.contains(&Action::Disconnect { endpoint: 1 }), "{events:?}");
    assert_eq!(transport.state(), Connectivity::Idle);
}

#[test]
fn a_connection_that_was_let_go_counts_again_when_it_is_back() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.connect_all();
    transport.engine.set_service_config(r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#).expect("valid");
    assert!(transport.poll().contains(&Action::Disconnect { endpoint: 1 }));
    assert_eq!(transport.engine.stats()[1].state, Connectivity::Idle, "whatever it said before");
    transport.engine.set_service_config("{}").expect("valid");
    assert_eq!(connects(&transport.poll()), [1]);
    transport.set(1, Connectivity::Ready);
    transport.poll();
    one_each(&transport, 2).into_iter().for_each(|ticket| transport.finish(ticket));
}

#[test]
fn endpoints_without_addresses_and_sets_too_large_are_refused() {
    let mut transport = FakeTransport::over(&[1]);
    transport.connect_all();
    let nothing = Endpoint::new(Vec::new());
    let refused = transport.engine.update_endpoints(vec![endpoint(1), nothing]);
    assert_eq!(refused, Err(UpdateError::NoAddress { position: 1 }));
    let refused = transport.engine.update_endpoints(many(0, 65_535));
    assert_eq!(refused, Err(UpdateError::TooMany { given: 65_535 }));
    transport.poll();
    transport.finish(transport.started());
}

#[test]
fn a_first_list_that_is_too_large_fails_calls_instead_of_letting_them_wait() {
    let options = ChannelOptions { endpoints: Some(many(0, 65_535)), ..ChannelOptions::default() };
    let refused = set_up("test-service", options);
    assert!(matches!(refused, Err(OpenError::Endpoints(UpdateError::TooMany { given: 65_535 }))));

    let mut lists = evener_discovery::NamedLists::new();
    lists.insert("nowhere", vec![Endpoint::new(Vec::new())]);
    let options = ChannelOptions { named_lists: Some(lists), ..ChannelOptions::default() };
    let refused = set_up("static:///nowhere", options);
    assert!(matches!(refused, Err(OpenError::Endpoints(UpdateError::NoAddress { position: 0 }))));

    let mut transport =
        FakeTransport::open("dns:///user-service.example.com:8080", ChannelOptions::default());
    transport.engine.state(true);
    transport.poll();
    for answer in [Answer::List(many(0, 65_535)), Answer::Unchanged] {
        transport.resolved(answer);
        transport.poll();
        assert_eq!(transport.state(), Connectivity::TransientFailure);
        assert!(transport.failed().contains("65535 endpoints are more than a channel can hold"));
        transport.pass(40 * SECOND);
    }
    transport.resolved(Answer::List(list(&[1])));
    transport.connect_all();
    transport.finish(transport.started());
}

#[test]
fn a_list_that_is_refused_changes_nothing() {
    let mut transport =
        FakeTransport::open("dns:///user-service.example.com:8080", ChannelOptions::default());
    let too_many = || transport.engine.update_endpoints(many(0, 65_535));
    assert_eq!(too_many(), Err(UpdateError::TooMany { given: 65_535 }), "before the first use");
    transport.engine.state(true);
    assert_eq!(too_many(), Err(UpdateError::TooMany { given: 65_535 }));
    transport.poll();
    assert_eq!(transport.lookups.len(), 1, "the name is still looked up");
    assert_eq!(
        transport.engine.update_endpoints(many(0, 65_535)),
        Err(UpdateError::TooMany { given: 65_535 })
    );
    transport.resolved(Answer::List(list(&[1])));
    assert_eq!(transport.connect_all(), [0], "and its answer is still awaited");
}

#[test]
fn the_largest_list_may_repeat_itself() {
    let mut endpoints = many(0, 65_534);
    endpoints.extend(many(0, 10));
    let options = ChannelOptions { endpoints: Some(endpoints), ..ChannelOptions::default() };
    let mut transport = FakeTransport::open("test-service", options);
    transport.engine.state(true);
    assert_eq!(transport.connect_all().len(), 65_534);
    transport.finish(transport.started());
}

#[test]
fn the_shortest_drain_timeout_is_no_endless_one() {
    let options = ChannelOptions { drain_timeout: Duration::from_nanos(1), ..ChannelOptions::default() };
    let mut transport = FakeTransport::over_with(&[1], options);
    transport.connect_all();
    let ticket = transport.started();
    transport.update(&[]);
    assert_eq!(cancels(&transport.pass(SECOND)), [0]);
    transport.finish(ticket);
}

#[test]
fn the_largest_block_takes_a_list_over_when_calls_have_ended() {
    let options = ChannelOptions { endpoints: Some(many(0, 40_000)), ..ChannelOptions::default() };
    let mut transport = FakeTransport::open("test-service", options);
    transport.engine.state(true);
    transport.connect_all();
    let tickets = one_each(&transport, 40_000);
    let result = transport.engine.update_endpoints(many(1_000_000, 40_000));
    assert_eq!(result, Err(UpdateError::NoRoom));
    assert_eq!(connects(&transport.poll()), NOBODY);
    transport.finish(transport.started());
    assert_eq!(transport.engine.describe(transport.now)["resolution"]["waits_for_room"], true);

    assert_eq!(transport.logs.iter().filter(|(_, text)| text.contains("no room")).count(), 1);

    // The application gives a list that fits together with what runs: the waiting one is forgotten.
    transport.engine.update_endpoints(many(1_000_000, 20_000)).expect("room");
    assert_eq!(connects(&transport.poll()).len(), 20_000);
    assert_eq!(transport.engine.update_endpoints(many(1_000_000, 40_000)), Err(UpdateError::NoRoom));
    tickets.into_iter().for_each(|ticket| transport.finish(ticket));
    let events = transport.poll();
    assert_eq!((closes(&events).len(), connects(&events).len()), (40_000, 20_000), "taken over by itself");
}

#[test]
fn nothing_is_heard_of_endpoints_that_never_were() {
    let mut transport = FakeTransport::over(&[1]);
    transport.poll();
    for endpoint in [1, 7, 131_072, u32::MAX] {
        assert!(!transport.set(endpoint, Connectivity::Ready));
        assert!(!transport.engine.set_health(endpoint, evener_core::Health::Serving));
        assert!(!transport.engine.acknowledge(endpoint));
        assert_eq!(transport.engine.endpoint_target(endpoint), None);
    }
}

fn many(from: u32, count: u32) -> Vec<Endpoint> {
    let address =
        |n: u32| std::net::SocketAddr::from(([10, (n >> 16) as u8, (n >> 8) as u8, n as u8], 50_051));
    (from..from + count).map(|n| Endpoint::new(vec![address(n).into()])).collect()
}

#[cfg(feature = "runtime")]
#[test]
fn a_fallback_for_endpoints_that_are_written_out_is_said_to_be_of_no_use() {
    let fallback_target = Some("static:///127.0.0.1:9".to_owned());
    let options = ChannelOptions { fallback_target, ..ChannelOptions::default() };
    let transport = FakeTransport::open("static:///127.0.0.1:1", options);
    let said = |(_, text): &(Level, String)| text.contains("fallback_target is never used");
    assert_eq!(transport.logs.iter().filter(|log| said(log)).count(), 1);
}

#[test]
fn a_directory_of_snapshots_for_the_systems_resolver_is_said_to_be_of_no_use() {
    let snapshot_dir = Some(std::path::PathBuf::from("snapshots"));
    let options = ChannelOptions { system_dns: true, snapshot_dir, ..ChannelOptions::default() };
    let transport = FakeTransport::open("dns:///localhost:1", options);
    let said = |(_, text): &(Level, String)| text.contains("snapshot_dir keeps nothing");
    assert_eq!(transport.logs.iter().filter(|log| said(log)).count(), 1);
}
