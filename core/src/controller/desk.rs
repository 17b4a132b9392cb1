//! The controller's work, apart from the types of its memory: it exists once, whatever those are.

use super::Status;
use crate::compose::Plan;
use crate::compose::priority::Tiers;
use crate::endpoint::{Endpoint, EndpointId};
use crate::handle::{Handle, Stale};
use crate::layout::{CALL_LIMIT, Layout, Options, SEEDS, STATE};
use crate::members::diff::{self, Changes, UpdateError};
use crate::members::list::List;
use crate::members::{Member, Stage, flag, index, stride_order};
use crate::policy::pick_first::PickFirst;
use crate::policy::{BuiltSchedule, Policy, Sheet};
use crate::poll::action::Action;
use crate::poll::timers::{self, MAX_TIMEOUT};
use crate::publish::{state_word, table, table::TableWriter};
use crate::rng::{mix32, mix64};
use crate::slot::{Slot, attention, gate};
use crate::state::{connectivity::Connectivity, health::Health};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use crate::ticks::{earlier, reached};

/// The memory the desk works on, borrowed for one call.
pub(super) struct Room<'a> {
    pub(super) words: &'a [AtomicU32],
    pub(super) layout: &'a Layout,
    pub(super) members: &'a mut [Member],
}

/// What the controller knows besides its members.
#[derive(Debug)]
pub(super) struct Desk {
    /// The current table. Counted here and never read again: see [`state_word`].
    table: u32,
    pass: u16,
    policy: Policy,
    pick_first: PickFirst,
    tiers: Tiers,
    seed: u64,
    drain_timeout: u32,
    failover_timeout: u32,
    next_drain: Option<u32>,
    free: List,
    with_actions: List,
    built: BuiltSchedule,
    connectivity: Connectivity,
    /// The last channel state that the host was told.
    told: Connectivity,
    /// An address list has been given, so an empty one means something.
    updated: bool,
    /// The next table differs from the current one.
    dirty: bool,
    /// An address list was refused for lack of room, and no slot has become free since.
    refused: bool,
    reresolve_due: bool,
    room_due: bool,
}

impl Desk {
    pub(super) fn set_up(
        words: &[AtomicU32],
        layout: &Layout,
        members: &mut [Member],
        options: Options,
    ) -> Self {
        let mut free = List::EMPTY;
        for slot in stride_order(layout.endpoints) {
            if members.get(usize::from(slot)).is_some_and(|member| member.stage == Stage::Free) {
                free.push_back(members, slot);
            } else {
                attention::raise::<attention::Sound>(words, layout, slot);
            }
        }
        let limit = if options.calls_per_endpoint == 0 { u32::MAX } else { options.calls_per_endpoint };
        for (index, value) in [(CALL_LIMIT, limit), (SEEDS, mix64(options.seed) as u32)] {
            if let Some(word) = words.get(index) {
                word.store(value, Relaxed);
            }
        }
        let table = words.get(STATE).map_or(0, state_word::current);
        Self {
            table,
            pass: 0,
            policy: Policy::RoundRobin,
            pick_first: PickFirst::START,
            tiers: Tiers::START,
            seed: options.seed,
            drain_timeout: options.drain_timeout,
            failover_timeout: options.failover_timeout.min(MAX_TIMEOUT),
            next_drain: None,
            free,
            with_actions: List::EMPTY,
            built: BuiltSchedule::unknown(table::schedule_buffer(words, layout, table)),
            connectivity: Connectivity::Idle,
            told: Connectivity::Idle,
            updated: false,
            dirty: true,
            refused: false,
            reresolve_due: false,
            room_due: false,
        }
    }

    pub(super) fn update(
        &mut self,
        room: &mut Room<'_>,
        endpoints: &[Endpoint],
    ) -> Result<Changes, UpdateError> {
        // 0 means "in no list".
        self.pass = self.pass.checked_add(1).unwrap_or(1);
        let done = diff::update(room.words, room.layout, room.members, &mut self.free, endpoints, self.pass);
        self.refused |= done.is_err();
        let done = done?;
        if done.changes.kept + done.changes.returned == 0 {
            self.tiers = Tiers::START;
        }
        if done.changed || !self.updated || (done.reordered && !self.policy.rule().dials_all) {
            self.pick_first.begin_again();
            self.dirty = true;
        }
        self.updated = true;
        Ok(done.changes)
    }

