//! Driver, threads and the public API as a transport uses them. Every wait has a deadline.
#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evener_channel::{
    Action, CallReport, Channel, ChannelOptions, Connectivity, Driver, Endpoint, Event, StartCall,
};

const METHOD: &str = "/demo.Greeter/Hello";
const PATIENCE: Duration = Duration::from_secs(20);

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// A transport in name only: it connects at once to whatever it is told to.
struct FakeTransport {
    driver: Driver,
    channels: Arc<Mutex<BTreeMap<u64, Channel>>>,
    seen: Arc<Mutex<Vec<Event>>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeTransport {
    fn new() -> Self {
        let driver = Driver::new().expect("descriptors");
        let channels: Arc<Mutex<BTreeMap<u64, Channel>>> = Arc::default();
        let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
        let thread = std::thread::spawn({
            let (driver, channels, seen) = (driver.clone(), Arc::clone(&channels), Arc::clone(&seen));
            move || {
                while let Some(event) = driver.next(None) {
                    seen.lock().unwrap().push(event.clone());
                    let channel = channels.lock().unwrap().get(&event.channel).cloned();
                    if let Some(channel) = channel {
                        carry_out(&channel, &event.action);
                    }
                }
            }
        });
        Self { driver, channels, seen, thread: Some(thread) }
    }

    fn open(&self, target: &str, options: ChannelOptions, token: u64) -> Channel {
        let channel = Channel::open(&self.driver, target, options, token).expect("a valid channel");
        self.channels.lock().unwrap().insert(token, channel.clone());
        channel
    }

    fn has_seen(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.seen.lock().unwrap().iter().any(wanted)
    }
}

impl Drop for FakeTransport {
    fn drop(&mut self) {
        self.driver.shutdown();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()), "the transport's thread ends with the driver");
    }
}

fn carry_out(channel: &Channel, action: &Action) {
    match *action {
        Action::Connect { endpoint } => {
            assert!(channel.endpoint_target(endpoint).is_some());
            channel.set_state(endpoint, Connectivity::Ready, "");
        }
        Action::Close { endpoint } => assert!(channel.closed(endpoint)),
        _ => {}
    }
}

/// A blocking call, as an adapter makes one.
fn call(channel: &Channel, until: Instant) -> Result<u32, String> {
    loop {
        match channel.start_call(METHOD, Some(true)) {
            StartCall::Started(ticket) => {
                let endpoint = ticket.endpoint();
                assert!(channel.finish_call(ticket, CallReport::default()));
                return Ok(endpoint);
            }
            StartCall::Wait { epoch } if channel.wait(epoch, Some(until)) => {}
            StartCall::Wait { .. } => return Err("deadline".to_owned()),
            StartCall::Fail { code, message } => return Err(format!("{code}: {message}")),
        }
    }
}

fn endpoints(ports: impl IntoIterator<Item = u16>) -> Vec<Endpoint> {
    ports.into_iter().map(|port| format!("127.0.0.1:{port}").parse().expect("an address")).collect()
}

/// Waits until something holds that another thread brings about.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = deadline();
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn the_first_call_waits_and_succeeds() {
    let transport = FakeTransport::new();
    let channel = transport.open("static:///127.0.0.1:1,127.0.0.1:2", ChannelOptions::default(), 5);
    assert_eq!(channel.state(false), Connectivity::Idle);
    call(&channel, deadline()).expect("connected");
    assert_eq!(channel.state(false), Connectivity::Ready);
    assert_eq!(channel.authority(), "127.0.0.1:1");
    assert!(
        transport.has_seen(|event| event.channel == 5 && event.action == Action::Connect { endpoint: 1 })
    );
}

#[test]
fn a_waiting_call_honours_its_deadline() {
    let driver = Driver::new().expect("descriptors");
    let channel =
        Channel::open(&driver, "static:///127.0.0.1:1", ChannelOptions::default(), 0).expect("valid");
    assert_eq!(call(&channel, Instant::now() + Duration::from_millis(5)), Err("deadline".to_owned()));
}

#[test]
fn state_changes_are_waited_for() {
    let transport = FakeTransport::new();
    let channel = transport.open("static:///127.0.0.1:1", ChannelOptions::default(), 0);
    assert!(!channel.wait_for_state_change(Connectivity::Idle, Some(Instant::now())));
    assert_eq!(channel.state(true), Connectivity::Idle);
    let mut state = Connectivity::Idle;
    while state != Connectivity::Ready {
        assert!(channel.wait_for_state_change(state, Some(deadline())));
        state = channel.state(false);
    }
    channel.close();
    assert!(channel.wait_for_state_change(Connectivity::Ready, Some(deadline())));
    assert_eq!(channel.state(false), Connectivity::Shutdown);
}

