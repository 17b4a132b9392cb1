//! The loop that keeps a registration, against a registry in memory that can be stopped, wiped and slowed down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evener_discovery::registration::{
    Beat, Finding, Published, Ready, Record, Registrar, Registration, RegistrationOptions, RegistrationState,
    ServiceDefinition,
};
use evener_discovery::runtime::Runtime;
use evener_discovery::{ErrorClass, SourceError};

const LIMIT: Duration = Duration::from_secs(20);
const TTL: Duration = Duration::from_secs(1);

/// What all registrars of a test see.
#[derive(Default)]
struct Registry {
    records: BTreeMap<String, Record>,
    is_down: bool,
    /// Requests have no answer while this is so.
    hangs: bool,
    /// So many signs of life get no answer.
    silent_beats: usize,
    /// What it promises and what it keeps of a time to live, if it is not [`TTL`] and for ever.
    ttl: Option<(Duration, Duration)>,
    /// When a record was last written or given a sign of life.
    heard: BTreeMap<String, Instant>,
    published: usize,
    withdrawn: usize,
    beats: Vec<Instant>,
}

impl Registry {
    fn hear(&mut self, id: &str) {
        self.heard.insert(id.to_owned(), Instant::now());
    }

    /// Drops what nothing was heard of for too long.
    fn expire(&mut self) {
        let Some((_, kept)) = self.ttl else { return };
        let heard = &self.heard;
        self.records.retain(|id, _| heard.get(id).is_some_and(|at| at.elapsed() < kept));
    }
}

type Shared = Arc<Mutex<Registry>>;

struct InMemory {
    registry: Shared,
    id: Option<String>,
    patience: Duration,
}

impl InMemory {
    fn is_left_without_answer(&self) -> bool {
        let mut registry = self.registry.lock().unwrap();
        let left = registry.silent_beats.checked_sub(1);
        registry.silent_beats = left.unwrap_or(0);
        left.is_some()
    }

    async fn ask<T>(&self, answer: impl FnOnce(&mut Registry) -> T) -> Result<T, SourceError> {
        while self.registry.lock().unwrap().hangs {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut registry = self.registry.lock().unwrap();
        if registry.is_down {
            return Err(SourceError::new(ErrorClass::Unreachable, "connection refused"));
        }
        registry.expire();
        Ok(answer(&mut registry))
    }
}

impl Registrar for InMemory {
    fn registry(&self) -> Option<(String, u16)> {
        None
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn publish(&mut self, record: &Record) -> Result<Published, SourceError> {
        let id = record.id().to_owned();
        self.id = Some(id.clone());
        self.ask(|registry| {
            registry.published += 1;
            registry.hear(&id);
            registry.records.insert(id, record.clone());
            Published { ttl: Some(registry.ttl.map_or(TTL, |(promised, _)| promised)) }
        })
        .await
    }

    async fn beat(&mut self) -> Result<Beat, SourceError> {
        let id = self.id.clone().unwrap_or_default();
        if self.is_left_without_answer() {
            std::future::pending::<()>().await;
        }
        self.ask(|registry| {
            registry.beats.push(Instant::now());
            registry.hear(&id);
            if registry.records.contains_key(&id) { Beat::Alive } else { Beat::Gone }
        })
        .await
    }

    async fn verify(&mut self, record: &Record) -> Result<Finding, SourceError> {
        self.ask(|registry| match registry.records.get(record.id()) {
            Some(held) if held == record => Finding::Intact,
            Some(_) => Finding::Damaged("another record".to_owned()),
            None => Finding::Damaged("no record".to_owned()),
        })
        .await
    }

    async fn withdraw(&mut self) -> Result<(), SourceError> {
        let id = self.id.clone().unwrap_or_default();
        self.ask(|registry| {
            registry.records.remove(&id);
            registry.withdrawn += 1;
        })
        .await
    }
}

fn definition(port: u16) -> ServiceDefinition {
    ServiceDefinition { host: Some("10.0.0.1".to_owned()), ..ServiceDefinition::new("user-service", port) }
}

fn options() -> RegistrationOptions {
    let verify_interval = Duration::from_secs(1);
    RegistrationOptions { verify_interval, seed: Some(7), ..RegistrationOptions::default() }
}

fn register_as(
    runtime: &Runtime,
    registry: &Shared,
    definition: ServiceDefinition,
    options: RegistrationOptions,
) -> Registration {
    let registrar =
        InMemory { registry: Arc::clone(registry), id: None, patience: Duration::from_millis(300) };
    runtime.register_with("memory:///", registrar, definition, options, None).unwrap()
}

fn register(runtime: &Runtime, registry: &Shared, port: u16) -> Registration {
    register_as(runtime, registry, definition(port), options())
}

fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn look<T>(registry: &Shared, question: impl FnOnce(&Registry) -> T) -> T {
    question(&registry.lock().unwrap())
}

fn is_lost(registration: &Registration) -> bool {
    matches!(registration.state(), RegistrationState::Lost { .. })
}

#[test]
fn a_registration_is_kept_alive_in_a_third_of_its_time_and_ends_with_its_handle() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    let status = registration.status().unwrap();
    assert_eq!(status.address.as_deref(), Some("10.0.0.1:1"));
    assert_eq!(status.id.as_deref(), Some("user-service-10.0.0.1-1"));
    eventually("beats", || look(&registry, |registry| registry.beats.len() >= 4).then_some(()));
    let beats = look(&registry, |registry| registry.beats.clone());
    // Beats are planned from the one before; a busy machine may delay them, never hasten.
    assert!(beats.windows(2).all(|pair| pair[1] - pair[0] >= TTL * 29 / 100), "{beats:?}");
    assert_eq!(look(&registry, |registry| registry.published), 1);
    drop(registration);
    assert!(look(&registry, |registry| registry.records.is_empty()));
}

#[test]
fn what_was_complete_from_the_start_is_told_as_well() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let complete = ServiceDefinition { id: Some("mine".to_owned()), ..definition(1) };
    let registration = register_as(&runtime, &registry, complete, options());
    assert!(registration.wait_registered(LIMIT));
    let status = registration.status().unwrap();
    assert_eq!((status.id.as_deref(), status.address.as_deref()), (Some("mine"), Some("10.0.0.1:1")));
}