    pub(super) fn set_policy(&mut self, policy: Policy) {
        if policy != self.policy {
            self.policy = policy;
            self.pick_first = PickFirst::START;
            self.tiers = Tiers::START;
            self.dirty = true;
        }
    }

    pub(super) fn set_connectivity(
        &mut self,
        room: &mut Room<'_>,
        handle: Handle,
        state: Connectivity,
    ) -> Result<(), Stale> {
        let dials_all = self.policy.rule().dials_all;
        let member = room.member(handle)?;
        let before = core::mem::replace(&mut member.connectivity, state);
        if before == state {
            return Ok(());
        }
        match state {
            Connectivity::Ready => member.clear(flag::FAILED),
            // Of a connection that pick_first has let go, bad news is no news.
            Connectivity::TransientFailure if dials_all || member.has(flag::DIALLED) => {
                member.set(flag::FAILED);
            }
            Connectivity::Idle => member.clear(flag::DIALLED),
            _ => {}
        }
        if matches!(state, Connectivity::Connecting | Connectivity::Ready) {
            // However it came about: pick_first must know what there is to let go.
            member.set(flag::DIALLED);
        }
        if member.is_live() {
            self.dirty = true;
            let failed = state == Connectivity::TransientFailure;
            self.reresolve_due |= dials_all && (failed || before == Connectivity::Ready);
            self.pick_first.count_failure(failed);
        }
        Ok(())
    }

    pub(super) fn set_health(
        &mut self,
        room: &mut Room<'_>,
        handle: Handle,
        health: Health,
    ) -> Result<(), Stale> {
        let member = room.member(handle)?;
        self.dirty |= member.health != health && member.is_live();
        member.health = health;
        Ok(())
    }

    pub(super) fn connect(&mut self) {
        self.dirty |= self.pick_first.connect();
    }

    pub(super) const fn set_drain_timeout(&mut self, ticks: u32) {
        self.drain_timeout = ticks;
    }

    pub(super) const fn next_deadline(&self) -> Option<u32> {
        earlier(self.next_drain, self.next_dial())
    }

    /// When another endpoint may have to be dialled. Which of the two it is depends on the policy: the other one is at its start.
    const fn next_dial(&self) -> Option<u32> {
        earlier(self.pick_first.deadline(), self.tiers.deadline())
    }

    pub(super) const fn connectivity(&self) -> Connectivity {
        self.connectivity
    }

    pub(super) const fn policy(&self) -> Policy {
        self.policy
    }

    pub(super) fn poll(&mut self, room: &mut Room<'_>, now: u32) -> Option<Action> {
        self.look_at_attention(room);
        let expired = self.expire(room, now);
        let dirty = core::mem::take(&mut self.dirty);
        // Dialling the next endpoint changes no table: only what is dirty is published.
        let dials = dirty || self.next_dial().is_some_and(|at| reached(now, at));
        if dials {
            self.dial(room, now);
        }
        if dirty {
            self.publish(room);
            self.close(room, now);
        }
        if dials || expired {
            self.queue_actions(room);
        }
        self.next_action(room)
    }

    fn look_at_attention(&mut self, room: &mut Room<'_>) {
        if !attention::is_raised(room.words) {
            return;
        }
        let (words, layout) = (room.words, room.layout);
        attention::take::<attention::Sound>(words, layout, |slot| self.close_if_drained(room, slot));
    }

    fn close_if_drained(&mut self, room: &mut Room<'_>, slot: u16) {
        let Some(shared) = Slot::at(room.words, room.layout, slot) else { return };
        let Some(member) = room.members.get_mut(usize::from(slot)) else { return };
        if member.stage == Stage::Draining && gate::drained::<gate::Sound>(shared.gate()) {
            member.clear(flag::CANCEL | flag::DRAINS_UNTIL);
            member.set(flag::CLOSE);
            self.queue(room.members, slot);
        }
    }

