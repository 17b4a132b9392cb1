//! What a registry is asked with: secrets that rotate, and TLS files that are read again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret: written out, or a place where it is looked up each time it is needed (files at least once a minute).
#[derive(Clone)]
pub enum Secret {
    /// The secret itself. Its memory is wiped when it is dropped.
    Value(Arc<Zeroizing<String>>),
    /// The name of an environment variable.
    Env(String),
    /// A file; white space at its end does not count. While it cannot be read the last content stays in use.
    File(PathBuf),
    /// A function of the application's own; called on the background thread, so it must not block for long.
    Callback(Arc<dyn Fn() -> Result<String, String> + Send + Sync>),
}

/// Never shows the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(***)"),
            Self::Env(name) => write!(f, "Env({name:?})"),
            Self::File(path) => write!(f, "File({path:?})"),
            Self::Callback(_) => f.write_str("Callback(..)"),
        }
    }
}

/// Files for TLS, in PEM. They are read again when they change, within a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Certificates to trust. `None` trusts the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain; needs `key`.
    pub cert: Option<PathBuf>,
    /// The key of `cert`.
    pub key: Option<PathBuf>,
    /// The name to check the server's certificate against, where it is not the host's.
    pub server_name: Option<String>,
}

/// What a registry is asked with. The default asks with what the registry's usual environment variables say.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// A user's name and password (etcd; HTTP basic authentication for Consul).
    pub user: Option<(String, Secret)>,
    /// A token (Consul's ACL token, a bearer token for Kubernetes).
    pub token: Option<Secret>,
    /// TLS; `None` is no TLS unless the target or the environment says so.
    pub tls: Option<TlsFiles>,
}
