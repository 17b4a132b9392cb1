//! Where the servers' programs are, and what happens to a test whose server is missing.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Folders that hold Debian's daemons and are often not in an ordinary user's PATH.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];
/// What Debian brings; everything else is built by `cargo xtask servers`.
const FROM_DEBIAN: [&str; 2] = ["named", "nsupdate"];
/// What is built where there is Go; Debian's, older ones serve nearly as well where there is none.
const FROM_EITHER: [&str; 2] = ["etcd", "etcdctl"];

/// The program `name`: `etcd`, `etcdctl`, `consul`, `kube-apiserver`, `named`, `nsupdate`. `None` when it is not there.
pub fn find(name: &str) -> Option<PathBuf> {
    let mut folders = Vec::new();
    if !FROM_DEBIAN.contains(&name) {
        folders.push(built_servers());
    }
    if FROM_DEBIAN.contains(&name) || FROM_EITHER.contains(&name) {
        let path = env::var_os("PATH").unwrap_or_default();
        folders.extend(env::split_paths(&path).chain(SYSTEM.map(PathBuf::from)));
    }
    folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The same, for a test: a program that is not there is said on standard error, past the capture of the test harness, and fails
/// the test where `CI=true`.
///
/// # Panics
/// With `CI=true`, when the program is missing.
pub fn found_or_skipped(name: &str) -> Option<PathBuf> {
    if let Some(program) = find(name) {
        return Some(program);
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let remedy = if FROM_DEBIAN.contains(&name) {
        "apt-get install bind9 bind9-dnsutils brings it"
    } else {
        "cargo xtask servers builds it"
    };
    let line = format!("SKIPPED: {test}: no {name}; {remedy}\n");
    assert!(env::var_os("CI").is_none_or(|value| value != "true"), "{line}");
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}

fn built_servers() -> PathBuf {
    if let Some(folder) = env::var_os("EVENER_SERVERS") {
        return PathBuf::from(folder);
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => checkout.join(target).join("servers"),
        None => checkout.join("target/servers"),
    }
}
