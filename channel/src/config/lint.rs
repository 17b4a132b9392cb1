//! What is valid, and ignored by gRPC without a word, but was most likely meant otherwise.

use evener_discovery::json::{JsonError, Node};
use serde_json::{Map, Value, json};

use super::error::Warnings;
use super::spelling::spelling;
use super::{method, retry};

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
    let mut text =
        "gRPC obeys `retryPolicy` only in an entry of methodConfig and ignores it here.".to_owned();
    if let Some((policy, mended)) = mended_retry(node, warnings) {
        let corrected = json!([{"name": [{}], "retryPolicy": policy}]);
        text.push_str(&format!(" For all methods, write \"methodConfig\": {corrected}."));
        for key in mended {
            let verb = if node.value().get(key).is_some() {
                "is not valid and was replaced"
            } else {
                "is required and was added"
            };
            text.push_str(&format!(" `{key}` {verb}."));
        }
    }
    warnings.push(node.path(), text);
}

/// The policy with what is missing or wrong in it put right, and the names of the fields concerned.
fn mended_retry(node: &Node<'_>, warnings: &mut Warnings) -> Option<(Value, Vec<&'static str>)> {
    let defaults: [(&'static str, Value); 6] = [
        ("maxAttempts", json!(3)),
        ("initialBackoff", json!("0.1s")),
        ("maxBackoff", json!("5s")),
        ("backoffMultiplier", json!(2)),
        ("retryableStatusCodes", json!(["UNAVAILABLE"])),
        ("perAttemptRecvTimeout", Value::Null),
    ];
    let mut policy: Map<String, Value> = node.value().as_object()?.clone();
    let mut mended = Vec::new();
    // Each turn mends one field for good, so that there are at most as many turns as fields.
    for _ in 0..=defaults.len() {
        let candidate = Value::Object(policy.clone());
        match retry::parse_retry(&Node::root(&candidate), &mut Warnings::default()) {
            Ok(parsed) => {
                retry::warn_of_codes(&node.path_of("retryableStatusCodes"), parsed.codes, warnings);
                return Some((candidate, mended));
            }
            Err(error) => {
                let (key, value) = defaults.iter().find(|(key, _)| names(&error.path, key))?;
                policy.insert((*key).to_owned(), value.clone());
                mended.push(*key);
            }
        }
    }
    None
}

/// Whether a path begins with a field.
fn names(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}
