//! Who is told that there is something new.

use std::sync::{Condvar, Mutex, PoisonError};
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
    changed: Mutex<bool>,
    condition: Condvar,
}

impl Woken {
    /// Nothing has changed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until something has changed since the last time this was true (true), or for so long (false).
    pub fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        while !*changed {
            let left = until
                .map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            let waited = self.condition.wait_timeout(changed, left);
            changed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *changed = false;
        true
    }
}

impl Observer for Woken {
    fn changed(&self) {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_all();
    }
}
