//! Everything of a channel that is behind its mutex: the controllers, the endpoints, the resolution.
//!
//! A list is taken over in one place ([`Control::take_over`]) and in one order: admit the endpoints to
//! indices, give them to the current block's controller (or to a larger block's), tell older blocks,
//! settle. Picks see it at the next [`Control::poll`], which alone publishes.
//!
//! Blocks that a larger one has replaced are told every removal and every state as well, so the same
//! rules (drain, cancel, close) hold for calls that still run there, and a call that picked from an
//! old block a moment too late is no worse off. An endpoint closes when it has left all blocks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evener_core::{
    Action as Core, Connectivity, Endpoint as Member, FailReason, Health, Options, Policy,
    UpdateError as Full,
};
use evener_discovery::Endpoint;

use crate::blocks::{self, BlockController};
use crate::clock;
use crate::config::{Parsed, ServiceConfig, Warning};
use crate::dice::Dice;
use crate::engine::{Output, Shared};
use crate::event::{Action, Level};
use crate::lookup::{Answer, Lookup};
use crate::options::UpdateError;
use crate::resolution::Resolution;
use crate::subchannels::{Phase, Subchannels, check};

/// Counters are added to the totals at least this often; they wrap after 2³² calls.
const COUNT_EVERY: Duration = Duration::from_secs(600);
/// While endpoints drain, poll at least this often: a call that had begun at a leaving endpoint and was
/// undone can be the last one out, and has no way to say so.
const DRAIN_CHECK: Duration = Duration::from_secs(1);

/// Messages that wait for a poll at most.
const MAX_LOG: usize = 256;

/// All an engine needs to know to begin.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) target: String,
    pub(crate) authority: String,
    pub(crate) config: Parsed,
    pub(crate) control: ControlSetup,
}

/// The part of [`Setup`] that goes behind the mutex.
#[derive(Debug)]
pub(crate) struct ControlSetup {
    /// The endpoints, where they are known from the start.
    pub(crate) list: Option<Vec<Endpoint>>,
    /// Where they are looked up otherwise.
    pub(crate) lookup: Option<Lookup>,
    pub(crate) resolution: Resolution,
    pub(crate) config_text: Option<String>,
    pub(crate) drain_timeout: Duration,
    pub(crate) dice: Dice,
}

/// The exclusive side of a block.
#[derive(Debug)]
struct Held {
    block: u32,
    controller: BlockController,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Control {
    /// In the order of their making; the last is the current one.
    held: Vec<Held>,
    pub(crate) subchannels: Subchannels,
    pub(crate) resolution: Resolution,
    pub(crate) lookup: Option<Arc<Lookup>>,
    /// A list that waits for the channel's first use, or for room.
    pending: Option<Vec<Endpoint>>,
    /// Whether the list waits for room.
    pub(crate) refused: bool,
    /// Whether there may be room: an index was acknowledged.
    room: bool,
    /// A call or the application has used the channel.
    active: bool,
    policy: Policy,
    pub(crate) config_text: Option<String>,
    options: Options,
    /// The block that becomes current at the end of the next poll.
    promote: Option<u32>,
    /// Answers may have changed for a reason that no publication shows.
    moved: bool,
    /// A call waits that is not told yet.
    pick_again: bool,
    published: u32,
    told: Connectivity,
    next_count: Option<Instant>,
    log: Vec<(Level, String)>,
    last_failure: String,
    last_finding: String,
    /// Why the last answer of a lookup was not taken over, where that will not change by waiting.
    pub(crate) unusable: Option<UpdateError>,
    /// Why calls fail now, as told to the first that asked. Kept until an endpoint or the list changes.
    pub(crate) reasons: Option<(Option<FailReason>, Arc<str>)>,
}

impl Control {
    pub(crate) fn new(setup: ControlSetup, shared: &Shared, warnings: &[Warning]) -> Self {
        let mut dice = setup.dice;
        let options = Options {
            seed: dice.roll(),
            drain_timeout: clock::ticks(setup.drain_timeout),
            ..Options::default()
        };
        let mut control = Self {
            held: Vec::new(),
            subchannels: Subchannels::new([dice.roll(), dice.roll()]),
            resolution: setup.resolution,
            lookup: setup.lookup.map(Arc::new),
            pending: setup.list,
            refused: false,
            room: false,
            active: false,
            policy: shared.config.load().policy,
            config_text: setup.config_text,
            options,
            promote: None,
            moved: false,
            pick_again: false,
            published: 0,
            told: Connectivity::Idle,
            next_count: None,
            log: Vec::new(),
            last_failure: String::new(),
            last_finding: String::new(),
            unusable: None,
            reasons: None,
        };
        if setup.drain_timeout > clock::LONGEST {
            control.note(Level::Warning, "drain timeout cut to 30 minutes".to_owned());
        }
        control.warn(warnings);
        control
    }

