//! Credentials as the registries' clients take them.

use std::path::PathBuf;

use evener_discovery::credentials::{Credentials, Secret, TlsFiles};

use super::credentials::evener_credentials;
use super::endpoints::{Refusal, optional};
use crate::evener_status::{self, *};

/// The caller's credentials; those of the environment where the pointer is null.
pub(super) fn parse(pointer: *const evener_credentials) -> Result<Credentials, Refusal> {
    if pointer.is_null() {
        return Ok(Credentials::default());
    }
    let given = read(pointer).map_err(|status| (status, "credentials".to_owned()))?;
    let texts =
        texts(&given).map_err(|status| (status, "credentials: a text is null or not UTF-8".to_owned()))?;
    let tls = TlsFiles {
        ca: texts.ca.map(PathBuf::from),
        cert: texts.cert.map(PathBuf::from),
        key: texts.key.map(PathBuf::from),
        server_name: texts.server_name,
    };
    tls.check().map_err(|error| refused(&error.message))?;
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