    /// Marks the draining endpoints whose time is over. True if it looked.
    fn expire(&mut self, room: &mut Room<'_>, now: u32) -> bool {
        let due = self.next_drain.is_some_and(|at| reached(now, at));
        if due {
            self.next_drain = timers::expire_drains(room.members, now);
        }
        due
    }

    /// Decides which endpoints the host should connect.
    fn dial(&mut self, room: &mut Room<'_>, now: u32) {
        if self.policy.rule().dials_all {
            return self.tiers.advance(room.members, self.policy.rule(), now, self.failover_timeout);
        }
        let shuffle = match self.policy {
            Policy::PickFirst { shuffle: true } => Some(mix32(self.seed as u32) ^ (self.seed >> 32) as u32),
            _ => None,
        };
        self.reresolve_due |= self.pick_first.advance(room.members, now, shuffle);
    }

    /// Composes the next table and publishes it.
    fn publish(&mut self, room: &mut Room<'_>) {
        let Some(state) = room.words.get(STATE) else { return };
        let (rule, only) = (self.policy.rule(), self.pick_first.selected());
        let plan = Plan::of(room.members, rule, self.tiers.current(), only, self.pick_first.is_idle());
        let (policy, updated, built) = (self.policy, self.updated, &mut self.built);
        let (words, layout) = (room.words, room.layout);
        let members = &mut *room.members;
        self.table = state_word::write::<state_word::Sound>(state, self.table, |buffer| {
            let writer = TableWriter::new(words, layout, buffer);
            if plan.rows > 0 {
                let fingerprint = write_rows(words, layout, members, &plan, writer);
                policy.lay_out(&mut Sheet { plan, writer, members, words, layout, built, fingerprint });
            } else if updated && plan.connectivity == Connectivity::TransientFailure {
                writer.fail(plan.reason);
            } else {
                writer.queue();
            }
        });
        self.connectivity = if updated { plan.connectivity } else { Connectivity::Idle };
    }

    /// Closes the gates of endpoints that have left, now that no table has them.
    fn close(&mut self, room: &mut Room<'_>, now: u32) {
        for slot in 0..room.layout.endpoints as u16 {
            let Some(member) = room.members.get_mut(usize::from(slot)) else { continue };
            if member.stage != Stage::Closing {
                continue;
            }
            member.stage = Stage::Draining;
            self.next_drain = earlier(self.next_drain, timers::start_drain(member, now, self.drain_timeout));
            if let Some(shared) = Slot::at(room.words, room.layout, slot) {
                gate::close::<gate::Sound>(shared.gate());
            }
            self.close_if_drained(room, slot);
        }
    }

    /// Puts every member with something to tell into the list.
    fn queue_actions(&mut self, room: &mut Room<'_>) {
        for slot in 0..room.layout.endpoints as u16 {
            if room.members.get(usize::from(slot)).is_some_and(|member| member.has(flag::ACTIONS)) {
                self.queue(room.members, slot);
            }
        }
    }

    fn queue(&mut self, members: &mut [Member], slot: u16) {
        let Some(member) = members.get_mut(usize::from(slot)) else { return };
        if !member.has(flag::QUEUED) {
            member.set(flag::QUEUED);
            self.with_actions.push_back(members, slot);
        }
    }

    fn next_action(&mut self, room: &mut Room<'_>) -> Option<Action> {
        while let Some(slot) = self.with_actions.pop_front(room.members) {
            let action = self.action_of(room, slot);
            if action.is_some() {
                return action;
            }
        }
        if core::mem::take(&mut self.reresolve_due) {
            return Some(Action::Reresolve);
        }
        // Room that a list took before it was told of is none: the next one is told.
        if self.room_due && self.free.len() > 0 {
            (self.room_due, self.refused) = (false, false);
            return Some(Action::RoomAgain);
        }
        let told = core::mem::replace(&mut self.told, self.connectivity);
        (told != self.connectivity).then_some(Action::StateChanged(self.connectivity))
    }

