//! What a watch is told in states that only its own parts can be brought into, by a real etcd.

use std::time::{Duration, Instant};

use evener_test_servers::{Authority, Etcd, EtcdOptions};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::connect::{Connector, Session};
use super::failure::{Failure, Kind};
use super::follow::Follower;
use super::list::{Range, list};
use super::records::Records;
use super::watch::{self, Next};
use crate::backend::Feed;
use crate::credentials::{Credentials, Secret};
use crate::event::{ErrorClass, Event};
use crate::runtime::Dice;
use crate::target::Target;

const LIMIT: Duration = Duration::from_secs(60);

fn connector(etcd: &Etcd, user: Option<&str>) -> Connector {
    let Ok(Target::Etcd(target)) = Target::parse(&format!("etcd://{}/svc?format=grpc", etcd.client())) else {
        panic!("no target");
    };
    let user = user.map(|name| (name.to_owned(), Secret::value("pw")));
    Connector::new(&target, &Credentials { user, ..Credentials::default() }, 0).unwrap()
}

fn with_root(etcd: &Etcd) {
    for line in ["user add root:pw", "user grant-role root root", "auth enable"] {
        etcd.ctl(&line.split(' ').collect::<Vec<_>>());
    }
}

async fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    timeout(LIMIT, events.recv()).await.expect("an event in time").expect("an event")
}

/// Asks until the answer is a failure; seldom, since a token that is used lives on.
async fn failure_of(session: &Session) -> Failure {
    let deadline = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < deadline, "no failure within {LIMIT:?}");
        let ranges = [Range::prefix("svc/")];
        if let Err(failure) = list(&mut session.kv.clone(), &ranges, false).await {
            return failure;
        }
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
}

