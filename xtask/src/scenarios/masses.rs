//! Many servers at once: a rolling replacement, and a thousand in one transaction.

use super::fleet::Fleet;
use super::load::Loads;
use super::registry::{EtcdNaming, PORT, Registry};
use super::{Case, Place};
use crate::programs::{Language, Programs};
use std::time::Duration;

const ROLLING: u8 = 50;
/// How many are replaced at a time.
const BATCH: usize = 5;
const THOUSAND: u16 = 1000;
const LIMIT: Duration = Duration::from_secs(90);

pub fn rolling(programs: &Programs, place: &Place) -> Vec<Case> {
    let etcd = EtcdNaming::start().into_iter();
    etcd.map(|etcd| Case::new("etcd: a rolling replacement of 50 endpoints", replace(programs, place, &etcd)))
        .collect()
}

pub fn thousand(programs: &Programs, place: &Place) -> Vec<Case> {
    let etcd = EtcdNaming::start().into_iter();
    etcd.map(|etcd| Case::new("etcd: 1000 endpoints added in one transaction", add(programs, place, &etcd)))
        .collect()
}

/// As a careful deployment does it: the new ones are started and added; the old ones say that they are leaving, and when their last call
/// has ended they leave the registry and end. Without saying so they would lose calls, whoever makes them: a gRPC server answers
/// CANCELLED to what arrives in the moment in which it begins to end.
fn replace(programs: &Programs, place: &Place, etcd: &EtcdNaming) -> Result<(), String> {
    let hosts = |number: u8| -> Vec<String> { (1..=ROLLING).map(|last| place.host(number, last)).collect() };
    let (old, new) = (hosts(10), hosts(11));
    let mut fleet = Fleet::new(programs, Language::Cpp)?;
    fleet.start(&addresses(&old))?;
    etcd.set(&old);
    let mut loads = Loads::start(programs, &etcd.target())?;
    loads.until_ready("the old servers are found", LIMIT, &addresses(&old))?;
    loads.excuse()?;
    let mut present = old.clone();
    for (leaving, coming) in old.chunks(BATCH).zip(new.chunks(BATCH)) {
        fleet.start(&addresses(coming))?;
        present.extend_from_slice(coming);
        etcd.set(&present);
        let wanted = addresses(coming);
        loads.until("the new ones take calls", LIMIT, |load| {
            load.ready().is_superset(&wanted.iter().cloned().collect())
        })?;
        etcd.drain(leaving);
        let drained = addresses(leaving);
        loads
            .until("the old ones drain", LIMIT, |load| drained.iter().all(|address| load.is_idle(address)))?;
        present.retain(|host| !leaving.contains(host));
        etcd.set(&present);
        fleet.stop(&addresses(leaving))?;
    }
    loads.until_ready("the new servers and no others", LIMIT, &addresses(&new))?;
    loads.end()?;
    fleet.end()
}

/// All of them are one server, which listens on every address.
fn add(programs: &Programs, place: &Place, etcd: &EtcdNaming) -> Result<(), String> {
    let mut fleet = Fleet::new(programs, Language::Cpp)?;
    fleet.start(&[format!("0.0.0.0:{PORT}")])?;
    let first = vec![place.host(20, 1)];
    etcd.set(&first);
    let mut loads = Loads::start(programs, &etcd.target())?;
    loads.until_ready("the first server is found", LIMIT, &addresses(&first))?;
    loads.excuse()?;
    let all: Vec<String> =
        (0..THOUSAND).map(|number| place.host(20 + (number / 250) as u8, (number % 250 + 1) as u8)).collect();
    etcd.set(&all);
    let count = usize::from(THOUSAND);
    loads.until("a thousand are listed", LIMIT, |load| load.listed().len() == count)?;
    loads.until("a thousand take calls", LIMIT, |load| load.ready().len() == count)?;
    loads.end()?;
    fleet.end()
}

fn addresses(hosts: &[String]) -> Vec<String> {
    hosts.iter().map(|host| format!("{host}:{PORT}")).collect()
}
