//! A transport in name only, and a resolver whose answers the test gives.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evener_channel::{
    Action, CallReport, Channel, ChannelOptions, Connectivity, Driver, Endpoint, Event, PipelineOptions,
    Resolver, ResolverSink, Resolving, StartCall,
};
use evener_discovery::target::CustomTarget;
use serde_json::Value;

pub const METHOD: &str = "/demo.Greeter/Hello";
pub const LIMIT: Duration = Duration::from_secs(20);

/// Connects at once to whatever it is told to.
pub struct FakeTransport {
    pub driver: Driver,
    channels: Arc<Mutex<BTreeMap<u64, Channel>>>,
    seen: Arc<Mutex<Vec<Event>>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeTransport {
    pub fn new() -> Self {
        Self::of(Driver::new().expect("descriptors"))
    }

    pub fn of(driver: Driver) -> Self {
        let channels: Arc<Mutex<BTreeMap<u64, Channel>>> = Arc::default();
        let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
        let thread = std::thread::spawn({
            let (driver, channels, seen) = (driver.clone(), Arc::clone(&channels), Arc::clone(&seen));
            move || {
                while let Some(event) = driver.next(None) {
                    let channel = channels.lock().unwrap().get(&event.channel).cloned();
                    match (&event.action, channel) {
                        (Action::Connect { endpoint }, Some(channel)) => {
                            channel.set_state(*endpoint, Connectivity::Ready, "");
                        }
                        (Action::Close { endpoint }, Some(channel)) => assert!(channel.closed(*endpoint)),
                        _ => {}
                    }
                    seen.lock().unwrap().push(event);
                }
            }
        });
        Self { driver, channels, seen, thread: Some(thread) }
    }

    /// A channel that is in use.
    pub fn open(&self, target: &str, options: ChannelOptions) -> Channel {
        let mut channels = self.channels.lock().unwrap();
        let token = channels.len() as u64 + 1;
        let channel = Channel::open(&self.driver, target, options, token).expect("a valid channel");
        channels.insert(token, channel.clone());
        drop(channels);
        channel.state(true);
        channel
    }

    pub fn has_seen(&self, wanted: impl Fn(&Action) -> bool) -> bool {
        self.seen.lock().unwrap().iter().any(|event| wanted(&event.action))
    }

    /// The actions that answer a question.
    pub fn seen<T>(&self, wanted: impl Fn(&Action) -> Option<T>) -> Vec<T> {
        self.seen.lock().unwrap().iter().filter_map(|event| wanted(&event.action)).collect()
    }

    pub fn logs(&self) -> Vec<String> {
        self.seen(|action| match action {
            Action::Log { text, .. } => Some(text.clone()),
            _ => None,
        })
    }
}

impl Drop for FakeTransport {
    fn drop(&mut self) {
        self.driver.shutdown();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()), "the transport's thread ends with the driver");
    }
}

/// Waits until another thread has brought something about.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Changes pass as they come, so that tests need not wait for what the pipeline's own tests show.
pub fn at_once() -> ChannelOptions {
    ChannelOptions { pipeline: PipelineOptions::immediate(), seed: Some(7), ..ChannelOptions::default() }
}

pub fn list(ports: &[u16]) -> Vec<Endpoint> {
    ports.iter().map(|port| format!("127.0.0.1:{port}").parse().expect("an address")).collect()
}

/// The ports of a channel's endpoints.
pub fn ports(channel: &Channel) -> Vec<u16> {
    let port = |text: String| text.rsplit(':').next().and_then(|port| port.parse().ok());
    let stats = channel.stats();
    let live = stats.into_iter().filter(|stats| !stats.draining);
    let mut ports: Vec<u16> = live.filter_map(|stats| port(stats.addresses)).collect();
    ports.sort_unstable();
    ports
}

pub fn eventually_has(channel: &Channel, expected: &[u16]) {
    eventually(&format!("{expected:?} in {}", channel.describe()), || {
        (ports(channel) == expected).then_some(())
    });
}

pub fn describe(channel: &Channel) -> Value {
    serde_json::from_str(&channel.describe()).expect("JSON")
}

/// A call that does not wait for ready: where it went, or why it failed.
pub fn call(channel: &Channel) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    loop {
        match channel.start_call(METHOD, None) {
            StartCall::Started(ticket) => {
                assert!(channel.finish_call(ticket, CallReport::default()));
                return Ok(());
            }
            StartCall::Wait { epoch } => assert!(channel.wait(epoch, Some(until)), "a call hangs"),
            StartCall::Fail { message, .. } => return Err(message),
        }
    }
}

/// A resolver whose sinks the test holds.
#[derive(Default)]
pub struct Scripted {
    starts: AtomicUsize,
    running: Arc<AtomicUsize>,
    hints: Arc<AtomicUsize>,
    sinks: Mutex<Vec<(String, ResolverSink)>>,
    panics: AtomicUsize,
}

struct Running {
    running: Arc<AtomicUsize>,
    hints: Arc<AtomicUsize>,
}

impl Resolving for Running {
    fn resolve_now(&mut self) {
        self.hints.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Resolver for Scripted {
    fn start(&self, target: &CustomTarget, sink: ResolverSink) -> Result<Box<dyn Resolving>, String> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        let panics = self.panics.load(Ordering::SeqCst);
        if panics > 0 {
            self.panics.store(panics - 1, Ordering::SeqCst);
            panic!("a resolver's own mistake");
        }
        self.sinks.lock().unwrap().push((target.uri.path.clone(), sink));
        self.running.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Running { running: Arc::clone(&self.running), hints: Arc::clone(&self.hints) }))
    }
}

impl Scripted {
    /// Registered for `lab:` on a driver.
    pub fn on(driver: &Driver) -> Arc<Self> {
        let resolver = Arc::new(Self::default());
        driver.register_scheme("lab", Arc::clone(&resolver) as Arc<dyn Resolver>).expect("a scheme");
        resolver
    }

    /// The sink of the watch of a name that began last.
    pub fn sink(&self, name: &str) -> ResolverSink {
        eventually(name, || {
            let sinks = self.sinks.lock().unwrap();
            sinks.iter().rev().find(|(path, _)| path == name).map(|(_, sink)| sink.clone())
        })
    }

    /// Everywhere where a target is resolved.
    pub fn push_everywhere(&self, ports: &[u16]) {
        for (_, sink) in self.sinks.lock().unwrap().iter() {
            sink.push(list(ports));
        }
    }

    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub fn hints(&self) -> usize {
        self.hints.load(Ordering::SeqCst)
    }

    pub fn panic_next(&self) {
        self.panics.store(1, Ordering::SeqCst);
    }
}
