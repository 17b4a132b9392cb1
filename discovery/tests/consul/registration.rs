//! Servers that register themselves with an agent, and stay registered.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use evener_discovery::credentials::{Credentials, Secret};
use evener_discovery::registration::{
    self, Check, CheckKind, Registration, RegistrationOptions, RegistrationState, ServiceDefinition,
};
use evener_discovery::runtime::Runtime;
use evener_test_servers::{Consul, ConsulOptions, Proxy, Scratch, eventually};
use serde_json::Value;

use crate::support::LIMIT;
use crate::{open, shared};

fn quick() -> RegistrationOptions {
    RegistrationOptions { verify_interval: Duration::from_secs(1), ..RegistrationOptions::default() }
}

fn definition(name: &str, port: u16) -> ServiceDefinition {
    let mut definition = ServiceDefinition::new(name, port);
    definition.id = Some(format!("{name}-{port}"));
    definition.host = Some("127.0.0.1".to_owned());
    definition.ttl = Duration::from_secs(3);
    definition
}

fn start(consul: &Consul, runtime: &Runtime, definition: ServiceDefinition) -> Registration {
    let registration =
        runtime.register(&format!("consul://{}", consul.http()), definition, quick(), None).unwrap();
    assert!(registration.wait_registered(LIMIT), "{:?}", registration.status());
    registration
}

/// Status of each check of an instance, by the check's id.
fn checks(consul: &Consul, service: &str) -> BTreeMap<String, String> {
    let all = consul.get(&format!("/v1/health/checks/{service}"));
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(|check| (text(check, "CheckID"), text(check, "Status"))).collect()
}

fn passing(consul: &Consul, service: &str) -> usize {
    let answer = consul.request("GET", &format!("/v1/health/service/{service}?passing"), "");
    answer.ok().and_then(|answer| answer.json().as_array().map(Vec::len)).unwrap_or_default()
}

#[test]
fn a_server_is_found_with_what_it_says_of_itself_and_is_gone_after_its_close() {
    let Some(consul) = shared() else { return };
    let runtime = Runtime::new();
    let mut whole = definition("whole", 1001);
    whole.weight = 7;
    whole.warning_weight = Some(2);
    whole.zone = Some("z".to_owned());
    whole.region = Some("r".to_owned());
    whole.priority = 1;
    whole.tags = vec!["v1".to_owned()];
    whole.metadata.insert("version".to_owned(), "1".to_owned());
    let registration = start(consul, &runtime, whole);
    let mut backend = open(consul, "whole?tag=v1");
    backend.until_set(&[
        "127.0.0.1:1001;weight=7;priority=1;zone=z;meta.priority=1;meta.region=r;meta.version=1;meta.zone=z",
    ]);
    // It changes in place: neither gone nor unhealthy for a moment.
    registration.update(Some(9), Some(BTreeMap::from([("version".to_owned(), "2".to_owned())])));
    backend.until_next_set(&[
        "127.0.0.1:1001;weight=9;priority=1;zone=z;meta.priority=1;meta.region=r;meta.version=2;meta.zone=z",
    ]);
    registration.drain();
    backend.until_next_set(&[
        "127.0.0.1:1001;weight=9;priority=1;zone=z;condition=unhealthy;meta.priority=1;meta.region=r;meta.version=2;meta.zone=z",
    ]);
    assert_eq!(registration.state(), RegistrationState::Draining);
    assert!(registration.close(Duration::ZERO, LIMIT));
    backend.until_next_set(&[]);
    assert!(registration.close(Duration::ZERO, LIMIT));
}

#[test]
fn signs_of_life_keep_it_and_without_them_it_is_unhealthy_at_once() {
    let Some(consul) = Consul::start() else { return };
    let runtime = Runtime::new();
    let mut alive = definition("alive", 1002);
    alive.ttl = Duration::from_secs(1);
    let registration = start(&consul, &runtime, alive);
    let mut backend = open(&consul, "alive");
    backend.until_set(&["127.0.0.1:1002"]);
    assert_eq!(backend.within(Duration::from_secs(3)), None, "it was kept alive");
    // The process is gone, without a word.
    drop(backend);
    let mut backend = open(&consul, "alive");
    backend.until_set(&["127.0.0.1:1002"]);
    consul.put("/v1/agent/check/fail/alive-1002:alive", "");
    backend.until_set(&["127.0.0.1:1002;condition=unhealthy"]);
    backend.until_set(&["127.0.0.1:1002"]);
    assert!(registration.status().is_some_and(|status| status.publications == 1));
}

