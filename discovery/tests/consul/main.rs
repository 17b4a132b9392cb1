//! Consul, real agents of it on loopback: instances, tiers, tokens, outages, keys, registration.

mod acl;
mod agent;
mod config;
mod doubles;
mod failover;
mod outage;
mod refusals;
mod registration;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use std::sync::OnceLock;

use evener_discovery::runtime::WatchOptions;
use evener_discovery::{Event, Part};
use evener_test_servers::Consul;
use serde_json::{Value, json};
use support::Backend;

/// The agent that tests share which do not hurt it; each has services of its own there.
fn shared() -> Option<&'static Consul> {
    static CONSUL: OnceLock<Option<Consul>> = OnceLock::new();
    CONSUL.get_or_init(Consul::start).as_ref()
}

fn open(consul: &Consul, rest: &str) -> Backend {
    Backend::open(&target(consul, rest), &quick())
}

fn target(consul: &Consul, rest: &str) -> String {
    let separator = if rest.contains('?') { '&' } else { '?' };
    // Pauses after a failure are for thousands of clients; here there is one.
    format!("consul://{}/{rest}{separator}max-backoff=300ms", consul.http())
}

fn quick() -> WatchOptions {
    WatchOptions { seed: Some(1), ..WatchOptions::default() }
}

/// A definition with an id of its own.
fn instance(service: &str, number: u16) -> Value {
    json!({"ID": format!("{service}-{number}"), "Name": service, "Address": format!("10.0.0.{number}"), "Port": 50051})
}

/// The endpoints of parts without what names their instances, in order.
fn plain(parts: &[Part]) -> Vec<String> {
    let endpoints = parts.iter().flat_map(|part| part.endpoints.clone());
    let mut plain: Vec<String> = endpoints
        .map(|mut endpoint| {
            endpoint.metadata.retain(|key, _| !key.starts_with("consul."));
            endpoint.region = None;
            endpoint.to_string()
        })
        .collect();
    plain.sort();
    plain
}

/// What is said of endpoints, whether another datacenter can be asked or not.
fn said(event: Event) -> Event {
    match event {
        Event::Partly { said, .. } => *said,
        event => event,
    }
}

impl Backend {
    /// Waits until it says that a part has these endpoints, whether alone or with everything else.
    fn until_set(&mut self, expected: &[&str]) {
        self.until(&format!("the endpoints {expected:?}"), |event| match said(event) {
            Event::Reset { parts, .. } if plain(&parts) == expected => Some(()),
            Event::Apply { changed, .. } if plain(&changed) == expected => Some(()),
            _ => None,
        });
    }

    /// Waits for the next word on the endpoints, which has to be this.
    fn until_next_set(&mut self, expected: &[&str]) {
        self.until(&format!("the endpoints {expected:?} next"), |event| match said(event) {
            Event::Reset { parts: all, .. } | Event::Apply { changed: all, .. } => {
                assert_eq!(plain(&all), expected);
                Some(())
            }
            _ => None,
        });
    }
}
