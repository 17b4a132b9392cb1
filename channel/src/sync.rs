//! The one place that names locks and atomics: the standard library's, or loom's under `cfg(loom)`.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
use std::sync::PoisonError;
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

/// Locks, whatever happened to a thread that held the lock before.
///
/// Every critical section of this crate leaves its data usable at each step, so a poisoned lock is
/// worth no second panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
