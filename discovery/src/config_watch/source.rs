//! The language from the adapters to a configuration's users.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::event::SourceError;

/// A configuration as of one instant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConfigMap {
    /// How many different configurations there were so far, from 1.
    pub epoch: u64,
    /// How the registry counts its changes (etcd's revision, Consul's index).
    pub revision: String,
    /// The values. A key is what follows the prefix that is watched; the only key of a target that names one key is
    /// that key's last part.
    pub values: BTreeMap<String, Vec<u8>>,
}

/// What has become known of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigEvent {
    /// All of it, as of now; see [`ConfigMap`]. No key at all is an answer as well.
    Reset {
        /// The values by their keys below the prefix.
        values: BTreeMap<String, Vec<u8>>,
        /// How the registry counts its changes.
        revision: String,
    },
    /// The registry answered and nothing has changed.
    Confirmed,
    /// The registry cannot be asked now. What is known stays.
    Failed(SourceError),
}

/// Where an adapter reports to. A cheap handle.
#[derive(Clone, Debug)]
pub struct ConfigFeed {
    events: mpsc::UnboundedSender<ConfigEvent>,
    hint: Arc<Notify>,
}

impl ConfigFeed {
    /// A feed and its other end. Every [`Notify::notify_one`] of the second asks the adapter to look again.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<ConfigEvent>, Arc<Notify>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let hint = Arc::new(Notify::new());
        (Self { events, hint: Arc::clone(&hint) }, receiver, hint)
    }

    /// Hands an event on. Never blocks; after the watch has ended it is dropped.
    pub fn send(&self, event: ConfigEvent) {
        // Whoever watched is gone, and the adapter is about to be dropped.
        let _ = self.events.send(event);
    }

    /// Waits until somebody has reason to think that what is known is out of date.
    pub async fn hinted(&self) {
        self.hint.notified().await;
    }
}

/// What an adapter does: reports to its feed for ever, reconnecting by itself. It ends only where asking again cannot
/// help, with the reason; dropping it ends it at any time.
pub type ConfigRunning = Pin<Box<dyn Future<Output = SourceError> + Send>>;

/// An adapter that is ready to begin. It is called, and what it answers is run, on a thread of a tokio runtime.
pub type ConfigOpener = Box<dyn FnOnce(ConfigFeed) -> ConfigRunning + Send>;
