//! What a step of `cargo xtask test` is.

use crate::packages::Package;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// One step. `run` adds the cases it saw to the tally; one that counts none is itself one case.
pub struct Step {
    pub name: &'static str,
    pub what: &'static str,
    pub needs: fn() -> Vec<Package>,
    pub run: fn(&Workspace, &mut Tally) -> Result<(), String>,
}
