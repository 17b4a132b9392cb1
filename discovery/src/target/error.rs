use std::fmt;

use super::uri::redact;
use crate::model::AddressError;

/// Why a text is not a target. Quotes of the target have their secrets redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetError {
    /// The part that is wrong: `target`, `scheme`, `authority`, `host`, `port`, `path`, `query`,
    /// `fragment`, `name`, `endpoint 2: weight`...
    pub part: String,
    /// What is wrong with it; reads on after the part's name.
    pub reason: String,
}

impl TargetError {
    pub(super) fn new(part: impl Into<String>, reason: impl AsRef<str>) -> Self {
        Self { part: part.into(), reason: redact(reason.as_ref()) }
    }

    /// The error of a target that an option of this name has.
    #[must_use]
    pub fn of_option(option: &str, error: &Self) -> Self {
        Self { part: format!("{option}: {}", error.part), reason: error.reason.clone() }
    }

    /// The error of one entry, counted from 1, of a list.
    pub(super) fn of_entry(number: usize, error: &AddressError) -> Self {
        Self::new(format!("endpoint {number}: {}", error.part), &error.reason)
    }

    /// A registry's scheme that is followed by something else than slashes.
    pub(super) fn is_no_uri(scheme: &str, rest: &str) -> Self {
        let rest = redact(rest);
        let reason = format!(
            "`{scheme}` is followed by neither / nor //; write {scheme}:///{rest}, or dns:///{scheme}:{rest} for a host named {scheme}"
        );
        Self { part: "scheme".to_owned(), reason }
    }

    pub(super) fn unavailable(scheme: &str, rest: &str) -> Self {
        let mut reason = format!("`{scheme}` is not available in this build");
        if !rest.starts_with('/') {
            reason.push_str(&format!("; for a host named {scheme} write dns:///{scheme}:{}", redact(rest)));
        }
        Self { part: "scheme".to_owned(), reason }
    }

    /// Adds to the failure of a second reading, as a name, that the first one had found a scheme.
    /// Where slashes follow it, a scheme was meant, and that comes first.
    pub(super) fn of_unknown_scheme(mut self, scheme: &str, rest: &str) -> Self {
        let read = format!("`{scheme}` is not a scheme evener knows, so the target was read as a host name");
        self.reason = if rest.starts_with("//") {
            format!("{read}: {}", self.reason)
        } else {
            format!("{} ({read})", self.reason)
        };
        self
    }
}

impl From<AddressError> for TargetError {
    fn from(error: AddressError) -> Self {
        Self::new(error.part, error.reason)
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid target: {}: {}", self.part, self.reason)
    }
}

impl std::error::Error for TargetError {}
