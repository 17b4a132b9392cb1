//! `kubernetes:` by way of plain HTTP, as `kubectl proxy` serves it, and faults that the real server cannot be made to
//! show: a double in front of it answers for it where a test says so.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

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

type Fault = Box<dyn FnMut(&str) -> Option<(u16, String)> + Send>;

impl DoubleOfKubectlProxy {
    fn start(api: &Arc<KubeApi>, fault: impl FnMut(&str) -> Option<(u16, String)> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let fault: Arc<Mutex<Fault>> = Arc::new(Mutex::new(Box::new(fault)));
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
    let (status, body) = answer.unwrap_or_else(|| {
        let answer = api.request("GET", &path, "").unwrap();
        (answer.status, answer.body)
    });
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
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

    plain_http_is_enough(&api);
    a_watch_that_is_answered_410_lists_anew(&api);
    a_page_that_is_too_old_begins_the_list_again(&api);
    a_line_that_is_none_costs_nothing_else(&api);
    an_answer_that_is_no_list_is_not_taken_for_an_empty_one(&api);
    a_busy_server_is_told_apart(&api);
}

fn plain_http_is_enough(api: &Arc<KubeApi>) {
    let double = DoubleOfKubectlProxy::start(api, |_| None);
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
