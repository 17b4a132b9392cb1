//! A case: something that is done many times, by one thread or by several at once, and timed as a whole.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

type Run = Box<dyn Fn(u64) -> f64>;

/// One thing to measure.
pub struct Case {
    /// Names it within its group.
    pub name: String,
    run: Run,
}

impl Case {
    /// `threads` threads that each do what `make` makes for them. The sum of what it returns is kept, so that nothing is
    /// optimised away.
    pub fn new<M, F>(name: impl Into<String>, threads: usize, make: M) -> Self
    where
        M: Fn() -> F + Sync + 'static,
        F: FnMut() -> u64,
    {
        let run: Run = match threads {
            1 => Box::new(move |times| repeat(&make, times)),
            _ => Box::new(move |times| together(threads, &make, times)),
        };
        Self { name: name.into(), run }
    }

    /// A case that measures itself: gets how often to do it, answers nanoseconds for one.
    pub fn timed(name: impl Into<String>, run: impl Fn(u64) -> f64 + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }

    /// The same case under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Does it so many times; answers nanoseconds for one. With several threads: as one of them sees it.
    pub fn run(&self, times: u64) -> f64 {
        (self.run)(times)
    }
}

/// The one place that calls what is measured, so that it is inlined here whatever it is.
#[inline(never)]
fn repeat<F: FnMut() -> u64>(make: &impl Fn() -> F, times: u64) -> f64 {
    let mut act = make();
    let mut sum = 0_u64;
    let begin = Instant::now();
    for _ in 0..times {
        sum = sum.wrapping_add(act());
    }
    black_box(sum);
    begin.elapsed().as_nanos() as f64 / times as f64
}

fn together<F: FnMut() -> u64>(threads: usize, make: &(impl Fn() -> F + Sync), times: u64) -> f64 {
    let arrived = AtomicUsize::new(0);
    let one = || {
        arrived.fetch_add(1, SeqCst);
        while arrived.load(SeqCst) < threads {
            spin_loop();
        }
        repeat(make, times)
    };
    let sum: f64 = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN)).sum()
    });
    sum / threads as f64
}
