//! Many real gRPC servers in one process, started and stopped by the dozen.

use crate::process::Process;
use crate::programs::Programs;
use std::collections::BTreeSet;
use std::process::Command;

/// The servers of one scenario.
pub struct Fleet {
    process: Process,
}

impl Fleet {
    /// None yet.
    pub fn new(programs: &Programs) -> Result<Self, String> {
        let process = Process::start("the fleet", Command::new(programs.executable("fleet")))?;
        Ok(Self { process })
    }

    /// Starts a server at each address, and waits until all listen.
    pub fn start(&mut self, addresses: &[String]) -> Result<(), String> {
        self.say("start", "started", addresses)
    }

    /// Ends the servers at these addresses as a good server ends: no new calls, and the present ones to their end.
    pub fn stop(&mut self, addresses: &[String]) -> Result<(), String> {
        self.say("stop", "stopped", addresses)
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
            let line = self.process.next_line()?;
            if !awaited.remove(&line) {
                return Err(format!("the fleet: {line}"));
            }
        }
        Ok(())
    }
}
