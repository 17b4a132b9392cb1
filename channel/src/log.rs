//! Messages for the application's log, until a poll hands them out.

use crate::event::Level;

/// Messages that wait at most.
const MAX: usize = 256;

/// The messages of one channel. Where nobody polls, the first ones are worth the most.
#[derive(Debug, Default)]
pub(crate) struct Log {
    waiting: Vec<(Level, String)>,
}

impl Log {
    /// Keeps a message for the next poll.
    pub(crate) fn note(&mut self, level: Level, text: String) {
        if self.waiting.len() < MAX {
            self.waiting.push((level, text));
        } else if let Some(last) = self.waiting.last_mut() {
            *last = (Level::Warning, "further messages were dropped: nobody fetched them".to_owned());
        }
    }

    /// Hands the messages out, the oldest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (Level, String)> {
        self.waiting.drain(..)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
