//! Custom schemes of hosts that are asked by events instead of being called: C, and whoever is driven by one loop.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use evener_discovery::runtime::{Resolver, ResolverSink, Resolving};
use evener_discovery::target::CustomTarget;
use evener_discovery::{Endpoint, Target};

use crate::event::Action;
use crate::signal::Signal;
use crate::sync::{Mutex, lock};

/// The targets of one driver's polled schemes: what the host is to be asked, and where its answers go.
#[derive(Debug)]
pub(crate) struct Polled {
    signal: Arc<Signal>,
    desk: Mutex<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    last: u64,
    sinks: HashMap<u64, ResolverSink>,
    events: VecDeque<Action>,
}

impl Polled {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { signal, desk: Mutex::new(Desk::default()) }
    }

    /// What is to be told to the host, the oldest first.
    pub(crate) fn take(&self) -> VecDeque<Action> {
        std::mem::take(&mut lock(&self.desk).events)
    }

    /// The host says what there is. False for a target that is no longer resolved.
    pub(crate) fn push(&self, resolver: u64, endpoints: Vec<Endpoint>) -> bool {
        self.with(resolver, |sink| sink.push(endpoints))
    }

    pub(crate) fn fail(&self, resolver: u64, message: &str) -> bool {
        self.with(resolver, |sink| sink.fail(message))
    }

    pub(crate) fn service_config(&self, resolver: u64, json: Option<String>) -> bool {
        self.with(resolver, |sink| sink.service_config(json))
    }

    fn with(&self, resolver: u64, tell: impl FnOnce(ResolverSink)) -> bool {
        let sink = lock(&self.desk).sinks.get(&resolver).cloned();
        sink.map(tell).is_some()
    }

    fn start(&self, target: String, sink: ResolverSink) -> u64 {
        let mut desk = lock(&self.desk);
        desk.last += 1;
        let resolver = desk.last;
        desk.sinks.insert(resolver, sink);
        desk.events.push_back(Action::ResolveStart { resolver, target });
        drop(desk);
        self.signal.raise();
        resolver
    }

    fn ask(&self, resolver: u64) {
        lock(&self.desk).events.push_back(Action::ResolveNow { resolver });
        self.signal.raise();
    }

    fn stop(&self, resolver: u64) {
        let mut desk = lock(&self.desk);
        desk.sinks.remove(&resolver);
        desk.events.push_back(Action::ResolveStop { resolver });
        drop(desk);
        self.signal.raise();
    }
}

/// The resolver of a polled scheme. It does not keep its driver alive: the runtime may be shared, and outlive it.
pub(crate) struct PolledScheme(pub(crate) Weak<Polled>);

impl Resolver for PolledScheme {
    fn start(&self, target: &CustomTarget, sink: ResolverSink) -> Result<Box<dyn Resolving>, String> {
        let polled =
            self.0.upgrade().ok_or_else(|| "the driver that resolves this scheme is gone".to_owned())?;
        let resolver = polled.start(Target::Custom(target.clone()).to_string(), sink);
        Ok(Box::new(Started { polled: Arc::downgrade(&polled), resolver }))
    }
}

/// A target that the host resolves.
struct Started {
    polled: Weak<Polled>,
    resolver: u64,
}

impl Resolving for Started {
    fn resolve_now(&mut self) {
        if let Some(polled) = self.polled.upgrade() {
            polled.ask(self.resolver);
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(polled) = self.polled.upgrade() {
            polled.stop(self.resolver);
        }
    }
}
