//! `kubernetes:` targets.

use super::TargetError;
use super::uri::RegistryUri;

/// A Service in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubernetesTarget {
    /// The target as it was written, taken apart.
    pub uri: RegistryUri,
}

pub(super) fn parse(rest: &str) -> Result<KubernetesTarget, TargetError> {
    let uri = RegistryUri::parse("kubernetes", rest)?;
    if uri.path.is_empty() {
        return Err(TargetError::new("path", "is empty; it names the service"));
    }
    Ok(KubernetesTarget { uri })
}

impl KubernetesTarget {
    /// What calls have as `:authority` unless the application says otherwise.
    pub fn authority(&self) -> &str {
        &self.uri.path
    }
}
