//! `--newest-grpc`: the C++ channel against the newest gRPC, in a Debian of its own under the target directory. The
//! machine itself stays as it is.

use crate::command::Run;
use crate::packages::{self, program};
use crate::step::Step;
use crate::steps::native::{self, Kind};
use crate::tally::Tally;
use crate::toolchain;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

pub const STEP: Step = Step {
    name: "newest-grpc",
    what: "the C++ channel on the newest gRPC, in a private root",
    needs: || {
        [toolchain::packages(), vec![program("debootstrap", "debootstrap"), program("tar", "tar")]].concat()
    },
    run,
};

/// gRPC itself comes from experimental, and all else from unstable.
const PACKAGES: &str = "libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler \
                        cmake ninja-build pkg-config g++ openssl";
/// gRPC was built with unstable's Abseil; experimental's is newer and does not fit.
const ABSEIL: &str = "apt-get install -y --allow-downgrades --no-install-recommends \
                      \"libabsl-dev=$(apt-cache madison libabsl-dev | awk '/sid/{print $3; exit}')\"";
/// Where the checkout lies inside the root.
const CHECKOUT: &str = "evener";

fn run(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    if !packages::is_root() {
        return Err("a private root can be made by root only".to_string());
    }
    let root = ensure_root(workspace)?;
    let version = inside(&root, "dpkg-query -W -f '${Version}' libgrpc++-dev").quiet().succeed()?.text;
    println!("gRPC in the private root: {}", version.trim());
    copy_checkout(workspace, &root)?;
    let libraries = native::build_library(workspace)?;
    copy_library(&libraries, &root)?;
    for script in native::commands(Kind::Plain, &format!("/{CHECKOUT}"), "/build", "/library") {
        let ended = inside(&root, &script).end()?;
        *tally += Tally::of_ctest(&ended.text);
        if !ended.is_success() {
            return Err(ended.complaint());
        }
    }
    if tally.is_empty() { Err("no test was run".to_string()) } else { Ok(()) }
}

/// Makes the root once; a mark at its end tells a finished one from one that was interrupted.
fn ensure_root(workspace: &Workspace) -> Result<PathBuf, String> {
    let root = workspace.target("newest-grpc");
    let mark = root.join("evener-ready");
    if mark.exists() {
        return Ok(root);
    }
    if root.exists() {
        fs::remove_dir_all(&root).map_err(|error| format!("cannot clear {}: {error}", root.display()))?;
    }
    let mirror = mirror()?;
    Run::new("debootstrap").arg("--variant=minbase").arg("sid").arg(&root).arg(&mirror).succeed()?;
    let settings = root.join("etc/apt/apt.conf.d");
    Run::new("cp").arg("-r").arg("/etc/apt/apt.conf.d/.").arg(&settings).succeed()?;
    let sources = root.join("etc/apt/sources.list");
    let lines =
        fs::read_to_string(&sources).unwrap_or_default() + &format!("\ndeb {mirror} experimental main\n");
    fs::write(&sources, lines).map_err(|error| format!("{}: {error}", sources.display()))?;
    inside(
        &root,
        &format!(
            "apt-get -q update && apt-get -q install -y --no-install-recommends -t experimental {PACKAGES}"
        ),
    )
    .succeed()?;
    inside(&root, ABSEIL).succeed()?;
    // The tests call 127.0.0.1 by its name.
    let hosts = root.join("etc/hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n::1 localhost\n")
        .map_err(|error| format!("{}: {error}", hosts.display()))?;
    fs::write(&mark, "").map_err(|error| format!("{}: {error}", mark.display()))?;
    Ok(root)
}

fn inside(root: &Path, script: &str) -> Run {
    Run::new("chroot")
        .arg(root)
        .args(["sh", "-c", script])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// The mirror this machine is configured for, in either of apt's two formats; Debian's own file is asked first.
fn mirror() -> Result<String, String> {
    let mut files =
        vec![PathBuf::from("/etc/apt/sources.list.d/debian.sources"), PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts
        .flat_map(|text| mirrors(&text))
        .find(|mirror| mirror.trim_end_matches('/').ends_with("/debian"))
        .ok_or_else(|| "no Debian mirror is configured in /etc/apt".to_string())
}

fn mirrors(text: &str) -> Vec<String> {
    let url = |line: &str| line.split_whitespace().find(|word| word.starts_with("http")).map(str::to_string);
    text.lines()
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .filter_map(url)
        .collect()
}

/// Everything but what is built; sources of a former run are replaced, so that a deleted file is gone there too.
fn copy_checkout(workspace: &Workspace, root: &Path) -> Result<(), String> {
    let into = root.join(CHECKOUT);
    if into.exists() {
        fs::remove_dir_all(&into).map_err(|error| format!("cannot clear {}: {error}", into.display()))?;
    }
    fs::create_dir_all(&into).map_err(|error| format!("cannot make {}: {error}", into.display()))?;
    let packed = workspace.target("newest-grpc-sources.tar");
    Run::new("tar")
        .args(["--exclude=./target", "--exclude=./.git", "-cf"])
        .arg(&packed)
        .args(["."])
        .folder(workspace.root())
        .succeed()?;
    Run::new("tar").arg("-xf").arg(&packed).arg("-C").arg(&into).succeed().map(|_| ())
}

fn copy_library(from: &Path, root: &Path) -> Result<(), String> {
    let into = root.join("library");
    fs::create_dir_all(&into).map_err(|error| format!("cannot make {}: {error}", into.display()))?;
    for name in ["libevener.a", "libevener.so"] {
        fs::copy(from.join(name), into.join(name)).map_err(|error| format!("cannot copy {name}: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_read_from_both_formats() {
        assert_eq!(
            mirrors("Types: deb\nURIs: http://mirror/debian\nSuites: bookworm\n"),
            ["http://mirror/debian"]
        );
        assert_eq!(
            mirrors("# deb http://no/\ndeb [signed-by=/x] http://mirror/debian bookworm main\n"),
            ["http://mirror/debian"]
        );
    }
}
