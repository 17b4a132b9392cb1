//! The language from the adapters to a configuration's users.

use std::collections::BTreeMap;

use crate::backend::{Feed, Opener};
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

/// Where an adapter reports to.
pub type ConfigFeed = Feed<ConfigEvent>;

/// An adapter that is ready to begin; see [`Opener`].
pub type ConfigOpener = Opener<ConfigEvent>;
