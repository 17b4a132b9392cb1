//! The driver: where a transport waits for what its channels ask of it.

use core::ffi::c_char;
use core::mem::offset_of;
use core::ptr;
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use ::evener_channel::{Action, Driver, Event};
use evener_core::sync::AtomicU32;

use super::object::{self, free};
use crate::boundary::{self, Marked};
use crate::evener_event_kind;
use crate::evener_status::{self, *};

/// Where a transport waits for what its channels ask of it; it also owns the background threads that ask the system's
/// resolver and the registries, each started when first needed.
///
/// Any thread may use it; evener_driver_next is for one thread at a time. Made by evener_driver_new, freed by evener_driver_free. A child
/// that was forked off makes one of its own.
///
/// Used by: evener_driver_next, evener_driver_shutdown, evener_driver_wake_fd, evener_driver_next_timeout, evener_channel_open,
/// evener_driver_register_scheme, evener_register, evener_config_watch_open.
pub struct evener_driver {
    mark: AtomicU32,
    pub(super) inner: Driver,
    /// The text of the last event; whoever holds it is the one inside evener_driver_next.
    text: Mutex<String>,
}

// SAFETY: `object::give` writes the mark when the object is whole, `object::take` zeroes it before it goes.
unsafe impl Marked for evener_driver {
    const KIND: u32 = 0x6576_6471;
    const MARK_AT: usize = offset_of!(Self, mark);
}

/// Something for a transport to do.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_event {
    /// An evener_event_kind; expect, and ignore, kinds that this header does not know.
    pub kind: u32,
    /// The endpoint, for kinds about an endpoint: a small number, which means something else only after evener_channel_endpoint_closed.
    pub endpoint: u32,
    /// An evener_connectivity, for `EVENER_EVENT_STATE_CHANGED`.
    pub state: u32,
    /// An evener_log_level, for `EVENER_EVENT_LOG`.
    pub level: u32,
    /// The channel's own value, from its options.
    pub token: u64,
    /// The resolver, for kinds about one: a number that never comes again. Else 0.
    pub resolver: u64,
    /// For kinds that have one: UTF-8, no zero at the end, valid until the next evener_driver_next on this driver. Else null.
    pub text: *const c_char,
    /// Bytes in `text`.
    pub text_len: usize,
}

impl evener_event {
    const fn new(kind: evener_event_kind, token: u64) -> Self {
        Self {
            kind: kind as u32,
            endpoint: 0,
            state: 0,
            level: 0,
            token,
            resolver: 0,
            text: ptr::null(),
            text_len: 0,
        }
    }
}

/// The event as C sees it; its text moves to `text`. `None` for what this ABI has no number for.
fn export(event: Event, text: &mut String) -> Option<evener_event> {
    use evener_event_kind::*;
    let plain = |kind| evener_event::new(kind, event.channel);
    let about = |kind, endpoint| evener_event { endpoint, ..plain(kind) };
    Some(match event.action {
        Action::Connect { endpoint } => about(EVENER_EVENT_CONNECT, endpoint),
        Action::Disconnect { endpoint } => about(EVENER_EVENT_DISCONNECT, endpoint),
        Action::CancelCalls { endpoint } => about(EVENER_EVENT_CANCEL_CALLS, endpoint),
        Action::Close { endpoint } => about(EVENER_EVENT_CLOSE, endpoint),
        Action::StateChanged(state) => {
            evener_event { state: state as u32, ..plain(EVENER_EVENT_STATE_CHANGED) }
        }
        Action::PickAgain => plain(EVENER_EVENT_PICK_AGAIN),
        Action::Log { level, text: line } => {
            evener_event { level: level as u32, ..worded(plain(EVENER_EVENT_LOG), line, text) }
        }
        Action::ServiceConfig { json } => worded(plain(EVENER_EVENT_SERVICE_CONFIG), json, text),
        Action::ResolveStart { resolver, target } => {
            evener_event { resolver, ..worded(plain(EVENER_EVENT_RESOLVE_START), target, text) }
        }
        Action::ResolveStop { resolver } => evener_event { resolver, ..plain(EVENER_EVENT_RESOLVE_STOP) },
        Action::ResolveNow { resolver } => evener_event { resolver, ..plain(EVENER_EVENT_RESOLVE_NOW) },
        _ => return None,
    })
}

