//! Many real gRPC servers in one process, started and stopped by the dozen; or one of them alone, to be killed.

use crate::process::Process;
use crate::programs::{Language, Programs};
use std::collections::BTreeSet;
use std::time::Duration;

/// To start or end fifty servers on a machine that is busy, or to register one.
const PATIENCE: Duration = Duration::from_secs(90);

/// The servers of one scenario.
pub struct Fleet {
    process: Process,
}

impl Fleet {
    /// None yet.
    pub fn new(programs: &Programs, language: Language) -> Result<Self, String> {
        let process = Process::start("the fleet", programs.fleet(language))?;
        Ok(Self { process })
    }

    /// Starts a server at each address, and waits until all listen.
    pub fn start(&mut self, addresses: &[String]) -> Result<(), String> {
        self.say("start", "started", addresses)
    }

    /// Has the server at this address register itself as `name`, for `ttl` at a time.
    pub fn enter(&mut self, address: &str, registry: &str, name: &str, ttl: Duration) -> Result<(), String> {
        let command = format!("enter {registry} {name} {}", ttl.as_secs());
        self.say(&command, "entered", &[address.to_string()])
    }

    /// Ends the servers at these addresses as a good server ends: it leaves the registry, takes no new calls, and ends the present ones.
    pub fn stop(&mut self, addresses: &[String]) -> Result<(), String> {
        self.say("stop", "stopped", addresses)
    }

    /// SIGKILL to all of them.
    pub fn kill(self) -> Result<(), String> {
        self.process.kill()
    }

    pub fn end(self) -> Result<(), String> {
        self.process.end().map(|_| ())
    }

    fn say(&mut self, command: &str, answer: &str, addresses: &[String]) -> Result<(), String> {
        if addresses.is_empty() {
            return Ok(());
        }
        self.process.say(&format!("{command} {}", addresses.join(" ")))?;
        let mut awaited: BTreeSet<String> =
            addresses.iter().map(|address| format!("{answer} {address}")).collect();
        while !awaited.is_empty() {
            let line = self.process.line_within(PATIENCE)?;
            if !awaited.remove(&line) {
                return Err(format!("the fleet: {line}"));
            }
        }
        Ok(())
    }
}
