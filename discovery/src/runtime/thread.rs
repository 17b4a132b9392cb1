//! The thread: started by the first use, ended with a deadline, left alone in a forked child.

use std::collections::HashMap;
use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use std::{fmt, io, mem};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc as tasks, watch};

use super::NEVER;
use super::beside;
use super::model::{Lists, Model};
use super::observer::Observer;
use super::options::WatchOptions;
use super::resolver::Resolver;
use super::shared::{Companion, Open, Shared};
use super::watch::{Subscription, Watch};
use crate::backend;
use crate::event::{ErrorClass, Event, SourceError};
use crate::pipeline::Pipeline;
use crate::signals::block_broken_pipes;
use crate::target::Target;

/// How long the last handle waits for the thread where nobody has shut it down.
const DROP_DEADLINE: Duration = Duration::from_secs(2);
/// Threads for what can only block: `getaddrinfo`, writing snapshots.
const BLOCKING_THREADS: usize = 4;

/// The thread that all watches, registrations and configurations share. See the [module](crate::runtime).
///
/// A cheap handle, to clone and to use from any thread. When the last clone and the last [`Watch`] are dropped the
/// thread ends.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

/// What the handles share.
pub(super) struct Inner {
    /// The process that the thread is in.
    pid: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    thread: Option<Thread>,
    shut: bool,
    /// What is watched now, by anybody.
    watches: Lists,
    resolvers: HashMap<String, Arc<dyn Resolver>>,
}

/// The running thread, as its owner sees it.
struct Thread {
    id: ThreadId,
    tasks: Handle,
    closing: watch::Sender<Option<Instant>>,
    /// Held by every task that has something to finish before the end.
    guest: tasks::Sender<()>,
    ended: mpsc::Receiver<()>,
}

/// What a task that has something to finish before the end looks at.
pub(crate) struct Guest {
    closing: watch::Receiver<Option<Instant>>,
    _stays: tasks::Sender<()>,
}

impl Guest {
    /// Waits until the end has begun; answers when everything has to be over.
    pub(crate) async fn closing(&mut self) -> Instant {
        let deadline = self.closing.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
        // Without an owner there is nobody to wait for this.
        deadline.unwrap_or_else(Instant::now)
    }
}

impl Runtime {
    /// A runtime without a thread yet.
    pub fn new() -> Self {
        let inner = Inner { pid: std::process::id(), state: Mutex::new(State::default()) };
        Self { inner: Arc::new(inner) }
    }

    /// Watches a target from now on. `observer` is told whenever the watch has something new to say.
    ///
    /// # Errors
    /// The target or an option is wrong, the scheme is not in this build or has no resolver, the runtime is shut
    /// down, or belongs to the process that this one was forked from ([`ErrorClass::Config`] all of them).
    pub fn watch(
        &self,
        target: &Target,
        options: WatchOptions,
        observer: Arc<dyn Observer>,
    ) -> Result<Watch, SourceError> {
        let resolver = self.inner.resolver_of(target)?;
        options.pipeline.check().map_err(|error| SourceError::new(ErrorClass::Config, error.to_string()))?;
        let pipeline = Pipeline::new(options.pipeline.clone(), Instant::now());
        let open = opener_of(target.clone(), options.clone(), resolver);
        let share = self.share(target.to_string(), options, pipeline, open, beside::all, observer)?;
        Ok(Watch::new(share))
    }

    /// Uses the watch of a target, which `text` names canonically, or begins one.
    pub(crate) fn share<M: Model>(
        &self,
        text: String,
        options: WatchOptions,
        model: M,
        open: Open<M::Event>,
        companion: impl FnOnce(Arc<Shared<M>>) -> Result<Option<Companion>, SourceError>,
        observer: Arc<dyn Observer>,
    ) -> Result<Subscription<M>, SourceError> {
        self.inner.check()?;
        let mut state = self.inner.lock();
        let tasks = state.start()?.tasks.clone();
        let list = M::listed(&mut state.watches);
        let shared = match list.iter().find(|shared| shared.is(&text, &options)) {
            Some(shared) => Arc::clone(shared),
            None => {
                let runtime = Arc::downgrade(&self.inner);
                let shared = Shared::start(text, options, model, open, companion, &tasks, runtime)?;
                list.push(Arc::clone(&shared));
                shared
            }
        };
        // Behind the lock, so that nobody forgets a watch that has just found a user.
        Ok(Subscription::new(Arc::clone(&self.inner), shared, observer))
    }

    /// Has a resolver of the application's own resolve the targets of a scheme from now on, in place of one that was
    /// there before or is built in. What is being watched already goes on as it is.
    ///
    /// # Errors
    /// The scheme is none (a letter, then letters, digits, `+`, `-` and `.`), or the runtime belongs to another
    /// process.
    pub fn register_scheme(&self, scheme: &str, resolver: Arc<dyn Resolver>) -> Result<(), SourceError> {
        self.inner.check()?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(known) {
            let text = format!("`{scheme}` is no scheme: it is a letter, then letters, digits, +, - and .");
            return Err(SourceError::new(ErrorClass::Config, text));
        }
        let before = self.inner.lock().resolvers.insert(scheme.to_ascii_lowercase(), resolver);
        drop(before); // Not behind the lock: its destructor is the user's.
        Ok(())
    }

