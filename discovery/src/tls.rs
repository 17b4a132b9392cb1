//! TLS from files, for every HTTP client here: rustls with ring, TLS 1.2 and 1.3.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "probes")]
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

#[cfg(any(feature = "consul", feature = "probes"))]
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
#[cfg(any(feature = "consul", feature = "probes"))]
use {std::path::PathBuf, zeroize::Zeroizing};

use crate::credentials::TlsFiles;

/// A client's configuration from its files, read now. Without `ca` the system's certificates are trusted. The name of
/// `server_name` is for whoever connects; nothing here knows it.
///
/// # Errors
/// The file that cannot be used and why, for people.
pub(crate) fn client_config(files: &TlsFiles) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots(files.ca.as_deref())?);
    match (&files.cert, &files.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let (chain, private) = (certificates(cert)?, private_key(key)?);
            let unfit = |error| format!("{} and {} do not fit: {error}", cert.display(), key.display());
            builder.with_client_auth_cert(chain, private).map_err(unfit)
        }
        (Some(cert), None) => {
            Err(format!("{} is given as the certificate, and no key for it", cert.display()))
        }
        (None, Some(key)) => Err(format!("{} is given as the key, and no certificate for it", key.display())),
    }
}

/// The configuration of a client that makes no TLS connection: it trusts nobody.
///
/// # Errors
/// None that is known of; rustls has one in the signature.
#[cfg(feature = "consul")]
pub(crate) fn no_trust() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS: {error}"))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// What is trusted: the certificates in a file, or in all files of a folder, or the system's.
///
/// # Errors
/// As [`client_config`].
pub(crate) fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(folder) if folder.is_dir() => {
            for entry in folder.read_dir().map_err(|error| unusable(folder, error))?.flatten() {
                roots.add_parsable_certificates(certificates(&entry.path()).unwrap_or_default());
            }
            if roots.is_empty() {
                return Err(unusable(folder, "none of its files holds a certificate"));
            }
        }
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unusable(path, error))?;
            }
        }
        None => {
            // One bad certificate among the system's is no reason to trust none.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

/// What files for TLS hold, to be compared with what they held before. What cannot be read is empty.
#[cfg(any(feature = "consul", feature = "probes"))]
pub(crate) type Fingerprint = Vec<(PathBuf, Zeroizing<Vec<u8>>)>;

/// What the files hold now. Reads them, which blocks.
#[cfg(any(feature = "consul", feature = "probes"))]
pub(crate) fn fingerprint(files: &TlsFiles) -> Fingerprint {
    let named = [&files.ca, &files.cert, &files.key].into_iter().flatten();
    let all = named.flat_map(|path| match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.clone()],
    });
    let mut all: Vec<PathBuf> = all.collect();
    all.sort_unstable();
    let read = |path: PathBuf| (path.clone(), Zeroizing::new(std::fs::read(path).unwrap_or_default()));
    all.into_iter().map(read).collect()
}

/// Looks up one host whatever is asked for: the URL names what the certificate is checked against. Only names are looked
/// up, so that this must be none that is an IP address.
#[cfg(any(feature = "consul", feature = "probes"))]
pub(crate) struct Elsewhere {
    pub(crate) host: String,
}

#[cfg(any(feature = "consul", feature = "probes"))]
impl Resolve for Elsewhere {
    fn resolve(&self, _name: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// How often files are looked at.
#[cfg(feature = "probes")]
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What is made from files for TLS, and made anew when they hold something else. While they cannot be used the last one
/// stays in use. May be shared by threads.
#[cfg(feature = "probes")]
#[derive(Debug)]
pub(crate) struct Renewed<T> {
    files: TlsFiles,
    make: fn(&TlsFiles) -> Result<T, String>,
    state: Mutex<Last<T>>,
}

#[cfg(feature = "probes")]
struct Last<T> {
    made: T,
    of: Fingerprint,
    looked: Instant,
}

/// Never shows the keys.
#[cfg(feature = "probes")]
impl<T> std::fmt::Debug for Last<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Last(..)")
    }
}

