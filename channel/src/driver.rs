//! The source of events for the transports of any number of channels.
//!
//! One thread calls [`Driver::next`] in a loop, or an event loop watches [`Driver::wake_fd`] and calls
//! [`Driver::try_next`] until it answers `None`. Whoever asks for an event does the work of every
//! channel that has some: there is no thread of the driver's own but the one that looks names up.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "runtime")]
use evener_discovery::runtime::{Resolver as CustomResolver, Runtime};
#[cfg(feature = "runtime")]
use evener_discovery::{Endpoint, SourceError};

use crate::engine::Engine;
use crate::event::Event;
use crate::output::Output;
#[cfg(feature = "runtime")]
use crate::polled::{Polled, PolledScheme};
use crate::resolver::Resolver;
use crate::signal::Signal;
use crate::sync::{Mutex, lock};

/// How long a shutdown waits for the runtime's thread.
#[cfg(feature = "runtime")]
const RUNTIME_DEADLINE: Duration = Duration::from_secs(2);

/// Polls the channels opened on it and hands out what their transports are to do.
///
/// A cheap handle, to clone and to use from any thread. Usually one exists per process or event loop.
/// When the last clone is dropped the driver shuts down.
///
/// After `fork`, the child has no resolver thread and shares its descriptor with the parent: make a new
/// driver there, and leave the inherited one alone.
#[derive(Debug, Clone)]
pub struct Driver {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    signal: Arc<Signal>,
    resolver: Resolver,
    #[cfg(feature = "runtime")]
    discovery: Discovery,
    /// Held while channels are polled, so that events keep their order whoever polls.
    desk: Mutex<Desk>,
}

/// Discovery's thread, and the resolvers that this driver's host is.
#[cfg(feature = "runtime")]
#[derive(Debug)]
struct Discovery {
    runtime: Runtime,
    /// The runtime is this driver's own, and ends with it.
    is_own: bool,
    polled: Arc<Polled>,
}

#[derive(Debug, Default)]
struct Desk {
    channels: Vec<Watched>,
    events: VecDeque<Event>,
    outputs: Vec<Output>,
}

#[derive(Debug)]
struct Watched {
    engine: Arc<Engine>,
    token: u64,
    deadline: Option<Instant>,
}

