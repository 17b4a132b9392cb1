//! What only a registration's own parts can be brought to.

use std::net::IpAddr;
use std::sync::Mutex;
use std::thread;

use super::*;
use crate::registration::{Beat, Finding, Published, Record};

const LIMIT: Duration = Duration::from_secs(20);

/// A registry in memory that takes everything and keeps a list of it: the ids that are there.
#[derive(Clone, Default)]
struct DoubleRegistry(Arc<Mutex<Vec<String>>>);

impl DoubleRegistry {
    fn ids(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Registrar for DoubleRegistry {
    fn registry(&self) -> Option<(String, u16)> {
        Some(("127.0.0.1".to_owned(), 1))
    }

    async fn publish(&mut self, record: &Record) -> Result<Published, SourceError> {
        self.0.lock().unwrap().push(record.id().to_owned());
        Ok(Published { ttl: Some(Duration::from_millis(300)) })
    }

    async fn beat(&mut self) -> Result<Beat, SourceError> {
        Ok(Beat::Alive)
    }

    async fn verify(&mut self, _: &Record) -> Result<Finding, SourceError> {
        Ok(Finding::Intact)
    }

    async fn withdraw(&mut self) -> Result<(), SourceError> {
        self.0.lock().unwrap().clear();
        Ok(())
    }
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < until, "{what} did not happen within {LIMIT:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A machine that is not on any network yet, as one that has just been started.
#[test]
fn an_address_that_others_can_use_is_taken_as_soon_as_there_is_one() {
    let addresses: Arc<Mutex<Vec<IpAddr>>> = Arc::new(Mutex::new(vec!["127.0.0.1".parse().unwrap()]));
    let now = Arc::clone(&addresses);
    let machine = Machine {
        advertised: None,
        abroad: Vec::new(),
        interfaces: Box::new(move || now.lock().unwrap().clone()),
    };
    let (runtime, registry) = (Runtime::new(), DoubleRegistry::default());
    let definition = ServiceDefinition::new("db", 5);
    let options = RegistrationOptions::default();
    let registration =
        Registration::start(&runtime, "memory:///", registry.clone(), machine, definition, options, None);
    let registration = registration.unwrap();
    assert!(registration.wait_registered(LIMIT));
    let status = registration.status().unwrap();
    assert_eq!(status.address.as_deref(), Some("127.0.0.1:5"));
    let remark = status.remark.unwrap();
    assert!(remark.contains("127.0.0.1") && remark.contains("EVENER_ADVERTISE_ADDRESS"), "{remark}");
    assert_eq!(registry.ids(), ["db-127.0.0.1-5"]);

    addresses.lock().unwrap().push("10.0.0.7".parse().unwrap());
    eventually("the record is replaced", || registry.ids() == ["db-10.0.0.7-5"]);
    eventually("that is told", || registration.status().unwrap().address.as_deref() == Some("10.0.0.7:5"));
    let status = registration.status().unwrap();
    assert_eq!((status.remark, status.repairs), (None, 0));
    // It is found, and not left for another one.
    addresses.lock().unwrap().insert(0, "10.0.0.6".parse().unwrap());
    let beats = status.beats;
    eventually("signs of life", || registration.status().unwrap().beats >= beats + 3);
    assert_eq!(registry.ids(), ["db-10.0.0.7-5"]);
}
