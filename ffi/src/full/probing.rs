//! Probes as discovery makes them.

use std::path::PathBuf;

use evener_discovery::credentials::TlsFiles;
use evener_discovery::probe::ProbeOptions;

use super::endpoints::{Refusal, optional};
use super::fields::{EVENER_OFF, flag, milliseconds, wrong};
use super::probe::evener_probe;
use crate::evener_status;

/// The caller's probe; none where the pointer is null.
pub(super) fn parse(pointer: *const evener_probe) -> Result<Option<ProbeOptions>, Refusal> {
    if pointer.is_null() {
        return Ok(None);
    }
    let given = read(pointer).map_err(|status| (status, "probe".to_owned()))?;
    if given.reserved != 0 {
        return Err(wrong("probe: a reserved field is not zero"));
    }
    let texts = texts(&given).map_err(|status| (status, "probe: a text is null or not UTF-8".to_owned()))?;
    let kind = texts.kind.ok_or_else(|| wrong("probe: kind is missing"))?;
    let defaults = ProbeOptions::parse(&kind).map_err(|error| wrong(&error.to_string()))?;
    let tls = flag("probe: tls", given.tls)? || texts.tls != TlsFiles::default();
    let options = ProbeOptions {
        interval: milliseconds(given.interval_ms, defaults.interval),
        jitter_percent: match given.jitter_percent {
            0 => defaults.jitter_percent,
            EVENER_OFF => 0,
            percent => u8::try_from(percent).unwrap_or(u8::MAX),
        },
        timeout: milliseconds(given.timeout_ms, defaults.timeout),
        rise: or_default(given.rise, defaults.rise),
        fall: or_default(given.fall, defaults.fall),
        concurrency: match given.concurrency {
            0 => defaults.concurrency,
            count => usize::try_from(count).unwrap_or(usize::MAX),
        },
        fail_open: !flag("probe: fail_closed", given.fail_closed)?,
        tls: tls.then_some(texts.tls),
        ..defaults
    };
    options.check().map_err(|error| wrong(&error.to_string()))?;
    Ok(Some(options))
}

const fn or_default(given: u32, default: u32) -> u32 {
    if given == 0 { default } else { given }
}

fn read(pointer: *const evener_probe) -> Result<evener_probe, evener_status> {
    Ok(versioned!(pointer))
}

struct Texts {
    kind: Option<String>,
    tls: TlsFiles,
}

fn texts(given: &evener_probe) -> Result<Texts, evener_status> {
    let tls = TlsFiles {
        ca: optional(given.ca_file, given.ca_file_len)?.map(PathBuf::from),
        cert: optional(given.cert_file, given.cert_file_len)?.map(PathBuf::from),
        key: optional(given.key_file, given.key_file_len)?.map(PathBuf::from),
        server_name: optional(given.server_name, given.server_name_len)?,
    };
    Ok(Texts { kind: optional(given.kind, given.kind_len)?, tls })
}