impl Driver {
    /// A driver without channels.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        #[cfg(feature = "runtime")]
        return Self::over(Runtime::new(), true);
        #[cfg(not(feature = "runtime"))]
        {
            let signal = Arc::new(Signal::new()?);
            let inner = Inner { signal, resolver: Resolver::new(), desk: Mutex::new(Desk::default()) };
            Ok(Self { inner: Arc::new(inner) })
        }
    }

    /// The next event, waiting for one until the timeout (`None`: without end). `None` when there was
    /// none, or when the driver is shut down: [`Driver::is_shut_down`] tells which.
    pub fn next(&self, timeout: Option<Duration>) -> Option<Event> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let now = Instant::now();
            let next = self.inner.next(now);
            if next.is_some() || self.is_shut_down() || until.is_some_and(|until| until <= now) {
                return next;
            }
            let until = [until, self.inner.deadline()].into_iter().flatten().min();
            self.inner.signal.wait(until.map(|until| until.saturating_duration_since(Instant::now())));
        }
    }

    /// The next event, if there is one now. `None` makes [`Driver::wake_fd`] unreadable until there is
    /// something again.
    pub fn try_next(&self) -> Option<Event> {
        let signal = &self.inner.signal;
        if !signal.is_armed() {
            return self.inner.next(Instant::now());
        }
        let waiting = self.inner.waiting();
        if waiting.is_some() {
            return waiting;
        }
        signal.drain();
        let next = self.inner.next(Instant::now());
        if next.is_some() || self.is_shut_down() {
            signal.make_readable(); // It was drained too early: there is more to ask for.
        }
        next
    }

    /// A descriptor that is readable when [`Driver::try_next`] should be called, until that answers
    /// `None`; after a shutdown it stays readable. It belongs to the driver: watch it, do not read or
    /// close it. Timers do not show there: see [`Driver::next_timeout`].
    pub fn wake_fd(&self) -> RawFd {
        self.inner.signal.descriptor()
    }

    /// After how long [`Driver::try_next`] must be called again although nothing is readable. `None`:
    /// not before something is.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.inner.signal.is_pending() || self.inner.has_events() {
            return Some(Duration::ZERO);
        }
        Some(self.inner.deadline()?.saturating_duration_since(Instant::now()))
    }

    /// Closes every channel, ends the resolver thread and every [`Driver::next`], now and later. Events
    /// that were not fetched are lost. A lookup that the system's resolver is busy with is not waited
    /// for; its thread ends when that answers. A runtime of the driver's own ends as well, and with it what else was
    /// made with it; that may take 2 s where its thread is held up.
    pub fn shutdown(&self) {
        self.inner.shut_down();
    }

    /// Whether [`Driver::shutdown`] was called.
    pub fn is_shut_down(&self) -> bool {
        self.inner.signal.is_shut()
    }

    /// Whether the application has a resolver for a scheme, in lower case.
    pub(crate) fn has_scheme(&self, scheme: &str) -> bool {
        #[cfg(feature = "runtime")]
        return self.inner.discovery.runtime.has_scheme(scheme);
        #[cfg(not(feature = "runtime"))]
        {
            let _ = scheme;
            false
        }
    }

    /// What a new channel's engine notifies.
    pub(crate) fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.inner.signal)
    }

    /// Polls the engine from now on, until it is closed and its last endpoint, too. False once the
    /// driver is shut down: nobody would ever poll or close the engine.
    pub(crate) fn watch(&self, engine: Arc<Engine>, token: u64) -> bool {
        let mut desk = lock(&self.inner.desk);
        // Looked at behind the lock that a shutdown takes the channels from, after it has said so.
        if self.is_shut_down() {
            return false;
        }
        desk.channels.push(Watched { engine, token, deadline: None });
        drop(desk);
        self.inner.signal.raise();
        true
    }
}

#[cfg(feature = "runtime")]
impl Driver {
    /// A driver without channels whose live targets are watched by the thread of a runtime that others use as well.
    /// [`Driver::shutdown`] leaves the runtime as it is.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn with_runtime(runtime: Runtime) -> io::Result<Self> {
        Self::over(runtime, false)
    }

    fn over(runtime: Runtime, is_own: bool) -> io::Result<Self> {
        let signal = Arc::new(Signal::new()?);
        let polled = Arc::new(Polled::new(Arc::clone(&signal)));
        let discovery = Discovery { runtime, is_own, polled };
        let inner = Inner { signal, resolver: Resolver::new(), discovery, desk: Mutex::new(Desk::default()) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What watches the targets of this driver's channels: also for registrations, configurations and watches of the
    /// application's own.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.discovery.runtime
    }

    /// Has a resolver of the application's own resolve the targets of a scheme. Channels that are opened after this
    /// may have such targets, those of every driver with the same runtime. A built-in scheme may be taken over.
    ///
    /// # Errors
    /// The scheme is none (a letter, then letters, digits, `+`, `-` and `.`), or the driver was inherited by a fork.
    pub fn register_scheme(
        &self,
        scheme: &str,
        resolver: Arc<dyn CustomResolver>,
    ) -> Result<(), SourceError> {
        self.runtime().register_scheme(scheme, resolver)
    }

    /// As [`Driver::register_scheme`], for a host that is asked by events of this driver instead of being called:
    /// [`Action::ResolveStart`](crate::Action::ResolveStart), `ResolveNow`, `ResolveStop`.
    ///
    /// # Errors
    /// As [`Driver::register_scheme`].
    pub fn register_polled_scheme(&self, scheme: &str) -> Result<(), SourceError> {
        let polled = Arc::downgrade(&self.inner.discovery.polled);
        self.runtime().register_scheme(scheme, Arc::new(PolledScheme(polled)))
    }

    /// Says all the endpoints that there are behind a target of a polled scheme, as of now. `resolver` is the number of
    /// its [`Action::ResolveStart`](crate::Action::ResolveStart). False once it was stopped: it is dropped then.
    pub fn resolver_push(&self, resolver: u64, endpoints: Vec<Endpoint>) -> bool {
        self.inner.discovery.polled.push(resolver, endpoints)
    }

    /// Says that these endpoints cannot be found out now, and why. What was pushed before stays in use. Answers as
    /// [`Driver::resolver_push`].
    pub fn resolver_fail(&self, resolver: u64, message: &str) -> bool {
        self.inner.discovery.polled.fail(resolver, message)
    }

    /// Says the service config (gRPC's JSON) that goes with these endpoints, or `None` for none any more. Said before
    /// the endpoints it is in force when they come. Answers as [`Driver::resolver_push`].
    pub fn resolver_service_config(&self, resolver: u64, json: Option<String>) -> bool {
        self.inner.discovery.polled.service_config(resolver, json)
    }
}

