//! The Python package: built as a wheel, installed, tested, its stubs compared with what is really there.

use crate::command::Run;
use crate::suite::Step;
use crate::tally::Tally;
use crate::toolchain::cargo_environment;
use crate::venv::Venv;
use crate::workspace::Workspace;
use std::fs;
use std::sync::OnceLock;

pub const TESTS: Step = Step {
    name: "python",
    what: "the wheel is built and installed; its tests pass, the shared vectors among them",
    needs: Venv::packages,
    run: tests,
};

pub const TYPES: Step = Step {
    name: "python-types",
    what: "mypy on the package and its tests, and stubtest on the stubs of the native module",
    needs: Venv::packages,
    run: types,
};

/// The environment of tests, demo and examples.
const ENVIRONMENT: &str = "venv";

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
    let venv = environment(workspace)?;
    let ended = in_python(workspace, venv.run("python")).args(["-m", "pytest", "tests"]).end()?;
    let seen = Tally::of_pytest(&ended.text);
    *tally += seen;
    match (ended.is_success(), seen.is_empty()) {
        (false, _) => Err(ended.complaint()),
        (true, true) => Err("no test was run".to_string()),
        (true, false) => Ok(()),
    }
}

fn types(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let venv = environment(workspace)?;
    in_python(workspace, venv.run("python")).args(["-m", "mypy"]).succeed()?;
    tally.passed += 1;
    in_python(workspace, venv.run("python")).args(["-m", "mypy.stubtest", "evener"]).succeed()?;
    tally.passed += 1;
    Ok(())
}

fn in_python(workspace: &Workspace, run: Run) -> Run {
    run.folder(&workspace.file("python"))
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
    let wheel = fs::read_dir(&wheels)
        .map_err(|error| error.to_string())?
        .flatten()
        .next()
        .ok_or("pip made no wheel")?;
    venv.pip(&["install", "--quiet", "--no-deps", "--force-reinstall", &wheel.path().to_string_lossy()])
        .map(|_| ())
}
