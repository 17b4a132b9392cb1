//! Servers that register themselves: one is killed, the registry is frozen, it forgets everything, and all leave well.

use super::fleet::Fleet;
use super::load::Loads;
use super::{Case, Place};
use crate::programs::{Language, Programs};
use evener_test_servers::{Consul, ConsulOptions, Etcd};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// As many in each language.
const SERVERS: u8 = 6;
const PORT: u16 = 50051;
/// The name they register under.
const SERVICE: &str = "user";
/// What the servers register with; long enough that clients know of a lost connection well before the registry does.
const TTL: Duration = Duration::from_secs(15);
/// How late a registry may be about it, on a machine that is busy: etcd looks twice a second, Consul at once.
const LATE: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(90);
/// Longer than from one report of the clients to the next.
const A_WHILE: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(100);

/// A registry that servers fill.
pub trait Filled: Sync {
    fn name(&self) -> &'static str;
    /// What clients resolve.
    fn target(&self) -> String;
    /// What servers register with.
    fn registry(&self) -> String;
    /// Which of these addresses it would give to a client. `None`: it does not answer.
    fn known(&self, addresses: &[String]) -> Option<BTreeSet<String>>;
    /// SIGSTOP, for so long that it takes its servers for dead.
    fn pause(&self);
    fn resume(&self);
    /// It comes back knowing nothing.
    fn wipe(&self);
}

/// The registries that are installed; what is missing has been said.
pub fn registries() -> Vec<Box<dyn Filled>> {
    let etcd = Etcd::start().map(|etcd| Box::new(etcd) as Box<dyn Filled>);
    let consul = Consul::with(ConsulOptions::default()).map(|consul| Box::new(consul) as Box<dyn Filled>);
    etcd.into_iter().chain(consul).collect()
}

/// `number` is the scenario's part of the network.
pub fn run(programs: &Programs, place: &Place, number: u8, registry: &dyn Filled) -> Vec<Case> {
    let name = registry.name();
    let mut story = match Story::begin(programs, place, number, registry) {
        Ok(story) => story,
        Err(reason) => return vec![Case::new(format!("{name}: servers register themselves"), Err(reason))],
    };
    let killed = format!(
        "{name}: a registered server that is killed leaves picks at once, the registry within its TTL"
    );
    let mut cases = vec![Case::new(killed, story.killed())];
    let frozen = format!("{name}: a registry that was frozen for longer than its servers' TTL");
    cases.push(Case::new(frozen, story.frozen()));
    let wiped =
        format!("{name}: a registry that is killed and wiped is filled again by the servers that run");
    cases.push(Case::new(wiped, story.wiped()));
    cases.push(Case::new(format!("{name}: servers that end leave the registry first"), story.end()));
    cases
}

/// A server, in a process of its own.
struct Server {
    address: String,
    fleet: Fleet,
}

struct Story<'a> {
    registry: &'a dyn Filled,
    servers: Vec<Server>,
    loads: Loads,
}

impl<'a> Story<'a> {
    fn begin(
        programs: &Programs,
        place: &Place,
        number: u8,
        registry: &'a dyn Filled,
    ) -> Result<Self, String> {
        let mut servers = Vec::new();
        for (last, language) in (1..=SERVERS).zip(Language::BOTH.into_iter().cycle()) {
            let address = format!("{}:{PORT}", place.host(number, last));
            let mut fleet = Fleet::new(programs, language)?;
            fleet.start(std::slice::from_ref(&address))?;
            fleet.enter(&address, &registry.registry(), SERVICE, TTL)?;
            servers.push(Server { address, fleet });
        }
        let mut loads = Loads::start(programs, &registry.target())?;
        loads.until_ready("all servers are found", LIMIT, &addresses(&servers))?;
        loads.excuse()?;
        Ok(Self { registry, servers, loads })
    }

    /// One of each language, one after the other.
    fn killed(&mut self) -> Result<(), String> {
        Language::BOTH.iter().try_for_each(|_| self.first_killed())
    }

