//! Whether an empty answer is one.
//!
//! Consul leaves out what a token may not read, and says so only to a token: whoever has none, or whose token was deleted
//! while a question waited, sees an empty list.

use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, Question, Refusal};
use crate::event::{ErrorClass, SourceError};

/// What of a query says where to ask. A peer is none of these: what may be read of its services is for one's own
/// datacenter to say.
const WHERE: [&str; 3] = ["dc", "ns", "partition"];

/// Asks whether something may be read at all: a `service` or a `key` by its name, where the `query` for it looks. Without
/// ACLs everything may.
///
/// # Errors
/// It may not ([`ErrorClass::Denied`]), or nobody could be asked.
pub(crate) async fn may_read(
    api: &Api,
    resource: &str,
    name: &str,
    title: &str,
    query: &[(&'static str, String)],
) -> Result<(), Refusal> {
    let mut wanted = vec![json!({"Resource": resource, "Access": "read", "Segment": name})];
    if resource == "service" && !api.has_token() {
        // Only whoever has a token is told of nodes that were left out.
        wanted.push(json!({"Resource": "node", "Access": "read", "Segment": ""}));
    }
    let mut question = Question::new(Method::POST, "/v1/internal/acl/authorize".to_owned());
    question.body = Some(Value::Array(wanted).to_string().into_bytes());
    question.query.extend(query.iter().filter(|(key, _)| WHERE.contains(key)).cloned());
    let answer = api.ask(question).await?;
    match answer.status {
        // No ACLs; or an agent too old to be asked.
        401 | 404 | 405 => Ok(()),
        // Another datacenter that has none, in the words of the agent that has asked it.
        500 if answer.text().contains("ACL support disabled") => Ok(()),
        200 if allows(&answer.body) => Ok(()),
        200 => {
            let who = if api.has_token() { "the ACL token" } else { "without an ACL token one" };
            let rights = if resource == "service" { "service:read and node:read" } else { "key:read" };
            let text = format!(
                "consul: {title}: the answer is empty, and {who} may not read it (it needs {rights}): it may well be there"
            );
            Err(SourceError::new(ErrorClass::Denied, text).into())
        }
        _ => Err(answer.refusal(title)),
    }
}

/// Whether everything that was asked for is allowed.
fn allows(body: &[u8]) -> bool {
    let Ok(Value::Array(all)) = serde_json::from_slice(body) else { return false };
    !all.is_empty() && all.iter().all(|one| one.get("Allow").and_then(Value::as_bool) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_of_permissions_allows() {
        assert!(allows(br#"[{"Allow":true}]"#));
        for body in [r#"[{"Allow":true},{"Allow":false}]"#, "[]", "{}", "", "[{}]"] {
            assert!(!allows(body.as_bytes()), "{body}");
        }
    }
}