#[tokio::test]
async fn a_watch_from_a_compacted_revision_is_read_again_at_once() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("svc/a", r#"{"Addr":"10.0.0.1:1"}"#);
    let mut connector = connector(&etcd, None);
    let session = connector.connect(true).await.unwrap();
    let listing = list(&mut session.kv.clone(), &[Range::prefix("svc/")], false).await.unwrap();
    for _ in 0..5 {
        etcd.put("svc/b", r#"{"Addr":"10.0.0.2:1"}"#);
    }
    etcd.compact();

    let (feed, mut events, _hint) = Feed::new();
    let mut follower =
        Follower::new(connector, vec![Range::prefix("svc/")], Records::new(feed), Dice::new(Some(1)));
    follower.has_read(listing.cluster, listing.revision);
    let running = tokio::spawn(follower.run());
    let Event::Failed(error) = next(&mut events).await else { panic!("no failure") };
    assert_eq!(error.class, ErrorClass::Expired, "{error}");
    let Event::Reset { parts, .. } = next(&mut events).await else { panic!("no list") };
    assert_eq!(parts.len(), 2);
    etcd.delete("svc/b");
    let Event::Apply { removed, .. } = next(&mut events).await else { panic!("no change") };
    assert_eq!(removed, ["svc/b"]);
    running.abort();
}

/// A watch of an expired token is told that permission is denied, a request that the token is invalid.
#[tokio::test]
async fn an_expired_token_is_known_by_what_a_watch_and_a_request_are_told() {
    let options = EtcdOptions { arguments: vec!["--auth-token-ttl=1".to_owned()], ..EtcdOptions::default() };
    let Some(etcd) = Etcd::with(options) else { return };
    with_root(&etcd);
    let mut connector = connector(&etcd, Some("root"));
    let session = connector.connect(true).await.unwrap();
    assert_eq!(failure_of(&session).await.kind, Kind::Token);

    let (feed, _events, _hint) = Feed::new();
    let mut dice = Dice::new(Some(1));
    let starts = [(Range::prefix("svc/"), 1)];
    let failure = match watch::open(session, &starts, Vec::new(), &mut dice).await {
        Err(failure) => failure,
        Ok(mut stream) => loop {
            match stream.next(&connector, &Records::new(feed.clone()), &mut dice).await {
                Err(failure) => break failure,
                Ok(next) => {
                    assert!(matches!(next, Next::Batch(batch) if !batch.is_complete), "the watch stands");
                }
            }
        },
    };
    assert!(failure.may_be_token(), "{failure:?}");
}

/// A JSON web token says which state of users and roles it was made in; another state ends it.
#[tokio::test]
async fn a_token_of_an_older_state_of_users_is_one_that_no_longer_counts() {
    let authority = Authority::new();
    let pair = authority.server(&["127.0.0.1"]);
    let token = format!("--auth-token=jwt,priv-key={},sign-method=ES256,ttl=10m", pair.key);
    let Some(etcd) = Etcd::with(EtcdOptions { arguments: vec![token], ..EtcdOptions::default() }) else {
        return;
    };
    with_root(&etcd);
    let session = connector(&etcd, Some("root")).connect(true).await.unwrap();
    let ranges = [Range::prefix("svc/")];
    assert!(list(&mut session.kv.clone(), &ranges, false).await.is_ok());
    etcd.ctl(&["--user", "root:pw", "user", "add", "another:pw"]);
    let failure = failure_of(&session).await;
    assert_eq!(failure.kind, Kind::Token, "{failure:?}");
}

/// One hint is followed at once; a fleet that gives one for every connection that is refused does not trouble etcd.
#[tokio::test]
async fn hints_come_together_as_one_question_in_their_time() {
    let Some(etcd) = Etcd::start() else { return };
    let mut connector = connector(&etcd, None);
    let session = connector.connect(true).await.unwrap();
    let mut dice = Dice::new(Some(1));
    let starts = [(Range::prefix("svc/"), 1)];
    let (feed, _events, hint) = Feed::new();
    let records = Records::new(feed);
    let interval = Duration::from_secs(4);
    let stream = watch::open(session, &starts, Vec::new(), &mut dice).await.unwrap();
    let mut stream = stream.with_hints_every(interval);
    let mut confirmations = 0;
    let began = Instant::now();
    for number in 0..200 {
        hint.notify_one();
        let value = format!("10.0.0.{number}:1");
        etcd.put("svc/a", &format!(r#"{{"Addr":"{value}"}}"#));
        // Until the change is heard, which is a whole round by way of the server.
        loop {
            let next = timeout(LIMIT, stream.next(&connector, &records, &mut dice)).await;
            let Ok(Ok(Next::Batch(batch))) = next else { panic!("no batch") };
            confirmations += usize::from(batch.is_confirmation);
            if !batch.changes.is_empty() {
                break;
            }
        }
        if began.elapsed() >= interval {
            break;
        }
    }
    assert!(confirmations <= 2, "{confirmations} confirmations");
    // The last hint was kept: sooner than an idle stream is asked.
    loop {
        let next = timeout(Duration::from_secs(20), stream.next(&connector, &records, &mut dice)).await;
        let Ok(Ok(Next::Batch(batch))) = next else { panic!("the hint is lost") };
        if batch.is_confirmation {
            break;
        }
    }
    assert!(began.elapsed() >= interval, "{:?}", began.elapsed());
}

/// Nobody writes, so nothing is heard unless it is asked for; a server that does not answer then is left.
#[tokio::test]
async fn a_stream_that_is_idle_is_asked_how_far_it_is_and_left_if_it_does_not_answer() {
    let Some(etcd) = Etcd::start() else { return };
    let mut connector = connector(&etcd, None);
    let session = connector.connect(true).await.unwrap();
    let mut dice = Dice::new(Some(1));
    let starts = [(Range::prefix("svc/"), 1)];
    let (feed, _events, _hint) = Feed::new();
    let records = Records::new(feed);
    let stream = watch::open(session, &starts, Vec::new(), &mut dice).await.unwrap();
    // Less than pings take to find out that nobody is there.
    let mut stream = stream.with_patience(Duration::from_millis(200), Duration::from_secs(2));
    let mut confirmations = 0;
    while confirmations < 3 {
        let next = timeout(LIMIT, stream.next(&connector, &records, &mut dice)).await;
        let Ok(Ok(Next::Batch(batch))) = next else { panic!("no batch") };
        confirmations += usize::from(batch.is_confirmation);
    }
    etcd.pause();
    let failure = loop {
        match timeout(LIMIT, stream.next(&connector, &records, &mut dice)).await.expect("an end in time") {
            Ok(_) => {}
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind, Kind::Timeout, "{failure:?}");
}
