//! The installed library is found by the projects of others.

use crate::command::Run;
use crate::packages::program;
use crate::step::Step;
use crate::steps::native;
use crate::tally::Tally;
use crate::toolchain;
use crate::workspace::Workspace;

pub const STEP: Step = Step {
    name: "install",
    what: "installed, moved, and used from outside: find_package, pkg-config, FetchContent",
    needs: || {
        let tools = [
            program("cmake", "cmake"),
            program("ninja-build", "ninja"),
            program("pkg-config", "pkg-config"),
            program("g++", "g++"),
        ];
        [toolchain::packages(), tools.to_vec()].concat()
    },
    run,
};

fn run(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let library = native::build_library(workspace)?;
    let ended = Run::new("sh")
        .arg(workspace.file("examples/cmake/check.sh"))
        .arg(library)
        .arg(workspace.target("install"))
        .env("CMAKE_GENERATOR", "Ninja")
        .end()?;
    *tally += Tally::of_ctest(&ended.text);
    if ended.is_success() { Ok(()) } else { Err(ended.complaint()) }
}
