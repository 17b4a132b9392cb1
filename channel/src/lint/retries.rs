//! How much load a retry policy can make out of a failure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{Attempts, MethodConfig, RetryPolicy, RetryThrottling};

use super::finding::{Finding, Severity};

/// How many services one after the other the multiplication is worked out for.
const CHAIN: u32 = 3;

/// What there is to say of how a method's calls are tried again.
pub(super) fn findings(
    place: &str,
    method: &MethodConfig,
    throttling: Option<RetryThrottling>,
) -> Vec<Finding> {
    match &method.attempts {
        None => Vec::new(),
        Some(Attempts::Hedging(policy)) => vec![multiplication(
            &format!("{place}.hedgingPolicy"),
            policy.max_attempts,
            throttling,
            "Hedging sends them whether or not anything fails.",
        )],
        Some(Attempts::Retry(policy)) => {
            of_policy(&format!("{place}.retryPolicy"), policy, method.timeout, throttling)
        }
    }
}

/// The same for one `retryPolicy`, wherever it stands.
pub(super) fn of_policy(
    place: &str,
    policy: &RetryPolicy,
    timeout: Option<Duration>,
    throttling: Option<RetryThrottling>,
) -> Vec<Finding> {
    let mut findings = vec![multiplication(place, policy.max_attempts, throttling, "")];
    findings.extend(too_slow(place, policy, timeout));
    findings
}

/// What stops retries where most calls fail: after fifty failures that no success makes up for.
pub(super) fn default_throttling() -> Value {
    json!({"maxTokens": 100, "tokenRatio": 0.1})
}

/// The worst case: every attempt fails, and the servers behind do the same.
fn multiplication(place: &str, attempts: u32, throttling: Option<RetryThrottling>, remark: &str) -> Finding {
    let chain = u64::from(attempts).pow(CHAIN);
    let mut message = format!(
        "When a service fails, each call becomes up to {attempts} calls to it; in a chain of {CHAIN} services that \
         all do this, up to {chain} calls to the last one."
    );
    if !remark.is_empty() {
        message.push(' ');
        message.push_str(remark);
    }
    match throttling {
        None => Finding::new(Severity::Warning, "retry-multiplies", place).says(message).advises(
            "Bound it with retryThrottling, so that a lasting failure is not made worse, and retry in one layer \
             of a chain only. evener does not retry by itself yet: this is what gRPC's own clients would do.",
        ).corrects(format!("\"retryThrottling\": {}", default_throttling())),
        Some(throttling) => {
            let lasting = 1.0 + f64::from(throttling.milli_token_ratio) / 1000.0;
            let first = throttling.max_milli_tokens.div_ceil(2).div_ceil(1000);
            message.push_str(&format!(
                " retryThrottling stops it after about {first} failures in a row, and bounds a lasting partial \
                 failure to {lasting:.2} times the load."
            ));
            Finding::new(Severity::Advice, "retry-multiplies", place)
                .says(message)
                .advises("Retry in one layer of a chain only.")
        }
    }
}

/// Attempts that the method's own timeout never lets happen.
fn too_slow(place: &str, policy: &RetryPolicy, timeout: Option<Duration>) -> Option<Finding> {
    let timeout = timeout?;
    let waits = longest_waits(policy);
    (waits >= timeout).then(|| {
        Finding::new(Severity::Warning, "retry-outlasts-timeout", place)
            .says(format!(
                "The pauses between its attempts alone may take {:.3} s, the timeout of the method is {:.3} s: the \
                 last attempts may never be made.",
                waits.as_secs_f64(),
                timeout.as_secs_f64()
            ))
            .advises("Shorten initialBackoff and maxBackoff, or allow the method more time.")
    })
}

/// The sum of all pauses, each at its longest (gRFC A6: up to 1.2 times).
fn longest_waits(policy: &RetryPolicy) -> Duration {
    let (mut sum, mut pause) = (0.0, policy.initial_backoff.as_secs_f64());
    let longest = policy.max_backoff.as_secs_f64();
    for _ in 1..policy.max_attempts {
        sum += 1.2 * pause.min(longest);
        pause *= policy.multiplier;
    }
    Duration::try_from_secs_f64(sum).unwrap_or(Duration::MAX)
}
