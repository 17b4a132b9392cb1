//! Agents that die, lose their data, or fall silent, seen through the whole of a watch.

use std::sync::Arc;
use std::time::Duration;

use evener_discovery::Target;
use evener_discovery::pipeline::{Freshness, PipelineOptions, State, Status};
use evener_discovery::runtime::{Runtime, Watch, WatchOptions, Woken};
use evener_test_servers::{Consul, eventually};

use crate::support::LIMIT;
use crate::{instance, quick, target};

struct Watched {
    watch: Watch,
    _runtime: Runtime,
}

impl Watched {
    fn start(consul: &Consul, rest: &str, pipeline: PipelineOptions) -> Self {
        let runtime = Runtime::new();
        let parsed: Target = target(consul, rest).parse().unwrap();
        let options = WatchOptions { pipeline, ..quick() };
        let watch = runtime.watch(&parsed, options, Arc::new(Woken::new())).unwrap();
        Self { watch, _runtime: runtime }
    }

    fn addresses(&self) -> Vec<String> {
        let snapshot = self.watch.latest();
        let endpoints = snapshot.iter().flat_map(|snapshot| snapshot.endpoints.iter());
        endpoints.map(|endpoint| endpoint.addresses[0].to_string()).collect()
    }

    fn until(&self, expected: &[&str]) {
        eventually(&format!("{expected:?}"), LIMIT, || self.addresses() == expected);
    }

    fn status(&self) -> Status {
        self.watch.status().expect("a status")
    }

    fn is_stale(&self) -> bool {
        matches!(self.status().freshness, Freshness::Stale { .. })
    }
}

#[test]
fn a_dead_agent_takes_nothing_away_and_its_loss_of_data_is_held_back() {
    let Some(consul) = Consul::start() else { return };
    consul.register(&instance("dead", 1));
    consul.register(&instance("dead", 2));
    let both = ["10.0.0.1:50051", "10.0.0.2:50051"];
    let hold = PipelineOptions { empty_hold: Duration::from_secs(4), ..PipelineOptions::default() };
    let watched = Watched::start(&consul, "dead", hold);
    watched.until(&both);
    consul.kill();
    eventually("it is known to be old", LIMIT, || watched.is_stale());
    let age = watched.status().age.expect("an age");
    eventually("the age rises", LIMIT, || {
        watched.status().age.is_some_and(|now| now > age + Duration::from_millis(200))
    });
    assert_eq!(watched.addresses(), both);
    // Back, with a far lower index and knowing nothing.
    consul.restart();
    eventually("it is fresh again", LIMIT, || !watched.is_stale());
    assert_eq!(watched.addresses(), both);
    consul.register(&instance("dead", 1));
    consul.register(&instance("dead", 3));
    watched.until(&["10.0.0.1:50051", "10.0.0.3:50051"]);
}

#[test]
fn scaling_to_zero_is_believed_after_the_hold_and_not_before() {
    let Some(consul) = Consul::start() else { return };
    consul.register(&instance("zero", 1));
    let hold = PipelineOptions {
        empty_hold: Duration::from_secs(2),
        removal_epoch: Duration::ZERO,
        ..PipelineOptions::default()
    };
    let watched = Watched::start(&consul, "zero", hold);
    watched.until(&["10.0.0.1:50051"]);
    consul.deregister("zero-1");
    let begun = std::time::Instant::now();
    watched.until(&[]);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(watched.status().state, State::KnownEmpty);
}

#[test]
fn a_frozen_agent_takes_nothing_away_and_is_caught_up_with() {
    let Some(consul) = Consul::start() else { return };
    consul.register(&instance("frozen", 1));
    let watched = Watched::start(&consul, "frozen?wait=1s&timeout=1s", PipelineOptions::default());
    watched.until(&["10.0.0.1:50051"]);
    consul.pause();
    eventually("it is known to be old", LIMIT, || watched.is_stale());
    assert!(watched.status().age.is_some_and(|age| age >= Duration::from_secs(1)));
    assert_eq!(watched.addresses(), ["10.0.0.1:50051"]);
    consul.resume();
    consul.register(&instance("frozen", 2));
    watched.until(&["10.0.0.1:50051", "10.0.0.2:50051"]);
    assert!(!watched.is_stale());
}
