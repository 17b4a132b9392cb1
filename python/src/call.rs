//! A call that `evener.Balancer.start` began.

use crate::balancer::Balancer;
use crate::names;
use evener_core::{Outcome, Ticket};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyException, PyTimeoutError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::{Mutex, PoisonError};

/// One call in flight. It ends once: by `finish`, at the end of its `with` block, or abandoned when it is dropped.
///
/// >>> import evener
/// >>> call = evener.Balancer(["a"]).start()
/// >>> call.endpoint
/// 'a'
/// >>> call.finish()
#[pyclass(frozen, generic, module = "evener")]
pub(crate) struct Call {
    balancer: Py<Balancer>,
    ticket: Mutex<Option<Ticket>>,
    endpoint: Py<PyAny>,
}

impl Call {
    pub(crate) const fn new(balancer: Py<Balancer>, ticket: Ticket, endpoint: Py<PyAny>) -> Self {
        Self { balancer, ticket: Mutex::new(Some(ticket)), endpoint }
    }

    pub(crate) fn finish_now(&self, py: Python<'_>, outcome: Outcome) -> PyResult<()> {
        match self.take() {
            Some(ticket) => self.balancer.get().end(Some(py), ticket, outcome),
            None => Ok(()),
        }
    }

    fn take(&self) -> Option<Ticket> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Call {
    /// The endpoint it goes to: the very object that the balancer was given.
    #[getter]
    fn endpoint(&self, py: Python<'_>) -> Py<PyAny> {
        self.endpoint.clone_ref(py)
    }

    /// Ends the call, as `Balancer.finish` does.
    ///
    /// >>> import evener
    /// >>> evener.Balancer(["a"]).start().finish("timed_out")
    #[pyo3(signature = (outcome="success"))]
    fn finish(&self, py: Python<'_>, outcome: &str) -> PyResult<()> {
        self.finish_now(py, names::outcome(outcome)?)
    }

    fn __enter__(&self, py: Python<'_>) -> Py<PyAny> {
        self.endpoint.clone_ref(py)
    }

    #[pyo3(signature = (kind, error, trace, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyType>>,
        error: Option<&Bound<'_, PyAny>>,
        trace: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (error, trace);
        self.finish_now(py, outcome_of(kind)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.balancer)?;
        visit.call(&self.endpoint)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // A child's copy of a call that runs in the parent is no call of the child's.
        let Some(ticket) = self.take() else { return };
        if !self.balancer.get().is_inherited() {
            let ended = self.balancer.get().end(None, ticket, Outcome::Abandoned);
            debug_assert!(ended.is_ok(), "without the interpreter nothing can raise");
        }
    }
}

/// How a block ended: what is not an `Exception` (cancellation, an interrupt) is nobody's failure.
fn outcome_of(kind: Option<&Bound<'_, PyType>>) -> PyResult<Outcome> {
    let Some(kind) = kind else { return Ok(Outcome::Success) };
    if kind.is_subclass_of::<PyTimeoutError>()? {
        return Ok(Outcome::TimedOut);
    }
    Ok(if kind.is_subclass_of::<PyException>()? { Outcome::Failure } else { Outcome::Cancelled })
}
