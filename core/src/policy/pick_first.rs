//! `pick_first`: one connection, to the first endpoint of the list (or of a shuffled one, gRFC A62) that can be
//! reached. Priorities order the list: it is shuffled within a tier, and a connection in a late one is kept while it lasts.
//!
//! Endpoints are dialled one by one, the next one when the last has failed or has been silent for 250 ms (gRFC A61's
//! connection attempt delay); the first that is READY is chosen, and the others are let go. When it is lost, the
//! channel rests in IDLE until it is asked to connect. When all have failed, all stay dialled, each with its own backoff, and
//! the names are resolved again now and after every further round of failures.

use super::{Policy, Registered};
use crate::compose::Rule;
use crate::compose::weight::Weighing;
use crate::members::{Member, NONE, flag};
use crate::rng::mix32;
use crate::state::connectivity::Connectivity;
use crate::ticks::{TICKS_PER_MILLISECOND, reached};

pub(super) const REGISTERED: Registered = Registered {
    name: "pick_first",
    policy: Policy::PickFirst { shuffle: false },
    rule: Rule { dials_all: false, heeds_health: false },
    lay_out: |sheet| sheet.writer.cycle(sheet.plan.rows),
};

/// How long one attempt may be silent before the next endpoint is dialled too.
pub(crate) const ATTEMPT_DELAY: u32 = 250 * TICKS_PER_MILLISECOND;

/// Where the policy stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PickFirst {
    selected: u16,
    last_dialled: u16,
    next_attempt: Option<u32>,
    idle: bool,
    /// All endpoints have been dialled and failed, and the host was told to resolve again.
    exhausted: bool,
    /// Failures since then.
    failures: u32,
}

impl PickFirst {
    pub(crate) const START: Self = Self {
        selected: NONE,
        last_dialled: NONE,
        next_attempt: None,
        idle: false,
        exhausted: false,
        failures: 0,
    };

    /// The chosen endpoint.
    pub(crate) const fn selected(&self) -> Option<u16> {
        if self.selected == NONE { None } else { Some(self.selected) }
    }

    /// Whether the policy rests until it is asked to connect.
    pub(crate) const fn is_idle(&self) -> bool {
        self.idle
    }

    /// When the next endpoint is dialled if nothing happens before.
    pub(crate) const fn deadline(&self) -> Option<u32> {
        self.next_attempt
    }

    /// Ends the rest. True if there was one.
    pub(crate) const fn connect(&mut self) -> bool {
        core::mem::replace(&mut self.idle, false)
    }

    /// The list is another one: where none is chosen yet, it is tried from its beginning. What is being dialled goes on, and
    /// what has failed is passed over.
    pub(crate) const fn begin_again(&mut self) {
        *self = Self { selected: self.selected, idle: self.idle, ..Self::START };
    }

    /// Takes note of an attempt that ended, if it `failed`.
    pub(crate) const fn count_failure(&mut self, failed: bool) {
        self.failures = self.failures.saturating_add(failed as u32);
    }

    /// Looks at the members and marks whom to dial and whom to let go. True if the names should be resolved again.
    /// `shuffle` is the seed of the order in which they are tried; `None` is the list's own.
    pub(crate) fn advance(&mut self, members: &mut [Member], now: u32, shuffle: Option<u32>) -> bool {
        let lost = self.look_at_selected(members);
        let mut reresolve = lost;
        if self.selected == NONE && !self.idle {
            let ready = Order { members, shuffle }.after(None, true);
            match ready {
                Some(slot) => *self = Self { selected: slot, ..Self::START },
                None => reresolve |= self.dial_on(members, now, shuffle),
            }
        }
        if self.selected != NONE || self.idle {
            let_others_go(members, self.selected);
        }
        reresolve
    }

    /// True if the chosen endpoint's connection is lost.
    fn look_at_selected(&mut self, members: &[Member]) -> bool {
        let Some(member) = members.get(usize::from(self.selected)) else { return false };
        if !is_candidate(member, Weighing::of(members)) {
            // It left the list or drains: the channel is in use, so it goes on to another one at once.
            *self = Self::START;
            return false;
        }
        let lost = member.connectivity != Connectivity::Ready;
        if lost {
            *self = Self { idle: true, ..Self::START };
        }
        lost
    }

