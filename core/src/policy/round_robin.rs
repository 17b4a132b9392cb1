//! `round_robin`: each endpoint in turn. The step is a reciprocal instead of a division.

use super::{Policy, Registered};
use crate::compose::Rule;

pub(super) const REGISTERED: Registered = Registered {
    name: "round_robin",
    policy: Policy::RoundRobin,
    rule: Rule { dials_all: true, heeds_health: true },
    lay_out: |sheet| sheet.writer.cycle(sheet.plan.rows),
};
