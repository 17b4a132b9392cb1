//! What to know of a target, a service config or a registration before production.

use core::ffi::c_char;

use ::evener_channel::lint;

use super::text::{evener_text, text, write_text};
use crate::boundary;
use crate::evener_status::{self, *};

/// What a text is that evener_lint looks at.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_lint_kind {
    /// A JSON document, by what it holds: a Consul service definition (`service`, `services`, or a `name` by itself), a channel
    /// (`target`, `service_config`, `channel_args`), a channel's arguments (`grpc.keepalive_time_ms`), else a service config.
    EVENER_LINT_DOCUMENT = 1,
    /// A channel's target.
    EVENER_LINT_TARGET = 2,
    /// A service config.
    EVENER_LINT_SERVICE_CONFIG = 3,
    /// A JSON object of gRPC's channel arguments, by their names (`grpc.keepalive_time_ms`).
    EVENER_LINT_CHANNEL_ARGS = 4,
}

/// Writes what is wrong with a text, or likely meant otherwise, as a JSON list: for each finding `severity` ("error", "warning",
/// "advice"), `code`, `place`, `message`, `advice` and, where there is one, `corrected`. `kind` is an evener_lint_kind.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_UTF8`, `EVENER_BAD_ARGUMENT` (no such kind), `EVENER_TOO_SMALL` (see
/// evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_lint(
    kind: u32,
    document: *const c_char,
    document_len: usize,
    findings: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let document = text!(document, document_len);
        let found = match kind {
            1 => lint::document(document),
            2 => lint::target(document),
            3 => lint::service_config(document),
            4 => lint::channel_args_document(document),
            _ => return Err(EVENER_BAD_ARGUMENT),
        };
        write_text!(findings, &lint::to_json(&found).to_string())
    })
}
