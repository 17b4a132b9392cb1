//! Servers that register themselves, and stay registered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evener_discovery::registration::{
    Check, CheckKind, Registration, RegistrationOptions, RegistrationState, ServiceDefinition,
};
use evener_discovery::runtime::Runtime;
use evener_test_servers::{Etcd, EtcdCluster, Proxy, eventually};

use crate::support::{Follower, LIMIT};

const TTL: Duration = Duration::from_secs(3);

fn definition(name: &str, number: u8) -> ServiceDefinition {
    let mut definition = ServiceDefinition::new(name, 8080);
    definition.id = Some(format!("{name}-{number}"));
    definition.host = Some(format!("10.0.0.{number}"));
    definition.ttl = TTL;
    definition
}

fn register(runtime: &Runtime, servers: &str, definition: ServiceDefinition) -> Registration {
    let options = RegistrationOptions {
        verify_interval: Duration::from_secs(1),
        seed: Some(1),
        ..RegistrationOptions::default()
    };
    runtime.register(&format!("etcd://{servers}/"), definition, options, None).unwrap()
}

/// A key's value and lease.
fn pair(etcd: &Etcd, key: &str) -> Option<(String, u64)> {
    let value = etcd.try_ctl(&["get", "--print-value-only", key]).ok()?.trim_end().to_owned();
    let json = etcd.try_ctl(&["get", key, "-w", "json"]).ok()?;
    let json: serde_json::Value = serde_json::from_str(&json).ok()?;
    Some((value, json["kvs"][0]["lease"].as_u64()?))
}

fn is_there(etcd: &Etcd, key: &str) -> bool {
    pair(etcd, key).is_some()
}

