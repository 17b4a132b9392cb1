use std::time::{Duration, Instant};

use crate::pipeline::{Freshness, State, Status};

/// A set that changes all the time is saved so often.
const GAP: Duration = Duration::from_secs(2);
/// A set that does not change is saved again so often, so that its age on disk is that of what is known, and a file that
/// somebody removed comes back.
const REFRESH: Duration = Duration::from_secs(300);

/// When a snapshot is worth saving: when what is published has changed, at most every 2 s, and every 5 minutes while the
/// source confirms it; never while what is known is stale, empty or unknown.
#[derive(Clone, Debug, Default)]
pub struct SaveSchedule {
    saved: Option<Saved>,
}

#[derive(Clone, Copy, Debug)]
struct Saved {
    publication: u64,
    at: Instant,
}

impl SaveSchedule {
    /// Whether to save now.
    pub fn is_due(&self, status: &Status, now: Instant) -> bool {
        self.deadline(status).is_some_and(|deadline| deadline.is_none_or(|at| at <= now))
    }

    /// It has been saved, or could not be: it is tried again after the same time.
    pub const fn saved(&mut self, status: &Status, now: Instant) {
        self.saved = Some(Saved { publication: status.publications, at: now });
    }

    /// When to look again, if nothing happens before; `None` is never. In the past where it is due now.
    pub fn next(&self, status: &Status, now: Instant) -> Option<Instant> {
        self.deadline(status).map(|deadline| deadline.unwrap_or(now))
    }

    /// The outer `None` is never, the inner one at once.
    fn deadline(&self, status: &Status) -> Option<Option<Instant>> {
        if status.state != State::Known || status.freshness != Freshness::Fresh {
            return None;
        }
        let Some(saved) = self.saved else { return Some(None) };
        let wait = if saved.publication == status.publications { REFRESH } else { GAP };
        Some(saved.at.checked_add(wait))
    }
}
