//! Configuration that lives in a registry.

use crate::credentials::credentials;
use crate::errors::unusable;
use crate::fields;
use crate::fork::Born;
use crate::open::Open;
use crate::{runtime, waiting};
use evener_discovery::config_watch::{self as engine, ConfigMap};
use evener_discovery::runtime::WatchOptions;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Epoch, revision, values.
type PyConfig = (u64, String, BTreeMap<String, Py<PyBytes>>);

/// A configuration, followed by discovery's background thread. Thread-safe.
///
/// Made before a fork, it raises RuntimeError in the child from every method but `close`.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct ConfigWatch {
    open: Open<engine::ConfigWatch>,
    born: Born,
}

impl ConfigWatch {
    fn engine(&self) -> PyResult<Option<Arc<engine::ConfigWatch>>> {
        self.born.check("configuration watch")?;
        Ok(self.open.get())
    }
}

#[pymethods]
impl ConfigWatch {
    #[new]
    #[pyo3(signature = (target, asked_with=None))]
    fn new(
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        asked_with: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let target: String = fields::read("target", target)?;
        let options =
            WatchOptions { credentials: credentials(asked_with.as_ref())?, ..WatchOptions::default() };
        let runtime = runtime::shared();
        let watch = py.detach(|| runtime.watch_config(&target, options, None)).map_err(unusable)?;
        Ok(Self { open: Open::new(watch), born: Born::now() })
    }

    /// What is known now; None until the first answer.
    fn latest(&self, py: Python<'_>) -> PyResult<Option<PyConfig>> {
        let Some(watch) = self.engine()? else { return Ok(None) };
        Ok(py.detach(|| watch.latest()).map(|map| shown(py, &map)))
    }

    /// The first configuration after the one with this epoch; None after `timeout` seconds, or when there will be none. Signals
    /// are heeded.
    #[pyo3(signature = (after=0, timeout=None))]
    fn wait(&self, py: Python<'_>, after: u64, timeout: Option<f64>) -> PyResult<Option<PyConfig>> {
        let Some(watch) = self.engine()? else { return Ok(None) };
        let found = waiting::wait(py, timeout, |left| match watch.wait(after, left) {
            Some(map) => Some(Some(map)),
            None => (watch.has_ended() || self.open.is_closed()).then_some(None),
        })?;
        Ok(found.flatten().map(|map| shown(py, &map)))
    }

    /// How it is doing, as JSON.
    fn status(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let Some(watch) = self.engine()? else { return Ok(None) };
        Ok(py.detach(|| watch.status()).map(|status| status.to_json().to_string()))
    }

    /// Asks for another look, soon.
    fn resolve_now(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(watch) = self.engine()? {
            py.detach(|| watch.resolve_now());
        }
        Ok(())
    }

    /// Whether there will never be another configuration.
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

fn shown(py: Python<'_>, map: &ConfigMap) -> PyConfig {
    let values = map.values.iter().map(|(key, value)| (key.clone(), PyBytes::new(py, value).unbind()));
    (map.epoch, map.revision.clone(), values.collect())
}
