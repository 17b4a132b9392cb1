//! What a call is answered in each state of the channel.

use super::*;

fn with_config(json: &str) -> ChannelOptions {
    ChannelOptions { service_config: Some(json.to_owned()), ..ChannelOptions::default() }
}

#[test]
fn a_channel_is_idle_until_its_first_call() {
    let options = ChannelOptions { endpoints: Some(list(&[1, 2])), ..ChannelOptions::default() };
    let mut transport = FakeTransport::open("test-service", options);
    assert_eq!(transport.pass(3_600 * SECOND), []);
    assert_eq!(transport.state(), Connectivity::Idle);
    let StartCall::Wait { epoch } = transport.start(Some(false)) else { panic!("the first call waits") };

    let events = transport.poll();
    assert_eq!(connects(&events), [0, 1]);
    assert!(events.contains(&Action::StateChanged(Connectivity::Connecting)));
    assert!(transport.waits(Some(false)), "CONNECTING: a call waits, whatever it said");

    transport.set(1, Connectivity::Ready);
    let events = transport.poll();
    assert!(
        events.contains(&Action::StateChanged(Connectivity::Ready)) && events.contains(&Action::PickAgain)
    );
    assert_ne!(transport.engine.shared.waiters.epoch(), epoch);
    let ticket = transport.started();
    assert_eq!(ticket.endpoint(), 1);
    transport.finish(ticket);
}

#[test]
fn a_call_that_is_only_tried_starts_or_leaves_no_trace() {
    let options = ChannelOptions { endpoints: Some(list(&[1])), ..ChannelOptions::default() };
    let mut transport = FakeTransport::open("test-service", options);
    let attempt = |transport: &FakeTransport| transport.engine.try_start_call(transport.now);
    assert_eq!(attempt(&transport), None);
    assert_eq!((transport.poll(), transport.state()), (Vec::new(), Connectivity::Idle), "it wakes nobody");
    assert!(transport.waits(None));
    assert_eq!(transport.connect_all(), [0]);
    let ticket = attempt(&transport).expect("it is connected");
    assert_eq!((ticket.endpoint(), transport.in_flight()), (0, 1));
    transport.finish(ticket);
    transport.fail(0, "connection refused");
    transport.poll();
    assert_eq!((attempt(&transport), transport.in_flight()), (None, 0));
    transport.engine.close();
    assert_eq!(attempt(&transport), None);
}

#[test]
fn nobody_is_told_to_pick_again_who_does_not_wait() {
    let mut transport = FakeTransport::over(&[1]);
    assert_eq!(transport.connect_all(), [0]);
    transport.set(0, Connectivity::Connecting);
    assert!(!transport.poll().contains(&Action::PickAgain));
    assert!(transport.waits(None));
    transport.set(0, Connectivity::Ready);
    assert!(transport.poll().contains(&Action::PickAgain));
}

#[test]
fn a_waiting_call_is_not_tied_to_an_endpoint_that_fails() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.poll();
    transport.set(0, Connectivity::Connecting);
    transport.set(1, Connectivity::Connecting);
    transport.poll();
    assert!(transport.waits(None));
    transport.fail(0, "connection refused");
    transport.poll();
    assert!(transport.waits(None), "one endpoint still connects");
    transport.set(1, Connectivity::Ready);
    assert!(transport.poll().contains(&Action::PickAgain));
    let ticket = transport.started();
    assert_eq!(ticket.endpoint(), 1);
    transport.finish(ticket);
}

