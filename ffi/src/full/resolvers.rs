//! Schemes of the application's own, resolved by its transport loop.

use core::ffi::c_char;

use evener_discovery::Endpoint;

use super::driver::evener_driver;
use super::endpoints::{self, evener_address_endpoint, optional};
use super::text::{evener_text, explain, text};
use crate::boundary::{self, Answer};
use crate::evener_status::{self, *};

/// The answer for a resolver that is or is not being resolved.
const fn known(was: bool) -> Answer {
    if was { Ok(EVENER_OK) } else { Err(EVENER_STALE) }
}

/// Makes a scheme the program's own: targets such as `mine:///users` are resolved by it, asked through `EVENER_EVENT_RESOLVE_START` and
/// its siblings. Concerns channels that are opened after this. A built-in scheme may be taken over. `error` may be null.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors, told in words in `*error`: `EVENER_BAD_ARGUMENT` (a scheme is a letter, then letters, digits, `+`, `-` and `.`); also
/// `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_driver_register_scheme(
    driver: *const evener_driver,
    scheme: *const c_char,
    scheme_len: usize,
    error: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let driver: &evener_driver = live!(driver);
        let scheme = text!(scheme, scheme_len);
        if driver.inner.is_shut_down() {
            return Err(EVENER_SHUT_DOWN);
        }
        let registered = driver.inner.register_polled_scheme(scheme);
        registered.map_err(|refused| explain!(error, EVENER_BAD_ARGUMENT, refused.message))?;
        Ok(EVENER_OK)
    })
}

/// Says all the endpoints that there are behind a resolver's target, as of now. None at all means that there is none, which is another
/// thing than not to know: see evener_resolver_fail. What of a change is held back the channels' options say. `error` may be null.
///
/// Any thread. The list is copied. Not from an interrupt or signal handler.
/// Errors, told in words in `*error`: `EVENER_BAD_ENDPOINT`, `EVENER_BAD_ARGUMENT`; also `EVENER_STALE` (the resolver was stopped, or never
/// was), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`. Nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_resolver_push(
    driver: *const evener_driver,
    resolver: u64,
    list: *const evener_address_endpoint,
    count: usize,
    error: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let driver: &evener_driver = live!(driver);
        let list: Vec<Endpoint> =
            endpoints::parse(slice!(list, count)).map_err(|(status, why)| explain!(error, status, why))?;
        known(driver.inner.resolver_push(resolver, list))
    })
}

/// Says that the endpoints behind a resolver's target cannot be found out now, and why, for people. What was pushed before stays in use.
///
/// Any thread. The text is copied. Not from an interrupt or signal handler.
/// Errors: `EVENER_STALE` (the resolver was stopped, or never was), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`,
/// `EVENER_BAD_UTF8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_resolver_fail(
    driver: *const evener_driver,
    resolver: u64,
    reason: *const c_char,
    reason_len: usize,
) -> evener_status {
    boundary::guard(|| {
        let driver: &evener_driver = live!(driver);
        known(driver.inner.resolver_fail(resolver, text!(reason, reason_len)))
    })
}

/// Says the service config (JSON, as gRPC's) that goes with a resolver's endpoints; null for none any more. Said before the endpoints
/// it is in force when they come. One that is wrong is refused by the channels, in their log; the one before stays.
///
/// Any thread. The text is copied. Not from an interrupt or signal handler.
/// Errors: `EVENER_STALE` (the resolver was stopped, or never was), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`,
/// `EVENER_BAD_UTF8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_resolver_service_config(
    driver: *const evener_driver,
    resolver: u64,
    json: *const c_char,
    json_len: usize,
) -> evener_status {
    boundary::guard(|| {
        let driver: &evener_driver = live!(driver);
        known(driver.inner.resolver_service_config(resolver, optional(json, json_len)?))
    })
}
