//! What a registry is asked with.

use core::ffi::c_char;
use std::path::PathBuf;

use evener_discovery::credentials::{Credentials, Secret, TlsFiles};

use super::endpoints::{Refusal, optional};
use crate::boundary::Sized32;
use crate::evener_status::{self, *};

/// What a registry is asked with. Zero it, set `struct_size`, then set what you need. Texts are copied; a secret's copy is wiped
/// when it is no longer needed. Files are read again when they change, within a minute.
///
/// Without one the registry's usual environment variables count (`CONSUL_HTTP_TOKEN` and the like).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_credentials {
    /// `sizeof(evener_credentials)`.
    pub struct_size: u32,
    /// 1: TLS, also where no file below is given. 0: TLS if the target, the environment or one of these files says so.
    pub tls: u32,
    /// A user's name (etcd; HTTP basic authentication for Consul); null for none.
    pub user: *const c_char,
    /// Bytes in `user`.
    pub user_len: usize,
    /// The user's password; null for none, or where `password_file` has it.
    pub password: *const c_char,
    /// Bytes in `password`.
    pub password_len: usize,
    /// A file that holds the password; white space at its end does not count.
    pub password_file: *const c_char,
    /// Bytes in `password_file`.
    pub password_file_len: usize,
    /// A token (Consul's ACL token, a bearer token for Kubernetes); null for none, or where `token_file` has it.
    pub token: *const c_char,
    /// Bytes in `token`.
    pub token_len: usize,
    /// A file that holds the token.
    pub token_file: *const c_char,
    /// Bytes in `token_file`.
    pub token_file_len: usize,
    /// A file of certificates to trust (PEM); null trusts the system's.
    pub ca_file: *const c_char,
    /// Bytes in `ca_file`.
    pub ca_file_len: usize,
    /// A file with the client's certificate chain (PEM); needs `key_file`.
    pub cert_file: *const c_char,
    /// Bytes in `cert_file`.
    pub cert_file_len: usize,
    /// A file with the key of `cert_file` (PEM).
    pub key_file: *const c_char,
    /// Bytes in `key_file`.
    pub key_file_len: usize,
    /// The name to check the server's certificate against, where it is not the host's.
    pub server_name: *const c_char,
    /// Bytes in `server_name`.
    pub server_name_len: usize,
}

const SIZE: usize = 8 + 18 * size_of::<usize>();

// SAFETY: repr(C), struct_size first; two u32, then pairs of pointer-sized fields: no padding with 32 or 64 bit pointers. Integers
// and raw pointers take any bit pattern.
unsafe impl Sized32 for evener_credentials {
    const SIZES: &'static [usize] = &[SIZE];
}

const _: () = assert!(size_of::<evener_credentials>() == SIZE);

/// The caller's credentials; those of the environment where the pointer is null.
pub(super) fn parse(pointer: *const evener_credentials) -> Result<Credentials, Refusal> {
    if pointer.is_null() {
        return Ok(Credentials::default());
    }
    let given = read(pointer).map_err(|status| (status, "credentials".to_owned()))?;
    let texts = texts(&given).map_err(|status| (status, "credentials: a text is null or not UTF-8".to_owned()))?;
    let tls = TlsFiles {
        ca: texts.ca.map(PathBuf::from),
        cert: texts.cert.map(PathBuf::from),
        key: texts.key.map(PathBuf::from),
        server_name: texts.server_name,
    };
    let wanted = match given.tls {
        0 => tls != TlsFiles::default(),
        1 => true,
        _ => return Err(refused("tls is neither 0 nor 1")),
    };
    let password = secret("password", texts.password, texts.password_file)?;
    let user = match (texts.user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => return Err(refused("user and password go together: one of them is missing")),
    };
    let token = secret("token", texts.token, texts.token_file)?;
    Ok(Credentials { user, token, tls: wanted.then_some(tls) })
}

fn refused(why: &str) -> Refusal {
    (EVENER_BAD_ARGUMENT, format!("credentials: {why}"))
}

fn read(pointer: *const evener_credentials) -> Result<evener_credentials, evener_status> {
    Ok(versioned!(pointer))
}

fn secret(name: &str, text: Option<String>, file: Option<String>) -> Result<Option<Secret>, Refusal> {
    match (text, file) {
        (Some(_), Some(_)) => Err(refused(&format!("both {name} and {name}_file are given"))),
        (Some(text), None) => Ok(Some(Secret::value(text))),
        (None, file) => Ok(file.map(|file| Secret::File(file.into()))),
    }
}

struct Texts {
    user: Option<String>,
    password: Option<String>,
    password_file: Option<String>,
    token: Option<String>,
    token_file: Option<String>,
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    server_name: Option<String>,
}

fn texts(given: &evener_credentials) -> Result<Texts, evener_status> {
    Ok(Texts {
        user: optional(given.user, given.user_len)?,
        password: optional(given.password, given.password_len)?,
        password_file: optional(given.password_file, given.password_file_len)?,
        token: optional(given.token, given.token_len)?,
        token_file: optional(given.token_file, given.token_file_len)?,
        ca: optional(given.ca_file, given.ca_file_len)?,
        cert: optional(given.cert_file, given.cert_file_len)?,
        key: optional(given.key_file, given.key_file_len)?,
        server_name: optional(given.server_name, given.server_name_len)?,
    })
}
