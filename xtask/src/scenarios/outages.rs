//! What may happen to a registry while its clients' servers are well: no call fails, and the set stays.

use super::fleet::Fleet;
use super::load::Loads;
use super::registry::{PORT, Registry};
use super::{Case, Place};
use crate::programs::{Language, Programs};
use evener_test_servers::Proxy;
use std::time::Duration;

const SERVERS: u8 = 4;
/// One more for each time that a change is to be heard of.
const CHANGES: u8 = 4;
/// To find everything at the start, and to hear of a change once a registry is back: the longest pause between two attempts
/// is part of it.
const LIMIT: Duration = Duration::from_secs(90);
/// A removal is held for at most two epochs and what the budget adds; an empty answer for thirty seconds.
const HOLD: Duration = Duration::from_secs(120);
/// How long a frozen registry stays frozen.
const FROZEN: Duration = Duration::from_secs(60);
/// How long a connection is cut, and a killed registry away.
const AWAY: Duration = Duration::from_secs(8);

pub fn run(programs: &Programs, place: &Place, number: u8, registry: &dyn Registry) -> Vec<Case> {
    let name = registry.name();
    let mut story = match Story::begin(programs, place, number, registry) {
        Ok(story) => story,
        Err(reason) => return vec![Case::new(format!("{name}: a client finds its servers"), Err(reason))],
    };
    let mut cases = vec![Case::new(format!("{name}: kill -9 and restart"), story.killed())];
    cases.push(Case::new(format!("{name}: SIGSTOP for 60 s, age rising"), story.frozen()));
    if registry.proxy().is_some() {
        cases.push(Case::new(
            format!("{name}: a connection that is cut, history forgotten meanwhile"),
            story.cut(),
        ));
    }
    cases.push(Case::new(format!("{name}: scaled to zero and back"), story.zero()));
    cases.push(Case::new(format!("{name}: all clients and servers end well"), story.end()));
    cases
}

struct Story<'a> {
    registry: &'a dyn Registry,
    fleet: Fleet,
    loads: Loads,
    hosts: Vec<String>,
    /// Hosts that have not been in the list yet, whose servers run.
    spare: Vec<String>,
}

impl<'a> Story<'a> {
    fn begin(
        programs: &Programs,
        place: &Place,
        number: u8,
        registry: &'a dyn Registry,
    ) -> Result<Self, String> {
        let mut hosts: Vec<String> = (1..=SERVERS + CHANGES).map(|last| place.host(number, last)).collect();
        let mut fleet = Fleet::new(programs, Language::Cpp)?;
        fleet.start(&addresses(&hosts))?;
        let spare = hosts.split_off(usize::from(SERVERS));
        registry.set(&hosts);
        let mut loads = Loads::start(programs, &registry.target())?;
        loads.until_ready("all servers are found", LIMIT, &addresses(&hosts))?;
        loads.excuse()?;
        Ok(Self { registry, fleet, loads, hosts, spare })
    }

    fn killed(&mut self) -> Result<(), String> {
        self.registry.kill();
        self.stays_whole(AWAY)?;
        self.registry.restart();
        self.hears_of_one_more()
    }

    fn frozen(&mut self) -> Result<(), String> {
        self.registry.pause();
        let half = FROZEN / 2;
        let first = self.stays_whole(half).and_then(|()| self.loads.age());
        let second = self.stays_whole(half).and_then(|()| self.loads.age());
        self.registry.resume();
        let (first, second) = (first?, second?);
        if second < first + half.as_secs_f64() * 0.8 {
            return Err(format!("its age went from {first} s to {second} s in {half:?}"));
        }
        self.hears_of_one_more()?;
        self.loads.until("its age falls", LIMIT, |load| load.age().is_some_and(|age| age < second))?;
        self.loads.no_failures()
    }

    /// The connections are there and silent; what is changed meanwhile is known afterwards, though the history of it is gone. Once they
    /// speak again as if nothing had been, once they have to be made anew.
    fn cut(&mut self) -> Result<(), String> {
        self.is_cut_until(Proxy::mend)?;
        self.is_cut_until(|proxy| {
            proxy.sever();
            proxy.mend();
        })
    }

    fn is_cut_until(&mut self, returns: impl Fn(&Proxy)) -> Result<(), String> {
        let proxy = self.registry.proxy().ok_or("no proxy")?;
        proxy.cut();
        let host = self.spare.pop().ok_or("no spare server")?;
        self.hosts.push(host);
        self.registry.set(&self.hosts);
        self.registry.compact();
        let before = addresses(self.hosts.get(..self.hosts.len() - 1).unwrap_or_default());
        self.loads.during("the set is whole", AWAY, |load| load.ready().len() == before.len())?;
        returns(proxy);
        self.loads.until_ready("the change is heard of", LIMIT, &addresses(&self.hosts))?;
        self.loads.no_failures()
    }

    /// An empty answer is held for a while, then believed; servers that come back take calls again.
    fn zero(&mut self) -> Result<(), String> {
        self.registry.set(&[]);
        self.stays_whole(AWAY)?;
        self.loads.until("no server is left", HOLD, |load| load.listed().is_empty())?;
        self.registry.set(&self.hosts);
        self.loads.until_ready("all servers are back", LIMIT, &addresses(&self.hosts))?;
        self.loads.excuse()?;
        self.stays_whole(AWAY)
    }

    fn end(self) -> Result<(), String> {
        self.loads.end()?;
        self.fleet.end()
    }

    fn stays_whole(&mut self, time: Duration) -> Result<(), String> {
        let count = self.hosts.len();
        self.loads.during("the set is whole", time, |load| load.ready().len() == count)?;
        self.loads.no_failures()
    }

    fn hears_of_one_more(&mut self) -> Result<(), String> {
        let host = self.spare.pop().ok_or("no spare server")?;
        self.hosts.push(host);
        self.registry.set(&self.hosts);
        self.loads.until_ready("a new server is heard of", LIMIT, &addresses(&self.hosts))?;
        self.loads.no_failures()
    }
}

fn addresses(hosts: &[String]) -> Vec<String> {
    hosts.iter().map(|host| format!("{host}:{PORT}")).collect()
}
