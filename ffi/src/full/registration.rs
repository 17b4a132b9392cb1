//! Servers that register themselves, and stay registered.

use core::ffi::c_char;
use core::mem::offset_of;
use std::time::{Duration, Instant};

use evener_core::sync::AtomicU32;
use evener_discovery::registration::{Ready, Registration, RegistrationOptions, RegistrationState};

use super::credentials::evener_credentials;
use super::driver::evener_driver;
use super::endpoints::{Refusal, evener_pair, pairs};
use super::fields::{flag, milliseconds};
use super::object::{self, free};
use super::secrets;
use super::service::{self, evener_service};
use super::text::{evener_text, explain, text, write_text};
use crate::boundary::{self, Marked, Sized32};
use crate::evener_status::{self, *};

/// A server's record in a registry, kept there until this is closed or freed: written, kept alive, read back now and then, and written
/// again whenever it is gone, however long the registry was away. Any thread may use it. Made by evener_register, freed by
/// evener_registration_free. In a forked child it is over: the server is the parent's.
///
/// Used by: evener_registration_state, evener_registration_wait, evener_registration_update, evener_registration_drain,
/// evener_registration_close, evener_registration_describe.
pub struct evener_registration {
    mark: AtomicU32,
    inner: Registration,
}

// SAFETY: `object::give` writes the mark when the object is whole, `object::take` zeroes it before it goes.
unsafe impl Marked for evener_registration {
    const KIND: u32 = 0x6576_7267;
    const MARK_AT: usize = offset_of!(Self, mark);
}

/// Where a registration stands.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_registration_phase {
    /// It has not been in the registry yet.
    EVENER_REGISTERING = 0,
    /// It is in the registry.
    EVENER_REGISTERED = 1,
    /// It was in the registry, and as far as is known it is not now. It will be again.
    EVENER_REGISTRATION_LOST = 2,
    /// It is marked as leaving, and still kept alive.
    EVENER_REGISTRATION_DRAINING = 3,
    /// It is over.
    EVENER_REGISTRATION_CLOSED = 4,
}

/// How a registration is kept. Zero it, set `struct_size`, then set what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_registration_options {
    /// `sizeof(evener_registration_options)`.
    pub struct_size: u32,
    /// 1: nothing is registered before a TCP connection to the address that is registered succeeds. 0: at once; whoever registers has
    /// made sure that the server can take calls.
    pub wait_for_listening: u32,
    /// Milliseconds between two looks at what the registry holds, to repair what is wrong; 0 = 30 s. At least 1000.
    pub verify_interval_ms: u32,
    /// Milliseconds that evener_registration_free waits for the record to be taken away; 0 = 2 s. `EVENER_OFF`: it does not wait.
    pub free_timeout_ms: u32,
    /// What the registry is asked with; null for what the environment says.
    pub credentials: *const evener_credentials,
    /// Null.
    pub reserved: *const c_char,
}

const SIZE: usize = 16 + 2 * size_of::<usize>();

// SAFETY: repr(C), struct_size first; four u32, then two pointers: no padding with 32 or 64 bit pointers. Integers and raw pointers
// take any bit pattern.
unsafe impl Sized32 for evener_registration_options {
    const SIZES: &'static [usize] = &[SIZE];
}

const _: () = assert!(size_of::<evener_registration_options>() == SIZE);

fn options(pointer: *const evener_registration_options) -> Result<RegistrationOptions, Refusal> {
    let mut options = RegistrationOptions::default();
    if pointer.is_null() {
        return Ok(options);
    }
    let given = read(pointer).map_err(|status| (status, "options".to_owned()))?;
    if !given.reserved.is_null() {
        return Err((EVENER_BAD_ARGUMENT, "options: reserved is not null".to_owned()));
    }
    if flag("wait_for_listening", given.wait_for_listening)? {
        options.ready = Ready::Listening;
    }
    options.verify_interval = milliseconds(given.verify_interval_ms, options.verify_interval);
    if options.verify_interval < Duration::from_secs(1) {
        return Err((EVENER_BAD_ARGUMENT, "options: verify_interval_ms is below one second".to_owned()));
    }
    options.drop_deadline = milliseconds(given.free_timeout_ms, options.drop_deadline);
    options.credentials = secrets::parse(given.credentials)?;
    Ok(options)
}

fn read(pointer: *const evener_registration_options) -> Result<evener_registration_options, evener_status> {
    Ok(versioned!(pointer))
}