    /// Does all that is due.
    pub(crate) fn poll(&mut self, shared: &Shared, now: Instant, out: &mut Vec<Output>) -> Option<Instant> {
        if shared.take_wanted() {
            self.use_it(shared, now);
        }
        self.act(shared, now, out);
        self.look_up(now, out);
        self.publish(shared, out);
        self.count_now_and_then(shared, now);
        out.extend(self.log.drain(..).map(|(level, text)| Output::Event(Action::Log { level, text })));
        self.deadline(shared, now)
    }

    /// The first use resolves; a later one connects again, where pick_first went idle.
    fn use_it(&mut self, shared: &Shared, now: Instant) {
        if shared.is_closed() {
            return;
        }
        if !self.active {
            self.active = true;
            self.resolution.begin(now);
            if let Some(Err(error)) = self.pending.take().map(|list| self.accept(shared, list)) {
                self.note(Level::Error, format!("{}: list refused: {error}", shared.target));
            }
            return;
        }
        if let Some(current) = self.held.last_mut()
            && current.controller.connectivity() == Connectivity::Idle
        {
            current.controller.connect();
        }
    }

    fn look_up(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(lookup) = &self.lookup
            && self.resolution.ask(now)
        {
            out.push(Output::Resolve(Arc::clone(lookup)));
        }
    }

    /// Takes every action of every block. Room may let a waiting list in, which brings new ones.
    fn act(&mut self, shared: &Shared, now: Instant, out: &mut Vec<Output>) {
        self.count_leaving(shared);
        let tick = shared.clock.tick(now);
        loop {
            let mut room = std::mem::take(&mut self.room);
            for position in 0..self.held.len() {
                while let Some((block, action)) = self.next_action(position, tick) {
                    let current = position + 1 == self.held.len();
                    room |= matches!(action, Core::RoomAgain | Core::Close { .. });
                    self.carry_out(block, current, action, now, out);
                }
            }
            if !(room && self.refused && self.retry(shared)) {
                return;
            }
        }
    }

    fn next_action(&mut self, position: usize, tick: u32) -> Option<(u32, Core)> {
        let held = self.held.get_mut(position)?;
        Some((held.block, held.controller.poll(tick)?))
    }

    fn carry_out(&mut self, block: u32, current: bool, action: Core, now: Instant, out: &mut Vec<Output>) {
        let event = match action {
            Core::Connect { user, .. } if current => self.dial(user as u32),
            Core::Disconnect { user, .. } if current => self.hang_up(user as u32),
            Core::CancelCalls { user, .. } => self.cancel(user as u32),
            Core::Close { user, .. } => self.close_seat(block, user as u32),
            Core::Reresolve if current => {
                self.resolution.request(now);
                None
            }
            // The channel's state is read at the end of the poll; older blocks decide nothing any more.
            _ => None,
        };
        out.extend(event.map(Output::Event));
    }

