//! The core's time: microseconds since the process first asked, in wrapping `u32` ticks.

use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Now, in ticks.
pub(crate) fn ticks() -> u32 {
    START.get_or_init(Instant::now).elapsed().as_micros() as u32
}

/// Seconds as ticks; what is longer than ticks can say is the longest that can be compared.
pub(crate) fn ticks_of(seconds: f64) -> u32 {
    const LONGEST: f64 = (1_u32 << 31) as f64 - 1.0;
    (seconds * 1e6).clamp(0.0, LONGEST) as u32
}
