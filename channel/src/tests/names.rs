//! Names that are looked up: failures, recovery, refresh, and what the application may override.

use super::*;

fn dns() -> FakeTransport {
    FakeTransport::open("dns:///user-service.example.com:8080", ChannelOptions::default())
}

fn answer(ports: &[u16]) -> Answer {
    Answer::List(list(ports))
}

fn failure() -> Answer {
    Answer::Failed("cannot resolve user-service.example.com: no name server answered".to_owned())
}

#[test]
fn a_name_is_looked_up_by_the_first_call_and_then_refreshed() {
    let mut transport = dns();
    assert!(transport.lookups.is_empty());
    assert!(transport.waits(None));
    assert_eq!(transport.poll(), [Action::StateChanged(Connectivity::Connecting)]);
    assert_eq!(transport.lookups.len(), 1);
    assert!(transport.waits(None), "resolving: a call waits");
    transport.pass(300 * SECOND);
    assert_eq!(transport.lookups.len(), 1, "one lookup at a time, however long it takes");

    transport.resolved(answer(&[1, 2]));
    assert_eq!(transport.connect_all().len(), 2);
    transport.finish(transport.started());
    transport.pass(26 * SECOND);
    assert_eq!(transport.lookups.len(), 1);
    transport.pass(8 * SECOND);
    assert_eq!(transport.lookups.len(), 2);
    transport.resolved(answer(&[1, 2]));
    assert_eq!(transport.poll(), [], "the same answer costs nothing");
    transport.pass(34 * SECOND);
    transport.resolved(answer(&[2, 3]));
    assert_eq!(transport.poll().len(), 2, "one goes, one comes");
}

#[test]
fn a_name_that_never_resolved_fails_calls_with_its_reason() {
    let mut transport = dns();
    transport.engine.state(true);
    transport.poll();
    assert!(transport.waits(None));
    transport.resolved(failure());
    let events = transport.poll();
    assert!(events.contains(&Action::StateChanged(Connectivity::TransientFailure)));
    assert!(events.contains(&Action::PickAgain));
    assert_eq!(
        transport.failed(),
        "name resolution failed for dns:///user-service.example.com:8080: \
         cannot resolve user-service.example.com: no name server answered"
    );
    assert!(transport.waits(Some(true)));

    transport.pass(2 * SECOND);
    assert_eq!(transport.lookups.len(), 2, "tried again after about a second");
    transport.resolved(failure());
    transport.pass(SECOND);
    assert_eq!(transport.lookups.len(), 2, "and then later");
    let warnings = transport.logs.iter().filter(|(level, _)| *level == Level::Warning).count();
    assert_eq!(warnings, 1, "the same failure is logged once: {:?}", transport.logs);

    transport.pass(2 * SECOND);
    transport.resolved(answer(&[1]));
    assert!(transport.poll().contains(&Action::StateChanged(Connectivity::Connecting)));
    assert_eq!(transport.connect_all(), Vec::<u32>::new(), "asked for already");
}

#[test]
fn the_last_list_stays_when_lookups_fail() {
    let mut transport = dns();
    transport.engine.state(true);
    transport.poll();
    transport.resolved(answer(&[1, 2]));
    transport.connect_all();
    for _ in 0..5 {
        let before = transport.lookups.len();
        transport.pass(150 * SECOND);
        assert!(transport.lookups.len() > before);
        transport.resolved(failure());
        assert_eq!(transport.poll(), []);
        transport.finish(transport.started());
    }
    let described = transport.engine.describe(transport.now);
    assert!(described["resolution"]["error"].as_str().is_some_and(|error| error.contains("no name server")));
}

#[test]
fn a_lost_connection_asks_again_but_not_too_often() {
    let mut transport = dns();
    transport.engine.state(true);
    transport.poll();
    transport.resolved(answer(&[1]));
    transport.connect_all();
    transport.fail(0, "connection reset");
    transport.pass(4 * SECOND);
    assert_eq!(transport.lookups.len(), 1, "5 s after the last answer at the soonest");
    transport.pass(2 * SECOND);
    assert_eq!(transport.lookups.len(), 2);
}

#[test]
fn no_interval_is_too_long_or_too_short_to_reckon_with() {
    for extreme in [Duration::ZERO, Duration::MAX] {
        let options = ChannelOptions {
            dns_refresh: Some(extreme),
            dns_min_interval: extreme,
            drain_timeout: extreme,
            ..ChannelOptions::default()
        };
        let mut transport = FakeTransport::open("dns:///user-service.example.com:8080", options);
        transport.engine.state(true);
        transport.poll();
        transport.resolved(answer(&[1]));
        transport.connect_all();
        transport.fail(0, "connection reset");
        transport.pass(SECOND);
        transport.update(&[]);
        assert_eq!(closes(&transport.pass(3_600 * SECOND)), [0]);
    }
}

