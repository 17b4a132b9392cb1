//! The outer shape of a target: scheme, authority, path.

use super::TargetError;
use crate::model::percent;

/// Parts of a query whose value is never repeated: a key is secret if it contains one of these.
const SECRET_KEYS: [&str; 6] = ["token", "password", "passwd", "secret", "auth", "key"];

/// `[//authority]path`, still percent-encoded.
pub(super) struct Uri<'a> {
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a str,
}

impl<'a> Uri<'a> {
    /// Takes apart what follows the scheme's colon.
    pub(super) fn new(rest: &'a str) -> Result<Self, TargetError> {
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        if path.contains('#') || authority.contains('#') {
            return Err(TargetError::new("fragment", "no scheme has one; a # in a path is written %23"));
        }
        if path.contains('?') || authority.contains('?') {
            return Err(TargetError::new(
                "query",
                "this scheme takes no parameters; a ? in a path is written %3F",
            ));
        }
        Ok(Self { authority: Some(authority).filter(|authority| !authority.is_empty()), path })
    }

    /// The path without its first slash; the authority must be empty.
    pub(super) fn path_only(&self, scheme: &str) -> Result<&'a str, TargetError> {
        let path = self.absolute_path(scheme)?;
        Ok(path.strip_prefix('/').unwrap_or(path))
    }

    /// The path as it is; the authority must be empty.
    pub(super) fn absolute_path(&self, scheme: &str) -> Result<&'a str, TargetError> {
        match self.authority {
            Some(authority) => Err(TargetError::new(
                "authority",
                format!("`{authority}`: {scheme}: takes none; write {scheme}:/// with three slashes"),
            )),
            None => Ok(self.path),
        }
    }
}

/// Splits off a scheme (RFC 3986 section 3.1), in lower case.
pub(super) fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let first = scheme.bytes().next()?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    (first.is_ascii_alphabetic() && scheme.bytes().all(known)).then(|| (scheme.to_ascii_lowercase(), rest))
}

/// Decodes the percent-encoding of a text.
pub(super) fn decode(part: &str, text: &str) -> Result<String, TargetError> {
    percent::decode(text).ok_or_else(|| {
        let reason =
            format!("`{text}` has a % without two hexadecimal digits of UTF-8 after it; % itself is %25");
        TargetError::new(part, reason)
    })
}

/// Encodes a text for use as `:authority`, as gRPC does.
pub(super) fn encode_authority(text: &str) -> String {
    percent::encode(text, b"/")
}

/// The text with user, password, and the value of every secret parameter of a query replaced by `***`.
///
/// For logs and error messages. It never reveals more than the text holds, whatever the text is.
///
/// ```
/// use evener_discovery::target::redact;
///
/// assert_eq!(redact("consul://me:pw@agent:8500/svc?token=t&dc=a"), "consul://***@agent:8500/svc?token=***&dc=a");
/// ```
pub fn redact(text: &str) -> String {
    redact_query(&redact_user(text))
}

fn redact_user(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("//") {
        let end = after.find(['/', '?', '#', ' ', '`']).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        redacted.push_str(before);
        redacted.push_str("//");
        redacted.push_str(&hide_user(authority));
        rest = tail;
    }
    // What an error quotes may begin at the authority: no scheme and slashes to go by.
    redacted + &rest.split_inclusive(['`', ' ']).map(hide_user).collect::<String>()
}

fn hide_user(text: &str) -> String {
    text.rsplit_once('@').map_or_else(
        || text.to_owned(),
        |(before, host)| {
            let quote = if before.starts_with('`') { "`" } else { "" };
            format!("{quote}***@{host}")
        },
    )
}

fn redact_query(text: &str) -> String {
    text.split_inclusive(['?', '&', ';']).map(hide_value).collect()
}

fn hide_value(parameter: &str) -> String {
    let Some((key, value)) = parameter.split_once('=') else { return parameter.to_owned() };
    let lower = key.rsplit(['`', ' ']).next().unwrap_or(key).to_ascii_lowercase();
    if !SECRET_KEYS.iter().any(|secret| lower.contains(secret)) {
        return parameter.to_owned();
    }
    let separator = value.find(['&', ';', '`', ' ']).map_or("", |at| &value[at..]);
    format!("{key}=***{separator}")
}
