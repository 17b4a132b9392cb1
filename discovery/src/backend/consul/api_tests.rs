use std::fs;

use evener_test_servers::{Authority, Consul, ConsulOptions, Pair, Scratch, free_port};
use serde_json::json;

use super::*;
use crate::Target;
use crate::credentials::{Credentials, Secret, TlsFiles};

fn refused(status: u16, text: &str) -> Refusal {
    Answer { status, body: text.as_bytes().to_vec(), ..Answer::default() }.refusal("service s")
}

fn api(target: &str, credentials: &Credentials) -> Api {
    let Ok(Target::Consul(target)) = Target::parse(target) else { unreachable!("{target}") };
    Api::new(Settings::new(&target, credentials, &|_| None).unwrap())
}

#[test]
fn only_consul_s_own_words_say_that_the_question_is_wrong() {
    for (status, text, class) in [
        (
            500,
            "Failed to create boolean expression evaluator: Selector \"a\" is not valid",
            ErrorClass::Config,
        ),
        (400, "Failed to create boolean expression evaluator: 1:4 (3): no match found", ErrorClass::Config),
        (
            400,
            "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature",
            ErrorClass::Config,
        ),
        (400, "Cannot specify ?stale with ?consistent, conflicting semantics.", ErrorClass::Config),
        (400, "Missing key name", ErrorClass::Config),
        (400, "Client sent an HTTP request to an HTTPS server.\n", ErrorClass::Protocol),
        (400, "<html><head><title>400 Bad Request</title></head></html>", ErrorClass::Protocol),
        (400, "400 Bad Request: missing required Host header", ErrorClass::Protocol),
        (400, "", ErrorClass::Protocol),
        (403, "Permission denied", ErrorClass::Denied),
        (502, "<html>Bad Gateway</html>", ErrorClass::Unreachable),
    ] {
        assert_eq!(refused(status, text).error.class, class, "{status} {text}");
    }
}

#[test]
fn a_rate_limit_without_a_pause_stands_for_one() {
    assert_eq!(refused(429, "slow down").retry_after, Some(RATE_PAUSE));
    assert_eq!(refused(500, "No cluster leader").retry_after, None);
    let answer = Answer { status: 503, retry_after: Some(Duration::from_secs(7)), ..Answer::default() };
    assert_eq!(answer.refusal("service s").retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_a_matter_of_credentials_and_not_shown() {
    let credentials = Credentials { token: Some(Secret::value("half\na-token")), ..Credentials::default() };
    let api = api("consul://127.0.0.1:1/s", &credentials);
    let error = api.ask(Question::get("/v1/status/leader".to_owned())).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(!error.message.contains("half"), "{error}");
}

/// A client's files in a folder of their own, whose content changes.
struct Files {
    scratch: Scratch,
}

impl Files {
    fn named(&self) -> TlsFiles {
        let file = |name: &str| Some(self.scratch.file(name).into());
        TlsFiles { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem"), server_name: None }
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(from, self.scratch.file(to)).unwrap();
    }

    fn set_pair(&self, pair: &Pair) {
        self.copy(&pair.certificate, "cert.pem");
        self.copy(&pair.key, "key.pem");
    }
}

/// Whether the agent answers, with the files looked at now however short ago they were.
async fn answers(api: &Api) -> bool {
    api.state().looked = None;
    api.ask(Question::get("/v1/status/leader".to_owned())).await.is_ok_and(|answer| answer.is_success())
}

#[tokio::test]
async fn files_for_tls_are_read_again_under_a_client_that_works_and_half_a_pair_changes_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = authority.server(&["127.0.0.1"]);
    let port = free_port();
    let extra = json!({
        "ports": {"https": port},
        "tls": {"defaults": {"ca_file": authority.ca(), "cert_file": server.certificate, "key_file": server.key},
                "https": {"verify_incoming": true}},
    });
    let Some(_consul) = Consul::with(ConsulOptions { extra, ..ConsulOptions::default() }) else { return };
    let files = Files { scratch: Scratch::new("consul-files") };
    let (first, second) = (authority.client("first"), authority.client("second"));
    files.copy(&authority.ca(), "ca.pem");
    files.set_pair(&first);
    let credentials = Credentials { tls: Some(files.named()), ..Credentials::default() };
    let api = api(&format!("consul://127.0.0.1:{port}/s?tls"), &credentials);
    assert!(answers(&api).await);
    // Caught between the two files: the client of before goes on.
    files.copy(&second.key, "key.pem");
    assert!(answers(&api).await);
    fs::write(files.scratch.file("cert.pem"), "-----BEGIN CERT").unwrap();
    assert!(answers(&api).await);
    files.set_pair(&second);
    assert!(answers(&api).await);
    // That what is there counts shows where the agent does not take it, or is not believed itself.
    files.set_pair(&stranger.client("third"));
    assert!(!answers(&api).await);
    files.set_pair(&second);
    assert!(answers(&api).await);
    files.copy(&stranger.ca(), "ca.pem");
    assert!(!answers(&api).await);
    files.copy(&authority.ca(), "ca.pem");
    assert!(answers(&api).await);
}
