//! What a registry is asked with: secrets that rotate, and TLS files that are read again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::event::{ErrorClass, SourceError};

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

/// The content of [`TlsFiles`], PEM. Compare it with what was read before to know whether to connect anew.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsContent {
    /// Certificates to trust.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain.
    pub cert: Option<Vec<u8>>,
    /// Its key. Wiped when it is dropped.
    pub key: Option<Zeroizing<Vec<u8>>>,
}

impl TlsFiles {
    /// Reads the files, now. Blocks for as long as that takes.
    ///
    /// # Errors
    /// A file cannot be read, or one of `cert` and `key` is there without the other.
    pub fn read(&self) -> Result<TlsContent, SourceError> {
        if self.cert.is_some() != self.key.is_some() {
            let text = "a client certificate and its key go together: one of cert and key is missing";
            return Err(SourceError::new(ErrorClass::Config, text));
        }
        let read = |path: &Option<PathBuf>| path.as_ref().map(|path| read_file(path)).transpose();
        Ok(TlsContent {
            ca: read(&self.ca)?,
            cert: read(&self.cert)?,
            key: read(&self.key)?.map(Zeroizing::new),
        })
    }
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, SourceError> {
    std::fs::read(path)
        .map_err(|error| SourceError::new(ErrorClass::Denied, format!("{}: {error}", path.display())))
}

/// Never shows the key.
impl fmt::Debug for TlsContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsContent(..)")
    }
}

/// Equal where the same would be looked up: the same text, variable or file, or the very same function.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(one), Self::Value(other)) => one == other,
            (Self::Env(one), Self::Env(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Callback(one), Self::Callback(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Secret {
    /// A secret that is written out.
    pub fn value(text: impl Into<String>) -> Self {
        Self::Value(Arc::new(Zeroizing::new(text.into())))
    }

    /// Looks the secret up, now. Reads a file where it is one: [`SecretReader`] does not each time.
    ///
    /// # Errors
    /// Where it should be there is nothing; names the place, never the content.
    pub fn read(&self) -> Result<Zeroizing<String>, SourceError> {
        let denied = |text: String| SourceError::new(ErrorClass::Denied, text);
        match self {
            Self::Value(text) => Ok((**text).clone()),
            Self::Env(name) => std::env::var(name)
                .map(Zeroizing::new)
                .map_err(|error| denied(format!("environment variable {name}: {error}"))),
            Self::File(path) => match std::fs::read_to_string(path).map(Zeroizing::new) {
                Ok(text) => Ok(Zeroizing::new(text.trim_end().to_owned())),
                Err(error) => Err(denied(format!("{}: {error}", path.display()))),
            },
            Self::Callback(call) => {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call()));
                let result = result.unwrap_or_else(|_| Err("it panicked".to_owned()));
                result.map(Zeroizing::new).map_err(|error| denied(format!("credentials callback: {error}")))
            }
        }
    }
}

/// A secret that is needed again and again: looked up once a few seconds at most, and kept as it was while it cannot
/// be looked up.
#[derive(Debug)]
pub struct SecretReader {
    secret: Secret,
    last: Option<(Instant, Zeroizing<String>)>,
}

/// How long what was looked up counts.
const READ_AGAIN: Duration = Duration::from_secs(5);

impl SecretReader {
    /// Nothing is looked up yet.
    pub const fn new(secret: Secret) -> Self {
        Self { secret, last: None }
    }

    /// The secret as it is, or was at most five seconds ago; the last one where it cannot be looked up now.
    ///
    /// # Errors
    /// It could never be looked up.
    pub fn get(&mut self) -> Result<Zeroizing<String>, SourceError> {
        if let Some((at, text)) = &self.last
            && at.elapsed() < READ_AGAIN
        {
            return Ok(text.clone());
        }
        self.refresh()
    }

    /// As [`SecretReader::get`], looking it up again however short ago it was: the registry has refused it.
    ///
    /// # Errors
    /// It could never be looked up.
    pub fn refresh(&mut self) -> Result<Zeroizing<String>, SourceError> {
        match (self.secret.read(), &mut self.last) {
            (Ok(text), last) => {
                *last = Some((Instant::now(), text.clone()));
                Ok(text)
            }
            (Err(_), Some((at, text))) => {
                *at = Instant::now();
                Ok(text.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// What a registry is asked with. The default asks with what the registry's usual environment variables say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Credentials {
    /// A user's name and password (etcd; HTTP basic authentication for Consul).
    pub user: Option<(String, Secret)>,
    /// A token (Consul's ACL token, a bearer token for Kubernetes).
    pub token: Option<Secret>,
    /// TLS; `None` is no TLS unless the target or the environment says so.
    pub tls: Option<TlsFiles>,
}
