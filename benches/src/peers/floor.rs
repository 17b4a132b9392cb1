//! The least a pick can cost.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A counter in memory that only one thread uses, modulo `n`, which the compiler does not know.
pub fn private_counter(n: u32) -> impl FnMut() -> u64 {
    // Known to others, as far as the compiler can tell: it stays in memory. In a line of its own, or it would be another thread's too.
    let counter = Box::<Line>::default();
    black_box(&*counter);
    let n = black_box(n);
    move || {
        let count = counter.0.load(Relaxed);
        counter.0.store(count.wrapping_add(1), Relaxed);
        u64::from(count % n)
    }
}

/// A counter with a cache line to itself.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct Line(pub AtomicU32);

/// A locked add on a counter that all threads share.
pub fn locked_add(counter: &'static Line) -> impl FnMut() -> u64 {
    || u64::from(counter.0.fetch_add(1, Relaxed))
}
