//! Ways to an agent: a Unix socket, TLS with certificates of its own, files that change.

use std::fs;

use evener_discovery::credentials::{Credentials, TlsFiles};
use evener_discovery::runtime::WatchOptions;
use evener_discovery::{ErrorClass, Event};
use evener_test_servers::{Authority, Consul, ConsulOptions, Scratch, free_port};
use serde_json::{Value, json};

use crate::support::Backend;
use crate::{instance, quick};

fn with(extra: Value) -> Option<Consul> {
    Consul::with(ConsulOptions { extra, ..ConsulOptions::default() })
}

#[test]
fn an_agent_on_a_unix_socket_is_asked() {
    let scratch = Scratch::new("consul-socket");
    let socket = scratch.file("http.sock");
    let Some(consul) = with(json!({"addresses": {"http": format!("127.0.0.1 unix://{socket}")}})) else {
        return;
    };
    consul.register(&instance("socket", 1));
    let target = format!("consul://unix:{}/socket", socket.replace('/', "%2F"));
    Backend::open(&target, &quick()).until_set(&["10.0.0.1:50051"]);
}

#[test]
fn tls_checks_the_agent_shows_a_certificate_and_reads_its_files_again() {
    let authority = Authority::new();
    let (server, client) = (authority.server(&["server.dc1.consul"]), authority.client("client"));
    let port = free_port();
    let https = json!({
        "ports": {"https": port},
        "tls": {"defaults": {"ca_file": authority.ca(), "cert_file": server.certificate, "key_file": server.key},
                "https": {"verify_incoming": true}},
    });
    let Some(consul) = with(https) else { return };
    consul.register(&instance("tls", 1));
    let target = format!("consul://127.0.0.1:{port}/tls?tls&max-backoff=300ms");
    let scratch = Scratch::new("consul-tls");
    let folder = scratch.path().join("authorities");
    fs::create_dir(&folder).unwrap();
    fs::copy(authority.ca(), folder.join("ca.pem")).unwrap();
    let files = TlsFiles {
        ca: Some(folder),
        cert: Some(client.certificate.into()),
        key: Some(client.key.into()),
        server_name: Some("server.dc1.consul".to_owned()),
    };
    let open = |files: TlsFiles| {
        let credentials = Credentials { tls: Some(files), ..Credentials::default() };
        Backend::open(&target, &WatchOptions { credentials, ..quick() })
    };
    open(files.clone()).until_set(&["10.0.0.1:50051"]);
    // The certificate is for another name than the address.
    let error = open(TlsFiles { server_name: None, ..files.clone() }).until_failed(ErrorClass::Unreachable);
    assert!(error.message.contains("certificate"), "{error}");
    open(TlsFiles { cert: None, key: None, ..files.clone() }).until_failed(ErrorClass::Unreachable);
    let stranger = Authority::new();
    open(TlsFiles { ca: Some(stranger.ca().into()), ..files.clone() }).until_failed(ErrorClass::Unreachable);
    // A file that is not there yet is waited for.
    let late = scratch.path().join("late.pem");
    let mut waiting = open(TlsFiles { ca: Some(late.clone()), ..files });
    waiting.until_failed(ErrorClass::Denied);
    fs::copy(authority.ca(), late).unwrap();
    waiting.until_set(&["10.0.0.1:50051"]);
}

#[test]
fn nobody_there_is_said_and_asked_again() {
    let mut backend =
        Backend::open(&format!("consul://127.0.0.1:{}/s?max-backoff=50ms", free_port()), &quick());
    for _ in 0..3 {
        backend.until("a failure", |event| match event {
            Event::Failed(error) if error.class == ErrorClass::Unreachable => Some(()),
            other => panic!("{other:?}"),
        });
    }
}
