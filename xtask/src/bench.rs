//! `cargo xtask bench`: everything measured beside its floors and peers, in one run, as one table: `benches/RESULTS.md`.

use crate::command::{Run, is_installed};
use crate::toolchain::cargo;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str = "usage: cargo xtask bench [--quick | --criterion [ARGUMENT]...]

  (nothing)     measure everything in interleaved rounds and write benches/RESULTS.md; some five minutes, on a quiet machine
  --quick       the same with few rounds, shown and not written
  --criterion   criterion's benches instead, one case after the other; arguments are handed to them";

/// Runs what was asked for.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    let given: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match given.as_slice() {
        [] => ratios(workspace, &["--output", &shown(&workspace.file("benches/RESULTS.md"))]),
        ["--quick"] => ratios(workspace, &["--rounds", "15"]),
        ["--criterion", rest @ ..] => criterion(workspace, rest),
        _ => Err(USAGE.to_string()),
    }
}

fn criterion(workspace: &Workspace, arguments: &[&str]) -> Result<(), String> {
    let bench = cargo(workspace, "bench").args(["--package", "evener-benches", "--bench", "*", "--"]);
    bench.args(arguments).succeed().map(|_| ())
}

fn ratios(workspace: &Workspace, arguments: &[&str]) -> Result<(), String> {
    let packages = ["evener-benches", "evener-ffi", "evener-python", "evener-bench-noop"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    cargo(workspace, "build").arg("--release").args(packages).succeed()?;
    let cpp = cpp_program(workspace)?;
    let modules = python_modules(workspace)?;
    Run::new(workspace.target("release/ratios"))
        .env("PYTHONPATH", &modules)
        .arg("--cpp")
        .arg(cpp)
        .args(["--python", "python3"])
        .arg(workspace.file("benches/python/bench_pick.py"))
        .args(arguments)
        .succeed()
        .map(|_| ())
}

/// The C++ program, linked against the static library.
fn cpp_program(workspace: &Workspace) -> Result<PathBuf, String> {
    if !is_installed("c++") {
        return Err("a C++ compiler is missing: apt install g++".into());
    }
    let program = workspace.target_folder("bench")?.join("bench_pick");
    Run::new("c++")
        .args(["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(workspace.file("include"))
        .arg(workspace.file("benches/cpp/bench_pick.cc"))
        .arg(workspace.target("release/libevener.a"))
        .args(["-pthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .succeed()?;
    Ok(program)
}

/// A folder that Python imports `evener` and `_noop` from, as they were just built: nothing is installed anywhere.
fn python_modules(workspace: &Workspace) -> Result<PathBuf, String> {
    let folder = workspace.target_folder("bench/python")?;
    let package = workspace.target_folder("bench/python/evener")?;
    copy(&workspace.file("python/evener/__init__.py"), &package.join("__init__.py"))?;
    copy(&workspace.target("release/lib_native.so"), &package.join("_native.abi3.so"))?;
    copy(&workspace.target("release/lib_noop.so"), &folder.join("_noop.abi3.so"))?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("cannot copy {}: {error}", from.display()))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