    /// Whether a resolver of the application's own is registered for a scheme, in lower case.
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.inner.check().is_ok() && self.inner.lock().resolvers.contains_key(scheme)
    }

    /// Reads a target, with the schemes that are registered here.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn parse(&self, target: &str) -> Result<Target, crate::TargetError> {
        Target::parse_with(target, |scheme| self.has_scheme(scheme))
    }

    /// Ends everything: registrations are withdrawn, watches say no more, the thread ends. True once it has ended,
    /// false where the deadline came first; then it ends by itself as soon as whatever holds it up lets go of it.
    /// Called on the thread itself, or in a forked child, it waits for nothing.
    pub fn shutdown(&self, deadline: Duration) -> bool {
        if self.inner.check().is_err() {
            return false;
        }
        let thread = self.inner.lock().shut();
        thread.is_none_or(|thread| thread.end(deadline))
    }

    /// Whether [`Runtime::shutdown`] was called.
    pub fn is_shut_down(&self) -> bool {
        self.inner.check().is_ok() && self.inner.lock().shut
    }

    /// Whether this is the process that the runtime was made in.
    pub(crate) fn is_home(&self) -> bool {
        self.inner.is_home()
    }

    /// Whether this is the runtime's own thread.
    pub(crate) fn is_its_thread(&self) -> bool {
        let thread = std::thread::current().id();
        self.inner.lock().thread.as_ref().is_some_and(|own| own.id == thread)
    }

    /// Runs a task on the thread. With its [`Guest`] it can tell when the end has begun, which waits for the guest to
    /// be dropped.
    pub(crate) fn spawn<T: Future<Output = ()> + Send + 'static>(
        &self,
        task: impl FnOnce(Guest) -> T,
    ) -> Result<(), SourceError> {
        self.inner.check()?;
        let mut state = self.inner.lock();
        let thread = state.start()?;
        let guest = Guest { closing: thread.closing.subscribe(), _stays: thread.guest.clone() };
        thread.tasks.spawn(task(guest));
        Ok(())
    }
}

/// The backend of a target: the resolver that is registered for its scheme, or a built-in one.
fn opener_of(target: Target, options: WatchOptions, resolver: Option<Arc<dyn Resolver>>) -> Open<Event> {
    Box::new(move || match (&target, &resolver) {
        (Target::Custom(target), Some(resolver)) => {
            Ok(backend::custom::open(Arc::clone(resolver), target, options.seed))
        }
        _ => backend::open(&target, &options),
    })
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("pid", &self.inner.pid).finish_non_exhaustive()
    }
}

impl Inner {
    /// Whether this is the process that the thread is in.
    pub(super) fn is_home(&self) -> bool {
        self.pid == std::process::id()
    }

    fn check(&self) -> Result<(), SourceError> {
        if self.is_home() {
            return Ok(());
        }
        let text = "this runtime belongs to the process that this one was forked from; make a new one here";
        Err(SourceError::new(ErrorClass::Config, text))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resolver_of(&self, target: &Target) -> Result<Option<Arc<dyn Resolver>>, SourceError> {
        self.check()?;
        let Target::Custom(target) = target else { return Ok(None) };
        Ok(self.lock().resolvers.get(&target.scheme).map(Arc::clone))
    }

    /// Forgets a watch that nobody uses any more; false if somebody does again.
    pub(super) fn forget<M: Model>(&self, shared: &Arc<Shared<M>>) -> bool {
        let mut state = self.lock();
        if shared.is_used() {
            return false;
        }
        M::listed(&mut state.watches).retain(|other| !Arc::ptr_eq(other, shared));
        true
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let home = self.is_home();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !home {
            // Locks in there may be held for ever, by threads that this process does not have.
            mem::forget(mem::take(state));
        } else if let Some(thread) = state.shut() {
            thread.end(DROP_DEADLINE);
        }
    }
}

impl State {
    fn start(&mut self) -> Result<&Thread, SourceError> {
        if self.shut {
            return Err(SourceError::new(ErrorClass::Config, "the runtime is shut down"));
        }
        let thread = match self.thread.take() {
            Some(thread) => thread,
            None => Thread::start().map_err(|error| {
                SourceError::new(ErrorClass::Config, format!("no thread for discovery: {error}"))
            })?,
        };
        Ok(self.thread.insert(thread))
    }

    fn shut(&mut self) -> Option<Thread> {
        self.shut = true;
        self.watches = Lists::default();
        self.thread.take()
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("evener-blocking")
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let tasks = runtime.handle().clone();
        let (closing, mut closed) = watch::channel(None);
        let (guest, mut guests) = tasks::channel::<()>(1);
        let (end, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("evener-discovery".to_owned()).spawn(move || {
            block_broken_pipes();
            runtime.block_on(async {
                let Ok(deadline) = closed.wait_for(Option::is_some).await.map(|deadline| *deadline) else {
                    return;
                };
                let deadline = deadline.unwrap_or_else(Instant::now);
                // None once the last guest has gone, or the time is up.
                let _ = tokio::time::timeout_at(deadline.into(), guests.recv()).await;
            });
            runtime.shutdown_background();
            drop(end);
        })?;
        Ok(Self { id: thread.thread().id(), tasks, closing, guest, ended })
    }

    /// Begins the end and waits for it.
    fn end(self, deadline: Duration) -> bool {
        let Self { id, closing, guest, ended, .. } = self;
        let deadline = deadline.min(NEVER);
        drop(guest);
        closing.send_replace(Some(Instant::now() + deadline));
        if std::thread::current().id() == id {
            return false;
        }
        ended.recv_timeout(deadline) == Err(RecvTimeoutError::Disconnected)
    }
}
