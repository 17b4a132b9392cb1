//! Who sits where: the endpoints of a channel, and the blocks whose slots they have.
//!
//! A list is taken over in one place ([`Seating::take_over`]) and in one order: admit the endpoints to
//! indices, give them to the current block's controller (or to a larger block's), tell older blocks,
//! settle. Picks see it at the next [`Seating::act`], which alone has controllers publish.
//!
//! Blocks that a larger one has replaced are told every removal and every state as well, so the same
//! rules (drain, cancel, close) hold for calls that still run there, and a call that picked from an
//! old block a moment too late is no worse off. An endpoint closes when it has left all blocks.

use std::time::{Duration, Instant};

use evener_core::{
    Action as Core, Connectivity, Endpoint as Member, EndpointId, Health, Options, Policy,
    UpdateError as Full,
};
use evener_discovery::{Condition, Endpoint};

use crate::blocks::{self, BlockController};
use crate::config::{Locality, ServiceConfig};
use crate::event::{Action, Level};
use crate::log::Log;
use crate::options::UpdateError;
use crate::output::Output;
use crate::shared::Shared;
use crate::subchannels::{Phase, Subchannel, Subchannels};
use crate::tiers::tier;

/// While endpoints drain, poll at least this often: a call that had begun at a leaving endpoint and was
/// undone can be the last one out, and has no way to say so.
const DRAIN_CHECK: Duration = Duration::from_secs(1);

/// The exclusive side of a block.
#[derive(Debug)]
struct Held {
    block: u32,
    controller: BlockController,
}

/// What the blocks asked for that concerns more than one endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Requests {
    /// There is room in a block, or an index, that was not there before.
    pub(crate) room: bool,
    /// The names should be looked up again.
    pub(crate) reresolve: bool,
}

/// What a service config says of how endpoints are chosen.
#[derive(Debug, PartialEq, Eq)]
struct Rules {
    name: &'static str,
    policy: Policy,
    /// Where the client is, if endpoints near it are to be preferred.
    place: Option<Locality>,
}

impl Rules {
    fn of(config: &ServiceConfig, home: &Locality) -> Self {
        let place = config.locality.as_ref().map(|said| Locality {
            zone: said.zone.clone().or_else(|| home.zone.clone()),
            region: said.region.clone().or_else(|| home.region.clone()),
        });
        Self { name: config.policy_name(), policy: config.policy, place }
    }

    /// What the core is told about an endpoint.
    fn member(&self, id: EndpointId, index: u32, endpoint: &Endpoint) -> Member {
        // pick_first goes by connections alone (gRFC A17); weight 0 makes it leave whom a registry calls unhealthy,
        // unless it does so of all.
        let shunned =
            endpoint.condition == Condition::Unhealthy && matches!(self.policy, Policy::PickFirst { .. });
        let weight = if shunned { 0 } else { endpoint.weight };
        blocks::member(id, index, weight, tier(endpoint, self.place.as_ref()))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Seating {
    pub(crate) subchannels: Subchannels,
    /// In the order of their making; the last is the current one.
    held: Vec<Held>,
    rules: Rules,
    /// Where this client runs, as far as a config does not say.
    home: Locality,
    options: Options,
    /// The block that becomes current at the end of the next poll.
    promote: Option<u32>,
}

impl Seating {
    /// No block yet. `key` is the one of [`Subchannels::new`].
    pub(crate) fn new(key: [u64; 2], config: &ServiceConfig, home: Locality, options: Options) -> Self {
        let rules = Rules::of(config, &home);
        Self { subchannels: Subchannels::new(key), held: Vec::new(), rules, home, options, promote: None }
    }

    /// Takes a list over that [`check`](crate::subchannels::check) let pass; all or nothing.
    pub(crate) fn take_over(
        &mut self,
        shared: &Shared,
        list: &[Endpoint],
        log: &mut Log,
    ) -> Result<(), UpdateError> {
        let admitted = self.subchannels.admit(list)?;
        let members: Vec<Member> =
            admitted.iter().map(|one| self.rules.member(one.id, one.index, &one.endpoint)).collect();
        if !self.seat(shared, &members, log) {
            self.subchannels.withdraw(&admitted);
            return Err(UpdateError::NoRoom);
        }
        let flipped = self.subchannels.settle(admitted);
        self.take_seats(&members);
        self.tell_older_blocks(&members, log);
        for endpoint in flipped {
            self.tell_health(endpoint);
        }
        Ok(())
    }

    /// Gives the list to the current block, or to the first larger one that has room.
    fn seat(&mut self, shared: &Shared, members: &[Member], log: &mut Log) -> bool {
        let Some(current) = self.held.last_mut() else {
            return self.grow(shared, members, log);
        };
        let (target, count) = (&shared.target, members.len());
        match current.controller.update(members) {
            Ok(changes) => {
                let (added, removed) = (changes.added + changes.returned, changes.removed);
                if added + removed > 0 {
                    let text = format!("{target}: {count} endpoints ({added} added, {removed} removed)");
                    log.note(Level::Info, text);
                }
                true
            }
            Err(Full::Full { .. }) => self.grow(shared, members, log),
            Err(error) => {
                log.note(Level::Error, format!("{target}: list refused: {error}"));
                false
            }
        }
    }

    /// Lays out the next block that is large enough.
    fn grow(&mut self, shared: &Shared, members: &[Member], log: &mut Log) -> bool {
        let Some(block) = blocks::block_for(members.len(), self.held.last().map(|held| held.block)) else {
            return false;
        };
        let (target, count) = (&shared.target, members.len());
        let mut controller = match shared.blocks.lay_out(block, self.options) {
            Ok(controller) => controller,
            Err(error) => {
                log.note(Level::Error, format!("{target}: no block for {count} endpoints: {error}"));
                return false;
            }
        };
        controller.set_policy(self.rules.policy);
        if controller.update(members).is_err() {
            return false;
        }
        let capacity = blocks::capacity(block);
        log.note(Level::Info, format!("{target}: {count} endpoints, room for {capacity}"));
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
                introduce(controller, handle, record);
            }
        }
    }

