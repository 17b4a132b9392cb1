//! What a source of endpoints says to the pipeline: the one language of all backends and of custom resolvers.

use std::fmt;

use crate::model::Endpoint;

/// A named piece of what a source knows: one key of etcd, one slice of Kubernetes, one datacenter, one answer of DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What names the piece within its source.
    pub key: String,
    /// The endpoints that it holds, in any order; none is a piece that is there and empty.
    pub endpoints: Vec<Endpoint>,
}

/// What has become known, in the order in which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Everything there is, as of now: parts that are not in it are gone. Without any endpoint in it the source
    /// says that there is none, which is knowledge as well.
    Reset {
        /// All parts, each key once.
        parts: Vec<Part>,
        /// How the source counts its changes (etcd's revision, Consul's index, Kubernetes' resource version), to show.
        revision: Option<String>,
    },
    /// What changed at one instant: taken over as a whole or not at all.
    Apply {
        /// Parts that are new or have another content.
        changed: Vec<Part>,
        /// Keys of parts that are gone; one that is not known is no error.
        removed: Vec<String>,
        /// As in [`Event::Reset`].
        revision: Option<String>,
    },
    /// The source answered and nothing has changed: what is known is fresh.
    Confirmed {
        /// As in [`Event::Reset`].
        revision: Option<String>,
    },
    /// The source cannot be asked now. What is known stays, and ages.
    Failed(SourceError),
    /// One of the places that a source consists of has said something while another one cannot be asked: what was said counts, and
    /// the whole stays stale. It is no failure of its own, and no recovery.
    Partly {
        /// What was said: a [`Event::Reset`], an [`Event::Apply`] or an [`Event::Confirmed`]. Others are as without this.
        said: Box<Self>,
        /// Why the other place cannot be asked.
        error: SourceError,
    },
    /// A service config (gRPC's JSON, not checked here) that comes with the endpoints; `None` where there is none
    /// any more.
    ServiceConfig(Option<String>),
    /// This many records could not be understood and were left out; `example` says why the last one was not.
    Skipped {
        /// How many, since the last time this was said.
        count: u64,
        /// What was wrong with one of them, secrets left out.
        example: String,
    },
}

/// Why a source cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// What kind of failure it is, for counting.
    pub class: ErrorClass,
    /// What happened and what to do about it, for people; secrets left out.
    pub message: String,
}

impl SourceError {
    /// An error of a class; secrets in the text are redacted.
    pub fn new(class: ErrorClass, message: impl AsRef<str>) -> Self {
        Self { class, message: crate::target::redact(message.as_ref()) }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

/// Kinds of failures of a source, as metrics count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// No connection, or it was lost.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Credentials are missing, wrong or not allowed to read this.
    Denied,
    /// Too many requests; the source asks for a pause.
    RateLimited,
    /// The source answered what cannot be understood, or an error of its own.
    Protocol,
    /// What the source no longer has: it was compacted, or too old.
    Expired,
    /// The target or an option is wrong: asking again cannot help.
    Config,
}

impl ErrorClass {
    /// The class as a metric's label: `unreachable`, `timeout`, `denied`, `rate_limited`, `protocol`, `expired`, `config`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::RateLimited => "rate_limited",
            Self::Protocol => "protocol",
            Self::Expired => "expired",
            Self::Config => "config",
        }
    }
}
