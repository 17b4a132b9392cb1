//! Waiting outside of the interpreter, with an ear for signals, and for the interpreter's end.

use crate::clock;
use crate::fork::Born;
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a wait stays outside of the interpreter before it looks for signals (Ctrl-C).
const SLICE: Duration = Duration::from_millis(200);
/// From one look at whether all have come back to the next.
const STEP: Duration = Duration::from_millis(5);

/// Locked only by threads that are attached to the interpreter, and never while Python runs: nobody holds it in a forked child.
static WAITERS: Mutex<Option<Waiters>> = Mutex::new(None);

/// Who waits in this process.
struct Waiters {
    born: Born,
    count: usize,
    ending: bool,
}

/// Calls `look` outside of the interpreter, each time with how long it may wait, until it finds something; None after `timeout`
/// seconds, or when the interpreter ends. Signals are heeded in between.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    look: impl Fn(Duration) -> Option<T> + Send + Sync,
) -> PyResult<Option<T>> {
    let limit = timeout.map(clock::timeout).transpose()?;
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let left = deadline.map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()));
        let Some(waiter) = Waiter::begin() else { return Ok(None) };
        let found = py.detach(|| look(left.min(SLICE)));
        drop(waiter);
        if found.is_some() {
            return Ok(found);
        }
        py.check_signals()?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}

/// The interpreter ends: whoever waits comes back now, and nobody waits again. A thread must not come back into an interpreter
/// that is gone.
pub(crate) fn end(py: Python<'_>) {
    with(|waiters| waiters.ending = true);
    let deadline = Instant::now() + 2 * SLICE;
    while with(|waiters| waiters.count) > 0 && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(STEP));
    }
}

/// One thread that is outside of the interpreter.
struct Waiter(Born);

impl Waiter {
    /// None once the interpreter ends.
    fn begin() -> Option<Self> {
        with(|waiters| {
            if waiters.ending {
                return None;
            }
            waiters.count += 1;
            Some(Self(waiters.born))
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // In a child the count began anew.
        if !self.0.is_inherited() {
            with(|waiters| waiters.count = waiters.count.saturating_sub(1));
        }
    }
}

fn with<T>(run: impl FnOnce(&mut Waiters) -> T) -> T {
    let mut waiters: MutexGuard<'_, Option<Waiters>> = WAITERS.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Waiters { born: Born::now(), count: 0, ending: false };
    if waiters.as_ref().is_some_and(|waiters| waiters.born.is_inherited()) {
        *waiters = None;
    }
    run(waiters.get_or_insert_with(new))
}
