//! Configuration that lives in etcd.

use std::collections::BTreeMap;
use std::time::Duration;

use evener_discovery::config_watch::ConfigMap;
use evener_discovery::runtime::{Runtime, WatchOptions};
use evener_test_servers::{Etcd, eventually};

use crate::support::LIMIT;

fn texts(map: &ConfigMap) -> BTreeMap<String, String> {
    let text = |value: &Vec<u8>| String::from_utf8(value.clone()).unwrap();
    map.values.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn map<const N: usize>(values: [(&str, &str); N]) -> BTreeMap<String, String> {
    values.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[test]
fn a_prefix_is_a_live_map_with_its_revision() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("/config/user-service/database_url", "postgres://db/users");
    etcd.put("/config/user-service/cache_size", "100");
    etcd.put("/config/user-service2/cache_size", "7");
    let runtime = Runtime::new();
    let target = format!("etcd://{}/config/user-service/", etcd.client());
    let watch = runtime.watch_config(&target, WatchOptions::default(), None).unwrap();
    let first = watch.wait(0, LIMIT).expect("the map");
    assert_eq!(texts(&first), map([("cache_size", "100"), ("database_url", "postgres://db/users")]));
    assert_eq!(first.revision, etcd.revision().to_string());

    etcd.transaction(&[
        "put /config/user-service/cache_size 200".to_owned(),
        "del /config/user-service/database_url".to_owned(),
        "put config/user-service/limits/high 9".to_owned(),
    ]);
    let both = |map: &ConfigMap| map.values.len() == 2 && map.values.contains_key("limits/high");
    eventually("the change", LIMIT, || watch.latest().is_some_and(|latest| both(&latest)));
    let second = watch.latest().unwrap();
    assert_eq!(texts(&second), map([("cache_size", "200"), ("limits/high", "9")]));
    assert_eq!(second.revision, etcd.revision().to_string());

    // An outage keeps it, and what changes meanwhile arrives afterwards.
    etcd.kill();
    eventually("the outage is noticed", LIMIT, || {
        watch.status().is_some_and(|status| status.last_error.is_some())
    });
    assert_eq!(texts(&watch.latest().unwrap()), texts(&second));
    etcd.restart();
    etcd.put("/config/user-service/cache_size", "300");
    eventually("the value after it", LIMIT, || {
        watch
            .latest()
            .is_some_and(|latest| texts(&latest).get("cache_size").is_some_and(|size| size == "300"))
    });
}

#[test]
fn a_key_is_a_map_of_one_and_its_end_is_an_answer() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("lb/user-service", "{}");
    etcd.put("lb/user-service/other", "not this one");
    let runtime = Runtime::new();
    let target = format!("etcd://{}/lb/user-service", etcd.client());
    let watch = runtime.watch_config(&target, WatchOptions::default(), None).unwrap();
    let first = watch.wait(0, LIMIT).expect("the key");
    assert_eq!(texts(&first), map([("user-service", "{}")]));
    etcd.delete("lb/user-service");
    let second = watch.wait(first.epoch, LIMIT).expect("the end");
    assert_eq!(texts(&second), map([]));
    assert!(watch.wait(second.epoch, Duration::from_millis(50)).is_none());
}
