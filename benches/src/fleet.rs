//! A balancer over endpoints that are all READY.

use crate::lists;
use evener_core::sync::AtomicU32;
use evener_core::{
    Action, Balancer, Connectivity, Controller, Cursor, Endpoint, Limits, Member, Options, Pick, PickCursor,
    Policy, words,
};
use std::hint::black_box;
use std::ops::Deref;

/// Memory that lives as long as the program.
pub type Words = &'static [AtomicU32];

/// Both roles over one block of memory.
pub struct Fleet {
    /// Who decides.
    pub controller: Controller<Words, Vec<Member>>,
    /// Who picks.
    pub balancer: Balancer<Words>,
}

/// How rows are chosen, one for each shape that a published table can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `pick_first`.
    First,
    /// `round_robin`.
    Cycle,
    /// `pick_random`.
    Random,
    /// `weighted_round_robin`, weights 3, 2, 1, 3, 2, 1..., by an exact schedule.
    MildExact,
    /// `weighted_round_robin`, weights from 1 to 100 in no order, by the Weyl sequence.
    MildWeyl,
    /// `weighted_round_robin`, one weight of 1000 among ones of 1, by the Weyl sequence.
    SteepWeyl,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Cycle, Self::First, Self::Random, Self::MildExact, Self::MildWeyl, Self::SteepWeyl];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "pick_first",
            Self::Cycle => "round_robin",
            Self::Random => "pick_random",
            Self::MildExact => "weighted 3:2:1, exact schedule",
            Self::MildWeyl => "weighted 1..100, Weyl",
            Self::SteepWeyl => "weighted 1000:1:1.., Weyl",
        }
    }

    const fn policy(self) -> Policy {
        match self {
            Self::First => Policy::PickFirst { shuffle: false },
            Self::Cycle => Policy::RoundRobin,
            Self::Random => Policy::PickRandom,
            Self::MildExact | Self::MildWeyl | Self::SteepWeyl => Policy::WeightedRoundRobin,
        }
    }

    const fn weight(self, i: u32) -> u32 {
        match self {
            Self::MildExact => 3 - i % 3,
            Self::MildWeyl => 1 + i.wrapping_mul(0x9E37_79B9) % 100,
            Self::SteepWeyl if i == 0 => 1000,
            _ => 1,
        }
    }

    /// A balancer of this shape over `n` endpoints. `None` where an exact schedule would not be used for so many.
    pub fn fleet(self, n: u32) -> Option<Fleet> {
        if self == Self::MildExact && n > 1024 {
            return None;
        }
        let schedule = if self == Self::MildExact { 2 * n } else { 0 };
        let endpoints: Vec<Endpoint> =
            (0..n).map(|i| lists::endpoint(i).with_weight(self.weight(i))).collect();
        let mut fleet = Fleet::empty(Limits::new(n).with_schedule(schedule), self.policy());
        fleet.update(&endpoints);
        fleet.settle();
        Some(fleet)
    }
}

impl Fleet {
    /// A balancer without endpoints.
    pub fn empty(limits: Limits, policy: Policy) -> Self {
        let memory: Vec<AtomicU32> = (0..words(&limits)).map(|_| AtomicU32::new(0)).collect();
        let members = vec![Member::EMPTY; limits.endpoints as usize];
        let options = Options { seed: 1, ..Options::default() };
        let mut controller = Controller::claim(&*memory.leak(), members, limits, options)
            .expect("fresh memory of the right size can be claimed");
        controller.set_policy(policy);
        let balancer = controller.balancer();
        Self { controller, balancer }
    }

    /// Gives it an address list that fits.
    pub fn update(&mut self, endpoints: &[Endpoint]) {
        self.controller.update(endpoints).expect("the list fits");
    }

    /// Polls until nothing is left to do, with every connection made at once.
    pub fn settle(&mut self) {
        loop {
            let actions: Vec<Action> = std::iter::from_fn(|| self.controller.poll(0)).collect();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                if let Action::Connect { handle, .. } = action {
                    self.controller.set_connectivity(handle, Connectivity::Ready).expect("it was just named");
                }
            }
        }
    }
}

/// A cursor of the caller's own, with a cache line to itself.
#[derive(Debug)]
#[repr(align(128))]
pub struct OwnCursor(Cursor);

impl Deref for OwnCursor {
    type Target = Cursor;

    fn deref(&self) -> &Cursor {
        &self.0
    }
}

/// A cursor that stays in memory: as far as the compiler can tell, others know it.
pub fn own_cursor() -> Box<OwnCursor> {
    let cursor = Box::new(OwnCursor(Cursor::new()));
    black_box(&*cursor);
    cursor
}

/// A pick as its user would take it: slot and generation are both looked at.
#[inline(always)]
pub fn picked(balancer: &Balancer<Words>, cursor: &impl PickCursor) -> u64 {
    match balancer.pick(cursor) {
        Pick::Complete(handle) => u64::from(handle.slot()) + u64::from(handle.generation()),
        _ => u64::MAX,
    }
}
