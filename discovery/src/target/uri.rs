//! The outer shape of a target: scheme, authority, path.

use super::TargetError;
use crate::model::percent;

/// What the names of secrets contain.
const SECRET: [&str; 7] = ["token", "password", "passwd", "secret", "credential", "auth", "key"];
/// Names of parameters of ours that contain one of these, and tell nothing: where a Consul instance's metadata says its place.
const PUBLIC: [&str; 2] = ["zone-key", "region-key"];

/// Whether what has this name, in a target's query or in an endpoint's metadata, is a secret: never repeated, never written to disk.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part)) && !PUBLIC.iter().any(|public| name.ends_with(public))
}

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

/// What follows a registry's scheme: `[//[user[:password]@]authority]/path[?key=value&...]`, percent-decoded.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RegistryUri {
    /// User and password, where the target names them. Better kept out of targets: see
    /// [`redact`](crate::target::redact).
    pub user: Option<(String, String)>,
    /// What stands between `//` and the next `/`, without the user; empty for the default servers.
    pub authority: String,
    /// The path without its first slash.
    pub path: String,
    /// The parameters in the order in which they were written; a key without `=` has an empty value.
    pub query: Vec<(String, String)>,
}

impl RegistryUri {
    /// Takes apart what follows `scheme:`. A host may have the name of a scheme, so slashes are asked for.
    pub(super) fn parse(scheme: &str, rest: &str) -> Result<Self, TargetError> {
        if !rest.starts_with('/') {
            return Err(TargetError::is_no_uri(scheme, rest));
        }
        if rest.contains('#') {
            return Err(TargetError::new("fragment", "no scheme has one; a # in a path is written %23"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let (user, authority) = authority.rsplit_once('@').map_or((None, authority), |(u, a)| (Some(u), a));
        let user = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            Ok::<_, TargetError>((decode("user", name)?, decode("password", password)?))
        });
        Ok(Self {
            user: user.transpose()?,
            authority: decode("authority", authority)?,
            path: decode("path", path.strip_prefix('/').unwrap_or(path))?,
            query: parameters(query)?,
        })
    }

    /// The last value of a parameter, if it was given.
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.query.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// An error for an authority that can be no servers but the beginning of a user and password, which is not to be repeated.
    pub(super) fn refuse_cut_user(&self) -> Result<(), TargetError> {
        // The rest of an IPv6 address, and a socket's path, follow a colon as well.
        let is_other = |text: &str| text.is_empty() || text.ends_with(']') || text.contains('/');
        let is_port = |text: &str| is_other(text) || text.parse::<u16>().is_ok();
        let is_cut = |server: &str| server.rsplit_once(':').is_some_and(|(_, port)| !is_port(port));
        if self.user.is_none() && self.path.contains('@') && self.authority.split(',').any(is_cut) {
            return Err(TargetError::new("authority", "a slash in a user or password is written %2F"));
        }
        Ok(())
    }

    /// An error for the first parameter that is none of `known`.
    pub(super) fn refuse_unknown(&self, known: &[&str]) -> Result<(), TargetError> {
        match self.query.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => {
                let reason = format!("`{key}` is unknown; known: {}", known.join(", "));
                Err(TargetError::new("query", reason))
            }
            None => Ok(()),
        }
    }
}

/// Without the secrets.
impl std::fmt::Debug for RegistryUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&redact(&self.to_string()))
    }
}

/// The whole of it, secrets too, percent-encoded; parses to the same.
impl std::fmt::Display for RegistryUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("//")?;
        if let Some((name, password)) = &self.user {
            write!(
                f,
                "{}:{}@",
                percent::encode(name, USER_RESERVED),
                percent::encode(password, USER_RESERVED)
            )?;
        }
        write!(f, "{}/{}", percent::encode(&self.authority, b"/?#@"), percent::encode(&self.path, b"?#"))?;
        for (index, (key, value)) in self.query.iter().enumerate() {
            let (key, value) = (percent::encode(key, b"&=#"), percent::encode(value, b"&#"));
            write!(f, "{}{key}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

const USER_RESERVED: &[u8] = b":@/?#";

/// The `key=value` pairs of a query, decoded.
pub(super) fn parameters(query: &str) -> Result<Vec<(String, String)>, TargetError> {
    let given = query.split('&').filter(|parameter| !parameter.is_empty());
    let split = given.map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        Ok((decode("query", key)?, decode("query", value)?))
    });
    split.collect()
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
    text.split_inclusive(WORD_ENDS).map(redact_word).collect()
}

/// Where what an error quotes ends.
const WORD_ENDS: [char; 2] = ['`', ' '];

/// A target, or a part of one: there may be no scheme and slashes to go by.
fn redact_word(word: &str) -> String {
    let Some((before, query)) = word.split_once('?') else { return redact_location(word) };
    // The value first: an `@` in it ends no user.
    let redact_parameter = |parameter: &str| hide_values(&hide_user(&hide_values(parameter)));
    let query: String = query.split_inclusive('&').map(redact_parameter).collect();
    format!("{}?{query}", redact_location(before))
}