/// Registers a server, from now until evener_registration_close: in etcd (`etcd:///`), in Consul (`consul:` or
/// `consul://agent:8500`). `options` and `error` may be null. It begins in the background: evener_registration_wait waits for it.
///
/// On `EVENER_OK` `*error` holds what of a `json` definition has no effect, mostly nothing.
///
/// Any thread. The caller frees it with evener_registration_free; it ends with its driver. Several servers of a process may be
/// registered. Not from an interrupt or signal handler.
/// Errors, told in words in `*error`: `EVENER_BAD_TARGET` (also where a forked child has inherited the driver), `EVENER_BAD_ARGUMENT`; also
/// `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_register(
    driver: *const evener_driver,
    target: *const c_char,
    target_len: usize,
    service: *const evener_service,
    options: *const evener_registration_options,
    registration: *mut *mut evener_registration,
    error: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(registration);
        let driver: &evener_driver = live!(driver);
        let target = text!(target, target_len);
        let given: evener_service = versioned!(service);
        let defined = service::parse(&given).map_err(|(status, why)| explain!(error, status, why))?;
        let options = self::options(options).map_err(|(status, why)| explain!(error, status, why))?;
        // Whose fault a refusal is.
        defined
            .definition
            .check()
            .map_err(|refused| explain!(error, EVENER_BAD_ARGUMENT, refused.message))?;
        if driver.inner.is_shut_down() {
            return Err(EVENER_SHUT_DOWN);
        }
        let begun = driver.inner.runtime().register(target, defined.definition, options, None);
        let inner = begun.map_err(|refused| explain!(error, EVENER_BAD_TARGET, refused.message))?;
        out.write(object::give(Box::new(evener_registration { mark: AtomicU32::new(0), inner })));
        Ok(explain!(error, EVENER_OK, defined.warnings.join("\n")))
    })
}

/// Frees a registration (null is nothing), closing it first: the record is taken away, which is waited for as its options say.
///
/// Any thread; no call on it may be under way. Not from an interrupt or signal handler.
/// Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_registration_free(registration: *mut evener_registration) -> evener_status {
    free!(registration)
}

/// Writes where it stands, an evener_registration_phase, and in `*cause`, which may be null, why it is not in the registry or what went
/// wrong last.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_registration_state(
    registration: *const evener_registration,
    state: *mut u32,
    cause: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(state);
        let registration: &evener_registration = live!(registration);
        let (number, why) = match registration.inner.state() {
            RegistrationState::Registering => (0, None),
            RegistrationState::Registered { .. } => (1, None),
            RegistrationState::Lost { cause, .. } => (2, Some(cause)),
            RegistrationState::Draining => (3, None),
            RegistrationState::Closed => (4, None),
        };
        let why = why.or_else(|| registration.inner.status()?.last_error);
        out.write(number);
        Ok(explain!(cause, EVENER_OK, why.map_or_else(String::new, |why| why.message)))
    })
}

/// Waits until it is in the registry, at most `timeout_ms` milliseconds (negative: for ever): `EVENER_OK` or `EVENER_TIMEOUT`.
///
/// Any thread; blocks. Not from an interrupt or signal handler.
/// Errors: `EVENER_SHUT_DOWN` (it is over), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_registration_wait(
    registration: *const evener_registration,
    timeout_ms: i64,
) -> evener_status {
    boundary::guard(|| {
        let registration: &evener_registration = live!(registration);
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        if registration.inner.wait_registered(timeout) {
            return Ok(EVENER_OK);
        }
        let is_over = registration.inner.state() == RegistrationState::Closed;
        if is_over { Err(EVENER_SHUT_DOWN) } else { Ok(EVENER_TIMEOUT) }
    })
}

/// Changes its weight (negative: as it is), its metadata (null: as it is), or both, in place: the record keeps its id and its lease.
///
/// Any thread. The list is copied. Not from an interrupt or signal handler.
/// Errors: `EVENER_BAD_ARGUMENT` (a weight above 2^32 - 1), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`,
/// `EVENER_BAD_UTF8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_registration_update(
    registration: *const evener_registration,
    weight: i64,
    metadata: *const evener_pair,
    metadata_len: usize,
) -> evener_status {
    boundary::guard(|| {
        let registration: &evener_registration = live!(registration);
        let weight = match u64::try_from(weight) {
            Ok(weight) => Some(u32::try_from(weight).map_err(|_| EVENER_BAD_ARGUMENT)?),
            Err(_) => None,
        };
        let values = pairs(slice!(metadata, metadata_len))?;
        registration.inner.update(weight, (!metadata.is_null()).then_some(values));
        Ok(EVENER_OK)
    })
}

/// Marks the server as leaving: clients give it no new calls. It stays registered until evener_registration_close.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_registration_drain(
    registration: *const evener_registration,
) -> evener_status {
    boundary::guard(|| {
        let registration: &evener_registration = live!(registration);
        registration.inner.drain();
        Ok(EVENER_OK)
    })
}

/// Ends it in the right order, and waits for that: the server is marked as leaving, `drain_ms` milliseconds go by (from the first such
/// mark), the record is taken away, which may take `timeout_ms`. `EVENER_OK`, or `EVENER_TIMEOUT` where the registry could not be asked:
/// it forgets the server after its time to live. Doing it twice does no more.
///
/// Any thread; blocks. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_registration_close(
    registration: *const evener_registration,
    drain_ms: u32,
    timeout_ms: u32,
) -> evener_status {
    boundary::guard(|| {
        let registration: &evener_registration = live!(registration);
        let (drain, timeout) =
            (Duration::from_millis(drain_ms.into()), Duration::from_millis(timeout_ms.into()));
        Ok(if registration.inner.close(drain, timeout) { EVENER_OK } else { EVENER_TIMEOUT })
    })
}

/// Writes what is known of it, as JSON: state, target, id, address, last error, and what was counted.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_registration_describe(
    registration: *const evener_registration,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let registration: &evener_registration = live!(registration);
        let status = registration.inner.status().map(|status| status.to_json(Instant::now()).to_string());
        write_text!(text, status.as_deref().unwrap_or("{}"))
    })
}