    /// A larger block wants the connections that exist already: they are not asked for again.
    fn dial(&mut self, endpoint: u32) -> Option<Action> {
        let record = self.subchannels.get_mut(endpoint)?;
        if record.dialled && record.state != Connectivity::Idle {
            return None;
        }
        record.dialled = true;
        Some(Action::Connect { endpoint })
    }

    /// What the connection said before counts no more, in the core as here.
    fn hang_up(&mut self, endpoint: u32) -> Option<Action> {
        let record = self.subchannels.get_mut(endpoint)?;
        record.state = Connectivity::Idle;
        std::mem::take(&mut record.dialled).then_some(Action::Disconnect { endpoint })
    }

    /// Two blocks may both find that an endpoint's calls have had their time.
    fn cancel(&mut self, endpoint: u32) -> Option<Action> {
        let record = self.subchannels.get_mut(endpoint)?;
        if record.phase != Phase::Draining || record.cancelled {
            return None;
        }
        record.cancelled = true;
        Some(Action::CancelCalls { endpoint })
    }

    fn close_seat(&mut self, block: u32, endpoint: u32) -> Option<Action> {
        let record = self.subchannels.get_mut(endpoint)?;
        if !record.leave(block) {
            return None;
        }
        self.subchannels.close(endpoint);
        Some(Action::Close { endpoint })
    }

    /// Makes the outcome visible: the block, the state, the epoch, in this order.
    fn publish(&mut self, shared: &Shared, out: &mut Vec<Output>) {
        let promoted = self.promote.take().filter(|_| !shared.is_closed());
        if let Some(block) = promoted {
            shared.blocks.promote(block);
        }
        let published = self.current_published(shared);
        let state = self.state(shared);
        let failed = self.held.is_empty() && state == Connectivity::TransientFailure;
        let flipped = failed != shared.has_failed();
        shared.set_failed(failed);
        let moved = promoted.is_some() || published != self.published || flipped;
        self.published = published;
        if state != self.told {
            self.told = state;
            shared.set_state(state);
            out.push(Output::Event(Action::StateChanged(state)));
        }
        if moved || std::mem::take(&mut self.moved) {
            self.moved = false;
            self.reasons = None;
            self.pick_again |= shared.waiters.advance();
        }
        if std::mem::take(&mut self.pick_again) {
            out.push(Output::Event(Action::PickAgain));
        }
    }

    fn current_published(&self, shared: &Shared) -> u32 {
        let balancer = self.held.last().and_then(|held| shared.blocks.get(held.block));
        balancer.map_or(0, evener_core::Balancer::published)
    }

    fn state(&self, shared: &Shared) -> Connectivity {
        if shared.is_closed() {
            return Connectivity::Shutdown;
        }
        match self.held.last() {
            Some(current) => current.controller.connectivity(),
            None if !self.active => Connectivity::Idle,
            None if self.unusable.is_some() || self.resolution.error().is_some() => {
                Connectivity::TransientFailure
            }
            None => Connectivity::Connecting,
        }
    }

    fn count_now_and_then(&mut self, shared: &Shared, now: Instant) {
        if self.next_count.is_some_and(|at| at > now) {
            return;
        }
        self.next_count = (!self.held.is_empty() && !self.subchannels.is_empty()).then(|| now + COUNT_EVERY);
        self.count(shared);
    }

    /// A slot's counters are gone with its `Close`, and the endpoint may live on in another block.
    fn count_leaving(&mut self, shared: &Shared) {
        if self.held.len() < 2 || !self.subchannels.is_draining() {
            return;
        }
        for record in self.subchannels.open_mut().filter(|record| record.phase == Phase::Draining) {
            record.count(|block, handle| shared.blocks.counters(block, handle));
        }
    }

    /// Brings the totals up to date.
    pub(crate) fn count(&mut self, shared: &Shared) {
        for record in self.subchannels.open_mut() {
            record.count(|block, handle| shared.blocks.counters(block, handle));
        }
    }