#[test]
fn a_failing_channel_fails_calls_with_the_reasons() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.poll();
    transport.fail(0, "connection refused");
    transport.fail(1, "no route to host");
    assert!(transport.poll().contains(&Action::StateChanged(Connectivity::TransientFailure)));
    assert_eq!(
        transport.failed(),
        "failed to connect to all addresses; 127.0.0.1:1: connection refused; 127.0.0.1:2: no route to host"
    );
    transport.fail(0, "connection reset");
    assert!(transport.failed().contains("127.0.0.1:1: connection reset"), "the text is never an old one");
    assert!(transport.waits(Some(true)));

    // A failing endpoint that tries again is failing until it is READY (gRFC A62).
    transport.set(0, Connectivity::Connecting);
    transport.poll();
    transport.failed();
    transport.set(0, Connectivity::Ready);
    assert!(transport.poll().contains(&Action::PickAgain));
    transport.finish(transport.started());
}

#[test]
fn the_text_of_a_failure_is_bounded() {
    let ports: Vec<u16> = (1..=500).collect();
    let mut transport = FakeTransport::over(&ports);
    for endpoint in connects(&transport.poll()) {
        transport.fail(endpoint, "connection refused");
    }
    transport.poll();
    let message = transport.failed();
    assert!(message.len() <= 1_100, "{}", message.len());
    assert!(message.contains("127.0.0.1:1: connection refused; ") && message.contains(" more"), "{message}");
}

#[test]
fn wait_for_ready_comes_from_the_call_then_from_the_config() {
    let config = r#"{"methodConfig": [{"name": [{"service": "demo.Greeter"}], "waitForReady": true}]}"#;
    let mut transport = FakeTransport::over_with(&[1], with_config(config));
    transport.poll();
    transport.fail(0, "connection refused");
    transport.poll();
    assert!(transport.waits(None), "the config's word");
    assert!(matches!(transport.start(Some(false)), StartCall::Fail { code: 14, .. }), "the call's own wins");
    let other = transport.engine.start_call("/other.Service/Do", None, transport.now);
    assert!(matches!(other, StartCall::Fail { code: 14, .. }));

    // Taken back while a call waits: it is told to look again, and fails.
    transport.engine.set_service_config("{}").expect("valid");
    assert!(transport.poll().contains(&Action::PickAgain));
    transport.failed();
}

#[test]
fn an_empty_list_fails_at_once_and_says_so() {
    let mut transport = FakeTransport::open("static:///nowhere", ChannelOptions::default());
    assert!(transport.waits(None));
    assert!(transport.poll().contains(&Action::StateChanged(Connectivity::TransientFailure)));
    assert_eq!(transport.failed(), "no endpoints: the list of static:///nowhere is empty");
}

#[test]
fn servers_that_do_not_serve_get_no_calls() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.connect_all();
    assert!(transport.engine.set_health(0, evener_core::Health::NotServing));
    transport.poll();
    for _ in 0..4 {
        let ticket = transport.started();
        assert_eq!(ticket.endpoint(), 1);
        transport.finish(ticket);
    }
    assert!(transport.engine.set_health(1, evener_core::Health::NotServing));
    transport.poll();
    assert_eq!(transport.failed(), "all connected endpoints report NOT_SERVING; 127.0.0.1:1; 127.0.0.1:2");
}

#[test]
fn a_closed_channel_cancels_and_wakes() {
    let mut transport = FakeTransport::over(&[1]);
    assert!(transport.waits(Some(true)));
    transport.engine.close();
    transport.engine.close();
    assert_eq!(transport.state(), Connectivity::Shutdown);
    assert_eq!(
        transport.start(Some(true)),
        StartCall::Fail { code: 1, message: "channel is closed".to_owned() }
    );
    let events = transport.poll();
    assert!(
        events.contains(&Action::PickAgain) && events.contains(&Action::StateChanged(Connectivity::Shutdown))
    );
    assert!(transport.engine.is_finished(), "it was never connected, so nothing is left to close");
    assert!(transport.engine.update_endpoints(list(&[2])).is_err());
}

