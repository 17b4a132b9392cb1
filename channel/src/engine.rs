//! The composition root of one channel: what calls read without a lock, and the rest behind one mutex.
//!
//! ```text
//!  start_call ─► Shared: blocks, cursor, epochs, flags         (atomics; any thread)
//!                  ▲ publishes                 │ notify
//!  Control: controllers, endpoints, resolution │               (one mutex)
//!                  ▲ poll(now)                 ▼
//!  Driver: next() ─┴──────────────────────── Signal
//! ```
//!
//! Nothing here reads a clock, blocks on the network or calls out: time is an argument, and what is to
//! be done comes out of [`Engine::poll`] as [`Output`]s.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use evener_core::{Connectivity, FailReason, Health, SharedCursor};
use evener_discovery::Endpoint;

use crate::blocks::Blocks;
use crate::clock::Clock;
use crate::config::{ConfigError, Parsed, ServiceConfig, Warning};
use crate::control::{Control, Setup};
use crate::describe::EndpointStats;
use crate::event::Action;
use crate::lookup::{Answer, Lookup};
use crate::options::UpdateError;
use crate::signal::Signal;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::{Mutex, lock};
use crate::waiters::Waiters;

/// What [`Engine::poll`] asks for.
#[derive(Debug)]
pub(crate) enum Output {
    /// Something for the transport.
    Event(Action),
    /// Run the lookup where blocking harms nobody, and tell the answer to [`Engine::resolved`].
    Resolve(Arc<Lookup>),
}

/// What every thread reads without a lock.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) target: String,
    pub(crate) authority: String,
    pub(crate) clock: Clock,
    pub(crate) blocks: Blocks,
    pub(crate) cursor: SharedCursor,
    pub(crate) config: ArcSwap<ServiceConfig>,
    /// Moves when the answer of `start_call` may be another one.
    pub(crate) waiters: Waiters,
    state: AtomicU32,
    state_moved: Waiters,
    /// Nothing was ever resolved, and the last try failed.
    failed: AtomicBool,
    closed: AtomicBool,
    /// Somebody wants the channel to leave IDLE.
    wanted: AtomicBool,
    dirty: AtomicBool,
    signal: Arc<Signal>,
}

impl Shared {
    pub(crate) fn state(&self) -> Connectivity {
        Connectivity::from_number(self.state.load(Ordering::Acquire)).unwrap_or(Connectivity::Shutdown)
    }

    /// Publishes the channel's state. SHUTDOWN is final.
    pub(crate) fn set_state(&self, state: Connectivity) {
        if self.state.swap(state as u32, Ordering::AcqRel) != state as u32 {
            self.state_moved.advance();
        }
    }

    pub(crate) fn set_failed(&self, failed: bool) {
        self.failed.store(failed, Ordering::Release);
    }

    pub(crate) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    /// A call or the application wants the channel connected.
    pub(crate) fn leave_idle(&self) {
        if self.state() == Connectivity::Idle && !self.wanted.swap(true, Ordering::AcqRel) {
            self.notify();
        }
    }

    /// Tells the driver to poll this engine. Takes no lock of the engine.
    pub(crate) fn notify(&self) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            self.signal.raise();
        }
    }
}

/// One channel.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) shared: Shared,
    control: Mutex<Control>,
}

impl Engine {
    /// An engine that does nothing until a call or [`Engine::state`] wakes it.
    pub(crate) fn new(mut setup: Setup, signal: Arc<Signal>, now: Instant) -> Self {
        let Parsed { config, warnings } = setup.config;
        let shared = Shared {
            target: setup.target,
            authority: setup.authority,
            clock: Clock::new(now),
            blocks: Blocks::new(),
            cursor: SharedCursor::seeded(setup.control.dice.roll()),
            config: ArcSwap::from_pointee(config),
            waiters: Waiters::new(),
            state: AtomicU32::new(Connectivity::Idle as u32),
            state_moved: Waiters::new(),
            failed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            // The first poll hands out the warnings about the configuration.
            dirty: AtomicBool::new(true),
            signal,
        };
        let control = Control::new(setup.control, &shared, &warnings);
        Self { shared, control: Mutex::new(control) }
    }