/// What stands before a query.
fn redact_location(text: &str) -> String {
    let has_user = |text: &str| text.contains('@');
    if has_user(text) && !has_user(&hide_values(text)) {
        // A user with a secret's name in his password, or a secret with an `@` in it: there is no telling.
        let (scheme, rest) = split_slashes(text);
        return hide_values(&format!("{scheme}***{}", word_end(rest)));
    }
    hide_values(&hide_user(text))
}

/// Hides all from the first slashes, or from the beginning, to the last `@`.
fn hide_user(text: &str) -> String {
    let (scheme, rest) = split_slashes(text);
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}"),
        None => text.to_owned(),
    }
}

/// Hides what follows a secret's name, to the end: the value itself may have a `;` or a `?` in it.
fn hide_values(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for parameter in text.split_inclusive(['?', ';']) {
        if let Some((key, _)) = parameter.split_once('=').filter(|(key, _)| is_secret(key)) {
            return format!("{shown}{key}=***{}", word_end(text));
        }
        shown.push_str(parameter);
    }
    shown
}

/// The scheme with its slashes, if there are any, and what follows. What has an `@` in it is no scheme.
fn split_slashes(text: &str) -> (&str, &str) {
    let split = text.find("//").and_then(|at| text.split_at_checked(at + 2));
    split.filter(|(scheme, _)| !scheme.contains('@')).unwrap_or(("", text))
}

/// What a word or a parameter ends with, which is not of its value.
fn word_end(text: &str) -> &str {
    let value = text.trim_end_matches(|c| WORD_ENDS.contains(&c) || c == '&');
    text.strip_prefix(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Target;

    #[test]
    fn secrets_are_left_out_and_nothing_else_is() {
        for (text, expected) in [
            ("dns:///user-service:80", "dns:///user-service:80"),
            ("static:///h:80;weight=3;zone=a", "static:///h:80;weight=3;zone=a"),
            ("consul://agent:8500/svc?dc=a&wait=14s", "consul://agent:8500/svc?dc=a&wait=14s"),
            ("consul://a/svc?zone-key=rack&region-key=dc", "consul://a/svc?zone-key=rack&region-key=dc"),
            ("consul://me:pw@agent:8500/svc", "consul://***@agent:8500/svc"),
            ("consul://me:p@w@agent/svc", "consul://***@agent/svc"),
            ("consul://agent/svc?token=t", "consul://agent/svc?token=***"),
            ("consul://agent/svc?TOKEN=t&dc=a&api_key=k=k", "consul://agent/svc?TOKEN=***&dc=a&api_key=***"),
            ("etcd://h:1/p?username=u&password=a/b", "etcd://h:1/p?username=u&password=***"),
            ("consul://agent/svc?token=a;b?c=d&dc=a", "consul://agent/svc?token=***&dc=a"),
            ("query: `svc?dc=a;token=t` is odd", "query: `svc?dc=a;token=***` is odd"),
            ("consul://agent/svc?token=a@b&dc=a", "consul://agent/svc?token=***&dc=a"),
            ("consul://agent/svc?tag=a@token=b@c", "consul://agent/svc?***@c"),
            ("consul://me;key=pw@agent/svc?dc=a", "consul://***?dc=a"),
            ("`static:///h:80;token=a@b` is odd", "`static://***` is odd"),
            ("consul://me:p/w@agent/svc", "consul://***@agent/svc"),
            ("me:pw@host", "***@host"),
            ("consul:/x/me:pw@agent://host/svc", "***@agent://host/svc"),
            ("token=1//2@agent/svc", "token=***"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn no_error_repeats_a_secret() {
        for target in [
            "dns://me:hush@8.8.8.8/host",
            "dns:///me:hush@host:80",
            "me:hush@host:80",
            "http://me:hush@host:80/path",
            "http://host/path?token=hush",
            "ipv4://me:hush@host/1.2.3.4",
            "ipv4:me:hush@1.2.3.4:80",
            "static:///h:80;token=hush",
            "static:///h:80,hush@h:80",
            "etcd:me:hush@host",
            "consul:agent?token=hush",
            "consul://me:hush@agent:8500/svc?token=hush",
        ] {
            let answer = format!("{:?}", Target::parse(target));
            assert!(!answer.contains("hush"), "{target}: {answer}");
        }
    }

    proptest! {
        #[test]
        fn a_user_never_survives(user in "[a-z0-9:@]{1,9}", host in "[a-z]{1,9}", tail in "(/[a-z/]{0,9})?") {
            let secret = format!("Q{user}");
            let redacted = redact(&format!("consul://{secret}@{host}{tail}"));
            prop_assert_eq!(redacted, format!("consul://***@{host}{tail}"));
        }
    }
}
