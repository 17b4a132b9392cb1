//! `kubernetes:` by way of plain HTTP, as `kubectl proxy` serves it, and faults that the real server cannot be made to
//! show: a double in front of it answers for it where a test says so.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use evener_discovery::runtime::WatchOptions;
use evener_discovery::{ErrorClass, Event};
use evener_test_servers::{KubeApi, eventually};
use serde_json::json;
use support::{Backend, LIMIT, written};

/// Stands in for `kubectl proxy`: plain HTTP to the API server's own answers, but for what `fault` answers.
struct DoubleOfKubectlProxy {
    url: String,
    /// The paths that were asked for, in order.
    asked: Arc<Mutex<Vec<String>>>,
}

/// What the double answers by itself.
#[derive(Clone)]
struct Answer {
    status: u16,
    /// Further lines of the head.
    lines: String,
    body: String,
    /// How long the body goes on after that.
    lasts: Duration,
}

impl From<(u16, String)> for Answer {
    fn from((status, body): (u16, String)) -> Self {
        Self { status, lines: String::new(), body, lasts: Duration::ZERO }
    }
}

/// A watch in which nothing happens, for as long as was asked for.
fn quiet_watch(path: &str) -> Option<Answer> {
    let lasts = number(path, "timeoutSeconds").map(Duration::from_secs)?;
    Some(Answer { lasts, ..(200, String::new()).into() })
}

type Fault = Box<dyn FnMut(&str) -> Option<Answer> + Send>;

impl DoubleOfKubectlProxy {
    fn start<A: Into<Answer>>(
        api: &Arc<KubeApi>,
        mut fault: impl FnMut(&str) -> Option<A> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let fault: Arc<Mutex<Fault>> =
            Arc::new(Mutex::new(Box::new(move |path| fault(path).map(Into::into))));
        let (api, log) = (Arc::clone(api), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (api, log, fault) = (Arc::clone(&api), Arc::clone(&log), Arc::clone(&fault));
                thread::spawn(move || serve(stream, &api, &log, &fault));
            }
        });
        Self { url, asked }
    }

    /// How many lists and how many watches were asked for.
    fn counts(&self) -> (usize, usize) {
        let asked = self.asked.lock().unwrap();
        let watches = asked.iter().filter(|path| path.contains("watch=true")).count();
        (asked.len() - watches, watches)
    }
}

/// One request for each connection.
fn serve(mut stream: TcpStream, api: &KubeApi, asked: &Mutex<Vec<String>>, fault: &Mutex<Fault>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    while reader.read_line(&mut request).is_ok_and(|length| length > 2) {}
    let Some(path) = request.split(' ').nth(1).map(str::to_owned) else { return };
    asked.lock().unwrap().push(path.clone());
    let answer = (fault.lock().unwrap())(&path);
    let Answer { status, mut lines, body, lasts } = answer.unwrap_or_else(|| {
        let answer = api.request("GET", &path, "").unwrap();
        (answer.status, answer.body).into()
    });
    if lasts.is_zero() {
        lines.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let _ =
        stream.write_all(format!("HTTP/1.1 {status} x\r\n{lines}Connection: close\r\n\r\n{body}").as_bytes());
    thread::sleep(lasts);
}

fn apply(api: &KubeApi, name: &str, ip: &str) {
    api.apply_slice(
        &json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "user"}},
        "ports": [{"port": 80}], "endpoints": [{"addresses": [ip]}]}),
    );
}

fn watch(double: &DoubleOfKubectlProxy) -> Backend {
    let target = format!("kubernetes:///user?server={}&watch-timeout=5s", double.url);
    Backend::open(&target, &WatchOptions::default())
}

fn gone() -> (u16, String) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {}, "reason": "Expired",
        "message": "too old resource version", "code": 410});
    (410, status.to_string())
}

