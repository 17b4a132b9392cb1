//! `dns:` and `dns+srv:` against BIND, changed while it runs.

mod support;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use evener_discovery::pipeline::{Freshness, State};
use evener_discovery::runtime::{DnsOptions, Runtime, WatchOptions, Woken};
use evener_discovery::{ErrorClass, Event, Target};
use evener_test_servers::{Bind, BindOptions, eventually};
use support::{Backend, LIMIT, written};

/// Asked again as soon as the records say: their time to live is one second, the least DNS knows.
fn quick() -> WatchOptions {
    let dns = DnsOptions { min_interval: Duration::from_millis(100), ..DnsOptions::default() };
    WatchOptions { dns, ..WatchOptions::default() }
}

fn bind(records: &[&str]) -> Option<Bind> {
    let records = records.iter().map(|record| (*record).to_owned()).collect();
    Bind::start(&BindOptions { records, ..BindOptions::default() })
}

fn dns(bind: &Bind, rest: &str) -> String {
    format!("dns://{}/{rest}", bind.address())
}

fn srv(bind: &Bind, rest: &str) -> String {
    format!("dns+srv://{}/{rest}", bind.address())
}

#[test]
fn addresses_arrive_and_leave_as_the_zone_changes() {
    let Some(bind) = bind(&["svc 1 A 127.0.0.1"]) else { return };
    let mut backend = Backend::open(&dns(&bind, "svc.example.test:80"), &quick());
    backend.until_reset(&["127.0.0.1:80"]);
    bind.update("update add svc.example.test 1 A 127.0.0.2\nupdate add svc.example.test 1 AAAA ::1");
    backend.until_reset(&["127.0.0.1:80", "127.0.0.2:80", "[::1]:80"]);
    bind.update("update delete svc.example.test A 127.0.0.1");
    backend.until_reset(&["127.0.0.2:80", "[::1]:80"]);
}

#[test]
fn what_has_not_changed_is_confirmed_when_its_time_to_live_is_over() {
    let Some(bind) = bind(&["svc 2 A 127.0.0.1", "svc 3600 AAAA ::1"]) else { return };
    let mut backend = Backend::open(&dns(&bind, "svc.example.test:80"), &quick());
    backend.until_reset(&["127.0.0.1:80", "[::1]:80"]);
    let answered = Instant::now();
    assert_eq!(backend.next(), Event::Confirmed { revision: None });
    let interval = answered.elapsed();
    assert!(
        interval >= Duration::from_millis(1750),
        "{interval:?} is not within 10 % of the shorter of both"
    );
}

#[test]
fn the_least_interval_goes_before_a_shorter_time_to_live_and_refresh_before_both() {
    let Some(bind) = bind(&["svc 1 A 127.0.0.1"]) else { return };
    let slow = DnsOptions { min_interval: Duration::from_secs(3), ..DnsOptions::default() };
    let slow = WatchOptions { dns: slow, ..WatchOptions::default() };
    let mut by_ttl = Backend::open(&dns(&bind, "svc.example.test:80"), &slow);
    let mut by_refresh = Backend::open(&dns(&bind, "svc.example.test:80?refresh=1s"), &slow);
    let began = Instant::now();
    by_refresh.until_reset(&["127.0.0.1:80"]);
    assert_eq!(by_refresh.next(), Event::Confirmed { revision: None });
    by_ttl.until_reset(&["127.0.0.1:80"]);
    let answered = began.elapsed();
    assert_eq!(by_ttl.next(), Event::Confirmed { revision: None });
    assert!(began.elapsed() >= Duration::from_millis(2900), "{answered:?} to {:?}", began.elapsed());
}

