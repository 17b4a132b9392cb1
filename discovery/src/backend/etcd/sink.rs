//! What becomes of what is read and watched.

use std::future::Future;
use std::pin::Pin;

use super::list::Entry;
use crate::event::SourceError;

/// A key's new value; `None`: it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// What becomes of what is read.
pub(crate) trait Sink: Send {
    /// All there is.
    fn reset(&mut self, entries: Vec<Entry>, revision: i64);
    /// What changed at once; the last change of a key counts.
    fn apply(&mut self, changes: Vec<Change>, revision: i64);
    /// Nothing has changed.
    fn confirmed(&mut self, revision: i64);
    /// Cannot be asked now.
    fn failed(&mut self, error: SourceError);
    /// Something is left out, and why.
    fn skipped(&mut self, why: String);
    /// Ends when somebody has reason to think that what is known is out of date.
    fn hinted(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
