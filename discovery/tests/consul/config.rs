//! Keys as live configuration.

use std::time::Duration;

use evener_discovery::config_watch::{ConfigMap, ConfigWatch};
use evener_discovery::credentials::{Credentials, Secret};
use evener_discovery::runtime::{Runtime, WatchOptions};
use evener_test_servers::{Consul, ConsulOptions, eventually};

use crate::support::LIMIT;
use crate::{quick, shared, target};

fn text(watch: &ConfigWatch) -> Option<Vec<(String, String)>> {
    let map = watch.latest()?;
    let values =
        map.values.iter().map(|(key, value)| (key.clone(), String::from_utf8_lossy(value).into_owned()));
    Some(values.collect())
}

fn until(watch: &ConfigWatch, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    eventually(&format!("{expected:?}"), LIMIT, || text(watch).as_ref() == Some(&expected));
}

#[test]
fn a_prefix_is_a_map_that_follows_every_change() {
    let Some(consul) = shared() else { return };
    consul.put("/v1/kv/config/user-service/database_url", "postgres://db");
    consul.put("/v1/kv/config/user-service/cache_size", "100");
    consul.put("/v1/kv/config/user-service-2/cache_size", "7");
    let runtime = Runtime::new();
    let watch = runtime.watch_config(&target(consul, "config/user-service/"), quick(), None).unwrap();
    until(&watch, &[("cache_size", "100"), ("database_url", "postgres://db")]);
    let revision = |map: &ConfigMap| map.revision.parse::<u64>().unwrap();
    let before = watch.latest().unwrap();
    assert!(revision(&before) > 0);
    consul.put("/v1/kv/config/user-service/cache_size", "200");
    until(&watch, &[("cache_size", "200"), ("database_url", "postgres://db")]);
    let after = watch.latest().unwrap();
    assert!(after.epoch > before.epoch && revision(&after) > revision(&before));
    let _ = consul.request("DELETE", "/v1/kv/config/user-service/?recurse", "").unwrap();
    until(&watch, &[]);
    consul.put("/v1/kv/config/user-service/a/b", "deep");
    until(&watch, &[("a/b", "deep")]);
}

#[test]
fn a_key_is_a_map_of_one() {
    let Some(consul) = shared() else { return };
    let runtime = Runtime::new();
    let watch = runtime.watch_config(&target(consul, "service-configs/user.json"), quick(), None).unwrap();
    until(&watch, &[]);
    consul.put("/v1/kv/service-configs/user.json", "{}");
    until(&watch, &[("user.json", "{}")]);
    consul.put("/v1/kv/service-configs/user.json.old", "other");
    consul.put("/v1/kv/service-configs/user.json", "{\"a\":1}");
    until(&watch, &[("user.json", "{\"a\":1}")]);
}

#[test]
fn an_outage_and_a_lost_right_leave_what_is_known() {
    let master = "11111111-2222-3333-4444-555555555555";
    let options =
        ConsulOptions { acl_token: Some(master.to_owned()), persistent: true, ..ConsulOptions::default() };
    let Some(consul) = Consul::with(options) else { return };
    consul.put("/v1/kv/config/a", "1");
    let runtime = Runtime::new();
    let watch = |token: Option<&str>| {
        let credentials = Credentials { token: token.map(Secret::value), ..Credentials::default() };
        runtime
            .watch_config(&target(&consul, "config/"), WatchOptions { credentials, ..quick() }, None)
            .unwrap()
    };
    let denied = watch(None);
    let good = watch(Some(master));
    until(&good, &[("a", "1")]);
    consul.kill();
    consul.restart();
    consul.put("/v1/kv/config/a", "2");
    until(&good, &[("a", "2")]);
    // Whoever may not read keys is told so, and never sees an empty map.
    eventually("a refusal", LIMIT, || {
        denied.status().is_some_and(|status| format!("{status:?}").contains("key:read"))
    });
    assert_eq!(text(&denied), None);
    assert!(runtime.shutdown(Duration::from_secs(5)));
}
