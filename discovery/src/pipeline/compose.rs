use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::assemble::{Assembler, Change};
use super::debounce::Debounce;
use super::diff::{Publisher, Snapshot};
use super::freshness::Contact;
use super::guard::Guard;
use super::identity::Identity;
use super::options::PipelineOptions;
use super::stabilize::Stabilizer;
use super::status::{EndpointCounts, State, Status, UpdateCounts};
use super::verdicts::Verdicts;
use crate::event::{ErrorClass, Event, Part, SourceError};
use crate::model::{Address, Condition, Endpoint};

/// The part under which endpoints from disk are known until the whole source has answered. No source names a part so, and what
/// any part says of an endpoint goes before what this one does.
const RESTORED: &str = "\u{10FFFF}restored";

/// Turns what one source says into what channels use. See the [module](super) for what holds.
///
/// Methods are called in rounds: [`handle`](Self::handle) for every event there is, [`poll`](Self::poll) until it answers
/// `None`, then nothing before the next event or [`deadline`](Self::deadline). Events that are there together should be
/// handled together: each poll of a set of n endpoints that has changed copies them all. An event costs what it changes
/// (times the logarithm of n), a [`Reset`](Event::Reset) what it contains.
///
/// `now` must not go back; where it does, the latest time seen counts. Not shared between threads: one thread owns it.
#[derive(Debug)]
pub struct Pipeline {
    now: Instant,
    contact: Contact,
    assembler: Assembler,
    guard: Guard,
    stabilizer: Stabilizer,
    verdicts: Verdicts,
    debounce: Debounce,
    publisher: Publisher,
    service_config: Option<Arc<str>>,
    /// Whether the source has said which service config there is, or that there is none.
    is_configured: bool,
    revision: Option<Arc<str>>,
    /// Whether the source has ever said everything there is, no part of it missing.
    is_whole: bool,
    /// When the source was last read in full.
    read: Option<Instant>,
    /// Whether something new differs from what is published, since the last look.
    touched: bool,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    updates: UpdateCounts,
    errors: BTreeMap<ErrorClass, u64>,
    skipped: u64,
    skipped_example: Option<String>,
    reconnects: u64,
}

impl Pipeline {
    /// A pipeline whose source has said nothing yet. Options out of range are brought to the nearest value in it; see
    /// [`PipelineOptions::check`].
    pub fn new(options: PipelineOptions, now: Instant) -> Self {
        let options = options.clamped();
        Self {
            now,
            contact: Contact::new(options.max_stale, options.on_stale, now),
            assembler: Assembler::default(),
            guard: Guard::new(options.empty_hold),
            stabilizer: Stabilizer::new(options.removal_epoch, options.max_drop_ratio, now),
            verdicts: Verdicts::default(),
            debounce: Debounce::new(options.debounce, options.max_delay),
            publisher: Publisher::default(),
            service_config: None,
            is_configured: false,
            revision: None,
            is_whole: false,
            read: None,
            touched: false,
            counters: Counters::default(),
        }
    }

    /// Starts with what was known `age` ago, from disk: it is published as stale, and what the source's first answer does
    /// not contain is removed as if the source had reported it before. As long as a part of the source cannot be asked, all of it
    /// stays, since nobody knows what belonged to that part. Without an endpoint, or once the whole source has answered, it does
    /// nothing; a service config that the source has said already stays.
    pub fn restore(
        &mut self,
        endpoints: Vec<Endpoint>,
        service_config: Option<String>,
        age: Duration,
        now: Instant,
    ) {
        let now = self.advance(now);
        if endpoints.is_empty() || self.is_whole {
            return;
        }
        if service_config.is_some() && !self.is_configured {
            self.configure(service_config);
        }
        if !self.guard.is_known() {
            self.contact.restored(age, now);
        }
        let (changes, skipped) =
            self.assembler.apply(vec![Part { key: RESTORED.to_owned(), endpoints }], &[]);
        self.counters.skipped += skipped;
        self.follow(changes, now);
        self.settle(now);
    }