#[test]
fn an_agent_that_has_lost_its_services_is_filled_again() {
    let Some(consul) = Consul::start() else { return };
    let runtime = Runtime::new();
    // Several of a process, each by itself.
    let all: Vec<Registration> =
        [2001, 2002, 2003].map(|port| start(&consul, &runtime, definition("filled", port))).into();
    consul.kill();
    eventually("that is noticed", LIMIT, || {
        all.iter().all(|one| matches!(one.state(), RegistrationState::Lost { .. }))
    });
    consul.restart();
    eventually("all are there again", LIMIT, || passing(&consul, "filled") == 3);
    // One of them is taken away by hand.
    consul.deregister("filled-2002");
    eventually("it is there again", LIMIT, || passing(&consul, "filled") == 3);
    // Its check alone is taken away, or what it says is changed.
    consul.put("/v1/agent/check/deregister/filled-2001:alive", "");
    eventually("the check is there again", LIMIT, || {
        checks(&consul, "filled").contains_key("filled-2001:alive")
    });
    let other = r#"{"ID": "filled-2003", "Name": "filled", "Address": "127.0.0.1", "Port": 2003, "Weights": {"Passing": 50, "Warning": 1}}"#;
    let held = consul.get("/v1/agent/service/filled-2003");
    let mut other: Value = serde_json::from_str(other).unwrap();
    other["Meta"] = held["Meta"].clone();
    consul.register(&other);
    eventually("it says again what it said", LIMIT, || {
        consul.get("/v1/agent/service/filled-2003")["Weights"]["Passing"] == 1
    });
    for one in all {
        assert!(one.close(Duration::ZERO, LIMIT));
    }
    assert_eq!(passing(&consul, "filled"), 0);
}

#[test]
fn consul_s_own_definition_is_registered_unchanged() {
    let Some(consul) = shared() else { return };
    let runtime = Runtime::new();
    let text = r#"{"service": {"name": "user-service", "port": 8080, "check": {"http": "http://localhost:8080/health", "interval": "10s", "timeout": "3s"}}}"#;
    let (mut services, warnings) = registration::from_consul(text).unwrap();
    assert!(warnings.is_empty());
    let mut service = services.remove(0);
    service.host = Some("127.0.0.1".to_owned());
    let registration = start(consul, &runtime, service);
    let id = registration.status().unwrap().id.unwrap();
    let held = consul.get(&format!("/v1/agent/service/{id}"));
    assert_eq!((held["Service"].as_str(), held["Port"].as_u64()), (Some("user-service"), Some(8080)));
    let checks = consul.get("/v1/health/checks/user-service");
    let http =
        checks.as_array().unwrap().iter().find(|check| check["Type"] == "http").expect("the HTTP check");
    assert_eq!(http["Interval"], "10s");
    assert_eq!(http["Timeout"], "3s");
    assert!(registration.close(Duration::ZERO, LIMIT));
}

#[test]
fn every_kind_of_check_is_made_by_the_agent() {
    let Some(consul) = shared() else { return };
    let runtime = Runtime::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open_port = listener.local_addr().unwrap();
    let scratch = Scratch::new("consul-script");
    let switch = scratch.file("switch");
    let check = |id: &str, kind: CheckKind| Check {
        id: Some(id.to_owned()),
        interval: Duration::from_secs(1),
        timeout: Some(Duration::from_secs(1)),
        ..Check::new(kind)
    };
    let http = |path: &str| CheckKind::Http {
        url: format!("http://{}/v1/status/{path}", consul.http()),
        method: None,
        header: BTreeMap::new(),
        body: None,
    };
    let script = format!("test -e {switch}");
    let mut checked = definition("checked", open_port.port());
    checked.checks = vec![
        check("http-good", http("leader")),
        check("http-bad", http("nothing")),
        check("tcp-good", CheckKind::Tcp(open_port.to_string())),
        check("script", CheckKind::Script(vec!["/bin/sh".to_owned(), "-c".to_owned(), script])),
        check("grpc-bad", CheckKind::Grpc { target: format!("{open_port}/svc"), tls: false }),
        check("own", CheckKind::Ttl(Duration::from_secs(3))),
    ];
    let registration = start(consul, &runtime, checked);
    let expect = |expected: &[(&str, &str)]| {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(id, status)| ((*id).to_owned(), (*status).to_owned())).collect();
        eventually(&format!("{expected:?}"), LIMIT, || checks(consul, "checked") == expected);
    };
    let others = [
        ("grpc-bad", "critical"),
        ("http-bad", "critical"),
        ("http-good", "passing"),
        ("own", "passing"),
        ("tcp-good", "passing"),
    ];
    expect(&[&others[..], &[("script", "warning")]].concat());
    std::fs::write(&switch, "").unwrap();
    expect(&[&others[..], &[("script", "passing")]].concat());
    // An update leaves what the checks have found.
    registration.update(Some(5), None);
    eventually("the weight is another", LIMIT, || {
        consul.get(&format!("/v1/agent/service/checked-{}", open_port.port()))["Weights"]["Passing"] == 5
    });
    expect(&[&others[..], &[("script", "passing")]].concat());
    assert!(registration.close(Duration::ZERO, LIMIT));
}

