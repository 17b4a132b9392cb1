//! How much a balancer can hold, and the memory that takes.

use evener_core::{Limits, Options};

use super::layout::{ALIGN, Layout};
use crate::boundary::{self, Answer, Sized32};
use crate::evener_status::{self, *};

/// How much a balancer can hold, and how it behaves for good. Zero it, set `struct_size`, then set what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_limits {
    /// `sizeof(evener_limits)`.
    pub struct_size: u32,
    /// Endpoints at once, those that still drain included: 1 to 65 534.
    pub endpoints: u32,
    /// Entries of the exact weighted schedule: 0 (none) to 65 536. Weights whose sum, divided by their greatest common divisor, fits
    /// are served exactly (3:2:1 needs 6 entries); others evenly over time.
    pub schedule: u32,
    /// Ticks (microseconds) after which the calls of a removed endpoint are to be cancelled; 0 = never. At most 2^31 - 1.
    pub drain_timeout: u32,
    /// Calls in flight that one endpoint may have; 0 = no limit.
    pub calls_per_endpoint: u32,
    /// Ticks that a tier of priorities may take to connect before the next one is connected too; 0 = 10 s. At most 2^31 - 1.
    pub failover_timeout: u32,
    /// Start of everything random. The same seed and the same inputs give the same picks on every platform.
    pub seed: u64,
}

// SAFETY: repr(C), struct_size first, no padding (six u32, then a u64), integers only.
unsafe impl Sized32 for evener_limits {
    const SIZES: &'static [usize] = &[32];
}

/// A time to come: one of 2^31 ticks or more ahead counts as past.
pub(super) fn check_ticks(ahead: u32) -> Result<(), evener_status> {
    if ahead > i32::MAX as u32 { Err(EVENER_BAD_ARGUMENT) } else { Ok(()) }
}

/// The limits and options as the core takes them.
pub(super) fn parse(limits: &evener_limits) -> Result<(Limits, Options), evener_status> {
    check_ticks(limits.drain_timeout | limits.failover_timeout)?;
    let mut options = Options {
        seed: limits.seed,
        drain_timeout: limits.drain_timeout,
        calls_per_endpoint: limits.calls_per_endpoint,
        ..Options::default()
    };
    if limits.failover_timeout != 0 {
        options.failover_timeout = limits.failover_timeout;
    }
    let limits = Limits::new(limits.endpoints).with_schedule(limits.schedule);
    Ok((limits, options))
}

/// The bytes a balancer of these limits takes, written to `*size`.
///
/// Any thread; may be called from an interrupt handler. Keeps nothing.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_SIZE`, `EVENER_BAD_ARGUMENT` (a limit out of range).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_balancer_size(
    limits: *const evener_limits,
    size: *mut usize,
) -> evener_status {
    boundary::guard(|| -> Answer {
        let size = out!(size);
        let given: evener_limits = versioned!(limits);
        let (limits, _) = parse(&given)?;
        size.write(Layout::of(&limits)?.size);
        Ok(EVENER_OK)
    })
}

/// The alignment that the memory of a balancer needs, in bytes: a power of two.
///
/// Any thread; may be called from an interrupt handler. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn evener_balancer_align() -> usize {
    ALIGN
}
