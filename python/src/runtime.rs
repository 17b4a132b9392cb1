//! Discovery's background thread: one for a process, whoever uses it. Channels, watches, configurations and registrations
//! share it, so that what is watched twice is asked for once.

use crate::clock;
use crate::fork::Born;
use crate::waiting;
use evener_discovery::runtime::Runtime;
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locked only by threads that are attached to the interpreter, and never while Python runs: since `os.fork` is attached
/// as well, nobody holds it in a forked child.
static SHARED: Mutex<Option<(Born, Runtime)>> = Mutex::new(None);

/// This process's runtime. Its thread starts with what is first watched or registered. Never waits.
///
/// A forked child has one of its own from here on; what was the parent's is dropped there without being touched.
pub(crate) fn shared() -> Runtime {
    let mut shared = lock();
    match shared.as_ref().filter(|(born, _)| !born.is_inherited()) {
        Some((_, runtime)) => runtime.clone(),
        None => shared.insert((Born::now(), Runtime::new())).1.clone(),
    }
}

/// The interpreter ends: registrations are withdrawn, watches say no more, the thread ends, and whoever waits for them comes back.
/// Waits for that, at most `deadline` seconds, outside of the interpreter; False when the time was up first. Nothing begins after
/// this.
#[pyfunction]
pub(crate) fn end_discovery(py: Python<'_>, deadline: f64) -> PyResult<bool> {
    let deadline = clock::timeout(deadline)?;
    let runtime = shared();
    let ended = py.detach(|| runtime.shutdown(deadline));
    waiting::end(py);
    Ok(ended)
}

fn lock() -> MutexGuard<'static, Option<(Born, Runtime)>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}
