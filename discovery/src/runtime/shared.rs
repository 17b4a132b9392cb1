//! One watch of one target, however many use it: what the task writes and the handles read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::observer::Observer;
use super::options::WatchOptions;
use super::resolver::Resolver;
use super::task;
use super::thread::Inner;
use crate::backend::{self, Opener};
use crate::event::{ErrorClass, Event, SourceError};
use crate::pipeline::{Pipeline, Snapshot, Status};
use crate::target::Target;

/// See the module.
pub(super) struct Shared {
    target: Target,
    /// The target in its canonical form, secrets and all: never shown.
    text: String,
    options: WatchOptions,
    resolver: Option<Arc<dyn Resolver>>,
    pipeline: Mutex<Pipeline>,
    latest: Mutex<Option<Snapshot>>,
    observers: Mutex<Observers>,
    /// Somebody asks for another look.
    hint: Notify,
    /// The last user has left.
    idle: Notify,
    ended: AtomicBool,
}

#[derive(Default)]
struct Observers {
    last: u64,
    list: Vec<(u64, Arc<dyn Observer>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Checks the target and begins to watch it. A resolver goes with a custom target, where there is one.
    pub(super) fn start(
        target: &Target,
        options: WatchOptions,
        resolver: Option<Arc<dyn Resolver>>,
        tasks: &Handle,
        runtime: Weak<Inner>,
    ) -> Result<Arc<Self>, SourceError> {
        options.pipeline.check().map_err(|error| SourceError::new(ErrorClass::Config, error.to_string()))?;
        let pipeline = Pipeline::new(options.pipeline.clone(), Instant::now());
        let shared = Arc::new(Self {
            target: target.clone(),
            text: target.to_string(),
            options,
            resolver,
            pipeline: Mutex::new(pipeline),
            latest: Mutex::new(None),
            observers: Mutex::new(Observers::default()),
            hint: Notify::new(),
            idle: Notify::new(),
            ended: AtomicBool::new(false),
        });
        let opener = shared.open()?;
        tasks.spawn(task::run(Arc::clone(&shared), opener, runtime));
        Ok(shared)
    }

    /// A backend for the target that has not begun yet.
    pub(super) fn open(&self) -> Result<Opener, SourceError> {
        match (&self.target, &self.resolver) {
            (Target::Custom(target), Some(resolver)) => {
                Ok(backend::custom::open(Arc::clone(resolver), target, self.options.seed))
            }
            (target, _) => backend::open(target, &self.options),
        }
    }

    /// Whether this is the watch of a target, in its canonical form, with these options.
    pub(super) fn is(&self, text: &str, options: &WatchOptions) -> bool {
        self.text == text && self.options == *options
    }

    pub(super) const fn options(&self) -> &WatchOptions {
        &self.options
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// The canonical form. Holds the target's secrets.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn subscribe(&self, observer: Arc<dyn Observer>) -> u64 {
        let mut observers = lock(&self.observers);
        observers.last += 1;
        let id = observers.last;
        observers.list.push((id, observer));
        id
    }

    pub(super) fn unsubscribe(&self, id: u64) {
        let mut observers = lock(&self.observers);
        let at = observers.list.iter().position(|(other, _)| *other == id);
        let left = at.map(|at| observers.list.swap_remove(at));
        let last = observers.list.is_empty();
        drop(observers);
        drop(left); // Not behind the lock: its destructor is the user's.
        if last {
            self.idle.notify_one();
        }
    }

    pub(super) fn is_used(&self) -> bool {
        !lock(&self.observers).list.is_empty()
    }

    pub(super) fn hint(&self) {
        self.hint.notify_one();
    }

    /// Waits for a [`Shared::hint`]; several since the last time count as one.
    pub(super) async fn hinted(&self) {
        self.hint.notified().await;
    }

    /// Waits until the last user may have left.
    pub(super) async fn left(&self) {
        self.idle.notified().await;
    }

    pub(super) fn latest(&self) -> Option<Snapshot> {
        lock(&self.latest).clone()
    }

    pub(super) fn status(&self, now: Instant) -> Status {
        lock(&self.pipeline).status(now)
    }

    /// Takes what a source said into account.
    pub(super) fn handle(&self, event: Event, now: Instant) {
        lock(&self.pipeline).handle(event, now);
    }

    /// Runs something on the pipeline.
    pub(super) fn with_pipeline<T>(&self, run: impl FnOnce(&mut Pipeline) -> T) -> T {
        run(&mut lock(&self.pipeline))
    }

    /// Publishes what is due; says what, and when to be called again.
    pub(super) fn poll(&self, now: Instant) -> (Option<Snapshot>, Option<Instant>) {
        let mut pipeline = lock(&self.pipeline);
        let mut published = None;
        while let Some(snapshot) = pipeline.poll(now) {
            published = Some(snapshot);
        }
        let deadline = pipeline.deadline();
        drop(pipeline);
        if published.is_some() {
            lock(&self.latest).clone_from(&published);
        }
        (published, deadline)
    }

    /// Tells everybody who watches. Holds no lock meanwhile: an observer may open, read and drop watches.
    pub(super) fn tell(&self) {
        let observers: Vec<Arc<dyn Observer>> =
            lock(&self.observers).list.iter().map(|(_, observer)| Arc::clone(observer)).collect();
        for observer in observers {
            // What panics has been printed, and the other observers want to be told as well.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| observer.changed()));
        }
    }

    pub(super) fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}
