//! The shared thread and its watches, with resolvers of the application's own: the real code path, in process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evener_discovery::pipeline::{Freshness, PipelineOptions, Snapshot, State};
use evener_discovery::runtime::{
    Observer, Resolver, ResolverSink, Resolving, Runtime, Watch, WatchOptions, Woken,
};
use evener_discovery::target::CustomTarget;
use evener_discovery::{Endpoint, ErrorClass, Target};

const LIMIT: Duration = Duration::from_secs(20);

/// A resolver whose sinks the test holds: what it pushes is what there is.
#[derive(Default)]
struct Scripted {
    starts: AtomicUsize,
    running: Arc<AtomicUsize>,
    hints: Arc<AtomicUsize>,
    sinks: Mutex<Vec<(CustomTarget, ResolverSink)>>,
    /// What the next starts answer, the last one first.
    failures: Mutex<Vec<&'static str>>,
}

/// Counts as long as a target is resolved.
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
        let failure = self.failures.lock().unwrap().pop();
        match failure {
            Some("panic") => panic!("a resolver's own mistake"),
            Some(text) => return Err(text.to_owned()),
            None => {}
        }
        self.sinks.lock().unwrap().push((target.clone(), sink));
        self.running.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Running { running: Arc::clone(&self.running), hints: Arc::clone(&self.hints) }))
    }
}

