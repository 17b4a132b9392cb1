//! Tiers of priorities under random histories of a list that stays the same: who is dialled when, and who is let go. Which calls go
//! where is in `model.rs`; single steps are in `testdata/vectors/priority.txt`.
#![cfg(not(loom))]

use evener_core::{
    Action, Connectivity, Controller, Endpoint, EndpointId, Limits, Member, Options, TICKS_PER_SECOND,
    sync::AtomicU32, words,
};
use proptest::prelude::*;

const ENDPOINTS: usize = 6;
const TIMEOUT: u32 = 10 * TICKS_PER_SECOND;
const LINGER: u32 = 900 * TICKS_PER_SECOND;

#[derive(Clone, Debug)]
enum Step {
    /// The host says something of an endpoint it was asked to connect.
    State(usize, Connectivity),
    /// So much time goes by, in ticks.
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![
        2 => Just(Connectivity::Connecting),
        2 => Just(Connectivity::Ready),
        2 => Just(Connectivity::TransientFailure),
        1 => Just(Connectivity::Idle),
    ];
    prop_oneof![
        3 => (0..ENDPOINTS, state).prop_map(|(which, state)| Step::State(which, state)),
        1 => prop_oneof![0..3 * TIMEOUT, Just(LINGER / 2)].prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tiers_are_dialled_when_they_are_needed_and_let_go_when_they_are_not(
        tiers in prop::collection::vec(0_u32..4, ENDPOINTS),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut host = Host::new(&tiers);
        for step in steps {
            host.take(&step);
            host.poll();
            host.check();
        }
        host.everybody_is_dialled_at_last();
    }
}

/// What the host knows of one endpoint.
#[derive(Clone, Debug)]
struct Known {
    tier: u32,
    state: Connectivity,
    /// It was asked to connect it, and not to let it go since.
    asked: bool,
    /// When it was asked first since it was let go.
    asked_at: Option<u64>,
    /// It failed, and was not READY since.
    failed: bool,
}

impl Known {
    const NEW: Self =
        Self { tier: 0, state: Connectivity::Idle, asked: false, asked_at: None, failed: false };
}

/// A host that does as it is told, in virtual time.
struct Host {
    controller: Controller<Vec<AtomicU32>, Vec<Member>>,
    /// Ticks that do not wrap; the controller sees the lower half.
    now: u64,
    known: Vec<Known>,
    /// Since when the first tier that serves does, and which it is.
    serves: Option<(u32, u64)>,
    /// The last tier that served: those before it are not waited for when it is lost.
    served: u32,
}

impl Host {
    fn new(tiers: &[u32]) -> Self {
        let limits = Limits::new(ENDPOINTS as u32);
        let memory: Vec<AtomicU32> = (0..words(&limits)).map(|_| AtomicU32::new(0)).collect();
        let members = vec![Member::EMPTY; ENDPOINTS];
        let options = Options { failover_timeout: TIMEOUT, ..Options::default() };
        let mut controller = Controller::claim(memory, members, limits, options).expect("fresh memory");
        let list: Vec<Endpoint> = (0_u64..)
            .zip(tiers)
            .map(|(i, &tier)| Endpoint::new(EndpointId::from_raw(i.into())).with_user(i).with_priority(tier))
            .collect();
        controller.update(&list).expect("room");
        let known = tiers.iter().map(|&tier| Known { tier, ..Known::NEW }).collect();
        // Soon to wrap.
        let now = u64::from(u32::MAX - 2 * TIMEOUT);
        let mut host = Self { controller, now, known, serves: None, served: 0 };
        host.poll();
        host
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::State(which, state) => self.say(which, state),
            Step::Wait(ticks) => self.pass(ticks),
        }
    }

    fn say(&mut self, which: usize, state: Connectivity) {
        let known = &mut self.known[which];
        if !known.asked || (state == Connectivity::Idle && known.state == Connectivity::Idle) {
            return;
        }
        let handle = self.controller.handle(EndpointId::from_raw(which as u128)).expect("it is in the list");
        self.controller.set_connectivity(handle, state).expect("it is in the list");
        known.state = state;
        match state {
            Connectivity::TransientFailure => known.failed = true,
            Connectivity::Ready => known.failed = false,
            // It has to be asked again.
            Connectivity::Idle => known.asked = false,
            _ => {}
        }
        self.note_who_serves();
    }

