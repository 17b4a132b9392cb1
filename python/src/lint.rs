//! What a careful colleague would say before something goes into production.

use evener_channel::lint::{self as engine, Finding};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Severity, code, place, message, advice, corrected text.
type PyFinding = (&'static str, &'static str, String, String, String, Option<String>);

/// The findings of a text: a `document`, by what is in it, a `target`, a `service_config`, or `channel_args`. Nothing is looked
/// up.
#[pyfunction]
pub(crate) fn lint(py: Python<'_>, text: &str, kind: &str) -> PyResult<Vec<PyFinding>> {
    let look = match kind {
        "document" => engine::document,
        "target" => engine::target,
        "service_config" => engine::service_config,
        "channel_args" => engine::channel_args_document,
        _ => return Err(PyValueError::new_err(format!("{kind}: no such kind of text"))),
    };
    Ok(py.detach(|| look(text)).into_iter().map(shown).collect())
}

fn shown(finding: Finding) -> PyFinding {
    let Finding { severity, code, place, message, advice, corrected, .. } = finding;
    (severity.name(), code, place, message, advice, corrected)
}
