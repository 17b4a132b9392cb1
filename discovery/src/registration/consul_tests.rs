//! What the adapter does to a real agent, step by step.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use evener_test_servers::Consul;

use super::*;

fn record(host: &str) -> Record {
    let mut definition = ServiceDefinition::new("svc", 80);
    definition.id = Some(format!("svc-{host}-80"));
    definition.host = Some(host.to_owned());
    Record { definition, draining: false }
}

fn to(address: &str) -> ConsulRegistrar {
    let target = format!("consul://{address}");
    registrar(&target, &record("10.0.0.1").definition, &RegistrationOptions::default()).unwrap()
}

fn noted(record: &Record, note: String) -> Record {
    let mut record = record.clone();
    record.definition.metadata.insert("note".to_owned(), note);
    record
}

#[tokio::test]
async fn a_write_that_is_refused_takes_nothing_away() {
    let Some(consul) = Consul::start() else { return };
    let mut registrar = to(&consul.http());
    let first = noted(&record("10.0.0.1"), "first".to_owned());
    registrar.publish(&first).await.unwrap();
    // Longer than Consul allows.
    let error = registrar.publish(&noted(&first, "x".repeat(600))).await.unwrap_err();
    assert!(error.message.contains("Invalid Service Meta"), "{error}");
    assert_eq!(registrar.beat().await.unwrap(), Beat::Alive);
    assert_eq!(registrar.verify(&first).await.unwrap(), Finding::Intact);
    // What the agent has made of it is not certain, so the first one is written again and not only believed.
    consul.deregister("svc-10.0.0.1-80");
    registrar.publish(&first).await.unwrap();
    assert_eq!(registrar.verify(&first).await.unwrap(), Finding::Intact);
    let second = noted(&first, "second".to_owned());
    registrar.publish(&second).await.unwrap();
    assert_eq!(registrar.verify(&second).await.unwrap(), Finding::Intact);
    registrar.withdraw().await.unwrap();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Gone);
}

#[tokio::test]
async fn an_update_does_not_end_an_operators_maintenance() {
    let Some(consul) = Consul::start() else { return };
    let mut registrar = to(&consul.http());
    let first = record("10.0.0.1");
    registrar.publish(&first).await.unwrap();
    consul.put("/v1/agent/service/maintenance/svc-10.0.0.1-80?enable=true&reason=upgrade", "");
    let second = noted(&first, "second".to_owned());
    registrar.publish(&second).await.unwrap();
    assert_eq!(registrar.verify(&second).await.unwrap(), Finding::Intact);
    assert_eq!(registrar.maintenance().await.unwrap().as_deref(), Some("upgrade"));
}

#[tokio::test]
async fn what_somebody_else_has_taken_is_given_no_sign_of_life() {
    let Some(consul) = Consul::start() else { return };
    let mut first = to(&consul.http());
    let record = record("10.0.0.1");
    first.publish(&record).await.unwrap();
    let mut second = to(&consul.http());
    second.publish(&record).await.unwrap();
    assert!(first.publish(&noted(&record, "again".to_owned())).await.is_err());
    assert_eq!(first.beat().await.unwrap(), Beat::Gone);
    assert_eq!(second.verify(&record).await.unwrap(), Finding::Intact);
}

/// A machine that has no network yet registers itself under an address that is good for nobody else.
#[tokio::test]
async fn a_server_that_moves_takes_over_what_is_left_of_it_at_its_real_address() {
    let Some(consul) = Consul::start() else { return };
    let mut before = to(&consul.http());
    before.publish(&record("10.0.0.1")).await.unwrap();
    let mut after = to(&consul.http());
    after.publish(&record("127.0.0.1")).await.unwrap();
    after.withdraw().await.unwrap();
    after.publish(&record("10.0.0.1")).await.unwrap();
    assert_eq!(after.verify(&record("10.0.0.1")).await.unwrap(), Finding::Intact);
    // Whoever has had the id and lost it does not take it back.
    let error = before.publish(&noted(&record("10.0.0.1"), "back".to_owned())).await.unwrap_err();
    assert!(error.message.contains("taken by another"), "{error}");
}

/// Hands requests on to an agent, and asks it after each of them whether the service passes.
struct Witness {
    address: String,
    passed: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Witness {
    fn start(consul: &Arc<Consul>, id: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let passed: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
        let (consul, log) = (Arc::clone(consul), Arc::clone(&passed));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (consul, log) = (Arc::clone(&consul), Arc::clone(&log));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some((method, path, body)) = request(&mut reader) {
                        let answer = consul.request(&method, &path, &body).unwrap();
                        let health =
                            consul.request("GET", &format!("/v1/agent/health/service/id/{id}"), "").unwrap();
                        log.lock().unwrap().push((format!("{method} {path}"), health.status == 200));
                        respond(&stream, answer.status, &answer.body);
                    }
                });
            }
        });
        Self { address, passed }
    }

    /// The requests since the last time after which the service passed, and how many there were.
    fn passed(&self) -> (Vec<String>, usize) {
        let seen = std::mem::take(&mut *self.passed.lock().unwrap());
        let count = seen.len();
        (seen.into_iter().filter(|(_, passed)| *passed).map(|(request, _)| request).collect(), count)
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String, String)> {
    let mut lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next()?;
    let length = lines
        .filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .last();
    let mut body = String::new();
    reader.take(length.unwrap_or(0)).read_to_string(&mut body).ok()?;
    let mut words = first.split(' ').map(ToOwned::to_owned);
    Some((words.next()?, words.next()?, body))
}

fn respond(mut stream: &TcpStream, status: u16, body: &str) {
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // Whoever asked may be gone.
    let _ = stream.write_all(text.as_bytes());
}

#[tokio::test]
async fn a_server_that_drains_does_not_pass_for_a_moment() {
    let Some(consul) = Consul::start() else { return };
    let (consul, id) = (Arc::new(consul), "svc-10.0.0.1-80");
    let witness = Witness::start(&consul, id);
    let mut registrar = to(&witness.address);
    let mut record = record("10.0.0.1");
    registrar.publish(&record).await.unwrap();
    record.draining = true;
    registrar.publish(&record).await.unwrap();
    let (passed, _) = witness.passed();
    assert!(!passed.is_empty(), "it did before");
    // It says something else while it drains; its agent forgets it.
    record = noted(&record, "drains".to_owned());
    registrar.publish(&record).await.unwrap();
    let (passed, count) = witness.passed();
    assert!(passed.is_empty() && count > 0, "{passed:?}");
    consul.restart();
    assert_eq!(registrar.beat().await.unwrap(), Beat::Gone);
    registrar.publish(&record).await.unwrap();
    let (passed, count) = witness.passed();
    assert!(passed.is_empty() && count > 0, "{passed:?}");
    assert_eq!(registrar.verify(&record).await.unwrap(), Finding::Intact);
    assert_eq!(consul.get("/v1/agent/checks")[format!("{id}:alive")]["Status"], "passing");
    record.draining = false;
    registrar.publish(&record).await.unwrap();
    assert!(!witness.passed().0.is_empty(), "it takes calls again");
}
