//! What Rust's own tools check.

use crate::command::Run;
use crate::packages::{Package, program};
use crate::servers;
use crate::step::Step;
use crate::tally::Tally;
use crate::toolchain::{self, OLDEST_RUST, cargo, cargo_in, counted};
use crate::workspace::Workspace;
use serde_json::Value;

pub const FMT: Step = Step {
    name: "fmt",
    what: "the Rust code is formatted",
    needs: || toolchain::subcommand_package("fmt", "rustfmt-web"),
    run: fmt,
};

pub const CLIPPY: Step = Step {
    name: "clippy",
    what: "no warning of rustc or clippy, in any crate, test or bench",
    needs: clippy_needs,
    run: clippy,
};

pub const FEATURES: Step = Step {
    name: "features",
    what: "no warning either in the libraries without features, or with each feature alone; the channel without any works",
    needs: clippy_needs,
    run: features,
};

pub const TESTS: Step = Step {
    name: "rust",
    what: "the Rust tests of every crate, those against real registries among them",
    needs: || [toolchain::packages(), servers::packages()].concat(),
    run: tests,
};

pub const MSRV: Step = Step {
    name: "msrv",
    what: "the stated oldest Rust builds the libraries; no dependency asks for a newer one or brings OpenSSL",
    needs: toolchain::packages,
    run: msrv,
};

pub const DOCS: Step = Step {
    name: "docs",
    what: "the documentation builds without a warning",
    needs: toolchain::packages,
    run: docs,
};

pub const LOOM: Step = Step {
    name: "loom",
    what: "every interleaving of the lock-free parts, and the broken variants that must fail",
    needs: none,
    run: loom,
};

/// Cargo's test harness cannot link the extension module, and the benches are no tests; both are linted all the same.
const NOT_TESTED_HERE: [&str; 4] = ["--exclude", "evener-python", "--exclude", "evener-benches"];

fn none() -> Vec<Package> {
    Vec::new()
}

/// A peer in the benches builds a C library.
fn clippy_needs() -> Vec<Package> {
    let mut packages = toolchain::subcommand_package("clippy", "rust-web-clippy");
    packages.extend(toolchain::packages());
    packages.extend([program("cmake", "cmake"), program("make", "make")]);
    packages
}

fn fmt(workspace: &Workspace, _: &mut Tally) -> Result<(), String> {
    toolchain::ensure_component("fmt", "rustfmt")?;
    cargo(workspace, "fmt").args(["--all", "--check"]).succeed().map(|_| ())
}

fn clippy(workspace: &Workspace, _: &mut Tally) -> Result<(), String> {
    toolchain::ensure_component("clippy", "clippy")?;
    let lint = |more: &[&str]| {
        cargo(workspace, "clippy").args(more).args(["--", "-D", "warnings"]).succeed().map(|_| ())
    };
    lint(&["--workspace", "--all-targets"])
}

/// A package, and what is switched on in it, one feature at a time. The workspace as a whole is always built with all of them.
const ALONE: [(&str, &[&str]); 3] = [
    ("evener-discovery", &["", "runtime", "dns", "etcd", "consul", "kubernetes", "probes"]),
    ("evener-channel", &["", "runtime"]),
    ("evener-ffi", &["full"]),
];

