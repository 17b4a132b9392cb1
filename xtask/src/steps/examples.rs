//! The README's quick starts do what it says: each is built, run against two servers, and its output looked at.

use crate::command::Run;
use crate::packages::Package;
use crate::process::Process;
use crate::programs::{self, Language, Programs, TEST_NETWORK};
use crate::steps::native;
use crate::suite::Step;
use crate::tally::Tally;
use crate::toolchain::cargo;
use crate::venv::Venv;
use crate::workspace::Workspace;

pub const STEP: Step = Step {
    name: "examples",
    what: "the quick starts are built and run against two servers; calls take turns",
    needs: packages,
    run,
};

fn packages() -> Vec<Package> {
    [native::packages(), Venv::packages()].concat()
}

fn run(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let programs = programs::build(workspace)?;
    let first = server(&programs, Language::Python, 1)?;
    let second = server(&programs, Language::Cpp, 2)?;
    let quickstarts = programs::quickstarts(workspace)?;
    let (python, stubs) = programs.interpreter();
    let runs = [
        ("Python", Run::new(python).arg(quickstarts.join("quickstart.py")).env("PYTHONPATH", stubs)),
        ("C++", Run::new(programs.executable("quickstart_cpp"))),
        ("C", Run::new(programs.executable("quickstart_c"))),
        (
            "Rust",
            cargo(workspace, "run").args(["--quiet", "--package", "evener-xtask", "--example", "quickstart"]),
        ),
    ];
    let mut wrong = Vec::new();
    for (language, run) in runs {
        match take_turns(run) {
            Ok(()) => tally.passed += 1,
            Err(reason) => {
                tally.failed += 1;
                wrong.push(format!("{language}: {reason}"));
            }
        }
    }
    first.end()?;
    second.end()?;
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn server(programs: &Programs, language: Language, number: u32) -> Result<Process, String> {
    let name = format!("server {number}");
    let mut command = programs.backend(language);
    command.args([&name, "0", &format!("{TEST_NETWORK}{number}:50051")]);
    let mut process = Process::start(&name, command)?;
    process.listening_port()?;
    Ok(process)
}

/// Four calls, two to each server, never two in a row to the same.
fn take_turns(run: Run) -> Result<(), String> {
    let ended = run.succeed()?;
    let servers: Vec<&str> = ended.text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    let alternating =
        servers.len() == 4 && servers.windows(2).all(|pair| pair[0] != pair[1]) && servers[0] == servers[2];
    if alternating && ["1", "2"].iter().all(|server| servers.contains(server)) {
        return Ok(());
    }
    Err(format!("calls went to {servers:?}"))
}