    /// Takes over what the source says.
    ///
    /// A source that has both says its service config before the endpoints, so that they are published together.
    pub fn handle(&mut self, event: Event, now: Instant) {
        let now = self.advance(now);
        let was_failing = self.contact.is_failing();
        self.take(event, None, now);
        self.counters.reconnects += u64::from(was_failing && !self.contact.is_failing());
        self.settle(now);
    }

    /// Takes over what the whole source says or, where something is `amiss` with another part of it, what one part does.
    fn take(&mut self, event: Event, amiss: Option<SourceError>, now: Instant) {
        let is_whole = amiss.is_none();
        match event {
            Event::Reset { parts, revision } => {
                self.counters.updates.reset += 1;
                let kept = if is_whole { None } else { Some(RESTORED) };
                let (changes, skipped) = self.assembler.reset(parts, kept);
                if is_whole {
                    self.read = Some(now);
                }
                self.learn(changes, skipped, revision, amiss, now);
            }
            Event::Apply { changed, mut removed, revision } => {
                self.counters.updates.apply += 1;
                removed.extend(is_whole.then(|| RESTORED.to_owned()));
                let (changes, skipped) = self.assembler.apply(changed, &removed);
                self.learn(changes, skipped, revision, amiss, now);
            }
            Event::Confirmed { revision } => {
                self.counters.updates.confirmed += 1;
                if is_whole {
                    self.read = Some(now);
                }
                self.answered(revision, amiss, now);
            }
            Event::Failed(error) => {
                *self.counters.errors.entry(error.class).or_default() += 1;
                self.contact.failed(error, now);
            }
            Event::Partly { said, error } => self.take(*said, Some(error), now),
            Event::ServiceConfig(config) => {
                self.is_configured = true;
                self.configure(config);
            }
            Event::Skipped { count, example } => {
                self.counters.skipped += count;
                self.counters.skipped_example = Some(example);
            }
        }
    }

