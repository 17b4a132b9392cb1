//! `consul:` targets.

use super::TargetError;
use super::uri::RegistryUri;

/// A service in Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsulTarget {
    /// The target as it was written, taken apart.
    pub uri: RegistryUri,
}

pub(super) fn parse(rest: &str) -> Result<ConsulTarget, TargetError> {
    let uri = RegistryUri::parse("consul", rest)?;
    if uri.path.is_empty() {
        return Err(TargetError::new("path", "is empty; it names the service"));
    }
    Ok(ConsulTarget { uri })
}

impl ConsulTarget {
    /// What calls have as `:authority` unless the application says otherwise.
    pub fn authority(&self) -> &str {
        &self.uri.path
    }
}
