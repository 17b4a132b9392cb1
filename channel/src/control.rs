//! Everything of a channel that is behind its mutex: where lists come from, who sits where, and what the
//! calls are told of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evener_core::{Connectivity, FailReason, Health, Options};
use evener_discovery::Endpoint;

use crate::choice::{Candidate, Choice, Origin};
use crate::clock;
use crate::config::Warning;
use crate::describe::Snapshot;
use crate::event::{Action, Level};
use crate::failure;
use crate::live::Live;
use crate::log::Log;
use crate::lookup::Answer;
use crate::news::News;
use crate::options::UpdateError;
use crate::output::Output;
use crate::seating::Seating;
use crate::setup::ControlSetup;
use crate::shared::Shared;
use crate::source::Source;
use crate::stats::EndpointStats;
use crate::subchannels::check;

/// Counters are added to the totals at least this often; they wrap after 2³² calls.
const COUNT_EVERY: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub(crate) struct Control {
    source: Source,
    seating: Seating,
    log: Log,
    /// A list that waits for the channel's first use, for the service config that goes with it, or for room.
    pending: Option<Vec<Endpoint>>,
    /// Whether the list waits for room.
    refused: bool,
    /// Whether there may be room: an index was acknowledged.
    room: bool,
    /// A call or the application has used the channel.
    active: bool,
    choice: Choice,
    /// Whether a service config that comes with the endpoints was asked for.
    config_from_dns: bool,
    /// The config is another one, and the transport is not told yet.
    reconfigured: bool,
    /// Answers may have changed for a reason that no publication shows.
    moved: bool,
    /// A call waits that is not told yet.
    pick_again: bool,
    published: u32,
    told: Connectivity,
    next_count: Option<Instant>,
    /// Why calls fail now, as told to the first that asked. Kept until an endpoint or the list changes.
    reasons: Option<(Option<FailReason>, Arc<str>)>,
}

impl Control {
    pub(crate) fn new(setup: ControlSetup, shared: &Shared) -> Self {
        let sources = setup.sources;
        let warnings = setup.config.as_ref().map(|candidate| candidate.warnings.clone());
        let mut dice = setup.dice;
        let options = Options {
            seed: dice.roll(),
            drain_timeout: clock::ticks(setup.drain_timeout),
            ..Options::default()
        };
        let key = [dice.roll(), dice.roll()];
        let mut control = Self {
            source: Source::new(
                sources.lookup,
                setup.resolution,
                Live::new(sources.live),
                setup.initial_timeout,
            ),
            seating: Seating::new(key, &shared.config.load(), setup.home, options),
            log: Log::default(),
            pending: sources.list,
            refused: false,
            room: false,
            active: false,
            choice: Choice::new(setup.config),
            config_from_dns: sources.config_from_dns,
            reconfigured: false,
            moved: false,
            pick_again: false,
            published: 0,
            told: Connectivity::Idle,
            next_count: None,
            reasons: None,
        };
        if setup.drain_timeout > clock::LONGEST {
            control.log.note(Level::Warning, "drain timeout cut to 30 minutes".to_owned());
        }
        for warning in sources.warnings {
            control.log.note(Level::Warning, warning);
        }
        control.warn(&warnings.unwrap_or_default());
        control.warn_if_lost(shared);
        control
    }

    /// Does all that is due.
    pub(crate) fn poll(&mut self, shared: &Shared, now: Instant, out: &mut Vec<Output>) -> Option<Instant> {
        if shared.take_wanted() {
            self.use_it(shared, now);
        }
        self.hear(shared, now);
        // Before what is to be done: what is connected now is connected as this config wants it.
        self.tell_config(out);
        self.act(shared, now, out);
        out.extend(self.source.ask(now).map(Output::Resolve));
        out.extend(self.source.asks().map(Output::Watch));
        self.publish(shared, out);
        self.count_now_and_then(shared, now);
        out.extend(self.log.drain().map(|(level, text)| Output::Event(Action::Log { level, text })));
        let deadlines = [self.seating.deadline(shared, now), self.source.deadline(), self.next_count];
        deadlines.into_iter().flatten().min()
    }

