//! Servers and clients that run beside this program. Each ends when its standard input does, so that none outlives this program, however that ends.

use crate::command::Run;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to come up or to go.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running program, its lines and its input.
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    pub fn start(name: &str, mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let output = child.stdout.take().ok_or("a process without output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Ok(Self { name: name.to_string(), child, input, lines })
    }

    /// The next line, waited for.
    pub fn next_line(&mut self) -> Result<String, String> {
        self.line_within(PATIENCE)
    }

    /// The next line, waited for no longer than that.
    pub fn line_within(&mut self, time: Duration) -> Result<String, String> {
        self.lines
            .recv_timeout(time)
            .map_err(|_| format!("{} said nothing: {:?}", self.name, self.child.try_wait()))
    }

    /// The port a server says it listens on, waited for.
    pub fn listening_port(&mut self) -> Result<String, String> {
        let line = self.next_line()?;
        line.strip_prefix("listening ")
            .map(str::to_string)
            .ok_or_else(|| format!("{} said: {line}", self.name))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error when it has ended by itself.
    pub fn still_runs(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(format!("{} has ended: {status}", self.name)),
            _ => Ok(()),
        }
    }

    /// The lines that have come since the last time.
    pub fn new_lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.try_iter()
    }

    pub fn say(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("its input is closed")?;
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .map_err(|error| format!("{} does not listen: {error}", self.name))
    }

    /// Sends it a signal by its name (`TERM`, `USR1`).
    pub fn signal(&self, name: &str) -> Result<(), String> {
        let script = ["-c", "kill -s \"$1\" \"$2\"", "kill", name];
        Run::new("sh").args(script).arg(self.id().to_string()).succeed().map(|_| ())
    }

    /// SIGKILL: no goodbye to anybody.
    pub fn kill(mut self) -> Result<(), String> {
        self.child
            .kill()
            .and_then(|()| self.child.wait().map(|_| ()))
            .map_err(|error| format!("{}: {error}", self.name))
    }

    /// Closes its input, which asks it to end; `end` waits for that.
    pub fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// Closes its input and reads on until it has ended; its last lines.
    pub fn end(mut self) -> Result<Vec<String>, String> {
        self.close_input();
        let deadline = Instant::now() + PATIENCE;
        let mut last = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            last.push(line);
        }
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(last),
                Ok(Some(status)) => return Err(format!("{}: {status}", self.name)),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
                _ => return Err(format!("{} did not end", self.name)),
            }
        }
    }
}

/// What was not asked to end, because something went wrong before, is not left behind.
impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