/// A registry that keeps less than it promises shows whether signs of life come early enough for two to be lost.
#[test]
fn signs_of_life_come_long_before_the_time_to_live_is_over() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    registry.lock().unwrap().ttl = Some((6 * TTL, 4 * TTL));
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    eventually("beats", || look(&registry, |registry| registry.beats.len() >= 4).then_some(()));
    let status = registration.status().unwrap();
    assert_eq!((status.publications, status.repairs, status.errors), (1, 0, 0), "it never expired");

    // The double does expire what is silent.
    registry.lock().unwrap().ttl = Some((6 * TTL, TTL / 10));
    eventually("it expired", || (registration.status()?.repairs > 0).then_some(()));
}

#[test]
fn a_sign_of_life_without_an_answer_leaves_time_for_another() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    registry.lock().unwrap().ttl = Some((6 * TTL, 6 * TTL));
    registry.lock().unwrap().silent_beats = 1;
    let registrar = InMemory { registry: Arc::clone(&registry), id: None, patience: LIMIT };
    let registration =
        runtime.register_with("memory:///", registrar, definition(1), options(), None).unwrap();
    eventually("beats", || look(&registry, |registry| registry.beats.len() >= 2).then_some(()));
    let status = registration.status().unwrap();
    assert_eq!((status.publications, status.repairs, status.errors), (1, 0, 1), "it never expired");
}

#[test]
fn what_the_registry_has_lost_is_written_again() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    for round in 1..=2 {
        registry.lock().unwrap().records.clear();
        eventually("written again", || look(&registry, |registry| registry.records.len() == 1).then_some(()));
        assert_eq!(registration.status().unwrap().repairs, round);
    }
    assert!(registration.wait_registered(LIMIT));
}

#[test]
fn what_somebody_else_has_changed_is_repaired() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    registry.lock().unwrap().records.values_mut().for_each(|record| record.definition.weight = 99);
    eventually("repaired", || {
        look(&registry, |registry| registry.records.values().all(|record| record.weight() == 1)).then_some(())
    });
    assert_eq!(registration.status().unwrap().repairs, 1);
}

#[test]
fn a_registry_that_is_away_is_tried_for_ever_and_gets_the_record_when_it_is_back() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    registry.lock().unwrap().is_down = true;
    let registration = register(&runtime, &registry, 1);
    let error = eventually("an error", || registration.status()?.last_error);
    assert_eq!(error.message, "connection refused");
    assert_eq!(registration.state(), RegistrationState::Registering, "it never was registered");
    assert!(!registration.wait_registered(Duration::from_millis(50)));
    registry.lock().unwrap().is_down = false;
    assert!(registration.wait_registered(LIMIT));

    for hangs in [false, true] {
        let broken =
            |registry: &mut Registry, on| if hangs { registry.hangs = on } else { registry.is_down = on };
        broken(&mut registry.lock().unwrap(), true);
        registry.lock().unwrap().records.clear();
        eventually("lost", || is_lost(&registration).then_some(()));
        broken(&mut registry.lock().unwrap(), false);
        assert!(registration.wait_registered(LIMIT));
        assert_eq!(look(&registry, |registry| registry.records.len()), 1);
    }
}

