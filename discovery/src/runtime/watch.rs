//! A user's handle on a watch.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::thread::Inner;
use crate::pipeline::{Snapshot, Status};

/// A target that is being watched, until this is dropped. May be used from any thread; nothing of it blocks.
///
/// It keeps the thread of its [`Runtime`](super::Runtime) alive. In a forked child it knows nothing and does nothing.
pub struct Watch {
    subscription: Option<Subscription>,
}

struct Subscription {
    runtime: Arc<Inner>,
    shared: Arc<Shared>,
    id: u64,
}

impl Watch {
    pub(super) const fn new(runtime: Arc<Inner>, shared: Arc<Shared>, id: u64) -> Self {
        Self { subscription: Some(Subscription { runtime, shared, id }) }
    }

    /// What is known now; `None` until the first answer.
    pub fn latest(&self) -> Option<Snapshot> {
        self.shared()?.latest()
    }

    /// How fresh that is, what is held back, and what was counted. `None` in a forked child.
    pub fn status(&self) -> Option<Status> {
        Some(self.shared()?.status(Instant::now()))
    }

    /// Since when nothing was heard that confirms what is known; `None` before the first answer.
    pub fn age(&self) -> Option<Duration> {
        self.status()?.age
    }

    /// Asks for another look, soon: a connection was lost, say. Hints that come together count as one, and each
    /// backend limits how often it looks.
    pub fn resolve_now(&self) {
        if let Some(shared) = self.shared() {
            shared.hint();
        }
    }

    /// Whether it will never say anything again: the runtime was shut down, or this is a forked child.
    pub fn has_ended(&self) -> bool {
        self.shared().is_none_or(|shared| shared.has_ended())
    }

    /// Nothing in a forked child, where the locks in there may be held for ever.
    fn shared(&self) -> Option<&Arc<Shared>> {
        let subscription = self.subscription.as_ref()?;
        subscription.runtime.is_home().then_some(&subscription.shared)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(subscription) = self.subscription.take() else { return };
        if subscription.runtime.is_home() {
            subscription.shared.unsubscribe(subscription.id);
        } else {
            mem::forget(subscription);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.shared().map(|shared| crate::target::redact(shared.text()));
        f.debug_struct("Watch").field("target", &target).finish_non_exhaustive()
    }
}
