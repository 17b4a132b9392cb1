//! Random histories against a naive model: sets of endpoints, a list of running calls.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// The list is now `count` ports from `first`.
    Update {
        first: u16,
        count: u16,
    },
    State {
        nth: usize,
        state: Connectivity,
    },
    ConnectAll,
    Start,
    Finish {
        nth: usize,
    },
    Acknowledge {
        nth: usize,
    },
    Pass {
        seconds: u32,
    },
    Poll,
    Policy {
        pick_first: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![
        1 => Just(Connectivity::Idle),
        1 => Just(Connectivity::Connecting),
        3 => Just(Connectivity::Ready),
        1 => Just(Connectivity::TransientFailure),
    ];
    prop_oneof![
        3 => (1_u16..60, prop_oneof![4 => 0_u16..6, 1 => 0_u16..40, 1 => 60_u16..150])
            .prop_map(|(first, count)| Step::Update { first, count }),
        4 => (any::<usize>(), state).prop_map(|(nth, state)| Step::State { nth, state }),
        2 => Just(Step::ConnectAll),
        10 => Just(Step::Start),
        8 => any::<usize>().prop_map(|nth| Step::Finish { nth }),
        3 => any::<usize>().prop_map(|nth| Step::Acknowledge { nth }),
        2 => (0_u32..40).prop_map(|seconds| Step::Pass { seconds }),
        4 => Just(Step::Poll),
        1 => any::<bool>().prop_map(|pick_first| Step::Policy { pick_first }),
    ]
}

/// What must be true, kept in the plainest way.
#[derive(Default)]
struct Model {
    /// Ports of the list given last.
    wanted: BTreeSet<u16>,
    /// Ports of the list at the last poll: no other may be picked.
    published: BTreeSet<u16>,
    /// The endpoints the transport knows, by index.
    open: BTreeMap<u32, u16>,
    unacknowledged: Vec<u32>,
    running: Vec<CallTicket>,
    finished: u64,
    closed_ok: u64,
}

struct Pair {
    transport: FakeTransport,
    model: Model,
}

impl Pair {
    fn new() -> Self {
        let mut transport = FakeTransport::over(&[]);
        transport.poll();
        Self { transport, model: Model::default() }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Update { first, count } => {
                let ports: Vec<u16> = (first..first + count).collect();
                self.transport.update(&ports);
                self.model.wanted = ports.into_iter().collect();
            }
            Step::State { nth, state } => {
                if let Some(&endpoint) = nth_of(&self.model.open.keys().copied().collect::<Vec<_>>(), nth) {
                    self.transport.set(endpoint, state);
                }
            }
            Step::ConnectAll => {
                for &endpoint in self.model.open.keys() {
                    self.transport.set(endpoint, Connectivity::Ready);
                }
                self.poll(Duration::ZERO);
            }
            Step::Start => self.start(),
            Step::Finish { nth } => self.finish(nth),
            Step::Acknowledge { nth } => {
                let waiting = &mut self.model.unacknowledged;
                if !waiting.is_empty() {
                    let endpoint = waiting.swap_remove(nth % waiting.len());
                    assert!(self.transport.engine.acknowledge(endpoint));
                }
            }
            Step::Pass { seconds } => self.poll(seconds * SECOND),
            Step::Poll => self.poll(Duration::ZERO),
            Step::Policy { pick_first } => {
                let name = if pick_first { "pick_first" } else { "round_robin" };
                let config = format!(r#"{{"loadBalancingConfig": [{{"{name}": {{}}}}]}}"#);
                self.transport.engine.set_service_config(&config).expect("valid");
            }
        }
        self.check();
    }

    fn start(&mut self) {
        let StartCall::Started(ticket) = self.transport.start(None) else { return };
        let port = self.model.open.get(&ticket.endpoint());
        let port = port.unwrap_or_else(|| panic!("a pick of closed endpoint {}", ticket.endpoint()));
        assert!(
            self.model.published.contains(port),
            "a pick of an endpoint that was removed before the poll"
        );
        self.model.running.push(ticket);
    }

