//! Channels whose endpoints come from discovery's thread, by way of a resolver of the application's own: in process, on
//! the real code path. Every wait has a deadline.
#![cfg(not(loom))]

mod support;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use evener_channel::{
    Action, CallReport, Channel, ChannelOptions, Connectivity, Driver, NamedLists, OpenError,
    PipelineOptions, ProbeOptions, Runtime, StartCall,
};
use serde_json::json;
use support::{
    FakeTransport, LIMIT, METHOD, Scripted, at_once, call, describe, eventually, eventually_has, list, ports,
};

const SOON: Duration = Duration::from_millis(150);
const PICK_FIRST: &str = r#"{"loadBalancingConfig":[{"pick_first":{}}]}"#;
const RANDOM: &str = r#"{"loadBalancingConfig":[{"pick_random":{}}]}"#;

#[test]
fn what_a_resolver_says_is_where_calls_go() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let channel = transport.open("lab:///user-service", at_once());
    assert_eq!(channel.authority(), "user-service");
    let sink = resolver.sink("user-service");
    sink.push(list(&[1]));
    eventually_has(&channel, &[1]);
    call(&channel).expect("connected");
    sink.push(list(&[1, 2]));
    eventually_has(&channel, &[1, 2]);
    sink.push(list(&[2]));
    eventually_has(&channel, &[2]);
    sink.push(Vec::new());
    eventually_has(&channel, &[]);
    let error = call(&channel).expect_err("nobody is there");
    assert!(error.contains("the list of lab:///user-service is empty"), "{error}");
    assert_eq!(describe(&channel)["resolution"]["state"], "known_empty");
}

#[test]
fn what_leaves_is_held_and_an_empty_set_even_longer() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let pipeline = PipelineOptions {
        removal_epoch: Duration::from_millis(200),
        empty_hold: Duration::from_millis(600),
        debounce: Duration::ZERO,
        ..PipelineOptions::default()
    };
    let options = ChannelOptions { pipeline, ..at_once() };
    let channel = transport.open("lab:///user-service", options);
    let sink = resolver.sink("user-service");
    sink.push(list(&[1, 2, 3]));
    eventually_has(&channel, &[1, 2, 3]);
    sink.push(list(&[1, 2]));
    eventually("held", || (describe(&channel)["resolution"]["held"] == 1).then_some(()));
    assert_eq!(ports(&channel), [1, 2, 3]);
    eventually_has(&channel, &[1, 2]);

    let emptied = Instant::now();
    sink.push(Vec::new());
    eventually_has(&channel, &[]);
    assert!(emptied.elapsed() >= Duration::from_millis(600), "{:?}", emptied.elapsed());
}

#[test]
fn a_target_that_never_answers_fails_calls_after_its_time_and_an_answer_mends_it() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let options = ChannelOptions { initial_timeout: SOON, ..at_once() };
    let began = Instant::now();
    let channel = transport.open("lab:///user-service", options);
    let error = call(&channel).expect_err("nobody has answered");
    assert!(began.elapsed() >= SOON);
    assert_eq!(error, "name resolution failed for lab:///user-service: no answer within 150ms");
    assert_eq!(channel.state(false), Connectivity::TransientFailure);
    let resolution = &describe(&channel)["resolution"];
    assert_eq!((&resolution["state"], &resolution["freshness"]), (&json!("unknown"), &json!("unknown")));
    resolver.sink("user-service").push(list(&[1]));
    eventually("calls succeed", || call(&channel).ok());
}

#[test]
fn an_initial_timeout_of_zero_waits_for_ever() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let options = ChannelOptions { initial_timeout: Duration::ZERO, ..at_once() };
    let channel = transport.open("lab:///user-service", options);
    let sink = resolver.sink("user-service");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call(&channel));
        eventually("connecting", || (channel.state(false) == Connectivity::Connecting).then_some(()));
        sink.push(list(&[1]));
        waiting.join().expect("no panic").expect("it waited");
    });
}

