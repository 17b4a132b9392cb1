//! The stage: the processes that run, the board they fill, the screen that shows it.

use super::board::{Backend, Board};
use super::report::Report;
use super::table::Screen;
use crate::process::Process;
use crate::programs::{Language, Programs};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the table is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// Longer than gRPC takes to try a lost server again.
const PATIENCE: Duration = Duration::from_secs(15);

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
    board: Board,
    screen: Screen,
    /// By the backend's number; None once it has ended.
    backends: Vec<Option<Process>>,
    clients: Vec<Process>,
}

impl Stage {
    pub fn new(programs: Programs) -> Self {
        Self {
            programs,
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
            wanted.iter().map(|&(name, language, delay_ms)| self.backend(name, language, delay_ms, None));
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
        self.board.killed_at_us =
            SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|time| time.as_micros() as u64);
        process.kill()
    }

    /// Starts a server that has ended again, where it was.
    pub fn restart_backend(&mut self, number: usize) -> Result<(), String> {
        let Backend { name, language, delay_ms, address } =
            self.board.backends.get(number).cloned().ok_or("no such backend")?;
        let mut process = self.backend(&name, language, delay_ms, Some(&address))?;
        listening(&mut process)?;
        self.backends[number] = Some(process);
        Ok(())
    }

    /// Asks a server to end, and waits for it.
    pub fn stop_backend(&mut self, number: usize) -> Result<(), String> {
        let process = self.backends.get_mut(number).and_then(Option::take).ok_or("no such backend runs")?;
        process.end().map(|_| ())
    }

    /// Starts both clients with these endpoints.
    pub fn start_clients(&mut self, serving: &[usize]) -> Result<(), String> {
        let entries: Vec<String> = serving.iter().map(|&number| self.entry(number, 1)).collect();
        let target = format!("static:///{}", entries.join(","));
        for language in Language::BOTH {
            let mut command = self.programs.client(language);
            command.arg(calls_per_second(language).to_string()).arg(WORKERS.to_string()).arg(&target);
            self.clients.push(Process::start(&format!("the {} client", language.name()), command)?);
        }
        Ok(())
    }

    /// Replaces the endpoints of both clients; each is a backend's number and its weight.
    pub fn set_endpoints(&mut self, wanted: &[(usize, u32)]) -> Result<(), String> {
        let entries: Vec<String> =
            wanted.iter().map(|&(number, weight)| self.entry(number, weight)).collect();
        let line = format!("endpoints {}", entries.join(" "));
        self.clients.iter_mut().try_for_each(|client| client.say(&line))
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
        for process in self.backends.into_iter().flatten() {
            process.end()?;
        }
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
        address: Option<&str>,
    ) -> Result<Process, String> {
        let mut command = self.programs.backend(language);
        command.args([name, &delay_ms.to_string()]).args(address);
        Process::start(name, command)
    }

    /// A backend as an entry of a static list.
    fn entry(&self, number: usize, weight: u32) -> String {
        let address = self.board.backends.get(number).map_or("", |backend| &backend.address);
        if weight == 1 { address.to_string() } else { format!("{address};weight={weight}") }
    }
}

fn listening(process: &mut Process) -> Result<String, String> {
    let port = process.listening_port()?;
    Ok(format!("127.0.0.1:{port}"))
}
