//! A server as a child process: started, stopped, killed, frozen, and read when it complains.

use crate::scratch::Scratch;
use crate::wait::holds_within;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a server may take to answer after its start, on a machine that is busy.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to end when it is asked to.
const END: Duration = Duration::from_secs(20);
/// Enough of a log to see why a server did not start.
const LAST_LINES: usize = 30;

/// A server's program with its arguments, and the process when it runs.
pub(crate) struct Process {
    program: PathBuf,
    arguments: Vec<String>,
    child: Mutex<Option<Child>>,
    /// Dropped after the process has ended.
    scratch: Scratch,
}

impl Process {
    pub fn new(program: &Path, arguments: Vec<String>, scratch: Scratch) -> Self {
        Self { program: program.to_path_buf(), arguments, child: Mutex::new(None), scratch }
    }

    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Starts it and waits until `ready`. An error holds the end of what the server printed.
    pub fn start(&self, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        self.spawn()?;
        let mut ended = false;
        let answered = holds_within(START, &mut || {
            if ready() {
                return true;
            }
            ended = !self.is_running();
            ended
        });
        if answered && !ended {
            return Ok(());
        }
        let how = if ended { "ended at once" } else { "does not answer" };
        let said = self.last_words();
        self.kill();
        Err(format!("{} {how}: {said}", self.program.display()))
    }

    /// Kills it if it still runs and starts it again.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self, ready: impl FnMut() -> bool) {
        self.kill();
        self.start(ready).unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Kills it and takes away the folder `data` in its scratch folder, where servers here keep what they know.
    pub fn wipe(&self) {
        self.kill();
        // A server that never had one knows nothing already.
        let _ = fs::remove_dir_all(self.scratch.path().join("data"));
    }

    /// SIGKILL, and gone when this returns. Nothing when it does not run.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
            self.scratch.guards(None);
        }
    }

    /// SIGTERM, then SIGKILL when it takes too long.
    pub fn terminate(&self) {
        self.signal("CONT");
        self.signal("TERM");
        holds_within(END, &mut || !self.is_running());
        self.kill();
    }

    /// SIGSTOP: it keeps its connections and says nothing.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn spawn(&self) -> Result<(), String> {
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|error| format!("{}: {error}", self.log().display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(self.scratch.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", self.program.display()))?;
        self.scratch.guards(Some(child.id()));
        *self.child() = Some(child);
        Ok(())
    }

    fn is_running(&self) -> bool {
        self.child().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// By the shell's own `kill`: the standard library sends SIGKILL only.
    fn signal(&self, name: &str) {
        if let Some(child) = self.child().as_ref() {
            let done = run("sh", ["-c", "kill -s \"$1\" \"$2\"", "kill", name, &child.id().to_string()]);
            assert!(done.is_ok() || name != "STOP", "{done:?}");
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("output.log")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts what `make` makes; what fails is made again, with other ports, since another process may have taken one.
pub(crate) fn started<S>(mut make: impl FnMut() -> Result<S, String>) -> S {
    let mut reasons = Vec::new();
    for _ in 0..3 {
        match make() {
            Ok(server) => return server,
            Err(reason) => reasons.push(reason),
        }
    }
    panic!("{}", reasons.join("\n"));
}

/// Runs a program to its end; its output, or what it complained about.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Result<String, String> {
    output(Command::new(program).args(arguments))
}

pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(text);
    }
    Err(format!("{shown}: {}: {text}{}", done.status, String::from_utf8_lossy(&done.stderr)))
}