#[test]
fn a_name_that_does_not_exist_is_known_to_be_empty_until_it_is_back() {
    let options =
        BindOptions { records: vec!["other 1 TXT x".to_owned()], negative_ttl: 2, ..BindOptions::default() };
    let Some(bind) = Bind::start(&options) else { return };
    let mut missing = Backend::open(&dns(&bind, "svc.example.test:80"), &quick());
    let mut no_address = Backend::open(&dns(&bind, "other.example.test:80"), &quick());
    missing.until_reset(&[]);
    let answered = Instant::now();
    no_address.until_reset(&[]);
    assert_eq!(missing.next(), Event::Confirmed { revision: None });
    assert!(answered.elapsed() >= Duration::from_millis(1700), "the zone's negative time to live is 2 s");
    bind.update("update add svc.example.test 1 A 127.0.0.1\nupdate add other.example.test 1 A 127.0.0.2");
    missing.until_reset(&["127.0.0.1:80"]);
    no_address.until_reset(&["127.0.0.2:80"]);
    bind.update("update delete svc.example.test A");
    missing.until_reset(&[]);
}

#[test]
fn servfail_and_refused_are_failures_and_leave_what_is_known() {
    let Some(bind) = bind(&["alias 1 CNAME svc", "svc 1 A 127.0.0.1"]) else { return };
    let mut backend = Backend::open(&dns(&bind, "alias.example.test:80"), &quick());
    backend.until_reset(&["127.0.0.1:80"]);
    bind.update(
        "update delete alias.example.test CNAME\nupdate add alias.example.test 1 CNAME svc.broken.test.",
    );
    let error = backend.until_failed(ErrorClass::Protocol);
    assert!(error.message.contains("SERVFAIL") && error.message.contains(&bind.address()), "{error}");
    bind.update(
        "update delete alias.example.test CNAME\nupdate add alias.example.test 1 CNAME svc.example.test.",
    );
    backend.until("what was known, again", |event| match event {
        Event::Reset { parts, .. } => {
            assert_eq!(written(&parts), ["127.0.0.1:80"], "an outage took something away");
            Some(())
        }
        _ => None,
    });
    let mut refused = Backend::open(&dns(&bind, "svc.elsewhere.test:80"), &quick());
    assert!(refused.until_failed(ErrorClass::Denied).message.contains("REFUSED"));
}

#[test]
fn an_alias_of_nothing_is_empty() {
    let Some(bind) = bind(&["alias 1 CNAME gone"]) else { return };
    let mut backend = Backend::open(&dns(&bind, "alias.example.test:80"), &quick());
    backend.until_reset(&[]);
}

#[test]
fn a_server_that_is_silent_is_a_failure_until_it_speaks_again() {
    let Some(bind) = bind(&["svc 1 A 127.0.0.1"]) else { return };
    let mut backend = Backend::open(&dns(&bind, "svc.example.test:80?timeout=1s"), &quick());
    backend.until_reset(&["127.0.0.1:80"]);
    bind.pause();
    backend.until_failed(ErrorClass::Timeout);
    bind.resume();
    bind.update("update add svc.example.test 1 A 127.0.0.2");
    backend.until_reset(&["127.0.0.1:80", "127.0.0.2:80"]);
    bind.kill();
    backend.until("a failure", |event| matches!(event, Event::Failed(_)).then_some(()));
    bind.restart();
    backend.until_reset(&["127.0.0.1:80", "127.0.0.2:80"]);
}

#[test]
fn a_thousand_addresses_come_over_tcp() {
    let Some(bind) = bind(&[]) else { return };
    let addresses: Vec<String> = (0..1000).map(|n| format!("127.1.{}.{}", n / 250, n % 250 + 1)).collect();
    bind.set_a("many.example.test", 1, &addresses);
    let mut backend = Backend::open(&dns(&bind, "many.example.test:80"), &quick());
    let mut expected: Vec<String> = addresses.iter().map(|address| format!("{address}:80")).collect();
    expected.sort();
    let Event::Reset { parts, .. } = backend.next() else { panic!("no list") };
    assert_eq!(written(&parts), expected);
    let again = backend.next() == Event::Confirmed { revision: None };
    assert!(again, "another order is no change");
}