impl Scripted {
    /// The sink of the watch that began last.
    fn sink(&self) -> ResolverSink {
        eventually("a start", || self.sinks.lock().unwrap().last().map(|(_, sink)| sink.clone()))
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn set_up() -> (Runtime, Arc<Scripted>) {
    let (runtime, resolver) = (Runtime::new(), Arc::new(Scripted::default()));
    runtime.register_scheme("lab", Arc::clone(&resolver) as Arc<dyn Resolver>).unwrap();
    (runtime, resolver)
}

fn options() -> WatchOptions {
    let pipeline = PipelineOptions {
        empty_hold: Duration::from_millis(300),
        removal_epoch: Duration::from_millis(200),
        debounce: Duration::from_millis(20),
        max_delay: Duration::from_millis(200),
        max_drop_ratio: 100,
        ..PipelineOptions::default()
    };
    WatchOptions { pipeline, linger: Duration::ZERO, seed: Some(7), ..WatchOptions::default() }
}

fn watch_with(runtime: &Runtime, target: &str, options: WatchOptions) -> Watch {
    let target = runtime.parse(target).unwrap();
    runtime.watch(&target, options, Arc::new(Woken::new())).unwrap()
}

fn watch(runtime: &Runtime, target: &str) -> Watch {
    watch_with(runtime, target, options())
}

fn list(ports: &[u16]) -> Vec<Endpoint> {
    ports.iter().map(|port| format!("10.0.0.1:{port}").parse().unwrap()).collect()
}

fn ports(snapshot: &Snapshot) -> Vec<u16> {
    let port = |endpoint: &Endpoint| endpoint.to_string().rsplit(':').next().unwrap().parse().unwrap();
    snapshot.endpoints.iter().map(port).collect()
}

fn eventually_has(watch: &Watch, expected: &[u16]) {
    eventually(&format!("{expected:?}"), || {
        watch.latest().filter(|snapshot| snapshot.state != State::Unknown && ports(snapshot) == expected)
    });
}

#[test]
fn what_a_resolver_pushes_is_published_and_what_it_drops_is_held_first() {
    let (runtime, resolver) = set_up();
    let watch = watch(&runtime, "lab:///user-service?zone=a");
    assert!(watch.latest().is_none(), "nobody has said anything");
    let sink = resolver.sink();
    let (target, _) = resolver.sinks.lock().unwrap()[0].clone();
    assert_eq!(target.uri.path, "user-service");
    assert_eq!(target.uri.parameter("zone"), Some("a"));

    sink.push(list(&[1]));
    eventually_has(&watch, &[1]);
    sink.push(list(&[1, 2]));
    eventually_has(&watch, &[1, 2]);
    sink.push(list(&[2]));
    eventually("one held", || watch.status().filter(|status| status.endpoints.held == 1));
    assert_eq!(ports(&watch.latest().unwrap()), [1, 2], "gone for the resolver, still there for calls");
    eventually_has(&watch, &[2]);

    let emptied = Instant::now();
    sink.push(Vec::new());
    let gone =
        eventually("nothing left", || watch.latest().filter(|snapshot| snapshot.state == State::KnownEmpty));
    assert!(gone.endpoints.is_empty());
    assert!(emptied.elapsed() >= Duration::from_millis(300), "{:?}", emptied.elapsed());
}

#[test]
fn an_empty_first_answer_is_an_answer() {
    let (runtime, resolver) = set_up();
    let watch = watch(&runtime, "lab:///nobody");
    resolver.sink().push(Vec::new());
    let first = eventually("an answer", || watch.latest());
    assert_eq!((first.state, first.epoch), (State::KnownEmpty, 1));
}

#[test]
fn a_resolvers_failure_is_shown_and_costs_nothing() {
    let (runtime, resolver) = set_up();
    let watch = watch(&runtime, "lab:///user-service");
    let sink = resolver.sink();
    sink.push(list(&[1]));
    eventually_has(&watch, &[1]);
    sink.fail("the office is closed");
    let status = eventually("stale", || {
        watch.status().filter(|status| matches!(status.freshness, Freshness::Stale { .. }))
    });
    assert_eq!(status.last_error.unwrap().message, "the office is closed");
    assert_eq!(ports(&watch.latest().unwrap()), [1]);
    sink.push(list(&[1]));
    eventually("fresh again", || watch.status().filter(|status| status.freshness == Freshness::Fresh));
}

#[test]
fn a_service_config_comes_with_the_endpoints() {
    let (runtime, resolver) = set_up();
    let watch = watch(&runtime, "lab:///user-service");
    let sink = resolver.sink();
    sink.service_config(Some("{}".to_owned()));
    sink.push(list(&[1]));
    let snapshot = eventually("a list", || watch.latest());
    assert_eq!(snapshot.service_config.as_deref(), Some("{}"));
    sink.service_config(None);
    eventually("none any more", || watch.latest().filter(|snapshot| snapshot.service_config.is_none()));
}

#[test]
fn equal_watches_share_one_resolution_and_others_do_not() {
    let (runtime, resolver) = set_up();
    let one = watch(&runtime, "lab:///user-service");
    resolver.sink().push(list(&[1]));
    eventually_has(&one, &[1]);
    let two = watch(&runtime, "LAB:///user-service");
    assert_eq!(ports(&two.latest().unwrap()), [1], "known to the second from the start");
    let other = WatchOptions { snapshot_max_age: Duration::from_secs(1), ..options() };
    let three = watch_with(&runtime, "lab:///user-service", other);
    let four = watch(&runtime, "lab:///other-service");
    eventually("three starts", || (resolver.running() == 3).then_some(()));

    drop(one);
    drop((three, four));
    eventually("one left", || (resolver.running() == 1).then_some(()));
    assert_eq!(ports(&two.latest().unwrap()), [1]);
    drop(two);
    eventually("nobody left", || (resolver.running() == 0).then_some(()));
    assert_eq!(resolver.starts.load(Ordering::SeqCst), 3);
}

#[test]
fn a_watch_lingers_for_whoever_comes_back() {
    let (runtime, resolver) = set_up();
    let options = WatchOptions { linger: Duration::from_secs(3600), ..options() };
    let one = watch_with(&runtime, "lab:///user-service", options.clone());
    resolver.sink().push(list(&[1]));
    eventually_has(&one, &[1]);
    drop(one);
    let two = watch_with(&runtime, "lab:///user-service", options);
    assert_eq!(ports(&two.latest().unwrap()), [1]);
    assert_eq!(resolver.starts.load(Ordering::SeqCst), 1);
}

#[test]
fn a_start_that_fails_or_panics_is_told_and_tried_again() {
    let (runtime, resolver) = set_up();
    *resolver.failures.lock().unwrap() = vec!["no such office", "panic"];
    let broken = watch(&runtime, "lab:///user-service");
    let error = |part: &'static str| {
        eventually(part, || broken.status()?.last_error.filter(|error| error.message.contains(part)))
    };
    assert_eq!(error("a resolver's own mistake").class, ErrorClass::Protocol);
    let other = watch(&runtime, "static:///10.0.0.1:9");
    eventually_has(&other, &[9]);
    error("no such office");
    resolver.sink().push(list(&[1]));
    eventually_has(&broken, &[1]);
    assert_eq!(resolver.starts.load(Ordering::SeqCst), 3);
}

#[test]
fn hints_reach_the_resolver_and_come_together_as_one() {
    let (runtime, resolver) = set_up();
    let watch = watch(&runtime, "lab:///user-service");
    resolver.sink();
    for _ in 0..100 {
        watch.resolve_now();
    }
    eventually("a hint", || (resolver.hints.load(Ordering::SeqCst) > 0).then_some(()));
    assert!(resolver.hints.load(Ordering::SeqCst) <= 2);
}

#[test]
fn what_an_observer_does_wrong_does_not_reach_the_others() {
    struct Panics;
    impl Observer for Panics {
        fn changed(&self) {
            panic!("an observer's own mistake");
        }
    }
    let (runtime, resolver) = set_up();
    let target = runtime.parse("lab:///user-service").unwrap();
    let _bad = runtime.watch(&target, options(), Arc::new(Panics)).unwrap();
    let woken = Arc::new(Woken::new());
    let good = runtime.watch(&target, options(), Arc::clone(&woken) as Arc<dyn Observer>).unwrap();
    resolver.sink().push(list(&[1]));
    while good.latest().is_none() {
        assert!(woken.wait(LIMIT));
    }
    resolver.sink().push(list(&[1, 2]));
    eventually_has(&good, &[1, 2]);
}

#[test]
fn wrong_targets_and_options_are_refused_at_once() {
    let (runtime, _) = set_up();
    let watched = |text: &str, options: WatchOptions| {
        let target = Target::parse_with(text, |scheme| scheme == "other").unwrap();
        runtime.watch(&target, options, Arc::new(Woken::new())).map(drop).unwrap_err()
    };
    assert!(watched("other:///x", options()).message.contains("no resolver is registered"));
    assert!(watched("static:///NAME", options()).message.contains("NAME"));
    let pipeline = PipelineOptions { max_drop_ratio: 0, ..PipelineOptions::default() };
    let wrong = watched("static:///a:1", WatchOptions { pipeline, ..options() });
    assert!(wrong.message.contains("max_drop_ratio"), "{wrong}");
    assert!(runtime.register_scheme("1st", Arc::new(Scripted::default())).is_err());
}

#[test]
fn a_shutdown_ends_what_runs_and_refuses_what_comes() {
    let (runtime, resolver) = set_up();
    let watch = watch(&runtime, "lab:///user-service");
    let sink = resolver.sink();
    sink.push(list(&[1]));
    eventually_has(&watch, &[1]);
    assert!(runtime.shutdown(LIMIT));
    assert!(runtime.shutdown(LIMIT), "twice does no more");
    assert_eq!(resolver.running(), 0, "the resolver was ended, on its thread");
    assert!(watch.has_ended() && runtime.is_shut_down());
    assert_eq!(ports(&watch.latest().unwrap()), [1], "what was known stays known");
    sink.push(list(&[1, 2]));
    let target = runtime.parse("static:///a:1").unwrap();
    let refused = runtime.watch(&target, options(), Arc::new(Woken::new())).unwrap_err();
    assert!(refused.message.contains("shut down"), "{refused}");
}

#[test]
fn a_thread_that_a_resolver_holds_up_is_waited_for_no_longer_than_the_deadline() {
    struct Blocks(Mutex<std::sync::mpsc::Receiver<()>>, Arc<AtomicUsize>);
    impl Resolver for Blocks {
        fn start(&self, _: &CustomTarget, _: ResolverSink) -> Result<Box<dyn Resolving>, String> {
            self.1.fetch_add(1, Ordering::SeqCst);
            let _ = self.0.lock().unwrap().recv();
            Ok(Box::new(()))
        }
    }
    let (release, blocked) = std::sync::mpsc::channel();
    let entered = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::new();
    let resolver = Arc::new(Blocks(Mutex::new(blocked), Arc::clone(&entered)));
    runtime.register_scheme("lab", resolver).unwrap();
    let _watch = watch(&runtime, "lab:///user-service");
    eventually("entered", || (entered.load(Ordering::SeqCst) == 1).then_some(()));
    let began = Instant::now();
    assert!(!runtime.shutdown(Duration::from_millis(200)));
    assert!(began.elapsed() < LIMIT / 2);
    drop(release);
}

/// A broken connection must not end a program that does not ignore `SIGPIPE`: one in C or C++.
#[test]
fn a_broken_pipe_is_no_signal_on_the_runtimes_thread() {
    struct Asked(Mutex<Option<String>>);
    impl Resolver for Asked {
        fn start(&self, _: &CustomTarget, sink: ResolverSink) -> Result<Box<dyn Resolving>, String> {
            *self.0.lock().unwrap() = Some(std::fs::read_to_string("/proc/thread-self/status").unwrap());
            sink.push(list(&[1]));
            Ok(Box::new(()))
        }
    }
    let runtime = Runtime::new();
    let asked = Arc::new(Asked(Mutex::new(None)));
    runtime.register_scheme("asked", Arc::clone(&asked) as Arc<dyn Resolver>).unwrap();
    let _watch = watch(&runtime, "asked:///x");
    let status = eventually("an answer", || asked.0.lock().unwrap().clone());
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
    /// `SIGPIPE` is number 13.
    const BIT: u64 = 1 << 12;
    assert_ne!(u64::from_str_radix(blocked, 16).unwrap() & BIT, 0, "{blocked}");
}

#[test]
fn a_source_that_never_stops_keeps_nobody_else_waiting() {
    let (runtime, resolver) = set_up();
    let flooded = watch(&runtime, "lab:///flooded");
    let sink = resolver.sink();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                sink.push(list(&[1]));
            }
        });
        eventually_has(&flooded, &[1]);
        let other = watch(&runtime, "static:///10.0.0.1:9");
        eventually_has(&other, &[9]);
        let counted = |watch: &Watch| watch.status().map(|status| status.updates.reset);
        let before = counted(&flooded);
        eventually("more", || (counted(&flooded) > before).then_some(()));
        is_over.store(true, Ordering::SeqCst);
    });
}