/// Each of the requests may be the one that gets no answer, and would take its whole patience.
#[test]
fn what_gets_no_answer_for_the_time_to_live_is_lost_whatever_was_asked() {
    std::thread::scope(|scope| {
        for (what, verify_interval, update) in [
            ("signs of life", LIMIT, None),
            ("readings back", Duration::from_secs(1), None),
            ("writes", LIMIT, Some(5)),
        ] {
            scope.spawn(move || lose_and_find_again(what, verify_interval, update));
        }
    });
}

fn lose_and_find_again(what: &str, verify_interval: Duration, update: Option<u32>) {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let ttl = 4 * TTL;
    registry.lock().unwrap().ttl = Some((ttl, LIMIT));
    let registrar = InMemory { registry: Arc::clone(&registry), id: None, patience: 10 * LIMIT };
    let options = RegistrationOptions { verify_interval, ..options() };
    let registration = runtime.register_with("memory:///", registrar, definition(1), options, None).unwrap();
    assert!(registration.wait_registered(LIMIT), "{what}");
    let silent = Instant::now();
    registry.lock().unwrap().hangs = true;
    registration.update(update, None);
    eventually(what, || is_lost(&registration).then_some(()));
    assert!(silent.elapsed() < 2 * ttl, "{what}: {:?}", silent.elapsed());
    let status = registration.status().unwrap();
    assert!(status.last_error.is_some_and(|error| error.class == ErrorClass::Timeout), "{what}");
    registry.lock().unwrap().hangs = false;
    assert!(registration.wait_registered(LIMIT), "{what}");
    assert_eq!(registration.status().unwrap().last_error, None, "{what}");
}

#[test]
fn an_update_changes_the_record_in_place() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    registration.update(Some(5), Some([("build".to_owned(), "7".to_owned())].into()));
    eventually("updated", || {
        look(&registry, |registry| {
            let record = registry.records.values().next()?;
            (record.weight() == 5 && record.definition.metadata["build"] == "7").then_some(())
        })
    });
    registration.update(Some(5), None);
    assert!(matches!(registration.state(), RegistrationState::Registered { .. }));
    let status = registration.status().unwrap();
    assert_eq!((status.publications, status.repairs), (2, 0), "no new registration");
}

#[test]
fn a_server_leaves_in_order_and_is_kept_alive_until_it_does() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    let began = Instant::now();
    registration.begin_close(2 * TTL, LIMIT);
    assert_eq!(registration.state(), RegistrationState::Draining);
    eventually("marked", || {
        look(&registry, |registry| registry.records.values().all(|record| record.weight() == 0)).then_some(())
    });
    assert_eq!(look(&registry, |registry| (registry.records.len(), registry.withdrawn)), (1, 0));
    assert!(registration.wait_closed(LIMIT));
    assert!(began.elapsed() >= 2 * TTL, "{:?}", began.elapsed());
    assert_eq!(look(&registry, |registry| (registry.records.len(), registry.withdrawn)), (0, 1));
    let kept = look(&registry, |registry| registry.beats.iter().filter(|at| **at > began + TTL / 2).count());
    assert!(kept > 0, "no sign of life while it drained");
    assert!(registration.close(LIMIT, LIMIT), "twice does no more");
    assert_eq!(look(&registry, |registry| registry.withdrawn), 1);
}

#[test]
fn a_registry_that_hangs_holds_nobody_up_longer_than_the_deadline() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    registry.lock().unwrap().hangs = true;
    let began = Instant::now();
    assert!(!registration.close(Duration::ZERO, Duration::from_millis(700)));
    assert!(began.elapsed() < LIMIT / 4, "{:?}", began.elapsed());
    assert_eq!(registration.state(), RegistrationState::Closed);

    let options = RegistrationOptions { drop_deadline: Duration::from_millis(300), ..options() };
    let other = register_as(&runtime, &registry, definition(2), options);
    let began = Instant::now();
    drop(other);
    assert!(began.elapsed() < LIMIT / 4, "{:?}", began.elapsed());
}

#[test]
fn times_that_no_clock_can_tell_are_long_ones() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registration = register(&runtime, &registry, 1);
    assert!(registration.wait_registered(LIMIT));
    registration.begin_close(Duration::MAX, Duration::MAX);
    registration.begin_close(Duration::MAX, Duration::MAX);
    let beats = look(&registry, |registry| registry.beats.len());
    eventually("beats", || look(&registry, |registry| registry.beats.len() >= beats + 2).then_some(()));
    assert_eq!(registration.state(), RegistrationState::Draining);
    assert!(registration.close(Duration::ZERO, Duration::MAX), "the earlier end counts");
    assert_eq!(look(&registry, |registry| (registry.records.len(), registry.withdrawn)), (0, 1));
}

