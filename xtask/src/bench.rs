//! `cargo xtask bench`: the figures of the README, measured here; `benches/README.md` says how.

use crate::command::Run;
use crate::packages::{self, program};
use crate::servers;
use crate::steps::readme::{self, LATENCY, RESULTS};
use crate::steps::{native, python};
use crate::toolchain::{self, cargo};
use crate::venv::Venv;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

/// Enough to see that everything runs; too few to believe.
const QUICK_ROUNDS: &str = "5";

/// Without an argument: everything, written to `RESULTS.md` and into the README. `--quick`: few rounds, shown only. `--criterion`:
/// criterion's benches.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            ratios(workspace, &["--output", &workspace.file(RESULTS).to_string_lossy()])?;
            readme::quote_figures(workspace, RESULTS)
        }
        ["--quick"] => ratios(workspace, &["--rounds", QUICK_ROUNDS]),
        ["--criterion", rest @ ..] => cargo(workspace, "bench")
            .args(["--package", "evener-benches", "--"])
            .args(rest)
            .succeed()
            .map(|_| ()),
        _ => Err("usage: cargo xtask bench [--quick | --criterion [ARGUMENT]...]".to_string()),
    }
}

/// `cargo xtask latency [--samples N]`: from a registry's write to the first pick that honours it. With `--samples` it is shown only.
pub fn latency(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    packages::ensure(&[toolchain::packages(), servers::packages()].concat())?;
    servers::ensure(workspace)?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = cargo(workspace, "run").args(["--release", "--package", "evener-bench-latency", "--"]);
    match words.as_slice() {
        [] => {
            run.arg("--output").arg(workspace.file(LATENCY)).succeed()?;
            readme::quote_figures(workspace, LATENCY)
        }
        ["--samples", number] => run.args(["--samples", number]).succeed().map(|_| ()),
        _ => Err("usage: cargo xtask latency [--samples N]".to_string()),
    }
}

fn ratios(workspace: &Workspace, arguments: &[&str]) -> Result<(), String> {
    packages::ensure(
        &[
            toolchain::packages(),
            Venv::packages(),
            vec![program("g++", "g++"), program("cmake", "cmake"), program("make", "make")],
        ]
        .concat(),
    )?;
    let venv = python::environment(workspace)?;
    let modules = noop(workspace)?;
    let cpp = cpp(workspace)?;
    cargo(workspace, "run")
        .args(["--release", "--package", "evener-benches", "--bin", "ratios", "--"])
        .args(arguments)
        .arg("--cpp")
        .arg(cpp)
        .arg("--python")
        .arg(venv.program("python"))
        .arg(workspace.file("benches/python/bench_pick.py"))
        .env("PYTHONPATH", modules)
        .succeed()
        .map(|_| ())
}

/// The module with the method that does nothing; the folder it can be imported from.
fn noop(workspace: &Workspace) -> Result<PathBuf, String> {
    cargo(workspace, "build").args(["--release", "--package", "evener-bench-noop"]).succeed()?;
    let folder = workspace.target_folder("bench")?;
    copy(&workspace.target("release/lib_noop.so"), &folder.join("_noop.so"))?;
    Ok(folder)
}

/// The program that measures picks through the C ABI, linked statically.
fn cpp(workspace: &Workspace) -> Result<PathBuf, String> {
    let library = native::build_library(workspace)?.join("libevener.a");
    let to = workspace.target_folder("bench")?.join("bench_pick");
    Run::new("g++")
        .args(["-std=c++17", "-O2", "-DNDEBUG", "-I"])
        .arg(workspace.file("include"))
        .arg(workspace.file("benches/cpp/bench_pick.cc"))
        .arg(library)
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&to)
        .succeed()?;
    Ok(to)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("cannot copy {}: {error}", from.display()))
}
