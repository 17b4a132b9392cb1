//! A class with a method that does nothing: the floor under every Python method written in Rust.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

/// Frozen, as `evener.Balancer` is.
#[pyclass(frozen)]
struct Noop;

#[pymethods]
impl Noop {
    #[new]
    const fn new() -> Self {
        Self
    }

    /// Does nothing.
    #[allow(clippy::unused_self, reason = "a method is what is measured")]
    const fn no_op(&self) {}
}

#[pymodule]
fn _noop(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Noop>()
}
