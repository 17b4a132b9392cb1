//! The shared vectors, `testdata/vectors/*.txt`: what a balancer answers to a sequence of inputs, worked out by hand from the
//! rules. Other languages run the same files; their grammar stands beside them in `README.md`.
#![cfg(not(loom))]

use evener_core::{
    Action, Balancer, Connectivity, Controller, Cursor, Endpoint, EndpointId, FailReason, Handle, Health,
    Limits, Member, Options, Outcome, Pick, Policy, Start, Ticket, UpdateError, sync::AtomicU32, words,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[test]
fn every_case_of_every_file() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory())
        .expect("testdata/vectors is there")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are vectors");
    let mut failures = Vec::new();
    for file in &files {
        let cases = cases_of(file);
        assert!(!cases.is_empty(), "{} has a case", file.display());
        for case in &cases {
            if let Err(error) = case.run() {
                failures.push(format!("{}: {error}", file.file_name().unwrap().display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_wrong_expectation_is_found() {
    let case = |expected: &str| {
        let lines = ["limits 4 0", "policy round_robin", "update 1:1 = 1 0 0 0", expected];
        Case { name: "wrong".into(), lines: lines.iter().map(|line| (1, (*line).to_owned())).collect() }.run()
    };
    assert_eq!(case("poll 0 = connect:1 state:connecting"), Ok(()));
    for wrong in
        ["poll 0 = -", "poll 0 = connect:1", "pick 1 = 1", "pick 2 = queue", "channel = ready", "boo 1"]
    {
        assert!(case(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_small_file_stays_small() {
    for case in cases_of(&directory().join("small.txt")) {
        let [_, endpoints, schedule] = case.lines[0].1.split(' ').collect::<Vec<_>>()[..] else {
            panic!("limits")
        };
        assert!(
            endpoints.parse::<u32>().unwrap() <= 8 && schedule.parse::<u32>().unwrap() <= 16,
            "{}",
            case.name
        );
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/vectors")
}

struct Case {
    name: String,
    /// Line numbers and lines.
    lines: Vec<(usize, String)>,
}

fn cases_of(file: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in std::fs::read_to_string(file).unwrap().lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim().to_owned();
        match line.strip_prefix("case ") {
            Some(name) => cases.push(Case { name: name.to_owned(), lines: Vec::new() }),
            None if line.is_empty() => {}
            None => cases.last_mut().expect("a file begins with a case").lines.push((number + 1, line)),
        }
    }
    cases
}

impl Case {
    fn run(&self) -> Result<(), String> {
        let settings: HashMap<&str, Vec<u32>> = self
            .lines
            .iter()
            .filter_map(|(_, line)| line.split_once(' '))
            .filter(|(name, _)| Runner::SETTINGS.contains(name))
            .map(|(name, numbers)| (name, numbers.split(' ').map(|n| n.parse().unwrap()).collect()))
            .collect();
        let mut runner = Runner::new(&settings);
        for (number, line) in &self.lines {
            let (given, expected) = line.split_once('=').unwrap_or((line, ""));
            let mut given = given.split_whitespace();
            let command = given.next().ok_or("a command is missing")?;
            if Runner::SETTINGS.contains(&command) {
                continue;
            }
            let came = runner.run(command, &given.collect::<Vec<_>>())?;
            if came != expected.split_whitespace().collect::<Vec<_>>() {
                return Err(format!("line {number}, case {}: `{line}` came out as {came:?}", self.name));
            }
        }
        Ok(())
    }
}

struct Runner {
    controller: Controller<Arc<[AtomicU32]>, Vec<Member>>,
    balancer: Balancer<Arc<[AtomicU32]>>,
    cursor: Cursor,
    /// The last handle of every endpoint named so far.
    handles: HashMap<u64, Handle>,
    tickets: HashMap<u32, Ticket>,
}

impl Runner {
    const SETTINGS: [&str; 4] = ["limits", "seed", "drain_timeout", "cursor"];

    fn new(settings: &HashMap<&str, Vec<u32>>) -> Self {
        let number =
            |name, i: usize, default| settings.get(name).map_or(default, |numbers: &Vec<u32>| numbers[i]);
        let limits = Limits::new(number("limits", 0, 1)).with_schedule(number("limits", 1, 0));
        let options = Options {
            seed: u64::from(number("seed", 0, 0)),
            drain_timeout: number("drain_timeout", 0, 30_000_000),
            ..Options::default()
        };
        let memory: Arc<[AtomicU32]> = (0..words(&limits)).map(|_| AtomicU32::new(0)).collect();
        let members = vec![Member::EMPTY; limits.endpoints as usize];
        let controller = Controller::claim(memory, members, limits, options).expect("limits are right");
        Self {
            balancer: controller.balancer(),
            controller,
            cursor: Cursor::at(number("cursor", 0, 0), number("cursor", 1, 1)),
            handles: HashMap::new(),
            tickets: HashMap::new(),
        }
    }

    /// What the core answers, in the words of the vectors.
    fn run(&mut self, command: &str, arguments: &[&str]) -> Result<Vec<String>, String> {
        let wrong = || format!("`{command} {}` is not understood", arguments.join(" "));
        Ok(match (command, arguments) {
            ("policy", ["pick_first", "shuffle"]) => {
                self.controller.set_policy(Policy::PickFirst { shuffle: true });
                vec![]
            }
            ("policy", [name]) => {
                self.controller.set_policy(Policy::from_name(name).ok_or_else(wrong)?);
                vec![]
            }
            ("update", endpoints) => self.update(endpoints).ok_or_else(wrong)?,
            ("state", [id, state]) => {
                let handle = self.handle(id.parse().map_err(|_| wrong())?);
                let done = self.controller.set_connectivity(handle, connectivity(state).ok_or_else(wrong)?);
                done.map_or_else(|_| vec!["stale".into()], |()| vec![])
            }
            ("health", [id, health]) => {
                let handle = self.handle(id.parse().map_err(|_| wrong())?);
                let names = ["unknown", "serving", "not_serving"];
                let health = names.iter().position(|name| name == health).ok_or_else(wrong)?;
                let done =
                    self.controller.set_health(handle, Health::from_number(health as u32).ok_or_else(wrong)?);
                done.map_or_else(|_| vec!["stale".into()], |()| vec![])
            }
            ("connect", []) => {
                self.controller.connect();
                vec![]
            }
            ("poll", [now]) => self.poll(now.parse().map_err(|_| wrong())?),
            ("pick", [count]) => {
                (0..count.parse().map_err(|_| wrong())?).map(|_| self.pick()).collect::<Vec<String>>()
            }
            ("start", [ticket, now]) => vec![self.start(number(ticket), number(now))],
            ("finish", [ticket, outcome, now]) => {
                let names = ["success", "failure", "rejected", "cancelled", "timed_out", "abandoned"];
                let outcome = names.iter().position(|name| name == outcome).ok_or_else(wrong)?;
                let outcome = Outcome::from_number(outcome as u32).ok_or_else(wrong)?;
                let ticket = self.tickets.remove(&number(ticket)).ok_or_else(wrong)?;
                let finished = self.balancer.finish(ticket, outcome, number(now));
                let wake = finished.wake.then(|| "wake".to_owned());
                [finished.elapsed.to_string()].into_iter().chain(wake).collect()
            }
            ("counters", [id]) => {
                let handle = self.handle(id.parse().map_err(|_| wrong())?);
                let c = self.balancer.counters(handle).ok_or_else(wrong)?;
                [c.ok, c.failed, c.rejected, c.other, c.in_flight].map(|n| n.to_string()).to_vec()
            }
            ("channel", []) => vec![state_name(self.controller.connectivity()).into()],
            _ => return Err(wrong()),
        })
    }

    fn update(&mut self, endpoints: &[&str]) -> Option<Vec<String>> {
        let parse = |text: &&str| {
            let (id, rest) = text.split_once(':')?;
            let (weight, priority) = rest.split_once(':').unwrap_or((rest, "0"));
            let id: u64 = id.parse().ok()?;
            let endpoint = Endpoint::new(EndpointId::from_raw(id.into())).with_user(id);
            Some(endpoint.with_weight(weight.parse().ok()?).with_priority(priority.parse().ok()?))
        };
        let list: Vec<Endpoint> = endpoints.iter().map(parse).collect::<Option<_>>()?;
        let answer = match self.controller.update(&list) {
            Ok(c) => [c.added, c.removed, c.kept, c.returned].map(|n| n.to_string()).to_vec(),
            Err(UpdateError::Full { .. }) => vec!["full".into()],
            Err(_) => return None,
        };
        for endpoint in &list {
            self.handle(endpoint.user);
        }
        Some(answer)
    }

    /// The controller's handle for an endpoint, or the last one it had.
    fn handle(&mut self, id: u64) -> Handle {
        if let Some(handle) = self.controller.handle(EndpointId::from_raw(id.into())) {
            self.handles.insert(id, handle);
        }
        self.handles.get(&id).copied().unwrap_or(Handle::new(0, 0))
    }

    fn id_at(&self, handle: Handle) -> String {
        let known = self.handles.iter().find(|&(_, known)| *known == handle);
        known.map_or_else(|| format!("{handle:?}"), |(id, _)| id.to_string())
    }

    fn poll(&mut self, now: u32) -> Vec<String> {
        let mut actions: Vec<String> = Vec::new();
        while let Some(action) = self.controller.poll(now) {
            actions.push(match action {
                Action::Connect { user, .. } => format!("connect:{user}"),
                Action::Disconnect { user, .. } => format!("disconnect:{user}"),
                Action::CancelCalls { user, .. } => format!("cancel_calls:{user}"),
                Action::Close { user, .. } => format!("close:{user}"),
                Action::RoomAgain => "room_again".into(),
                Action::Reresolve => "reresolve".into(),
                Action::StateChanged(state) => format!("state:{}", state_name(state)),
                other => format!("{other:?}"),
            });
        }
        if actions.is_empty() { vec!["-".into()] } else { actions }
    }

    fn pick(&self) -> String {
        match self.balancer.pick(&self.cursor) {
            Pick::Complete(handle) => self.id_at(handle),
            Pick::Queue => "queue".into(),
            Pick::Fail(reason) => reason_name(reason),
            Pick::Drop => "drop".into(),
        }
    }

    fn start(&mut self, number: u32, now: u32) -> String {
        match self.balancer.start(&self.cursor, now) {
            Start::Started(ticket) => {
                let id = self.id_at(ticket.handle());
                assert_eq!(ticket.user().to_string(), id, "`user` belongs to the handle");
                assert_eq!(ticket.start(), now);
                self.tickets.insert(number, ticket);
                id
            }
            Start::Queue => "queue".into(),
            Start::Fail(reason) => reason_name(reason),
            Start::Drop => "drop".into(),
        }
    }
}

const STATES: [&str; 5] = ["idle", "connecting", "ready", "transient_failure", "shutdown"];

fn connectivity(name: &str) -> Option<Connectivity> {
    Connectivity::from_number(STATES.iter().position(|state| *state == name)? as u32)
}

fn state_name(state: Connectivity) -> &'static str {
    STATES[state as usize]
}

fn reason_name(reason: FailReason) -> String {
    format!("fail:{}", ["", "no_endpoints", "all_failing", "not_serving"][reason as usize])
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no u32"))
}
