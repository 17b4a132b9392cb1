//! The way of a call: start, wait, finish.

use core::ffi::c_char;
use std::cell::RefCell;
use std::time::{Duration, Instant};

use ::evener_channel::{CallReport, CallTicket, RawCall, StartCall};

use super::channel::{deadline, evener_channel};
use super::text::{evener_text, text, write_text};
use crate::boundary::{self, Sized32};
use crate::evener_status::{self, *};

/// A call, from evener_channel_start to evener_channel_finish. The caller's memory; zero it, or leave it as it is, before
/// starting. Do not copy it, and do not change it while the call is under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_call {
    /// After `EVENER_OK`: where the call goes.
    pub endpoint: u32,
    /// After `EVENER_FAIL`: the gRPC status code to fail with.
    pub code: u32,
    /// After `EVENER_QUEUE`: what evener_channel_wait waits with, and what evener_channel_epoch is compared with.
    pub epoch: u64,
    /// The library's.
    pub block: u32,
    /// The library's.
    pub slot: u32,
    /// The library's.
    pub generation: u32,
    /// The library's: when it began.
    pub start: u32,
    /// The library's: not 0 while the call is under way.
    pub mark: u32,
    /// The library's.
    pub reserved: u32,
}

/// Tells a call that is under way from memory that never held one, and from another channel's: odd, so that mixed with the address
/// of a channel, which is even, it is never 0.
const OPEN: u32 = 0x6576_6361;

fn mark(channel: &evener_channel) -> u32 {
    OPEN ^ core::ptr::from_ref(channel).addr() as u32
}

impl evener_call {
    const EMPTY: Self = Self {
        endpoint: 0,
        code: 0,
        epoch: 0,
        block: 0,
        slot: 0,
        generation: 0,
        start: 0,
        mark: 0,
        reserved: 0,
    };

    fn new(ticket: CallTicket, channel: &evener_channel) -> Self {
        let RawCall { endpoint, block, slot, generation, start, .. } = ticket.into_raw();
        Self { endpoint, block, slot, generation, start, mark: mark(channel), ..Self::EMPTY }
    }

    fn parse(&self, channel: &evener_channel) -> Result<CallTicket, evener_status> {
        if self.mark != mark(channel) {
            return Err(EVENER_STALE);
        }
        let Self { endpoint, block, slot, generation, start, .. } = *self;
        Ok(CallTicket::from_raw(RawCall { endpoint, block, slot, generation, start }))
    }
}

/// How a call ended. Zero it, set `struct_size`, then set what you know.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_report {
    /// `sizeof(evener_report)`.
    pub struct_size: u32,
    /// Its gRPC status code, 0 to 16. Any other number, which a server may send, counts as UNKNOWN (2).
    pub code: u32,
    /// 1: the application dropped it before it had a status; then `code` counts for nothing. Else 0.
    pub abandoned: u32,
    /// Zero.
    pub reserved: u32,
    /// How long it took, in nanoseconds.
    pub latency_ns: u64,
}

// SAFETY: repr(C), struct_size first; four u32, then a u64: no padding, integers only.
unsafe impl Sized32 for evener_report {
    const SIZES: &'static [usize] = &[24];
}

impl evener_report {
    fn parse(&self) -> Result<CallReport, evener_status> {
        if self.reserved != 0 || self.abandoned > 1 {
            return Err(EVENER_BAD_ARGUMENT);
        }
        let latency = Duration::from_nanos(self.latency_ns);
        Ok(CallReport { code: self.code, abandoned: self.abandoned == 1, latency })
    }
}

/// What the service config says about calls of a method.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_method_config {
    /// The longest a call may take, in nanoseconds; -1 = nothing said.
    pub timeout_ns: i64,
    /// The largest request, in bytes; -1 = nothing said.
    pub max_request_bytes: i64,
    /// The largest response, in bytes; -1 = nothing said.
    pub max_response_bytes: i64,
    /// 0 = nothing said, 1 = false, 2 = true.
    pub wait_for_ready: u32,
    /// Zero.
    pub reserved: u32,
}

