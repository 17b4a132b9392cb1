//! The Python package: built as a wheel, installed, tested, its stubs compared with what is really there.

use crate::servers;
use crate::step::Step;
use crate::tally::Tally;
use crate::toolchain::{self, cargo_environment};
use crate::venv::Venv;
use crate::workspace::{SERVERS, Workspace};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

pub const STEP: Step = Step {
    name: "python",
    what: "the wheel is built and installed; its tests pass: vectors, examples of the docs, types and stubs among them",
    needs: || [Venv::packages(), toolchain::packages(), servers::packages()].concat(),
    run: tests,
};

/// The environment of tests, demo and examples.
pub const ENVIRONMENT: &str = "venv";

/// Where the tests find the wheel, to install it where no compiler is.
const WHEEL: &str = "EVENER_WHEEL";

/// Several steps want the wheel; the first of them builds it. One that fails leaves nothing behind to use by mistake.
static INSTALLED: OnceLock<()> = OnceLock::new();

/// The environment with the wheel of this checkout in it.
pub fn environment(workspace: &Workspace) -> Result<Venv, String> {
    let venv = Venv::ensure(workspace, ENVIRONMENT)?;
    venv.require(&workspace.file("python/requirements-test.txt"))?;
    if INSTALLED.set(()).is_ok() {
        install_wheel(workspace, &venv)?;
    }
    Ok(venv)
}

fn tests(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    servers::ensure(workspace)?;
    let venv = environment(workspace)?;
    // From the root: in its own folder the package's sources would stand before the installed wheel.
    let ended = venv
        .run("python")
        .args(["-m", "pytest", "python/tests"])
        .env_unseen(SERVERS, workspace.servers())
        .env_unseen(WHEEL, wheel(workspace)?)
        .folder(workspace.root())
        .end()?;
    let seen = Tally::of_pytest(&ended.text);
    *tally += seen;
    match (ended.is_success(), seen.is_empty()) {
        (false, _) => Err(ended.complaint()),
        (true, true) => Err("no test was run".to_string()),
        (true, false) => Ok(()),
    }
}

/// Builds the wheel and installs it. Cargo keeps what has not changed, so the second time is short.
fn install_wheel(workspace: &Workspace, venv: &Venv) -> Result<(), String> {
    let wheels = workspace.target_folder("wheels")?;
    for old in fs::read_dir(&wheels).map_err(|error| error.to_string())?.flatten() {
        fs::remove_file(old.path()).map_err(|error| error.to_string())?;
    }
    let build = venv.run("python").args(["-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]);
    cargo_environment(workspace, build, "")
        .args(["--no-deps", "--no-build-isolation", "--wheel-dir"])
        .arg(&wheels)
        .arg(workspace.file("python"))
        .succeed()?;
    let wheel = wheel(workspace)?;
    venv.pip(&["install", "--quiet", "--no-deps", "--force-reinstall", &wheel.to_string_lossy()]).map(|_| ())
}

/// The wheel that was built.
fn wheel(workspace: &Workspace) -> Result<PathBuf, String> {
    let wheels = fs::read_dir(workspace.target("wheels")).map_err(|error| error.to_string())?;
    let wheel = wheels.flatten().next().ok_or("pip made no wheel")?;
    Ok(wheel.path())
}