#[test]
fn a_closed_channel_takes_no_config_and_keeps_no_log() {
    let mut transport = FakeTransport::over(&[1]);
    transport.engine.close();
    transport.poll();
    assert!(transport.engine.is_finished());
    let config = r#"{"loadBalancingPolicy": "pick_first", "healthCheckConfig": {"serviceName": "a"}}"#;
    let warnings = transport.engine.set_service_config(config).expect("valid");
    assert_eq!(warnings.len(), 1);
    assert!(transport.engine.is_finished(), "nobody would fetch what is logged now");
}

#[test]
fn a_log_that_nobody_fetches_is_bounded() {
    let mut transport = FakeTransport::over(&[1]);
    transport.poll();
    for port in 2..1_000 {
        transport.update(&[port]);
    }
    transport.poll();
    assert!(transport.logs.len() <= 300, "{}", transport.logs.len());
    assert!(transport.logs.iter().any(|(_, text)| text.contains("were dropped")));
}

#[test]
fn a_channel_that_was_never_used_closes_without_a_trace() {
    let options = ChannelOptions { endpoints: Some(list(&[1])), ..ChannelOptions::default() };
    let mut transport = FakeTransport::open("test-service", options);
    transport.engine.close();
    assert_eq!(transport.poll(), [Action::StateChanged(Connectivity::Shutdown)]);
    assert_eq!(transport.engine.describe(transport.now)["blocks"], 0);
    assert!(transport.engine.is_finished());
}

#[test]
fn closing_waits_for_the_calls_that_run() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.connect_all();
    let ticket = transport.started();
    let (busy, free) = (ticket.endpoint(), 1 - ticket.endpoint());
    transport.engine.close();
    assert!(matches!(transport.start(None), StartCall::Fail { code: 1, .. }), "before any poll");
    assert_eq!(closes(&transport.poll()), [free]);
    assert!(!transport.engine.is_finished());
    let events = transport.pass(31 * SECOND);
    assert_eq!((cancels(&events), closes(&events)), (vec![busy], vec![]));
    transport.finish(ticket);
    assert_eq!(closes(&transport.poll()), [busy]);
    assert!(transport.engine.is_finished());
}

#[test]
fn outcomes_are_counted_at_their_endpoint() {
    let mut transport = FakeTransport::over(&[1]);
    transport.connect_all();
    for (code, abandoned) in
        [(0, false), (5, false), (14, false), (4, false), (8, false), (1, false), (0, true)]
    {
        let report = CallReport { code, abandoned, latency: SECOND };
        assert!(transport.engine.finish_call(transport.started(), report, transport.now));
    }
    let running = transport.started();
    let stats = &transport.engine.stats()[0];
    assert_eq!((stats.ok, stats.failed, stats.rejected, stats.other, stats.in_flight), (2, 2, 1, 2, 1));
    transport.finish(running);
}

#[test]
fn a_ticket_finished_twice_or_made_up_does_no_harm() {
    let mut transport = FakeTransport::over(&[1]);
    transport.connect_all();
    let raw = transport.started().into_raw();
    let finish =
        |raw| transport.engine.finish_call(CallTicket::from_raw(raw), CallReport::default(), transport.now);
    assert!(finish(raw));
    assert!(!finish(raw), "no call is in flight");
    for made_up in [
        crate::RawCall { block: 11, ..raw },
        crate::RawCall { block: u32::MAX, ..raw },
        crate::RawCall { slot: 70_000, ..raw },
        crate::RawCall { slot: 31, ..raw },
        crate::RawCall { generation: raw.generation + 1, ..raw },
    ] {
        assert!(!finish(made_up), "{made_up:?}");
    }
    assert_eq!(transport.in_flight(), 0);
}

