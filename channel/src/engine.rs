//! The composition root of one channel: what calls read without a lock, and the rest behind one mutex.
//!
//! ```text
//!  start_call ─► Shared: blocks, cursor, epochs, flags         (atomics; any thread)
//!                  ▲ publishes                 │ notify
//!  Control: Source (lookups) ─► Seating (endpoints, blocks' controllers)     (one mutex)
//!                  ▲ poll(now)                 ▼
//!  Driver: next() ─┴──────────────────────── Signal
//! ```
//!
//! Nothing here reads a clock, blocks on the network or calls out: time is an argument, and what is to
//! be done comes out of [`Engine::poll`] as [`Output`]s.

use std::sync::Arc;
use std::time::Instant;

use evener_core::{Connectivity, FailReason, Health};
use evener_discovery::Endpoint;

use crate::choice::{Candidate, Origin};
use crate::config::{ConfigError, Warning};
use crate::control::Control;
use crate::lookup::Answer;
use crate::options::UpdateError;
use crate::output::Output;
use crate::setup::Setup;
use crate::shared::Shared;
use crate::signal::Signal;
use crate::stats::EndpointStats;
use crate::sync::{Mutex, lock};

/// One channel.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) shared: Shared,
    control: Mutex<Control>,
}

impl Engine {
    /// An engine that does nothing until a call or [`Engine::state`] wakes it.
    pub(crate) fn new(mut setup: Setup, signal: Arc<Signal>, now: Instant) -> Self {
        let config = setup.control.config.as_ref().map(|candidate| Arc::clone(&candidate.config));
        let config = config.unwrap_or_default();
        let seed = setup.control.dice.roll();
        let shared = Shared::new(setup.target, setup.authority, config, seed, signal, now);
        let control = Control::new(setup.control, &shared);
        Self { shared, control: Mutex::new(control) }
    }

    /// Does all that is due, and says when to be called again. Call it also after [`Engine::take_dirty`]
    /// was true.
    pub(crate) fn poll(&self, now: Instant, out: &mut Vec<Output>) -> Option<Instant> {
        lock(&self.control).poll(&self.shared, now, out)
    }

    /// Whether something has happened since the last time. Take it before polling.
    pub(crate) fn take_dirty(&self) -> bool {
        self.shared.take_dirty()
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

    /// What has become of a watch that was asked for.
    #[cfg(feature = "runtime")]
    pub(crate) fn opened(&self, opened: crate::live::Opened) {
        lock(&self.control).opened(opened);
        self.shared.notify();
    }

    pub(crate) fn update_endpoints(&self, list: Vec<Endpoint>) -> Result<(), UpdateError> {
        let result = lock(&self.control).replace(&self.shared, list);
        self.shared.notify();
        result
    }

    pub(crate) fn set_service_config(&self, json: &str) -> Result<Vec<Warning>, ConfigError> {
        let candidate = Candidate::parse(json)?;
        let warnings = candidate.warnings.clone();
        lock(&self.control).configure(&self.shared, Origin::Application, Some(candidate));
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
        self.shared.wait_for_state_change(last, deadline)
    }

    /// Blocks until the state is READY, or until the deadline; then it tells what is missing.
    pub(crate) fn wait_until_ready(&self, deadline: Option<Instant>) -> Result<(), String> {
        loop {
            let state = self.state(true);
            match state {
                Connectivity::Ready => return Ok(()),
                Connectivity::Shutdown => return Err("the channel is closed".to_owned()),
                _ if self.wait_for_state_change(state, deadline) => {}
                _ => return Err(lock(&self.control).not_ready(&self.shared)),
            }
        }
    }

    /// Why calls fail now.
    pub(crate) fn failure(&self, reason: Option<FailReason>) -> String {
        lock(&self.control).failure(&self.shared, reason)
    }

    pub(crate) fn describe(&self, now: Instant) -> serde_json::Value {
        // The lock is given up before the text is made.
        let snapshot = lock(&self.control).snapshot(&self.shared, now);
        snapshot.describe(&self.shared)
    }

    pub(crate) fn stats(&self) -> Vec<EndpointStats> {
        lock(&self.control).stats(&self.shared)
    }

    pub(crate) fn close(&self) {
        lock(&self.control).close(&self.shared);
        self.shared.notify();
    }
}
