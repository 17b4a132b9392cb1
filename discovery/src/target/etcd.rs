//! `etcd:` targets.

use super::TargetError;
use super::uri::RegistryUri;

/// A prefix in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtcdTarget {
    /// The target as it was written, taken apart.
    pub uri: RegistryUri,
}

pub(super) fn parse(rest: &str) -> Result<EtcdTarget, TargetError> {
    let uri = RegistryUri::parse("etcd", rest)?;
    if uri.path.is_empty() {
        return Err(TargetError::new("path", "is empty; it names the service"));
    }
    Ok(EtcdTarget { uri })
}

impl EtcdTarget {
    /// What calls have as `:authority` unless the application says otherwise.
    pub fn authority(&self) -> &str {
        &self.uri.path
    }
}
