//! A channel: its life, its endpoints, its state.

use core::ffi::c_char;
use core::mem::offset_of;
use std::time::{Duration, Instant};

use ::evener_channel::{Channel, OpenError, UpdateError};
use evener_core::sync::AtomicU32;
use evener_core::{Connectivity, Health};

use super::driver::evener_driver;
use super::endpoints::{self, evener_address_endpoint};
use super::object::{self, free};
use super::options::{self, evener_channel_options};
use super::text::{evener_text, explain, text, write_text};
use crate::boundary::{self, Answer, Marked};
use crate::evener_status::{self, *};

/// One channel: a target, its endpoints, and where the next call goes.
///
/// Any thread may use it. Made by evener_channel_open, freed by evener_channel_free.
///
/// Used by: evener_channel_start, evener_channel_finish, evener_channel_method, evener_channel_wait and all else named evener_channel.
pub struct evener_channel {
    mark: AtomicU32,
    pub(super) inner: Channel,
}

// SAFETY: `object::give` writes the mark when the object is whole, `object::take` zeroes it before it goes.
unsafe impl Marked for evener_channel {
    const KIND: u32 = 0x6576_6373;
    const MARK_AT: usize = offset_of!(Self, mark);
}

/// Opens a channel to a target: `static:///h:p;weight=3,h:p`, `static:///NAME`, `ipv4:...`, `ipv6:...`, `unix:...`, `dns:///...` or a bare
/// name. `options` and `error` may be null. It is idle, and resolves nothing, until its first call or evener_channel_state asks it to
/// connect.
///
/// Any thread. The caller frees it with evener_channel_free. The driver must outlive this call only. Not from an interrupt or
/// signal handler.
/// Errors, told in words in `*error`: `EVENER_BAD_TARGET`, `EVENER_BAD_CONFIG`, `EVENER_BAD_ENDPOINT`, `EVENER_FULL`, `EVENER_BAD_ARGUMENT`; also
/// `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`, `EVENER_IO`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_open(
    driver: *const evener_driver,
    target: *const c_char,
    target_len: usize,
    options: *const evener_channel_options,
    channel: *mut *mut evener_channel,
    error: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(channel);
        let driver: &evener_driver = live!(driver);
        let target = text!(target, target_len);
        let (mut parsed, mut token) = (Default::default(), 0);
        if !options.is_null() {
            let given: evener_channel_options = versioned!(options);
            parsed = options::parse(&given).map_err(|(status, why)| explain!(error, status, why))?;
            token = given.token;
        }
        if driver.inner.is_shut_down() {
            return Err(EVENER_SHUT_DOWN);
        }
        let inner = Channel::open(&driver.inner, target, parsed, token)
            .map_err(|refused| explain!(error, status_of(&refused), refused))?;
        out.write(object::give(Box::new(evener_channel { mark: AtomicU32::new(0), inner })));
        Ok(EVENER_OK)
    })
}

const fn status_of(refused: &OpenError) -> evener_status {
    match refused {
        OpenError::Target(_) => EVENER_BAD_TARGET,
        OpenError::Config(_) => EVENER_BAD_CONFIG,
        OpenError::Endpoints(list) => status_of_list(list),
        OpenError::ShutDown => EVENER_SHUT_DOWN,
        OpenError::Source(_) => EVENER_BAD_ARGUMENT,
        _ => EVENER_BAD_ARGUMENT,
    }
}

const fn status_of_list(refused: &UpdateError) -> evener_status {
    match refused {
        UpdateError::NoAddress { .. } => EVENER_BAD_ENDPOINT,
        UpdateError::Closed => EVENER_SHUT_DOWN,
        _ => EVENER_FULL,
    }
}

/// The answer for an endpoint that the engine did or did not know.
const fn known(was: bool) -> Answer {
    if was { Ok(EVENER_OK) } else { Err(EVENER_STALE) }
}

/// Frees a channel (null is nothing), after closing it. Events with its token may still come from the driver; nobody answers them.
///
/// Any thread; no call on the channel may be under way. Calls that were started are forgotten. Not from an interrupt or signal
/// handler.
/// Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_free(channel: *mut evener_channel) -> evener_status {
    free!(channel)
}

impl Drop for evener_channel {
    fn drop(&mut self) {
        self.inner.close();
    }
}

/// Closes a channel: no call starts any more, its state is `EVENER_SHUTDOWN`, its endpoints drain and are closed through the driver.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_close(channel: *const evener_channel) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        channel.inner.close();
        Ok(EVENER_OK)
    })
}

/// Reports the state of an endpoint's connection, an evener_connectivity, with the reason if it failed (null for none).
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`, `EVENER_BAD_ARGUMENT` (no such state),
/// `EVENER_STALE` (no such endpoint).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_set_state(
    channel: *const evener_channel,
    endpoint: u32,
    state: u32,
    error: *const c_char,
    error_len: usize,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let state = Connectivity::from_number(state).ok_or(EVENER_BAD_ARGUMENT)?;
        known(channel.inner.set_state(endpoint, state, text!(error, error_len)))
    })
}

/// Reports an endpoint's health, an evener_health, where the transport checks it apart from the connection.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_ARGUMENT` (no such health), `EVENER_STALE` (no
/// such endpoint).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_set_health(
    channel: *const evener_channel,
    endpoint: u32,
    health: u32,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let health = Health::from_number(health).ok_or(EVENER_BAD_ARGUMENT)?;
        known(channel.inner.set_health(endpoint, health))
    })
}

