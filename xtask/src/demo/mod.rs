//! `cargo xtask demo`: six real gRPC servers of different speed that register themselves in a real etcd, a Python and a C++ client
//! over evener channels, and what the balancer makes of servers that come, go, and are killed, and of a registry that is.

mod board;
mod outage;
mod report;
mod script;
mod stage;
mod summary;
mod table;

use crate::packages;
use crate::programs;
use crate::servers;
use crate::steps::native;
use crate::venv::Venv;
use crate::workspace::Workspace;
use evener_test_servers::Etcd;
use std::time::Instant;

/// Builds what the show needs, gives it, and judges it. An error when a call failed that had no reason to.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    if let Some(unknown) = arguments.first() {
        return Err(format!("unknown argument {unknown}; the demo takes none"));
    }
    let begun = Instant::now();
    let needs = [native::packages(), Venv::packages(), servers::etcd_packages()].concat();
    packages::ensure(&needs)?;
    servers::ensure_etcd(workspace)?;
    let programs = programs::build(workspace)?;
    println!("\nBuilt in {:.1} s. The show begins.\n", begun.elapsed().as_secs_f64());
    let etcd = Etcd::start().ok_or("the demo needs etcd; cargo xtask servers builds it")?;
    let mut stage = stage::Stage::new(programs, etcd);
    script::play(&mut stage)?;
    let board = stage.close()?;
    summary::judge(&board)
}
