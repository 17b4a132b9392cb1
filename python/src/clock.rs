//! The core's time: microseconds since the process first asked, in wrapping `u32` ticks.

use pyo3::PyResult;
use pyo3::exceptions::PyValueError;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

static START: OnceLock<Instant> = OnceLock::new();

/// Now, in ticks.
pub(crate) fn ticks() -> u32 {
    START.get_or_init(Instant::now).elapsed().as_micros() as u32
}

/// A timeout in seconds: negative is none left, and years are as good as for ever. ValueError for what is no number.
pub(crate) fn timeout(seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() {
        return Err(PyValueError::new_err("the timeout is not a number"));
    }
    Ok(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

/// A time in seconds that is given as an option: what is wrong with it, if it cannot be one.
pub(crate) fn seconds(value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value).map_err(|error| format!("{value}: {error}"))
}
