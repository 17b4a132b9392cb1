//! `dns+srv:` targets.

use super::TargetError;
use super::uri::RegistryUri;

/// A name whose SRV records name the endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SrvTarget {
    /// The target as it was written, taken apart.
    pub uri: RegistryUri,
}

pub(super) fn parse(rest: &str) -> Result<SrvTarget, TargetError> {
    let uri = RegistryUri::parse("dns+srv", rest)?;
    if uri.path.is_empty() {
        return Err(TargetError::new("path", "is empty; it names the service"));
    }
    Ok(SrvTarget { uri })
}

impl SrvTarget {
    /// What calls have as `:authority` unless the application says otherwise.
    pub fn authority(&self) -> &str {
        &self.uri.path
    }
}
