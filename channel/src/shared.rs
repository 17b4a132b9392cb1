//! What every thread of a channel reads without a lock: the blocks, the cursor, the epochs, the flags.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use evener_core::{Connectivity, SharedCursor};
use evener_discovery::target::redact;

use crate::blocks::Blocks;
use crate::clock::Clock;
use crate::config::ServiceConfig;
use crate::signal::Signal;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::waiters::Waiters;

/// A target as it was given, secrets and all: for nobody but the application and whoever asks the registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Given(pub(crate) String);

/// Without the secrets.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redact(&self.0).fmt(f)
    }
}

/// What every thread reads without a lock.
#[derive(Debug)]
pub(crate) struct Shared {
    given: Given,
    /// The target without its secrets.
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
    /// A channel that is IDLE. `seed` is where its cursor starts.
    pub(crate) fn new(
        given: Given,
        authority: String,
        config: Arc<ServiceConfig>,
        seed: u64,
        signal: Arc<Signal>,
        now: Instant,
    ) -> Self {
        Self {
            target: redact(&given.0),
            given,
            authority,
            clock: Clock::new(now),
            blocks: Blocks::new(),
            cursor: SharedCursor::seeded(seed),
            config: ArcSwap::new(config),
            waiters: Waiters::new(),
            state: AtomicU32::new(Connectivity::Idle as u32),
            state_moved: Waiters::new(),
            failed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            // The first poll hands out the warnings about the configuration.
            dirty: AtomicBool::new(true),
            signal,
        }
    }

    /// The target as it was given.
    pub(crate) fn given(&self) -> &str {
        &self.given.0
    }

    pub(crate) fn state(&self) -> Connectivity {
        Connectivity::from_number(self.state.load(Ordering::Acquire)).unwrap_or(Connectivity::Shutdown)
    }

    /// Publishes the channel's state. SHUTDOWN is final.
    pub(crate) fn set_state(&self, state: Connectivity) {
        if self.state.swap(state as u32, Ordering::AcqRel) != state as u32 {
            self.state_moved.advance();
        }
    }

    /// Blocks until the state is another than `last` (true), or until the deadline (false).
    pub(crate) fn wait_for_state_change(&self, last: Connectivity, deadline: Option<Instant>) -> bool {
        loop {
            let epoch = self.state_moved.epoch();
            if self.state() != last {
                return true;
            }
            if !self.state_moved.wait(epoch, deadline) {
                return self.state() != last;
            }
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

    /// Whether the driver was told to poll since the last time.
    pub(crate) fn take_dirty(&self) -> bool {
        self.dirty.swap(false, Ordering::AcqRel)
    }

    /// Tells the driver to poll this engine. Takes no lock of the engine.
    pub(crate) fn notify(&self) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            self.signal.raise();
        }
    }
}
