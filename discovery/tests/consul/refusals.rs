//! Answers that refuse, and answers that are refused: none of them is for ever, and none takes anything away.

use std::fs;
use std::time::Duration;

use evener_discovery::credentials::{Credentials, Secret};
use evener_discovery::runtime::{Runtime, WatchOptions};
use evener_discovery::{ErrorClass, Event};
use evener_test_servers::{Scratch, eventually};

use crate::doubles::{ConsulDouble, Reply, index, instances, these};
use crate::support::{Backend, LIMIT};
use crate::{plain, quick};

/// What nginx says where a client's request does not please it.
const NGINX: &str = "<html><head><title>400 Bad Request</title></head></html>";
/// What a server says that is asked for plain HTTP on its port for HTTPS.
const NO_TLS: &str = "Client sent an HTTP request to an HTTPS server.\n";
/// What Consul says of a question that it will never answer.
const WRONG: &str = "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature";

fn says(status: u16, text: &str) -> Reply {
    (status, String::new(), Some(text.to_owned()))
}

fn silence() -> Reply {
    (200, String::new(), None)
}

fn filtered(number: u64) -> String {
    format!("{}X-Consul-Results-Filtered-By-ACLs: true\r\n", index(number))
}

/// The next thing that is said, which has to be a failure.
fn next_failed(backend: &mut Backend, class: ErrorClass) {
    let event = backend.next();
    assert!(matches!(&event, Event::Failed(error) if error.class == class), "{event:?}");
}

/// Waits for two endpoints, and that nothing is said to be gone before.
fn until_two(backend: &mut Backend) {
    backend.until("two endpoints, and never none", |event| match event {
        Event::Reset { parts: all, .. } | Event::Apply { changed: all, .. } => {
            assert!(!plain(&all).is_empty(), "an empty answer was believed");
            (plain(&all) == ["10.0.0.1:80", "10.0.0.2:80"]).then_some(())
        }
        _ => None,
    });
}

#[test]
fn a_request_that_is_called_bad_once_is_asked_again() {
    for words in [NGINX, NO_TLS, WRONG, ""] {
        let double = ConsulDouble::start(move |number, _| match number {
            1 => (200, index(5), instances(1)),
            2 => says(400, words),
            3 => (200, index(6), instances(2)),
            _ => silence(),
        });
        let mut backend = double.open("");
        backend.until_set(&["10.0.0.1:80"]);
        next_failed(&mut backend, ErrorClass::Protocol);
        backend.until_set(&["10.0.0.1:80", "10.0.0.2:80"]);
    }
}

#[test]
fn only_consul_s_own_words_end_a_watch_and_only_at_its_start() {
    let first = |words: &'static str| {
        let double = ConsulDouble::start(move |number, _| match number {
            1 => says(400, words),
            2 => (200, index(6), instances(1)),
            _ => silence(),
        });
        (double.open(""), double)
    };
    for words in [NGINX, NO_TLS, ""] {
        let (mut backend, _double) = first(words);
        next_failed(&mut backend, ErrorClass::Protocol);
        backend.until_set(&["10.0.0.1:80"]);
    }
    let (mut backend, _double) = first(WRONG);
    next_failed(&mut backend, ErrorClass::Config);
}

#[test]
fn a_datacenter_that_refuses_the_question_does_not_end_the_watch_of_the_others() {
    let double = ConsulDouble::start(|number, seen| match (seen.has("dc=b"), number) {
        // The second datacenter answers last, and in its own way.
        (true, 1) => says(500, "No path to datacenter"),
        (true, _) => says(500, "Failed to create boolean expression evaluator: Selector \"A\" is not valid"),
        (false, _) if seen.has("index=0") => (200, index(5), instances(1)),
        (false, _) => silence(),
    });
    let mut backend = double.open("&dc=a|b");
    backend.until_set(&["10.0.0.1:80"]);
    for _ in 0..3 {
        let error = backend.until("what the second says", |event| match event {
            Event::Failed(error) if error.message.contains("boolean expression") => Some(error),
            _ => None,
        });
        assert_eq!(error.class, ErrorClass::Protocol, "{error}");
    }
}

#[test]
fn a_token_file_that_is_caught_half_written_is_read_again() {
    let double = ConsulDouble::start(|_, seen| match seen.has("index=0") {
        true => (200, index(5), instances(1)),
        false => silence(),
    });
    let scratch = Scratch::new("consul-half-token");
    let file = scratch.write("token", "a\nb");
    let credentials =
        Credentials { token: Some(Secret::File(file.clone().into())), ..Credentials::default() };
    let mut backend = Backend::open(&double.target("svc", ""), &WatchOptions { credentials, ..quick() });
    backend.until_failed(ErrorClass::Denied);
    fs::write(&file, "whole").unwrap();
    backend.until_set(&["10.0.0.1:80"]);
}

