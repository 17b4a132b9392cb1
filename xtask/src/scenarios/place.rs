//! Where the scenarios happen: a network namespace of their own, whose addresses a Kubernetes API server accepts; on a machine that gives
//! none, loopback, without Kubernetes. That is a failure with `CI=true`, as every other skip is: root may make a namespace, and so may every user where
//! user namespaces are allowed, so a check that cannot has been set up wrongly.

use crate::command::Run;
use crate::packages::{Package, program};
use crate::tally::Tally;
use crate::workspace::{SERVERS, Workspace};
use std::env;

/// The subcommand that this program is called with inside the namespace.
pub const INSIDE: &str = "scenarios-inside";
/// Addresses that are not loopback's; all of them are this machine there.
const NAMESPACE: &str = "10.77";
const LOOPBACK: &str = "127.78";
/// Connections to a thousand servers, and then some.
const SET_UP: &str = "ulimit -n 8192; ip link set lo up && ip address add 10.77.0.1/16 dev lo && exec \"$@\"";

/// The network of the scenarios.
pub struct Place {
    network: &'static str,
}

pub fn packages() -> Vec<Package> {
    vec![program("iproute2", "ip"), program("util-linux", "unshare")]
}

impl Place {
    /// By the word that `enter` has put behind the subcommand.
    pub fn named(word: Option<&String>) -> Self {
        Self { network: if word.is_some_and(|word| word == "namespace") { NAMESPACE } else { LOOPBACK } }
    }

    /// A host of this machine.
    pub fn host(&self, number: u8, last: u8) -> String {
        format!("{}.{number}.{last}", self.network)
    }

    /// EndpointSlices may not hold loopback addresses.
    pub fn takes_kubernetes(&self) -> bool {
        self.network == NAMESPACE
    }
}

/// Runs this program again, inside.
pub fn enter(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let unshare = unshare();
    let run = match unshare {
        Some(flags) => Run::new("unshare")
            .args(flags)
            .args(["sh", "-c", SET_UP, "sh"])
            .arg(own)
            .args([INSIDE, "namespace"]),
        None => Run::new(own).args([INSIDE, "loopback"]),
    };
    if unshare.is_none() {
        let reason = "no network namespace can be made here, and EndpointSlices hold no loopback addresses";
        if env::var_os("CI").is_some_and(|value| value == "true") {
            return Err(reason.to_string());
        }
        println!("SKIPPED: the scenarios with Kubernetes: {reason}");
        tally.skipped += 1;
    }
    let ended = run
        .env_unseen(SERVERS, workspace.servers())
        .env_unseen("CARGO_MANIFEST_DIR", workspace.file("xtask"))
        .env_unseen("CARGO_TARGET_DIR", workspace.target(""))
        .end()?;
    *tally += Tally::of_scenarios(&ended.text);
    if ended.is_success() { Ok(()) } else { Err(ended.complaint()) }
}

/// As root, or with a user namespace beside it.
fn unshare() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--net"], &["--map-root-user", "--net"]];
    ways.into_iter().find(|flags| {
        let tried = Run::new("unshare").args(*flags).args(["ip", "link", "set", "lo", "up"]).quiet().end();
        tried.is_ok_and(|ended| ended.is_success())
    })
}
