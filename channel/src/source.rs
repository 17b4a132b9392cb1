//! Where a channel's lists come from if they are looked up: when to ask, and what to make of an answer.

use std::sync::Arc;
use std::time::Instant;

use evener_discovery::Endpoint;

use crate::event::Level;
use crate::log::Log;
use crate::lookup::{Answer, Lookup};
use crate::options::UpdateError;
use crate::resolution::Resolution;
use crate::subchannels::check;

/// See the module. Without a lookup there is nothing to ask: the list is the target's or the application's.
#[derive(Debug)]
pub(crate) struct Source {
    lookup: Option<Arc<Lookup>>,
    resolution: Resolution,
    /// Said in the log already.
    last_failure: String,
    /// Said in the log already.
    last_finding: String,
    /// Why the last answer cannot be used, where that will not change by waiting.
    unusable: Option<UpdateError>,
}

impl Source {
    pub(crate) fn new(lookup: Option<Lookup>, resolution: Resolution) -> Self {
        Self {
            lookup: lookup.map(Arc::new),
            resolution,
            last_failure: String::new(),
            last_finding: String::new(),
            unusable: None,
        }
    }

    /// The channel is used for the first time: ask at once.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.resolution.begin(now);
    }

    /// A connection was lost or could not be made: ask again soon.
    pub(crate) fn request(&mut self, now: Instant) {
        self.resolution.request(now);
    }

    /// The lookup, if it is to be run now.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Arc<Lookup>> {
        let lookup = self.lookup.as_ref()?;
        self.resolution.ask(now).then(|| Arc::clone(lookup))
    }

    /// When to call [`Source::ask`] again.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.resolution.deadline()
    }

    /// Never ask again, and take no answer that is still under way.
    pub(crate) fn stop(&mut self) {
        self.resolution.stop();
        self.lookup = None;
        self.unusable = None;
    }

    /// Whether an answer is awaited. A channel that was given another list meanwhile does not want it.
    pub(crate) const fn is_asked(&self) -> bool {
        self.resolution.is_asked()
    }

    /// Takes an answer; returns the list in it, if there is one that can be used. `target` is the channel's,
    /// for the log; `has_list` tells whether an earlier list stays where there is none.
    pub(crate) fn take(
        &mut self,
        answer: Answer,
        target: &str,
        has_list: bool,
        now: Instant,
        log: &mut Log,
    ) -> Option<Vec<Endpoint>> {
        match answer {
            Answer::Failed(error) => {
                self.failed(error, target, has_list, now, log);
                None
            }
            Answer::Unchanged => {
                self.succeeded(target, now, log);
                None
            }
            Answer::List(list) => {
                self.succeeded(target, now, log);
                self.tell_finding(&list, log);
                self.use_list(list, target, log)
            }
        }
    }

    fn succeeded(&mut self, target: &str, now: Instant, log: &mut Log) {
        if self.resolution.succeeded(now).is_some() {
            self.last_failure.clear();
            log.note(Level::Info, format!("{target}: resolves again"));
        }
    }

    /// Says each failure once, however often it repeats.
    fn failed(&mut self, error: String, target: &str, has_list: bool, now: Instant, log: &mut Log) {
        if error != self.last_failure {
            let kept = if has_list { "; the last list stays" } else { "" };
            log.note(Level::Warning, format!("{target}: {error}{kept}"));
            self.last_failure.clone_from(&error);
        }
        self.resolution.failed(now, error);
    }

    fn tell_finding(&mut self, list: &[Endpoint], log: &mut Log) {
        let finding = self.lookup.as_ref().and_then(|lookup| lookup.finding(list)).unwrap_or_default();
        if finding != self.last_finding {
            if !finding.is_empty() {
                log.note(Level::Warning, finding.clone());
            }
            self.last_finding = finding;
        }
    }

    /// A list that cannot be used costs nothing but itself. Without any list before it, calls fail.
    fn use_list(&mut self, list: Vec<Endpoint>, target: &str, log: &mut Log) -> Option<Vec<Endpoint>> {
        let unusable = check(&list).err();
        if let Some(error) = unusable
            && self.unusable != unusable
        {
            log.note(Level::Error, format!("{target}: list refused: {error}"));
        }
        self.unusable = unusable;
        unusable.is_none().then_some(list)
    }

    /// What is wrong with the last answer, if anything.
    pub(crate) fn error(&self) -> Option<String> {
        let failure = self.resolution.error().map(str::to_owned);
        failure.or_else(|| Some(self.unusable?.to_string()))
    }

    /// Whether the last answer was none that can be used.
    pub(crate) fn has_failed(&self) -> bool {
        self.unusable.is_some() || self.resolution.error().is_some()
    }

    /// When it last answered.
    pub(crate) const fn answered(&self) -> Option<Instant> {
        self.resolution.answered()
    }

    /// What it is, for `describe`.
    pub(crate) fn kind(&self) -> &'static str {
        self.lookup.as_ref().map_or("list", |lookup| lookup.kind())
    }
}