    /// The next thing to tell of a member, which stays in the list if there is more.
    fn action_of(&mut self, room: &mut Room<'_>, slot: u16) -> Option<Action> {
        let shared = Slot::at(room.words, room.layout, slot)?;
        let member = room.members.get_mut(usize::from(slot))?;
        member.clear(flag::QUEUED);
        let handle = Handle::new(slot, shared.generation().load(Relaxed));
        let user = shared.user();
        let due = member.flags & flag::ACTIONS;
        let (bit, action) = match due {
            due if due & flag::CLOSE != 0 => (flag::ACTIONS, Action::Close { handle, user }),
            due if due & flag::CANCEL != 0 => (flag::CANCEL, Action::CancelCalls { handle, user }),
            due if due & flag::DISCONNECT != 0 => (flag::DISCONNECT, Action::Disconnect { handle, user }),
            due if due & flag::CONNECT != 0 => (flag::CONNECT, Action::Connect { handle, user }),
            _ => return None,
        };
        member.clear(bit);
        if member.has(flag::ACTIONS) {
            self.queue(room.members, slot);
        } else if due & flag::CLOSE != 0 {
            self.set_free(room, slot);
        }
        Some(action)
    }

    /// The host has been told that the endpoint is closed: its slot can be given to another one.
    fn set_free(&mut self, room: &mut Room<'_>, slot: u16) {
        if let Some(shared) = Slot::at(room.words, room.layout, slot) {
            shared.retire();
        }
        index::remove(room.members, slot);
        if let Some(member) = room.members.get_mut(usize::from(slot)) {
            member.stage = Stage::Free;
            member.mark = 0;
        }
        self.free.push_back(room.members, slot);
        self.room_due |= core::mem::take(&mut self.refused);
    }
}

impl Room<'_> {
    fn member(&mut self, handle: Handle) -> Result<&mut Member, Stale> {
        let slot = Slot::at(self.words, self.layout, handle.slot()).ok_or(Stale)?;
        if slot.generation().load(Relaxed) != handle.generation() {
            return Err(Stale);
        }
        let member = self.members.get_mut(usize::from(handle.slot())).ok_or(Stale)?;
        if member.stage == Stage::Free { Err(Stale) } else { Ok(member) }
    }
}

/// Writes a row for every member the plan picks from; answers a fingerprint of slots and weights.
fn write_rows(
    words: &[AtomicU32],
    layout: &Layout,
    members: &[Member],
    plan: &Plan,
    writer: TableWriter<'_>,
) -> u64 {
    let (mut row, mut fingerprint) = (0, 1);
    for (slot, member) in (0_u16..).zip(members) {
        let Some(weight) = plan.weight(slot, member) else { continue };
        let Some(shared) = Slot::at(words, layout, slot) else { continue };
        writer.row(row, Handle::new(slot, shared.generation().load(Relaxed)));
        row += 1;
        fingerprint = mix64(fingerprint ^ (u64::from(slot) << 32 | u64::from(weight)));
    }
    fingerprint | 1
}

pub(super) fn handle_of(
    words: &[AtomicU32],
    layout: &Layout,
    members: &[Member],
    id: EndpointId,
) -> Option<Handle> {
    let slot = index::find(members, id)?;
    let generation = Slot::at(words, layout, slot)?.generation().load(Relaxed);
    Some(Handle::new(slot, generation))
}

pub(super) fn status_of(
    words: &[AtomicU32],
    layout: &Layout,
    members: &[Member],
    handle: Handle,
) -> Option<Status> {
    let generation = Slot::at(words, layout, handle.slot())?.generation().load(Relaxed);
    let member = members.get(usize::from(handle.slot()))?;
    if generation != handle.generation() || member.stage == Stage::Free {
        return None;
    }
    Some(Status {
        connectivity: member.connectivity,
        health: member.health,
        weight: member.weight,
        draining: member.stage != Stage::Live,
    })
}
