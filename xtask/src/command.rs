//! Running other programs: shown as it runs, kept for whoever wants to read it, never for ever.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any single command of a cold run on two cores.
const PATIENCE: Duration = Duration::from_secs(45 * 60);
/// How long to read on after a program has ended: a grandchild may hold its output open.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What cargo sets for the program it runs. Handed on, it would reach other packages' builds and other toolchains.
const FROM_CARGO: [&str; 4] =
    ["LD_LIBRARY_PATH", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_TARGET_DIR"];

/// A program about to be run.
pub struct Run {
    command: Command,
    shown: String,
    quiet: bool,
}

/// What a program did.
pub struct Ended {
    /// Standard output and error as they came, mixed by line.
    pub text: String,
    status: Option<ExitStatus>,
    shown: String,
}

impl Run {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(&program);
        for name in FROM_CARGO {
            command.env_remove(name);
        }
        let shown = program.as_ref().to_string_lossy().into_owned();
        Self { command, shown, quiet: false }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&argument.as_ref().to_string_lossy());
        self.command.arg(argument);
        self
    }

    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{name}={} {}", value.as_ref().to_string_lossy(), self.shown);
        self.env_unseen(name, value)
    }

    /// The same, for what would only clutter the command as it is shown.
    pub fn env_unseen(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Runs it, showing its output unless quiet. An error only when it could not be started.
    pub fn end(mut self) -> Result<Ended, String> {
        if !self.quiet {
            println!("$ {}", self.shown);
        }
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            self.command.spawn().map_err(|error| format!("cannot run `{}`: {error}", self.shown))?;
        let lines = read_lines(&mut child);
        let deadline = Instant::now() + PATIENCE;
        let (text, status) = follow(&mut child, &lines, deadline, self.quiet);
        Ok(Ended { text, status, shown: self.shown })
    }

    /// Runs it; anything but success is an error that names the command.
    pub fn succeed(self) -> Result<Ended, String> {
        let quiet = self.quiet;
        let ended = self.end()?;
        if ended.is_success() {
            return Ok(ended);
        }
        if quiet {
            print!("{}", ended.text);
        }
        Err(ended.complaint())
    }
}

impl Ended {
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    pub fn complaint(&self) -> String {
        match self.status {
            Some(status) => format!("`{}`: {status}", self.shown),
            None => format!("`{}`: still running after its time was up, killed", self.shown),
        }
    }
}

/// True when `program` stands in a folder of PATH, or is a path to a file.
pub fn is_installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn read_lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        forward(output, sender.clone());
    }
    if let Some(errors) = child.stderr.take() {
        forward(errors, sender);
    }
    receiver
}

fn forward(from: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// Collects lines until both pipes are closed, or a while after the end when something holds them open.
fn follow(
    child: &mut Child,
    lines: &Receiver<String>,
    deadline: Instant,
    quiet: bool,
) -> (String, Option<ExitStatus>) {
    let mut text = String::new();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => keep(&mut text, &line, quiet),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if ended.is_none() {
            ended = child.try_wait().ok().flatten().map(|status| (status, Instant::now()));
        }
        match ended {
            Some((_, at)) if at.elapsed() > LAST_WORDS => break,
            None if Instant::now() > deadline => break,
            _ => {}
        }
    }
    let status = match ended {
        Some((status, _)) => Some(status),
        None => last_status(child, deadline),
    };
    (text, status)
}

/// The pipes are closed or the time is up: what remains is to wait for the end, or to bring it about.
fn last_status(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    while Instant::now() <= deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn keep(text: &mut String, line: &str, quiet: bool) {
    text.push_str(line);
    if quiet {
        return;
    }
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes());
    let _ = out.flush();
}