#[test]
fn every_six_calls_are_three_two_and_one() {
    let options = with_config(r#"{"loadBalancingConfig": [{"weighted_round_robin": {}}]}"#);
    let mut transport =
        FakeTransport::open("static:///127.0.0.1:1;weight=3,127.0.0.1:2;weight=2,127.0.0.1:3", options);
    transport.engine.state(true);
    transport.connect_all();
    for _ in 0..20 {
        let mut calls = [0; 3];
        for _ in 0..6 {
            let ticket = transport.started();
            calls[ticket.endpoint() as usize] += 1;
            transport.finish(ticket);
        }
        assert_eq!(calls, [3, 2, 1]);
    }
}

#[test]
fn pick_first_uses_one_endpoint_and_rests_when_it_is_lost() {
    let options = with_config(r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#);
    let mut transport = FakeTransport::over_with(&[1, 2], options);
    assert_eq!(connects(&transport.poll()), [0]);
    transport.set(0, Connectivity::Ready);
    transport.poll();
    for _ in 0..4 {
        let ticket = transport.started();
        assert_eq!(ticket.endpoint(), 0);
        transport.finish(ticket);
    }
    transport.set(0, Connectivity::Idle);
    assert!(transport.poll().contains(&Action::StateChanged(Connectivity::Idle)));
    assert_eq!(connects(&transport.pass(60 * SECOND)), NOBODY, "it rests until somebody calls");
    assert!(transport.waits(None));
    assert_eq!(connects(&transport.poll()), [0]);
}

#[test]
fn the_policy_is_replaced_while_calls_run() {
    let mut transport = FakeTransport::over(&[1, 2]);
    transport.connect_all();
    let running = transport.started();
    transport.engine.set_service_config(r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#).expect("valid");
    transport.poll();
    let endpoints: Vec<u32> = (0..4)
        .map(|_| {
            let ticket = transport.started();
            let endpoint = ticket.endpoint();
            transport.finish(ticket);
            endpoint
        })
        .collect();
    assert!(endpoints.iter().all(|&endpoint| endpoint == endpoints[0]), "{endpoints:?}");
    let broken = transport.engine.set_service_config(r#"{"loadBalancingConfig": 7}"#);
    assert!(broken.is_err());
    assert_eq!(transport.engine.shared.config.load().policy.name(), "pick_first", "the one before stays");
    transport.finish(running);
    assert_eq!(transport.in_flight(), 0);
}

#[test]
fn describe_is_json_that_tells_all() {
    let options = with_config(r#"{"loadBalancingConfig": [{"round_robin": {}}]}"#);
    let mut transport = FakeTransport::open("static:///127.0.0.1:1;weight=3;zone=a", options);
    transport.engine.state(true);
    transport.connect_all();
    let running = transport.started();
    transport.engine.set_state(0, Connectivity::Ready, "was refused once");
    let described = transport.engine.describe(transport.now);
    assert_eq!(described["state"], "READY");
    assert_eq!(described["policy"], "round_robin");
    assert_eq!(described["service_config"]["loadBalancingConfig"][0]["round_robin"], serde_json::json!({}));
    let endpoint = &described["endpoints"][0];
    assert_eq!(endpoint["target"], "ipv4:127.0.0.1:1");
    assert_eq!((&endpoint["weight"], &endpoint["zone"]), (&3.into(), &"a".into()));
    assert_eq!((&endpoint["in_flight"], &endpoint["state"]), (&1.into(), &"READY".into()));
    assert_eq!(endpoint["last_error"], "was refused once");
    transport.finish(running);
}

#[test]
fn the_transport_is_told_of_another_config_once() {
    let mut transport = FakeTransport::over(&[1]);
    transport.connect_all();
    let json = r#"{"healthCheckConfig": {"serviceName": "user.UserService"}}"#;
    transport.engine.set_service_config(json).expect("valid");
    let told = |events: &[Action]| {
        events.iter().filter(|event| matches!(event, Action::ServiceConfig { .. })).count()
    };
    let events = transport.poll();
    assert!(events.contains(&Action::ServiceConfig { json: json.to_owned() }), "{events:?}");
    assert_eq!(told(&transport.poll()), 0);
    assert!(transport.engine.set_service_config("[]").is_err());
    assert_eq!(told(&transport.poll()), 0);
}