#[test]
fn lists_are_replaced_under_calls_from_many_threads() {
    let transport = FakeTransport::new();
    let options = ChannelOptions { endpoints: Some(endpoints(1..4)), ..ChannelOptions::default() };
    let channel = transport.open("test-service", options, 0);
    call(&channel, deadline()).expect("connected");
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (channel, stop, calls) = (channel.clone(), Arc::clone(&stop), Arc::clone(&calls));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    call(&channel, deadline()).expect("some endpoint is always there");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..60_u16 {
        let before = calls.load(Ordering::Relaxed);
        // Grows twice on the way: 32, 64 and 128 are too small one after the other.
        channel.update_endpoints(endpoints(round..round + 3 + 2 * round)).expect("taken over");
        eventually("calls go on", || calls.load(Ordering::Relaxed) > before);
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no call failed");
    }
    eventually("removed endpoints close", || channel.stats().iter().all(|stats| !stats.draining));
    assert_eq!(channel.stats().iter().map(|stats| stats.in_flight).sum::<u64>(), 0);
}

#[test]
fn shutting_down_ends_every_wait() {
    let driver = Driver::new().expect("descriptors");
    let channel =
        Channel::open(&driver, "static:///127.0.0.1:1", ChannelOptions::default(), 0).expect("valid");
    let StartCall::Wait { epoch } = channel.start_call(METHOD, None) else { panic!("it waits") };
    let waiting = std::thread::spawn({
        let channel = channel.clone();
        move || channel.wait(epoch, Some(deadline()))
    });
    let driving = std::thread::spawn({
        let driver = driver.clone();
        move || while driver.next(None).is_some() {}
    });
    driver.shutdown();
    assert!(waiting.join().expect("no panic"), "woken, not timed out");
    driving.join().expect("no panic");
    assert!(matches!(channel.start_call(METHOD, Some(true)), StartCall::Fail { code: 1, .. }));
    assert!(driver.is_shut_down() && driver.try_next().is_none() && driver.next(None).is_none());
    let refused = Channel::open(&driver, "static:///127.0.0.1:1", ChannelOptions::default(), 0);
    assert!(matches!(refused, Err(evener_channel::OpenError::ShutDown)));
}

#[test]
fn a_timeout_without_events_is_no_event() {
    let driver = Driver::new().expect("descriptors");
    assert_eq!(driver.next(Some(Duration::ZERO)), None);
    assert_eq!(driver.next(Some(Duration::from_millis(2))), None);
    assert!(!driver.is_shut_down());
}

/// Whether a descriptor is readable, asked without waiting: by reading from a copy of it.
fn readable(fd: i32) -> bool {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    // SAFETY: the driver that owns the descriptor lives as long as the test.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let mut copy = UnixStream::from(fd.try_clone_to_owned().expect("a copy"));
    match copy.read(&mut [0]) {
        Ok(read) => read > 0,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            false
        }
    }
}

#[test]
fn the_descriptor_is_readable_when_there_is_something() {
    let driver = Driver::new().expect("descriptors");
    let fd = driver.wake_fd();
    while driver.try_next().is_some() {}
    assert!(!readable(fd));
    let channel =
        Channel::open(&driver, "static:///127.0.0.1:1", ChannelOptions::default(), 0).expect("valid");
    while driver.try_next().is_some() {}
    assert!(!readable(fd), "an unused channel has nothing to say");
    assert_eq!(driver.next_timeout(), None);

    channel.state(true);
    assert_eq!(driver.next_timeout(), Some(Duration::ZERO));
    assert!(readable(fd)); // This took the byte; the driver does not rely on it.
    let mut events = Vec::new();
    while let Some(event) = driver.try_next() {
        events.push(event.action);
    }
    assert!(events.contains(&Action::Connect { endpoint: 0 }));
    assert!(!readable(fd), "asked until there was nothing");

    channel.set_state(0, Connectivity::Ready, "");
    assert!(driver.try_next().is_some());
    driver.shutdown();
    assert!(readable(fd), "a shutdown shows");
}

#[test]
fn an_event_that_was_not_fetched_keeps_the_descriptor_readable() {
    let driver = Driver::new().expect("descriptors");
    let fd = driver.wake_fd();
    let channel = Channel::open(&driver, "static:///127.0.0.1:1,127.0.0.1:2", ChannelOptions::default(), 0)
        .expect("valid");
    channel.state(true);
    assert!(driver.try_next().is_some());
    assert!(readable(fd), "one of several was fetched");
}