impl Inner {
    /// The next event; channels are polled only when none waits.
    fn next(&self, now: Instant) -> Option<Event> {
        if self.signal.is_shut() {
            return None;
        }
        let mut desk = lock(&self.desk);
        if desk.events.is_empty() {
            self.signal.clear();
            #[cfg(feature = "runtime")]
            desk.events
                .extend(self.discovery.polled.take().into_iter().map(|action| Event { channel: 0, action }));
            self.poll(&mut desk, now);
        }
        desk.events.pop_front()
    }

    /// Polls every channel that was notified or whose time has come.
    fn poll(&self, desk: &mut Desk, now: Instant) {
        let Desk { channels, events, outputs } = desk;
        channels.retain_mut(|watched| {
            let due = watched.deadline.is_some_and(|deadline| deadline <= now);
            if !(watched.engine.take_dirty() || due) {
                return true;
            }
            watched.deadline = watched.engine.poll(now, outputs);
            for output in outputs.drain(..) {
                match output {
                    Output::Event(action) => events.push_back(Event { channel: watched.token, action }),
                    Output::Resolve(lookup) => self.resolver.submit(&watched.engine, lookup),
                    #[cfg(feature = "runtime")]
                    Output::Watch(ask) => crate::live::open(ask, &watched.engine, &self.discovery.runtime),
                    #[cfg(not(feature = "runtime"))]
                    Output::Watch(ask) => match ask {},
                }
            }
            !watched.engine.is_finished()
        });
    }

    fn waiting(&self) -> Option<Event> {
        if self.signal.is_shut() {
            return None;
        }
        lock(&self.desk).events.pop_front()
    }

    fn has_events(&self) -> bool {
        !lock(&self.desk).events.is_empty()
    }

    fn deadline(&self) -> Option<Instant> {
        lock(&self.desk).channels.iter().filter_map(|watched| watched.deadline).min()
    }

    fn shut_down(&self) {
        if self.signal.is_shut() {
            return;
        }
        self.signal.shut_down();
        self.resolver.stop();
        let channels = std::mem::take(&mut lock(&self.desk).channels);
        for watched in &channels {
            watched.engine.close();
        }
        #[cfg(feature = "runtime")]
        if self.discovery.is_own {
            self.discovery.runtime.shutdown(RUNTIME_DEADLINE);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::options::ChannelOptions;
    use crate::setup::set_up;

    #[test]
    fn a_channel_opened_while_the_driver_shuts_down_is_refused() {
        let driver = Driver::new().expect("descriptors");
        let setup = set_up("static:///127.0.0.1:1", ChannelOptions::default()).expect("valid");
        let engine = Arc::new(Engine::new(setup, driver.signal(), Instant::now()));
        // The order of the race: the shutdown comes between the making of the engine and its watching.
        driver.shutdown();
        assert!(!driver.watch(Arc::clone(&engine), 0), "or its calls would wait for ever");
        assert_eq!(Arc::strong_count(&engine), 1);
    }
}
