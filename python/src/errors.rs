//! The exceptions of the package.

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use std::fmt::Display;

pyo3::create_exception!(
    evener,
    NoEndpoint,
    PyException,
    "There is nothing to pick. The text says why: `not_ready`, `no_endpoints`, `all_failing`, `not_serving` or `dropped`."
);
pyo3::create_exception!(
    evener,
    ConfigError,
    PyValueError,
    "A target, service config or list of endpoints that cannot be used; the text says which part and why."
);

/// What the user gave cannot be used.
pub(crate) fn unusable(reason: impl Display) -> PyErr {
    ConfigError::new_err(reason.to_string())
}
