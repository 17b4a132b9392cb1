//! Several datacenters as tiers.

use std::time::Duration;

use evener_discovery::{ErrorClass, Event};
use evener_test_servers::{Consul, ConsulOptions, eventually};
use serde_json::Value;

use crate::{instance, open, plain, said};

const LIMIT: Duration = Duration::from_secs(30);

fn two() -> Option<(Consul, Consul)> {
    let first = Consul::start()?;
    let options = ConsulOptions {
        datacenter: "dc2".to_owned(),
        host: "127.0.0.2".to_owned(),
        join_wan: vec![first.serf_wan()],
        ..ConsulOptions::default()
    };
    let second = Consul::with(options)?;
    eventually("the datacenters know each other", LIMIT, || {
        let known = first.get("/v1/catalog/datacenters");
        let reached = first.request("GET", "/v1/catalog/nodes?dc=dc2", "");
        known.as_array().is_some_and(|all| all.contains(&Value::from("dc2")))
            && reached.is_ok_and(|answer| answer.is_success())
    });
    Some((first, second))
}

#[test]
fn datacenters_are_tiers_with_a_watch_each_and_one_that_is_lost_keeps_its_endpoints() {
    let Some((first, second)) = two() else { return };
    first.register(&instance("failover", 1));
    second.register(&instance("failover", 2));
    let mut backend = open(&first, "failover?dc=dc1|dc2");
    let mut known = Vec::new();
    backend.until("both tiers", |event| match said(event) {
        Event::Reset { parts, .. } => {
            known = plain(&parts);
            (known.len() == 2).then_some(())
        }
        Event::Apply { changed, .. } => {
            known.extend(plain(&changed));
            (known.len() == 2).then_some(())
        }
        _ => None,
    });
    assert_eq!(known, ["10.0.0.1:50051", "10.0.0.2:50051;priority=1"]);
    // Each is watched by itself.
    second.register(&instance("failover", 3));
    backend.until_set(&["10.0.0.2:50051;priority=1", "10.0.0.3:50051;priority=1"]);
    first.register(&instance("failover", 4));
    backend.until_set(&["10.0.0.1:50051", "10.0.0.4:50051"]);
    // One is lost: that is said, its endpoints stay, and the other goes on.
    second.kill();
    backend.until("the loss", |event| match event {
        Event::Failed(error) => {
            assert!(error.message.contains("dc2"), "{error}");
            Some(())
        }
        Event::Apply { changed, removed, .. } => panic!("{:?} {removed:?}", plain(&changed)),
        Event::Reset { parts, .. } => panic!("{:?}", plain(&parts)),
        Event::Partly { said, .. } => panic!("{said:?}"),
        _ => None,
    });
    first.deregister("failover-4");
    backend.until("the change in the first, with what is known of the second", |event| {
        let Event::Partly { said, error } = event else { return None };
        assert!(error.message.contains("dc2"), "{error}");
        let Event::Reset { parts, .. } = *said else { panic!("{said:?}") };
        let expected = ["10.0.0.1:50051", "10.0.0.2:50051;priority=1", "10.0.0.3:50051;priority=1"];
        assert_eq!(plain(&parts), expected);
        Some(())
    });
    second.restart();
    second.register(&instance("failover", 5));
    backend.until("the second again", |event| match said(event) {
        Event::Reset { parts, .. } => {
            plain(&parts).contains(&"10.0.0.5:50051;priority=1".to_owned()).then_some(())
        }
        Event::Apply { changed, .. } => {
            plain(&changed).contains(&"10.0.0.5:50051;priority=1".to_owned()).then_some(())
        }
        _ => None,
    });
}

#[test]
fn a_datacenter_that_is_not_known_is_an_error_and_the_next_one_serves() {
    let Some(consul) = Consul::start() else { return };
    consul.register(&instance("alone", 1));
    let mut backend = open(&consul, "alone?dc=nowhere|dc1");
    let (mut is_failed, mut is_served) = (false, false);
    backend.until("a failure and the endpoints of the next one", |event| {
        match event {
            Event::Failed(error) => {
                assert!(
                    error.class == ErrorClass::Unreachable && error.message.contains("nowhere"),
                    "{error}"
                );
                is_failed = true;
            }
            Event::Partly { said, .. } => {
                let Event::Reset { parts, .. } = *said else { panic!("{said:?}") };
                assert_eq!(plain(&parts), ["10.0.0.1:50051;priority=1"]);
                is_served = true;
            }
            other => panic!("{other:?}"),
        }
        (is_failed && is_served).then_some(())
    });
}
