//! What the adapter does to a real etcd, step by step.

use std::time::{Duration, Instant};

use evener_test_servers::{Authority, Etcd, EtcdCluster, EtcdOptions, EtcdTls, Pair, Proxy, Scratch};

use super::*;
use crate::credentials::{Credentials, Secret, TlsFiles};

const LIMIT: Duration = Duration::from_secs(60);

fn record(host: &str) -> Record {
    let mut definition = ServiceDefinition::new("svc", 8080);
    definition.id = Some("i1".to_owned());
    definition.host = Some(host.to_owned());
    definition.ttl = Duration::from_secs(3);
    Record { definition, draining: false }
}

fn with(target: &str, credentials: Credentials) -> EtcdRegistrar {
    let options = RegistrationOptions { credentials, ..RegistrationOptions::default() };
    registrar(target, &record("10.0.0.1").definition, &options).unwrap()
}

fn to(etcd: &Etcd, path: &str) -> EtcdRegistrar {
    with(&format!("etcd://{}/{path}", etcd.client()), Credentials::default())
}

fn value(etcd: &Etcd, key: &str) -> String {
    etcd.ctl(&["get", "--print-value-only", key]).trim_end().to_owned()
}

/// Has etcd forget every lease that it has.
fn revoke_all(etcd: &Etcd) {
    for line in etcd.ctl(&["lease", "list"]).lines().skip(1) {
        etcd.ctl(&["lease", "revoke", line]);
    }
}

fn leases(etcd: &Etcd) -> usize {
    etcd.ctl(&["lease", "list"]).lines().count() - 1
}

