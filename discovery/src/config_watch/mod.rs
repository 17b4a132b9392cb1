//! Configuration that lives in a registry: a map of keys to values, at the start and at every change.
//!
//! [`Runtime::watch_config`](crate::runtime::Runtime::watch_config) begins to watch; a [`ConfigWatch`] is what it answers.
//! While the registry cannot be asked the last configuration stays, and [`ConfigStatus`] says how old it is.

mod model;
mod open;
mod source;
mod watch;

pub use model::ConfigStatus;
pub use open::check;
pub use source::{ConfigEvent, ConfigFeed, ConfigMap, ConfigOpener};
pub use watch::ConfigWatch;

pub(crate) use model::Config;