fn features(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    toolchain::ensure_component("clippy", "clippy")?;
    let mut wrong = Vec::new();
    for (package, features) in ALONE {
        for feature in features {
            let ended = cargo(workspace, "clippy")
                .args(["--package", package, "--all-targets", "--no-default-features", "--features", feature])
                .args(["--", "-D", "warnings"])
                .end()?;
            if ended.is_success() {
                tally.passed += 1;
            } else {
                tally.failed += 1;
                wrong.push(ended.complaint());
            }
        }
    }
    // Static lists and names that the system looks up are there in every build.
    let without_any = ["--package", "evener-channel", "--no-default-features", "--no-fail-fast"];
    wrong.extend(counted(cargo(workspace, "test").args(without_any), tally).err());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn tests(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    servers::ensure(workspace)?;
    let run = cargo(workspace, "test").args(["--workspace", "--no-fail-fast"]).args(NOT_TESTED_HERE);
    counted(run, tally)
}

fn loom(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let run = cargo_in(workspace, "test", "loom")
        .args([
            "--package",
            "evener-core",
            "--package",
            "evener-channel",
            // Nothing that needs an asynchronous runtime, which does not build under this flag.
            "--no-default-features",
            "--release",
            "--no-fail-fast",
            "--lib",
            "models",
        ])
        .env("RUSTFLAGS", "--cfg loom");
    counted(run, tally)
}

fn docs(workspace: &Workspace, _: &mut Tally) -> Result<(), String> {
    cargo(workspace, "doc")
        .args(["--workspace", "--no-deps", "--exclude", "evener-benches", "--exclude", "evener-xtask"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .succeed()
        .map(|_| ())
}

/// Clippy holds the standard library's side of the promise everywhere (`incompatible_msrv`); where rustup can fetch the
/// stated version, the libraries are built with it as well.
fn msrv(workspace: &Workspace, _: &mut Tally) -> Result<(), String> {
    let metadata = cargo(workspace, "metadata").args(["--format-version", "1"]).quiet().succeed()?;
    let metadata = metadata.text.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let metadata: Value =
        serde_json::from_str(metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let wrong: Vec<String> =
        packages.iter().flat_map(|package| [wrong_version(package), unwanted(package)]).flatten().collect();
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    println!("{} packages, none asks for more than Rust {OLDEST_RUST}", packages.len());
    if !toolchain::has_rustup() {
        println!(
            "No rustup here: the build with Rust {OLDEST_RUST} itself is left to machines that have it."
        );
        return Ok(());
    }
    if !toolchain::has_version(OLDEST_RUST) {
        println!(
            "rustup cannot fetch Rust {OLDEST_RUST} here: the build with it is left to machines that can."
        );
        return Ok(());
    }
    Run::new("rustup")
        .args(["run", OLDEST_RUST, "cargo", "check", "--workspace", "--lib"])
        .args(["--exclude", "evener-benches"])
        .env("CARGO_TARGET_DIR", workspace.target("msrv"))
        .env_remove("CARGO")
        .folder(workspace.root())
        .succeed()
        .map(|_| ())
}

/// Ours must state the promised version; a dependency may not ask for a newer one.
fn wrong_version(package: &Value) -> Option<String> {
    let name = package["name"].as_str()?;
    let is_ours = package["source"].is_null();
    let stated = package["rust_version"].as_str();
    match stated {
        None if is_ours => Some(format!("{name} states no rust-version")),
        Some(version) if is_ours && version != OLDEST_RUST => {
            Some(format!("{name} states {version}, not {OLDEST_RUST}"))
        }
        Some(version) if numbers(version) > numbers(OLDEST_RUST) => {
            Some(format!("{name} asks for Rust {version}"))
        }
        _ => None,
    }
}

/// TLS is rustls: what links OpenSSL could not be carried by a wheel.
fn unwanted(package: &Value) -> Option<String> {
    let name = package["name"].as_str()?;
    ["openssl-sys", "native-tls"].contains(&name).then(|| format!("{name} is among the dependencies"))
}

fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_dependency_that_asks_for_more_is_named() {
        let package = |version: &str| json!({"name": "x", "source": "registry", "rust_version": version});
        assert_eq!(wrong_version(&package("1.70.0")), None);
        assert_eq!(wrong_version(&package("1.88.1")), None);
        assert_eq!(wrong_version(&package("1.89")), Some("x asks for Rust 1.89".to_string()));
    }

    #[test]
    fn what_links_openssl_is_named() {
        assert_eq!(unwanted(&json!({"name": "openssl-probe"})), None);
        assert!(unwanted(&json!({"name": "openssl-sys"})).is_some());
    }

    #[test]
    fn our_own_packages_state_exactly_the_promise() {
        assert_eq!(wrong_version(&json!({"name": "x", "source": null, "rust_version": "1.88"})), None);
        assert!(wrong_version(&json!({"name": "x", "source": null, "rust_version": "1.85"})).is_some());
        assert!(wrong_version(&json!({"name": "x", "source": null, "rust_version": null})).is_some());
    }
}
