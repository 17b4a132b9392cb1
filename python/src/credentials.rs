//! Credentials as Python gives them, read by their names from `evener.Credentials`.

use crate::errors::unusable;
use crate::fields::Fields;
use evener_discovery::credentials::{Credentials, Secret, TlsFiles};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Any object with these attributes; `evener.Credentials` is the documented one.
struct Given {
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    tls: bool,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
}

impl Given {
    fn read(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let fields = Fields::of("credentials", "an evener.Credentials", given);
        Ok(Self {
            user: fields.filled("user")?,
            password: fields.get("password")?,
            password_file: fields.filled("password_file")?,
            token: fields.filled("token")?,
            token_file: fields.filled("token_file")?,
            tls: fields.get("tls")?,
            ca_file: fields.filled("ca_file")?,
            cert_file: fields.filled("cert_file")?,
            key_file: fields.filled("key_file")?,
            server_name: fields.filled("server_name")?,
        })
    }
}

/// As the registries' clients take them; None is what the environment says. ConfigError names what does not go together.
pub(crate) fn credentials(given: Option<&Bound<'_, PyAny>>) -> PyResult<Credentials> {
    let Some(given) = given.map(Given::read).transpose()? else { return Ok(Credentials::default()) };
    let tls = TlsFiles {
        ca: given.ca_file,
        cert: given.cert_file,
        key: given.key_file,
        server_name: given.server_name,
    };
    tls.check().map_err(|error| refused(&error.message))?;
    let wants_tls = given.tls || tls != TlsFiles::default();
    let password = secret("password", given.password, given.password_file)?;
    let user = match (given.user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => return Err(refused("user needs password or password_file")),
        (None, Some(_)) => return Err(refused("a password needs user")),
    };
    let token = secret("token", given.token, given.token_file)?;
    Ok(Credentials { user, token, tls: wants_tls.then_some(tls) })
}

/// ConfigError where credentials do not make sense. No file is read.
#[pyfunction]
pub(crate) fn check_credentials(given: &Bound<'_, PyAny>) -> PyResult<()> {
    credentials(Some(given)).map(drop)
}

fn secret(name: &str, text: Option<String>, file: Option<PathBuf>) -> PyResult<Option<Secret>> {
    match (text, file) {
        (Some(_), Some(_)) => Err(refused(&format!("both {name} and {name}_file are given"))),
        (Some(text), None) => Ok(Some(Secret::value(text))),
        (None, file) => Ok(file.map(Secret::File)),
    }
}

fn refused(why: &str) -> PyErr {
    unusable(format!("credentials: {why}"))
}
