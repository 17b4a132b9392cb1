//! How endpoints are probed, as Python says it: one of the short forms, or the fields of `evener.Probe`, read by their names.

use crate::clock;
use crate::errors::unusable;
use crate::fields::Fields;
use evener_discovery::credentials::TlsFiles;
use evener_discovery::probe::ProbeOptions;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::fmt::Display;
use std::path::PathBuf;

/// Any object with these attributes; `evener.Probe` is the documented one. Times are seconds.
struct Given {
    kind: String,
    interval: f64,
    timeout: f64,
    rise: i64,
    fall: i64,
    concurrency: i64,
    jitter: f64,
    fail_open: bool,
    tls: bool,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
}

impl Given {
    fn read(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let fields = Fields::of("health probe", "a text or an evener.Probe", given);
        Ok(Self {
            kind: fields.get("kind")?,
            interval: fields.get("interval")?,
            timeout: fields.get("timeout")?,
            rise: fields.get("rise")?,
            fall: fields.get("fall")?,
            concurrency: fields.get("concurrency")?,
            jitter: fields.get("jitter")?,
            fail_open: fields.get("fail_open")?,
            tls: fields.get("tls")?,
            ca_file: fields.filled("ca_file")?,
            cert_file: fields.filled("cert_file")?,
            key_file: fields.filled("key_file")?,
            server_name: fields.filled("server_name")?,
        })
    }
}

/// The prober's options; ConfigError says what is wrong.
pub(crate) fn probe(given: &Bound<'_, PyAny>) -> PyResult<ProbeOptions> {
    let options = match given.cast::<PyString>() {
        Ok(kind) => ProbeOptions::parse(&kind.to_cow()?).map_err(unusable)?,
        Err(_) => full(Given::read(given)?)?,
    };
    options.check().map_err(unusable)?;
    Ok(options)
}

/// ConfigError where probes do not make sense. Nothing is probed.
#[pyfunction]
pub(crate) fn check_probe(given: &Bound<'_, PyAny>) -> PyResult<()> {
    probe(given).map(drop)
}

fn full(given: Given) -> PyResult<ProbeOptions> {
    let tls = TlsFiles {
        ca: given.ca_file,
        cert: given.cert_file,
        key: given.key_file,
        server_name: given.server_name,
    };
    if !(0.0..=1.0).contains(&given.jitter) {
        return Err(refused("jitter", "is a part of the interval, from 0 to 1"));
    }
    let wants_tls = given.tls || tls != TlsFiles::default();
    Ok(ProbeOptions {
        interval: clock::seconds(given.interval).map_err(|why| refused("interval", why))?,
        timeout: clock::seconds(given.timeout).map_err(|why| refused("timeout", why))?,
        rise: number("rise", given.rise)?,
        fall: number("fall", given.fall)?,
        concurrency: number("concurrency", given.concurrency)?,
        // In range: see above.
        jitter_percent: (given.jitter * 100.0).round() as u8,
        fail_open: given.fail_open,
        tls: wants_tls.then_some(tls),
        ..ProbeOptions::parse(&given.kind).map_err(unusable)?
    })
}

fn number<T: TryFrom<i64>>(field: &str, value: i64) -> PyResult<T> {
    T::try_from(value).map_err(|_| refused(field, format!("{value} is out of range")))
}

fn refused(field: &str, why: impl Display) -> PyErr {
    unusable(format!("health probe: {field}: {why}"))
}