#[test]
fn hints_are_followed_at_once_but_not_more_often_than_allowed() {
    let Some(bind) = bind(&["svc 3600 A 127.0.0.1"]) else { return };
    let dns_options = DnsOptions { min_interval: Duration::from_secs(1), ..DnsOptions::default() };
    let options = WatchOptions { dns: dns_options, ..WatchOptions::default() };
    let mut backend = Backend::open(&dns(&bind, "svc.example.test:80"), &options);
    backend.until_reset(&["127.0.0.1:80"]);
    assert_eq!(backend.within(Duration::from_millis(1500)), None, "its time to live is an hour");
    bind.update("update add svc.example.test 3600 A 127.0.0.2");
    let hinted = Instant::now();
    backend.hint();
    backend.until_reset(&["127.0.0.1:80", "127.0.0.2:80"]);
    let mut answers = 1;
    while hinted.elapsed() < Duration::from_millis(3500) {
        backend.hint();
        answers += usize::from(backend.within(Duration::from_millis(10)).is_some());
    }
    assert!((2..=4).contains(&answers), "{answers} answers to hundreds of hints in 3.5 s");
}

#[test]
fn a_dead_server_is_passed_over() {
    let Some(bind) = bind(&["svc 1 A 127.0.0.1"]) else { return };
    let target = format!("dns://127.0.0.1:1,{}/svc.example.test.:80?timeout=4s", bind.address());
    let mut backend = Backend::open(&target, &quick());
    backend.until_reset(&["127.0.0.1:80"]);
    let began = Instant::now();
    backend.next();
    backend.next();
    assert!(began.elapsed() < Duration::from_secs(4), "the server that answered is asked first from then on");

    let mut of_options = quick();
    of_options.dns.servers = vec![bind.address().parse().unwrap()];
    Backend::open("dns:///svc.example.test.:80", &of_options).until_reset(&["127.0.0.1:80"]);
}

#[test]
fn families_can_be_chosen_and_a_host_be_one_endpoint() {
    let Some(bind) = bind(&["svc 1 A 127.0.0.1", "svc 1 AAAA ::1", "six 1 AAAA ::1"]) else { return };
    for (rest, expected) in [
        ("svc.example.test:80?family=ipv4", "127.0.0.1:80"),
        ("svc.example.test:80?family=ipv6", "[::1]:80"),
        ("svc.example.test:80?group=host", "127.0.0.1:80|[::1]:80"),
        ("six.example.test:80", "[::1]:80"),
    ] {
        Backend::open(&dns(&bind, rest), &quick()).until_reset(&[expected]);
    }
}

/// Answers what BIND answers, but nothing to questions for AAAA: a fault that BIND has no switch for.
struct DoubleWithoutAaaa {
    address: String,
    is_deaf: Arc<AtomicBool>,
}

impl DoubleWithoutAaaa {
    fn start(bind: &Bind) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let (upstream, is_deaf) = (bind.address(), Arc::new(AtomicBool::new(false)));
        let deaf = Arc::clone(&is_deaf);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let question = &buffer[..length];
                if deaf.load(Ordering::SeqCst) && question.windows(4).any(|four| four == [0, 28, 0, 1]) {
                    continue;
                }
                let forward = UdpSocket::bind("127.0.0.1:0").unwrap();
                forward.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                forward.send_to(question, &upstream).unwrap();
                let mut answer = [0; 4096];
                if let Ok(length) = forward.recv(&mut answer) {
                    socket.send_to(&answer[..length], client).unwrap();
                }
            }
        });
        Self { address, is_deaf }
    }
}