    /// The first use resolves; a later one connects again, where pick_first went idle.
    fn use_it(&mut self, shared: &Shared, now: Instant) {
        if shared.is_closed() {
            return;
        }
        if self.active {
            return self.seating.leave_idle();
        }
        self.active = true;
        self.source.begin(now);
        if let Some(list) = self.pending.take() {
            self.accept_when_possible(shared, list);
        }
    }

    /// What the watches have to say, and what comes of time that has run out.
    fn hear(&mut self, shared: &Shared, now: Instant) {
        if shared.is_closed() {
            return;
        }
        let has_list = self.seating.blocks() > 0;
        let News { list, resolved_config, source_config, moved } =
            self.source.hear(&shared.target, has_list, now, &mut self.log);
        if moved {
            self.moved = true;
            self.reasons = None;
        }
        // The config first: what the list brings is connected as it wants.
        if let Some(said) = source_config {
            self.source_said(shared, said);
        }
        if let Some(json) = resolved_config {
            let origin = if self.config_from_dns { Origin::Dns } else { Origin::Resolver };
            match json {
                Some(json) => self.offer(shared, origin, &json, &shared.target),
                None => self.configure(shared, origin, None),
            }
        }
        // One that has waited for the config goes in with it.
        let waited = || (self.active && !self.refused).then(|| self.pending.take()).flatten();
        if let Some(list) = list.or_else(waited) {
            self.accept_when_possible(shared, list);
        }
    }

    /// What the service config's source says: a config, or why there is none, which costs nothing but itself.
    fn source_said(&mut self, shared: &Shared, said: Result<String, String>) {
        let name = self.source.live.config_name().unwrap_or_default().to_owned();
        match said {
            Ok(json) => self.offer(shared, Origin::Source, &json, &name),
            Err(error) => {
                self.log
                    .note(Level::Warning, format!("service config of {name}: {error}; the one before stays"));
                self.choice.set_fault(Some(error));
            }
        }
    }

    /// A service config from outside. One that is wrong is refused, and the one before stays (gRFC A21).
    fn offer(&mut self, shared: &Shared, origin: Origin, json: &str, name: &str) {
        match Candidate::parse(json) {
            Ok(candidate) => {
                self.choice.set_fault(None);
                self.configure(shared, origin, Some(candidate));
            }
            Err(error) => {
                let text = format!("service config of {name} refused: {error}; the one before stays");
                self.log.note(Level::Warning, text);
                self.choice.set_fault(Some(error.to_string()));
            }
        }
    }

    /// Room may let a waiting list in, which brings new actions.
    fn act(&mut self, shared: &Shared, now: Instant, out: &mut Vec<Output>) {
        loop {
            let mut room = std::mem::take(&mut self.room);
            let requests = self.seating.act(shared, now, out);
            room |= requests.room;
            if requests.reresolve {
                self.source.request(now);
            }
            if !(room && self.refused && self.retry(shared)) {
                return;
            }
        }
    }

    /// Makes the outcome visible: the block, the state, the epoch, in this order.
    fn publish(&mut self, shared: &Shared, out: &mut Vec<Output>) {
        let promoted = self.seating.promote(shared);
        let published = self.seating.published(shared);
        let state = self.state(shared);
        let failed = self.seating.blocks() == 0 && state == Connectivity::TransientFailure;
        let flipped = failed != shared.has_failed();
        shared.set_failed(failed);
        let moved = promoted || published != self.published || flipped;
        self.published = published;
        if state != self.told {
            self.told = state;
            shared.set_state(state);
            out.push(Output::Event(Action::StateChanged(state)));
        }
        if std::mem::take(&mut self.moved) || moved {
            self.reasons = None;
            self.pick_again |= shared.waiters.advance();
        }
        if std::mem::take(&mut self.pick_again) {
            out.push(Output::Event(Action::PickAgain));
        }
    }

