//! One channel of the engine.

use crate::clock;
use crate::discovery;
use crate::driver::Driver;
use crate::endpoints::{Listed, Spec, endpoints, lists};
use crate::errors::unusable;
use crate::fields;
use crate::fork::Born;
use crate::ticket::{Failure, Ticket};
use crate::waiting;
use evener_channel::{ChannelOptions, StartCall};
use evener_core::Connectivity;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::time::Instant;

/// Decides where calls go and says what to connect; the transport is Python's. Thread-safe.
///
/// Made before a fork, it raises RuntimeError in the child from every method but `close` and `inherited`.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct Channel {
    channel: evener_channel::Channel,
    born: Born,
}

/// A ticket, why there is none, or the epoch to wait for.
#[derive(IntoPyObject)]
pub(crate) enum Started {
    Ticket(Ticket),
    Failure(Failure),
    Epoch(u64),
}

impl Channel {
    #[inline]
    fn engine(&self) -> PyResult<&evener_channel::Channel> {
        self.born.check("channel")?;
        Ok(&self.channel)
    }
}

#[pymethods]
impl Channel {
    #[new]
    #[pyo3(signature = (
        driver, target, token, *, endpoints=None, service_config=None, lists=None, lists_file=None, default_authority=None,
        drain_timeout=None, dns_refresh=None, seed=None, discovery=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn new(
        py: Python<'_>,
        driver: &Driver,
        target: &Bound<'_, PyAny>,
        token: u64,
        endpoints: Option<Listed<Spec>>,
        service_config: Option<String>,
        lists: Option<Bound<'_, PyAny>>,
        lists_file: Option<PathBuf>,
        default_authority: Option<String>,
        drain_timeout: Option<Bound<'_, PyAny>>,
        dns_refresh: Option<Bound<'_, PyAny>>,
        seed: Option<u64>,
        discovery: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let target: String = fields::read("target", target)?;
        let defaults = ChannelOptions::default();
        let options = ChannelOptions {
            endpoints: endpoints.map(|list| self::endpoints(list.0)).transpose()?,
            service_config,
            named_lists: lists.as_ref().map(self::lists).transpose()?,
            static_file: lists_file,
            drain_timeout: drain_timeout.map_or(Ok(defaults.drain_timeout), |timeout| {
                clock::read_seconds("drain_timeout", &timeout)
            })?,
            dns_refresh: dns_refresh
                .map(|refresh| clock::read_seconds("dns_refresh", &refresh))
                .transpose()?,
            seed,
            default_authority,
            ..defaults
        };
        let options = discovery::channel_options(discovery.as_ref(), options)?;
        let driver = driver.engine()?;
        let opened = py.detach(|| evener_channel::Channel::open(driver, &target, options, token));
        Ok(Self { channel: opened.map_err(unusable)?, born: Born::now() })
    }

    /// Whether it was made before a fork, and this is the child.
    #[getter]
    fn inherited(&self) -> bool {
        self.born.is_inherited()
    }

    /// Where the next call of this method goes. Takes no lock, and keeps the interpreter's, when there is somewhere to go.
    #[pyo3(signature = (method, wait_for_ready=None))]
    fn start_call(&self, py: Python<'_>, method: &str, wait_for_ready: Option<bool>) -> PyResult<Started> {
        let channel = self.engine()?;
        let ticket = |ticket| Started::Ticket(Ticket::new(self.channel.clone(), ticket, self.born));
        if let Some(started) = channel.try_start_call() {
            return Ok(ticket(started));
        }
        // Why there is none may have to be asked of the engine.
        Ok(match py.detach(|| channel.start_call(method, wait_for_ready)) {
            StartCall::Started(started) => ticket(started),
            StartCall::Wait { epoch } => Started::Epoch(epoch),
            StartCall::Fail { code, message } => Started::Failure(Failure::new(code, message)),
        })
    }

    /// The method's timeout in seconds and its wait_for_ready, where the service config has them.
    fn method_config(&self, method: &str) -> PyResult<(Option<f64>, Option<bool>)> {
        let config = self.engine()?.method_config(method);
        Ok((config.timeout.map(|timeout| timeout.as_secs_f64()), config.wait_for_ready))
    }