#[test]
fn a_resolvers_error_fails_the_first_calls_at_once_and_later_ones_not_at_all() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let options = ChannelOptions { initial_timeout: Duration::ZERO, ..at_once() };
    let channel = transport.open("lab:///user-service", options);
    let sink = resolver.sink("user-service");
    sink.fail("the office is closed");
    let error = call(&channel).expect_err("an error is an answer");
    assert_eq!(error, "name resolution failed for lab:///user-service: the office is closed");
    sink.push(list(&[1]));
    eventually("calls succeed", || call(&channel).ok());

    sink.fail("closed again");
    let stale = eventually("stale", || {
        let described = describe(&channel);
        (described["resolution"]["error"] == "closed again").then(|| described["resolution"].clone())
    });
    assert_eq!(stale["freshness"], "stale");
    assert_eq!(stale["main"]["errors_total"]["protocol"], 2);
    assert_eq!(stale["main"]["last_error"], "closed again");
    call(&channel).expect("what is known stays");
    eventually("said", || {
        transport.logs().iter().any(|text| text.ends_with("closed again; the last list stays")).then_some(())
    });
    sink.push(list(&[1]));
    eventually("fresh", || (describe(&channel)["resolution"]["freshness"] == "fresh").then_some(()));
    eventually("said", || transport.logs().iter().any(|text| text.ends_with("resolves again")).then_some(()));
}

#[test]
fn the_fallback_is_used_until_the_main_target_answers_and_never_after() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let fallback_target = Some("lab:///fallback".to_owned());
    let options = ChannelOptions { initial_timeout: SOON, fallback_target, ..at_once() };
    let channel = transport.open("lab:///main", options);
    let fallback = resolver.sink("fallback");
    fallback.push(list(&[8, 9]));
    eventually_has(&channel, &[8, 9]);
    call(&channel).expect("the fallback is there");
    assert_eq!(describe(&channel)["resolution"]["uses_fallback"], true);
    assert_eq!(describe(&channel)["resolution"]["state"], "known");
    fallback.push(list(&[9]));
    eventually_has(&channel, &[9]);

    let main = resolver.sink("main");
    main.push(list(&[1]));
    eventually_has(&channel, &[1]);
    assert_eq!(describe(&channel)["resolution"]["fallback"], json!(null));
    eventually("the fallback is ended", || (resolver.running() == 1).then_some(()));
    main.fail("gone again");
    main.push(Vec::new());
    eventually_has(&channel, &[]);
    assert_eq!(resolver.starts(), 2, "the fallback was never asked again");
}

#[test]
fn a_fallback_that_does_not_answer_either_is_named_in_the_failure() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let fallback_target = Some("lab:///fallback".to_owned());
    let options = ChannelOptions { initial_timeout: Duration::ZERO, fallback_target, ..at_once() };
    let channel = transport.open("lab:///main", options);
    resolver.sink("main").fail("no such office");
    resolver.sink("fallback").fail("nor such a one");
    let error = call(&channel).expect_err("nobody has answered");
    assert_eq!(
        error,
        "name resolution failed for lab:///main: no such office; fallback target lab:///fallback: nor such a one"
    );
}

#[test]
fn a_written_list_can_be_the_fallback() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let fallback_target = Some("static:///127.0.0.1:7".to_owned());
    let options = ChannelOptions { fallback_target, ..at_once() };
    let channel = transport.open("lab:///main", options);
    resolver.sink("main").fail("no such office");
    eventually_has(&channel, &[7]);
    call(&channel).expect("the fallback is there");
}

#[test]
fn equal_channels_share_a_resolution_across_the_drivers_of_a_runtime() {
    let runtime = Runtime::new();
    let [one, two] =
        [0, 1].map(|_| FakeTransport::of(Driver::with_runtime(runtime.clone()).expect("descriptors")));
    let resolver = Scripted::on(&one.driver);
    let first = one.open("lab:///user-service", at_once());
    let second = two.open("lab:///user-service", at_once());
    let other = ChannelOptions { pipeline: PipelineOptions::default(), ..at_once() };
    let third = two.open("lab:///user-service", other);
    eventually("two", || (resolver.running() == 2).then_some(()));
    resolver.push_everywhere(&[1]);
    for channel in [&first, &second, &third] {
        eventually_has(channel, &[1]);
    }
    assert_eq!(resolver.starts(), 2);
    one.driver.shutdown();
    resolver.push_everywhere(&[1, 2]);
    eventually_has(&second, &[1, 2]);
    assert!(!runtime.is_shut_down(), "it is not that driver's own");
}

