//! The atomics that the whole crate uses: `core`'s, `portable-atomic`'s where a target has no
//! compare-and-swap, or loom's under `--cfg loom`. Nothing else in the crate names one directly.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, Ordering, fence};

#[cfg(all(not(loom), any(feature = "single-core", feature = "critical-section")))]
pub use portable_atomic::{AtomicU32, Ordering, fence};

#[cfg(all(not(loom), not(any(feature = "single-core", feature = "critical-section"))))]
pub use core::sync::atomic::{AtomicU32, Ordering, fence};

/// Tells the processor (or loom's scheduler) that the caller is about to try again.
pub(crate) fn pause() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    core::hint::spin_loop();
}
