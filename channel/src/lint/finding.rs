//! One thing to know, and what to do about it.

use std::fmt;

use serde_json::{Value, json};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It is refused, or silently has no effect: what was meant does not happen.
    Error,
    /// It works, and is likely to hurt in a bad hour.
    Warning,
    /// A good habit that is missing.
    Advice,
}

impl Severity {
    /// `error`, `warning` or `advice`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        }
    }
}

/// One thing to know about a document or a target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of finding it is, for tools: stable, in kebab case, as in `retry-misplaced`.
    pub code: &'static str,
    /// The place: a path as in `methodConfig[1].retryPolicy`, or a part of the target; empty for the whole.
    pub place: String,
    /// What is the matter, in whole sentences. Secrets are left out.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// The text to put in its place, where there is one that is surely better.
    pub corrected: Option<String>,
}

impl Finding {
    pub(super) fn new(severity: Severity, code: &'static str, place: impl Into<String>) -> Self {
        let (place, message, advice) = (place.into(), String::new(), String::new());
        Self { severity, code, place, message, advice, corrected: None }
    }

    pub(super) fn says(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    pub(super) fn advises(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    pub(super) fn corrects(mut self, text: impl Into<String>) -> Self {
        self.corrected = Some(text.into());
        self
    }

    /// The same finding about a part of a larger document; of the whole where `place` is empty.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.place = match (place, self.place.as_str()) {
            ("", _) => self.place,
            (_, "") => place.to_owned(),
            (_, inner) => format!("{place}.{inner}"),
        };
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "the whole" } else { &self.place };
        write!(f, "{}: {place}: {} [{}]", self.severity.name(), self.message, self.code)?;
        if !self.advice.is_empty() {
            write!(f, "\n  {}", self.advice)?;
        }
        match &self.corrected {
            Some(text) => write!(f, "\n  corrected:\n    {}", text.replace('\n', "\n    ")),
            None => Ok(()),
        }
    }
}

/// Findings as a JSON list of objects with the fields' names.
pub fn to_json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "severity": finding.severity.name(),
            "code": finding.code,
            "place": finding.place,
            "message": finding.message,
            "advice": finding.advice,
            "corrected": finding.corrected,
        })
    };
    findings.iter().map(one).collect()
}
