//! One backend by itself: what it says, as it says it.

#![allow(dead_code, reason = "each test program uses what it needs")]

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evener_discovery::backend::{self, Feed};
use evener_discovery::runtime::WatchOptions;
use evener_discovery::{ErrorClass, Event, Part, SourceError, Target};
use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc};

/// Longer than anything takes on a machine that is busy.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A backend that runs on a thread of its own until this is dropped.
pub struct Backend {
    events: mpsc::UnboundedReceiver<Event>,
    hint: Arc<Notify>,
    over: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    pub fn open(target: &str, options: &WatchOptions) -> Self {
        let parsed = Target::parse(target).unwrap_or_else(|error| panic!("{target}: {error}"));
        let opener = backend::open(&parsed, options).unwrap_or_else(|error| panic!("{target}: {error}"));
        let (feed, events, hint) = Feed::new();
        let over = Arc::new(Notify::new());
        let end = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    error = opener(feed.clone()) => {
                        feed.send(Event::Failed(error));
                        end.notified().await;
                    }
                    () = end.notified() => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { events, hint, over, thread: Some(thread) }
    }

    /// What it says next.
    pub fn next(&mut self) -> Event {
        self.within(LIMIT).unwrap_or_else(|| panic!("nothing was said in {LIMIT:?}"))
    }

    /// What it says next, if it says anything in that time.
    pub fn within(&mut self, limit: Duration) -> Option<Event> {
        let deadline = Instant::now() + limit;
        loop {
            match self.events.try_recv() {
                Ok(event) => return Some(event),
                Err(mpsc::error::TryRecvError::Disconnected) => panic!("the backend is gone"),
                Err(mpsc::error::TryRecvError::Empty) if Instant::now() >= deadline => return None,
                Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// The first event that `wanted` takes; those before it are passed over.
    pub fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        let mut passed = Vec::new();
        while let Some(event) = self.within(deadline.saturating_duration_since(Instant::now())) {
            passed.push(format!("{event:.300?}"));
            if let Some(found) = wanted(event) {
                return found;
            }
        }
        panic!("not within {LIMIT:?}: {what}; said: {passed:#?}");
    }

    /// Waits until it says that everything there is are these endpoints.
    pub fn until_reset(&mut self, expected: &[&str]) {
        self.until(&format!("a reset to {expected:?}"), |event| match event {
            Event::Reset { parts, .. } if written(&parts) == expected => Some(()),
            _ => None,
        });
    }

    /// Waits until it says that it cannot ask.
    pub fn until_failed(&mut self, class: ErrorClass) -> SourceError {
        self.until(&format!("a failure: {}", class.name()), |event| match event {
            Event::Failed(error) if error.class == class => Some(error),
            _ => None,
        })
    }

    /// Somebody has reason to think that what is known is out of date.
    pub fn hint(&self) {
        self.hint.notify_one();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.over.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The endpoints of all parts as text, in order.
pub fn written(parts: &[Part]) -> Vec<String> {
    let mut written: Vec<String> =
        parts.iter().flat_map(|part| &part.endpoints).map(ToString::to_string).collect();
    written.sort();
    written
}

/// What all that was said adds up to.
#[derive(Default)]
pub struct Sum {
    parts: Vec<Part>,
}

impl Sum {
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Reset { parts, .. } => self.parts = parts,
            Event::Apply { changed, removed, .. } => {
                self.parts.retain(|part| {
                    !removed.contains(&part.key) && changed.iter().all(|change| change.key != part.key)
                });
                self.parts.extend(changed);
            }
            Event::Partly { said, .. } => self.take(*said),
            _ => {}
        }
    }

    pub fn written(&self) -> Vec<String> {
        written(&self.parts)
    }
}
