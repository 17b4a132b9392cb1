//! TLS: private authorities, certificates of clients, users by certificate, files that change, IPv6.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use evener_discovery::ErrorClass;
use evener_discovery::credentials::{Credentials, TlsFiles};
use evener_test_servers::{
    Authority, Etcd, EtcdOptions, EtcdTls, Pair, Proxy, Scratch, eventually, free_port,
};

use crate::support::{Follower, LIMIT, grpc};

fn server(authority: &Authority, client: &Pair) -> EtcdOptions {
    let pair = authority.server(&["127.0.0.1", "etcd.internal"]);
    let tls = EtcdTls {
        ca: authority.ca(),
        certificate: pair.certificate,
        key: pair.key,
        client: Some((client.certificate.clone(), client.key.clone())),
    };
    EtcdOptions { tls: Some(tls), ..EtcdOptions::default() }
}

fn files(authority: &Authority, client: &Pair) -> TlsFiles {
    TlsFiles {
        ca: Some(authority.ca().into()),
        cert: Some(PathBuf::from(&client.certificate)),
        key: Some(PathBuf::from(&client.key)),
        server_name: None,
    }
}

fn with(tls: TlsFiles) -> Credentials {
    Credentials { tls: Some(tls), ..Credentials::default() }
}

#[test]
fn certificates_are_shown_checked_and_read_again() {
    let (authority, other) = (Authority::new(), Authority::new());
    let client = authority.client("bob");
    let Some(etcd) = Etcd::with(server(&authority, &client)) else { return };
    etcd.ctl(&["put", "svc/a", &grpc("10.0.0.1:1")]);
    let target = format!("etcd://{}/svc", etcd.client());
    Follower::with(&target, with(files(&authority, &client))).sees(&["10.0.0.1:1"]);

    // A name that the certificate has, and one that it has not.
    let named = |name: &str| TlsFiles { server_name: Some(name.to_owned()), ..files(&authority, &client) };
    Follower::with(&target, with(named("etcd.internal"))).sees(&["10.0.0.1:1"]);
    let misnamed = Follower::with(&target, with(named("etcd.external")));
    let error = misnamed.fails_after(0, ErrorClass::Unreachable);
    assert!(error.message.contains("not valid for name"), "{error}");

    // An authority that did not sign the server; no certificate where one is asked for; a file that is not there.
    let distrusting = TlsFiles { ca: Some(other.ca().into()), ..files(&authority, &client) };
    let error = Follower::with(&target, with(distrusting)).fails_after(0, ErrorClass::Unreachable);
    assert!(error.message.contains("invalid peer certificate"), "{error}");
    let nobody = TlsFiles { cert: None, key: None, ..files(&authority, &client) };
    Follower::with(&target, with(nobody)).fails_after(0, ErrorClass::Unreachable);
    let missing = TlsFiles { ca: Some("/no/such/ca.pem".into()), ..files(&authority, &client) };
    let error = Follower::with(&target, with(missing)).fails_after(0, ErrorClass::Denied);
    assert!(error.message.contains("/no/such/ca.pem"), "{error}");

    // A client whose certificate the server does not take gets another one, in the same files.
    let scratch = Scratch::new("client");
    let place = Pair { certificate: scratch.file("cert.pem"), key: scratch.file("key.pem") };
    let install = |pair: &Pair| {
        fs::copy(&pair.certificate, &place.certificate).expect("a copy");
        fs::copy(&pair.key, &place.key).expect("a copy");
    };
    install(&other.client("bob"));
    let proxy = Proxy::start(&etcd.client());
    let follower =
        Follower::with(&format!("etcd://{}/svc", proxy.address()), with(files(&authority, &place)));
    follower.fails_after(0, ErrorClass::Unreachable);
    install(&client);
    follower.sees(&["10.0.0.1:1"]);

    // And another one while it is connected: it connects anew, and goes on where it was.
    let (resets, accepted) = (follower.resets(), proxy.accepted());
    install(&authority.client("bob"));
    eventually("it connects again", LIMIT, || proxy.accepted() > accepted);
    etcd.ctl(&["put", "svc/b", &grpc("10.0.0.2:1")]);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!(follower.resets(), resets, "nothing was read again");
}

/// The servers get certificates of another authority, and the file says so, while a watch stands.
#[test]
fn another_authority_is_taken_over_by_a_watch_that_stands() {
    let scratch = Scratch::new("authority");
    let tls = EtcdTls {
        ca: scratch.file("ca.pem"),
        certificate: scratch.file("server.pem"),
        key: scratch.file("server-key.pem"),
        client: None,
    };
    let install = |authority: &Authority| {
        let pair = authority.server(&["127.0.0.1"]);
        fs::copy(&pair.certificate, &tls.certificate).expect("a copy");
        fs::copy(&pair.key, &tls.key).expect("a copy");
        scratch.write("ca.pem", &authority.ca_pem());
    };
    install(&Authority::new());
    let Some(etcd) = Etcd::with(EtcdOptions { tls: Some(tls.clone()), ..EtcdOptions::default() }) else {
        return;
    };
    etcd.ctl(&["put", "svc/a", &grpc("10.0.0.1:1")]);
    let proxy = Proxy::start(&etcd.client());
    let files = TlsFiles { ca: Some(PathBuf::from(&tls.ca)), ..TlsFiles::default() };
    let follower = Follower::with(&format!("etcd://{}/svc", proxy.address()), with(files));
    follower.sees(&["10.0.0.1:1"]);

    let accepted = proxy.accepted();
    install(&Authority::new());
    eventually("it connects again", LIMIT, || proxy.accepted() > accepted);
    etcd.ctl(&["put", "svc/b", &grpc("10.0.0.2:1")]);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!((follower.resets(), follower.failures()), (1, Vec::new()));
}

/// etcd takes the certificate's common name for the user.
#[test]
fn a_certificate_is_a_user() {
    let authority = Authority::new();
    let root = authority.client("root");
    let Some(etcd) = Etcd::with(server(&authority, &root)) else { return };
    etcd.ctl(&["put", "svc/a", &grpc("10.0.0.1:1")]);
    crate::auth::with_users(&etcd);
    let target = format!("etcd://{}/svc?format=grpc&tls=true", etcd.client());
    Follower::with(&target, with(files(&authority, &authority.client("bob")))).sees(&["10.0.0.1:1"]);
    let stranger = Follower::with(&target, with(files(&authority, &authority.client("eve"))));
    stranger.fails_after(0, ErrorClass::Denied);
    assert_eq!(stranger.resets(), 0);
}

#[test]
fn servers_have_ipv6_addresses_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("SKIPPED: no IPv6 on loopback");
    }
    let server = format!("[::1]:{}", free_port());
    let listen = format!("--listen-client-urls=http://{server}");
    let options = EtcdOptions { arguments: vec![listen], ..EtcdOptions::default() };
    let Some(etcd) = Etcd::with(options) else { return };
    etcd.ctl(&["--endpoints", &server, "put", "svc/a", &grpc("[::1]:1")]);
    Follower::open(&format!("etcd://127.0.0.1:1,{server}/svc")).sees(&["[::1]:1"]);
}
