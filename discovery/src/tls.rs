//! TLS from files, for every HTTP client here: rustls with ring, TLS 1.2 and 1.3.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

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
}
