//! Faults that a real agent cannot be made to show, by a double that answers what it is told to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use evener_discovery::{ErrorClass, Event};

use crate::support::Backend;
use crate::{plain, quick};

/// A request as the double saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Path and query.
    pub url: String,
    pub at: Instant,
    authorization: Option<String>,
}

impl Seen {
    pub fn has(&self, parameter: &str) -> bool {
        self.url.split(['?', '&']).any(|part| part == parameter)
    }

    /// Whether it asks for a service or a key, and not for rights.
    fn is_question(&self) -> bool {
        self.url.starts_with("/v1/health/") || self.url.starts_with("/v1/kv/")
    }
}

/// What it answers: status, header lines, body. An answer without a body is never sent: the request waits.
pub type Reply = (u16, String, Option<String>);

pub struct ConsulDouble {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl ConsulDouble {
    /// `reply` answers each question for a service or a key, the first with number 1. It has no ACLs.
    pub fn start(reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_rights(reply, |_| (401, String::new(), Some("ACL support disabled".to_owned())))
    }

    /// `rights` answers whoever asks what a token may read, by how often that was asked.
    pub fn with_rights(
        reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
        rights: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let reply =
            move |number, seen: &Seen| if seen.is_question() { reply(number, seen) } else { rights(number) };
        let (log, reply) = (Arc::clone(&seen), Arc::new(reply));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, reply) = (Arc::clone(&log), Arc::clone(&reply));
                thread::spawn(move || serve(stream, &log, &*reply));
            }
        });
        Self { address, seen }
    }

    pub fn open(&self, query: &str) -> Backend {
        Backend::open(&self.target("svc", query), &quick())
    }

    pub fn target(&self, path: &str, query: &str) -> String {
        format!("consul://{}/{path}?max-backoff=50ms{query}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The queries for the service, once there are so many.
    pub fn queries(&self, count: usize) -> Vec<Seen> {
        self.seen_of("/v1/health/service/svc?", count)
    }

    /// The questions for what may be read, once there are so many.
    pub fn rights(&self, count: usize) -> Vec<Seen> {
        self.seen_of("/v1/internal/acl/authorize?", count)
    }

    fn seen_of(&self, path: &str, count: usize) -> Vec<Seen> {
        let mut found = Vec::new();
        evener_test_servers::eventually(&format!("{count} of {path}"), crate::support::LIMIT, || {
            found = self.seen();
            found.retain(|seen| seen.url.starts_with(path));
            found.len() >= count
        });
        found
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Seen>>, reply: &dyn Fn(usize, &Seen) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(seen) = read(&mut reader) {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(seen.clone());
            log.iter().filter(|other| other.is_question() == seen.is_question()).count()
        };
        let (status, headers, body) = reply(number, &seen);
        let Some(body) = body else { continue };
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        if (&stream).write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
    std::io::copy(&mut std::io::Read::take(reader, length as u64), &mut std::io::sink()).ok()?;
    let url = lines.first()?.split(' ').nth(1)?.to_owned();
    Some(Seen { url, authorization: header("authorization"), at: Instant::now() })
}

pub fn index(index: u64) -> String {
    format!("X-Consul-Index: {index}\r\n")
}

/// As many instances as that.
pub fn instances(count: u8) -> Option<String> {
    these(&(1..=count).collect::<Vec<_>>())
}

/// The instances with these numbers.
pub fn these(numbers: &[u8]) -> Option<String> {
    let one = |number| {
        format!(
            r#"{{"Service": {{"ID": "{number}", "Address": "10.0.0.{number}", "Port": 80}}, "Checks": []}}"#
        )
    };
    Some(format!("[{}]", numbers.iter().map(one).collect::<Vec<_>>().join(",")))
}

#[test]
fn an_index_that_goes_backward_begins_anew() {
    let double = ConsulDouble::start(|number, _| match number {
        1 => (200, index(100), instances(1)),
        2 => (200, index(7), instances(1)),
        3 => (200, index(7), instances(2)),
        _ => (200, String::new(), None),
    });
    let mut backend = double.open("");
    backend.until_set(&["10.0.0.1:80", "10.0.0.2:80"]);
    let queries = double.queries(4);
    let asked: Vec<bool> = ["index=0", "index=100", "index=0", "index=7"]
        .iter()
        .zip(&queries)
        .map(|(parameter, seen)| seen.has(parameter) && seen.has("wait=300000ms") && seen.has("stale="))
        .collect();
    assert_eq!(asked, [true; 4], "{queries:#?}");
    assert!(queries.iter().all(|seen| !seen.url.contains("near")));
}

#[test]
fn near_is_never_asked_for() {
    for mode in ["", "&cached", "&stale=false"] {
        let double = ConsulDouble::start(|number, _| (200, index(5), instances(1).filter(|_| number == 1)));
        let mut backend = double.open(&format!("&near=_agent{mode}"));
        backend.until_set(&["10.0.0.1:80"]);
        let queries = double.queries(2);
        assert!(queries.iter().all(|seen| !seen.url.contains("near")), "{queries:#?}");
    }
}

#[test]
fn a_missing_or_zero_index_makes_no_hot_loop() {
    for header in [String::new(), index(0)] {
        let double = ConsulDouble::start(move |_, _| (200, header.clone(), instances(1)));
        let mut backend = double.open("");
        backend.until_set(&["10.0.0.1:80"]);
        let queries = double.queries(3);
        assert!(queries[1].has("index=1") && queries[2].has("index=1"), "{queries:#?}");
        // What must not happen is waited for as long as a loop without a bound would take to show.
        thread::sleep(Duration::from_secs(3));
        assert!(double.queries(3).len() <= 4, "{:#?}", double.queries(3));
    }
}

#[test]
fn a_rate_limit_is_obeyed_and_counted_as_one() {
    let double = ConsulDouble::start(|number, _| match number {
        1 => (429, "Retry-After: 2\r\n".to_owned(), Some("slow down".to_owned())),
        2 => (503, String::new(), Some("busy".to_owned())),
        3 => (200, index(5), instances(1)),
        _ => (200, String::new(), None),
    });
    let mut backend = double.open("");
    backend.until_failed(ErrorClass::RateLimited);
    backend.until_failed(ErrorClass::RateLimited);
    backend.until_set(&["10.0.0.1:80"]);
    let queries = double.queries(3);
    assert!(queries[1].at - queries[0].at >= Duration::from_secs(2), "{queries:#?}");
    assert!(queries[2].at - queries[1].at >= Duration::from_millis(990), "{queries:#?}");
}

#[test]
fn a_server_that_lags_is_not_asked_the_leader_is() {
    let lags = || format!("{}X-Consul-LastContact: 60000\r\n", index(5));
    let double = ConsulDouble::start(move |_, seen| match (seen.has("stale="), seen.has("index=0")) {
        (true, true) => (200, lags(), instances(1)),
        (false, _) => (200, index(9), instances(2)),
        (true, false) => (200, String::new(), None),
    });
    double.open("").until_reset(&["10.0.0.1:80;meta.consul.id=1", "10.0.0.2:80;meta.consul.id=2"]);
    let queries = double.queries(2);
    assert!(queries[0].has("stale=") && !queries[1].has("stale="), "{queries:#?}");
    let mut backend = double.open("");
    let first = backend.next();
    assert!(matches!(&first, Event::Reset { parts, .. } if plain(parts).len() == 2), "{first:?}");
    assert!(double.queries(5).iter().any(|seen| seen.has("index=9")), "{:#?}", double.seen());
}

#[test]
fn what_is_too_old_serves_only_whoever_knows_nothing() {
    let double = ConsulDouble::start(|number, seen| {
        if !seen.has("stale=") {
            return (500, String::new(), Some("No cluster leader".to_owned()));
        }
        let lost = format!("{}X-Consul-KnownLeader: false\r\n", index(5));
        (200, lost, instances(if number < 3 { 2 } else { 1 }))
    });
    let mut backend = double.open("");
    let Event::Partly { said, .. } = backend.next() else { panic!("what is in doubt is said as certain") };
    assert!(matches!(&*said, Event::Reset { parts, .. } if plain(parts).len() == 2), "{said:?}");
    for _ in 0..3 {
        let event = backend.next();
        assert!(
            matches!(&event, Event::Failed(error) if error.class == ErrorClass::Unreachable),
            "{event:?}"
        );
    }
}

#[test]
fn a_cache_that_is_old_is_no_news() {
    let double = ConsulDouble::start(|number, seen| {
        assert!(seen.has("cached=") && !seen.has("stale="));
        let age = if number == 1 { 0 } else { 60 };
        (200, format!("{}Age: {age}\r\nX-Cache: HIT\r\n", index(5)), instances(2))
    });
    let mut backend = double.open("&cached");
    backend.until_set(&["10.0.0.1:80", "10.0.0.2:80"]);
    let error = backend.until_failed(ErrorClass::Unreachable);
    assert!(error.message.contains("cache"), "{error}");
}

#[test]
fn what_is_not_an_answer_takes_nothing_away() {
    let bodies = ["[", "{}", "null", r#"[{"Service": {"Port": 0}}]"#];
    let double = ConsulDouble::start(move |number, _| {
        let body = number.checked_sub(2).and_then(|at| bodies.get(at)).map(|body| (*body).to_owned());
        match (number, body) {
            (1, _) => (200, index(5), instances(1)),
            (_, Some(body)) => (200, index(6), Some(body)),
            _ => (200, index(7), instances(2)),
        }
    });
    let mut backend = double.open("");
    backend.until_set(&["10.0.0.1:80"]);
    for _ in 0..4 {
        let event = backend.next();
        assert!(matches!(&event, Event::Failed(error) if error.class == ErrorClass::Protocol), "{event:?}");
    }
    backend.until_set(&["10.0.0.1:80", "10.0.0.2:80"]);
}

#[test]
fn a_proxy_that_is_seen_shortens_the_wait() {
    let double = ConsulDouble::start(|number, _| match number {
        1 => (200, format!("{}Via: 1.1 proxy\r\n", index(5)), instances(1)),
        _ => (200, String::new(), None),
    });
    let _backend = double.open("");
    assert!(double.queries(2)[1].has("wait=55000ms"), "{:#?}", double.seen());
    let double = ConsulDouble::start(|number, _| match number {
        1 => (200, format!("{}Via: 1.1 proxy\r\n", index(5)), instances(1)),
        _ => (200, String::new(), None),
    });
    let _backend = double.open("&wait=120s");
    assert!(double.queries(2)[1].has("wait=120000ms"), "{:#?}", double.seen());
}

#[test]
fn who_asks_is_said() {
    let double = ConsulDouble::start(|_, _| (200, index(5), None));
    let target = format!("consul://me:p%40w@{}/svc?ns=team&partition=part&peer=other", double.address);
    let _backend = Backend::open(&target, &quick());
    let query = &double.queries(1)[0];
    assert_eq!(query.authorization.as_deref(), Some("Basic bWU6cEB3"));
    assert!(query.has("ns=team") && query.has("partition=part") && query.has("peer=other"), "{query:?}");
}
