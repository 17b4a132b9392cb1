//! The engine's events, taken in batches by a thread that waits outside of the interpreter, or by an event loop.

use crate::clock;
use crate::endpoints::{Listed, Spec, endpoints};
use crate::errors::unusable;
use crate::fork::Born;
use crate::runtime;
use evener_channel::{Action, Event};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

pub(crate) const CONNECT: u32 = 0;
pub(crate) const DISCONNECT: u32 = 1;
pub(crate) const CANCEL_CALLS: u32 = 2;
pub(crate) const CLOSE: u32 = 3;
pub(crate) const STATE_CHANGED: u32 = 4;
pub(crate) const PICK_AGAIN: u32 = 5;
pub(crate) const LOG: u32 = 6;
pub(crate) const SERVICE_CONFIG: u32 = 7;
pub(crate) const RESOLVE_START: u32 = 8;
pub(crate) const RESOLVE_NOW: u32 = 9;
pub(crate) const RESOLVE_STOP: u32 = 10;

const BATCH: usize = 256;

/// Channel, kind, endpoint, state or log level, text, resolver. What an event has nothing of is 0 or empty; those about a resolver
/// are about no channel.
type PyEvent = (u64, u32, u32, u32, String, u64);

/// Where channels' events come from. Thread-safe, but `next` and `drain` are for one thread at a time.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct Driver {
    driver: evener_channel::Driver,
    born: Born,
}

impl Driver {
    pub(crate) fn engine(&self) -> PyResult<&evener_channel::Driver> {
        self.born.check("driver")?;
        Ok(&self.driver)
    }
}

#[pymethods]
impl Driver {
    #[new]
    fn new() -> PyResult<Self> {
        let driver = evener_channel::Driver::with_runtime(runtime::shared())
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { driver, born: Born::now() })
    }

    /// Waits for events outside of the interpreter: all there are, none after `timeout` seconds, None once shut down.
    #[pyo3(signature = (timeout=None))]
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Vec<PyEvent>>> {
        let driver = self.engine()?;
        let timeout = timeout.map(clock::timeout).transpose()?;
        let events = py.detach(|| {
            let Some(first) = driver.next(timeout) else { return Vec::new() };
            let mut events = vec![event(first)];
            take(driver, &mut events);
            events
        });
        Ok(if events.is_empty() && driver.is_shut_down() { None } else { Some(events) })
    }

    /// The events there are; none when there are no more, and then the wake descriptor is quiet.
    fn drain(&self, py: Python<'_>) -> PyResult<Vec<PyEvent>> {
        let driver = self.engine()?;
        Ok(py.detach(|| {
            let mut events = Vec::new();
            take(driver, &mut events);
            events
        }))
    }

    /// A descriptor that is readable when events wait.
    fn wake_fd(&self) -> PyResult<i32> {
        Ok(self.engine()?.wake_fd())
    }

    /// Seconds until `drain` must be called though the descriptor is quiet; None = never.
    fn next_timeout(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let driver = self.engine()?;
        Ok(py.detach(|| driver.next_timeout()).map(|left| left.as_secs_f64()))
    }

    /// Has targets of a scheme resolved by whoever takes this driver's events, for everything in the process that has such a
    /// target from now on. ConfigError for what is no scheme.
    fn register_scheme(&self, py: Python<'_>, scheme: &str) -> PyResult<()> {
        let driver = self.engine()?;
        py.detach(|| driver.register_polled_scheme(scheme)).map_err(unusable)
    }

    /// All the endpoints there are, as of now. False once the resolver was stopped; ConfigError names what is no endpoint.
    fn resolver_push(&self, py: Python<'_>, resolver: u64, endpoints: Listed<Spec>) -> PyResult<bool> {
        let driver = self.engine()?;
        let list = self::endpoints(endpoints.0)?;
        Ok(py.detach(|| driver.resolver_push(resolver, list)))
    }

    /// They cannot be found out now, and why. False once the resolver was stopped.
    fn resolver_fail(&self, py: Python<'_>, resolver: u64, message: &str) -> PyResult<bool> {
        let driver = self.engine()?;
        Ok(py.detach(|| driver.resolver_fail(resolver, message)))
    }

    /// The service config that goes with them, None for none any more. False once the resolver was stopped.
    #[pyo3(signature = (resolver, json))]
    fn resolver_service_config(&self, py: Python<'_>, resolver: u64, json: Option<String>) -> PyResult<bool> {
        let driver = self.engine()?;
        Ok(py.detach(|| driver.resolver_service_config(resolver, json)))
    }

    /// No more events; who waits in `next` gets None.
    fn shutdown(&self, py: Python<'_>) {
        if !self.born.is_inherited() {
            py.detach(|| self.driver.shutdown());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.born.is_inherited() {
            std::mem::forget(self.driver.clone());
        }
    }
}

fn take(driver: &evener_channel::Driver, events: &mut Vec<PyEvent>) {
    while events.len() < BATCH {
        let Some(next) = driver.try_next() else { return };
        events.push(event(next));
    }
}

fn event(event: Event) -> PyEvent {
    let token = event.channel;
    let plain = |kind, endpoint, state| (token, kind, endpoint, state, String::new(), 0);
    let about = |kind, resolver, text| (token, kind, 0, 0, text, resolver);
    match event.action {
        Action::Connect { endpoint } => plain(CONNECT, endpoint, 0),
        Action::Disconnect { endpoint } => plain(DISCONNECT, endpoint, 0),
        Action::CancelCalls { endpoint } => plain(CANCEL_CALLS, endpoint, 0),
        Action::Close { endpoint } => plain(CLOSE, endpoint, 0),
        Action::StateChanged(state) => plain(STATE_CHANGED, 0, state as u32),
        Action::PickAgain => plain(PICK_AGAIN, 0, 0),
        Action::ServiceConfig { json } => about(SERVICE_CONFIG, 0, json),
        Action::ResolveStart { resolver, target } => about(RESOLVE_START, resolver, target),
        Action::ResolveNow { resolver } => about(RESOLVE_NOW, resolver, String::new()),
        Action::ResolveStop { resolver } => about(RESOLVE_STOP, resolver, String::new()),
        Action::Log { level, text } => (token, LOG, 0, level as u32, text, 0),
        // Whatever else an engine may say one day is no concern of this transport.
        _ => plain(u32::MAX, 0, 0),
    }
}