thread_local! {
    /// Why the last evener_channel_start of this thread that failed did so.
    static FAILURE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Starts a call of `method` ("/package.Service/Method"). `wait_for_ready`: 0 = as the service config says, 1 = false, 2 = true.
///
/// `EVENER_OK`: send it to `call->endpoint`, and finish it. `EVENER_QUEUE`: no endpoint can take it yet; start it again when
/// evener_channel_wait returns or after an `EVENER_EVENT_PICK_AGAIN`. A transport that puts the call into a queue of its own must
/// then compare evener_channel_epoch with `call->epoch`, and start again at once if it has moved. `EVENER_FAIL`: fail it with
/// `call->code`; evener_channel_failure tells why.
///
/// Any thread; takes no lock and allocates nothing when it answers `EVENER_OK`. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`, `EVENER_BAD_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_start(
    channel: *const evener_channel,
    method: *const c_char,
    method_len: usize,
    wait_for_ready: u32,
    call: *mut evener_call,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(call);
        let channel: &evener_channel = live!(channel);
        let wait_for_ready = match wait_for_ready {
            0 => None,
            1 => Some(false),
            2 => Some(true),
            _ => return Err(EVENER_BAD_ARGUMENT),
        };
        match channel.inner.start_call(text!(method, method_len), wait_for_ready) {
            StartCall::Started(ticket) => out.write(evener_call::new(ticket, channel)),
            StartCall::Wait { epoch } => {
                out.write(evener_call { epoch, ..evener_call::EMPTY });
                return Ok(EVENER_QUEUE);
            }
            StartCall::Fail { code, message } => {
                // Not there any more while the thread ends: a destructor's call fails without a text.
                let _ = FAILURE.try_with(|failure| failure.replace(message));
                out.write(evener_call { code, ..evener_call::EMPTY });
                return Ok(EVENER_FAIL);
            }
        }
        Ok(EVENER_OK)
    })
}

/// Writes why the last evener_channel_start of the calling thread that answered `EVENER_FAIL` did so.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_failure(
    channel: *const evener_channel,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let _: &evener_channel = live!(channel);
        let failure = FAILURE.try_with(RefCell::take).unwrap_or_default();
        let answer = write_text!(text, &failure);
        let _ = FAILURE.try_with(|kept| kept.replace(failure));
        answer
    })
}

/// Reports how a call ended, and zeroes `*call`. Once per call that was started with `EVENER_OK`.
///
/// Any thread, but one at a time for the same call; takes no lock, allocates nothing. Not from an interrupt or signal handler.
/// Errors, with nothing counted and the call as it was: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`,
/// `EVENER_BAD_ARGUMENT`, `EVENER_STALE` (finished before, never started, or of another channel).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_finish(
    channel: *const evener_channel,
    call: *mut evener_call,
    report: *const evener_report,
) -> evener_status {
    boundary::guard(|| {
        let open = exclusive!(call);
        let channel: &evener_channel = live!(channel);
        let report: evener_report = versioned!(report);
        let report = report.parse()?;
        let ticket = open.parse(channel)?;
        if !channel.inner.finish_call(ticket, report) {
            return Err(EVENER_STALE);
        }
        *open = evener_call::EMPTY;
        Ok(EVENER_OK)
    })
}

/// Writes what the service config says about calls of a method.
///
/// Any thread; allocates nothing. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_method(
    channel: *const evener_channel,
    method: *const c_char,
    method_len: usize,
    config: *mut evener_method_config,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(config);
        let channel: &evener_channel = live!(channel);
        let known = channel.inner.method_config(text!(method, method_len));
        let bytes = |limit: Option<u64>| limit.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let timeout_ns =
            known.timeout.map_or(-1, |timeout| i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX));
        out.write(evener_method_config {
            timeout_ns,
            max_request_bytes: bytes(known.max_request_bytes),
            max_response_bytes: bytes(known.max_response_bytes),
            wait_for_ready: known.wait_for_ready.map_or(0, |wait| 1 + u32::from(wait)),
            reserved: 0,
        });
        Ok(EVENER_OK)
    })
}

/// Waits until something has changed for calls that were answered `EVENER_QUEUE` with this epoch, at most `timeout_ms` milliseconds
/// (negative: for ever). `EVENER_OK`: start the call again; else `EVENER_TIMEOUT`.
///
/// Any thread; blocks. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_wait(
    channel: *const evener_channel,
    epoch: u64,
    timeout_ms: i64,
) -> evener_status {
    boundary::guard(|| {
        let channel: &evener_channel = live!(channel);
        let moved = channel.inner.wait(epoch, deadline(Instant::now(), timeout_ms));
        Ok(if moved { EVENER_OK } else { EVENER_TIMEOUT })
    })
}

/// Writes the present epoch to `*epoch`: it moves whenever calls that wait should be started again.
///
/// Any thread; takes no lock. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_channel_epoch(
    channel: *const evener_channel,
    epoch: *mut u64,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(epoch);
        let channel: &evener_channel = live!(channel);
        out.write(channel.inner.epoch());
        Ok(EVENER_OK)
    })
}