    fn tell_config(&mut self, out: &mut Vec<Output>) {
        if !std::mem::take(&mut self.reconfigured) {
            return;
        }
        let in_force = self.choice.in_force();
        let json = in_force.map_or_else(|| "{}".to_owned(), |(_, candidate)| candidate.json.clone());
        out.push(Output::Event(Action::ServiceConfig { json }));
    }

    fn state(&self, shared: &Shared) -> Connectivity {
        if shared.is_closed() {
            return Connectivity::Shutdown;
        }
        match self.seating.connectivity() {
            Some(state) => state,
            None if !self.active => Connectivity::Idle,
            None if self.source.has_failed() => Connectivity::TransientFailure,
            None => Connectivity::Connecting,
        }
    }

    fn count_now_and_then(&mut self, shared: &Shared, now: Instant) {
        if self.next_count.is_some_and(|at| at > now) {
            return;
        }
        self.next_count = (!self.seating.subchannels.is_empty()).then(|| now + COUNT_EVERY);
        self.seating.count(shared);
    }

    /// A lookup's answer. A channel that was given another list meanwhile does not want it.
    pub(crate) fn resolved(&mut self, shared: &Shared, answer: Answer, now: Instant) {
        if !self.source.is_asked() {
            return;
        }
        self.moved = true;
        self.reasons = None;
        let has_list = self.seating.blocks() > 0;
        let list = self.source.take(answer, &shared.target, has_list, now, &mut self.log);
        if let Some(list) = list {
            self.accept_when_possible(shared, list);
        }
    }

    /// What has become of a watch that was asked for.
    #[cfg(feature = "runtime")]
    pub(crate) fn opened(&mut self, opened: crate::live::Opened) {
        self.source.live.opened(opened);
    }

    /// The application's own list. From now on nothing is looked up.
    pub(crate) fn replace(&mut self, shared: &Shared, list: Vec<Endpoint>) -> Result<(), UpdateError> {
        if shared.is_closed() {
            return Err(UpdateError::Closed);
        }
        check(&list)?;
        self.source.stop();
        self.moved = true;
        self.accept(shared, list)
    }

    /// Takes a list over now, or keeps it for the first use or until its service config is known.
    fn accept(&mut self, shared: &Shared, list: Vec<Endpoint>) -> Result<(), UpdateError> {
        if shared.is_closed() {
            return Err(UpdateError::Closed);
        }
        if !self.active || self.source.awaits_config() {
            self.pending = Some(list);
            return Ok(());
        }
        let result = self.seating.take_over(shared, &list, &mut self.log);
        let refused = result == Err(UpdateError::NoRoom);
        if refused && !self.refused {
            let (target, count) = (&shared.target, list.len());
            let text = format!("{target}: no room for {count} endpoints until calls at removed ones end");
            self.log.note(Level::Warning, text);
        }
        self.reasons = None;
        self.refused = refused;
        self.pending = refused.then_some(list);
        result
    }

    /// As [`Control::accept`], for a list nobody waits for an answer about. The one error such a list can
    /// meet is that there is no room, which was said once and is tried again when there is.
    fn accept_when_possible(&mut self, shared: &Shared, list: Vec<Endpoint>) {
        let _ = self.accept(shared, list);
    }

    fn retry(&mut self, shared: &Shared) -> bool {
        let list = self.pending.take();
        list.is_some_and(|list| self.accept(shared, list).is_ok())
    }

    /// What somebody gives as the service config, or that he gives none any more. If another one is in force then: the
    /// policy now, everything else where it is read.
    pub(crate) fn configure(&mut self, shared: &Shared, origin: Origin, candidate: Option<Candidate>) {
        if shared.is_closed() {
            return;
        }
        let own = origin == Origin::Application;
        let before = self.choice.in_force().map(|(_, candidate)| candidate.json.clone());
        self.choice.put(origin, candidate);
        let after = self.choice.in_force().map(|(_, candidate)| candidate.clone());
        // What the application says is taken over also where it is the same: it is told so.
        if before == after.as_ref().map(|candidate| candidate.json.clone()) && !own {
            return;
        }
        let (config, warnings) =
            after.map_or_else(Default::default, |candidate| (candidate.config, candidate.warnings));
        self.seating.set_config(&config, &mut self.log);
        self.reconfigured = true;
        shared.config.store(config);
        self.moved = true;
        self.warn(&warnings);
        self.warn_if_lost(shared);
    }