#[test]
fn a_panic_in_a_resolver_is_an_error_and_the_thread_goes_on() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    resolver.panic_next();
    let broken = transport.open("lab:///broken", at_once());
    let error = call(&broken).expect_err("it panicked");
    assert!(error.contains("panicked: a resolver's own mistake"), "{error}");
    let well = transport.open("lab:///well", at_once());
    resolver.sink("well").push(list(&[1]));
    eventually_has(&well, &[1]);
    resolver.sink("broken").push(list(&[2]));
    eventually_has(&broken, &[2]);
}

#[test]
fn a_lost_connection_asks_the_resolver_to_look_again() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let channel = transport.open("lab:///user-service", at_once());
    resolver.sink("user-service").push(list(&[1]));
    eventually_has(&channel, &[1]);
    call(&channel).expect("connected");
    let endpoint = channel.stats()[0].endpoint;
    channel.set_state(endpoint, Connectivity::TransientFailure, "connection reset");
    eventually("a hint", || (resolver.hints() > 0).then_some(()));
}

#[test]
fn the_applications_list_and_a_close_end_the_resolution() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let options = || ChannelOptions { seed: Some(9), ..at_once() };
    let replaced = transport.open("lab:///replaced", options());
    let closed = transport.open("lab:///closed", options());
    resolver.sink("replaced").push(list(&[1]));
    resolver.sink("closed").push(list(&[1]));
    eventually_has(&replaced, &[1]);
    replaced.update_endpoints(list(&[5])).expect("taken over");
    closed.close();
    // Each lingers for a while, for whoever comes back.
    eventually("both ended", || (resolver.running() == 0).then_some(()));
    assert_eq!(ports(&replaced), [5]);
}

#[test]
fn a_resolvers_service_config_counts_unless_the_application_has_its_own() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let own = ChannelOptions { service_config: Some(RANDOM.to_owned()), ..at_once() };
    let [without, with] = [at_once(), own].map(|options| transport.open("lab:///user-service", options));
    let sink = resolver.sink("user-service");
    sink.service_config(Some(PICK_FIRST.to_owned()));
    sink.push(list(&[1]));
    eventually_has(&without, &[1]);
    eventually_has(&with, &[1]);
    assert_eq!((without.policy_name(), with.policy_name()), ("pick_first", "pick_random"));
    assert_eq!(describe(&without)["service_config_origin"], "resolver");
    let told = |action: &Action| matches!(action, Action::ServiceConfig { json } if json == PICK_FIRST);
    eventually("the transport is told", || transport.has_seen(told).then_some(()));

    sink.service_config(Some("{\"loadBalancingConfig\": 7}".to_owned()));
    let error =
        eventually("refused", || describe(&without)["service_config_error"].as_str().map(str::to_owned));
    assert!(error.contains("loadBalancingConfig"), "{error}");
    assert_eq!(without.policy_name(), "pick_first", "the one before stays");
    sink.service_config(None);
    eventually("none any more", || (without.policy_name() == "round_robin").then_some(()));
}

#[test]
fn polled_schemes_are_asked_by_events_and_answered_by_number() {
    let transport = FakeTransport::new();
    let driver = &transport.driver;
    driver.register_polled_scheme("asked").expect("a scheme");
    let channel = transport.open("asked://office/user-service?floor=2", at_once());
    let started = |action: &Action| match action {
        Action::ResolveStart { resolver, target } => Some((*resolver, target.clone())),
        _ => None,
    };
    let (resolver, target) = eventually("a start", || transport.seen(started).pop());
    assert_eq!(target, "asked://office/user-service?floor=2");
    assert!(driver.resolver_service_config(resolver, Some(PICK_FIRST.to_owned())));
    assert!(driver.resolver_push(resolver, list(&[1, 2])));
    eventually_has(&channel, &[1, 2]);
    assert_eq!(channel.policy_name(), "pick_first");
    assert!(driver.resolver_fail(resolver, "closed today"));
    eventually("told", || (describe(&channel)["resolution"]["error"] == "closed today").then_some(()));

    eventually("connected", || call(&channel).ok());
    for stats in channel.stats() {
        channel.set_state(stats.endpoint, Connectivity::TransientFailure, "connection reset");
    }
    let asked =
        |action: &Action| matches!(action, Action::ResolveNow { resolver: asked } if *asked == resolver);
    eventually("asked again", || transport.has_seen(asked).then_some(()));
    channel.close();
    let stopped =
        |action: &Action| matches!(action, Action::ResolveStop { resolver: stopped } if *stopped == resolver);
    eventually("stopped", || transport.has_seen(stopped).then_some(()));
    assert!(!driver.resolver_push(resolver, list(&[3])));
}

