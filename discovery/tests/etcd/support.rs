//! Follows a target and keeps what its backend says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use evener_discovery::backend::{self, Feed};
use evener_discovery::credentials::{Credentials, Secret};
use evener_discovery::runtime::WatchOptions;
use evener_discovery::{ErrorClass, Event, SourceError, Target};
use evener_test_servers::eventually;
use tokio::sync::{Notify, oneshot};

/// Enough for anything on a machine that is busy.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A backend on a thread of its own, and all it has said.
pub struct Follower {
    events: Arc<Mutex<Vec<Event>>>,
    hint: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub fn open(target: &str) -> Self {
        Self::with(target, Credentials::default())
    }

    pub fn with(target: &str, credentials: Credentials) -> Self {
        let target = Target::parse(target).expect("a target");
        let options = WatchOptions { credentials, ..WatchOptions::default() };
        let opener = backend::open(&target, &options).expect("a backend");
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let (feed, mut said, hint) = Feed::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let kept = Arc::clone(&events);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let running = opener(feed);
                let keep = async move {
                    while let Some(event) = said.recv().await {
                        kept.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                    }
                };
                tokio::select! {
                    error = running => panic!("the backend ended: {error}"),
                    () = keep => {}
                    _ = stopped => {}
                }
            });
        });
        Self { events, hint, stop: Some(stop), thread: Some(thread) }
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn count(&self, kind: impl Fn(&Event) -> bool) -> usize {
        self.events().iter().filter(|event| kind(event)).count()
    }

    pub fn resets(&self) -> usize {
        self.count(|event| matches!(event, Event::Reset { .. }))
    }

    /// What has gone wrong so far.
    pub fn failures(&self) -> Vec<SourceError> {
        let failed = |event| match event {
            Event::Failed(error) => Some(error),
            _ => None,
        };
        self.events().into_iter().filter_map(failed).collect()
    }

    /// The reasons of what was skipped.
    pub fn skipped(&self) -> Vec<String> {
        let skipped = |event| match event {
            Event::Skipped { example, .. } => Some(example),
            _ => None,
        };
        self.events().into_iter().filter_map(skipped).collect()
    }

    /// Every key with its endpoints as text, as of now.
    pub fn keys(&self) -> BTreeMap<String, Vec<String>> {
        let mut keys = BTreeMap::new();
        for event in self.events() {
            let (changed, removed) = match event {
                Event::Reset { parts, .. } => {
                    keys.clear();
                    (parts, Vec::new())
                }
                Event::Apply { changed, removed, .. } => (changed, removed),
                _ => continue,
            };
            for part in changed {
                keys.insert(part.key, part.endpoints.iter().map(ToString::to_string).collect());
            }
            for key in removed {
                keys.remove(&key);
            }
        }
        keys
    }

    /// All endpoints in order.
    pub fn endpoints(&self) -> Vec<String> {
        let mut all: Vec<String> = self.keys().into_values().flatten().collect();
        all.sort();
        all
    }

    /// Waits until exactly these are there.
    pub fn sees(&self, expected: &[&str]) {
        let deadline = std::time::Instant::now() + LIMIT;
        while self.endpoints() != expected {
            assert!(
                std::time::Instant::now() < deadline,
                "{expected:?} expected, {:?} there; failures: {:?}; skipped: {:?}",
                self.endpoints(),
                self.failures(),
                self.skipped()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for one more failure than there were.
    pub fn fails_after(&self, before: usize, class: ErrorClass) -> SourceError {
        let find = || self.failures().into_iter().skip(before).find(|error| error.class == class);
        eventually(&format!("a failure {class:?}"), LIMIT, || find().is_some());
        find().expect("it was there")
    }

    pub fn hint(&self) {
        self.hint.notify_one();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the backend's thread panicked");
        }
    }
}

/// gRPC's value for an address.
pub fn grpc(address: &str) -> String {
    format!(r#"{{"Op":0,"Addr":"{address}","Metadata":null}}"#)
}

pub fn user(name: &str, password: &str) -> Credentials {
    Credentials { user: Some((name.to_owned(), Secret::value(password))), ..Credentials::default() }
}