    /// What the transport says of a connection. False for an endpoint that is closed or never was.
    pub(crate) fn observe(&mut self, endpoint: u32, state: Connectivity, error: &str) -> bool {
        self.reasons = None;
        self.seating.observe(endpoint, state, error)
    }

    /// What an endpoint's server says of its health. Answers as [`Control::observe`].
    pub(crate) fn observe_health(&mut self, endpoint: u32, health: Health) -> bool {
        self.reasons = None;
        self.seating.observe_health(endpoint, health)
    }

    pub(crate) fn acknowledge(&mut self, endpoint: u32) -> bool {
        let awaited = self.seating.subchannels.acknowledge(endpoint);
        self.room |= awaited;
        awaited
    }

    pub(crate) fn endpoint_target(&self, endpoint: u32) -> Option<String> {
        Some(self.seating.subchannels.get(endpoint)?.target.clone())
    }

    /// No call starts from now on; endpoints close when their calls have ended.
    pub(crate) fn close(&mut self, shared: &Shared) {
        if shared.is_closed() {
            return;
        }
        shared.set_closed();
        shared.blocks.retire();
        self.source.stop();
        self.source.live.close();
        self.pending = None;
        self.refused = false;
        let seated = self.seating.blocks() > 0;
        if seated && self.seating.take_over(shared, &[], &mut self.log).is_err() {
            self.log.note(Level::Error, format!("{}: endpoints cannot be closed", shared.target));
        }
        shared.set_state(Connectivity::Shutdown);
        self.pick_again |= shared.waiters.advance();
    }

    /// Whether the last endpoint is closed and nothing is left to tell.
    pub(crate) fn is_finished(&self) -> bool {
        self.seating.subchannels.is_empty()
            && self.log.is_empty()
            && !self.pick_again
            && self.told == Connectivity::Shutdown
    }

    /// Every endpoint that is not closed, in the order of their indices.
    pub(crate) fn stats(&mut self, shared: &Shared) -> Vec<EndpointStats> {
        self.seating.count(shared);
        let open = self.seating.subchannels.open();
        open.map(|(index, record)| EndpointStats::of(index, record)).collect()
    }

    /// All that `describe` tells of what is behind the mutex.
    pub(crate) fn snapshot(&mut self, shared: &Shared, now: Instant) -> Snapshot {
        self.seating.count(shared);
        Snapshot::of(&self.seating, &self.source, &self.choice, self.refused, now)
    }

    /// Why calls fail now. `None` stands for a target that was never resolved.
    pub(crate) fn failure(&mut self, shared: &Shared, reason: Option<FailReason>) -> String {
        if let Some((known, text)) = &self.reasons
            && *known == reason
        {
            return text.to_string();
        }
        let text = failure::text(&shared.target, reason, &self.source, &self.seating.subchannels);
        self.reasons = Some((reason, text.as_str().into()));
        text
    }

    /// What a channel that is not READY waits for.
    pub(crate) fn not_ready(&self, shared: &Shared) -> String {
        let is_known = self.seating.blocks() > 0;
        failure::not_ready(&shared.target, is_known, &self.source, &self.seating.subchannels)
    }

    /// Nearness is to count, and nobody knows where the client is.
    fn warn_if_lost(&mut self, shared: &Shared) {
        if self.seating.is_lost() {
            let text = "locality_weighted: neither the client's zone nor its region is known, so all endpoints are \
                        equally near; set EVENER_ZONE or EVENER_REGION, the channel's options, or the policy's own";
            self.log.note(Level::Warning, format!("{}: {text}", shared.target));
        }
    }

    fn warn(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            self.log.note(Level::Warning, warning.to_string());
        }
    }
}
