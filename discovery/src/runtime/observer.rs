//! Who is told that there is something new.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Is told that a watch has something new to say. Called on the runtime's thread, which all watches share: it must
/// not block. A panic in it is caught and dropped.
pub trait Observer: Send + Sync + 'static {
    /// The watch's snapshot, state or errors may be others than before.
    fn changed(&self);
}

/// An observer to wait on, for whoever has no loop of his own.
#[derive(Debug, Default)]
pub struct Woken {
    changes: Mutex<Changes>,
    condition: Condvar,
}

#[derive(Debug, Default)]
struct Changes {
    count: u64,
    /// Those that [`Woken::wait`] has told.
    seen: u64,
}

impl Woken {
    /// Nothing has changed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until something has changed since the last time this was true (true), or for so long (false). For one
    /// thread; several use [`Woken::wait_after`].
    pub fn wait(&self, timeout: Duration) -> bool {
        let seen = self.lock().seen;
        let count = self.wait_after(seen, timeout);
        self.lock().seen = count;
        count > seen
    }

    /// How many changes there were.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// Waits until there were more changes than `count`, or for so long; answers how many there were.
    pub fn wait_after(&self, count: u64, timeout: Duration) -> u64 {
        let until = Instant::now().checked_add(timeout);
        let mut changes = self.lock();
        loop {
            let left = until
                .map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
            if changes.count > count || left.is_zero() {
                return changes.count;
            }
            let waited = self.condition.wait_timeout(changes, left);
            changes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Woken {
    fn changed(&self) {
        self.lock().count += 1;
        self.condition.notify_all();
    }
}