    fn first_killed(&mut self) -> Result<(), String> {
        let Server { address, fleet } = self.servers.remove(0);
        self.loads.no_failures()?;
        fleet.kill()?;
        let killed = Instant::now();
        let is_out = |load: &super::load::Load| !load.ready().contains(&address);
        self.loads.until("it is out of all picks", LIMIT, is_out)?;
        if !knows(self.registry, &address) {
            let after = killed.elapsed();
            return Err(format!("{address} left picks after {after:?}, when the registry had forgotten it"));
        }
        // Calls that it had could not be saved; those that were made after them could.
        self.loads.excuse_calls_under_way()?;
        self.loads.during("it stays out", A_WHILE, is_out)?;
        let limit = (TTL + LATE).saturating_sub(killed.elapsed());
        until("the registry forgets it", limit, || !knows(self.registry, &address))?;
        self.loads.no_failures()
    }

    /// No sign of life of any server reaches it in time, and it may say so of all of them at once.
    fn frozen(&mut self) -> Result<(), String> {
        let all = addresses(&self.servers);
        self.loads.no_failures()?;
        self.registry.pause();
        let stays = |loads: &mut Loads| {
            loads.during("the set is whole", TTL + A_WHILE, |load| load.ready().len() == all.len())
        };
        let frozen = stays(&mut self.loads);
        self.registry.resume();
        frozen?;
        stays(&mut self.loads)?;
        let is_filled = || self.registry.known(&all).is_some_and(|known| known.len() == all.len());
        until("it knows its servers", LIMIT, is_filled)?;
        self.loads.no_failures()
    }

    fn wiped(&mut self) -> Result<(), String> {
        let all = addresses(&self.servers);
        self.registry.wipe();
        let is_filled = || self.registry.known(&all).is_some_and(|known| known.len() == all.len());
        until("the registry is filled again", LIMIT, is_filled)?;
        self.loads.until_ready("the clients see it", LIMIT, &all)?;
        self.loads.during("the set is whole", A_WHILE, |load| load.ready().len() == all.len())?;
        self.loads.no_failures()
    }

    /// One after the other under load; the last one when the clients have gone.
    fn end(mut self) -> Result<(), String> {
        let last = self.servers.pop().ok_or("no server is left")?;
        for Server { address, mut fleet } in std::mem::take(&mut self.servers) {
            fleet.stop(std::slice::from_ref(&address))?;
            if knows(self.registry, &address) {
                return Err(format!("{address} has ended and is still registered"));
            }
            fleet.end()?;
            self.loads.no_failures()?;
        }
        self.loads
            .during("the last one takes calls", A_WHILE, |load| load.ready().contains(&last.address))?;
        self.loads.end()?;
        last.fleet.end()?;
        if knows(self.registry, &last.address) {
            return Err(format!("{} has ended and is still registered", last.address));
        }
        Ok(())
    }
}

fn addresses(servers: &[Server]) -> Vec<String> {
    servers.iter().map(|server| server.address.clone()).collect()
}

/// A registry that does not answer may know it still.
fn knows(registry: &dyn Filled, address: &String) -> bool {
    registry.known(std::slice::from_ref(address)).is_none_or(|known| !known.is_empty())
}

fn until(what: &str, limit: Duration, holds: impl Fn() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() > deadline {
            return Err(format!("not within {limit:?}: {what}"));
        }
        thread::sleep(GLANCE);
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

    fn known(&self, addresses: &[String]) -> Option<BTreeSet<String>> {
        let values = self.try_ctl(&["get", "--prefix", SERVICE, "--print-value-only"]).ok()?;
        Some(addresses.iter().filter(|address| values.contains(&format!("\"{address}\""))).cloned().collect())
    }

    fn pause(&self) {
        self.pause();
    }

    fn resume(&self) {
        self.resume();
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

    fn known(&self, addresses: &[String]) -> Option<BTreeSet<String>> {
        let answer = self.request("GET", &format!("/v1/health/service/{SERVICE}?passing"), "").ok()?;
        let answer = answer.is_success().then(|| answer.json())?;
        let entries = answer.as_array().into_iter().flatten();
        let known: BTreeSet<String> = entries
            .map(|entry| {
                let (host, port) = (&entry["Service"]["Address"], &entry["Service"]["Port"]);
                format!("{}:{port}", host.as_str().unwrap_or_default())
            })
            .collect();
        Some(addresses.iter().filter(|address| known.contains(*address)).cloned().collect())
    }

    fn pause(&self) {
        self.pause();
    }

    fn resume(&self) {
        self.resume();
    }

    fn wipe(&self) {
        self.wipe_and_restart();
    }
}