#[test]
fn a_shutdown_with_watches_ends_them_and_the_thread() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let channel = transport.open("lab:///user-service", at_once());
    resolver.sink("user-service").push(list(&[1]));
    eventually_has(&channel, &[1]);
    let runtime = transport.driver.runtime().clone();
    transport.driver.shutdown();
    assert!(runtime.is_shut_down() && runtime.shutdown(LIMIT));
    assert_eq!(resolver.running(), 0);
    assert_eq!(channel.state(false), Connectivity::Shutdown);
    resolver.sink("user-service").push(list(&[1, 2]));
}

#[test]
fn a_snapshot_serves_a_start_at_which_the_registry_is_down() {
    let folder = evener_test_servers::Scratch::new("snapshots");
    let options = || ChannelOptions { snapshot_dir: Some(folder.path().to_path_buf()), ..at_once() };
    let target = "lab://me:hush@office/user-service";
    {
        let transport = FakeTransport::new();
        let resolver = Scripted::on(&transport.driver);
        let channel = transport.open(target, options());
        resolver.sink("user-service").push(list(&[1, 2]));
        eventually_has(&channel, &[1, 2]);
        eventually("a file", || kept_in(&folder));
    }
    let written = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let texts: Vec<String> = written.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    assert!(!texts.is_empty() && texts.iter().all(|text| !text.contains("hush")), "{texts:?}");

    // A new process, and the registry is down.
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let fallback_target = Some("static:///127.0.0.1:9".to_owned());
    let aged = |snapshot_max_age| ChannelOptions {
        fallback_target: fallback_target.clone(),
        snapshot_max_age,
        ..options()
    };
    let channel = transport.open(target, aged(Duration::ZERO));
    eventually_has(&channel, &[1, 2]);
    call(&channel).expect("what was known is used");
    let resolution = describe(&channel)["resolution"].clone();
    assert_eq!(
        (&resolution["freshness"], &resolution["main"]["cause"]),
        (&json!("stale"), &json!("snapshot"))
    );
    assert_eq!(resolution["uses_fallback"], false, "what is on disk is nearer the truth");

    let strict = transport.open(target, aged(Duration::from_millis(1)));
    eventually("the reason", || {
        let error = &describe(&strict)["resolution"]["main"]["snapshot_error"];
        error.as_str().is_some_and(|error| error.contains("is not used")).then_some(())
    });
    eventually_has(&strict, &[9]);

    resolver.push_everywhere(&[2, 3]);
    eventually_has(&channel, &[2, 3]);
    assert_eq!(describe(&channel)["resolution"]["freshness"], "fresh");
}

/// The snapshot in a folder.
fn kept_in(folder: &evener_test_servers::Scratch) -> Option<std::path::PathBuf> {
    let files = std::fs::read_dir(folder.path()).ok()?;
    files.flatten().map(|file| file.path()).find(|path| path.extension().is_some_and(|kind| kind == "json"))
}

#[test]
fn secrets_of_a_target_are_nowhere_but_with_the_application() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let target = "lab://me:hush@office/user-service?token=hush";
    let fallback_target = Some("lab://you:hush@office/fallback?password=hush".to_owned());
    let service_config_source = Some("etcd://them:hush@127.0.0.1:1/config".to_owned());
    let options = ChannelOptions { fallback_target, service_config_source, ..at_once() };
    let given = format!("{options:?}");
    assert!(given.contains("***@office") && given.contains("***@127") && !given.contains("hush"), "{given}");
    let channel = transport.open(target, options);
    assert_eq!(channel.target(), target);
    resolver.sink("user-service").fail("lab://me:hush@office is closed");
    resolver.sink("fallback").fail("so is lab://you:hush@office");
    let error = call(&channel).expect_err("closed");
    assert!(error.contains("***@office") && !error.contains("hush"), "{error}");
    assert!(!channel.describe().contains("hush"), "{}", channel.describe());
    eventually("a log", || transport.logs().into_iter().find(|text| text.contains("fallback target")));
    assert!(transport.logs().iter().all(|text| !text.contains("hush")), "{:?}", transport.logs());
    let shown = format!("{channel:?} {:?}", transport.driver);
    assert!(shown.contains("***@office") && !shown.contains("hush"), "{shown}");
    assert_eq!(channel.target(), target);
}

