//! The generated C header is the committed one.

use crate::command::Run;
use crate::packages::{Package, Probe};
use crate::step::Step;
use crate::tally::Tally;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

pub const STEP: Step = Step {
    name: "header",
    what: "include/evener.h is what the pinned cbindgen makes of the C ABI",
    needs: || vec![Package { name: "cbindgen-web", probe: Probe::Program("cbindgen") }],
    run: check,
};

/// Another version words things differently; the header would change without the ABI having changed.
const CBINDGEN: &str = "0.29.4";
const HEADER: &str = "include/evener.h";

fn check(workspace: &Workspace, _: &mut Tally) -> Result<(), String> {
    let fresh = workspace.target_folder("header")?.join("evener.h");
    generate(workspace, &fresh)?;
    if read(&fresh)? == read(&workspace.file(HEADER))? {
        return Ok(());
    }
    let _ = Run::new("diff").arg("-u").arg(workspace.file(HEADER)).arg(&fresh).end();
    Err(format!("{HEADER} is stale: run `cargo xtask header` and commit it"))
}

/// `cargo xtask header`: writes the committed file anew.
pub fn write(workspace: &Workspace) -> Result<(), String> {
    crate::packages::ensure(&(STEP.needs)())?;
    generate(workspace, &workspace.file(HEADER))
}

fn generate(workspace: &Workspace, to: &Path) -> Result<(), String> {
    let version = Run::new("cbindgen").arg("--version").quiet().succeed()?.text;
    if version.trim() != format!("cbindgen {CBINDGEN}") {
        return Err(format!("the header is made with cbindgen {CBINDGEN}, here is {}", version.trim()));
    }
    Run::new("cbindgen")
        .args(["--quiet", "--config", "ffi/cbindgen.toml", "--crate", "evener-ffi", "--output"])
        .arg(to)
        .env("CARGO_TARGET_DIR", workspace.target("header"))
        .folder(workspace.root())
        .succeed()
        .map(|_| ())
}

fn read(path: &PathBuf) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
