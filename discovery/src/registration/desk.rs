//! What a registration's handle and its loop share: what the server wants, and where its record stands.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{RegistrationState, RegistrationStatus, ServiceDefinition};
use crate::event::SourceError;
use crate::runtime::{NEVER, Observer};
use crate::target::redact;

/// What the handle and the loop share.
pub(super) struct Desk {
    status: Mutex<RegistrationStatus>,
    moved: Condvar,
    wishes: watch::Sender<Wish>,
    observer: Option<Arc<dyn Observer>>,
}

/// What the server wants.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) weight: u32,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) draining: bool,
    draining_since: Option<Instant>,
    pub(super) close: Option<Close>,
}

/// How it is to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Close {
    /// When the record is to be taken away.
    pub(super) drained: Instant,
    /// How long that may take.
    pub(super) deadline: Duration,
}

impl Desk {
    pub(super) fn new(
        target: &str,
        definition: &ServiceDefinition,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        let wish = Wish {
            weight: definition.weight,
            metadata: definition.metadata.clone(),
            draining: false,
            draining_since: None,
            close: None,
        };
        Self {
            status: Mutex::new(RegistrationStatus::new(redact(target))),
            moved: Condvar::new(),
            wishes: watch::Sender::new(wish),
            observer,
        }
    }

    fn lock(&self) -> MutexGuard<'_, RegistrationStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> RegistrationState {
        self.lock().state.clone()
    }

    pub(super) fn status(&self) -> RegistrationStatus {
        self.lock().clone()
    }

    /// Waits for a state; `None` where the time was over before.
    pub(super) fn wait(
        &self,
        timeout: Duration,
        reached: impl Fn(&RegistrationState) -> bool,
    ) -> Option<RegistrationState> {
        let until = Instant::now().checked_add(timeout);
        let mut status = self.lock();
        loop {
            if reached(&status.state) {
                return Some(status.state.clone());
            }
            let left = until
                .map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            status = self.moved.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What the server wants, now and whenever that changes.
    pub(super) fn wishes(&self) -> watch::Receiver<Wish> {
        self.wishes.subscribe()
    }

    pub(super) fn wish(&self, change: impl FnOnce(&mut Wish)) {
        self.wishes.send_modify(change);
    }

    /// Leaving, `drain` going by since the first word of it, and the end, which may take as long as `deadline`. The earlier of two
    /// ends counts.
    pub(super) fn close(&self, drain: Duration, deadline: Duration) {
        if !drain.is_zero() {
            self.drain();
        }
        let (drain, deadline) = (drain.min(NEVER), deadline.min(NEVER));
        let now = Instant::now();
        self.wish(|wish| {
            let since = wish.draining_since.unwrap_or(now);
            let drained = (since + drain).max(now);
            let earlier = wish.close.is_none_or(|close| drained + deadline < close.drained + close.deadline);
            if earlier {
                wish.close = Some(Close { drained, deadline });
            }
        });
    }

    /// Changes what is known, and tells whoever waits.
    pub(super) fn with(&self, change: impl FnOnce(&mut RegistrationStatus)) {
        change(&mut self.lock());
        self.moved.notify_all();
        if let Some(observer) = &self.observer {
            // What panics has been printed.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| observer.changed()));
        }
    }

    /// It is in the registry. What is draining or closed stays that.
    pub(super) fn set_registered(&self, now: Instant) {
        self.with(|status| {
            // Looked at behind the lock: whoever drains says so first, and writes the state then.
            let draining = self.wishes.borrow().draining;
            if !matches!(status.state, RegistrationState::Registered { .. } | RegistrationState::Closed) {
                status.state = if draining {
                    RegistrationState::Draining
                } else {
                    RegistrationState::Registered { since: now }
                };
            }
        });
    }

    /// It is not in the registry. What never was, or leaves anyway, has not lost anything.
    pub(super) fn set_lost(&self, now: Instant, cause: &SourceError) {
        self.with(|status| {
            if let RegistrationState::Registered { .. } = status.state {
                status.state = RegistrationState::Lost { since: now, cause: cause.clone() };
            }
        });
    }

    pub(super) fn drain(&self) {
        self.wishes.send_if_modified(|wish| {
            let first = !wish.draining;
            wish.draining = true;
            wish.draining_since.get_or_insert_with(Instant::now);
            first
        });
        self.with(|status| {
            if status.state != RegistrationState::Closed {
                status.state = RegistrationState::Draining;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const ROUNDS: usize = 30;

    /// The wish to drain comes while the registry's answer is being taken down.
    #[test]
    fn what_drains_is_never_said_to_be_registered() {
        for _ in 0..ROUNDS {
            let desk = Arc::new(Desk::new("memory:///", &ServiceDefinition::new("db", 5), None));
            let held = desk.lock();
            let writer = thread::spawn({
                let desk = Arc::clone(&desk);
                move || desk.set_registered(Instant::now())
            });
            // Long enough, mostly, for the writer to wait for the lock; the outcome must be the same wherever it is.
            thread::sleep(Duration::from_millis(2));
            desk.wishes.send_modify(|wish| wish.draining = true);
            drop(held);
            writer.join().unwrap();
            assert_eq!(desk.lock().state, RegistrationState::Draining);
        }
    }
}