#[test]
fn channels_of_one_driver_are_told_apart() {
    let transport = FakeTransport::new();
    let channels: Vec<Channel> = (0..20)
        .map(|token| {
            transport.open(&format!("static:///127.0.0.1:{}", token + 1), ChannelOptions::default(), token)
        })
        .collect();
    for (token, channel) in channels.iter().enumerate() {
        assert_eq!(call(channel, deadline()), Ok(0));
        let target = format!("ipv4:127.0.0.1:{}", token + 1);
        assert_eq!(channel.endpoint_target(0), Some(target));
    }
}

#[test]
fn dropping_the_last_handle_closes_the_channel() {
    let driver = Driver::new().expect("descriptors");
    let channel =
        Channel::open(&driver, "static:///127.0.0.1:1", ChannelOptions::default(), 3).expect("valid");
    channel.state(true);
    while driver.try_next().is_some() {}
    drop(channel.clone());
    assert_eq!(driver.try_next(), None);
    drop(channel);
    let actions: Vec<Action> = std::iter::from_fn(|| driver.try_next()).map(|event| event.action).collect();
    assert!(actions.contains(&Action::Close { endpoint: 0 }), "{actions:?}");
    assert!(actions.contains(&Action::StateChanged(Connectivity::Shutdown)));
}

#[test]
fn a_file_of_lists_is_read_again_when_it_changes() {
    let path = std::env::temp_dir().join(format!("evener-lists-{}.json", std::process::id()));
    std::fs::write(&path, r#"{"user-service": ["127.0.0.1:1"]}"#).expect("written");
    let transport = FakeTransport::new();
    let options = ChannelOptions { static_file: Some(path.clone()), ..ChannelOptions::default() };
    let channel = transport.open("static:///user-service", options, 0);
    call(&channel, deadline()).expect("the file names an endpoint");

    let lists =
        |channel: &Channel| channel.stats().iter().map(|stats| stats.addresses.clone()).collect::<Vec<_>>();
    std::fs::write(&path, r#"{"user-service": ["127.0.0.1:1", "127.0.0.1:22"]}"#).expect("written");
    eventually("the change is taken over", || lists(&channel) == ["127.0.0.1:1", "127.0.0.1:22"]);
    std::fs::write(&path, "no JSON").expect("written");
    eventually("the fault is told", || {
        transport.has_seen(
            |event| matches!(&event.action, Action::Log { text, .. } if text.contains("the last list stays")),
        )
    });
    call(&channel, deadline()).expect("the lists read before stay");
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn a_name_is_looked_up_by_the_systems_resolver() {
    let transport = FakeTransport::new();
    let channel = transport.open("localhost:50051", ChannelOptions::default(), 0);
    call(&channel, deadline()).expect("every system knows localhost");
    assert!(channel.stats().iter().all(|stats| stats.addresses.ends_with(":50051")));
    assert_eq!(channel.authority(), "localhost:50051");
}

/// A name server that hangs up must not end a program that does not ignore `SIGPIPE`: one in C or C++.
#[test]
fn a_broken_pipe_is_no_signal_on_the_resolvers_thread() {
    let transport = FakeTransport::new();
    let options = ChannelOptions { system_dns: true, ..ChannelOptions::default() };
    let channel = transport.open("localhost:50051", options, 0);
    call(&channel, deadline()).expect("every system knows localhost");
    // Those of other tests in this process may be just about to begin.
    eventually("it is blocked", || {
        let blocked = blocked_signals("evener-resolver");
        /// `SIGPIPE` is number 13.
        const BIT: u64 = 1 << 12;
        !blocked.is_empty() && blocked.iter().all(|blocked| blocked & BIT != 0)
    });
}

/// The signals that each thread of this name blocks.
fn blocked_signals(name: &str) -> Vec<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let named = statuses.filter(|status| status.lines().next() == Some(&format!("Name:\t{name}")));
    let blocked = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:").map(str::to_owned));
        u64::from_str_radix(line.expect("a mask").trim(), 16).expect("a number")
    };
    named.map(blocked).collect()
}

#[test]
fn wrong_targets_and_configs_are_told_at_once() {
    let driver = Driver::new().expect("descriptors");
    let open = |target: &str, options| {
        Channel::open(&driver, target, options, 0).map(|_| ()).unwrap_err().to_string()
    };
    assert!(open("xds:///user-service", ChannelOptions::default()).contains("xds"));
    let config = Some(r#"{"methodConfig": [{"name": [{"service": "a"}], "timeout": "soon"}]}"#.to_owned());
    let message = open("localhost:1", ChannelOptions { service_config: config, ..ChannelOptions::default() });
    assert!(message.contains("methodConfig[0].timeout"), "{message}");
}
