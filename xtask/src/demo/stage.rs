//! The stage: the processes that run, the board they fill, the screen that shows it.

use super::board::{Backend, Board};
use super::report::Report;
use super::table::Screen;
use crate::process::Process;
use crate::programs::{Language, Programs};
use evener_test_servers::Etcd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the table is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// Longer than gRPC takes to try a lost server again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longer than a client lets pass between two attempts to reach a registry that was away for a few seconds: it waits longer
/// each time, and never all clients at once.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(30);
/// The service as which the backends register themselves.
const SERVICE: &str = "demo";
/// Where a backend listens that may choose its port.
const ANY_PORT: &str = "127.0.0.1:0";

/// What a client is asked to do, all in all: bounded, so that the servers' speed shows and the machine's does not.
const WORKERS: u32 = 16;

fn calls_per_second(language: Language) -> u32 {
    match language {
        Language::Python => 150,
        Language::Cpp => 350,
    }
}

/// Everything that runs.
pub struct Stage {
    programs: Programs,
    registry: Arc<Etcd>,
    registry_killed: Option<Instant>,
    board: Board,
    screen: Screen,
    /// By the backend's number; None once it has ended.
    backends: Vec<Option<Process>>,
    clients: Vec<Process>,
}

impl Stage {
    pub fn new(programs: Programs, registry: Etcd) -> Self {
        Self {
            programs,
            registry: Arc::new(registry),
            registry_killed: None,
            board: Board::new(),
            screen: Screen::new(),
            backends: Vec::new(),
            clients: Vec::new(),
        }
    }

    pub fn board(&mut self) -> &mut Board {
        &mut self.board
    }

    /// A line of the story.
    pub fn tell(&mut self, line: &str) {
        self.screen.tell(line);
    }

    /// Starts servers side by side and waits for each to listen; their numbers.
    pub fn start_backends(&mut self, wanted: &[(&str, Language, u32)]) -> Result<Vec<usize>, String> {
        let started =
            wanted.iter().map(|&(name, language, delay_ms)| self.backend(name, language, delay_ms, ANY_PORT));
        let started = started.collect::<Result<Vec<_>, _>>()?;
        let mut numbers = Vec::new();
        for (&(name, language, delay_ms), mut process) in wanted.iter().zip(started) {
            let address = listening(&mut process)?;
            numbers.push(self.backends.len());
            self.backends.push(Some(process));
            self.board.add_backend(Backend { name: name.to_string(), language, delay_ms, address });
        }
        Ok(numbers)
    }

    /// SIGKILL.
    pub fn kill_backend(&mut self, number: usize) -> Result<(), String> {
        let process = self.backends.get_mut(number).and_then(Option::take).ok_or("no such backend runs")?;
        let killed = wall_us();
        process.kill()?;
        self.board.death_us = Some(killed..=wall_us());
        Ok(())
    }

    /// Starts a server that has ended again, where it was.
    pub fn restart_backend(&mut self, number: usize) -> Result<(), String> {
        let Backend { name, language, delay_ms, address } =
            self.board.backends.get(number).cloned().ok_or("no such backend")?;
        let mut process = self.backend(&name, language, delay_ms, &address)?;
        listening(&mut process)?;
        self.backends[number] = Some(process);
        Ok(())
    }

    /// Asks a server to end: it leaves the registry first.
    pub fn dismiss_backend(&mut self, number: usize) -> Result<(), String> {
        let process = self.backends.get_mut(number).and_then(Option::as_mut);
        process.ok_or("no such backend runs").map(Process::close_input).map_err(str::to_string)
    }

    /// Waits for a server that was asked to end.
    pub fn see_off_backend(&mut self, number: usize) -> Result<(), String> {
        let process = self.backends.get_mut(number).and_then(Option::take).ok_or("no such backend runs")?;
        process.end().map(|_| ())
    }

    /// Starts both clients on the registry.
    pub fn start_clients(&mut self) -> Result<(), String> {
        let target = format!("{}/{SERVICE}", self.registry());
        for language in Language::BOTH {
            let mut command = self.programs.client(language);
            command.arg(calls_per_second(language).to_string()).arg(WORKERS.to_string()).arg(&target);
            self.clients.push(Process::start(&format!("the {} client", language.name()), command)?);
        }
        Ok(())
    }

