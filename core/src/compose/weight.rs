//! What an endpoint's weight means: 0 is "drain" — no picks under any policy, while the connection stays. Only where
//! *every* endpoint of the set has weight 0 is nothing meant by it, and all count as 1: never is everybody dropped by a number.

use crate::members::Member;

/// How weights are read in a set of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weighing {
    all_zero: bool,
}

impl Weighing {
    /// Whether the whole set has weight 0; connectivity plays no part in it.
    #[inline(never)] // Every policy asks: once in the bare library is enough.
    pub(crate) fn of(members: &[Member]) -> Self {
        Self { all_zero: !members.iter().any(|member| member.is_live() && member.weight > 0) }
    }

    /// The weight a member counts with; `None` if it drains.
    pub(crate) const fn of_member(self, member: &Member) -> Option<u32> {
        match member.weight {
            0 if self.all_zero => Some(1),
            0 => None,
            weight => Some(weight),
        }
    }
}