#[test]
fn an_id_belongs_to_one_server_and_a_restarted_one_takes_its_own_over() {
    let Some(consul) = shared() else { return };
    let runtime = Runtime::new();
    let first = start(consul, &runtime, definition("owned", 1003));
    // A server elsewhere with the same id is refused, and goes away without taking the first one along.
    let mut other = definition("owned", 1004);
    other.id = Some("owned-1003".to_owned());
    let target = format!("consul://{}", consul.http());
    let second = runtime.register(&target, other, quick(), None).unwrap();
    eventually("a refusal", LIMIT, || {
        second
            .status()
            .and_then(|status| status.last_error)
            .is_some_and(|error| error.message.contains("taken by another"))
    });
    second.close(Duration::ZERO, LIMIT);
    assert_eq!(consul.get("/v1/agent/service/owned-1003")["Port"], 1003);
    // The server dies while it drains, and comes back at the same address.
    first.drain();
    eventually("maintenance", LIMIT, || {
        checks(consul, "owned").contains_key("_service_maintenance:owned-1003")
    });
    let again = start(consul, &Runtime::new(), definition("owned", 1003));
    eventually("it takes calls again", LIMIT, || passing(consul, "owned") == 1);
    // Maintenance by an operator's hand is not ended.
    consul.put("/v1/agent/service/maintenance/owned-1003?enable=true&reason=by+hand", "");
    let verified = again.status().unwrap().publications;
    // Several looks at its own record lie in this time, and none may end what it did not begin.
    std::thread::sleep(Duration::from_secs(3));
    assert!(checks(consul, "owned").contains_key("_service_maintenance:owned-1003"));
    assert_eq!(again.status().unwrap().publications, verified);
    assert!(again.close(Duration::ZERO, LIMIT));
    drop(first);
}

#[test]
fn servers_with_the_same_seed_are_two_servers() {
    let Some(consul) = shared() else { return };
    let runtime = Runtime::new();
    let target = format!("consul://{}", consul.http());
    let begin = |port: u16| {
        let mut seeded = definition("seeded", port);
        seeded.id = Some("seeded".to_owned());
        let options = RegistrationOptions { seed: Some(7), ..quick() };
        runtime.register(&target, seeded, options, None).unwrap()
    };
    let first = begin(1008);
    assert!(first.wait_registered(LIMIT));
    let second = begin(1009);
    eventually("a refusal", LIMIT, || {
        second
            .status()
            .and_then(|status| status.last_error)
            .is_some_and(|error| error.message.contains("taken by another"))
    });
    assert_eq!(consul.get("/v1/agent/service/seeded")["Port"], 1008);
}

#[test]
fn a_server_that_comes_back_over_its_failed_check_passes_at_once() {
    let Some(consul) = shared() else { return };
    let proxy = Proxy::start(&consul.http());
    let mut back = definition("back", 1010);
    // No sign of life is due for far longer than this takes.
    back.ttl = Duration::from_secs(300);
    let (runtime, options) = (Runtime::new(), quick());
    let options = RegistrationOptions { drop_deadline: Duration::from_millis(100), ..options };
    let target = format!("consul://{}", proxy.address());
    let first = runtime.register(&target, back.clone(), options, None).unwrap();
    assert!(first.wait_registered(LIMIT));
    // The process is gone, and had no time to say so; its check has failed meanwhile.
    proxy.cut();
    proxy.sever();
    drop(first);
    consul.put("/v1/agent/check/fail/back-1010:alive", "");
    let status = || consul.get("/v1/agent/checks")["back-1010:alive"]["Status"].clone();
    assert_eq!(status(), "critical");
    let again = start(consul, &Runtime::new(), back);
    assert_eq!(status(), "passing");
    eventually("it is found again", LIMIT, || passing(consul, "back") == 1);
    assert!(again.close(Duration::ZERO, LIMIT));
}

