//! What stands in for discovery's background thread in a build that has none: nothing is ever watched.

use std::time::Instant;

use evener_discovery::{Endpoint, SourceError};
use serde_json::Value;

/// Nothing to watch.
#[derive(Debug, Default)]
pub(crate) struct LiveSetup;

/// Nothing is asked for.
#[derive(Debug)]
pub(crate) enum Ask {}

/// Nothing is heard.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) list: Option<Vec<Endpoint>>,
    pub(crate) config: Option<Option<String>>,
    pub(crate) error: Option<SourceError>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Live;

#[allow(
    clippy::unused_self,
    clippy::needless_pass_by_ref_mut,
    reason = "the same functions as with the thread"
)]
impl Live {
    pub(crate) const fn new(_: LiveSetup) -> Self {
        Self
    }

    pub(crate) const fn begin(&mut self) {}

    pub(crate) const fn begin_fallback(&mut self) -> bool {
        false
    }

    pub(crate) const fn end_fallback(&mut self) {}

    pub(crate) const fn stop(&mut self) {}

    pub(crate) const fn close(&mut self) {}

    pub(crate) fn asks(&mut self) -> impl Iterator<Item = Ask> {
        std::iter::empty()
    }

    pub(crate) const fn hear_main(&mut self) -> Option<Heard> {
        None
    }

    pub(crate) const fn hear_fallback(&mut self) -> Option<Heard> {
        None
    }

    pub(crate) const fn hear_config(&mut self) -> Option<Result<String, String>> {
        None
    }

    pub(crate) const fn resolve_now(&self) {}

    pub(crate) const fn has_main(&self) -> bool {
        false
    }

    pub(crate) const fn has_fallback(&self) -> bool {
        false
    }

    pub(crate) const fn has_config(&self) -> bool {
        false
    }

    pub(crate) const fn main_error(&self) -> Option<&SourceError> {
        None
    }

    pub(crate) const fn fallback_error(&self) -> Option<&SourceError> {
        None
    }

    pub(crate) const fn fallback_name(&self) -> Option<&str> {
        None
    }

    pub(crate) const fn config_name(&self) -> Option<&str> {
        None
    }

    pub(crate) const fn finding(&self, _: &[Endpoint]) -> Option<String> {
        None
    }

    pub(crate) const fn kind(&self) -> Option<&str> {
        None
    }

    pub(crate) const fn describe(&self, _: Instant) -> [Value; 3] {
        [Value::Null, Value::Null, Value::Null]
    }
}

pub(crate) const fn may_pass(_: &SourceError) -> bool {
    true
}