    fn deadline(&self, shared: &Shared, now: Instant) -> Option<Instant> {
        let core = self.held.iter().filter_map(|held| held.controller.next_deadline());
        let core = core.map(|tick| shared.clock.instant(tick, now)).min();
        let drains = self.subchannels.is_draining().then(|| now + DRAIN_CHECK);
        [core, drains, self.resolution.deadline(), self.next_count].into_iter().flatten().min()
    }

    /// A lookup's answer. A channel that was given another list meanwhile does not want it.
    pub(crate) fn resolved(&mut self, shared: &Shared, answer: Answer, now: Instant) {
        if !self.resolution.is_asked() {
            return;
        }
        self.moved = true;
        self.reasons = None;
        match answer {
            Answer::Failed(error) => self.lookup_failed(shared, error, now),
            Answer::Unchanged => self.lookup_succeeded(shared, now),
            Answer::List(list) => {
                self.lookup_succeeded(shared, now);
                self.tell_finding(&list);
                self.take_answer(shared, list);
            }
        }
    }

    /// A list that cannot be used costs nothing but itself. Without any list before it, calls fail.
    fn take_answer(&mut self, shared: &Shared, list: Vec<Endpoint>) {
        let unusable = check(&list).err();
        let result = unusable.map_or_else(|| self.accept(shared, list), Err);
        if let Err(error) = result
            && self.unusable != Some(error)
        {
            self.note(Level::Error, format!("{}: list refused: {error}", shared.target));
        }
        self.unusable = unusable;
    }

    fn lookup_succeeded(&mut self, shared: &Shared, now: Instant) {
        if self.resolution.succeeded(now).is_some() {
            self.last_failure.clear();
            self.note(Level::Info, format!("{}: resolves again", shared.target));
        }
    }

    /// Says each failure once, however often it repeats. The last list stays.
    fn lookup_failed(&mut self, shared: &Shared, error: String, now: Instant) {
        if error != self.last_failure {
            let kept = if self.held.is_empty() { "" } else { "; the last list stays" };
            self.note(Level::Warning, format!("{}: {error}{kept}", shared.target));
            self.last_failure.clone_from(&error);
        }
        self.resolution.failed(now, error);
    }

    fn tell_finding(&mut self, list: &[Endpoint]) {
        let finding = self.lookup.as_ref().and_then(|lookup| lookup.finding(list)).unwrap_or_default();
        if finding != self.last_finding {
            if !finding.is_empty() {
                self.note(Level::Warning, finding.clone());
            }
            self.last_finding = finding;
        }
    }

    /// The application's own list. From now on nothing is looked up.
    pub(crate) fn replace(&mut self, shared: &Shared, list: Vec<Endpoint>) -> Result<(), UpdateError> {
        if shared.is_closed() {
            return Err(UpdateError::Closed);
        }
        check(&list)?;
        self.resolution.stop();
        self.lookup = None;
        self.unusable = None;
        self.moved = true;
        self.accept(shared, list)
    }

    /// Takes a list over now, or keeps it for the first use.
    fn accept(&mut self, shared: &Shared, list: Vec<Endpoint>) -> Result<(), UpdateError> {
        if shared.is_closed() {
            return Err(UpdateError::Closed);
        }
        if !self.active {
            self.pending = Some(list);
            return Ok(());
        }
        let result = self.take_over(shared, &list);
        let refused = result == Err(UpdateError::NoRoom);
        if refused && !self.refused {
            let text = format!(
                "{}: no room for {} endpoints until calls at removed ones end",
                shared.target,
                list.len()
            );
            self.note(Level::Warning, text);
        }
        self.refused = refused;
        self.pending = refused.then_some(list);
        result
    }

    fn retry(&mut self, shared: &Shared) -> bool {
        let list = self.pending.take();
        list.is_some_and(|list| self.accept(shared, list).is_ok())
    }

