//! One watch of one target, however many use it: what the task writes and the handles read.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::model::Model;
use super::observer::Observer;
use super::options::WatchOptions;
use super::task;
use super::thread::Inner;
use crate::backend::Opener;
use crate::event::SourceError;

/// Makes a backend that has not begun yet: the first one, and another one where that has panicked.
pub(super) type Open<E> = Box<dyn Fn() -> Result<Opener<E>, SourceError> + Send + Sync>;

/// What runs beside a watch and ends with it.
pub(super) type Companion = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module.
pub(crate) struct Shared<M: Model> {
    /// The target in its canonical form, secrets and all: never shown.
    text: String,
    options: WatchOptions,
    open: Open<M::Event>,
    model: Mutex<M>,
    latest: Mutex<Option<M::Latest>>,
    observers: Mutex<Observers>,
    /// Somebody asks for another look.
    hint: Notify,
    /// The last user has left.
    idle: Notify,
    /// The model was changed by somebody else than the task.
    touched: Notify,
    /// The observers were told something.
    news: watch::Sender<()>,
    /// What a companion has to say.
    remark: Mutex<Option<String>>,
    ended: AtomicBool,
}

#[derive(Default)]
struct Observers {
    last: u64,
    list: Vec<(u64, Arc<dyn Observer>)>,
}

/// That observers are told something, as a companion hears of it.
pub(super) struct News(watch::Receiver<()>);

impl News {
    /// Waits until they have been told something since the last time this answered.
    pub(super) async fn heard(&mut self) {
        // Whoever listens has the watch, and so the other end.
        let _ = self.0.changed().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M: Model> Shared<M> {
    /// Begins to watch a target, which `text` names canonically. Says at once what is wrong with it.
    pub(super) fn start(
        text: String,
        options: WatchOptions,
        model: M,
        open: Open<M::Event>,
        companion: impl FnOnce(Arc<Self>) -> Result<Option<Companion>, SourceError>,
        tasks: &Handle,
        runtime: Weak<Inner>,
    ) -> Result<Arc<Self>, SourceError> {
        let opener = open()?;
        let shared = Arc::new(Self {
            text,
            options,
            open,
            model: Mutex::new(model),
            latest: Mutex::new(None),
            observers: Mutex::new(Observers::default()),
            hint: Notify::new(),
            idle: Notify::new(),
            touched: Notify::new(),
            news: watch::Sender::new(()),
            remark: Mutex::new(None),
            ended: AtomicBool::new(false),
        });
        let companion = companion(Arc::clone(&shared))?;
        tasks.spawn(task::run(Arc::clone(&shared), opener, companion, runtime));
        Ok(shared)
    }

    pub(super) fn open(&self) -> Result<Opener<M::Event>, SourceError> {
        (self.open)()
    }

    /// Whether this is the watch of a target, in its canonical form, with these options.
    pub(super) fn is(&self, text: &str, options: &WatchOptions) -> bool {
        self.text == text && self.options == *options
    }

    pub(super) const fn options(&self) -> &WatchOptions {
        &self.options
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

    pub(super) fn latest(&self) -> Option<M::Latest> {
        lock(&self.latest).clone()
    }

    pub(super) fn status(&self, now: Instant) -> M::Status {
        lock(&self.model).status(now)
    }

    /// Runs something on the model.
    pub(super) fn with<T>(&self, run: impl FnOnce(&mut M) -> T) -> T {
        run(&mut lock(&self.model))
    }

    /// Has the task look at the model again.
    pub(super) fn touch(&self) {
        self.touched.notify_one();
    }

    /// Waits for a [`Shared::touch`].
    pub(super) async fn touched(&self) {
        self.touched.notified().await;
    }

    /// What changes whenever the observers are told something, from now on.
    pub(super) fn news(&self) -> News {
        News(self.news.subscribe())
    }

    /// What goes wrong beside the watch itself, if anything.
    pub(super) fn remark(&self) -> Option<String> {
        lock(&self.remark).clone()
    }

    pub(super) fn set_remark(&self, text: Option<String>) {
        *lock(&self.remark) = text;
    }

    /// Publishes what is due; says what, and when to be called again.
    pub(super) fn poll(&self, now: Instant) -> (Option<M::Latest>, Option<Instant>) {
        let mut model = lock(&self.model);
        let mut published = None;
        while let Some(latest) = model.poll(now) {
            published = Some(latest);
        }
        let deadline = model.deadline();
        drop(model);
        if published.is_some() {
            lock(&self.latest).clone_from(&published);
        }
        (published, deadline)
    }

    /// Tells everybody who watches. Holds no lock meanwhile: an observer may open, read and drop watches.
    pub(super) fn tell(&self) {
        self.news.send_replace(());
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
