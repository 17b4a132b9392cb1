//! Names that Python code uses for the core's enumerations, both ways.

use evener_core::{Connectivity, FailReason, Health, Outcome, Policy};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The names of the policies that can be chosen.
///
/// >>> import evener
/// >>> "round_robin" in evener.policies()
/// True
#[pyfunction]
pub(crate) fn policies() -> Vec<&'static str> {
    (0..).map_while(Policy::from_number).map(Policy::name).collect()
}

pub(crate) fn policy(name: &str) -> PyResult<Policy> {
    Policy::from_name(name).ok_or_else(|| unknown("policy", name))
}

pub(crate) fn state(name: &str) -> PyResult<Connectivity> {
    Ok(match name {
        "idle" => Connectivity::Idle,
        "connecting" => Connectivity::Connecting,
        "ready" => Connectivity::Ready,
        "transient_failure" => Connectivity::TransientFailure,
        "shutdown" => Connectivity::Shutdown,
        _ => return Err(unknown("state", name)),
    })
}

pub(crate) const fn state_name(state: Connectivity) -> &'static str {
    match state {
        Connectivity::Idle => "idle",
        Connectivity::Connecting => "connecting",
        Connectivity::Ready => "ready",
        Connectivity::TransientFailure => "transient_failure",
        Connectivity::Shutdown => "shutdown",
    }
}

pub(crate) fn health(name: &str) -> PyResult<Health> {
    Ok(match name {
        "unknown" => Health::Unknown,
        "serving" => Health::Serving,
        "not_serving" => Health::NotServing,
        _ => return Err(unknown("health", name)),
    })
}

pub(crate) fn outcome(name: &str) -> PyResult<Outcome> {
    Ok(match name {
        "success" => Outcome::Success,
        "failure" => Outcome::Failure,
        "rejected" => Outcome::Rejected,
        "cancelled" => Outcome::Cancelled,
        "timed_out" => Outcome::TimedOut,
        "abandoned" => Outcome::Abandoned,
        _ => return Err(unknown("outcome", name)),
    })
}

pub(crate) const fn reason_name(reason: FailReason) -> &'static str {
    match reason {
        FailReason::NoEndpoints => "no_endpoints",
        FailReason::AllFailing => "all_failing",
        FailReason::NotServing => "not_serving",
        _ => "failed",
    }
}

fn unknown(what: &str, name: &str) -> PyErr {
    PyValueError::new_err(format!("unknown {what} {name:?}"))
}
