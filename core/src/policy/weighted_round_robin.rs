//! `weighted_round_robin` with static weights: in turn where all weights are equal, by an exact schedule where the weights'
//! sum over their divisor fits, else by a Weyl sequence, which takes any skew.

use super::{Policy, Registered, Sheet};
use crate::compose::Rule;

pub(super) const REGISTERED: Registered = Registered {
    name: "weighted_round_robin",
    policy: Policy::WeightedRoundRobin,
    rule: Rule { dials_all: true, heeds_health: true },
    lay_out,
};

fn lay_out(sheet: &mut Sheet<'_>) {
    if sheet.plan.equal {
        return sheet.writer.cycle(sheet.plan.rows);
    }
    if !sheet.schedule() {
        sheet.writer.weyl(sheet.plan.rows, sheet.plan.total, |row| sheet.row_weight(row));
    }
}
