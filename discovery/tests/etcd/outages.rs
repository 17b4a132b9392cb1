//! What happens when etcd is away, frozen, cut off, without a leader, compacted or without its data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evener_discovery::pipeline::{Freshness, PipelineOptions};
use evener_discovery::runtime::{Runtime, Watch, WatchOptions, Woken};
use evener_discovery::{ErrorClass, Event, Target};
use evener_test_servers::{Etcd, EtcdCluster, Proxy, eventually};

use crate::support::{Follower, LIMIT, grpc};

/// Removals at once, so that publications can be counted.
fn watch(target: &str) -> (Runtime, Watch) {
    let runtime = Runtime::new();
    let mut options = WatchOptions::default();
    options.pipeline =
        PipelineOptions { removal_epoch: Duration::ZERO, max_drop_ratio: 100, ..options.pipeline };
    let target = Target::parse(target).unwrap();
    let watch = runtime.watch(&target, options, Arc::new(Woken::new())).unwrap();
    (runtime, watch)
}

fn addresses(watch: &Watch) -> Vec<String> {
    watch.latest().map_or_else(Vec::new, |latest| latest.endpoints.iter().map(ToString::to_string).collect())
}

#[test]
fn a_killed_server_takes_nothing_away_and_its_return_is_noticed() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    etcd.put("svc/b", &grpc("10.0.0.2:1"));
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    etcd.kill();
    let error = follower.fails_after(0, ErrorClass::Unreachable);
    assert!(error.message.contains(&etcd.client()), "{error}");
    assert_eq!(follower.endpoints(), ["10.0.0.1:1", "10.0.0.2:1"]);
    etcd.restart();
    etcd.delete("svc/a");
    follower.sees(&["10.0.0.2:1"]);
    etcd.put("svc/c", &grpc("10.0.0.3:1"));
    follower.sees(&["10.0.0.2:1", "10.0.0.3:1"]);
}

#[test]
fn a_server_that_is_down_at_the_start_is_waited_for() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    etcd.kill();
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    follower.fails_after(2, ErrorClass::Unreachable);
    assert_eq!(follower.resets(), 0);
    etcd.restart();
    follower.sees(&["10.0.0.1:1"]);
}

/// A8, scenario 1.
#[test]
fn what_was_compacted_while_away_is_read_again_once_and_published_once() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    etcd.put("svc/b", &grpc("10.0.0.2:1"));
    let proxy = Proxy::start(&etcd.client());
    let target = format!("etcd://{}/svc", proxy.address());
    let follower = Follower::open(&target);
    let (_runtime, watch) = watch(&target);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    eventually("both are published", LIMIT, || addresses(&watch).len() == 2);

    proxy.cut();
    proxy.sever();
    let failures = follower.failures().len();
    etcd.delete("svc/a");
    for number in 3..30 {
        etcd.put(&format!("svc/{number}"), &grpc(&format!("10.0.0.{number}:1")));
    }
    etcd.compact();
    eventually("the loss is noticed", LIMIT, || follower.failures().len() > failures);
    let before = watch.status().unwrap();
    proxy.mend();

    let expected: Vec<String> = (2..30).map(|number| format!("10.0.0.{number}:1")).collect();
    let is_there = |mut seen: Vec<String>| {
        seen.sort();
        let mut expected = expected.clone();
        expected.sort();
        seen == expected
    };
    eventually("the set is right", LIMIT, || is_there(follower.endpoints()) && is_there(addresses(&watch)));
    assert_eq!(follower.resets(), 2, "one list at the start and one after it was away");
    let after = watch.status().unwrap();
    assert_eq!(after.publications - before.publications, 1);
    assert_eq!(after.updates.reset - before.updates.reset, 1);
}

#[test]
fn a_frozen_server_is_noticed_and_keeps_its_set() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    let target = format!("etcd://{}/svc", etcd.client());
    let (_runtime, watch) = watch(&target);
    eventually("it is known", LIMIT, || addresses(&watch) == ["10.0.0.1:1"]);
    etcd.pause();
    let start = Instant::now();
    let is_stale = || matches!(watch.status().unwrap().freshness, Freshness::Stale { .. });
    eventually("it is stale", LIMIT, is_stale);
    assert!(start.elapsed() < Duration::from_secs(30), "noticed after {:?}", start.elapsed());
    let age = watch.age().unwrap();
    eventually("it ages", LIMIT, || watch.age().unwrap() > age + Duration::from_secs(1));
    assert_eq!(addresses(&watch), ["10.0.0.1:1"]);
    etcd.resume();
    eventually("it is fresh", LIMIT, || !is_stale());
    etcd.put("svc/b", &grpc("10.0.0.2:1"));
    eventually("it is live", LIMIT, || addresses(&watch).len() == 2);
    assert!(addresses(&watch).contains(&"10.0.0.1:1".to_owned()));
}

