//! What is read, in both forms, and in which order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use evener_discovery::Event;
use evener_discovery::runtime::{Runtime, WatchOptions, Woken};
use evener_discovery::{Condition, Target};
use evener_test_servers::{Etcd, EtcdOptions, eventually};

use crate::support::{Follower, LIMIT, grpc};

/// What the documentation of gRPC's naming in etcd and the first user put there, by etcd's own tool.
#[test]
fn records_of_others_are_read_and_nothing_beside_them() {
    let Some(etcd) = Etcd::start() else { return };
    let target = format!("etcd://{}/user-service", etcd.client());
    for (key, value) in [
        ("user-service/1.2.3.4", r#"{"Addr":"1.2.3.4","Metadata":"..."}"#),
        ("user-service/e1", r#"{"Op":0,"Addr":"10.0.0.1:2000","Metadata":null}"#),
        ("user-service/e2", r#"{"addr":"10.0.0.2:2000","op":0,"metadata":{"weight":3,"zone":"a"}}"#),
        (
            "/services/user-service/192.168.1.100:8080",
            r#"{"ip":"192.168.1.100","port":8080,"healthy":true,"version":"v1.0"}"#,
        ),
        (
            "/services/user-service/192.168.1.101:8080",
            r#"{"ip":"192.168.1.101","port":8080,"healthy":false,"version":"v1.0"}"#,
        ),
        ("/services/user-service/192.168.1.102:8080", ""),
        ("user-service", r#"{"Addr":"9.9.9.1:1"}"#),
        ("user-service_other/e1", r#"{"Addr":"9.9.9.2:1"}"#),
        ("user-service2/e1", r#"{"Addr":"9.9.9.3:1"}"#),
        ("/services/user-service-b/9.9.9.4:1", ""),
        ("/user-service/e1", r#"{"Addr":"9.9.9.5:1"}"#),
    ] {
        etcd.ctl(&["put", key, value]);
    }
    let follower = Follower::open(&target);
    follower.sees(&[
        "1.2.3.4:443;meta.metadata=...",
        "10.0.0.1:2000",
        "10.0.0.2:2000;weight=3;zone=a",
        "192.168.1.100:8080;meta.version=v1.0",
        "192.168.1.101:8080;condition=unhealthy;meta.version=v1.0",
        "192.168.1.102:8080",
    ]);
    assert_eq!((follower.resets(), follower.skipped()), (1, Vec::new()));

    Follower::open(&format!("{target}?format=services")).sees(&[
        "192.168.1.100:8080;meta.version=v1.0",
        "192.168.1.101:8080;condition=unhealthy;meta.version=v1.0",
        "192.168.1.102:8080",
    ]);

    // A server that becomes unhealthy, one that leaves, one that a neighbour gets.
    etcd.ctl(&["put", "/services/user-service/192.168.1.100:8080", r#"{"healthy":false}"#]);
    etcd.ctl(&["del", "user-service/e1"]);
    etcd.ctl(&["put", "user-service_other/e2", r#"{"Addr":"9.9.9.6:1"}"#]);
    etcd.ctl(&["del", "user-service/", "--prefix"]);
    follower.sees(&[
        "192.168.1.100:8080;condition=unhealthy",
        "192.168.1.101:8080;condition=unhealthy;meta.version=v1.0",
        "192.168.1.102:8080",
    ]);
    assert_eq!((follower.resets(), follower.failures()), (1, Vec::new()));
}

#[test]
fn a_key_goes_with_its_lease() {
    let Some(etcd) = Etcd::start() else { return };
    let granted = etcd.ctl(&["lease", "grant", "2"]);
    let lease = granted.split_whitespace().nth(1).expect("etcdctl names the lease");
    etcd.ctl(&["put", "--lease", lease, "svc/a", &grpc("10.0.0.1:1")]);
    etcd.put("svc/b", &grpc("10.0.0.2:1"));
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    follower.sees(&["10.0.0.2:1"]);
    assert_eq!(follower.resets(), 1);
}

/// Two keys with one address are two parts: the pipeline keeps the endpoint until both are gone.
#[test]
fn keys_come_and_go_by_themselves_whatever_address_they_have() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    etcd.put("svc/b", &grpc("10.0.0.1:1"));
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    follower.sees(&["10.0.0.1:1", "10.0.0.1:1"]);
    etcd.delete("svc/a");
    follower.sees(&["10.0.0.1:1"]);
    etcd.delete("svc/b");
    follower.sees(&[]);
}

#[test]
fn a_value_that_makes_no_sense_is_counted_and_the_one_before_it_stays() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/good", &grpc("10.0.0.1:1"));
    etcd.put("svc/bad", "no JSON");
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    follower.sees(&["10.0.0.1:1"]);
    assert!(follower.skipped()[0].starts_with("svc/bad: is not JSON"), "{:?}", follower.skipped());
    etcd.put("svc/good", r#"{"Addr":17}"#);
    eventually("it is skipped", LIMIT, || follower.skipped().len() == 2);
    assert_eq!(follower.endpoints(), ["10.0.0.1:1"]);
    etcd.put("svc/bad", &grpc("10.0.0.2:1"));
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    etcd.delete("svc/good");
    follower.sees(&["10.0.0.2:1"]);
}

#[test]
fn a_long_list_is_read_in_pages_of_one_revision() {
    let Some(etcd) = Etcd::with(many_operations()) else { return };
    let put = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|number| format!("put svc/{number} {}", grpc(&address(number)))).collect()
    };
    etcd.transaction(&put(0..1_001));
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    eventually("all of them", LIMIT, || follower.keys().len() == 1_001);
    assert_eq!((follower.resets(), follower.events().len()), (1, 1));
}

/// What a transaction does is one change, for the channel too.
#[test]
fn a_thousand_servers_of_one_transaction_are_one_publication() {
    let Some(etcd) = Etcd::with(many_operations()) else { return };
    etcd.put("svc/first", &grpc("10.9.9.9:1"));
    let text = format!("etcd://{}/svc", etcd.client());
    let follower = Follower::open(&text);
    let runtime = Runtime::new();
    let woken = std::sync::Arc::new(Woken::new());
    let target = Target::parse(&text).unwrap();
    let watch = runtime.watch(&target, WatchOptions::default(), woken.clone()).unwrap();
    eventually("the first", LIMIT, || watch.latest().is_some());
    follower.sees(&["10.9.9.9:1"]);

    let puts: Vec<String> =
        (0..1_000).map(|number| format!("put svc/{number} {}", grpc(&address(number)))).collect();
    etcd.transaction(&puts);
    eventually("all are published", LIMIT, || {
        watch.latest().is_some_and(|latest| latest.endpoints.len() > 1)
    });
    let latest = watch.latest().unwrap();
    assert_eq!((latest.endpoints.len(), latest.changes.added), (1_001, 1_000));
    assert_eq!(watch.status().unwrap().publications, 2);
    eventually("the backend has said it", LIMIT, || follower.keys().len() == 1_001);
    assert_eq!(follower.count(|event| matches!(event, Event::Apply { .. })), 1);

    // One leaves and another takes its place, at once.
    etcd.transaction(&["del svc/first".to_owned(), format!("put svc/last {}", grpc("10.8.8.8:1"))]);
    eventually("the last", LIMIT, || follower.keys().contains_key("svc/last"));
    let Some(Event::Apply { changed, removed, .. }) = follower.events().pop() else { panic!("no change") };
    assert_eq!((changed.len(), removed), (1, vec!["svc/first".to_owned()]));
}

/// While a set is read and the watch begun, servers come and go.
#[test]
fn nothing_is_lost_between_the_list_and_the_watch() {
    let Some(etcd) = Etcd::start() else { return };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                etcd.put(&format!("svc/{}", number % 40), &grpc(&address(number)));
                if number % 3 == 0 {
                    etcd.delete(&format!("svc/{}", (number + 17) % 40));
                }
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let text = format!("etcd://{}/svc", etcd.client());
        let followers: Vec<Follower> = (0..20).map(|_| Follower::open(&text)).collect();
        eventually("all have read", LIMIT, || followers.iter().all(|follower| follower.events().len() > 50));
        is_over.store(true, Ordering::Relaxed);
        etcd.put("svc/end", &grpc("10.7.7.7:1"));
        let end = |follower: &Follower| follower.endpoints().contains(&"10.7.7.7:1".to_owned());
        eventually("all have seen the end", LIMIT, || followers.iter().all(end));
        let fresh = Follower::open(&text);
        eventually("a list", LIMIT, || fresh.resets() == 1);
        for follower in &followers {
            assert_eq!(follower.keys(), fresh.keys());
            assert_eq!(follower.resets(), 1);
        }
    });
}

#[test]
fn a_hint_is_answered_by_life() {
    let Some(etcd) = Etcd::start() else { return };
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    let confirmed = || follower.count(|event| matches!(event, Event::Confirmed { .. }));
    eventually("a list", LIMIT, || follower.resets() == 1);
    follower.sees(&[]);
    let before = confirmed();
    follower.hint();
    eventually("it is confirmed", LIMIT, || confirmed() > before);
    assert_eq!((follower.resets(), follower.failures()), (1, Vec::new()));
}

/// A server that says that it is not healthy gets no calls at once, without the time that one that vanishes has.
#[test]
fn an_unhealthy_server_is_published_as_such() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("/services/svc/10.0.0.1:1", r#"{"healthy":true}"#);
    etcd.put("/services/svc/10.0.0.2:1", "");
    let runtime = Runtime::new();
    let woken = std::sync::Arc::new(Woken::new());
    let target = Target::parse(&format!("etcd://{}/svc", etcd.client())).unwrap();
    let watch = runtime.watch(&target, WatchOptions::default(), woken.clone()).unwrap();
    eventually("both", LIMIT, || watch.latest().is_some_and(|latest| latest.endpoints.len() == 2));
    etcd.put("/services/svc/10.0.0.1:1", r#"{"healthy":false}"#);
    let unhealthy = || watch.status().unwrap().endpoints.unhealthy;
    eventually("it is unhealthy", LIMIT, || unhealthy() == 1);
    assert_eq!(watch.latest().unwrap().endpoints[0].condition, Condition::Unhealthy);
}

fn address(number: usize) -> String {
    format!("10.{}.{}.1:50051", number / 250 % 250, number % 250)
}

fn many_operations() -> EtcdOptions {
    EtcdOptions { arguments: vec!["--max-txn-ops=4096".to_owned()], ..EtcdOptions::default() }
}
