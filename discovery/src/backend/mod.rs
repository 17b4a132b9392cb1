//! The adapters over registries' clients: each turns what its client says into [`Event`]s.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::event::{Event, SourceError};

/// Where a backend reports to. A cheap handle.
#[derive(Clone, Debug)]
pub struct Feed {
    events: mpsc::UnboundedSender<Event>,
    hint: Arc<Notify>,
}

impl Feed {
    /// A feed and its other end. Every [`Notify::notify_one`] of the second asks the backend to look again.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Event>, Arc<Notify>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let hint = Arc::new(Notify::new());
        (Self { events, hint: Arc::clone(&hint) }, receiver, hint)
    }

    /// Hands an event on. Never blocks; after the watch has ended it is dropped.
    pub fn send(&self, event: Event) {
        // Whoever watched is gone, and the backend is about to be dropped.
        let _ = self.events.send(event);
    }

    /// Waits until somebody has reason to think that what is known is out of date. Several hints before this is
    /// called count as one.
    pub async fn hinted(&self) {
        self.hint.notified().await;
    }
}

/// What a backend does: reports to its feed for ever. It ends only where asking again cannot help, with the reason;
/// dropping it ends it at any time.
pub type Running = Pin<Box<dyn Future<Output = SourceError> + Send>>;
