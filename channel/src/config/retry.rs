//! `retryPolicy` and `hedgingPolicy` (gRFC A6).

use std::time::Duration;

use evener_discovery::json::Node;

use super::duration;
use super::error::{ConfigError, Warnings};
use super::schema::{HedgingPolicy, RetryPolicy};
use super::spelling::spelling;
use super::status::{self, StatusCodes};

/// What gRPC's clients lower a greater number to.
const ATTEMPTS_MAX: u32 = 5;

const RETRY_FIELDS: [&str; 6] = [
    "maxAttempts",
    "initialBackoff",
    "maxBackoff",
    "backoffMultiplier",
    "retryableStatusCodes",
    "perAttemptRecvTimeout",
];

pub(super) fn parse_retry(node: &Node<'_>, warnings: &mut Warnings) -> Result<RetryPolicy, ConfigError> {
    spelling(node, &RETRY_FIELDS, warnings)?;
    let per_attempt_timeout = match node.field("perAttemptRecvTimeout")? {
        Some(field) => Some(duration::positive(&field)?),
        None => None,
    };
    let policy = RetryPolicy {
        max_attempts: parse_max_attempts(node, warnings)?,
        initial_backoff: duration::positive(&required(node, "initialBackoff")?)?,
        max_backoff: duration::positive(&required(node, "maxBackoff")?)?,
        multiplier: parse_multiplier(&required(node, "backoffMultiplier")?)?,
        codes: parse_retryable(node, per_attempt_timeout)?,
        per_attempt_timeout,
    };
    warn_of_codes(&node.path_of("retryableStatusCodes"), policy.codes, warnings);
    warnings.push(node.path(), "Retries are not made yet: a call is tried once.");
    Ok(policy)
}

pub(super) fn parse_hedging(node: &Node<'_>, warnings: &mut Warnings) -> Result<HedgingPolicy, ConfigError> {
    spelling(node, &["maxAttempts", "hedgingDelay", "nonFatalStatusCodes"], warnings)?;
    let policy = HedgingPolicy {
        max_attempts: parse_max_attempts(node, warnings)?,
        delay: match node.field("hedgingDelay")? {
            Some(field) => duration::of(&field)?,
            None => Duration::ZERO,
        },
        non_fatal_codes: match node.field("nonFatalStatusCodes")? {
            Some(field) => StatusCodes::parse(&field)?,
            None => StatusCodes::EMPTY,
        },
    };
    warnings.push(node.path(), "Calls are not hedged yet: a call is tried once.");
    Ok(policy)
}

/// What to know about the codes a policy retries.
pub(super) fn warn_of_codes(path: &str, codes: StatusCodes, warnings: &mut Warnings) {
    if codes.contains(status::OK) {
        warnings.push(path, "OK is not a failure, so it is never retried.");
    }
    if codes.contains(status::DEADLINE_EXCEEDED) {
        warnings.push(
            path,
            "Retrying DEADLINE_EXCEEDED repeats work on servers that are slow already, which can multiply \
             their load; UNAVAILABLE alone is the safe choice.",
        );
    }
}

fn required<'a>(node: &Node<'a>, key: &str) -> Result<Node<'a>, ConfigError> {
    let field = node.field(key)?;
    field.ok_or_else(|| node.error_at(key, "is required").into())
}

fn parse_max_attempts(node: &Node<'_>, warnings: &mut Warnings) -> Result<u32, ConfigError> {
    let field = required(node, "maxAttempts")?;
    let attempts = field.integer()?;
    if attempts < 2 {
        return Err(field.error("must be at least 2").into());
    }
    match u32::try_from(attempts) {
        Ok(attempts) if attempts <= ATTEMPTS_MAX => Ok(attempts),
        _ => {
            warnings.push(field.path(), format!("It is lowered to {ATTEMPTS_MAX}, as by every gRPC client."));
            Ok(ATTEMPTS_MAX)
        }
    }
}

fn parse_multiplier(field: &Node<'_>) -> Result<f64, ConfigError> {
    let multiplier = field.number()?;
    if multiplier > 0.0 {
        return Ok(multiplier);
    }
    Err(field.error("must be more than 0").into())
}

/// Without a timeout for each attempt there must be a code to retry on.
fn parse_retryable(
    node: &Node<'_>,
    per_attempt_timeout: Option<Duration>,
) -> Result<StatusCodes, ConfigError> {
    const KEY: &str = "retryableStatusCodes";

    let codes = match node.field(KEY)? {
        Some(field) => StatusCodes::parse(&field)?,
        None if per_attempt_timeout.is_none() => return Err(node.error_at(KEY, "is required").into()),
        None => StatusCodes::EMPTY,
    };
    if codes.is_empty() && per_attempt_timeout.is_none() {
        return Err(node.error_at(KEY, "must not be empty").into());
    }
    Ok(codes)
}
