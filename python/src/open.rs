//! What is open until it is closed, from whichever thread.

use pyo3::Python;
use std::sync::{Arc, Mutex, PoisonError};

/// Something that several threads use and any of them may close. Its lock is held by threads that are attached to the
/// interpreter only, and for a moment, so that nobody holds it in a forked child.
pub(crate) struct Open<T: Send + Sync>(Mutex<Option<Arc<T>>>);

impl<T: Send + Sync> Open<T> {
    pub(crate) fn new(thing: T) -> Self {
        Self(Mutex::new(Some(Arc::new(thing))))
    }

    /// The thing, unless it is closed.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.get().is_none()
    }

    /// Lets go of the thing, outside of the interpreter: whoever uses it right now is the last one to.
    pub(crate) fn close(&self, py: Python<'_>) {
        let thing = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(thing));
    }
}