    /// Takes over which endpoints fail their probes, and which have been seen to pass them, by their addresses: all of them, each
    /// time. Those that fail are published as unhealthy until they are not among these any more. Where nothing that there is
    /// passes and `fail_open` is set, none is: a wrong check must not stop a service. Answers whether any of that is new.
    pub fn judge<'a>(
        &mut self,
        failing: impl IntoIterator<Item = &'a [Address]>,
        passing: impl IntoIterator<Item = &'a [Address]>,
        fail_open: bool,
        now: Instant,
    ) -> bool {
        let now = self.advance(now);
        let failing: BTreeSet<Identity> = failing.into_iter().filter_map(Identity::at).collect();
        let passing = passing.into_iter().filter_map(Identity::at).collect();
        let changed = self.verdicts.replace(failing, passing, fail_open);
        let turned = self.weigh(now);
        for identity in &changed {
            self.reconsider(identity, now);
        }
        self.settle(now);
        turned || !changed.is_empty()
    }

    /// What is published, as the source reports it: without what probes say.
    pub fn reported(&self) -> Vec<Endpoint> {
        let reported = |identity| find(&self.assembler, &self.stabilizer, identity);
        self.publisher.identities().filter_map(reported).map(|endpoint| Endpoint::clone(endpoint)).collect()
    }

    /// What is to be published now, if anything. To be called after events, and when the [deadline](Self::deadline) has come.
    pub fn poll(&mut self, now: Instant) -> Option<Snapshot> {
        let now = self.advance(now);
        self.turn(now);
        let gate = self.guard.gate(self.contact.is_failing(), now);
        for identity in self.stabilizer.release(gate, self.in_use(), self.read, now) {
            self.compare(&identity);
        }
        self.settle(now);
        self.debounce.is_due(now).then(|| self.publish(now))
    }

    /// When [`poll`](Self::poll) has something to do though no event comes; later than the `now` of a poll that answered
    /// `None`. `None` is never.
    pub fn deadline(&self) -> Option<Instant> {
        let gate = self.guard.gate(self.contact.is_failing(), self.now);
        let times =
            [self.debounce.deadline(), self.stabilizer.deadline(gate, self.now), self.contact.deadline()];
        times.into_iter().flatten().min()
    }

    /// How the pipeline is doing.
    pub fn status(&self, now: Instant) -> Status {
        let now = now.max(self.now);
        let held = if self.contact.is_dropped() { 0 } else { self.stabilizer.len() };
        let failing_probes = self.verdicts.count(|identity| self.publisher.find(identity).is_some());
        Status {
            state: self.publisher.state(),
            freshness: self.contact.freshness(now),
            age: self.contact.age(now),
            revision: self.revision.as_deref().map(str::to_owned),
            endpoints: EndpointCounts { held, failing_probes, ..self.publisher.counts() },
            updates: self.counters.updates,
            errors: self.counters.errors.clone(),
            last_error: self.contact.last_error().cloned(),
            skipped: self.counters.skipped,
            skipped_example: self.counters.skipped_example.clone(),
            publications: self.publisher.epoch(),
            relists: self.counters.updates.reset.saturating_sub(1),
            reconnects: self.counters.reconnects,
        }
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    fn learn(
        &mut self,
        changes: Vec<Change>,
        skipped: u64,
        revision: Option<String>,
        amiss: Option<SourceError>,
        now: Instant,
    ) {
        self.is_whole |= amiss.is_none();
        if skipped > 0 {
            self.counters.skipped += skipped;
            self.counters.skipped_example = Some("a record without any address".to_owned());
        }
        self.guard.observe(self.assembler.is_empty(), now);
        self.answered(revision, amiss, now);
        self.follow(changes, now);
    }

    fn answered(&mut self, revision: Option<String>, amiss: Option<SourceError>, now: Instant) {
        match amiss {
            None => self.contact.answered(now),
            Some(error) => self.contact.answered_in_part(error, now),
        }
        if revision.as_deref() != self.revision.as_deref() {
            self.revision = revision.map(Arc::from);
        }
        self.turn(now);
    }

    fn configure(&mut self, config: Option<String>) {
        if config.as_deref() != self.service_config.as_deref() {
            self.service_config = config.map(Arc::from);
            self.touched = true;
        }
    }

    /// What the source reports goes on to be published; what it no longer does is held, if anybody uses it.
    fn follow(&mut self, changes: Vec<Change>, now: Instant) {
        for Change { identity, before, after } in changes {
            match (before, after) {
                (_, Some(endpoint)) => {
                    self.stabilizer.cancel(&identity);
                    if self.is_alarming(&identity, &endpoint) {
                        self.debounce.urgent(now);
                    }
                }
                (Some(endpoint), None) if self.is_missed(&identity) => {
                    self.stabilizer.hold(identity.clone(), endpoint, now);
                }
                _ => {}
            }
            self.compare(&identity);
        }
    }

    /// Whether anybody would notice that an endpoint is gone: it is published, or it was all there is, and not to publish it
    /// any more would leave nothing.
    fn is_missed(&self, identity: &Identity) -> bool {
        let was_all = self.assembler.is_empty() && self.publisher.counts().total > 0;
        was_all || self.publisher.find(identity).is_some()
    }

    /// Whether an endpoint that takes calls has become one that must not.
    fn is_alarming(&self, identity: &Identity, endpoint: &Endpoint) -> bool {
        let published = || self.publisher.find(identity).map(|published| published.condition);
        endpoint.condition == Condition::Unhealthy
            && published().is_some_and(|was| was != Condition::Unhealthy)
    }

    /// What is too old is dropped, what was dropped comes back, both as a whole.
    fn turn(&mut self, now: Instant) {
        if !self.contact.turn(now) {
            return;
        }
        let mut concerned: Vec<Identity> = self.publisher.identities().cloned().collect();
        concerned.extend(self.assembler.identities().cloned());
        concerned.extend(self.stabilizer.clear());
        for identity in concerned {
            self.compare(&identity);
        }
    }

    fn compare(&mut self, identity: &Identity) {
        let view = self.view(identity);
        self.touched |= self.publisher.compare(identity, view.as_ref());
    }

    /// What probes say of an endpoint, or whether that counts, has changed.
    fn reconsider(&mut self, identity: &Identity, now: Instant) {
        if self.view(identity).is_some_and(|endpoint| self.is_alarming(identity, &endpoint)) {
            self.debounce.urgent(now);
        }
        self.compare(identity);
    }

    /// Whether the verdicts count depends on what else there is, which may be something else now. Answers whether they have begun or ceased to.
    fn weigh(&mut self, now: Instant) -> bool {
        let (assembler, stabilizer) = (&self.assembler, &self.stabilizer);
        let used = |identity: &Identity| find(assembler, stabilizer, identity);
        let takes_calls = |identity: &Identity| {
            used(identity).is_some_and(|endpoint| endpoint.condition != Condition::Unhealthy)
        };
        if !self.verdicts.weigh(|identity| used(identity).is_some(), takes_calls) {
            return false;
        }
        let concerned: Vec<Identity> = self.verdicts.failing().cloned().collect();
        for identity in concerned {
            self.reconsider(&identity, now);
        }
        true
    }

    /// What is to be published of an endpoint.
    fn view(&self, identity: &Identity) -> Option<Arc<Endpoint>> {
        view(&self.contact, &self.assembler, &self.stabilizer, &self.verdicts, identity)
    }

    /// Starts the window where something differs, goes on with it where more does, and ends it where nothing does any more.
    fn settle(&mut self, now: Instant) {
        self.weigh(now);
        let state = self.state();
        let touched = std::mem::take(&mut self.touched);
        // Before there is an answer, a service config alone is of no use to anybody.
        let nothing_yet = state == State::Unknown && self.publisher.epoch() == 0;
        if nothing_yet || !self.publisher.differs(state, self.service_config.as_ref()) {
            self.debounce.cancel();
        } else if touched || self.debounce.deadline().is_none() {
            self.debounce.changed(now);
        }
    }

    fn state(&self) -> State {
        if self.contact.is_dropped() {
            State::Unknown
        } else if self.in_use() > 0 {
            State::Known
        } else if self.guard.is_known() {
            State::KnownEmpty
        } else {
            State::Unknown
        }
    }

    fn in_use(&self) -> usize {
        self.assembler.len() + self.stabilizer.len()
    }

    fn publish(&mut self, now: Instant) -> Snapshot {
        self.debounce.published(now);
        let state = self.state();
        let Self { contact, assembler, stabilizer, verdicts, .. } = self;
        let view = |identity: &Identity| view(contact, assembler, stabilizer, verdicts, identity);
        self.publisher.publish(state, self.service_config.clone(), self.revision.clone(), view)
    }
}

/// What is to be published of an endpoint.
fn view(
    contact: &Contact,
    assembler: &Assembler,
    stabilizer: &Stabilizer,
    verdicts: &Verdicts,
    identity: &Identity,
) -> Option<Arc<Endpoint>> {
    if contact.is_dropped() {
        return None;
    }
    find(assembler, stabilizer, identity).map(|endpoint| verdicts.apply(identity, endpoint))
}

/// What the source says of an endpoint, or said last.
fn find<'a>(
    assembler: &'a Assembler,
    stabilizer: &'a Stabilizer,
    identity: &Identity,
) -> Option<&'a Arc<Endpoint>> {
    assembler.find(identity).or_else(|| stabilizer.find(identity))
}
