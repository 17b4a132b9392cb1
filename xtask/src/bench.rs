//! `cargo xtask bench`: the figures of the README, measured here.

use crate::toolchain::cargo;
use crate::workspace::Workspace;

/// Runs the benches; what follows the subcommand is handed to them.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    cargo(workspace, "bench")
        .args(["--package", "evener-benches", "--"])
        .args(arguments)
        .succeed()
        .map(|_| ())
}