#[test]
fn secrets_of_a_name_that_is_no_target_are_no_authority() {
    let transport = FakeTransport::new();
    let options = ChannelOptions { endpoints: Some(list(&[1])), ..ChannelOptions::default() };
    let target = "consul://me:hush@office/user-service?token=hush&nonsense=1";
    let channel = transport.open(target, options);
    assert_eq!(channel.target(), target);
    assert_eq!(channel.authority(), "consul://***@office/user-service?token=***&nonsense=1");
    assert!(!channel.describe().contains("hush"), "{}", channel.describe());
}

#[test]
fn what_cannot_be_watched_is_refused_when_the_channel_is_opened() {
    let driver = Driver::new().expect("descriptors");
    let refused = |target: &str, options: ChannelOptions| {
        let opened = Channel::open(&driver, target, options, 1);
        opened.map(drop).expect_err("refused")
    };
    let text = refused("lab://office/x?y=z", ChannelOptions::default()).to_string();
    assert!(text.contains("lab"), "an unknown scheme is no host name: {text}");
    let options =
        ChannelOptions { fallback_target: Some("etcd:///".to_owned()), ..ChannelOptions::default() };
    let text = refused("static:///a:1", options).to_string();
    assert!(text.contains("fallback_target: path"), "{text}");
    let options =
        ChannelOptions { service_config_source: Some("dns:///x".to_owned()), ..ChannelOptions::default() };
    assert!(matches!(refused("static:///a:1", options), OpenError::Source(_)));
    let fallback_target = Some("static:///b:1".to_owned());
    let options =
        ChannelOptions { endpoints: Some(list(&[1])), fallback_target, ..ChannelOptions::default() };
    let text = refused("user-service", options).to_string();
    assert!(text.contains("fallback_target does not go with endpoints"), "{text}");
    let named_lists = Some([("user-service", list(&[1]))].into_iter().collect());
    let static_file = Some("lists.json".into());
    let options = ChannelOptions { named_lists, static_file, ..ChannelOptions::default() };
    let text = refused("static:///user-service", options).to_string();
    assert!(text.contains("named_lists does not go with static_file"), "{text}");
    driver.register_polled_scheme("lab").expect("a scheme");
    let pipeline = PipelineOptions { max_drop_ratio: 0, ..PipelineOptions::default() };
    let text = refused("lab:///x", ChannelOptions { pipeline, ..ChannelOptions::default() }).to_string();
    assert!(text.contains("max_drop_ratio"), "{text}");
    assert!(driver.register_polled_scheme("no scheme").is_err());

    let probed = ChannelOptions { probe: Some(tcp()), ..ChannelOptions::default() };
    let with = [
        ("rise", ChannelOptions { probe: Some(ProbeOptions { rise: 0, ..tcp() }), ..probed.clone() }),
        (
            "probe does not go with endpoints",
            ChannelOptions { endpoints: Some(list(&[1])), ..probed.clone() },
        ),
        (
            "probe does not go with static_file",
            ChannelOptions { static_file: Some("/x".into()), ..probed.clone() },
        ),
    ];
    for (word, options) in with.into_iter().filter(|_| tcp().check().is_ok()) {
        let text = refused("static:///user-service", options).to_string();
        assert!(text.contains(word), "{text}");
    }
    if let Err(error) = tcp().check() {
        let text = refused("static:///a:1", probed).to_string();
        assert!(text.contains("not available in this build") && text.contains(&error.to_string()), "{text}");
    }
}

