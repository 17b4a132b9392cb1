//! What is valid, and ignored by gRPC without a word, but was most likely meant otherwise.

use evener_discovery::json::{JsonError, Node};
use serde_json::{Map, Value, json};

use super::error::{ConfigError, Warnings};
use super::schema::RetryPolicy;
use super::spelling::spelling;
use super::status::StatusCodes;
use super::{method, retry, status};

/// Fields of the top level that are unknown there and known elsewhere, or `known` under another spelling.
pub(super) fn top_level(root: &Node<'_>, known: &[&str], warnings: &mut Warnings) -> Result<(), JsonError> {
    if root.value().is_array() {
        return Err(root.error("must be an object, not a list: a list of choices belongs into DNS (gRFC A2)"));
    }
    spelling(root, known, warnings)?;
    for (key, node) in root.fields()? {
        match key {
            "retryPolicy" => misplaced_retry(&node, warnings),
            _ if method::FIELDS.contains(&key) => {
                let text =
                    format!("gRPC obeys `{key}` only in an entry of methodConfig and ignores it here.");
                warnings.push(node.path(), text);
            }
            _ => {}
        }
    }
    Ok(())
}

fn misplaced_retry(node: &Node<'_>, warnings: &mut Warnings) {
    let mut text = MISPLACED_RETRY.to_owned();
    if let Some(mended) = MendedRetry::of(node.value()) {
        retry::warn_of_codes(&node.path_of("retryableStatusCodes"), mended.given, warnings);
        let corrected = json!([{"name": [{}], "retryPolicy": mended.policy}]);
        text.push_str(&format!(" For all methods, write \"methodConfig\": {corrected}.{}", mended.changes));
    }
    warnings.push(node.path(), text);
}

/// What is the matter with a retry policy at the top level.
pub(crate) const MISPLACED_RETRY: &str =
    "gRPC obeys `retryPolicy` only in an entry of methodConfig and ignores it here.";

/// A retry policy with what is missing or wrong in it put right, and without what multiplies load.
pub(crate) struct MendedRetry {
    /// The policy as an entry of `methodConfig` has it.
    pub(crate) policy: Value,
    /// The same, read.
    pub(crate) parsed: RetryPolicy,
    /// What was changed, a sentence for each field with a space before it.
    pub(crate) changes: String,
    /// The codes that it named, or was given for want of any.
    given: StatusCodes,
}

impl MendedRetry {
    /// `None` for what is no policy at all.
    pub(crate) fn of(given: &Value) -> Option<Self> {
        let (mut policy, mut parsed, mut changes) = completed(given)?;
        let codes = parsed.codes;
        if codes.contains(status::DEADLINE_EXCEEDED) {
            let mut names: Vec<&str> = codes.names().filter(|name| *name != "DEADLINE_EXCEEDED").collect();
            if names.is_empty() {
                names.push("UNAVAILABLE");
            }
            policy.insert("retryableStatusCodes".to_owned(), json!(names));
            changes.push_str(" DEADLINE_EXCEEDED was left out of `retryableStatusCodes`.");
            parsed = parse(&policy).ok()?;
        }
        Some(Self { policy: Value::Object(policy), parsed, changes, given: codes })
    }
}

fn parse(policy: &Map<String, Value>) -> Result<RetryPolicy, ConfigError> {
    let policy = Value::Object(policy.clone());
    retry::parse_retry(&Node::root(&policy), &mut Warnings::default())
}

/// The policy with a default for every field that is missing or wrong, and what was done.
fn completed(given: &Value) -> Option<(Map<String, Value>, RetryPolicy, String)> {
    let defaults: [(&str, Value); 6] = [
        ("maxAttempts", json!(3)),
        ("initialBackoff", json!("0.1s")),
        ("maxBackoff", json!("5s")),
        ("backoffMultiplier", json!(2)),
        ("retryableStatusCodes", json!(["UNAVAILABLE"])),
        ("perAttemptRecvTimeout", Value::Null),
    ];
    let mut policy: Map<String, Value> = given.as_object()?.clone();
    let mut changes = String::new();
    // Each turn mends one field for good, so that there are at most as many turns as fields.
    for _ in 0..=defaults.len() {
        match parse(&policy) {
            Ok(parsed) => return Some((policy, parsed, changes)),
            Err(error) => {
                let (key, value) = defaults.iter().find(|(key, _)| names(&error.path, key))?;
                let was_there = policy.insert((*key).to_owned(), value.clone()).is_some();
                let verb =
                    if was_there { "is not valid and was replaced" } else { "is required and was added" };
                changes.push_str(&format!(" `{key}` {verb}."));
            }
        }
    }
    None
}

/// Whether a path begins with a field.
fn names(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}