#[test]
fn several_registrations_of_a_process_are_independent() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let registrations: Vec<Registration> = (1..=3).map(|port| register(&runtime, &registry, port)).collect();
    assert!(registrations.iter().all(|registration| registration.wait_registered(LIMIT)));
    assert_eq!(look(&registry, |registry| registry.records.len()), 3);
    assert!(registrations[1].close(Duration::ZERO, LIMIT));
    assert_eq!(look(&registry, |registry| registry.records.len()), 2);
    assert!(matches!(registrations[0].state(), RegistrationState::Registered { .. }));
    assert!(runtime.shutdown(LIMIT), "the others are withdrawn");
    assert!(look(&registry, |registry| registry.records.is_empty()));
    assert!(registrations.iter().all(|registration| registration.state() == RegistrationState::Closed));
}

#[test]
fn nothing_is_registered_before_the_server_is_ready() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let is_ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_ready);
    let probe = move || match asked.load(Ordering::SeqCst) {
        true => Ok(()),
        false => Err("warming up".to_owned()),
    };
    let options_of = |ready| RegistrationOptions { ready, ..options() };
    let registration =
        register_as(&runtime, &registry, definition(1), options_of(Ready::Probe(Arc::new(probe))));
    let error = eventually("asked", || registration.status()?.last_error);
    assert!(error.message.contains("warming up"), "{error}");
    assert_eq!(look(&registry, |registry| registry.published), 0);
    is_ready.store(true, Ordering::SeqCst);
    assert!(registration.wait_registered(LIMIT));

    // Bound to no port yet: there is nobody to connect to.
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let here = ServiceDefinition { host: Some("127.0.0.1".to_owned()), ..definition(address.port()) };
    let registration = register_as(&runtime, &registry, here, options_of(Ready::Listening));
    let error = eventually("asked", || registration.status()?.last_error);
    assert!(error.message.contains("not ready"), "{error}");
    let _listener = std::net::TcpListener::bind(address).unwrap();
    assert!(registration.wait_registered(LIMIT));
}

/// More of them than the runtime has threads for what blocks; names are looked up on the same ones.
#[test]
fn probes_that_never_answer_are_begun_once_and_hold_nobody_else_up() {
    let (runtime, registry) = (Runtime::new(), Shared::default());
    let is_open = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let begun: Arc<AtomicUsize> = Arc::default();
    let probe = || {
        let (is_open, begun) = (Arc::clone(&is_open), Arc::clone(&begun));
        move || {
            begun.fetch_add(1, Ordering::SeqCst);
            let (is_open, opened) = &*is_open;
            drop(opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
            Ok(())
        }
    };
    let blocked: Vec<Registration> = (1..=6)
        .map(|port| {
            let options = RegistrationOptions { ready: Ready::Probe(Arc::new(probe())), ..options() };
            register_as(&runtime, &registry, definition(port), options)
        })
        .collect();
    eventually("all are asked", || (begun.load(Ordering::SeqCst) == 6).then_some(()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let named = ServiceDefinition {
        host: Some("localhost".to_owned()),
        ..definition(listener.local_addr().unwrap().port())
    };
    let options = RegistrationOptions { ready: Ready::Listening, ..options() };
    assert!(register_as(&runtime, &registry, named, options).wait_registered(LIMIT));

    let asked_in_vain = || blocked.iter().all(|blocked| blocked.status().unwrap().errors >= 2);
    eventually("they are waited for twice", || asked_in_vain().then_some(()));
    assert_eq!(begun.load(Ordering::SeqCst), 6, "none is begun beside itself");
    *is_open.0.lock().unwrap() = true;
    is_open.1.notify_all();
    assert!(blocked.iter().all(|blocked| blocked.wait_registered(LIMIT)));
}

#[test]
fn what_cannot_be_registered_is_refused_at_once() {
    let runtime = Runtime::new();
    let refused = |target: &str, port: u16| {
        let answer = runtime.register(target, definition(port), options(), None);
        answer.map(drop).unwrap_err().message
    };
    assert!(refused("etcd:///services", 0).contains("port"));
    let error = refused("zookeeper://me:hush@host/services", 1);
    assert!(error.contains("etcd:///PREFIX") && !error.contains("hush"), "{error}");

    let registry = Shared::default();
    for host in ["a b", "127.0.0.1:90", "x\0", "\u{e9}"] {
        let bad = || ServiceDefinition { host: Some(host.to_owned()), ..definition(1) };
        let registrar =
            InMemory { registry: Arc::clone(&registry), id: None, patience: Duration::from_millis(300) };
        for answer in [
            runtime.register("etcd:///services", bad(), options(), None),
            runtime.register("consul:///", bad(), options(), None),
            runtime.register_with("memory:///", registrar, bad(), options(), None),
        ] {
            let error = answer.map(drop).unwrap_err();
            assert_eq!(error.class, ErrorClass::Config);
            assert!(error.message.contains(host) && error.message.contains("without a port"), "{error}");
        }
    }
    assert_eq!(look(&registry, |registry| registry.published), 0);
}
