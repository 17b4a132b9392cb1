//! `pick_random`: any endpoint, each as likely as the others, by a hash of the cursor's step and key.

use super::{Policy, Registered};
use crate::compose::Rule;

pub(super) const REGISTERED: Registered = Registered {
    name: "pick_random",
    policy: Policy::PickRandom,
    rule: Rule { dials_all: true, heeds_health: true },
    lay_out: |sheet| sheet.writer.random(sheet.plan.rows),
};
