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

use crate::engine::Engine;
use crate::event::Event;
use crate::output::Output;
use crate::resolver::Resolver;
use crate::signal::Signal;
use crate::sync::{Mutex, lock};

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
    /// Held while channels are polled, so that events keep their order whoever polls.
    desk: Mutex<Desk>,
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
        let signal = Arc::new(Signal::new()?);
        let inner = Inner { signal, resolver: Resolver::new(), desk: Mutex::new(Desk::default()) };
        Ok(Self { inner: Arc::new(inner) })
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
    /// for; its thread ends when that answers.
    pub fn shutdown(&self) {
        self.inner.shut_down();
    }

    /// Whether [`Driver::shutdown`] was called.
    pub fn is_shut_down(&self) -> bool {
        self.inner.signal.is_shut()
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

impl Inner {
    /// The next event; channels are polled only when none waits.
    fn next(&self, now: Instant) -> Option<Event> {
        if self.signal.is_shut() {
            return None;
        }
        let mut desk = lock(&self.desk);
        if desk.events.is_empty() {
            self.signal.clear();
            desk.poll(now, &self.resolver);
        }
        desk.events.pop_front()
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
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Desk {
    /// Polls every channel that was notified or whose time has come.
    fn poll(&mut self, now: Instant, resolver: &Resolver) {
        let Self { channels, events, outputs } = self;
        channels.retain_mut(|watched| {
            let due = watched.deadline.is_some_and(|deadline| deadline <= now);
            if !(watched.engine.take_dirty() || due) {
                return true;
            }
            watched.deadline = watched.engine.poll(now, outputs);
            for output in outputs.drain(..) {
                match output {
                    Output::Event(action) => events.push_back(Event { channel: watched.token, action }),
                    Output::Resolve(lookup) => resolver.submit(&watched.engine, lookup),
                }
            }
            !watched.engine.is_finished()
        });
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
