//! The core's time: microseconds since the process first asked, in wrapping `u32` ticks.

use crate::errors::unusable;
use crate::fields;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// More than 30 years, which is as good as for ever.
const LONGEST_SECONDS: f64 = 1e9;

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
    Ok(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SECONDS)))
}

/// A time in seconds that is given as an option: what is wrong with it, if it cannot be one.
pub(crate) fn seconds(value: f64) -> Result<Duration, String> {
    if (0.0..=LONGEST_SECONDS).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    // With an exponent where there are many digits.
    Err(format!("{value:?}: seconds are wanted, 0 or more, {LONGEST_SECONDS} at most"))
}

/// The same of whatever Python gives; errors name `place`.
pub(crate) fn read_seconds(place: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    seconds(fields::read(place, value)?).map_err(|why| unusable(format!("{place}: {why}")))
}

/// The same number, if it can be a time in seconds: for one that is needed only later, when it is too late to refuse it.
#[pyfunction]
pub(crate) fn check_seconds(place: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    read_seconds(place, value).map(|time| time.as_secs_f64())
}