    /// SIGKILL to the registry.
    pub fn kill_registry(&mut self) {
        self.registry_killed = Some(Instant::now());
        self.registry.kill();
        self.board.begin_outage();
    }

    /// Starts the registry again, with its data; how long it was away.
    pub fn restart_registry(&mut self) -> Result<Duration, String> {
        let registry = Arc::clone(&self.registry);
        let start = thread::spawn(move || registry.restart());
        while !start.is_finished() {
            self.frame()?;
        }
        start.join().map_err(|_| "the registry does not start again; why stands above")?;
        let away = self.registry_killed.map(|at| at.elapsed()).unwrap_or_default();
        self.board.end_outage(away);
        Ok(away)
    }

    /// Lets it run until every client hears the registry.
    pub fn until_fresh(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + REGISTRY_PATIENCE;
        while !self.board.clients.iter().all(|client| client.list.freshness == "fresh") {
            if Instant::now() > deadline {
                return Err("the registry is back, and not every client has found it".to_string());
            }
            self.frame()?;
        }
        Ok(())
    }

    /// Lets it run for a while.
    pub fn watch(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.frame()?;
        }
        Ok(())
    }

    /// Lets it run until every client shows the backend in one of these states; an error when that takes too long.
    pub fn until_state(&mut self, number: usize, states: &[&str]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen: Vec<String> =
                self.board.clients.iter().map(|client| client.rows[number].state()).collect();
            if seen.iter().all(|state| states.contains(&state.as_str())) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let name = &self.board.backends[number].name;
                return Err(format!("{name} should be {states:?} by now; the clients see it {seen:?}"));
            }
            self.frame()?;
        }
    }

    /// Lets it run until no client has a call on the backend any more.
    pub fn until_idle(&mut self, number: usize) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let busy = |board: &Board| {
            let endpoints = board.clients.iter().filter_map(|client| client.rows[number].endpoint.as_ref());
            endpoints.map(|endpoint| endpoint.in_flight).sum::<u64>()
        };
        while busy(&self.board) > 0 {
            if Instant::now() > deadline {
                return Err(format!("{} calls do not end", busy(&self.board)));
            }
            self.frame()?;
        }
        Ok(())
    }

    /// Ends the clients, then the servers, and hands over what was seen.
    pub fn close(mut self) -> Result<Board, String> {
        for (number, client) in std::mem::take(&mut self.clients).into_iter().enumerate() {
            for line in client.end()? {
                self.board.take(number, Report::parse(&line)?);
            }
        }
        self.screen.snapshot(&self.board);
        let mut backends: Vec<Process> = std::mem::take(&mut self.backends).into_iter().flatten().collect();
        // All at once: each takes a moment to leave.
        backends.iter_mut().for_each(Process::close_input);
        for process in backends {
            process.end()?;
        }
        self.registry_is_empty()?;
        self.screen.tell("Each has taken itself out of the registry: it is empty.");
        Ok(self.board)
    }

    fn frame(&mut self) -> Result<(), String> {
        thread::sleep(FRAME);
        for (number, client) in self.clients.iter().enumerate() {
            for line in client.new_lines() {
                for change in self.board.take(number, Report::parse(&line)?) {
                    self.screen.tell(&format!("    {change}"));
                }
            }
        }
        self.screen.show(&self.board);
        Ok(())
    }

    fn backend(
        &self,
        name: &str,
        language: Language,
        delay_ms: u32,
        address: &str,
    ) -> Result<Process, String> {
        let mut command = self.programs.backend(language);
        command.args([name, &delay_ms.to_string(), address, &self.registry()]);
        Process::start(name, command)
    }

    /// What a server registers with.
    fn registry(&self) -> String {
        format!("etcd://{}", self.registry.client())
    }

    fn registry_is_empty(&self) -> Result<(), String> {
        let left = self.registry.try_ctl(&["get", "--prefix", SERVICE, "--keys-only"])?;
        if left.trim().is_empty() { Ok(()) } else { Err(format!("still registered, and gone: {left}")) }
    }
}

fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

fn listening(process: &mut Process) -> Result<String, String> {
    let port = process.listening_port()?;
    Ok(format!("127.0.0.1:{port}"))
}
