//! A target that is watched without a channel.

use crate::discovery;
use crate::errors::unusable;
use crate::fields;
use crate::fork::Born;
use crate::open::Open;
use crate::{runtime, waiting};
use evener_discovery::Endpoint;
use evener_discovery::pipeline::Snapshot;
use evener_discovery::runtime::{self as engine, Woken};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Addresses, weight, priority, zone, region, condition, metadata.
type PyEndpoint =
    (Vec<String>, u32, u32, Option<String>, Option<String>, &'static str, BTreeMap<String, String>);

/// Epoch, state, endpoints, service config, revision.
type PySnapshot = (u64, &'static str, Vec<PyEndpoint>, Option<String>, Option<String>);

/// The endpoints behind a target, followed by discovery's background thread. Thread-safe.
///
/// Made before a fork, it raises RuntimeError in the child from every method but `close`.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct Watch {
    open: Open<engine::Watch>,
    woken: Arc<Woken>,
    born: Born,
}

impl Watch {
    fn engine(&self) -> PyResult<Option<Arc<engine::Watch>>> {
        self.born.check("watch")?;
        Ok(self.open.get())
    }
}

#[pymethods]
impl Watch {
    #[new]
    #[pyo3(signature = (target, discovery=None))]
    fn new(py: Python<'_>, target: &Bound<'_, PyAny>, discovery: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let target: String = fields::read("target", target)?;
        let options = discovery::watch_options(discovery.as_ref())?;
        let runtime = runtime::shared();
        let woken = Arc::new(Woken::new());
        let observer = Arc::clone(&woken);
        let watch = py.detach(|| {
            let target = runtime.parse(&target).map_err(unusable)?;
            runtime.watch(&target, options, observer).map_err(unusable)
        })?;
        Ok(Self { open: Open::new(watch), woken, born: Born::now() })
    }

    /// What is known now; None until the first answer.
    fn latest(&self, py: Python<'_>) -> PyResult<Option<PySnapshot>> {
        let Some(watch) = self.engine()? else { return Ok(None) };
        Ok(py.detach(|| watch.latest()).map(|snapshot| shown(&snapshot)))
    }

    /// The first snapshot after the one with this epoch; None after `timeout` seconds, or when there will be none. Signals are
    /// heeded.
    #[pyo3(signature = (after=0, timeout=None))]
    fn wait(&self, py: Python<'_>, after: u64, timeout: Option<f64>) -> PyResult<Option<PySnapshot>> {
        let Some(watch) = self.engine()? else { return Ok(None) };
        let next = || match watch.latest().filter(|snapshot| snapshot.epoch > after) {
            Some(snapshot) => Some(Some(snapshot)),
            None => (watch.has_ended() || self.open.is_closed()).then_some(None),
        };
        let found = waiting::wait(py, timeout, |left| {
            let changes = self.woken.count();
            next().or_else(|| {
                self.woken.wait_after(changes, left);
                next()
            })
        })?;
        Ok(found.flatten().map(|snapshot| shown(&snapshot)))
    }

    /// How fresh that is, what is held back and what was counted, as JSON; and why the snapshot on disk could not be read or
    /// written.
    fn status(&self, py: Python<'_>) -> PyResult<Option<(String, Option<String>)>> {
        let Some(watch) = self.engine()? else { return Ok(None) };
        Ok(py.detach(|| {
            let status = watch.status()?.to_json(Instant::now()).to_string();
            Some((status, watch.snapshot_error()))
        }))
    }

    /// Asks for another look, soon.
    fn resolve_now(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(watch) = self.engine()? {
            py.detach(|| watch.resolve_now());
        }
        Ok(())
    }

    /// Whether it will never say anything again.
    fn ended(&self) -> PyResult<bool> {
        Ok(self.engine()?.is_none_or(|watch| watch.has_ended()))
    }

    /// Ends it; whoever waits gets None. An inherited one stays as it is.
    fn close(&self, py: Python<'_>) {
        if !self.born.is_inherited() {
            self.open.close(py);
        }
    }
}

/// The text with the secrets of targets in it replaced by `***`.
#[pyfunction]
pub(crate) fn redact(text: &str) -> String {
    evener_discovery::target::redact(text)
}

fn shown(snapshot: &Snapshot) -> PySnapshot {
    (
        snapshot.epoch,
        snapshot.state.name(),
        snapshot.endpoints.iter().map(endpoint).collect(),
        snapshot.service_config.as_deref().map(str::to_owned),
        snapshot.revision.as_deref().map(str::to_owned),
    )
}

fn endpoint(endpoint: &Endpoint) -> PyEndpoint {
    (
        endpoint.addresses.iter().map(ToString::to_string).collect(),
        endpoint.weight,
        endpoint.priority,
        endpoint.zone.clone(),
        endpoint.region.clone(),
        endpoint.condition.name(),
        endpoint.metadata.clone(),
    )
}