#[tokio::test]
async fn a_record_is_put_changed_in_place_drained_and_taken_away() {
    let Some(etcd) = Etcd::start() else { return };
    let mut registrar = to(&etcd, "");
    let mut record = record("10.0.0.1");
    let published = registrar.publish(&record).await.unwrap();
    assert_eq!(published.ttl, Some(Duration::from_secs(3)));
    assert_eq!(value(&etcd, "svc/i1"), r#"{"Op":0,"Addr":"10.0.0.1:8080","Metadata":null}"#);
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
    let lease = registrar.lease.unwrap().id;

    record.definition.weight = 3;
    record.definition.zone = Some("a".to_owned());
    record.definition.metadata.insert("version".to_owned(), "v1.0".to_owned());
    assert!(matches!(registrar.verify(&record).await.unwrap(), Finding::Damaged(_)));
    registrar.publish(&record).await.unwrap();
    assert_eq!(
        value(&etcd, "svc/i1"),
        r#"{"Op":0,"Addr":"10.0.0.1:8080","Metadata":{"version":"v1.0","weight":3,"zone":"a"}}"#
    );
    record.draining = true;
    registrar.publish(&record).await.unwrap();
    assert!(value(&etcd, "svc/i1").contains(r#""weight":0"#));
    assert_eq!(registrar.lease.unwrap().id, lease, "the lease stays the same");
    registrar.withdraw().await.unwrap();
    registrar.withdraw().await.unwrap();
    assert_eq!((value(&etcd, "svc/i1").as_str(), leases(&etcd)), ("", 0));
}

#[tokio::test]
async fn the_form_below_services_is_the_users() {
    let Some(etcd) = Etcd::start() else { return };
    let mut registrar = to(&etcd, "svc?format=services");
    let mut record = record("192.168.1.100");
    record.definition.metadata.insert("version".to_owned(), "v1.0".to_owned());
    registrar.publish(&record).await.unwrap();
    let key = "/services/svc/192.168.1.100:8080";
    assert_eq!(value(&etcd, key), r#"{"ip":"192.168.1.100","port":8080,"healthy":true,"version":"v1.0"}"#);
    record.draining = true;
    registrar.publish(&record).await.unwrap();
    assert_eq!(value(&etcd, key), r#"{"ip":"192.168.1.100","port":8080,"healthy":false,"version":"v1.0"}"#);
    registrar.withdraw().await.unwrap();
    assert_eq!(value(&etcd, key), "");
}

#[tokio::test]
async fn signs_of_life_keep_the_lease_and_tell_when_it_is_gone() {
    let Some(etcd) = Etcd::start() else { return };
    let mut registrar = to(&etcd, "svc");
    let record = record("10.0.0.1");
    assert_eq!(registrar.beat().await.unwrap(), Beat::Gone);
    registrar.publish(&record).await.unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact, "twice its time to live later");

    revoke_all(&etcd);
    assert!(matches!(registrar.verify(&record).await.unwrap(), Finding::Damaged(_)));
    assert_eq!(registrar.beat().await.unwrap(), Beat::Gone);
    registrar.publish(&record).await.unwrap();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    // Gone unnoticed: the write itself finds out.
    revoke_all(&etcd);
    registrar.publish(&record).await.unwrap();
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
    assert_eq!(leases(&etcd), 1);
}

/// A beat that is given up leaves no answer behind that a later one would take for its own.
#[tokio::test]
async fn what_is_cut_short_is_begun_anew() {
    let Some(etcd) = Etcd::start() else { return };
    let proxy = Proxy::start(&etcd.client());
    let mut registrar = with(&format!("etcd://{}/svc", proxy.address()), Credentials::default());
    let record = record("10.0.0.1");
    registrar.publish(&record).await.unwrap();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    proxy.cut();
    assert!(timeout(Duration::from_millis(200), registrar.beat()).await.is_err());
    assert!(timeout(Duration::from_millis(200), registrar.publish(&record)).await.is_err());
    assert!(timeout(Duration::from_millis(200), registrar.verify(&record)).await.is_err());
    proxy.mend();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
}

#[tokio::test]
async fn a_key_of_somebody_else_is_left_and_one_of_our_own_past_is_not() {
    let Some(etcd) = Etcd::start() else { return };
    let record = record("10.0.0.1");
    let mut first = to(&etcd, "svc");
    first.publish(&record).await.unwrap();

    // The same id at another address, while the first one lives.
    let mut other = to(&etcd, "svc");
    let mut elsewhere = record.clone();
    elsewhere.definition.host = Some("10.0.0.2".to_owned());
    let error = other.publish(&elsewhere).await.unwrap_err();
    assert!(error.message.contains("svc/i1 belongs to another owner"), "{error}");
    assert!(error.message.contains("10.0.0.1:8080"), "{error}");

    // The same server, started again before its old lease ran out.
    let mut second = to(&etcd, "svc");
    second.publish(&record).await.unwrap();
    assert_eq!(second.verify(&record).await.unwrap(), Finding::Intact);
    // The first one sees that its key was taken, and does not take it back.
    let Finding::Damaged(reason) = first.verify(&record).await.unwrap() else { panic!("intact") };
    assert!(reason.contains("taken by another owner"), "{reason}");
    assert!(first.publish(&record).await.is_err());
    // Neither does its end take away what is not its own.
    first.withdraw().await.unwrap();
    assert_eq!(second.verify(&record).await.unwrap(), Finding::Intact);
}

/// A registry that was away renews the leases that it knows when it is back.
#[tokio::test]
async fn a_key_under_a_lease_before_the_last_one_is_still_ours() {
    let Some(etcd) = Etcd::start() else { return };
    let mut registrar = to(&etcd, "svc");
    let mut record = record("10.0.0.1");
    record.definition.ttl = Duration::from_secs(60);
    registrar.publish(&record).await.unwrap();
    // Several in a row of which nothing is heard, and only the first one holds anything.
    for count in [1, 2, 3, PAST] {
        registrar.lease().await.unwrap();
        registrar.lease.as_mut().unwrap().ttl = Duration::ZERO;
        registrar.judge_lease();
        assert_eq!((registrar.past.len(), registrar.lease.is_none()), (count, true));
    }
    record.definition.weight = 3;
    registrar.publish(&record).await.unwrap();
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
    assert_eq!(registrar.past.len(), 0);
}

#[tokio::test]
async fn an_expired_token_is_replaced_in_the_middle() {
    let options = EtcdOptions { arguments: vec!["--auth-token-ttl=1".to_owned()], ..EtcdOptions::default() };
    let Some(etcd) = Etcd::with(options) else { return };
    for line in ["user add root:pw", "user grant-role root root", "auth enable"] {
        etcd.ctl(&line.split(' ').collect::<Vec<_>>());
    }
    let user = Some(("root".to_owned(), Secret::value("pw")));
    let target = format!("etcd://{}/svc", etcd.client());
    let mut registrar = with(&target, Credentials { user, ..Credentials::default() });
    let mut record = record("10.0.0.1");
    record.definition.ttl = Duration::from_secs(60);
    registrar.publish(&record).await.unwrap();
    // Longer than a token lives, in which nothing may be asked with it, or it would live on.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
    record.definition.weight = 7;
    registrar.publish(&record).await.unwrap();
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
    registrar.withdraw().await.unwrap();
}

/// As a watch does it, and with the lease that it has.
#[tokio::test]
async fn certificates_that_change_are_shown_from_then_on() {
    let authority = Authority::new();
    let (server, client) = (authority.server(&["127.0.0.1"]), authority.client("bob"));
    let tls = EtcdTls {
        ca: authority.ca(),
        certificate: server.certificate,
        key: server.key,
        client: Some((client.certificate.clone(), client.key.clone())),
    };
    let options = EtcdOptions { tls: Some(tls), ..EtcdOptions::default() };
    let Some(etcd) = Etcd::with(options) else { return };
    let scratch = Scratch::new("registration-client");
    let place = Pair { certificate: scratch.file("cert.pem"), key: scratch.file("key.pem") };
    let install = |pair: &Pair| {
        std::fs::copy(&pair.certificate, &place.certificate).unwrap();
        std::fs::copy(&pair.key, &place.key).unwrap();
    };
    install(&client);
    let files = TlsFiles {
        ca: Some(authority.ca().into()),
        cert: Some(place.certificate.clone().into()),
        key: Some(place.key.clone().into()),
        server_name: None,
    };
    let proxy = Proxy::start(&etcd.client());
    let credentials = Credentials { tls: Some(files), ..Credentials::default() };
    let mut registrar = with(&format!("etcd://{}/svc", proxy.address()), credentials);
    let mut record = record("10.0.0.1");
    record.definition.ttl = Duration::from_secs(60);
    registrar.publish(&record).await.unwrap();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    let (lease, accepted) = (registrar.lease.unwrap().id, proxy.accepted());

    registrar.files = Instant::now();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    assert_eq!(proxy.accepted(), accepted, "they are the same");
    install(&authority.client("bob"));
    registrar.files = Instant::now();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    assert_eq!(proxy.accepted(), accepted + 1, "a new connection");
    registrar.files = Instant::now();
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
    assert_eq!((registrar.lease.unwrap().id, proxy.accepted()), (lease, accepted + 1));
}

/// A sign of life that is given up, as the keeper does before a short lease runs out, takes its connection along.
#[tokio::test]
async fn a_member_that_falls_silent_is_left_with_the_first_sign_of_life() {
    let Some(cluster) = EtcdCluster::start() else { return };
    let leader = cluster.leader().expect("a leader");
    let followers: Vec<&Etcd> = cluster
        .members()
        .iter()
        .enumerate()
        .filter(|(number, _)| *number != leader)
        .map(|(_, etcd)| etcd)
        .collect();
    let target = format!("etcd://{},{}/svc", followers[0].client(), followers[1].client());
    let mut registrar = with(&target, Credentials::default());
    let mut record = record("10.0.0.1");
    record.definition.ttl = Duration::from_secs(60);
    registrar.publish(&record).await.unwrap();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    let is_asked =
        |registrar: &EtcdRegistrar, etcd: &Etcd| registrar.connector.member().ends_with(&etcd.client());
    let silent = followers.iter().find(|etcd| is_asked(&registrar, etcd)).expect("one of both");
    silent.pause();
    assert!(timeout(Duration::from_millis(500), registrar.beat()).await.is_err());
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    assert!(!is_asked(&registrar, silent), "{}", registrar.connector.member());
    silent.resume();
}

/// One member after the other is asked until one answers.
#[tokio::test]
async fn members_that_are_gone_are_passed_over() {
    let Some(etcd) = Etcd::start() else { return };
    let target = format!("etcd://127.0.0.1:1,127.0.0.1:2,{}/svc", etcd.client());
    let mut registrar = with(&target, Credentials::default());
    let record = record("10.0.0.1");
    let deadline = Instant::now() + LIMIT;
    while let Err(error) = registrar.publish(&record).await {
        assert!(Instant::now() < deadline, "{error}");
    }
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    let (host, port) = registrar.registry().unwrap();
    assert_eq!(format!("{host}:{port}"), etcd.client());
}
