//! Objects that a forked child has inherited.
//!
//! The engine's threads and the holders of its locks do not exist in the child, so an inherited object must not be touched, not
//! even to be dropped. Python tells this module of each fork; objects remember which process they were made in, and no call
//! has to ask the system for it.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// To be called in the child after each fork: whatever exists now is inherited.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Relaxed);
}

/// Which process an object was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Born(u32);

impl Born {
    pub(crate) fn now() -> Self {
        Self(FORKS.load(Relaxed))
    }

    /// Whether the object was made before a fork, and this is the child.
    #[inline]
    pub(crate) fn is_inherited(self) -> bool {
        FORKS.load(Relaxed) != self.0
    }

    /// RuntimeError for an inherited object.
    #[inline]
    pub(crate) fn check(self, what: &str) -> PyResult<()> {
        if self.is_inherited() {
            return Err(inherited(what));
        }
        Ok(())
    }
}

#[cold]
fn inherited(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!(
        "this {what} was made before fork() and works only in the parent: make a new one in the child"
    ))
}