    fn take_over(&mut self, shared: &Shared, list: &[Endpoint]) -> Result<(), UpdateError> {
        let admitted = self.subchannels.admit(list)?;
        let members: Vec<Member> =
            admitted.iter().map(|one| blocks::member(one.id, one.index, one.endpoint.weight)).collect();
        if !self.seat(shared, &members) {
            self.subchannels.withdraw(&admitted);
            return Err(UpdateError::NoRoom);
        }
        self.subchannels.settle(admitted);
        self.take_seats(&members);
        self.tell_older_blocks(&members);
        self.reasons = None;
        Ok(())
    }

    /// Gives the list to the current block, or to the first larger one that has room.
    fn seat(&mut self, shared: &Shared, members: &[Member]) -> bool {
        if let Some(current) = self.held.last_mut() {
            match current.controller.update(members) {
                Ok(changes) => {
                    if changes.added + changes.removed + changes.returned > 0 {
                        let text = format!(
                            "{}: {} endpoints ({} added, {} removed)",
                            shared.target,
                            members.len(),
                            changes.added + changes.returned,
                            changes.removed
                        );
                        self.note(Level::Info, text);
                    }
                    return true;
                }
                Err(Full::Full { .. }) => {}
                Err(error) => {
                    self.note(Level::Error, format!("{}: list refused: {error}", shared.target));
                    return false;
                }
            }
        }
        self.grow(shared, members)
    }

    /// Lays out the next block that is large enough.
    fn grow(&mut self, shared: &Shared, members: &[Member]) -> bool {
        let Some(block) = blocks::block_for(members.len(), self.held.last().map(|held| held.block)) else {
            return false;
        };
        let mut controller = match shared.blocks.lay_out(block, self.options) {
            Ok(controller) => controller,
            Err(error) => {
                self.note(
                    Level::Error,
                    format!("{}: no block for {} endpoints: {error}", shared.target, members.len()),
                );
                return false;
            }
        };
        controller.set_policy(self.policy);
        if controller.update(members).is_err() {
            return false;
        }
        let capacity = blocks::capacity(block);
        let text = format!("{}: {} endpoints, room for {capacity}", shared.target, members.len());
        self.note(Level::Info, text);
        self.held.push(Held { block, controller });
        self.promote = Some(block);
        true
    }

    /// Notes which slot of the current block each endpoint lives in. A slot that is new there is told what
    /// is known of its endpoint: the block may be new, or the endpoint back, with a connection that only
    /// calls in an older block have kept.
    fn take_seats(&mut self, members: &[Member]) {
        let Some(Held { block, controller }) = self.held.last_mut() else {
            return;
        };
        for member in members {
            let record = self.subchannels.get_mut(member.user as u32);
            let (Some(record), Some(handle)) = (record, controller.handle(member.id)) else {
                continue;
            };
            if record.sit(*block, handle) {
                // The handle was asked for just now: it cannot be stale.
                let _ = controller.set_connectivity(handle, record.state);
                let _ = controller.set_health(handle, record.health);
            }
        }
    }

    /// Older blocks keep what the list keeps, and gain nothing: so they always have room.
    fn tell_older_blocks(&mut self, members: &[Member]) {
        let Some((_, older)) = self.held.split_last_mut() else {
            return;
        };
        for Held { block, controller } in older {
            let sits = |member: &&Member| {
                self.subchannels.get(member.user as u32).is_some_and(|record| record.sits_in(*block))
            };
            let kept: Vec<Member> = members.iter().filter(sits).copied().collect();
            if let Err(error) = controller.update(&kept) {
                note(&mut self.log, Level::Error, format!("an older block refused a shorter list: {error}"));
            }
        }
    }