#[test]
fn a_list_without_room_is_said_once_however_often_it_is_looked_up() {
    let address = |n: u32| std::net::SocketAddr::from(([10, (n >> 16) as u8, (n >> 8) as u8, n as u8], 80));
    let many = |from: u32| (from..from + 40_000).map(|n| Endpoint::new(vec![address(n).into()])).collect();
    let mut transport = dns();
    transport.engine.state(true);
    transport.poll();
    transport.resolved(Answer::List(many(0)));
    let everybody = transport.connect_all().len();
    let tickets: Vec<CallTicket> = (0..everybody).map(|_| transport.started()).collect();
    for _ in 0..3 {
        transport.resolved(Answer::List(many(100_000)));
        transport.poll();
        transport.now += 40 * SECOND;
        transport.poll();
    }
    let problems = transport.logs.iter().filter(|(level, _)| *level <= Level::Warning);
    assert_eq!(problems.count(), 1, "{:?}", transport.logs);
    tickets.into_iter().for_each(|ticket| transport.finish(ticket));
    transport.poll();
    assert_eq!(transport.connect_all().len(), 0, "asked for when the calls had ended");
}

#[test]
fn the_applications_list_ends_the_lookups() {
    let mut transport = dns();
    transport.engine.state(true);
    transport.poll();
    transport.update(&[5]);
    assert_eq!(transport.connect_all(), [0]);
    transport.resolved(answer(&[1, 2, 3]));
    assert_eq!(transport.poll(), [], "a late answer is dropped");
    transport.pass(3_600 * SECOND);
    assert_eq!(transport.lookups.len(), 1);
    transport.finish(transport.started());
}

#[test]
fn a_list_given_before_the_first_use_waits_for_it() {
    let mut transport = dns();
    transport.update(&[5]);
    assert_eq!(transport.pass(60 * SECOND), []);
    assert_eq!(transport.state(), Connectivity::Idle);
    transport.engine.state(true);
    assert_eq!(transport.connect_all(), [0]);
    assert!(transport.lookups.is_empty());
}

#[test]
fn an_answer_after_closing_is_dropped() {
    let mut transport = dns();
    transport.engine.state(true);
    transport.poll();
    transport.engine.close();
    transport.resolved(answer(&[1]));
    assert_eq!(transport.poll(), [Action::StateChanged(Connectivity::Shutdown)]);
    assert!(transport.engine.is_finished());
}

#[test]
fn one_virtual_address_is_a_finding() {
    let mut transport =
        FakeTransport::open("user-service.default.svc.cluster.local:8080", ChannelOptions::default());
    transport.engine.state(true);
    transport.poll();
    transport.resolved(answer(&[1]));
    transport.poll();
    assert!(transport.logs.iter().any(|(_, text)| text.contains("headless")), "{:?}", transport.logs);
}

#[test]
fn counters_are_collected_before_they_can_wrap() {
    let mut transport = FakeTransport::over(&[1]);
    transport.connect_all();
    assert!(transport.next.is_some_and(|next| next <= transport.now + 600 * SECOND));
    transport.pass(10_000 * SECOND);
    assert!(transport.next.is_some_and(|next| next <= transport.now + 600 * SECOND));
}

/// Consul's agent is not asked here: this transport leaves a watch that it is asked for alone.
#[cfg(feature = "all")]
#[test]
fn what_should_not_stand_in_a_target_is_logged_once_when_it_is_opened() {
    let open = |target: &str, fallback: &str, config: Option<&str>| {
        let options = ChannelOptions {
            fallback_target: Some(fallback.to_owned()),
            service_config_source: config.map(str::to_owned),
            ..ChannelOptions::default()
        };
        let mut transport = FakeTransport::open(target, options);
        transport.engine.state(true);
        transport.pass(SECOND);
        transport.logs
    };
    let spare = "static:///127.0.0.1:1";
    let logs = open("consul://me:hush@127.0.0.1:1/user?near=_agent&token=hush", spare, None);
    let name = "consul://***@127.0.0.1:1/user?near=_agent&token=***";
    let texts = ["authority: user and password: ", "query: token: ", "query: near: is left out: "];
    assert_eq!(logs.len(), texts.len(), "{logs:?}");
    for ((level, log), text) in logs.iter().zip(texts) {
        assert!(*level == Level::Warning && log.starts_with(&format!("{name}: {text}")), "{log}");
    }

    let odd = "consul://127.0.0.1:1/a?insecure";
    assert_eq!(open("dns:///a:1", odd, None).len(), 1, "the fallback's");
    assert_eq!(open("dns:///a:1", spare, Some(odd)).len(), 1, "that of the service config's source");
    assert_eq!(open("consul://127.0.0.1:1/user?passing", spare, None), []);
}
