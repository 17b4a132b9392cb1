//! Users, passwords and tokens.

use std::time::{Duration, Instant};

use evener_discovery::ErrorClass;
use evener_discovery::credentials::{Credentials, Secret};
use evener_test_servers::{Etcd, EtcdOptions, Proxy, Scratch, eventually};

use crate::support::{Follower, LIMIT, grpc, user};

/// Bob may read `svc/` and nothing else.
pub fn with_users(etcd: &Etcd) {
    for line in [
        "user add root:rootpw",
        "user grant-role root root",
        "role add reader",
        "role grant-permission reader read svc/ --prefix",
        "user add bob:secret",
        "user grant-role bob reader",
        "auth enable",
    ] {
        etcd.ctl(&line.split(' ').collect::<Vec<_>>());
    }
}

pub fn as_root(etcd: &Etcd, arguments: &[&str]) {
    etcd.ctl(&[&["--user", "root:rootpw"], arguments].concat());
}

fn short_tokens() -> EtcdOptions {
    EtcdOptions { arguments: vec!["--auth-token-ttl=1".to_owned()], ..EtcdOptions::default() }
}

/// The user may read one of the two prefixes, which is enough, and is said.
#[test]
fn a_user_reads_what_it_may_and_a_new_connection_authenticates_anew() {
    let Some(etcd) = Etcd::with(short_tokens()) else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    with_users(&etcd);
    let proxy = Proxy::start(&etcd.client());
    let follower = Follower::with(&format!("etcd://{}/svc", proxy.address()), user("bob", "secret"));
    follower.sees(&["10.0.0.1:1"]);
    assert!(
        follower.skipped()[0].contains("/services/svc/: the user may not read"),
        "{:?}",
        follower.skipped()
    );

    // Longer than the token lives.
    let start = Instant::now();
    eventually("the token is old", LIMIT, || start.elapsed() > Duration::from_secs(3));
    as_root(&etcd, &["put", "svc/b", &grpc("10.0.0.2:1")]);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    proxy.sever();
    as_root(&etcd, &["put", "svc/c", &grpc("10.0.0.3:1")]);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    assert!(follower.failures().iter().all(|error| error.class != ErrorClass::Denied));
}

#[test]
fn a_wrong_password_is_said_and_not_tried_in_a_loop() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    with_users(&etcd);
    let scratch = Scratch::new("password");
    let file = scratch.write("password", "wrong\n");
    let credentials =
        Credentials { user: Some(("bob".to_owned(), Secret::File(file.into()))), ..Credentials::default() };
    let proxy = Proxy::start(&etcd.client());
    let follower = Follower::with(&format!("etcd://{}/svc", proxy.address()), credentials);
    let error = follower.fails_after(0, ErrorClass::Denied);
    assert!(error.message.contains("check the user and its password"), "{error}");
    let (start, accepted) = (Instant::now(), proxy.accepted());
    eventually("some time has passed", LIMIT, || start.elapsed() > Duration::from_secs(12));
    assert!(proxy.accepted() - accepted <= 3, "{} connections in 12 s", proxy.accepted() - accepted);
    assert_eq!(follower.resets(), 0);
    // Once the file holds the right one it is used without a restart.
    scratch.write("password", "secret\n");
    follower.sees(&["10.0.0.1:1"]);
}

#[test]
fn without_a_user_where_one_is_needed_it_is_said() {
    let Some(etcd) = Etcd::start() else { return };
    with_users(&etcd);
    let follower = Follower::open(&format!("etcd://{}/svc", etcd.client()));
    let error = follower.fails_after(0, ErrorClass::Denied);
    assert!(error.message.contains("user name is empty"), "{error}");
}

#[test]
fn a_user_where_none_is_needed_does_no_harm() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    Follower::with(&format!("etcd://{}/svc", etcd.client()), user("bob", "secret")).sees(&["10.0.0.1:1"]);
}

/// What a user may no longer read is not empty.
#[test]
fn a_right_that_is_taken_away_takes_nothing_away() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    with_users(&etcd);
    as_root(&etcd, &["role", "grant-permission", "reader", "read", "/services/svc/", "--prefix"]);
    as_root(&etcd, &["put", "/services/svc/10.0.0.2:1", ""]);
    let proxy = Proxy::start(&etcd.client());
    // The user in the target, as some have it.
    let follower = Follower::open(&format!("etcd://bob:secret@{}/svc", proxy.address()));
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    as_root(&etcd, &["role", "revoke-permission", "reader", "/services/svc/", "--prefix"]);
    proxy.sever();
    let error = follower.fails_after(0, ErrorClass::Denied);
    assert!(error.message.contains("permission denied") && !error.message.contains("secret"), "{error}");
    assert_eq!(follower.endpoints(), ["10.0.0.1:1", "10.0.0.2:1"]);
    as_root(&etcd, &["role", "grant-permission", "reader", "read", "/services/svc/", "--prefix"]);
    let resets = follower.resets();
    eventually("it is read again", LIMIT, || follower.resets() > resets);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
}

/// A watch goes on when its token has expired; what is asked beside it, such as for a right that it has not, does not. That
/// is nobody's business.
#[test]
fn an_expired_token_of_a_watch_that_stands_is_replaced_without_a_word() {
    let Some(etcd) = Etcd::with(short_tokens()) else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    with_users(&etcd);
    let proxy = Proxy::start(&etcd.client());
    let follower = Follower::with(&format!("etcd://{}/svc", proxy.address()), user("bob", "secret"));
    follower.sees(&["10.0.0.1:1"]);
    let accepted = proxy.accepted();
    eventually("another connection", LIMIT, || proxy.accepted() > accepted);
    as_root(&etcd, &["put", "svc/b", &grpc("10.0.0.2:1")]);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!((follower.resets(), follower.failures()), (1, Vec::new()));
}

#[test]
fn a_right_that_is_given_later_is_noticed() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", &grpc("10.0.0.1:1"));
    with_users(&etcd);
    let follower = Follower::with(&format!("etcd://{}/svc", etcd.client()), user("bob", "secret"));
    follower.sees(&["10.0.0.1:1"]);
    as_root(&etcd, &["put", "/services/svc/10.0.0.2:1", ""]);
    as_root(&etcd, &["role", "grant-permission", "reader", "read", "/services/svc/", "--prefix"]);
    follower.sees(&["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!((follower.resets(), follower.failures()), (2, Vec::new()));
    as_root(&etcd, &["del", "/services/svc/10.0.0.2:1"]);
    follower.sees(&["10.0.0.1:1"]);
}
