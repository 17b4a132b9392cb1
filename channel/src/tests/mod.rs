//! The engine in virtual time, driven by a fake transport. Nothing here sleeps or touches a network.

mod calls;
mod lists;
mod model;
mod names;
mod tiers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use evener_core::Connectivity;
use evener_discovery::Endpoint;

use crate::calls::{CallReport, CallTicket, StartCall};
use crate::engine::Engine;
use crate::event::{Action, Level};
use crate::live::Ask;
use crate::lookup::{Answer, Lookup};
use crate::options::ChannelOptions;
use crate::output::Output;
use crate::setup::set_up;
use crate::signal::Signal;

const SECOND: Duration = Duration::from_secs(1);
/// No endpoint.
const NOBODY: [u32; 0] = [];
const METHOD: &str = "/demo.Greeter/Hello";

/// A channel's engine, a clock, and a transport that does nothing by itself.
struct FakeTransport {
    engine: Arc<Engine>,
    now: Instant,
    next: Option<Instant>,
    lookups: Vec<Arc<Lookup>>,
    asks: Vec<Ask>,
    logs: Vec<(Level, String)>,
}

impl FakeTransport {
    fn open(target: &str, options: ChannelOptions) -> Self {
        // Lookups are what this transport can answer; what discovery's thread does is tested with the real one.
        let seed = Some(options.seed.unwrap_or(1));
        let options = ChannelOptions { seed, system_dns: true, ..options };
        let setup = set_up(target, options).expect("a valid channel");
        let now = Instant::now();
        let signal = Arc::new(Signal::new().expect("descriptors"));
        let engine = Arc::new(Engine::new(setup, signal, now));
        let mut transport =
            Self { engine, now, next: None, lookups: Vec::new(), asks: Vec::new(), logs: Vec::new() };
        assert_eq!(transport.poll(), [], "an unused channel does nothing");
        transport
    }

    /// A channel over `127.0.0.1` with these ports, in use.
    fn over(ports: &[u16]) -> Self {
        Self::over_with(ports, ChannelOptions::default())
    }

    fn over_with(ports: &[u16], options: ChannelOptions) -> Self {
        let options = ChannelOptions { endpoints: Some(list(ports)), ..options };
        let transport = Self::open("test-service", options);
        transport.engine.state(true);
        transport
    }

    /// What the engine asks for now, without its log.
    fn poll(&mut self) -> Vec<Action> {
        let mut events = Vec::new();
        let mut outputs = Vec::new();
        self.engine.take_dirty();
        self.next = self.engine.poll(self.now, &mut outputs);
        for output in outputs {
            match output {
                Output::Event(Action::Log { level, text }) => self.logs.push((level, text)),
                Output::Event(action) => events.push(action),
                Output::Resolve(lookup) => self.lookups.push(lookup),
                Output::Watch(ask) => self.asks.push(ask),
            }
        }
        events
    }

    /// Polls as a driver does over a span of time: whenever the engine has asked for it.
    fn pass(&mut self, span: Duration) -> Vec<Action> {
        let end = self.now + span;
        let mut events = self.poll();
        while let Some(next) = self.next.filter(|&next| next <= end) {
            assert!(next > self.now || self.lookups.is_empty(), "a deadline that is always now");
            self.now = next.max(self.now + Duration::from_micros(1));
            events.extend(self.poll());
        }
        self.now = end;
        events
    }

    /// Answers every `Connect` with READY until nothing is asked any more. Returns who was connected.
    fn connect_all(&mut self) -> Vec<u32> {
        let mut connected = Vec::new();
        loop {
            let asked: Vec<u32> = connects(&self.poll());
            if asked.is_empty() {
                return connected;
            }
            for &endpoint in &asked {
                assert!(self.set(endpoint, Connectivity::Ready));
            }
            connected.extend(asked);
        }
    }

    fn set(&self, endpoint: u32, state: Connectivity) -> bool {
        self.engine.set_state(endpoint, state, "")
    }

    fn fail(&self, endpoint: u32, reason: &str) {
        assert!(self.engine.set_state(endpoint, Connectivity::TransientFailure, reason));
    }

    fn start(&self, wait_for_ready: Option<bool>) -> StartCall {
        self.engine.start_call(METHOD, wait_for_ready, self.now)
    }

    fn started(&self) -> CallTicket {
        match self.start(None) {
            StartCall::Started(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn failed(&self) -> String {
        match self.start(None) {
            StartCall::Fail { code: 14, message } => message,
            other => panic!("{other:?}"),
        }
    }

    fn waits(&self, wait_for_ready: Option<bool>) -> bool {
        matches!(self.start(wait_for_ready), StartCall::Wait { .. })
    }

    fn finish(&self, ticket: CallTicket) {
        assert!(self.engine.finish_call(ticket, CallReport::default(), self.now));
    }

    fn update(&self, ports: &[u16]) {
        self.engine.update_endpoints(list(ports)).expect("taken over");
    }

    fn resolved(&self, answer: Answer) {
        self.engine.resolved(answer, self.now);
    }

    fn state(&self) -> Connectivity {
        self.engine.state(false)
    }

    fn index_of(&self, port: u16) -> Option<u32> {
        let address = format!("127.0.0.1:{port}");
        let stats = self.engine.stats();
        stats.iter().find(|stats| stats.addresses == address).map(|stats| stats.endpoint)
    }

    fn in_flight(&self) -> u64 {
        self.engine.stats().iter().map(|stats| stats.in_flight).sum()
    }
}

fn endpoint(port: u16) -> Endpoint {
    format!("127.0.0.1:{port}").parse().expect("an address")
}

fn list(ports: &[u16]) -> Vec<Endpoint> {
    ports.iter().copied().map(endpoint).collect()
}

fn connects(events: &[Action]) -> Vec<u32> {
    let connect = |action: &Action| match action {
        Action::Connect { endpoint } => Some(*endpoint),
        _ => None,
    };
    events.iter().filter_map(connect).collect()
}

fn closes(events: &[Action]) -> Vec<u32> {
    let close = |action: &Action| match action {
        Action::Close { endpoint } => Some(*endpoint),
        _ => None,
    };
    events.iter().filter_map(close).collect()
}

fn cancels(events: &[Action]) -> Vec<u32> {
    let cancel = |action: &Action| match action {
        Action::CancelCalls { endpoint } => Some(*endpoint),
        _ => None,
    };
    events.iter().filter_map(cancel).collect()
}