    fn finish(&mut self, nth: usize) {
        if !self.model.running.is_empty() {
            let ticket = self.model.running.swap_remove(nth % self.model.running.len());
            self.transport.finish(ticket);
            self.model.finished += 1;
        }
    }

    fn poll(&mut self, span: Duration) {
        let before: BTreeMap<u32, u64> =
            self.transport.engine.stats().iter().map(|stats| (stats.endpoint, stats.ok)).collect();
        for event in self.transport.pass(span) {
            match event {
                Action::Connect { endpoint } | Action::Disconnect { endpoint } => self.learn(endpoint),
                Action::CancelCalls { endpoint } => {
                    let port = self.model.open[&endpoint];
                    assert!(!self.model.wanted.contains(&port), "calls of a live endpoint cancelled");
                    assert!(self.runs_at(endpoint), "nothing to cancel");
                }
                Action::Close { endpoint } => {
                    self.learn(endpoint);
                    assert!(!self.runs_at(endpoint), "closed while a call runs");
                    let port = self.model.open.remove(&endpoint).expect("closed once");
                    assert!(!self.model.wanted.contains(&port), "a live endpoint was closed");
                    self.model.unacknowledged.push(endpoint);
                    self.model.closed_ok += before.get(&endpoint).copied().unwrap_or_default();
                }
                _ => {}
            }
        }
        for stats in self.transport.engine.stats() {
            self.learn(stats.endpoint);
        }
        self.model.published.clone_from(&self.model.wanted);
    }

    /// The first event of an endpoint tells its index; it must never mean another one meanwhile.
    fn learn(&mut self, endpoint: u32) {
        assert!(!self.model.unacknowledged.contains(&endpoint), "index {endpoint} reused too early");
        let target = self.transport.engine.endpoint_target(endpoint).expect("known");
        let port = target.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        assert_eq!(*self.model.open.entry(endpoint).or_insert(port), port, "an index changed its meaning");
    }

    fn runs_at(&self, endpoint: u32) -> bool {
        self.model.running.iter().any(|ticket| ticket.endpoint() == endpoint)
    }

    fn check(&self) {
        let stats = self.transport.engine.stats();
        let in_flight: u64 = stats.iter().map(|stats| stats.in_flight).sum();
        assert_eq!(in_flight, self.model.running.len() as u64, "a ticket was lost");
        let ok: u64 = stats.iter().map(|stats| stats.ok).sum();
        assert_eq!(ok + self.model.closed_ok, self.model.finished, "an outcome was lost");
        let live: BTreeSet<String> =
            stats.iter().filter(|stats| !stats.draining).map(|s| s.addresses.clone()).collect();
        let wanted: BTreeSet<String> =
            self.model.wanted.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        assert_eq!(live, wanted);
    }

    /// Whatever happened before: once connected, every endpoint of the list gets its calls.
    fn everybody_is_picked(&mut self) {
        self.take(Step::Policy { pick_first: false });
        self.poll(Duration::ZERO);
        // A connection that is there already has nothing new to say.
        for stats in self.transport.engine.stats() {
            if stats.state != Connectivity::Ready {
                self.transport.set(stats.endpoint, Connectivity::Ready);
            }
        }
        self.poll(Duration::ZERO);
        let picked: BTreeSet<u32> = (0..self.model.wanted.len())
            .map(|_| {
                let ticket = self.transport.started();
                let endpoint = ticket.endpoint();
                self.transport.finish(ticket);
                self.model.finished += 1;
                endpoint
            })
            .collect();
        assert_eq!(picked.len(), self.model.wanted.len(), "round robin passes somebody over");
    }

    fn end(mut self) {
        self.everybody_is_picked();
        while !self.model.running.is_empty() {
            self.finish(0);
        }
        self.transport.engine.close();
        self.model.wanted.clear();
        self.poll(Duration::ZERO);
        assert_eq!(self.model.open.len(), 0, "an endpoint was never closed");
        assert!(self.transport.engine.is_finished());
    }
}

fn nth_of<T>(items: &[T], nth: usize) -> Option<&T> {
    items.get(nth.checked_rem(items.len())?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_ticket_is_lost_and_every_endpoint_closes_once(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.take(step);
        }
        pair.end();
    }
}
