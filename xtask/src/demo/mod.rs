//! `cargo xtask demo`: six real gRPC servers of different speed, a Python and a C++ client over evener channels, and what
//! the balancer makes of servers that come, go, and are killed.

mod board;
mod report;
mod script;
mod stage;
mod summary;
mod table;

use crate::packages;
use crate::programs;
use crate::steps::native;
use crate::venv::Venv;
use crate::workspace::Workspace;
use std::time::Instant;

/// Builds what the show needs, gives it, and judges it. An error when a call failed that had no reason to.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    if let Some(unknown) = arguments.first() {
        return Err(format!("unknown argument {unknown}; the demo takes none"));
    }
    let begun = Instant::now();
    let needs = [native::packages(), Venv::packages()].concat();
    packages::ensure(&needs)?;
    let programs = programs::build(workspace)?;
    println!("\nBuilt in {:.1} s. The show begins.\n", begun.elapsed().as_secs_f64());
    let mut stage = stage::Stage::new(programs);
    script::play(&mut stage)?;
    let board = stage.close()?;
    summary::judge(&board)
}