#[test]
fn an_update_that_is_refused_leaves_the_server_as_it_was() {
    let Some(consul) = shared() else { return };
    let runtime = Runtime::new();
    let mut refused = definition("refused", 1011);
    refused.ttl = Duration::from_secs(2);
    let registration = start(consul, &runtime, refused);
    let note = |text: String| Some(BTreeMap::from([("note".to_owned(), text)]));
    // Longer than Consul allows.
    registration.update(None, note("x".repeat(600)));
    let is_told = || {
        let told = registration.status().and_then(|status| status.last_error);
        told.is_some_and(|error| error.message.contains("Invalid Service Meta"))
    };
    eventually("a refusal", LIMIT, is_told);
    // So many signs of life take twice its time to live.
    let beats = registration.status().unwrap().beats;
    eventually("signs of life", LIMIT, || registration.status().unwrap().beats >= beats + 6);
    assert!(is_told(), "{:?}", registration.status());
    assert!(matches!(registration.state(), RegistrationState::Registered { .. }), "{registration:?}");
    assert_eq!(registration.status().unwrap().publications, 1);
    assert_eq!(checks(consul, "refused")["refused-1011:alive"], "passing");
    registration.update(None, note("short".to_owned()));
    eventually("it is updated", LIMIT, || {
        consul.get("/v1/agent/service/refused-1011")["Meta"]["note"] == "short"
    });
    eventually("nothing is wrong", LIMIT, || registration.status().unwrap().last_error.is_none());
    assert!(registration.close(Duration::ZERO, LIMIT));
}

#[test]
fn what_a_token_may_not_register_is_said_and_done_once_it_may() {
    let master = "11111111-2222-3333-4444-555555555555";
    let options = ConsulOptions { acl_token: Some(master.to_owned()), ..ConsulOptions::default() };
    let Some(consul) = Consul::with(options) else { return };
    let runtime = Runtime::new();
    let scratch = Scratch::new("consul-registration-token");
    let file = scratch.write("token", "99999999-2222-3333-4444-555555555555");
    let credentials =
        Credentials { token: Some(Secret::File(file.clone().into())), ..Credentials::default() };
    let options = RegistrationOptions { credentials, ..quick() };
    let target = format!("consul://{}", consul.http());
    let registration = runtime.register(&target, definition("tokened", 1005), options, None).unwrap();
    eventually("a refusal", LIMIT, || {
        registration
            .status()
            .and_then(|status| status.last_error)
            .is_some_and(|error| error.message.contains("403"))
    });
    std::fs::write(&file, master).unwrap();
    assert!(registration.wait_registered(LIMIT));
    // The definition's own token goes before.
    let mut own = definition("own-token", 1006);
    own.extra.insert("Token".to_owned(), Value::from(master));
    start(&consul, &runtime, own);
}

#[test]
fn an_end_is_bounded_though_the_agent_is_silent() {
    let Some(consul) = Consul::start() else { return };
    let runtime = Runtime::new();
    let registration = start(&consul, &runtime, definition("bounded", 1007));
    consul.pause();
    let begun = Instant::now();
    assert!(!registration.close(Duration::ZERO, Duration::from_secs(2)));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    consul.resume();
}

/// Whether connections are refused or lead to an agent that says nothing.
#[test]
fn an_agent_that_is_away_for_longer_than_the_time_to_live_has_lost_it() {
    for is_paused in [false, true] {
        let Some(consul) = Consul::start() else { return };
        let runtime = Runtime::new();
        let registration = start(&consul, &runtime, definition("away", 1012));
        let change = |away: bool| match (is_paused, away) {
            (true, true) => consul.pause(),
            (true, false) => consul.resume(),
            (false, true) => consul.kill(),
            (false, false) => consul.restart(),
        };
        change(true);
        let is_lost = || matches!(registration.state(), RegistrationState::Lost { .. });
        eventually("it is lost", LIMIT, is_lost);
        // As long as its time to live, and the pause before another attempt, at least.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(6) {
            let status = registration.status().unwrap();
            assert!(is_lost() && status.last_error.is_some(), "{status:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        change(false);
        assert!(registration.wait_registered(LIMIT), "{:?}", registration.status());
        eventually("it is there again", LIMIT, || passing(&consul, "away") == 1);
        assert_eq!(registration.status().unwrap().last_error, None);
        assert!(registration.close(Duration::ZERO, LIMIT));
    }
}