/// From the first record to the last, as etcd's own tool and a client of ours see it.
#[test]
fn a_server_comes_changes_drains_and_leaves() {
    let Some(etcd) = Etcd::start() else { return };
    let runtime = Runtime::new();
    let mut checked = definition("svc", 1);
    checked.checks = vec![Check::new(CheckKind::Tcp("10.0.0.1:8080".to_owned()))];
    let registration = register(&runtime, &etcd.client(), checked);
    assert!(registration.wait_registered(LIMIT), "{registration:?}");
    let remark = registration.status().unwrap().remark.unwrap_or_default();
    assert!(remark.contains("etcd makes no checks"), "{remark}");
    let (value, lease) = pair(&etcd, "svc/svc-1").unwrap();
    assert_eq!(value, r#"{"Op":0,"Addr":"10.0.0.1:8080","Metadata":null}"#);
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    follower.sees(&["10.0.0.1:8080"]);

    let metadata = BTreeMap::from([("version".to_owned(), "v1.0".to_owned())]);
    registration.update(Some(5), Some(metadata));
    follower.sees(&["10.0.0.1:8080;weight=5;meta.version=v1.0"]);
    registration.drain();
    follower.sees(&["10.0.0.1:8080;weight=0;meta.version=v1.0"]);
    assert_eq!(registration.state(), RegistrationState::Draining);
    assert_eq!(pair(&etcd, "svc/svc-1").unwrap().1, lease, "the lease stays the same");
    assert!(registration.close(Duration::ZERO, LIMIT));
    follower.sees(&[]);
    assert_eq!(etcd.ctl(&["lease", "list"]).lines().count(), 1, "no lease is left");
    assert_eq!(follower.resets(), 1);
}

/// A8, scenario 8.
#[test]
fn an_outage_longer_than_the_lease_ends_with_a_new_lease() {
    let Some(etcd) = Etcd::start() else { return };
    let runtime = Runtime::new();
    let registration = register(&runtime, &etcd.client(), definition("svc", 1));
    assert!(registration.wait_registered(LIMIT));
    let (value, lease) = pair(&etcd, "svc/svc-1").unwrap();
    etcd.kill();
    let is_lost = || matches!(registration.state(), RegistrationState::Lost { .. });
    eventually("it is lost", LIMIT, is_lost);
    let start = Instant::now();
    eventually("longer than its lease", LIMIT, || start.elapsed() > TTL);
    etcd.restart();
    let back = Instant::now();
    eventually("it is registered anew", Duration::from_secs(60), || {
        pair(&etcd, "svc/svc-1").is_some_and(|(now, new)| now == value && new != lease)
    });
    assert!(registration.wait_registered(LIMIT), "{:?} after {:?}", registration.status(), back.elapsed());
}

/// As if the process had been killed: nothing more is heard of it.
#[test]
fn a_server_that_falls_silent_is_gone_after_its_time_to_live_and_back_when_it_speaks() {
    let Some(etcd) = Etcd::start() else { return };
    let proxy = Proxy::start(&etcd.client());
    let runtime = Runtime::new();
    let registration = register(&runtime, &proxy.address(), definition("svc", 1));
    assert!(registration.wait_registered(LIMIT));
    proxy.cut();
    let start = Instant::now();
    eventually("etcd drops it", LIMIT, || !is_there(&etcd, "svc/svc-1"));
    // etcd looks for expired leases twice a second; this machine may be busy.
    assert!(start.elapsed() < TTL + Duration::from_secs(4), "{:?}", start.elapsed());
    proxy.mend();
    eventually("it is back", LIMIT, || is_there(&etcd, "svc/svc-1"));
    assert!(registration.wait_registered(LIMIT));
}

#[test]
fn a_wiped_registry_is_filled_again_and_services_do_not_mind_each_other() {
    let Some(etcd) = Etcd::start() else { return };
    let runtime = Runtime::new();
    let all = [("users", 1), ("users", 2), ("orders", 3)];
    let mut registrations: Vec<Registration> = all
        .iter()
        .map(|(name, number)| register(&runtime, &etcd.client(), definition(name, *number)))
        .collect();
    assert!(registrations.iter().all(|registration| registration.wait_registered(LIMIT)));
    let users = Follower::open(&format!("etcd://{}/users", etcd.client()));
    users.sees(&["10.0.0.1:8080", "10.0.0.2:8080"]);

    etcd.wipe_and_restart();
    let keys = all.map(|(name, number)| format!("{name}/{name}-{number}"));
    eventually("all are back", LIMIT, || keys.iter().all(|key| is_there(&etcd, key)));
    users.sees(&["10.0.0.1:8080", "10.0.0.2:8080"]);

    // One that ends takes nobody with it.
    drop(registrations.remove(0));
    eventually("it is gone", LIMIT, || !is_there(&etcd, &keys[0]));
    let start = Instant::now();
    eventually("longer than a lease", LIMIT, || start.elapsed() > TTL + Duration::from_secs(2));
    assert!(is_there(&etcd, &keys[1]) && is_there(&etcd, &keys[2]));
}

#[test]
fn a_record_that_somebody_spoils_is_repaired() {
    let Some(etcd) = Etcd::start() else { return };
    let runtime = Runtime::new();
    let registration = register(&runtime, &etcd.client(), definition("svc", 1));
    assert!(registration.wait_registered(LIMIT));
    let good = pair(&etcd, "svc/svc-1").unwrap();
    etcd.delete("svc/svc-1");
    eventually("it is put again", LIMIT, || pair(&etcd, "svc/svc-1").as_ref() == Some(&good));
    etcd.ctl(&["put", "--ignore-lease", "svc/svc-1", "spoiled"]);
    eventually("it is put right", LIMIT, || pair(&etcd, "svc/svc-1").as_ref() == Some(&good));
    // The lease goes, and the key with it.
    etcd.ctl(&["lease", "revoke", &format!("{:x}", good.1)]);
    eventually("it has a new lease", LIMIT, || {
        pair(&etcd, "svc/svc-1").is_some_and(|(value, lease)| value == good.0 && lease != good.1)
    });
    assert!(registration.status().unwrap().repairs >= 3);
}

#[test]
fn a_key_that_is_taken_is_told_and_taken_back_when_it_is_free() {
    let Some(etcd) = Etcd::start() else { return };
    let runtime = Runtime::new();
    let registration = register(&runtime, &etcd.client(), definition("svc", 1));
    assert!(registration.wait_registered(LIMIT));
    let thief = r#"{"Op":0,"Addr":"10.6.6.6:1","Metadata":null}"#;
    etcd.ctl(&["put", "svc/svc-1", thief]);
    let told = || match registration.state() {
        RegistrationState::Lost { cause, .. } => cause.message.contains("taken by another owner"),
        _ => false,
    };
    eventually("the loss is told", LIMIT, told);
    let errors = registration.status().unwrap().errors;
    eventually("it is tried again", LIMIT, || registration.status().unwrap().errors > errors);
    assert_eq!(
        pair(&etcd, "svc/svc-1").map(|(value, _)| value),
        None,
        "a key without a lease is the thief's"
    );
    assert_eq!(etcd.ctl(&["get", "--print-value-only", "svc/svc-1"]).trim_end(), thief);
    etcd.delete("svc/svc-1");
    assert!(registration.wait_registered(LIMIT), "{registration:?}");
    assert!(is_there(&etcd, "svc/svc-1"));
}

/// SIGSTOP: the connection stands, and nothing comes of it.
#[test]
fn a_short_lease_does_not_depend_on_one_silent_member() {
    let Some(cluster) = EtcdCluster::start() else { return };
    let leader = cluster.leader().expect("a leader");
    let others: Vec<&Etcd> = (1..3).map(|step| &cluster.members()[(leader + step) % 3]).collect();
    let proxies: Vec<Proxy> = others.iter().map(|etcd| Proxy::start(&etcd.client())).collect();
    let servers: Vec<String> = proxies.iter().map(Proxy::address).collect();
    let runtime = Runtime::new();
    let registration = register(&runtime, &servers.join(","), definition("svc", 1));
    assert!(registration.wait_registered(LIMIT));
    let used = proxies.iter().position(|proxy| proxy.accepted() > 0).expect("one of both");
    let beats = registration.status().unwrap().beats;
    others[used].pause();
    // So many take twice the time to live.
    eventually("signs of life", LIMIT, || registration.status().unwrap().beats >= beats + 7);
    assert!(matches!(registration.state(), RegistrationState::Registered { .. }), "{registration:?}");
    assert!(is_there(&cluster.members()[leader], "svc/svc-1"));
    assert!(proxies[1 - used].accepted() > 0);
    others[used].resume();
}

#[test]
fn one_member_of_three_may_go_without_a_break() {
    let Some(cluster) = EtcdCluster::start() else { return };
    let members = cluster.members();
    let runtime = Runtime::new();
    let mut patient = definition("svc", 1);
    patient.ttl = Duration::from_secs(15);
    let registration = register(&runtime, &cluster.clients(), patient);
    assert!(registration.wait_registered(LIMIT));
    let (_, lease) = pair(&members[0], "svc/svc-1").unwrap();
    let leader = cluster.leader().expect("a leader");
    members[leader].kill();
    let other = (leader + 1) % members.len();
    let start = Instant::now();
    eventually("longer than the lease", LIMIT, || start.elapsed() > Duration::from_secs(17));
    assert_eq!(pair(&members[other], "svc/svc-1").map(|(_, lease)| lease), Some(lease));
    assert!(matches!(registration.state(), RegistrationState::Registered { .. }), "{registration:?}");
    members[leader].restart();
}
