//! The C and C++ tests: one CMake project, built plainly and under the sanitizers, and again inside a private root.

use crate::command::Run;
use crate::packages::{Package, file, program};
use crate::servers;
use crate::step::Step;
use crate::tally::Tally;
use crate::toolchain::{self, cargo};
use crate::workspace::{SERVERS, Workspace};
use std::fs;
use std::path::{Path, PathBuf};

pub const PLAIN: Step = Step {
    name: "native",
    what: "C, C++ and gRPC C++ tests, the shared vectors among them",
    needs: packages,
    run: |workspace, tally| run(workspace, Kind::Plain, tally),
};

pub const SANITIZED: Step = Step {
    name: "sanitized",
    what: "the same C and C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer",
    needs: packages,
    run: |workspace, tally| run(workspace, Kind::Sanitized, tally),
};

/// How the tests are built.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Plain,
    Sanitized,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Plain => "cmake/plain",
            Self::Sanitized => "cmake/sanitized",
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::Plain => "-DCMAKE_BUILD_TYPE=Release",
            // Unoptimised: half the time to build, and better line numbers.
            Self::Sanitized => "-DCMAKE_BUILD_TYPE=Debug -DEVENER_SANITIZE=ON",
        }
    }
}

/// What a C++ program with gRPC takes, on this machine, and its tests.
pub fn packages() -> Vec<Package> {
    let tools = [
        program("cmake", "cmake"),
        program("ninja-build", "ninja"),
        program("pkg-config", "pkg-config"),
        program("g++", "g++"),
        program("gcc", "gcc"),
        program("protobuf-compiler-grpc", "grpc_cpp_plugin"),
        file("libgrpc++-dev", &["/usr/include/grpcpp/grpcpp.h", "/usr/local/include/grpcpp/grpcpp.h"]),
    ];
    [toolchain::packages(), servers::packages(), tools.to_vec()].concat()
}

/// Builds libevener.a and libevener.so; the folder they lie in.
pub fn build_library(workspace: &Workspace) -> Result<PathBuf, String> {
    cargo(workspace, "build").args(["--package", "evener-ffi", "--release"]).succeed()?;
    Ok(workspace.target("release"))
}

/// A folder for CMake to build `source` in. One that belongs to another place, because the checkout has moved, begins anew: CMake would refuse it.
pub fn build_folder(workspace: &Workspace, name: &str, source: &Path) -> Result<PathBuf, String> {
    let folder = workspace.target_folder(name)?;
    let cache = fs::read_to_string(folder.join("CMakeCache.txt")).unwrap_or_default();
    let home = cache.lines().find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="));
    if home.is_some_and(|home| Path::new(home) != source) {
        fs::remove_dir_all(&folder).map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
    }
    workspace.target_folder(name)
}

/// The shell commands that configure, build and test, for the checkout at `source`.
pub fn commands(kind: Kind, source: &str, build: &str, library: &str) -> [String; 3] {
    let configure = format!(
        "cmake -S '{source}' -B '{build}' -G Ninja -DEVENER_LIBRARY_DIR='{library}' \
         -DEVENER_TESTS=ON -DEVENER_GRPC=ON {}",
        kind.options()
    );
    [
        configure,
        format!("cmake --build '{build}'"),
        format!("ctest --test-dir '{build}' --output-on-failure --no-tests=error"),
    ]
}

fn run(workspace: &Workspace, kind: Kind, tally: &mut Tally) -> Result<(), String> {
    servers::ensure(workspace)?;
    let library = build_library(workspace)?;
    let build = build_folder(workspace, kind.folder(), workspace.root())?;
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    for script in commands(kind, &workspace.root().to_string_lossy(), &text(&build), &text(&library)) {
        let ended = Run::new("sh").args(["-c", &script]).env_unseen(SERVERS, workspace.servers()).end()?;
        *tally += Tally::of_ctest(&ended.text);
        if !ended.is_success() {
            return Err(ended.complaint());
        }
    }
    if tally.is_empty() { Err("no test was run".to_string()) } else { Ok(()) }
}
