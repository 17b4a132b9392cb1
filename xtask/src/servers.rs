//! `cargo xtask servers`: the registries that the tests run against, built from pinned Go modules with Go's own caches: minutes the first time on a machine,
//! a second afterwards.

use crate::command::{Run, is_installed};
use crate::packages::{Package, file, program};
use crate::step::Step;
use crate::tally::Tally;
use crate::workspace::Workspace;
use evener_test_servers::find;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

pub const STEP: Step = Step {
    name: "servers",
    what: "etcd, Consul and the Kubernetes API server, for the tests, are built from their Go modules",
    needs: packages,
    run: |workspace, _: &mut Tally| ensure(workspace),
};

/// The oldest Go that these modules build with, as their go.mod says.
const OLDEST_GO: u32 = 26;

/// A Go module under `testdata/servers`, and the programs that are built from it.
struct Module {
    name: &'static str,
    /// File name and package.
    programs: &'static [(&'static str, &'static str)],
    linker_flags: &'static str,
}

const ETCD: Module = Module {
    name: "etcd",
    programs: &[("etcd", "go.etcd.io/etcd/server/v3"), ("etcdctl", "go.etcd.io/etcd/etcdctl/v3")],
    linker_flags: "-s -w",
};

const MODULES: [Module; 3] = [
    ETCD,
    Module { name: "consul", programs: &[("consul", "github.com/hashicorp/consul")], linker_flags: "-s -w" },
    Module {
        name: "kubernetes",
        programs: &[("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver")],
        // Without a version it would call itself v0.0.0 and refuse to begin.
        linker_flags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 \
                       -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37",
    },
];

/// What tests with real servers take from Debian.
pub fn packages() -> Vec<Package> {
    vec![
        file("bind9", &["/usr/sbin/named", "/usr/bin/named", "/usr/local/sbin/named"]),
        program("bind9-dnsutils", "nsupdate"),
        program("openssl", "openssl"),
    ]
}

/// What etcd alone takes: nothing where it is there already or can be built, Debian's otherwise.
pub fn etcd_packages() -> Vec<Package> {
    if go_version().is_ok() || ["etcd", "etcdctl"].iter().all(|name| find(name).is_some()) {
        return Vec::new();
    }
    vec![program("etcd-server", "etcd"), program("etcd-client", "etcdctl")]
}

/// Builds etcd alone, where there is Go and it is not up to date.
pub fn ensure_etcd(workspace: &Workspace) -> Result<(), String> {
    match go_version() {
        Ok(go) if !workspace.has_own_servers() => build(workspace, &ETCD, &go),
        _ => Ok(()),
    }
}

/// `cargo xtask servers`.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    if let Some(unknown) = arguments.first() {
        return Err(format!("unknown argument {unknown}; `servers` takes none"));
    }
    ensure(workspace)?;
    println!("{}", workspace.servers().display());
    Ok(())
}

/// Builds what is not up to date. Without Go the tests that need these servers skip themselves, which is said; with `CI=true` it is an
/// error.
pub fn ensure(workspace: &Workspace) -> Result<(), String> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT.get_or_init(|| build_all(workspace)).clone()
}

fn build_all(workspace: &Workspace) -> Result<(), String> {
    if workspace.has_own_servers() {
        println!("The servers are those in {}.", workspace.servers().display());
        return Ok(());
    }
    let go = match go_version() {
        Ok(go) => go,
        Err(reason) if env::var_os("CI").is_some_and(|value| value == "true") => return Err(reason),
        Err(reason) => {
            println!("SKIPPED: every test that needs etcd, Consul or Kubernetes: {reason}");
            return Ok(());
        }
    };
    MODULES.iter().try_for_each(|module| build(workspace, module, &go))
}

/// `go1.26.8`, when it is new enough.
fn go_version() -> Result<String, String> {
    if !is_installed("go") {
        return Err(format!("no Go; its version 1.{OLDEST_GO} or later is needed"));
    }
    let version = Run::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").quiet().succeed()?;
    let version = version.text.trim().to_string();
    if minor(&version).is_some_and(|minor| minor >= OLDEST_GO) {
        return Ok(version);
    }
    Err(format!("{version} is too old; Go 1.{OLDEST_GO} or later is needed"))
}

/// The minor number of `go1.26.8`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("go1.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn build(workspace: &Workspace, module: &Module, go: &str) -> Result<(), String> {
    let source = workspace.file("testdata/servers").join(module.name);
    let into = workspace.target_folder("servers")?;
    let mark = into.join(format!("{}.built", module.name));
    let wanted = fingerprint(&source, module, go)?;
    let is_there = module.programs.iter().all(|(program, _)| into.join(program).is_file());
    if is_there && fs::read_to_string(&mark).is_ok_and(|built| built == wanted) {
        return Ok(());
    }
    for (program, package) in module.programs {
        Run::new("go")
            .args(["build", "-p", "2", "-trimpath", "-ldflags", module.linker_flags, "-o"])
            .arg(into.join(program))
            .arg(package)
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .env_unseen("GOWORK", "off")
            .folder(&source)
            .succeed()?;
    }
    fs::write(&mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))
}

/// All that a build depends on.
fn fingerprint(source: &Path, module: &Module, go: &str) -> Result<String, String> {
    let read = |name: &str| {
        let path = source.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    Ok([go, module.linker_flags, &read("go.mod")?, &read("go.sum")?].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(minor("go1.26.8"), Some(26));
        assert_eq!(minor("go1.27rc1"), Some(27));
        assert_eq!(minor("devel"), None);
    }
}
