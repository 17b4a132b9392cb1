//! A channel's arguments: keepalive that servers answer with GOAWAY `too_many_pings`.

use serde_json::Value;

use super::finding::{Finding, Severity};
use super::kind::{Kind, wrong_kind};

/// gRPC servers allow a ping every five minutes by default (`GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS`).
const ALLOWED_MS: i64 = 300_000;
const TIME: &str = "grpc.keepalive_time_ms";
const TIMEOUT: &str = "grpc.keepalive_timeout_ms";
const WITHOUT_CALLS: &str = "grpc.keepalive_permit_without_calls";

/// The findings of channel arguments, asked for by name: the value of `grpc.keepalive_time_ms` and the like, where it was
/// given.
pub fn channel_args(argument: impl Fn(&str) -> Option<i64>) -> Vec<Finding> {
    let Some(time) = argument(TIME) else { return Vec::new() };
    let mut findings = Vec::new();
    if time < ALLOWED_MS {
        findings.push(too_many_pings(time, argument(WITHOUT_CALLS).unwrap_or(0) != 0));
    }
    findings.extend(argument(TIMEOUT).filter(|&timeout| timeout >= time).map(|timeout| {
        Finding::new(Severity::Warning, "keepalive-timeout", TIMEOUT)
            .says(format!(
                "A ping may be answered {timeout} ms late, and the next one is due after {time} ms."
            ))
            .advises("Keep the timeout well below the time.")
    }));
    findings
}

/// As [`channel_args`], from a JSON object; values that are no whole numbers do not count.
pub(super) fn json_args(args: &Value) -> Vec<Finding> {
    if !args.is_object() {
        let finding = Finding::new(Severity::Error, "wrong-kind", "");
        return vec![finding.says("A channel's arguments are an object with gRPC's names as keys.")];
    }
    if let Some(finding) = wrong_kind(args, Kind::ChannelArgs) {
        return vec![finding];
    }
    channel_args(|name| match args.get(name)? {
        Value::Bool(value) => Some(i64::from(*value)),
        value => value.as_i64(),
    })
}

fn too_many_pings(time: i64, without_calls: bool) -> Finding {
    let idle = if without_calls { ", even while no call runs" } else { "" };
    Finding::new(Severity::Warning, "too-many-pings", TIME)
        .says(format!(
            "It pings every {time} ms{idle}; servers that were not told otherwise allow one ping in {ALLOWED_MS} ms and \
             close the connection with GOAWAY \"too_many_pings\", which then looks like a server that fails now and then."
        ))
        .advises(format!(
            "Allow it on every server (grpc.http2.min_ping_interval_without_data_ms = {time}, \
             grpc.keepalive_permit_without_calls = 1), or ping no more often than every {ALLOWED_MS} ms."
        ))
        .corrects(format!("\"{TIME}\": {ALLOWED_MS}"))
}
