//! From members to a plan: who is picked from, with which weight, or why nobody is. Decided when a table is published,
//! never by looking around at pick time. One order: priority, then eligibility (connectivity, health, drain), then weight, then
//! policy.

pub(crate) mod eligibility;
pub(crate) mod priority;
pub(crate) mod weight;

use crate::fixed::gcd;
use crate::members::Member;
use crate::pick::FailReason;
use crate::state::connectivity::{Connectivity, Tally};
use weight::Weighing;

/// What a policy asks of the rest of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// All endpoints are kept connected, not one chosen one.
    pub(crate) dials_all: bool,
    /// Endpoints that say they do not serve are left out (gRFC A17: not under pick_first).
    pub(crate) heeds_health: bool,
}

/// What the next table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The state of the whole channel.
    pub(crate) connectivity: Connectivity,
    /// Why calls fail, where the state is TRANSIENT_FAILURE.
    pub(crate) reason: FailReason,
    /// Endpoints to pick from.
    pub(crate) rows: u32,
    /// Sum of their weights.
    pub(crate) total: u64,
    /// Greatest common divisor of their weights.
    pub(crate) divisor: u32,
    /// Whether all weights are the same.
    pub(crate) equal: bool,
    selection: Selection,
}

/// Which members become rows. Looking again must give the same answer as counting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Selection {
    only: Option<u16>,
    /// The priority of the endpoints that a policy with many connections picks from.
    tier: u32,
    weighing: Weighing,
    rule: Rule,
}

impl Plan {
    /// The plan for these members under a policy's rule. `only` is the one endpoint that a policy with one connection
    /// has chosen, and `idle` whether it rests; `tier` is the first one that has an eligible endpoint.
    pub(crate) fn of(members: &[Member], rule: Rule, tier: u32, only: Option<u16>, idle: bool) -> Self {
        let weighing = Weighing::of(members);
        let selection = Selection { only, tier, weighing, rule };
        let mut plan = Self {
            connectivity: Connectivity::TransientFailure,
            reason: FailReason::NoEndpoints,
            rows: 0,
            total: 0,
            divisor: 0,
            equal: true,
            selection,
        };
        let (mut tally, mut counted, mut not_serving) = (Tally::default(), 0_u32, false);
        let mut first_weight = None;
        for (slot, member) in members.iter().enumerate() {
            if !member.is_live() || weighing.of_member(member).is_none() {
                continue;
            }
            counted += 1;
            tally.add(eligibility::effective(member, rule.heeds_health));
            not_serving |= rule.heeds_health && eligibility::is_not_serving(member);
            if let Some(weight) = selection.weight(slot as u16, member) {
                plan.rows += 1;
                plan.total += u64::from(weight);
                plan.divisor = gcd(plan.divisor, weight);
                plan.equal &= *first_weight.get_or_insert(weight) == weight;
            }
        }
        plan.connectivity = match rule.dials_all {
            true => tally.aggregate(),
            false if plan.rows > 0 => Connectivity::Ready,
            false if idle && counted > 0 => Connectivity::Idle,
            false if tally.failing < counted => Connectivity::Connecting,
            false => Connectivity::TransientFailure,
        };
        plan.reason = match (counted, not_serving) {
            (0, _) => FailReason::NoEndpoints,
            (_, true) => FailReason::NotServing,
            (_, false) => FailReason::AllFailing,
        };
        plan
    }

    /// The weight of a member's row; `None` if it has none.
    pub(crate) fn weight(&self, slot: u16, member: &Member) -> Option<u32> {
        self.selection.weight(slot, member)
    }
}

impl Selection {
    fn weight(&self, slot: u16, member: &Member) -> Option<u32> {
        let chosen = match self.rule.dials_all {
            true => member.tier_or_deadline == self.tier,
            false => self.only == Some(slot),
        };
        if !chosen || !eligibility::is_eligible(member, self.rule.heeds_health) {
            return None;
        }
        self.weighing.of_member(member)
    }
}