    /// Dials the next endpoint if it is time. True once all have failed.
    fn dial_on(&mut self, members: &mut [Member], now: u32, shuffle: Option<u32>) -> bool {
        loop {
            let last = members.get(usize::from(self.last_dialled)).filter(|member| member.is_live());
            let silent_for_long = self.next_attempt.is_none_or(|at| reached(now, at));
            if last.is_some_and(|member| !member.has(flag::FAILED)) && !silent_for_long {
                return false;
            }
            let next = Order { members, shuffle }.after(last.map(|_| self.last_dialled), false);
            let Some((slot, member)) =
                next.and_then(|slot| Some((slot, members.get_mut(usize::from(slot))?)))
            else {
                break;
            };
            self.last_dialled = slot;
            self.next_attempt = Some(now.wrapping_add(ATTEMPT_DELAY));
            dial(member);
        }
        self.next_attempt = None;
        let order = Order { members, shuffle };
        let endpoints = order.candidates().count() as u32;
        let all_failed = order.candidates().all(|(_, member)| member.has(flag::FAILED));
        dial_resting(members, all_failed);
        if endpoints == 0 || !all_failed || (self.exhausted && self.failures < endpoints) {
            return false;
        }
        self.exhausted = true;
        self.failures = 0;
        true
    }
}

/// After the last endpoint of the list, those that went back to IDLE are dialled again: the ones that failed once all have.
fn dial_resting(members: &mut [Member], all_failed: bool) {
    let weighing = Weighing::of(members);
    for member in members {
        let rests = member.connectivity == Connectivity::Idle && (all_failed || !member.has(flag::FAILED));
        if rests && is_candidate(member, weighing) {
            dial(member);
        }
    }
}

/// Asks the host to connect an endpoint, once.
pub(crate) const fn dial(member: &mut Member) {
    if !member.has(flag::DIALLED) {
        member.set(flag::DIALLED | flag::CONNECT);
        member.clear(flag::DISCONNECT);
    }
}

/// Asks the host to drop the connections of all but one.
fn let_others_go(members: &mut [Member], selected: u16) {
    for (slot, member) in (0_u16..).zip(members) {
        if slot != selected && member.is_live() {
            let_go(member);
        }
    }
}

/// Asks the host to drop an endpoint's connection. What it said before counts no more.
pub(crate) const fn let_go(member: &mut Member) {
    if !member.has(flag::DIALLED | flag::CONNECT) {
        return;
    }
    // Where the host has not been told to connect yet, there is nothing to undo.
    if !member.has(flag::CONNECT) {
        member.set(flag::DISCONNECT);
    }
    member.clear(flag::DIALLED | flag::FAILED | flag::CONNECT);
    member.connectivity = Connectivity::Idle;
}

/// In the list, and not draining by its weight.
fn is_candidate(member: &Member, weighing: Weighing) -> bool {
    member.is_live() && weighing.of_member(member).is_some()
}

/// The order in which endpoints are tried. Finding the next one looks at all: pick_first has short lists, and this runs when
/// a connection fails, not when a call is made.
#[derive(Clone, Copy)]
struct Order<'a> {
    members: &'a [Member],
    shuffle: Option<u32>,
}

impl<'a> Order<'a> {
    /// The one that follows `last`, or the first of all; of those that are READY, or of all.
    #[inline(never)]
    fn after(self, last: Option<u16>, only_ready: bool) -> Option<u16> {
        let last = last.and_then(|slot| Some(self.key(slot, self.members.get(usize::from(slot))?)));
        let mut found = None;
        for (slot, member) in self.candidates() {
            if only_ready && member.connectivity != Connectivity::Ready {
                continue;
            }
            let key = self.key(slot, member);
            if last.is_none_or(|last| key > last) && found.is_none_or(|found| key < found) {
                found = Some(key);
            }
        }
        Some(found?.2)
    }

    /// Endpoints that drain by their weight are not tried.
    fn candidates(self) -> impl Iterator<Item = (u16, &'a Member)> {
        let weighing = Weighing::of(self.members);
        (0_u16..).zip(self.members).filter(move |(_, member)| is_candidate(member, weighing))
    }

    /// Tier, place in the list or in the shuffled one, and the slot, should two have the same place there.
    fn key(self, slot: u16, member: &Member) -> (u32, u32, u16) {
        let place = self.shuffle.map_or(member.order, |seed| mix32(member.id.hash32() ^ seed));
        (member.tier_or_deadline, place, slot)
    }
}
