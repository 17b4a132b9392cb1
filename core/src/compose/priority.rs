//! Which tier of priorities calls go to, and which tiers are connected: gRFC A56's rules for endpoints instead of child policies.
//!
//! Calls go to the first tier with an endpoint that can take them. While there is none, tiers are connected one after the
//! other: the next one once the last has failed as a whole, or has been silent for the failover timeout. While there is one, the
//! tiers behind it are not dialled; what is connected there stays so for a while, ready for when it is needed again.
//!
//! Two things differ from A56. A connection in a later tier that is up is used at once, not after the timeout of a tier
//! before it that has just been lost. And one timer serves all tiers: only the last one that was begun, or that served, is waited for.

use super::Rule;
use super::eligibility;
use super::weight::Weighing;
use crate::members::{Member, flag};
use crate::policy::pick_first::{dial, let_go};
use crate::state::connectivity::Connectivity::{Connecting, Idle, Ready};
use crate::ticks::{TICKS_PER_SECOND, reached};

/// How long tiers that are not needed any more stay connected (A56).
const LINGER: u32 = 15 * 60 * TICKS_PER_SECOND;

/// How far down the tiers a balancer has got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiers {
    /// The tier that calls go to, or the first of those that are waited for.
    current: u32,
    /// Tiers up to this one are dialled.
    reach: u32,
    /// Whether calls go to the current tier.
    serves: bool,
    /// When the next tier is dialled; where calls are served, when later tiers are let go.
    deadline: Option<u32>,
}

impl Tiers {
    pub(crate) const START: Self = Self { current: 0, reach: 0, serves: false, deadline: None };

    /// The tier that calls go to, if to any.
    pub(crate) const fn current(&self) -> u32 {
        self.current
    }

    pub(crate) const fn deadline(&self) -> Option<u32> {
        self.deadline
    }

    /// Looks at the members, marks whom to dial and whom to let go.
    pub(crate) fn advance(&mut self, members: &mut [Member], rule: Rule, now: u32, timeout: u32) {
        let weighing = Weighing::of(members);
        let (mut best, mut next, mut waits) = (None, None, false);
        for member in members.iter_mut().filter(|m| m.is_live() && weighing.of_member(m).is_some()) {
            let tier = member.tier_or_deadline;
            if tier > self.reach && !member.has(flag::DIALLED) {
                // Of a connection that nobody makes, an old failure says nothing.
                member.clear(flag::FAILED);
            }
            match eligibility::effective(member, rule.heeds_health) {
                Ready => best = first(best, tier),
                Idle | Connecting if tier > self.reach => next = first(next, tier),
                Idle | Connecting => waits |= tier >= self.current,
                _ => {}
            }
        }
        if best != self.serves.then_some(self.current) {
            self.deadline = None;
        }
        let due = self.deadline.is_some_and(|at| reached(now, at));
        match best {
            Some(best) => self.serve(best, members, now, due),
            None => self.wait(next, waits && !due, now, timeout),
        }
        members.iter_mut().filter(|m| m.is_live() && m.tier_or_deadline <= self.reach).for_each(dial);
    }

    /// Calls go to tier `best`; those behind it are let go when it is time.
    fn serve(&mut self, best: u32, members: &mut [Member], now: u32, due: bool) {
        let mut linger = false;
        for member in members.iter_mut().filter(|m| m.is_live() && m.tier_or_deadline > best) {
            // Nor is anybody dialled there who was to be a moment ago.
            if due || member.has(flag::CONNECT) {
                let_go(member);
            }
            linger |= member.has(flag::DIALLED);
        }
        let deadline = self.deadline.unwrap_or_else(|| now.wrapping_add(LINGER));
        *self = Self { current: best, reach: best, serves: true, deadline: linger.then_some(deadline) };
    }

    /// No tier serves. `next` is the first of those behind the reach that has not failed; `waits` says whether there is hope, and
    /// time, for one before it.
    fn wait(&mut self, next: Option<u32>, waits: bool, now: u32, timeout: u32) {
        self.serves = false;
        match next {
            None if waits => self.deadline = None,
            // All have failed: whoever rests is tried again.
            None => (self.reach, self.deadline) = (u32::MAX, None),
            Some(_) if waits => {
                self.deadline = Some(self.deadline.unwrap_or_else(|| now.wrapping_add(timeout)))
            }
            Some(next) => {
                let deadline = Some(now.wrapping_add(timeout));
                *self = Self { current: next, reach: next, serves: false, deadline };
            }
        }
    }
}

/// The smaller of two tiers.
fn first(known: Option<u32>, tier: u32) -> Option<u32> {
    Some(known.map_or(tier, |known| known.min(tier)))
}