#[test]
fn whoever_waits_for_a_connection_in_vain_is_told_what_is_missing() {
    let transport = FakeTransport::new();
    let resolver = Scripted::on(&transport.driver);
    let channel = transport.open("lab:///user-service", at_once());
    let why = || channel.wait_until_ready(Some(Instant::now() + SOON)).expect_err("nobody is there");
    assert_eq!(why(), "lab:///user-service has not been resolved yet");
    let sink = resolver.sink("user-service");
    sink.fail("the office is closed");
    eventually("told", || {
        (why() == "name resolution failed for lab:///user-service; the office is closed").then_some(())
    });
    sink.push(Vec::new());
    eventually("told", || (why() == "no endpoints: the list of lab:///user-service is empty").then_some(()));
    sink.push(list(&[1]));
    channel.wait_until_ready(Some(Instant::now() + LIMIT)).expect("it is there");
    // Connecting again, for as long as nobody says otherwise.
    let endpoint = channel.stats()[0].endpoint;
    channel.set_state(endpoint, Connectivity::Connecting, "");
    eventually("lost", || (channel.state(false) == Connectivity::Connecting).then_some(()));
    assert_eq!(why(), "no connection for lab:///user-service yet; 127.0.0.1:1: no answer yet");
    channel.set_state(endpoint, Connectivity::TransientFailure, "connection refused");
    eventually("failed", || (channel.state(false) == Connectivity::TransientFailure).then_some(()));
    assert_eq!(why(), "no connection for lab:///user-service yet; 127.0.0.1:1: connection refused");
    channel.close();
    assert_eq!(why(), "the channel is closed");
}

/// A probe that takes as long to change its mind as a connection takes to be refused, about.
fn tcp() -> ProbeOptions {
    let parsed = ProbeOptions::parse("tcp").expect("a probe");
    ProbeOptions { interval: Duration::from_millis(20), rise: 1, fall: 1, ..parsed }
}

/// Where ten calls in a row go: their ports.
fn shares(channel: &Channel) -> BTreeSet<u16> {
    let mut went = BTreeSet::new();
    for _ in 0..10 {
        let StartCall::Started(ticket) = channel.start_call(METHOD, None) else { return BTreeSet::new() };
        let stats = channel.stats().into_iter().find(|stats| stats.endpoint == ticket.endpoint());
        went.extend(stats.and_then(|stats| stats.addresses.rsplit(':').next()?.parse::<u16>().ok()));
        assert!(channel.finish_call(ticket, CallReport::default()));
    }
    went
}

#[test]
fn a_server_whose_probe_fails_leaves_picks_at_once_and_comes_back() {
    if tcp().check().is_err() {
        return; // In a build without probes there is nothing to show.
    }
    let listen = |port: u16| TcpListener::bind(("127.0.0.1", port)).expect("a port");
    let (stays, goes) = (listen(0), listen(0));
    let [first, second] = [&stays, &goes].map(|server| server.local_addr().expect("bound").port());
    let mut goes = Some(goes);
    let mut lists = NamedLists::default();
    lists.insert("user-service", list(&[first, second]));
    let transport = FakeTransport::new();
    // Epochs of ten seconds: nothing that waits for one would come in time.
    let options = || ChannelOptions { probe: Some(tcp()), seed: Some(7), ..ChannelOptions::default() };
    let written = transport.open(&format!("static:///127.0.0.1:{first},127.0.0.1:{second}"), options());
    let named = ChannelOptions { named_lists: Some(lists), ..options() };
    let named = transport.open("static:///user-service", named);
    let system = ChannelOptions { system_dns: true, ..options() };
    let system = transport.open(&format!("dns:///127.0.0.1:{second}"), system);
    let both: BTreeSet<u16> = [first, second].into();
    let failing =
        |channel: &Channel| describe(channel)["resolution"]["main"]["endpoints"]["failing_probes"].clone();
    for _ in 0..2 {
        for channel in [&written, &named] {
            eventually("both", || (shares(channel) == both).then_some(()));
            assert_eq!(failing(channel), 0);
        }
        drop(goes.take());
        for channel in [&written, &named] {
            eventually("one", || (shares(channel) == [first].into()).then_some(()));
            assert_eq!(failing(channel), 1);
            assert_eq!(ports(channel).len(), 2, "it keeps its place");
        }
        eventually("the only one fails", || (failing(&system) == 1).then_some(()));
        assert_eq!(shares(&system), [second].into(), "where all fail none is out");
        goes = Some(listen(second));
    }
}
