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
            1 => Box::new(move |times| alone(&make, times)),
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

    /// Does it so many times; answers nanoseconds for one. With several threads: as one of them sees it, and not a number
    /// if they did not run at the same time.
    pub fn run(&self, times: u64) -> f64 {
        (self.run)(times)
    }
}

/// One thread's turn.
#[derive(Clone, Copy)]
struct Turn {
    begin: Instant,
    end: Instant,
}

impl Turn {
    fn nanoseconds(self) -> f64 {
        (self.end - self.begin).as_nanos() as f64
    }
}

fn alone<F: FnMut() -> u64>(make: &impl Fn() -> F, times: u64) -> f64 {
    repeat(make(), times).nanoseconds() / times as f64
}

/// The one place that calls what is measured, so that it is inlined here whatever it is.
#[inline(never)]
fn repeat<F: FnMut() -> u64>(mut act: F, times: u64) -> Turn {
    let mut sum = 0_u64;
    let begin = Instant::now();
    for _ in 0..times {
        sum = sum.wrapping_add(act());
    }
    black_box(sum);
    Turn { begin, end: Instant::now() }
}

/// How much of their time all threads must have run at once.
const TOGETHER: f64 = 0.8;

/// Each thread has a core to itself and waits for the others. Not a number if they did not run at the same time nevertheless, as
/// another program had one of the cores: what was measured then is one thread.
fn together<F: FnMut() -> u64>(threads: usize, make: &(impl Fn() -> F + Sync), times: u64) -> f64 {
    let arrived = AtomicUsize::new(0);
    let one = |number: usize| {
        pin_to(number);
        let act = make();
        arrived.fetch_add(1, SeqCst);
        while arrived.load(SeqCst) < threads {
            spin_loop();
        }
        repeat(act, times)
    };
    let one = &one;
    let turns: Vec<Turn> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|number| scope.spawn(move || one(number))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let begin = turns.iter().map(|turn| turn.begin).max();
    let end = turns.iter().map(|turn| turn.end).min();
    let (Some(begin), Some(end)) = (begin, end) else { return f64::NAN };
    let both = end.saturating_duration_since(begin).as_nanos() as f64;
    let longest = turns.iter().map(|turn| turn.nanoseconds()).fold(0.0, f64::max);
    if both < TOGETHER * longest {
        return f64::NAN;
    }
    turns.iter().map(|turn| turn.nanoseconds()).sum::<f64>() / turns.len() as f64 / times as f64
}

/// Keeps the calling thread on one of the cores that the process may use; elsewhere than on Linux, the system places it.
fn pin_to(number: usize) {
    #[cfg(target_os = "linux")]
    {
        use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
        use nix::unistd::Pid;
        let this = Pid::from_raw(0);
        let Ok(allowed) = sched_getaffinity(this) else { return };
        let cores = || (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        let mut only = CpuSet::new();
        if let Some(core) = cores().nth(number % cores().count().max(1)) {
            // Where it is refused, the turn's overlap still tells whether the threads ran at once.
            let _ = only.set(core).and_then(|()| sched_setaffinity(this, &only));
        }
    }
}