/// The event with a text, which is kept until the next one.
fn worded(event: evener_event, words: String, text: &mut String) -> evener_event {
    *text = words;
    evener_event { text: text.as_ptr().cast(), text_len: text.len(), ..event }
}

/// Makes a driver.
///
/// Any thread. The caller frees it with evener_driver_free. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_IO`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_driver_new(driver: *mut *mut evener_driver) -> evener_status {
    boundary::guard(|| {
        let out = out!(driver);
        let inner = Driver::new().map_err(|_| EVENER_IO)?;
        let object = evener_driver { mark: AtomicU32::new(0), inner, text: Mutex::new(String::new()) };
        out.write(object::give(Box::new(object)));
        Ok(EVENER_OK)
    })
}

/// Frees a driver (null is nothing), after shutting it down. Its channels live on, and answer `EVENER_SHUT_DOWN` where they need it.
///
/// Any thread; no call on the driver may be under way (a thread in evener_driver_next is sent home by evener_driver_shutdown first).
/// Not from an interrupt or signal handler.
/// Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_driver_free(driver: *mut evener_driver) -> evener_status {
    free!(driver)
}

impl Drop for evener_driver {
    fn drop(&mut self) {
        self.inner.shutdown();
    }
}

/// Waits for the next event, at most `timeout_ms` milliseconds (negative: for ever; 0: not at all), and writes it to `*event`.
/// Timers of the channels run in here: keep a thread in it, or call it as evener_driver_wake_fd and evener_driver_next_timeout say.
///
/// One thread at a time; a second one is answered `EVENER_BUSY`. Blocks. Not from an interrupt or signal handler.
/// Answers `EVENER_OK`, `EVENER_TIMEOUT`; errors: `EVENER_SHUT_DOWN`, `EVENER_BUSY`, `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`,
/// `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_driver_next(
    driver: *const evener_driver,
    timeout_ms: i64,
    event: *mut evener_event,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(event);
        let driver: &evener_driver = live!(driver);
        let mut text = match driver.text.try_lock() {
            Ok(text) => text,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(EVENER_BUSY),
        };
        loop {
            let Some(next) = next(&driver.inner, timeout_ms) else {
                return if driver.inner.is_shut_down() { Err(EVENER_SHUT_DOWN) } else { Ok(EVENER_TIMEOUT) };
            };
            if let Some(exported) = export(next, &mut text) {
                out.write(exported);
                return Ok(EVENER_OK);
            }
        }
    })
}

fn next(driver: &Driver, timeout_ms: i64) -> Option<Event> {
    match u64::try_from(timeout_ms) {
        Ok(0) => driver.try_next(),
        Ok(timeout) => driver.next(Some(Duration::from_millis(timeout))),
        Err(_) => driver.next(None),
    }
}

/// Shuts a driver down: whoever waits in evener_driver_next, now or later, is answered `EVENER_SHUT_DOWN`.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_driver_shutdown(driver: *const evener_driver) -> evener_status {
    boundary::guard(|| {
        let driver: &evener_driver = live!(driver);
        driver.inner.shutdown();
        Ok(EVENER_OK)
    })
}

/// Writes to `*fd` a file descriptor that is readable when events wait, for programs with an event loop of their own: then call
/// evener_driver_next with a timeout of 0 until it answers `EVENER_TIMEOUT`. Only wait on it; it is the driver's.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_driver_wake_fd(driver: *const evener_driver, fd: *mut i32) -> evener_status {
    boundary::guard(|| {
        let out = out!(fd);
        let driver: &evener_driver = live!(driver);
        out.write(driver.inner.wake_fd());
        Ok(EVENER_OK)
    })
}

/// Writes to `*ms` after how many milliseconds evener_driver_next must be called though the descriptor did not become readable;
/// `EVENER_NONE` if there is no such time.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_driver_next_timeout(
    driver: *const evener_driver,
    ms: *mut i64,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(ms);
        let driver: &evener_driver = live!(driver);
        let Some(timeout) = driver.inner.next_timeout() else { return Ok(EVENER_NONE) };
        // Rounded up: woken a moment too early, a loop would spin.
        out.write(i64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX));
        Ok(EVENER_OK)
    })
}
