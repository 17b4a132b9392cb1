//! Servers that register themselves: one is killed, and the registry forgets everything.

use super::load::Loads;
use super::{Case, Place};
use crate::process::Process;
use crate::programs::{Language, Programs};
use evener_test_servers::{Consul, Etcd};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// Two servers in each language.
const SERVERS: u8 = 4;
const PORT: u16 = 50051;
/// The name they register under.
const SERVICE: &str = "user";
/// What the servers register with, in seconds, and how late a registry may be about it: etcd looks twice a second, Consul at once.
const TTL: u64 = 5;
const LATE: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(60);
/// A lost connection is known at once; the clients report four times a second.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A registry that servers fill.
trait Filled {
    fn name(&self) -> &'static str;
    /// What clients resolve.
    fn target(&self) -> String;
    /// What servers register with.
    fn registry(&self) -> String;
    /// Which of these addresses it would give to a client.
    fn knows(&self, addresses: &[String]) -> BTreeSet<String>;
    fn wipe(&self);
}

pub fn run(programs: &Programs, place: &Place) -> Vec<Case> {
    let mut cases = Vec::new();
    if let Some(etcd) = Etcd::start() {
        cases.extend(story(programs, place, 8, &etcd));
    }
    if let Some(consul) = Consul::start() {
        cases.extend(story(programs, place, 9, &consul));
    }
    cases
}

fn story(programs: &Programs, place: &Place, number: u8, registry: &dyn Filled) -> Vec<Case> {
    let name = registry.name();
    let begun = begin(programs, place, number, registry);
    let (mut servers, mut loads) = match begun {
        Ok(begun) => begun,
        Err(reason) => return vec![Case::new(format!("{name}: servers register themselves"), Err(reason))],
    };
    let killed = killed(registry, &mut servers, &mut loads);
    let mut cases = vec![Case::new(
        format!(
            "{name}: a registered server that is killed leaves picks at once, and the registry within its TTL"
        ),
        killed,
    )];
    let wiped = wiped(registry, &servers, &mut loads);
    cases.push(Case::new(format!("{name}: a wiped registry is filled again by the servers that run"), wiped));
    cases.push(Case::new(
        format!("{name}: servers that end leave the registry"),
        end(registry, servers, loads),
    ));
    cases
}

struct Server {
    address: String,
    process: Process,
}

fn begin(
    programs: &Programs,
    place: &Place,
    number: u8,
    registry: &dyn Filled,
) -> Result<(Vec<Server>, Loads), String> {
    let mut servers = Vec::new();
    for (last, language) in (1..=SERVERS).zip(Language::BOTH.into_iter().cycle()) {
        let address = format!("{}:{PORT}", place.host(number, last));
        let mut command = programs.backend(language);
        command.args([&address, "2", &address, &registry.registry(), SERVICE, &TTL.to_string()]);
        servers.push(Server { process: Process::start(&address, command)?, address });
    }
    servers.iter_mut().try_for_each(|server| server.process.listening_port().map(|_| ()))?;
    let mut loads = Loads::start(programs, &registry.target())?;
    loads.until_ready("all servers are found", LIMIT, &addresses(&servers))?;
    loads.excuse()?;
    Ok((servers, loads))
}

fn killed(registry: &dyn Filled, servers: &mut Vec<Server>, loads: &mut Loads) -> Result<(), String> {
    let Server { address, process } = servers.remove(0);
    loads.no_failures()?;
    process.kill()?;
    let killed = Instant::now();
    loads.until("it is out of all picks", AT_ONCE, |load| !load.ready().contains(&address))?;
    // Calls that were on their way to it could not be saved.
    loads.excuse()?;
    loads.during("it stays out", AT_ONCE, |load| !load.ready().contains(&address))?;
    let limit = Duration::from_secs(TTL) + LATE;
    until("the registry forgets it", limit.saturating_sub(killed.elapsed()), || {
        registry.knows(std::slice::from_ref(&address)).is_empty()
    })?;
    loads.no_failures()
}

fn wiped(registry: &dyn Filled, servers: &[Server], loads: &mut Loads) -> Result<(), String> {
    registry.wipe();
    let all = addresses(servers);
    until("the registry is filled again", LIMIT, || registry.knows(&all).len() == all.len())?;
    loads.until_ready("the clients see it", LIMIT, &all)?;
    loads.no_failures()
}

fn end(registry: &dyn Filled, servers: Vec<Server>, mut loads: Loads) -> Result<(), String> {
    let all = addresses(&servers);
    let last = servers.len().saturating_sub(1);
    for (number, server) in servers.into_iter().enumerate() {
        if number == last {
            // Without any server calls fail, and should.
            loads.no_failures()?;
            loads.end()?;
            server.process.end()?;
            break;
        }
        server.process.end()?;
        if !registry.knows(std::slice::from_ref(&server.address)).is_empty() {
            return Err(format!("{} has ended and is still registered", server.address));
        }
    }
    if registry.knows(&all).is_empty() {
        Ok(())
    } else {
        Err(format!("left behind: {:?}", registry.knows(&all)))
    }
}

fn addresses(servers: &[Server]) -> Vec<String> {
    servers.iter().map(|server| server.address.clone()).collect()
}

fn until(what: &str, limit: Duration, holds: impl Fn() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() > deadline {
            return Err(format!("not in time: {what}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

impl Filled for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn target(&self) -> String {
        format!("etcd://{}/{SERVICE}", self.client())
    }

    fn registry(&self) -> String {
        format!("etcd://{}", self.client())
    }

    fn knows(&self, addresses: &[String]) -> BTreeSet<String> {
        let keys = self.try_ctl(&["get", "--prefix", "", "--keys-only"]).unwrap_or_default();
        addresses.iter().filter(|address| keys.contains(address.as_str())).cloned().collect()
    }

    fn wipe(&self) {
        self.wipe_and_restart();
    }
}

impl Filled for Consul {
    fn name(&self) -> &'static str {
        "Consul"
    }

    fn target(&self) -> String {
        format!("consul://{}/{SERVICE}", self.http())
    }

    fn registry(&self) -> String {
        format!("consul://{}", self.http())
    }

    fn knows(&self, addresses: &[String]) -> BTreeSet<String> {
        let answer = self.request("GET", &format!("/v1/health/service/{SERVICE}?passing"), "");
        let answer = answer.map(|answer| answer.json()).unwrap_or_default();
        let known = |address: &&String| {
            answer.as_array().into_iter().flatten().any(|entry| {
                let (host, port) = (&entry["Service"]["Address"], &entry["Service"]["Port"]);
                format!("{}:{port}", host.as_str().unwrap_or_default()) == **address
            })
        };
        addresses.iter().filter(known).cloned().collect()
    }

    fn wipe(&self) {
        self.wipe_and_restart();
    }
}
