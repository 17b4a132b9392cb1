//! Configuration that lives in a registry: a map of keys to values, at the start and at every change.

mod source;

pub use source::{ConfigEvent, ConfigFeed, ConfigMap, ConfigOpener, ConfigRunning};
