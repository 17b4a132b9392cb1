//! Waiting without lost wake-ups: an epoch that moves whenever an answer may have changed.
//!
//! ```text
//! caller:     announce (flag := true, then read the epoch) ── look ── not yet? wait(epoch)
//! publisher:  publish ── advance (epoch + 1 under the lock, notify, take the flag)
//! ```
//!
//! The caller reads the epoch *before* it looks, the publisher moves it *after* it has published. So
//! whoever looked too early holds an old epoch and does not sleep. The flag tells the publisher
//! whether anybody may be waiting without a thread ([`Action::PickAgain`](crate::Action)): both sides
//! touch it by read-modify-write, so a caller either comes before the publisher's swap and is told, or
//! after it and sees what was published. The models below try each order the other way round.

use std::time::Instant;

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, lock};

/// Callers that wait for something to be published. Any thread, any method.
#[derive(Debug)]
pub(crate) struct Waiters {
    epoch: AtomicU64,
    announced: AtomicBool,
    lock: Mutex<()>,
    moved: Condvar,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            announced: AtomicBool::new(false),
            lock: Mutex::new(()),
            moved: Condvar::new(),
        }
    }

    /// The epoch now. Read it before looking at what was published.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Says that the caller may be about to wait, and returns the epoch to wait for the end of.
    pub(crate) fn announce(&self) -> u64 {
        self.announced.swap(true, Ordering::AcqRel);
        self.epoch()
    }

    /// Moves the epoch and wakes every waiting thread. Returns whether somebody had announced himself
    /// since the last time.
    pub(crate) fn advance(&self) -> bool {
        {
            let _guard = lock(&self.lock);
            self.epoch.fetch_add(1, Ordering::Release);
        }
        self.moved.notify_all();
        self.announced.swap(false, Ordering::AcqRel)
    }

    /// Blocks until the epoch is another than `seen` (true), or until the deadline (false).
    pub(crate) fn wait(&self, seen: u64, deadline: Option<Instant>) -> bool {
        let mut guard = lock(&self.lock);
        while self.epoch() == seen {
            let Some(deadline) = deadline else {
                guard = self.moved.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.moved.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_ends_the_wait() {
        let waiters = Waiters::new();
        assert!(!waiters.wait(waiters.epoch(), Some(Instant::now())));
        assert!(!waiters.wait(waiters.epoch(), Some(Instant::now() + Duration::from_millis(2))));
    }

    #[test]
    fn an_old_epoch_does_not_wait() {
        let waiters = Waiters::new();
        let seen = waiters.announce();
        assert!(waiters.advance());
        assert!(!waiters.advance(), "the flag is taken once");
        assert!(waiters.wait(seen, None));
    }

    #[test]
    fn every_waiting_thread_wakes() {
        let waiters = Arc::new(Waiters::new());
        let seen = waiters.epoch();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let waiters = Arc::clone(&waiters);
                std::thread::spawn(move || waiters.wait(seen, Some(Instant::now() + Duration::from_secs(20))))
            })
            .collect();
        waiters.advance();
        for thread in threads {
            assert!(thread.join().expect("no panic"));
        }
    }
}

/// Models under loom: no order of steps loses a wake-up, and each wrong order does.
#[cfg(all(test, loom))]
mod models {
    use loom::thread;

    use super::*;

    /// What is published is relaxed here: the epoch alone orders it.
    struct World {
        waiters: Waiters,
        ready: AtomicBool,
        /// An adapter's own queue of calls that wait without a thread: here one call, or none.
        queue: Mutex<bool>,
        /// `PickAgain` came while the call was in the queue.
        told: AtomicBool,
    }

