//! What a watch makes of what its backend says: endpoints, or a configuration.

use std::sync::Arc;
use std::time::Instant;

use super::shared::Shared;
use crate::event::{Event, SourceError};
use crate::pipeline::{Pipeline, Snapshot, Status};

/// Pure: time is an argument, and nothing is done but reckoning.
pub(crate) trait Model: Send + Sized + 'static {
    /// What a backend says.
    type Event: Send + 'static;
    /// What users see.
    type Latest: Clone + Send;
    /// How it is doing.
    type Status;

    fn handle(&mut self, event: Self::Event, now: Instant);
    fn failed(&mut self, error: SourceError, now: Instant);
    /// What is to be published now, if anything.
    fn poll(&mut self, now: Instant) -> Option<Self::Latest>;
    /// When to call [`Model::poll`] again.
    fn deadline(&self) -> Option<Instant>;
    fn status(&self, now: Instant) -> Self::Status;
    /// Where the watches of this kind are listed.
    fn listed(lists: &mut Lists) -> &mut Vec<Arc<Shared<Self>>>;
}

/// What is watched now, by anybody.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) endpoints: Vec<Arc<Shared<Pipeline>>>,
    pub(crate) configs: Vec<Arc<Shared<crate::config_watch::Config>>>,
}

impl Model for Pipeline {
    type Event = Event;
    type Latest = Snapshot;
    type Status = Status;

    fn handle(&mut self, event: Event, now: Instant) {
        Self::handle(self, event, now);
    }

    fn failed(&mut self, error: SourceError, now: Instant) {
        Self::handle(self, Event::Failed(error), now);
    }

    fn poll(&mut self, now: Instant) -> Option<Snapshot> {
        Self::poll(self, now)
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }

    fn status(&self, now: Instant) -> Status {
        Self::status(self, now)
    }

    fn listed(lists: &mut Lists) -> &mut Vec<Arc<Shared<Self>>> {
        &mut lists.endpoints
    }
}