#[test]
fn an_answer_that_begins_to_be_filtered_and_lacks_what_is_known_is_refused() {
    let double = ConsulDouble::start(|number, _| match number {
        1 => (200, index(5), instances(3)),
        _ => (200, filtered(5), instances(2)),
    });
    let mut backend = double.open("");
    backend.until_set(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
    for _ in 0..2 {
        next_failed(&mut backend, ErrorClass::Denied);
    }
}

#[test]
fn a_token_that_reads_some_nodes_only_sees_what_replaces_their_instances() {
    let double = ConsulDouble::start(|number, _| match number {
        1 => (200, filtered(5), these(&[1, 2])),
        2 => (200, filtered(6), these(&[3, 4])),
        3 => (200, filtered(7), these(&[])),
        4 => (200, filtered(8), these(&[4])),
        _ => silence(),
    });
    let mut backend = double.open("");
    backend.until_set(&["10.0.0.1:80", "10.0.0.2:80"]);
    backend.until_next_set(&["10.0.0.3:80", "10.0.0.4:80"]);
    // That nothing at all is left is still not believed.
    next_failed(&mut backend, ErrorClass::Denied);
    backend.until_next_set(&["10.0.0.4:80"]);
}

#[test]
fn keys_that_are_replaced_under_a_token_that_reads_some_only_are_seen() {
    let pair = |key: &str| Some(format!(r#"[{{"Key": "config/{key}", "Value": "MQ=="}}]"#));
    let double = ConsulDouble::start(move |number, _| match number {
        1 => (200, filtered(5), pair("a")),
        2 => says(400, NGINX),
        3 => (200, filtered(6), pair("b")),
        _ => silence(),
    });
    let runtime = Runtime::new();
    let watch = runtime.watch_config(&double.target("config/", ""), quick(), None).unwrap();
    let keys = || watch.latest().map(|map| map.values.keys().cloned().collect::<Vec<_>>());
    eventually("the key that is there now", LIMIT, || keys() == Some(vec!["b".to_owned()]));
    assert!(watch.status().is_some_and(|status| status.errors == 1), "{:?}", watch.status());
}

#[test]
fn an_empty_answer_before_an_outage_does_not_confirm_the_one_after_it() {
    let double = ConsulDouble::start(|number, _| match number {
        1 => (200, index(5), instances(1)),
        2 => (200, index(6), instances(0)),
        3 => says(500, "No cluster leader"),
        4 => (200, index(6), instances(0)),
        5 => (200, index(7), instances(2)),
        _ => silence(),
    });
    let mut backend = double.open("");
    backend.until_set(&["10.0.0.1:80"]);
    until_two(&mut backend);
}

#[test]
fn rights_are_asked_for_where_the_question_looks_and_a_pause_that_is_asked_for_there_is_kept() {
    let allowed = || says(200, r#"[{"Allow": true}, {"Allow": true}]"#);
    let double = ConsulDouble::with_rights(
        |_, seen| match seen.has("index=0") {
            true => (200, index(5), instances(0)),
            false => silence(),
        },
        move |number| match number {
            1 => (429, "Retry-After: 2\r\n".to_owned(), Some("slow down".to_owned())),
            _ => allowed(),
        },
    );
    let mut backend = double.open("&dc=b&ns=team&partition=part");
    next_failed(&mut backend, ErrorClass::RateLimited);
    backend.until_set(&[]);
    let (rights, queries) = (double.rights(2), double.queries(2));
    assert!(
        rights.iter().all(|seen| seen.has("dc=b") && seen.has("ns=team") && seen.has("partition=part")),
        "{rights:#?}"
    );
    assert!(queries[1].at - rights[0].at >= Duration::from_secs(2), "{:#?}", double.seen());
}

#[test]
fn a_pause_that_the_leader_asks_for_is_kept() {
    let double = ConsulDouble::start(|number, seen| match (number, seen.has("stale=")) {
        (1, _) => (200, format!("{}X-Consul-KnownLeader: false\r\n", index(5)), instances(0)),
        (2, false) => (429, "Retry-After: 2\r\n".to_owned(), Some("slow down".to_owned())),
        (3, true) => (200, index(6), instances(1)),
        _ => silence(),
    });
    let mut backend = double.open("");
    next_failed(&mut backend, ErrorClass::Unreachable);
    backend.until_set(&["10.0.0.1:80"]);
    let queries = double.queries(3);
    assert!(queries[2].at - queries[1].at >= Duration::from_secs(2), "{queries:#?}");
}

#[test]
fn a_process_uses_one_part_of_a_service_however_often_it_watches_it() {
    let double = ConsulDouble::start(|_, seen| match seen.has("index=0") {
        true => (200, index(5), instances(40)),
        false => silence(),
    });
    let chosen = || {
        let mut backend = Backend::open(&double.target("svc", "&limit=5"), &WatchOptions::default());
        backend.until("a part", |event| match event {
            Event::Reset { parts, .. } => Some(plain(&parts)),
            _ => None,
        })
    };
    let first = chosen();
    assert_eq!(first.len(), 5);
    assert_eq!(first, chosen());
}
