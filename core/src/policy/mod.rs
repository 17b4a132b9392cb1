//! The policies: which endpoints are dialled, and how a row is chosen among those that are picked from.
//!
//! A policy is one file and one line in the registry below.

pub(crate) mod pick_first;
mod pick_random;
mod round_robin;
mod weighted_round_robin;

use crate::compose::{Plan, Rule};
use crate::layout::Layout;
use crate::members::Member;
use crate::publish::schedule;
use crate::publish::schedule::RowTurns;
use crate::publish::table::TableWriter;
use crate::sync::AtomicU32;

/// A policy, as the registry knows it.
struct Registered {
    name: &'static str,
    policy: Policy,
    rule: Rule,
    lay_out: fn(&mut Sheet<'_>),
}

/// How endpoints are chosen, by gRPC's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Policy {
    /// One connection: to the first endpoint of the list that can be reached.
    PickFirst {
        /// Try the list in an order that follows from the seed (gRFC A62) rather than its own.
        shuffle: bool,
    } = 0,
    /// Each endpoint in turn, whatever its weight.
    RoundRobin = 1,
    /// Any endpoint, each as likely as the others, whatever its weight.
    PickRandom = 2,
    /// Each endpoint as often as its weight says.
    WeightedRoundRobin = 3,
}

/// The registry, in the order of the policies' numbers.
static REGISTRY: [Registered; 4] = [
    pick_first::REGISTERED,
    round_robin::REGISTERED,
    pick_random::REGISTERED,
    weighted_round_robin::REGISTERED,
];

impl Policy {
    /// The policy's name in a service config, without `_experimental`.
    pub fn name(self) -> &'static str {
        self.registered().map_or("", |entry| entry.name)
    }

    /// The policy of this name, with its default settings.
    pub fn from_name(name: &str) -> Option<Self> {
        REGISTRY.iter().find(|entry| entry.name == name).map(|entry| entry.policy)
    }

    /// The policy of this number, which a C struct holds, with its default settings.
    pub fn from_number(number: u32) -> Option<Self> {
        REGISTRY.get(usize::try_from(number).ok()?).map(|entry| entry.policy)
    }

    /// The number of the policy, for a C struct.
    pub const fn number(self) -> u32 {
        match self {
            Self::PickFirst { .. } => 0,
            Self::RoundRobin => 1,
            Self::PickRandom => 2,
            Self::WeightedRoundRobin => 3,
        }
    }

    pub(crate) fn rule(self) -> Rule {
        self.registered().map_or(Rule { dials_all: true, heeds_health: true }, |entry| entry.rule)
    }

    /// Fills the table: the plan has at least one row, and the rows are in place.
    pub(crate) fn lay_out(self, sheet: &mut Sheet<'_>) {
        if let Some(entry) = self.registered() {
            (entry.lay_out)(sheet);
        }
    }

    fn registered(self) -> Option<&'static Registered> {
        REGISTRY.get(self.number() as usize)
    }
}

/// The schedule that was built last, so that a table which needs the same one does not build it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BuiltSchedule {
    buffer: u32,
    fingerprint: u64,
}

impl BuiltSchedule {
    /// Whatever is in `buffer` may be in use and stays; the next schedule is written into the other one.
    pub(crate) const fn unknown(buffer: u32) -> Self {
        Self { buffer, fingerprint: 0 }
    }
}

/// The table being written, as a policy sees it.
pub(crate) struct Sheet<'a> {
    pub(crate) plan: Plan,
    pub(crate) writer: TableWriter<'a>,
    pub(crate) members: &'a mut [Member],
    pub(crate) words: &'a [AtomicU32],
    pub(crate) layout: &'a Layout,
    pub(crate) built: &'a mut BuiltSchedule,
    /// Of the rows' slots and weights.
    pub(crate) fingerprint: u64,
}

impl Sheet<'_> {
    /// The weight of a row that is already in place.
    fn row_weight(&self, row: u32) -> u32 {
        weight_of_row(&self.plan, self.writer, self.members, row)
    }

    /// Writes (or finds again) the exact schedule and refers the table to it. False if it does not fit.
    fn schedule(&mut self) -> bool {
        let divisor = self.plan.divisor.max(1);
        let length = self.plan.total / u64::from(divisor);
        if !schedule::fits(self.layout, self.plan.rows, length) {
            return false;
        }
        let length = length as u32;
        if self.built.fingerprint != self.fingerprint {
            *self.built = BuiltSchedule { buffer: self.built.buffer ^ 1, fingerprint: self.fingerprint };
            let mut turns =
                MemberTurns { plan: &self.plan, writer: self.writer, members: self.members, divisor };
            let buffer = self.layout.schedule(self.words, self.built.buffer);
            schedule::write(buffer, self.plan.rows, length, &mut turns);
        }
        let start = self.layout.schedule_start(self.built.buffer);
        self.writer.schedule(start, length);
        true
    }
}

/// Schedule turns kept in the scratch words of the members behind the rows.
struct MemberTurns<'a> {
    plan: &'a Plan,
    writer: TableWriter<'a>,
    members: &'a mut [Member],
    divisor: u32,
}

impl RowTurns for MemberTurns<'_> {
    fn weight(&self, row: u32) -> u32 {
        weight_of_row(self.plan, self.writer, self.members, row).checked_div(self.divisor).unwrap_or(1)
    }

    fn turn(&self, row: u32) -> schedule::Turn {
        let member = self.members.get(usize::from(self.writer.slot(row)));
        member.map_or_else(schedule::Turn::default, |member| schedule::Turn::from(member.scratch))
    }

    fn set(&mut self, row: u32, turn: schedule::Turn) {
        if let Some(member) = self.members.get_mut(usize::from(self.writer.slot(row))) {
            member.scratch = turn.into();
        }
    }
}

fn weight_of_row(plan: &Plan, writer: TableWriter<'_>, members: &[Member], row: u32) -> u32 {
    let slot = writer.slot(row);
    members.get(usize::from(slot)).and_then(|member| plan.weight(slot, member)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_knows_every_policy_by_number_and_name() {
        for (number, entry) in (0..).zip(&REGISTRY) {
            assert_eq!(entry.policy.number(), number);
            assert_eq!(Policy::from_number(number), Some(entry.policy));
            assert_eq!(Policy::from_name(entry.name), Some(entry.policy));
            assert_eq!(entry.policy.name(), entry.name);
        }
        assert_eq!(Policy::from_number(4), None);
        assert_eq!(Policy::from_name("grpclb"), None);
        assert_eq!(Policy::PickFirst { shuffle: true }.name(), "pick_first");
    }
}