    /// Older blocks keep what the list keeps, and gain nothing: so they always have room.
    fn tell_older_blocks(&mut self, members: &[Member], log: &mut Log) {
        let Some((_, older)) = self.held.split_last_mut() else {
            return;
        };
        for Held { block, controller } in older {
            let sits = |member: &&Member| {
                self.subchannels.get(member.user as u32).is_some_and(|record| record.sits_in(*block))
            };
            let kept: Vec<Member> = members.iter().filter(sits).copied().collect();
            if let Err(error) = controller.update(&kept) {
                log.note(Level::Error, format!("an older block refused a shorter list: {error}"));
            }
        }
    }

    /// Has every block publish, and takes every action of every one.
    pub(crate) fn act(&mut self, shared: &Shared, now: Instant, out: &mut Vec<Output>) -> Requests {
        self.count_leaving(shared);
        let tick = shared.clock.tick(now);
        let mut requests = Requests::default();
        for position in 0..self.held.len() {
            let current = position + 1 == self.held.len();
            while let Some((block, action)) = self.next_action(position, tick) {
                requests.room |= matches!(action, Core::RoomAgain | Core::Close { .. });
                requests.reresolve |= current && matches!(action, Core::Reresolve);
                out.extend(self.carry_out(block, current, action).map(Output::Event));
            }
        }
        requests
    }

    fn next_action(&mut self, position: usize, tick: u32) -> Option<(u32, Core)> {
        let held = self.held.get_mut(position)?;
        Some((held.block, held.controller.poll(tick)?))
    }

