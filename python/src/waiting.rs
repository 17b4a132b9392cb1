//! Waiting outside of the interpreter, with an ear for signals.

use crate::clock;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// How long a wait stays outside of the interpreter before it looks for signals (Ctrl-C).
const SLICE: Duration = Duration::from_millis(200);

/// Calls `look` outside of the interpreter, each time with how long it may wait, until it finds something; None after `timeout`
/// seconds. Signals are heeded in between.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    look: impl Fn(Duration) -> Option<T> + Send + Sync,
) -> PyResult<Option<T>> {
    let limit = timeout.map(clock::timeout).transpose()?;
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let left = deadline.map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()));
        if let Some(found) = py.detach(|| look(left.min(SLICE))) {
            return Ok(Some(found));
        }
        py.check_signals()?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}