#[test]
fn a_family_that_fails_keeps_what_it_had_and_does_not_hold_the_other_up() {
    let Some(bind) = bind(&["svc 1 A 127.0.0.1", "svc 1 AAAA ::1"]) else { return };
    let double = DoubleWithoutAaaa::start(&bind);
    let target = format!("dns://{}/svc.example.test:80?timeout=20s", double.address);
    let mut backend = Backend::open(&target, &quick());
    backend.until_reset(&["127.0.0.1:80", "[::1]:80"]);
    double.is_deaf.store(true, Ordering::SeqCst);
    bind.update("update add svc.example.test 1 A 127.0.0.2");
    backend.until("what fails is told", |event| match event {
        Event::Skipped { count: 1, example } => {
            assert!(example.contains("svc.example.test. AAAA"), "{example}");
            Some(())
        }
        Event::Failed(error) => panic!("{error}"),
        _ => None,
    });
    // Once, and nothing else is wrong.
    let mut confirmed = 0;
    let mut seen = Vec::new();
    backend.until("what goes on", |event| {
        match event {
            Event::Confirmed { .. } => confirmed += 1,
            Event::Reset { parts, .. } => seen = written(&parts),
            other => panic!("{other:?}"),
        }
        (confirmed >= 2 && !seen.is_empty()).then_some(())
    });
    assert_eq!(seen, ["127.0.0.1:80", "127.0.0.2:80", "[::1]:80"]);

    let began = Instant::now();
    Backend::open(&target, &quick()).until_reset(&["127.0.0.1:80", "127.0.0.2:80"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_family_that_fails_takes_nothing_from_a_service_either() {
    let records = ["_grpc._tcp.svc 1 SRV 1 1 80 host", "host 1 A 127.0.0.1", "host 1 AAAA ::1"];
    let Some(bind) = bind(&records) else { return };
    let double = DoubleWithoutAaaa::start(&bind);
    let target = format!("dns+srv://{}/_grpc._tcp.svc.example.test?timeout=20s", double.address);
    let mut backend = Backend::open(&target, &quick());
    backend.until_reset(&["127.0.0.1:80", "[::1]:80"]);
    double.is_deaf.store(true, Ordering::SeqCst);
    bind.update("update add host.example.test 1 A 127.0.0.2");
    backend.until("what fails is told", |event| match event {
        Event::Skipped { example, .. } => {
            assert!(example.contains("host.example.test. AAAA"), "{example}");
            Some(())
        }
        Event::Failed(error) => panic!("{error}"),
        _ => None,
    });
    backend.until_reset(&["127.0.0.1:80", "127.0.0.2:80", "[::1]:80"]);
}

#[test]
fn srv_records_are_tiers_with_weights_and_ports() {
    for additional in [false, true] {
        srv_records(additional);
    }
}

/// `additional`: the server hands out the hosts' addresses with the records.
fn srv_records(additional: bool) {
    let records = [
        "_grpc._tcp.svc 1 SRV 10 3 50051 a",
        "_grpc._tcp.svc 1 SRV 10 1 50052 b",
        "_grpc._tcp.svc 1 SRV 20 0 50053 c",
        "a 1 A 127.0.0.1",
        "b 1 A 127.0.0.2",
        "b 1 AAAA ::1",
        "c 1 A 127.0.0.3",
    ];
    let records = records.map(str::to_owned).to_vec();
    let Some(bind) = Bind::start(&BindOptions { records, additional, ..BindOptions::default() }) else {
        return;
    };
    let mut backend = Backend::open(&srv(&bind, "_grpc._tcp.svc.example.test"), &quick());
    let rest = ["127.0.0.2:50052", "127.0.0.3:50053;priority=1", "[::1]:50052"];
    backend.until_reset(&["127.0.0.1:50051;weight=3", rest[0], rest[1], rest[2]]);
    let mut grouped = Backend::open(&srv(&bind, "_grpc._tcp.svc.example.test?group=host"), &quick());
    grouped.until_reset(&["127.0.0.1:50051;weight=3", "127.0.0.2:50052|[::1]:50052", rest[1]]);
    // The host moves; a host goes; the first tier goes.
    bind.set_a("a.example.test", 1, &["127.0.0.9".to_owned()]);
    backend.until_reset(&[rest[0], rest[1], "127.0.0.9:50051;weight=3", rest[2]]);
    bind.update("update delete b.example.test A\nupdate delete b.example.test AAAA");
    backend.until_reset(&["127.0.0.3:50053;priority=1", "127.0.0.9:50051;weight=3"]);
    bind.update(
        "update delete _grpc._tcp.svc.example.test SRV 10 3 50051 a.example.test.\n\
         update delete _grpc._tcp.svc.example.test SRV 10 1 50052 b.example.test.",
    );
    backend.until_reset(&["127.0.0.3:50053"]);
    bind.update("update delete _grpc._tcp.svc.example.test SRV");
    backend.until_reset(&[]);
}

/// A server that is deaf to questions for AAAA shows which addresses were asked for.
#[test]
fn addresses_that_came_along_are_not_asked_for() {
    for additional in [false, true] {
        let records = ["_grpc._tcp.svc 1 SRV 0 1 80 a", "a 1 A 127.0.0.1", "a 1 AAAA ::1"];
        let records = records.map(str::to_owned).to_vec();
        let Some(bind) = Bind::start(&BindOptions { records, additional, ..BindOptions::default() }) else {
            return;
        };
        let double = DoubleWithoutAaaa::start(&bind);
        double.is_deaf.store(true, Ordering::SeqCst);
        let target = format!("dns+srv://{}/_grpc._tcp.svc.example.test", double.address);
        let expected: &[&str] = if additional { &["127.0.0.1:80", "[::1]:80"] } else { &["127.0.0.1:80"] };
        let parts = Backend::open(&target, &quick()).until("a list", |event| match event {
            Event::Reset { parts, .. } => Some(parts),
            // What was asked for in vain is told before.
            Event::Skipped { .. } if !additional => None,
            other => panic!("{other:?}"),
        });
        assert_eq!(written(&parts), expected, "additional: {additional}");
    }
}

/// What does not fit into an answer over UDP the server leaves out without a word: here the AAAA records of most hosts.
#[test]
fn addresses_that_did_not_fit_beside_the_records_are_asked_for() {
    let hosts = ["a", "a1", "a2", "b", "c", "d", "e", "f"];
    let of_host = |host: &str| {
        let mut records =
            vec![format!("_grpc._tcp.svc 1 SRV 0 1 80 {host}"), format!("{host} 1 A 127.0.0.1")];
        records.extend((1..=3).map(|number| format!("{host} 1 AAAA 2001:db8::{host}:{number}")));
        records
    };
    let records = hosts.iter().flat_map(|host| of_host(host)).collect();
    let options = BindOptions { records, max_udp: 700, additional: true, ..BindOptions::default() };
    let Some(bind) = Bind::start(&options) else { return };
    let target = srv(&bind, "_grpc._tcp.svc.example.test?family=ipv6");
    let mut expected: Vec<String> = Vec::new();
    for host in hosts {
        expected.extend((1..=3).map(|number| format!("[2001:db8::{host}:{number}]:80")));
    }
    expected.sort();
    let Event::Reset { parts, .. } = Backend::open(&target, &quick()).next() else { panic!("no list") };
    assert_eq!(written(&parts), expected);
    expected.insert(0, "127.0.0.1:80".to_owned());
    let target = srv(&bind, "_grpc._tcp.svc.example.test");
    let Event::Reset { parts, .. } = Backend::open(&target, &quick()).next() else { panic!("no list") };
    let mut found = written(&parts);
    found.dedup();
    assert_eq!(found, expected);
}

/// That one host has no address says nothing of another one that cannot be looked up.
#[test]
fn a_service_without_any_address_is_empty_only_where_that_is_certain() {
    let Some(bind) = bind(&[
        "_grpc._tcp.svc 1 SRV 0 1 80 gone",
        "_grpc._tcp.svc 1 SRV 0 1 80 b",
        "b 1 CNAME b.broken.test.",
    ]) else {
        return;
    };
    let mut backend = Backend::open(&srv(&bind, "_grpc._tcp.svc.example.test"), &quick());
    match backend.next() {
        Event::Failed(error) => assert!(error.message.contains("SERVFAIL"), "{error}"),
        other => panic!("{other:?}"),
    }
    bind.update("update delete _grpc._tcp.svc.example.test SRV 0 1 80 b.example.test.");
    backend.until_reset(&[]);
}

#[test]
fn a_host_of_a_service_that_fails_keeps_its_addresses_and_the_others_go_on() {
    let Some(bind) = bind(&[
        "_grpc._tcp.svc 1 SRV 0 1 80 a",
        "_grpc._tcp.svc 1 SRV 0 1 80 b",
        "a 1 A 127.0.0.1",
        "b 1 CNAME other",
        "other 1 A 127.0.0.2",
    ]) else {
        return;
    };
    let mut backend = Backend::open(&srv(&bind, "_grpc._tcp.svc.example.test"), &quick());
    backend.until_reset(&["127.0.0.1:80", "127.0.0.2:80"]);
    bind.update("update delete b.example.test CNAME\nupdate add b.example.test 1 CNAME b.broken.test.");
    backend.until("a host that cannot be looked up", |event| match event {
        Event::Skipped { count: 1, example } if example.contains("SERVFAIL") => Some(()),
        Event::Confirmed { .. } => None,
        other => panic!("{other:?}"),
    });
    bind.set_a("a.example.test", 1, &["127.0.0.9".to_owned()]);
    backend.until_reset(&["127.0.0.2:80", "127.0.0.9:80"]);
}

#[test]
fn a_service_config_comes_with_the_addresses_where_it_is_asked_for() {
    let config = r#"TXT "grpc_config=[{\"clientLanguage\":[\"rust\"],\"serviceConfig\":{\"loadBalancingConfig\":" "[{\"round_robin\":{}}]}}]""#;
    let record = format!("_grpc_config.svc 1 {config}");
    let Some(bind) = bind(&["svc 1 A 127.0.0.1", &record]) else { return };
    let mut options = quick();
    options.dns.service_config = true;
    let target = dns(&bind, "svc.example.test:80");
    let mut backend = Backend::open(&target, &options);
    let expected = r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#.to_owned();
    assert_eq!(backend.next(), Event::ServiceConfig(Some(expected)));
    backend.until_reset(&["127.0.0.1:80"]);
    bind.update("update delete _grpc_config.svc.example.test TXT\nupdate add _grpc_config.svc.example.test 1 TXT \"grpc_config=[{}]\"");
    backend.until("a complaint and no change", |event| match event {
        Event::Skipped { example, .. } => {
            assert!(example.contains("serviceConfig: is missing"), "{example}");
            Some(())
        }
        Event::ServiceConfig(other) => panic!("{other:?}"),
        _ => None,
    });
    bind.update("update delete _grpc_config.svc.example.test TXT");
    backend.until("none any more", |event| (event == Event::ServiceConfig(None)).then_some(()));

    options.dns.language = "c++".to_owned();
    bind.update(&format!("update add _grpc_config.svc.example.test 1 {config}"));
    assert!(
        matches!(Backend::open(&target, &options).next(), Event::Reset { .. }),
        "meant for another language"
    );
    options.dns.service_config = false;
    assert!(matches!(Backend::open(&target, &options).next(), Event::Reset { .. }), "not asked for");
}

#[test]
fn an_outage_of_the_server_changes_nothing_and_is_seen() {
    let Some(bind) = bind(&["svc 1 A 127.0.0.1", "svc 1 A 127.0.0.2"]) else { return };
    let runtime = Runtime::new();
    let target = Target::parse(&dns(&bind, "svc.example.test:80?timeout=1s")).unwrap();
    let watch = runtime.watch(&target, quick(), Arc::new(Woken::new())).unwrap();
    eventually("the first list", LIMIT, || {
        watch.latest().is_some_and(|snapshot| snapshot.endpoints.len() == 2)
    });
    bind.pause();
    eventually("staleness", LIMIT, || matches!(watch.status().unwrap().freshness, Freshness::Stale { .. }));
    assert_eq!(watch.latest().map(|snapshot| snapshot.endpoints.len()), Some(2));
    assert_eq!(watch.status().unwrap().state, State::Known);
    bind.resume();
    eventually("freshness", LIMIT, || watch.status().unwrap().freshness == Freshness::Fresh);
    assert_eq!(watch.latest().map(|snapshot| snapshot.epoch), Some(1), "nothing was published in between");
}

#[test]
fn the_systems_resolver_is_asked_again_as_the_target_says() {
    let mut options = quick();
    options.dns.system = true;
    let mut backend = Backend::open("dns:///localhost:80?refresh=1s", &options);
    let began = Instant::now();
    for _ in 0..2 {
        let Event::Reset { parts, .. } = backend.next() else { panic!("localhost has no address") };
        let known = ["127.0.0.1:80", "[::1]:80"];
        assert!(written(&parts).iter().all(|address| known.contains(&address.as_str())), "{parts:?}");
    }
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}