    fn carry_out(&mut self, block: u32, current: bool, action: Core) -> Option<Action> {
        match action {
            Core::Connect { user, .. } if current => self.dial(user as u32),
            Core::Disconnect { user, .. } if current => self.hang_up(user as u32),
            Core::CancelCalls { user, .. } => self.cancel(user as u32),
            Core::Close { user, .. } => self.close_seat(block, user as u32),
            // The channel's state is read at the end of the poll; older blocks decide nothing any more.
            _ => None,
        }
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
        let dialled = record.dialled;
        record.let_go();
        dialled.then_some(Action::Disconnect { endpoint })
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

    /// Lets calls start in the block that has grown since the last time. Returns whether there is one.
    pub(crate) fn promote(&mut self, shared: &Shared) -> bool {
        let promoted = self.promote.take().filter(|_| !shared.is_closed());
        if let Some(block) = promoted {
            shared.blocks.promote(block);
        }
        promoted.is_some()
    }

    /// How often the current block has published.
    pub(crate) fn published(&self, shared: &Shared) -> u32 {
        let balancer = self.held.last().and_then(|held| shared.blocks.get(held.block));
        balancer.map_or(0, evener_core::Balancer::published)
    }

    /// The channel's state as the current block has it; `None` before the first list.
    pub(crate) fn connectivity(&self) -> Option<Connectivity> {
        Some(self.held.last()?.controller.connectivity())
    }

    /// Ends the rest of a policy that went idle.
    pub(crate) fn leave_idle(&mut self) {
        if let Some(current) = self.held.last_mut()
            && current.controller.connectivity() == Connectivity::Idle
        {
            current.controller.connect();
        }
    }

    /// Follows another service config.
    pub(crate) fn set_config(&mut self, config: &ServiceConfig, log: &mut Log) {
        let rules = Rules::of(config, &self.home);
        if rules == self.rules {
            return;
        }
        self.rules = rules;
        let live = self.subchannels.open().filter(|(_, record)| record.phase == Phase::Live);
        let mut live: Vec<(u32, &Subchannel)> = live.collect();
        live.sort_unstable_by_key(|(_, record)| record.order);
        let members: Vec<Member> = live
            .iter()
            .map(|(index, record)| self.rules.member(record.id, *index, &record.endpoint))
            .collect();
        let Some(current) = self.held.last_mut() else {
            return;
        };
        current.controller.set_policy(self.rules.policy);
        // The same endpoints with other tiers and weights: there is room for them.
        if let Err(error) = current.controller.update(&members) {
            log.note(Level::Error, format!("the endpoints were not taken over by another policy: {error}"));
        }
    }

    /// Whether endpoints near the client are to be preferred, and nobody has said where that is.
    pub(crate) fn is_lost(&self) -> bool {
        self.rules.place.as_ref().is_some_and(|place| *place == Locality::default())
    }

    /// What the transport says of a connection. False for an endpoint that is closed or never was.
    pub(crate) fn observe(&mut self, endpoint: u32, state: Connectivity, error: &str) -> bool {
        let Some(record) = self.subchannels.get_mut(endpoint).filter(|record| record.is_open()) else {
            return false;
        };
        record.observe(state, error);
        self.mirror(endpoint, |controller, handle| {
            // A slot that was given up in this block meanwhile has nothing to be told.
            let _ = controller.set_connectivity(handle, state);
        });
        true
    }

    /// What an endpoint's server says of its health. Answers as [`Seating::observe`].
    pub(crate) fn observe_health(&mut self, endpoint: u32, health: Health) -> bool {
        let Some(record) = self.subchannels.get_mut(endpoint).filter(|record| record.is_open()) else {
            return false;
        };
        record.health = health;
        self.tell_health(endpoint);
        true
    }

    /// Tells the blocks whether an endpoint serves.
    fn tell_health(&mut self, endpoint: u32) {
        let Some(health) = self.subchannels.get(endpoint).map(Subchannel::serves) else {
            return;
        };
        self.mirror(endpoint, |controller, handle| {
            let _ = controller.set_health(handle, health);
        });
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

    /// When [`Seating::act`] is due though nothing happens.
    pub(crate) fn deadline(&self, shared: &Shared, now: Instant) -> Option<Instant> {
        let core = self.held.iter().filter_map(|held| held.controller.next_deadline());
        let core = core.map(|tick| shared.clock.instant(tick, now)).min();
        let drains = self.subchannels.is_draining().then(|| now + DRAIN_CHECK);
        [core, drains].into_iter().flatten().min()
    }

    /// The policy's name, as a config writes it.
    pub(crate) const fn policy_name(&self) -> &'static str {
        self.rules.name
    }

    /// Blocks laid out so far: 0 before the first list.
    pub(crate) const fn blocks(&self) -> usize {
        self.held.len()
    }

    /// Endpoints the current block has room for.
    pub(crate) fn capacity(&self) -> u32 {
        self.held.last().map_or(0, |held| blocks::capacity(held.block))
    }
}

/// Tells a slot that is new what is known of its endpoint. The handle was asked for just now: it cannot be
/// stale.
fn introduce(controller: &mut BlockController, handle: evener_core::Handle, record: &Subchannel) {
    if record.failing {
        // As it came about: the failure of an attempt, which counts until the endpoint is READY.
        let _ = controller.set_connectivity(handle, Connectivity::Connecting);
        let _ = controller.set_connectivity(handle, Connectivity::TransientFailure);
    }
    let _ = controller.set_connectivity(handle, record.state);
    let _ = controller.set_health(handle, record.serves());
}
