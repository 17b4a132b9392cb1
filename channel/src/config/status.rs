//! gRPC's status codes, by number and by name.

use evener_discovery::json::{JsonError, Node};

/// The names of gRPC's status codes; the place is the number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(super) const OK: u32 = 0;
pub(super) const DEADLINE_EXCEEDED: u32 = 4;

/// A set of gRPC status codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCodes {
    bits: u32,
}

impl StatusCodes {
    /// No code.
    pub const EMPTY: Self = Self { bits: 0 };

    /// Whether a code, by its number, is in the set; a number that is no code never is.
    pub const fn contains(self, code: u32) -> bool {
        code < u32::BITS && self.bits & (1 << code) != 0
    }

    /// Whether no code is in the set.
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The codes of the set by name, in the order of their numbers.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..).zip(NAMES).filter_map(move |(code, name)| self.contains(code).then_some(name))
    }

    /// Reads an array of codes, each by number or by name in any case.
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, JsonError> {
        let mut bits = 0;
        for element in node.elements()? {
            bits |= 1 << parse_code(&element)?;
        }
        Ok(Self { bits })
    }
}

fn parse_code(node: &Node<'_>) -> Result<u32, JsonError> {
    let code = match node.value().as_str() {
        Some(text) => NAMES.iter().position(|name| name.eq_ignore_ascii_case(text)),
        None => node.integer().ok().and_then(|code| usize::try_from(code).ok()),
    };
    let code = code.filter(|code| *code < NAMES.len()).and_then(|code| u32::try_from(code).ok());
    code.ok_or_else(|| node.error("must be a gRPC status code, by name or by number from 0 to 16"))
}
