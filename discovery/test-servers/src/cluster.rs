//! An etcd of three members.

use crate::etcd::{Etcd, EtcdOptions, Ports, Programs, initial};
use crate::process::started;
use crate::wait::holds_within;
use std::time::Duration;

const MEMBERS: usize = 3;
const START: Duration = Duration::from_secs(60);

/// Three members on loopback: one may be lost without harm, two may not.
pub struct EtcdCluster {
    members: Vec<Etcd>,
}

impl EtcdCluster {
    /// Three members that have a leader. `None`: there is no etcd here, which was said.
    ///
    /// # Panics
    /// When they do not come together.
    pub fn start() -> Option<Self> {
        let programs = Programs::find()?;
        Some(started(|| {
            let ports: Vec<Ports> = (0..MEMBERS).map(|_| Ports::free()).collect();
            let name = |number: usize| format!("m{number}");
            let cluster: Vec<String> =
                ports.iter().enumerate().map(|(number, ports)| initial(&name(number), *ports)).collect();
            let cluster = cluster.join(",");
            let options = EtcdOptions::default();
            let members: Vec<Etcd> = ports
                .iter()
                .enumerate()
                .map(|(number, ports)| Etcd::member(&programs, &name(number), *ports, &cluster, &options))
                .collect();
            // None is ready before two of them run.
            for member in &members {
                member.start_with(|| true)?;
            }
            if holds_within(START, &mut || members.iter().all(Etcd::is_ready)) {
                return Ok(Self { members });
            }
            Err("three etcd members found no leader".to_string())
        }))
    }

    /// `127.0.0.1:P,127.0.0.1:Q,127.0.0.1:R`, as a target lists them.
    pub fn clients(&self) -> String {
        let clients: Vec<String> = self.members.iter().map(Etcd::client).collect();
        clients.join(",")
    }

    /// The members, 0 to 2.
    pub fn members(&self) -> &[Etcd] {
        &self.members
    }

    /// Which member leads now; `None` while there is no leader.
    pub fn leader(&self) -> Option<usize> {
        self.members.iter().position(|member| {
            let Ok(status) = member.try_ctl(&["endpoint", "status", "-w", "json"]) else { return false };
            let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
            let status = &status[0]["Status"];
            status["leader"].is_u64() && status["leader"] == status["header"]["member_id"]
        })
    }
}