    /// Waits until `start_call` may answer otherwise than with `epoch`; False after `timeout` seconds. Signals are heeded.
    #[pyo3(signature = (epoch, timeout=None))]
    fn wait(&self, py: Python<'_>, epoch: u64, timeout: Option<f64>) -> PyResult<bool> {
        let channel = self.engine()?;
        let moved =
            waiting::wait(py, timeout, |left| channel.wait(epoch, Some(Instant::now() + left)).then_some(()));
        Ok(moved?.is_some())
    }

    /// Tells the engine what an endpoint's connection does; `error` is the reason of a failure.
    #[pyo3(signature = (endpoint, state, error=""))]
    fn set_state(&self, py: Python<'_>, endpoint: u32, state: u32, error: &str) -> PyResult<()> {
        let channel = self.engine()?;
        let state = Connectivity::from_number(state).ok_or_else(|| PyValueError::new_err("unknown state"))?;
        py.detach(|| channel.set_state(endpoint, state, error));
        Ok(())
    }

    /// The target of an endpoint's inner channel.
    fn endpoint_target(&self, py: Python<'_>, endpoint: u32) -> PyResult<Option<String>> {
        let channel = self.engine()?;
        Ok(py.detach(|| channel.endpoint_target(endpoint)))
    }

    /// The transport has closed an endpoint; its number may be used again.
    fn closed(&self, py: Python<'_>, endpoint: u32) -> PyResult<()> {
        let channel = self.engine()?;
        py.detach(|| channel.closed(endpoint));
        Ok(())
    }

    /// The service whose health every connected server is to be asked for; None where none is to be.
    fn health_service(&self) -> PyResult<Option<String>> {
        Ok(self.engine()?.health_service())
    }

    /// Replaces the endpoints; ConfigError if they cannot be used.
    fn update_endpoints(&self, py: Python<'_>, endpoints: Listed<Spec>) -> PyResult<()> {
        let channel = self.engine()?;
        let list = self::endpoints(endpoints.0)?;
        py.detach(|| channel.update_endpoints(list)).map_err(unusable)
    }

    /// Replaces the service config; warnings, or ConfigError, which leaves the previous one in force.
    fn set_service_config(&self, py: Python<'_>, config: &str) -> PyResult<Vec<String>> {
        let channel = self.engine()?;
        let warnings = py.detach(|| channel.set_service_config(config)).map_err(unusable)?;
        Ok(warnings.iter().map(ToString::to_string).collect())
    }

    /// The channel's state; an idle one connects if asked to.
    #[pyo3(signature = (try_to_connect=false))]
    fn state(&self, py: Python<'_>, try_to_connect: bool) -> PyResult<u32> {
        let channel = self.engine()?;
        Ok(py.detach(|| channel.state(try_to_connect)) as u32)
    }

    /// Connects, and waits until a call would find an endpoint: None, or what is missing after `timeout` seconds, or once the
    /// channel is closed. Signals are heeded.
    #[pyo3(signature = (timeout=None))]
    fn wait_until_ready(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<String>> {
        let channel = self.engine()?;
        let waited = waiting::wait(py, timeout, |left| {
            let missing = channel.wait_until_ready(Some(Instant::now() + left)).err();
            (missing.is_none() || channel.state(false) == Connectivity::Shutdown).then_some(missing)
        })?;
        Ok(waited.unwrap_or_else(|| py.detach(|| channel.wait_until_ready(Some(Instant::now())).err())))
    }

    /// The name that servers are asked for, and their certificates checked against.
    fn authority(&self) -> PyResult<String> {
        Ok(self.engine()?.authority().to_owned())
    }

    /// All there is to know, as JSON.
    fn describe(&self, py: Python<'_>) -> PyResult<String> {
        let channel = self.engine()?;
        Ok(py.detach(|| channel.describe()))
    }

    /// No more calls. An inherited channel stays as it is.
    fn close(&self, py: Python<'_>) {
        if !self.born.is_inherited() {
            py.detach(|| self.channel.close());
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if self.born.is_inherited() {
            // Its last reference must not go: the channel's end would wait for locks of the parent's threads.
            std::mem::forget(self.channel.clone());
        }
    }
}