/// Writes the service whose health each server is to be asked for (gRPC's `grpc.health.v1.Health/Watch` on every connection, reported
/// by evener_channel_set_health; empty for the server as a whole); `EVENER_NONE` where the service config wants no health checks: then
/// a server that is connected counts as healthy. May change with every `EVENER_EVENT_SERVICE_CONFIG`.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_health_service(
    channel: *const evener_channel,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let Some(service) = channel.inner.health_service() else { return Ok(EVENER_NONE) };
        write_text!(text, &service)
    })
}

/// Writes what to connect for an endpoint, as a target for gRPC ("ipv4:127.0.0.1:50051"); `EVENER_NONE` if there is no such endpoint.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_endpoint_target(
    channel: *const evener_channel,
    endpoint: u32,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let Some(target) = channel.inner.endpoint_target(endpoint) else { return Ok(EVENER_NONE) };
        write_text!(text, &target)
    })
}

/// Tells that the transport has freed what belonged to an endpoint, after `EVENER_EVENT_CLOSE`: its number may be used again.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE` (it was not to be closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_endpoint_closed(
    channel: *const evener_channel,
    endpoint: u32,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        known(channel.inner.closed(endpoint))
    })
}

/// Replaces the endpoints; from now on the application's list counts, not what the target resolves to. `error` may be null.
///
/// Any thread. The list is copied. Not from an interrupt or signal handler.
/// Errors, told in words in `*error`: `EVENER_BAD_ENDPOINT`, `EVENER_BAD_ARGUMENT`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`, `EVENER_FULL` (more than a
/// channel can ever hold; or too many beside removed ones whose calls still run: then the list is kept, and counts once enough of
/// them have ended); also `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`. But for the one case nothing has changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_update_endpoints(
    channel: *const evener_channel,
    list: *const evener_address_endpoint,
    count: usize,
    error: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let list =
            endpoints::parse(slice!(list, count)).map_err(|(status, why)| explain!(error, status, why))?;
        let updated = channel.inner.update_endpoints(list);
        updated.map_err(|refused| explain!(error, status_of_list(&refused), refused))?;
        Ok(EVENER_OK)
    })
}

/// Replaces the service config (JSON, as gRPC's). What parses but is not obeyed comes as log events. `error` may be null.
///
/// Any thread. The text is copied. Not from an interrupt or signal handler.
/// Errors: `EVENER_BAD_CONFIG` (the reason is in `*error`; the previous config stays in force), `EVENER_NULL_POINTER`,
/// `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_set_service_config(
    channel: *const evener_channel,
    json: *const c_char,
    json_len: usize,
    error: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let set = channel.inner.set_service_config(text!(json, json_len));
        set.map_err(|refused| explain!(error, EVENER_BAD_CONFIG, refused))?;
        Ok(EVENER_OK)
    })
}

/// Writes the channel's state, an evener_connectivity, to `*state`; if `try_to_connect` is not 0 and it is idle, it begins to connect.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_state(
    channel: *const evener_channel,
    try_to_connect: u32,
    state: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(state);
        let channel: &evener_channel = live!(channel);
        out.write(channel.inner.state(try_to_connect != 0) as u32);
        Ok(EVENER_OK)
    })
}

/// Waits until the channel's state is another than `last`, an evener_connectivity, at most `timeout_ms` milliseconds (negative: for
/// ever): `EVENER_OK` or `EVENER_TIMEOUT`.
///
/// Any thread; blocks. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_ARGUMENT` (no such state).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_wait_for_state_change(
    channel: *const evener_channel,
    last: u32,
    timeout_ms: i64,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let last = Connectivity::from_number(last).ok_or(EVENER_BAD_ARGUMENT)?;
        let changed = channel.inner.wait_for_state_change(last, deadline(Instant::now(), timeout_ms));
        Ok(if changed { EVENER_OK } else { EVENER_TIMEOUT })
    })
}

/// Waits until the channel is READY, connecting it if it is idle, at most `timeout_ms` milliseconds (negative: for ever): `EVENER_OK`,
/// or `EVENER_TIMEOUT` with what is missing in `why`, which may be null: the resolution, the endpoints, or each one's last error.
/// The driver's events must be handled by another thread meanwhile.
///
/// Any thread; blocks. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_SHUT_DOWN`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_wait_until_ready(
    channel: *const evener_channel,
    timeout_ms: i64,
    why: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let waited = channel.inner.wait_until_ready(deadline(Instant::now(), timeout_ms));
        let is_closed = || channel.inner.state(false) == Connectivity::Shutdown;
        let status = |_: &String| if is_closed() { EVENER_SHUT_DOWN } else { EVENER_TIMEOUT };
        waited.map(|()| EVENER_OK).map_err(|reason| explain!(why, status(&reason), reason))
    })
}

/// Writes the authority that calls of this channel carry.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_authority(
    channel: *const evener_channel,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        write_text!(text, channel.inner.authority())
    })
}

/// Writes what is known of the channel, as JSON: endpoints with state, weight, calls in flight and last error, policy, config.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text; it may have grown by
/// the next time).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_describe(
    channel: *const evener_channel,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        write_text!(text, &channel.inner.describe())
    })
}

/// When a wait that begins now ends; none for a negative timeout or one beyond what the clock can count.
pub(super) fn deadline(now: Instant, timeout_ms: i64) -> Option<Instant> {
    let timeout = u64::try_from(timeout_ms).ok()?;
    now.checked_add(Duration::from_millis(timeout))
}
