//! A user's handle on a watch.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model::Model;
use super::observer::Observer;
use super::shared::Shared;
use super::thread::Inner;
use crate::pipeline::{Pipeline, Snapshot, Status};

/// A target that is being watched, until this is dropped. May be used from any thread; nothing of it blocks.
///
/// It keeps the thread of its [`Runtime`](super::Runtime) alive. In a forked child it knows nothing and does nothing.
pub struct Watch {
    handle: Subscription<Pipeline>,
}

/// One user of a watch, until this is dropped.
pub(crate) struct Subscription<M: Model> {
    subscribed: Option<Subscribed<M>>,
}

struct Subscribed<M: Model> {
    runtime: Arc<Inner>,
    shared: Arc<Shared<M>>,
    id: u64,
}

impl<M: Model> Subscription<M> {
    pub(super) fn new(runtime: Arc<Inner>, shared: Arc<Shared<M>>, observer: Arc<dyn Observer>) -> Self {
        let id = shared.subscribe(observer);
        Self { subscribed: Some(Subscribed { runtime, shared, id }) }
    }

    /// What is known now.
    pub(crate) fn latest(&self) -> Option<M::Latest> {
        self.shared()?.latest()
    }

    pub(crate) fn status(&self) -> Option<M::Status> {
        Some(self.shared()?.status(Instant::now()))
    }

    pub(crate) fn hint(&self) {
        if let Some(shared) = self.shared() {
            shared.hint();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.shared().is_none_or(|shared| shared.has_ended())
    }

    /// The target without its secrets.
    pub(crate) fn target(&self) -> Option<String> {
        Some(crate::target::redact(self.shared()?.text()))
    }

    /// Nothing in a forked child, where the locks in there may be held for ever.
    fn shared(&self) -> Option<&Arc<Shared<M>>> {
        let subscribed = self.subscribed.as_ref()?;
        subscribed.runtime.is_home().then_some(&subscribed.shared)
    }
}

impl<M: Model> Drop for Subscription<M> {
    fn drop(&mut self) {
        let Some(subscribed) = self.subscribed.take() else { return };
        if subscribed.runtime.is_home() {
            subscribed.shared.unsubscribe(subscribed.id);
        } else {
            mem::forget(subscribed);
        }
    }
}

impl Watch {
    pub(super) const fn new(handle: Subscription<Pipeline>) -> Self {
        Self { handle }
    }

    /// What is known now; `None` until the first answer.
    pub fn latest(&self) -> Option<Snapshot> {
        self.handle.latest()
    }

    /// How fresh that is, what is held back, and what was counted. `None` in a forked child.
    pub fn status(&self) -> Option<Status> {
        self.handle.status()
    }

    /// Since when nothing was heard that confirms what is known; `None` before the first answer.
    pub fn age(&self) -> Option<Duration> {
        self.status()?.age
    }

    /// Asks for another look, soon: a connection was lost, say. Hints that come together count as one, and each
    /// backend limits how often it looks.
    pub fn resolve_now(&self) {
        self.handle.hint();
    }

    /// Why the snapshot on disk could not be read or written, if it could not.
    pub fn snapshot_error(&self) -> Option<String> {
        self.handle.shared()?.remark()
    }

    /// Whether it will never say anything again: the runtime was shut down, or this is a forked child.
    pub fn has_ended(&self) -> bool {
        self.handle.has_ended()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("target", &self.handle.target()).finish_non_exhaustive()
    }
}