    /// A new service config: the policy now, everything else where it is read.
    pub(crate) fn configure(
        &mut self,
        shared: &Shared,
        config: ServiceConfig,
        json: &str,
        warnings: &[Warning],
    ) {
        if shared.is_closed() {
            return;
        }
        self.policy = config.policy;
        self.config_text = Some(json.to_owned());
        shared.config.store(Arc::new(config));
        self.moved = true;
        self.warn(warnings);
        if let Some(current) = self.held.last_mut() {
            current.controller.set_policy(self.policy);
        }
    }

    /// What the transport says of a connection. False for an endpoint that is closed or never was.
    pub(crate) fn observe(&mut self, endpoint: u32, state: Connectivity, error: &str) -> bool {
        let Some(record) = self.subchannels.get_mut(endpoint).filter(|record| record.is_open()) else {
            return false;
        };
        record.observe(state, error);
        self.reasons = None;
        self.mirror(endpoint, |controller, handle| {
            // A slot that was given up in this block meanwhile has nothing to be told.
            let _ = controller.set_connectivity(handle, state);
        });
        true
    }

    pub(crate) fn observe_health(&mut self, endpoint: u32, health: Health) -> bool {
        let Some(record) = self.subchannels.get_mut(endpoint).filter(|record| record.is_open()) else {
            return false;
        };
        record.health = health;
        self.reasons = None;
        self.mirror(endpoint, |controller, handle| {
            let _ = controller.set_health(handle, health);
        });
        true
    }

    /// Tells something to every block that the endpoint lives in.
    fn mirror(&mut self, endpoint: u32, tell: impl Fn(&mut BlockController, evener_core::Handle)) {
        let Some(record) = self.subchannels.get(endpoint) else {
            return;
        };
        for seat in &record.seats {
            if let Some(held) = self.held.iter_mut().find(|held| held.block == seat.block) {
                tell(&mut held.controller, seat.handle);
            }
        }
    }

    pub(crate) fn acknowledge(&mut self, endpoint: u32) -> bool {
        let awaited = self.subchannels.acknowledge(endpoint);
        self.room |= awaited;
        awaited
    }

    pub(crate) fn endpoint_target(&self, endpoint: u32) -> Option<String> {
        Some(self.subchannels.get(endpoint)?.target.clone())
    }

    /// No call starts from now on; endpoints close when their calls have ended.
    pub(crate) fn close(&mut self, shared: &Shared) {
        if shared.is_closed() {
            return;
        }
        shared.set_closed();
        shared.blocks.retire();
        self.resolution.stop();
        self.lookup = None;
        self.pending = None;
        self.refused = false;
        self.promote = None;
        if !self.held.is_empty() && self.take_over(shared, &[]).is_err() {
            self.note(Level::Error, format!("{}: endpoints cannot be closed", shared.target));
        }
        shared.set_state(Connectivity::Shutdown);
        self.pick_again |= shared.waiters.advance();
    }

    /// Whether the last endpoint is closed and nothing is left to tell.
    pub(crate) fn is_finished(&self) -> bool {
        self.subchannels.is_empty()
            && self.log.is_empty()
            && !self.pick_again
            && self.told == Connectivity::Shutdown
    }

    /// The policy's and the last block's names and sizes, for `describe`.
    pub(crate) fn shape(&self) -> (Policy, usize, u32) {
        (self.policy, self.held.len(), self.held.last().map_or(0, |held| blocks::capacity(held.block)))
    }

    fn warn(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            self.note(Level::Warning, warning.to_string());
        }
    }

    fn note(&mut self, level: Level, text: String) {
        note(&mut self.log, level, text);
    }
}

/// Keeps a message for the next poll. Where nobody polls, the first ones are worth the most.
fn note(log: &mut Vec<(Level, String)>, level: Level, text: String) {
    if log.len() < MAX_LOG {
        log.push((level, text));
    } else if let Some(last) = log.last_mut() {
        *last = (Level::Warning, "further messages were dropped: nobody fetched them".to_owned());
    }
}
