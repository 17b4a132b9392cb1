use std::fmt;
use std::time::{Duration, Instant};

use super::options::StalePolicy;
use crate::event::SourceError;

/// How far what is known can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The source can be asked, as far as anybody knows.
    Fresh,
    /// What is known is from before.
    Stale {
        /// Since when.
        since: Instant,
        /// Why.
        cause: Cause,
    },
    /// Nothing is known.
    Unknown {
        /// Since when.
        since: Instant,
        /// Why.
        cause: Cause,
    },
}

impl Freshness {
    /// `fresh`, `stale` or `unknown`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale { .. } => "stale",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Why what is known is not fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The source has not answered yet.
    Starting,
    /// It is from a snapshot on disk; the source has not answered yet.
    Snapshot,
    /// The source cannot be asked. The last error.
    Failed(SourceError),
    /// The source has said nothing for longer than [`PipelineOptions::max_stale`](super::PipelineOptions::max_stale).
    Silent,
}

impl Cause {
    /// `starting`, `snapshot`, `silent`, or the name of the error's class.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Snapshot => "snapshot",
            Self::Silent => "silent",
            Self::Failed(error) => error.class.name(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the source has not answered yet"),
            Self::Snapshot => f.write_str("restored from disk; the source has not answered yet"),
            Self::Silent => f.write_str("the source has said nothing for too long"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// When the source was last heard, and what it said.
#[derive(Debug)]
pub(super) struct Contact {
    started: Instant,
    max_stale: Option<Duration>,
    on_stale: StalePolicy,
    heard: Option<Heard>,
    failing: Option<(Instant, SourceError)>,
    dropped: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    /// How old it was already when it was heard: 0 but for what comes from disk.
    age: Duration,
    from_disk: bool,
}

impl Contact {
    pub(super) const fn new(max_stale: Option<Duration>, on_stale: StalePolicy, now: Instant) -> Self {
        Self { started: now, max_stale, on_stale, heard: None, failing: None, dropped: None }
    }

    /// What is known comes from disk.
    pub(super) const fn restored(&mut self, age: Duration, now: Instant) {
        self.heard = Some(Heard { at: now, age, from_disk: true });
    }

    /// The source answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.heard = Some(Heard { at: now, age: Duration::ZERO, from_disk: false });
        self.failing = None;
    }

    /// A part of the source answered; another one, and so the whole, cannot be asked.
    pub(super) fn answered_in_part(&mut self, error: SourceError, now: Instant) {
        self.heard = Some(Heard { at: now, age: Duration::ZERO, from_disk: false });
        self.failed(error, now);
    }

    /// The source could not be asked.
    pub(super) fn failed(&mut self, error: SourceError, now: Instant) {
        let since = self.failing.take().map_or(now, |(since, _)| since);
        self.failing = Some((since, error));
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    pub(super) fn last_error(&self) -> Option<&SourceError> {
        self.failing.as_ref().map(|(_, error)| error)
    }

    /// How long ago what is known was true for certain.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_duration_since(heard.at).saturating_add(heard.age))
    }

    /// Whether what is known has been dropped for its age.
    pub(super) const fn is_dropped(&self) -> bool {
        self.dropped.is_some()
    }

    /// Drops what is too old, and takes back what has been heard again. Answers whether that changed anything.
    pub(super) fn turn(&mut self, now: Instant) -> bool {
        let before = self.dropped.is_some();
        let drop = self.drops_at().is_some_and(|at| at <= now);
        self.dropped = if drop { self.dropped.or(Some(now)) } else { None };
        before != drop
    }

    /// When [`Contact::turn`] will drop what is known, unless the source is heard before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.drops_at().filter(|_| self.dropped.is_none())
    }

    fn drops_at(&self) -> Option<Instant> {
        let doubtful = self.failing.is_some() || self.heard.is_some_and(|heard| heard.from_disk);
        (doubtful && self.on_stale == StalePolicy::Drop).then(|| self.stale_at()).flatten()
    }

    fn stale_at(&self) -> Option<Instant> {
        let (heard, limit) = (self.heard?, self.max_stale?);
        heard.at.checked_add(limit.saturating_sub(heard.age))
    }

    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        let failed = self.failing.as_ref().map(|(_, error)| Cause::Failed(error.clone()));
        let Some(heard) = self.heard else {
            return Freshness::Unknown { since: self.started, cause: failed.unwrap_or(Cause::Starting) };
        };
        if let Some(since) = self.dropped {
            return Freshness::Unknown { since, cause: failed.unwrap_or(Cause::Snapshot) };
        }
        if heard.from_disk {
            return Freshness::Stale { since: heard.at, cause: Cause::Snapshot };
        }
        match (&self.failing, self.stale_at()) {
            (Some((since, error)), _) => {
                Freshness::Stale { since: *since, cause: Cause::Failed(error.clone()) }
            }
            (None, Some(since)) if since < now => Freshness::Stale { since, cause: Cause::Silent },
            _ => Freshness::Fresh,
        }
    }
}
