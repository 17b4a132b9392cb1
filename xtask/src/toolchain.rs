//! Which Rust does what. Two kinds of machine are at home here: one with rustup, one with Debian's packages.

use crate::command::{Run, is_installed};
use crate::packages::{Package, file, missing, program};
use crate::tally::Tally;
use crate::workspace::{SERVERS, Workspace};
use std::env;
use std::ffi::OsString;
use std::path::Path;

/// The oldest Rust evener builds with; the manifest says the same, and a step compares the two.
pub const OLDEST_RUST: &str = "1.88";

/// The cargo that runs this program.
fn own_cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// `cargo SUBCOMMAND` in the workspace, with the main target directory.
pub fn cargo(workspace: &Workspace, subcommand: &str) -> Run {
    cargo_in(workspace, subcommand, "")
}

/// The same with a target directory of its own inside the main one, for flags that would rebuild everything.
pub fn cargo_in(workspace: &Workspace, subcommand: &str, folder: &str) -> Run {
    cargo_environment(workspace, Run::new(own_cargo()).arg(subcommand), folder).folder(workspace.root())
}

/// For a program that calls cargo itself: where the building is to happen, and where the tests find the registries.
pub fn cargo_environment(workspace: &Workspace, run: Run, folder: &str) -> Run {
    run.env("CARGO_TARGET_DIR", workspace.target(folder)).env_unseen(SERVERS, workspace.servers())
}

/// Runs a `cargo test` and counts what it printed; a run without a single case is wired wrongly and fails.
pub fn counted(run: Run, tally: &mut Tally) -> Result<(), String> {
    let ended = run.end()?;
    let seen = Tally::of_cargo(&ended.text);
    *tally += seen;
    if !ended.is_success() {
        return Err(ended.complaint());
    }
    if seen.is_empty() { Err("no test was run".to_string()) } else { Ok(()) }
}

const DESCRIPTOR: [&str; 2] =
    ["/usr/include/google/protobuf/descriptor.proto", "/usr/local/include/google/protobuf/descriptor.proto"];

/// What building everything takes beside Rust: a client of etcd generates its code from the protocol, whose files import those that Debian keeps apart
/// from their compiler, and a cryptographic library has C in it.
pub fn packages() -> Vec<Package> {
    vec![program("protobuf-compiler", "protoc"), file("libprotobuf-dev", &DESCRIPTOR), program("gcc", "cc")]
}

/// The packages that bring a missing subcommand where Rust comes from Debian. With rustup it is a component.
pub fn subcommand_package(subcommand: &str, package: &'static str) -> Vec<Package> {
    let there = Run::new(own_cargo())
        .args([subcommand, "--version"])
        .quiet()
        .end()
        .is_ok_and(|ended| ended.is_success());
    if there || has_rustup() { Vec::new() } else { vec![missing(package)] }
}

/// With rustup a missing component is brought by rustup; elsewhere the package has done it.
pub fn ensure_component(subcommand: &str, component: &str) -> Result<(), String> {
    let there = Run::new(own_cargo()).args([subcommand, "--version"]).quiet().end()?;
    if there.is_success() {
        return Ok(());
    }
    if !has_rustup() {
        return Err(format!("cargo {subcommand} is missing: {}", there.text.trim()));
    }
    Run::new("rustup").args(["component", "add", component]).succeed().map(|_| ())
}

pub fn has_rustup() -> bool {
    is_installed("rustup")
}

/// Whether rustup has this version of Rust, or can fetch it.
pub fn has_version(version: &str) -> bool {
    let succeeds = |arguments: &[&str]| {
        let ended = Run::new("rustup").args(arguments).quiet().end();
        ended.is_ok_and(|ended| ended.is_success())
    };
    succeeds(&["run", version, "cargo", "--version"])
        || succeeds(&["toolchain", "install", version, "--profile", "minimal", "--no-self-update"])
}

/// Debian's second Rust, which carries the sources of its own standard library: the way to targets without one.
pub struct Debian;

impl Debian {
    const CARGO: &str = "/usr/bin/cargo";
    const RUSTC: &str = "/usr/bin/rustc";
    const RUSTDOC: &str = "/usr/bin/rustdoc";

    /// What is missing for `-Zbuild-std`. Version-locked to one another, so they are asked for together.
    pub fn packages() -> Vec<Package> {
        if Self::is_usable() {
            return Vec::new();
        }
        ["rustc-web", "cargo-web", "rust-web-src"].map(missing).to_vec()
    }

    fn is_usable() -> bool {
        if ![Self::CARGO, Self::RUSTC].iter().all(|program| is_installed(program)) {
            return false;
        }
        let ask = |what: [&str; 2]| {
            Run::new(Self::RUSTC).args(what).quiet().end().map_or(String::new(), |ended| ended.text)
        };
        let sysroot = ask(["--print", "sysroot"]);
        let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
        source.exists()
            && minor(&ask(["--version", "--verbose"])) >= minor(&format!("release: {OLDEST_RUST}"))
    }

    /// For a program that calls this Rust: by name, since rustup's stand-ins come first in PATH where there are both.
    pub fn environment(run: Run) -> Run {
        run.env_unseen("CARGO", Self::CARGO)
            .env_unseen("RUSTC", Self::RUSTC)
            .env_unseen("RUSTDOC", Self::RUSTDOC)
            .env_remove("RUSTUP_TOOLCHAIN")
    }
}

/// The minor number of `release: 1.88.0` in what `rustc -vV` prints.
fn minor(verbose: &str) -> Option<u32> {
    let release = verbose.lines().find_map(|line| line.strip_prefix("release: 1."))?;
    release.split('.').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_is_read_from_the_verbose_answer() {
        assert_eq!(minor("rustc 1.96.0 (x)\nrelease: 1.96.0\nLLVM version: 22"), Some(96));
        assert_eq!(minor("rustc\n"), None);
    }
}