#[test]
fn a_connection_that_is_cut_is_noticed_and_replaced() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    let proxy = Proxy::start(&etcd.client());
    let follower = Follower::open(&format!("etcd://{}/svc", proxy.address()));
    follower.sees(&["10.0.0.1:1"]);
    proxy.cut();
    etcd.put("svc/b", &grpc("10.0.0.2:1"));
    eventually("it is noticed", LIMIT, || !follower.failures().is_empty());
    assert_eq!(follower.endpoints(), ["10.0.0.1:1"]);
    proxy.mend();
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
}

/// A record that was spoiled while nobody could look is as it was before.
#[test]
fn what_makes_no_sense_after_an_outage_is_as_it_was() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    etcd.put("svc/b", &grpc("10.0.0.2:1"));
    let proxy = Proxy::start(&etcd.client());
    let follower = Follower::open(&format!("etcd://{}/svc", proxy.address()));
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    proxy.cut();
    proxy.sever();
    etcd.put("svc/a", "no JSON");
    etcd.put("svc/b", &grpc("10.0.0.3:1"));
    etcd.put("svc/c", "no JSON either");
    eventually("the loss is noticed", LIMIT, || !follower.failures().is_empty());
    proxy.mend();
    follower.sees(&["10.0.0.1:1", "10.0.0.3:1"]);
    assert_eq!(follower.resets(), 2);
    assert!(!follower.keys().contains_key("svc/c"), "it never made sense");
    etcd.delete("svc/a");
    follower.sees(&["10.0.0.3:1"]);
}

/// The revisions of a server without its old data begin again, and soon are where they were.
#[test]
fn a_server_that_lost_its_data_is_read_again_however_far_it_has_counted() {
    let Some(etcd) = Etcd::start() else { return };
    for number in 1..4 {
        etcd.put(&format!("svc/{number}"), &grpc(&format!("10.0.0.{number}:1")));
    }
    let proxy = Proxy::start(&etcd.client());
    let follower = Follower::open(&format!("etcd://{}/svc", proxy.address()));
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    proxy.cut();
    etcd.wipe_and_restart();
    proxy.sever();
    for number in 2..9 {
        etcd.put(&format!("svc/{}", number % 3), &grpc(&format!("10.0.1.{number}:1")));
    }
    proxy.mend();
    follower.sees(&["10.0.1.6:1", "10.0.1.7:1", "10.0.1.8:1"]);
    etcd.put("svc/9", &grpc("10.0.1.9:1"));
    follower.sees(&["10.0.1.6:1", "10.0.1.7:1", "10.0.1.8:1", "10.0.1.9:1"]);
}

#[test]
fn the_loss_of_one_member_of_three_costs_nothing() {
    let Some(cluster) = EtcdCluster::start() else { return };
    let members = cluster.members();
    members[0].put("svc/a", &grpc("10.0.0.1:1"));
    let followers: Vec<Follower> = cluster
        .clients()
        .split(',')
        .map(|first| Follower::open(&format!("etcd://{first},{}/svc", cluster.clients())))
        .collect();
    for follower in &followers {
        follower.sees(&["10.0.0.1:1"]);
    }
    let leader = cluster.leader().expect("a leader");
    members[leader].kill();
    let other = (leader + 1) % members.len();
    eventually("there is a leader", LIMIT, || members[other].is_ready());
    members[other].put("svc/b", &grpc("10.0.0.2:1"));
    for follower in &followers {
        follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
        assert!(follower.keys().contains_key("svc/a"));
    }
    members[leader].restart();
}

/// A member that is alone may know nothing new for ever, so it is not listened to; but at a start what it has is
/// better than nothing.
#[test]
fn a_member_without_a_leader_is_left_and_at_a_start_read() {
    let Some(cluster) = EtcdCluster::start() else { return };
    let members = cluster.members();
    members[0].put("svc/a", &grpc("10.0.0.1:1"));
    let target = format!("etcd://{}/svc", members[0].client());
    let follower = Follower::open(&target);
    follower.sees(&["10.0.0.1:1"]);
    members[1].kill();
    members[2].kill();
    let error = follower.fails_after(0, ErrorClass::Unreachable);
    assert!(error.message.contains("no leader"), "{error}");
    assert_eq!((follower.endpoints(), follower.resets()), (vec!["10.0.0.1:1".to_owned()], 1));

    let second = Follower::open(&target);
    second.sees(&["10.0.0.1:1"]);
    eventually("it is said to be old", LIMIT, || {
        second.failures().iter().any(|error| error.message.contains("may be old"))
    });
    assert!(matches!(second.events()[0], Event::Reset { .. }));

    members[1].restart();
    members[2].restart();
    members[1].put("svc/b", &grpc("10.0.0.2:1"));
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    second.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
}
