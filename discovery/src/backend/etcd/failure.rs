//! What went wrong between us and etcd, and what is to be done about it.

use std::error::Error as _;
use std::time::Duration;

use etcd_client::Error;

use crate::event::{ErrorClass, SourceError};

/// Kinds of failures that are answered in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The token of an authentication no longer counts: authenticate again.
    Token,
    /// The user's name or password is wrong, or one is asked for and none was given.
    Credentials,
    /// The user may not do this. An expired token looks the same to a watch.
    Denied,
    /// A user was given and the cluster knows none.
    NoUsers,
    /// The member has no leader: ask another.
    NoLeader,
    /// What was asked for is no longer kept: read everything again.
    Compacted,
    /// The lease has expired or was revoked.
    NoLease,
    /// The key belongs to somebody else.
    Held,
    /// The connection failed or was lost.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Too many requests.
    RateLimited,
    /// Another answer than the protocol has.
    Protocol,
    /// The files or options that we were given cannot be used, as they are now.
    Config,
}

/// A failure with its story for people.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub kind: Kind,
    pub message: String,
}

/// What etcd's messages contain, whatever the status code: a watch that is cancelled has no code, and gateways
/// change codes. First match counts.
const MESSAGES: [(&str, Kind); 16] = [
    ("invalid auth token", Kind::Token),
    ("revision of auth store is old", Kind::Token),
    ("authentication is not enabled", Kind::NoUsers),
    ("authentication failed", Kind::Credentials),
    ("user name is empty", Kind::Credentials),
    ("user name not found", Kind::Credentials),
    ("permission denied", Kind::Denied),
    ("no leader", Kind::NoLeader),
    ("leader changed", Kind::NoLeader),
    ("required revision has been compacted", Kind::Compacted),
    ("required revision is a future revision", Kind::Compacted),
    ("lease not found", Kind::NoLease),
    ("too many requests", Kind::RateLimited),
    ("request timed out", Kind::Timeout),
    ("message length too large", Kind::Protocol),
    ("transport error", Kind::Unreachable),
];

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn timeout(what: &str, limit: Duration) -> Self {
        Self::new(Kind::Timeout, format!("{what}: no answer within {} s", limit.as_secs_f32()))
    }

    /// What etcd itself says, as in the reason of a cancelled watch.
    pub fn said(message: &str) -> Self {
        Self::new(kind_of(message).unwrap_or(Kind::Protocol), message)
    }

    /// Whether another authentication may help, where there is a user to authenticate.
    pub const fn may_be_token(&self) -> bool {
        matches!(self.kind, Kind::Token | Kind::Denied)
    }

    /// For the pipeline, with the member that it happened at.
    pub fn source_error(&self, member: &str) -> SourceError {
        let (class, advice) = match self.kind {
            // Files may be there the next time.
            Kind::Token | Kind::NoUsers | Kind::Config => (ErrorClass::Denied, ""),
            Kind::Credentials => (ErrorClass::Denied, "; check the user and its password"),
            Kind::Denied => (ErrorClass::Denied, "; grant the user's role the right to this prefix"),
            Kind::NoLeader | Kind::Unreachable => (ErrorClass::Unreachable, ""),
            Kind::Compacted | Kind::NoLease => (ErrorClass::Expired, ""),
            Kind::Held => (ErrorClass::Denied, ""),
            Kind::Timeout => (ErrorClass::Timeout, ""),
            Kind::RateLimited => (ErrorClass::RateLimited, ""),
            Kind::Protocol => (ErrorClass::Protocol, ""),
        };
        SourceError::new(class, format!("etcd {member}: {}{advice}", self.message))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = match &error {
            Error::GRpcStatus(status) => with_causes(status.message().to_owned(), status.source()),
            other => with_causes(other.to_string(), other.source()),
        };
        let kind = kind_of(&message).unwrap_or_else(|| kind_of_error(&error));
        Self { kind, message }
    }
}

fn kind_of(message: &str) -> Option<Kind> {
    MESSAGES.iter().find(|(text, _)| message.contains(text)).map(|&(_, kind)| kind)
}

/// By the code alone: numbers of gRPC's status codes, since their type is not part of the client's interface.
fn kind_of_error(error: &Error) -> Kind {
    let Error::GRpcStatus(status) = error else {
        return match error {
            Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::InvalidMetadataValue(_) => Kind::Config,
            Error::TransportError(_) | Error::IoError(_) | Error::EndpointError(_) => Kind::Unreachable,
            _ => Kind::Protocol,
        };
    };
    match i32::from(status.code()) {
        4 => Kind::Timeout,
        7 => Kind::Denied,
        8 => Kind::RateLimited,
        16 => Kind::Token,
        // Unknown, unavailable, cancelled: what a broken connection looks like.
        1 | 2 | 14 => Kind::Unreachable,
        _ => Kind::Protocol,
    }
}

/// The libraries below say only "transport error", and why in the causes.
fn with_causes(mut message: String, mut cause: Option<&(dyn std::error::Error + 'static)>) -> String {
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_etcd_says_is_understood_without_its_code() {
        for (message, expected) in [
            ("rpc error: code = PermissionDenied desc = etcdserver: permission denied", Kind::Denied),
            ("etcdserver: invalid auth token", Kind::Token),
            ("etcdserver: revision of auth store is old", Kind::Token),
            ("etcdserver: authentication failed, invalid user ID or password", Kind::Credentials),
            ("etcdserver: user name is empty", Kind::Credentials),
            ("etcdserver: no leader", Kind::NoLeader),
            ("etcdserver: mvcc: required revision has been compacted", Kind::Compacted),
            ("something else", Kind::Protocol),
        ] {
            assert_eq!(Failure::said(message).kind, expected, "{message}");
        }
    }
}