    /// Leaked, a few hundred bytes an execution: where loom finds a deadlock it panics inside a thread,
    /// and one of its `Arc`s dropped there would panic again and abort the controls.
    fn world() -> &'static World {
        Box::leak(Box::new(World {
            waiters: Waiters::new(),
            ready: AtomicBool::new(false),
            queue: Mutex::new(false),
            told: AtomicBool::new(false),
        }))
    }

    fn publish(world: &World) {
        world.ready.store(true, Ordering::Relaxed);
        if world.waiters.advance() {
            pick_again(world);
        }
    }

    /// What an adapter does on `PickAgain`: it starts what is in its queue.
    fn pick_again(world: &World) {
        if std::mem::take(&mut *lock(&world.queue)) {
            world.told.store(true, Ordering::Relaxed);
        }
    }

    /// Runs a model and counts its executions, so that a model of one execution is noticed.
    fn explore(model: impl Fn() + Sync + Send + 'static) {
        explore_with(&loom::model::Builder::new(), model);
    }

    fn explore_with(builder: &loom::model::Builder, model: impl Fn() + Sync + Send + 'static) {
        let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&runs);
        builder.check(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            model();
        });
        assert!(runs.load(std::sync::atomic::Ordering::Relaxed) > 1, "only one execution explored");
    }

    #[test]
    fn a_blocked_caller_is_always_woken() {
        explore(|| {
            let world = world();
            let publisher = thread::spawn(move || publish(world));
            let seen = world.waiters.announce();
            if !world.ready.load(Ordering::Relaxed) {
                world.waiters.wait(seen, None);
                assert!(world.ready.load(Ordering::Relaxed), "woken before anything was published");
            }
            publisher.join().unwrap();
        });
    }

    #[test]
    fn two_blocked_callers_are_both_woken() {
        // Three threads: without a bound this takes half a minute instead of seconds, and passes too.
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(4);
        explore_with(&builder, || {
            let world = world();
            let other = thread::spawn(move || {
                let seen = world.waiters.announce();
                if !world.ready.load(Ordering::Relaxed) {
                    world.waiters.wait(seen, None);
                }
            });
            let publisher = thread::spawn(move || publish(world));
            let seen = world.waiters.announce();
            if !world.ready.load(Ordering::Relaxed) {
                world.waiters.wait(seen, None);
            }
            other.join().unwrap();
            publisher.join().unwrap();
        });
    }

    /// A caller without a thread: it queues itself, then compares epochs, as adapters are told to.
    fn queued_caller(
        announce: fn(&World) -> u64,
        compare: bool,
        publish: fn(&World),
    ) -> impl Fn() + Sync + Send + 'static {
        move || {
            let world = world();
            let publisher = thread::spawn(move || publish(world));
            let seen = announce(world);
            let started = world.ready.load(Ordering::Relaxed);
            *lock(&world.queue) = !started;
            let retried = compare && world.waiters.epoch() != seen;
            publisher.join().unwrap();
            assert!(started || retried || world.told.load(Ordering::Relaxed), "nobody tells the queued call");
        }
    }

    #[test]
    fn a_queued_caller_is_always_told() {
        explore(queued_caller(|world| world.waiters.announce(), true, publish));
    }

    #[test]
    #[should_panic(expected = "nobody tells the queued call")]
    fn control_a_caller_that_announces_nothing() {
        explore(queued_caller(|world| world.waiters.epoch(), true, publish));
    }

    #[test]
    #[should_panic(expected = "nobody tells the queued call")]
    fn control_a_queued_caller_that_compares_nothing() {
        explore(queued_caller(|world| world.waiters.announce(), false, publish));
    }

    #[test]
    #[should_panic(expected = "nobody tells the queued call")]
    fn control_telling_before_publishing() {
        explore(queued_caller(
            |world| world.waiters.announce(),
            true,
            |world| {
                if world.waiters.advance() {
                    pick_again(world);
                }
                world.ready.store(true, Ordering::Relaxed);
            },
        ));
    }

    #[test]
    #[should_panic(expected = "nobody tells the queued call")]
    fn control_taking_the_flag_before_publishing() {
        explore(queued_caller(
            |world| world.waiters.announce(),
            true,
            |world| {
                let told = world.waiters.announced.swap(false, Ordering::AcqRel);
                world.ready.store(true, Ordering::Relaxed);
                world.waiters.advance();
                if told {
                    pick_again(world);
                }
            },
        ));
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn control_reading_the_epoch_after_looking() {
        explore(|| {
            let world = world();
            let publisher = thread::spawn(move || publish(world));
            if !world.ready.load(Ordering::Relaxed) {
                let seen = world.waiters.announce();
                world.waiters.wait(seen, None);
            }
            publisher.join().unwrap();
        });
    }

    #[test]
    #[should_panic(expected = "woken before anything was published")]
    fn control_moving_the_epoch_before_publishing() {
        explore(|| {
            let world = world();
            let publisher = thread::spawn(move || {
                world.waiters.advance();
                world.ready.store(true, Ordering::Relaxed);
            });
            let seen = world.waiters.announce();
            if !world.ready.load(Ordering::Relaxed) {
                world.waiters.wait(seen, None);
                assert!(world.ready.load(Ordering::Relaxed), "woken before anything was published");
            }
            publisher.join().unwrap();
        });
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn control_moving_the_epoch_outside_the_lock() {
        explore(|| {
            let world = world();
            let publisher = thread::spawn(move || {
                world.ready.store(true, Ordering::Relaxed);
                world.waiters.epoch.fetch_add(1, Ordering::Release);
                world.waiters.moved.notify_all();
            });
            let seen = world.waiters.announce();
            if !world.ready.load(Ordering::Relaxed) {
                world.waiters.wait(seen, None);
            }
            publisher.join().unwrap();
        });
    }
}