#[cfg(feature = "probes")]
impl<T: Clone> Renewed<T> {
    /// Makes the first one, now.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn new(files: TlsFiles, make: fn(&TlsFiles) -> Result<T, String>) -> Result<Self, String> {
        let of = fingerprint(&files);
        let state = Mutex::new(Last { made: make(&files)?, of, looked: Instant::now() });
        Ok(Self { files, make, state })
    }

    /// The one that fits what the files hold, or held two seconds ago at most. May read them, which blocks.
    pub(crate) fn latest(&self) -> T {
        self.latest_at(Instant::now())
    }

    fn latest_at(&self, now: Instant) -> T {
        let mut last = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(last.looked) >= LOOK_AGAIN {
            last.looked = now;
            let of = fingerprint(&self.files);
            if of != last.of
                && let Ok(made) = (self.make)(&self.files)
            {
                (last.made, last.of) = (made, of);
            }
        }
        last.made.clone()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, error))?;
    let certificates: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unusable(path, error))?;
    if certificates.is_empty() {
        return Err(unusable(path, "it holds no certificate"));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: impl Display) -> String {
    format!("{} cannot be used: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/tls").join(name))
    }

    #[test]
    fn files_are_read() {
        let both = TlsFiles {
            ca: file("server.pem"),
            cert: file("server.pem"),
            key: file("server.key"),
            ..TlsFiles::default()
        };
        assert!(client_config(&both).is_ok());
        assert!(client_config(&TlsFiles::default()).is_ok());
    }

    #[test]
    fn what_is_wrong_names_the_file() {
        let wrong = [
            (TlsFiles { ca: file("no-such.pem"), ..TlsFiles::default() }, "no-such.pem"),
            (TlsFiles { ca: file("server.key"), ..TlsFiles::default() }, "no certificate"),
            (TlsFiles { cert: file("server.pem"), ..TlsFiles::default() }, "no key"),
            (TlsFiles { key: file("server.key"), ..TlsFiles::default() }, "no certificate"),
            (
                TlsFiles { cert: file("server.pem"), key: file("server.pem"), ..TlsFiles::default() },
                "server.pem",
            ),
        ];
        for (files, expected) in wrong {
            let error = client_config(&files).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
    #[cfg(feature = "probes")]
    #[test]
    fn what_is_made_is_made_anew_when_the_files_hold_something_else() {
        let scratch = evener_test_servers::Scratch::new("renewed");
        let ca = PathBuf::from(scratch.write("ca", "one"));
        let make = |files: &TlsFiles| {
            let text =
                std::fs::read_to_string(files.ca.as_ref().unwrap()).map_err(|error| error.to_string())?;
            if text.is_empty() { Err("empty".to_owned()) } else { Ok(Arc::new(text)) }
        };
        let files = TlsFiles { ca: Some(ca.clone()), ..TlsFiles::default() };
        let renewed = Renewed::new(files.clone(), make).unwrap();
        let start = Instant::now();
        let at = |seconds| renewed.latest_at(start + Duration::from_secs(seconds));
        let one = at(0);
        scratch.write("ca", "two");
        assert_eq!(at(0).as_str(), "one", "files are not read each time");
        assert_eq!(at(10).as_str(), "two");
        assert!(Arc::ptr_eq(&at(20), &at(30)), "what is the same is not made anew");
        scratch.write("ca", "");
        assert_eq!(at(40).as_str(), "two", "what cannot be used is not used");
        std::fs::remove_file(&ca).unwrap();
        assert_eq!(at(50).as_str(), "two");
        scratch.write("ca", "one");
        assert_eq!(at(60), one);
        std::fs::remove_file(&ca).unwrap();
        assert!(Renewed::new(files, make).is_err());
    }
}
