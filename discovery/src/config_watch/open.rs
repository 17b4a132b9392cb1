//! Which adapter a configuration's target means.

use super::source::ConfigOpener;
use crate::event::{ErrorClass, SourceError};
use crate::runtime::WatchOptions;
use crate::target::redact;

/// Whether a configuration's target and the options make sense. Nothing is connected, read or looked up.
///
/// # Errors
/// What is wrong ([`ErrorClass::Config`]).
pub fn check(target: &str, options: &WatchOptions) -> Result<(), SourceError> {
    open(target, options).map(drop)
}

#[cfg_attr(
    not(any(feature = "etcd", feature = "consul")),
    expect(unused_variables, reason = "nobody to ask")
)]
pub(super) fn open(target: &str, options: &WatchOptions) -> Result<ConfigOpener, SourceError> {
    let scheme = target.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        #[cfg(feature = "etcd")]
        "etcd" => crate::backend::etcd::config(target, options),
        #[cfg(feature = "consul")]
        "consul" => crate::backend::consul::config(target, options),
        #[allow(unreachable_patterns, reason = "where both are in the build")]
        "etcd" | "consul" => Err(SourceError::new(
            ErrorClass::Config,
            format!("{scheme}: configurations are not available in this build"),
        )),
        _ => Err(SourceError::new(
            ErrorClass::Config,
            format!("{}: a configuration is in consul:///KEY or etcd:///KEY", redact(target)),
        )),
    }
}
