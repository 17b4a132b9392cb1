//! Schemes of the application's own.

use super::TargetError;
use super::uri::RegistryUri;

/// A name for a resolver of the application's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CustomTarget {
    /// The scheme, in lower case.
    pub scheme: String,
    /// What follows it.
    pub uri: RegistryUri,
}

pub(super) fn parse(scheme: &str, rest: &str) -> Result<CustomTarget, TargetError> {
    Ok(CustomTarget { scheme: scheme.to_owned(), uri: RegistryUri::parse(scheme, rest)? })
}