    fn note_who_serves(&mut self) {
        let ready = self.known.iter().filter(|known| known.state == Connectivity::Ready);
        let tier = ready.map(|known| known.tier).min();
        if tier != self.serves.map(|(tier, _)| tier) {
            self.serves = tier.map(|tier| (tier, self.now));
            self.served = tier.unwrap_or(self.served);
        }
    }

    /// Lets time go by, polling when the controller has asked for it.
    fn pass(&mut self, ticks: u32) {
        let end = self.now + u64::from(ticks);
        while let Some(at) = self.controller.next_deadline() {
            let ahead = u64::from(at.wrapping_sub(self.now as u32));
            if self.now + ahead > end {
                break;
            }
            assert!(ahead > 0, "a deadline that is always now");
            self.now += ahead;
            self.poll();
        }
        self.now = end;
    }

    fn poll(&mut self) {
        while let Some(action) = self.controller.poll(self.now as u32) {
            match action {
                Action::Connect { user, .. } => self.connect(user as usize),
                Action::Disconnect { user, .. } => self.let_go(user as usize),
                Action::Reresolve | Action::StateChanged(_) => {}
                other => panic!("{other:?} was not due"),
            }
        }
    }

    /// Every tier before it has failed, or had its time. A tier that was begun may be dialled again without.
    fn connect(&mut self, which: usize) {
        let tier = self.known[which].tier;
        assert!(self.serves.is_none_or(|(serves, _)| serves >= tier), "dialled behind a tier that serves");
        let begun = self.known[which].asked_at.is_some();
        for before in self.known.iter().filter(|known| known.tier < tier && !begun) {
            let waited = before.asked_at.is_some_and(|at| self.now - at >= u64::from(TIMEOUT));
            let passed = before.tier < self.served;
            assert!(before.failed || waited || passed, "{before:?} was not waited for until {}", self.now);
        }
        let known = &mut self.known[which];
        known.asked = true;
        known.asked_at.get_or_insert(self.now);
    }

    fn let_go(&mut self, which: usize) {
        let known = &mut self.known[which];
        let Some((tier, since)) = self.serves else { panic!("let go while nobody serves") };
        assert!(known.tier > tier && known.asked, "let go: {known:?} beside tier {tier}");
        assert!(self.now - since >= u64::from(LINGER), "let go after {}", self.now - since);
        *known = Known { tier: known.tier, ..Known::NEW };
    }

    /// Whoever serves, and everybody before, is dialled; while nobody does, so is the first tier at least.
    fn check(&mut self) {
        let needed = self.serves.map_or_else(|| self.first_tier(), |(tier, _)| tier);
        for known in self.known.iter().filter(|known| known.tier <= needed) {
            assert!(known.asked, "{known:?} is not dialled, and tier {needed} is needed");
        }
        for known in self.known.iter_mut().filter(|known| !known.asked) {
            // Of a connection that nobody makes, an old failure says nothing.
            known.failed &= self.serves.is_none_or(|(tier, _)| tier >= known.tier);
        }
    }

    fn first_tier(&self) -> u32 {
        self.known.iter().map(|known| known.tier).min().unwrap_or(0)
    }

    /// Nobody is READY any more, and nobody says anything: after a timeout for each tier everybody is dialled.
    fn everybody_is_dialled_at_last(&mut self) {
        for which in 0..ENDPOINTS {
            if self.known[which].state == Connectivity::Ready {
                self.say(which, Connectivity::Connecting);
            }
        }
        self.poll();
        self.pass(4 * TIMEOUT);
        assert!(self.known.iter().all(|known| known.asked), "not dialled: {:?}", self.known);
        assert_eq!(self.controller.next_deadline(), None, "nothing is left to wait for");
    }
}