/// One server for all, since each is given another fault in front of it.
#[test]
fn faults_in_front_of_a_real_server() {
    let Some(api) = KubeApi::start().map(Arc::new) else { return };
    apply(&api, "user-1", "10.1.0.1");

    // What takes its time does so beside the others.
    let slow =
        [a_server_that_is_quiet_for_several_watches_is_asked_anew, a_doubt_is_kept_until_it_is_looked_into]
            .map(|test| {
                thread::spawn({
                    let api = Arc::clone(&api);
                    move || test(&api)
                })
            });
    plain_http_is_enough(&api);
    a_watch_that_is_answered_410_lists_anew(&api);
    a_page_that_is_too_old_begins_the_list_again(&api);
    a_line_that_is_none_costs_nothing_else(&api);
    an_answer_that_is_no_list_is_not_taken_for_an_empty_one(&api);
    a_busy_server_is_told_apart(&api);
    what_is_asked_for_spares_the_server(&api);
    a_line_that_says_410_lists_anew(&api);
    a_page_that_is_always_too_old_is_told(&api);
    a_page_without_end_is_not_read(&api);
    a_bookmark_without_a_version_is_not_taken(&api);
    a_watch_that_ends_before_its_time_is_not_resumed_at_once(&api);
    a_pause_that_is_asked_for_is_made(&api);
    for test in slow {
        test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

/// As a server that has lost its memory: it knows nothing of what is to come, and says so by saying nothing.
fn a_server_that_is_quiet_for_several_watches_is_asked_anew(api: &Arc<KubeApi>) {
    let double = DoubleOfKubectlProxy::start(api, quiet_watch);
    let target = format!("kubernetes:///user?server={}&watch-timeout=8s", double.url);
    let mut backend = Backend::open(&target, &WatchOptions::default());
    eventually("another list", 3 * LIMIT, || double.counts().0 == 2);
    let (_, watches) = double.counts();
    assert!(watches >= 4, "30 s of watches of at most 8 s: {watches}");
    while let Some(event) = backend.within(Duration::ZERO) {
        assert!(!matches!(event, Event::Failed(_)), "{event:?}");
    }
}

/// A hint that comes too early, and one that a busy server does not answer.
fn a_doubt_is_kept_until_it_is_looked_into(api: &Arc<KubeApi>) {
    let mut lists = 0;
    let double = DoubleOfKubectlProxy::start(api, move |path| {
        let watch = quiet_watch(path);
        lists += u32::from(watch.is_none());
        let refusal = (lists == 2).then(|| (429, "try later".to_owned()).into());
        watch.or(refusal)
    });
    let mut backend = watch(&double);
    let first = backend.next();
    assert!(matches!(first, Event::Reset { .. }), "{first:?}");
    backend.hint();
    eventually("a look that is refused", LIMIT, || double.counts().0 == 2);
    eventually("another one, though nobody gives a hint", LIMIT, || double.counts().0 == 3);
    backend.hint();
    eventually("the look that was too early", LIMIT, || double.counts().0 == 4);
    while let Some(event) = backend.within(Duration::ZERO) {
        assert!(!matches!(event, Event::Failed(_)), "a refused look ends no watch: {event:?}");
    }
}

fn plain_http_is_enough(api: &Arc<KubeApi>) {
    let double = DoubleOfKubectlProxy::start(api, |_| None::<Answer>);
    let mut backend = watch(&double);
    backend.until_reset(&["10.1.0.1:80"]);
    apply(api, "user-2", "10.1.0.2");
    let changed = backend.until("the change", |event| match event {
        Event::Apply { changed, .. } => Some(written(&changed)),
        _ => None,
    });
    assert_eq!(changed, ["10.1.0.2:80"]);
    api.delete_slice("default", "user-2");
}

fn a_watch_that_is_answered_410_lists_anew(api: &Arc<KubeApi>) {
    let mut left = 1;
    let double = DoubleOfKubectlProxy::start(api, move |path| {
        let is_hit = path.contains("watch=true") && left > 0;
        left -= u32::from(is_hit);
        is_hit.then(gone)
    });
    let mut backend = watch(&double);
    for _ in 0..2 {
        let event = backend.next();
        assert!(matches!(event, Event::Reset { .. }), "a version that is too old is no outage: {event:?}");
    }
    // A third list would come before the third watch.
    eventually("two further watches", LIMIT, || double.counts().1 == 3);
    assert_eq!(double.counts().0, 2);
}

fn a_page_that_is_too_old_begins_the_list_again(api: &Arc<KubeApi>) {
    let mut step = 0;
    let double = DoubleOfKubectlProxy::start(api, move |path| {
        step += 1;
        let first = json!({"kind": "EndpointSliceList", "metadata": {"resourceVersion": "1", "continue": "next"},
            "items": [{"metadata": {"name": "stale"}, "addressType": "IPv4", "ports": [{"port": 1}],
                "endpoints": [{"addresses": ["10.9.9.9"]}]}]});
        match step {
            1 => Some((200, first.to_string())),
            2 => {
                assert!(path.contains("continue=next"), "{path}");
                Some(gone())
            }
            _ => None,
        }
    });
    watch(&double).until_reset(&["10.1.0.1:80"]);
}

fn a_line_that_is_none_costs_nothing_else(api: &Arc<KubeApi>) {
    let lines = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"bad\"},\"endpoints\":7}}\n\nwhat?\n\
        {\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"good\",\"resourceVersion\":\"5\"},\"addressType\":\"IPv4\",\
        \"ports\":[{\"port\":80}],\"endpoints\":[{\"addresses\":[\"10.1.0.3\"]}]}}\n{\"type\":\"ADDED\",\"obj";
    let double = DoubleOfKubectlProxy::start(api, move |path| {
        path.contains("watch=true").then(|| (200, lines.to_owned()))
    });
    let mut backend = watch(&double);
    backend.until_reset(&["10.1.0.1:80"]);
    for _ in 0..2 {
        let event = backend.next();
        assert!(matches!(event, Event::Skipped { count: 1, .. }), "{event:?}");
    }
    let Event::Apply { changed, removed, .. } = backend.next() else { panic!("the good line is lost") };
    assert_eq!((written(&changed), removed.len()), (vec!["10.1.0.3:80".to_owned()], 0));
    backend.until_failed(ErrorClass::Unreachable);
}

fn an_answer_that_is_no_list_is_not_taken_for_an_empty_one(api: &Arc<KubeApi>) {
    for answer in ["{}", "[]", "<html>Welcome</html>", r#"{"kind":"EndpointSliceList","items":[]}"#] {
        let double = DoubleOfKubectlProxy::start(api, move |_| Some((200, answer.to_owned())));
        watch(&double).until_failed(ErrorClass::Protocol);
    }
}

fn a_busy_server_is_told_apart(api: &Arc<KubeApi>) {
    let double = DoubleOfKubectlProxy::start(api, |_| Some((429, "try later".to_owned())));
    let error = watch(&double).until_failed(ErrorClass::RateLimited);
    assert!(error.message.contains("asks for a pause (429)"), "{error}");
}

/// The number that a path's query has under a name.
fn number(path: &str, name: &str) -> Option<u64> {
    let (_, query) = path.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    value.parse().ok()
}

/// Another watch than the target of [`watch`] asks for: with the length that is usual.
fn watch_as_usual(double: &DoubleOfKubectlProxy) -> Backend {
    Backend::open(&format!("kubernetes:///user?server={}", double.url), &WatchOptions::default())
}

fn what_is_asked_for_spares_the_server(api: &Arc<KubeApi>) {
    let double = DoubleOfKubectlProxy::start(api, |path| {
        // The real server would hold the watch for minutes.
        path.contains("watch=true").then(gone)
    });
    let _backend = watch_as_usual(&double);
    eventually("a list and a watch", LIMIT, || double.counts().1 >= 1);
    let asked = double.asked.lock().unwrap().clone();
    let (list, watch) = (&asked[0], &asked[1]);
    assert_eq!(number(list, "limit"), Some(500), "{list}");
    assert!(!list.contains("resourceVersion"), "a list is of what is, not of a cache: {list}");
    assert!(watch.contains("allowWatchBookmarks=true"), "{watch}");
    let length = number(watch, "timeoutSeconds").expect("an end");
    assert!((260..=290).contains(&length), "290 s, at most a tenth less: {watch}");
    assert!(number(watch, "resourceVersion").is_some_and(|version| version > 0), "{watch}");
}

fn a_line_that_says_410_lists_anew(api: &Arc<KubeApi>) {
    let mut left = 1;
    let double = DoubleOfKubectlProxy::start(api, move |path| {
        let is_hit = path.contains("watch=true") && left > 0;
        left -= u32::from(is_hit);
        let line = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", gone().1);
        is_hit.then_some((200, line))
    });
    let mut backend = watch(&double);
    for _ in 0..2 {
        let event = backend.next();
        assert!(matches!(event, Event::Reset { .. }), "a version that is too old is no outage: {event:?}");
    }
    assert_eq!(double.counts().0, 2);
}

fn a_page_that_is_always_too_old_is_told(api: &Arc<KubeApi>) {
    let double = DoubleOfKubectlProxy::start(api, |path| {
        let first = json!({"kind": "EndpointSliceList", "metadata": {"resourceVersion": "1", "continue": "next"}, "items": []});
        Some(if path.contains("continue=") { gone() } else { (200, first.to_string()) })
    });
    let error = watch(&double).until_failed(ErrorClass::Expired);
    assert!(error.message.contains("(410)"), "{error}");
}

fn a_page_without_end_is_not_read(api: &Arc<KubeApi>) {
    let double = DoubleOfKubectlProxy::start(api, |_| Some((200, " ".repeat((64 << 20) + 1))));
    let error = watch(&double).until_failed(ErrorClass::Protocol);
    assert!(error.message.contains("longer than 67108864 bytes"), "{error}");
}

fn a_bookmark_without_a_version_is_not_taken(api: &Arc<KubeApi>) {
    let bookmark =
        r#"{"type":"BOOKMARK","object":{"kind":"EndpointSlice","metadata":{"resourceVersion":""}}}"#;
    let double = DoubleOfKubectlProxy::start(api, move |path| {
        path.contains("watch=true").then(|| (200, format!("{bookmark}\n")))
    });
    let _backend = watch(&double);
    eventually("the next watch", LIMIT, || double.counts().1 >= 2);
    for path in double.asked.lock().unwrap().iter().filter(|path| path.contains("watch=true")) {
        assert!(number(path, "resourceVersion").is_some_and(|version| version > 0), "{path}");
    }
}

/// When requests came and when their answers were ready.
type Times = Arc<Mutex<Vec<(Instant, Instant)>>>;

/// Waits for so many requests, and gives the times from each answer to the next request.
fn gaps(times: &Times, count: usize) -> Vec<Duration> {
    eventually("the next request", LIMIT, || times.lock().unwrap().len() >= count);
    let times = times.lock().unwrap();
    times.windows(2).map(|pair| pair[1].0.saturating_duration_since(pair[0].1)).collect()
}

/// As every API server ends its watches when it is shut down.
fn a_watch_that_ends_before_its_time_is_not_resumed_at_once(api: &Arc<KubeApi>) {
    let times = Times::default();
    let log = Arc::clone(&times);
    let double = DoubleOfKubectlProxy::start(api, move |path| {
        path.contains("watch=true").then(|| {
            let came = Instant::now();
            // Longer than what counts as no watch at all, and far shorter than what was agreed.
            thread::sleep(Duration::from_millis(2_100));
            log.lock().unwrap().push((came, Instant::now()));
            (200, String::new())
        })
    });
    let mut backend = watch_as_usual(&double);
    backend.until_reset(&["10.1.0.1:80"]);
    let gaps = gaps(&times, 3);
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(100)), "{gaps:?}");
    assert_eq!(double.counts().0, 1, "nothing is lost, and nothing listed again");
    assert!(backend.within(Duration::ZERO).is_none(), "a server that ends a watch has not failed");
}

fn a_pause_that_is_asked_for_is_made(api: &Arc<KubeApi>) {
    let limited = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "TooManyRequests",
        "message": "storage is initializing", "details": {"retryAfterSeconds": 2}, "code": 429});
    // As the server itself answers where too many ask at the same time.
    let plain = (429, "Too many requests, please try again later.".to_owned());
    let plain = Answer { lines: "Retry-After: 2\r\n".to_owned(), ..plain.into() };
    for (answer, least) in
        [((429, limited.to_string()).into(), 2), (plain, 2), ((503, "going away".to_owned()).into(), 1)]
    {
        let times = Times::default();
        let log = Arc::clone(&times);
        let double = DoubleOfKubectlProxy::start(api, move |_| {
            log.lock().unwrap().push((Instant::now(), Instant::now()));
            Some(answer.clone())
        });
        let mut backend = watch(&double);
        backend.until_failed(ErrorClass::RateLimited);
        let gaps = gaps(&times, 2);
        assert!(gaps[0] >= Duration::from_secs(least), "{gaps:?}");
    }
}