    /// Does all that is due, and says when to be called again. Call it also after [`Engine::take_dirty`]
    /// was true.
    pub(crate) fn poll(&self, now: Instant, out: &mut Vec<Output>) -> Option<Instant> {
        lock(&self.control).poll(&self.shared, now, out)
    }

    /// Whether something has happened since the last time. Take it before polling.
    pub(crate) fn take_dirty(&self) -> bool {
        self.shared.dirty.swap(false, Ordering::AcqRel)
    }

    /// Whether the channel is closed and all its endpoints are, too.
    pub(crate) fn is_finished(&self) -> bool {
        self.shared.is_closed() && lock(&self.control).is_finished()
    }

    /// A lookup's answer.
    pub(crate) fn resolved(&self, answer: Answer, now: Instant) {
        lock(&self.control).resolved(&self.shared, answer, now);
        self.shared.notify();
    }

    pub(crate) fn update_endpoints(&self, list: Vec<Endpoint>) -> Result<(), UpdateError> {
        let result = lock(&self.control).replace(&self.shared, list);
        self.shared.notify();
        result
    }

    pub(crate) fn set_service_config(&self, json: &str) -> Result<Vec<Warning>, ConfigError> {
        let parsed = ServiceConfig::parse(json)?;
        let warnings = parsed.warnings;
        lock(&self.control).configure(&self.shared, parsed.config, json, &warnings);
        self.shared.notify();
        Ok(warnings)
    }

    pub(crate) fn set_state(&self, endpoint: u32, state: Connectivity, error: &str) -> bool {
        let known = lock(&self.control).observe(endpoint, state, error);
        if known {
            self.shared.notify();
        }
        known
    }

    pub(crate) fn set_health(&self, endpoint: u32, health: Health) -> bool {
        let known = lock(&self.control).observe_health(endpoint, health);
        if known {
            self.shared.notify();
        }
        known
    }

    pub(crate) fn acknowledge(&self, endpoint: u32) -> bool {
        let awaited = lock(&self.control).acknowledge(endpoint);
        if awaited {
            self.shared.notify(); // A list that found no index may find one now.
        }
        awaited
    }

    pub(crate) fn endpoint_target(&self, endpoint: u32) -> Option<String> {
        lock(&self.control).endpoint_target(endpoint)
    }

    /// The channel's state; with `connect`, an IDLE channel is told to leave that state. As in gRPC the
    /// answer is the state before that.
    pub(crate) fn state(&self, connect: bool) -> Connectivity {
        let state = self.shared.state();
        if connect {
            self.shared.leave_idle();
        }
        state
    }

    /// Blocks until the state is another than `last` (true), or until the deadline (false).
    pub(crate) fn wait_for_state_change(&self, last: Connectivity, deadline: Option<Instant>) -> bool {
        loop {
            let epoch = self.shared.state_moved.epoch();
            if self.shared.state() != last {
                return true;
            }
            if !self.shared.state_moved.wait(epoch, deadline) {
                return self.shared.state() != last;
            }
        }
    }

    /// Why calls fail now.
    pub(crate) fn failure(&self, reason: Option<FailReason>) -> String {
        lock(&self.control).failure(&self.shared, reason)
    }

    pub(crate) fn describe(&self, now: Instant) -> serde_json::Value {
        lock(&self.control).describe(&self.shared, now)
    }

    pub(crate) fn stats(&self) -> Vec<EndpointStats> {
        lock(&self.control).stats(&self.shared)
    }

    pub(crate) fn close(&self) {
        lock(&self.control).close(&self.shared);
        self.shared.notify();
    }
}
