//! How fields of options are read whose 0 is a default.

use std::time::Duration;

use super::endpoints::Refusal;
use crate::evener_status::EVENER_BAD_ARGUMENT;

/// In fields of milliseconds of which 0 is the default: none at all. What that means each field says.
pub const EVENER_OFF: u32 = u32::MAX;

/// A time of which 0 is the default and `EVENER_OFF` none at all.
pub(super) fn milliseconds(given: u32, default: Duration) -> Duration {
    match given {
        0 => default,
        EVENER_OFF => Duration::ZERO,
        given => Duration::from_millis(given.into()),
    }
}

/// A time that may be left out, by 0 or `EVENER_OFF`.
pub(super) fn given_milliseconds(given: u32) -> Option<Duration> {
    (given != 0 && given != EVENER_OFF).then(|| Duration::from_millis(given.into()))
}

pub(super) fn flag(name: &str, given: u32) -> Result<bool, Refusal> {
    match given {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(wrong(&format!("{name} is neither 0 nor 1"))),
    }
}

pub(super) fn wrong(why: &str) -> Refusal {
    (EVENER_BAD_ARGUMENT, why.to_owned())
}
