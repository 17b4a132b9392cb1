//! The README's quick starts do what it says: each is built, run against two servers, and its output looked at.

use crate::command::Run;
use crate::packages::Package;
use crate::process::Process;
use crate::programs::{self, Language, Programs, TEST_NETWORK};
use crate::step::Step;
use crate::steps::native;
use crate::tally::Tally;
use crate::toolchain::cargo;
use crate::venv::Venv;
use crate::workspace::Workspace;
use evener_test_servers::{Etcd, Scratch};

pub const STEP: Step = Step {
    name: "examples",
    what: "the examples and the README's quick starts are built and run against two servers",
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
    let mut book = |example: &str, result: Result<(), String>| match result {
        Ok(()) => tally.passed += 1,
        Err(reason) => {
            tally.failed += 1;
            wrong.push(format!("{example}: {reason}"));
        }
    };
    for (language, run) in runs {
        book(language, reaches_servers(run));
    }
    let target = format!("static:///{TEST_NETWORK}1:50051,{TEST_NETWORK}2:50051");
    book("cpp-client", shares_calls(Run::new(programs.executable("cpp_client")), &target));
    book("custom-resolver", custom_resolver(&programs));
    if let Some(etcd) = Etcd::start() {
        book("etcd-client", etcd_client(&programs, &etcd));
    } else {
        tally.skipped += 1;
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

/// Two hundred calls, none failed, and both servers had their part.
fn shares_calls(run: Run, target: &str) -> Result<(), String> {
    let ended = run.arg(target).arg("200").succeed()?;
    let both = ["server 1", "server 2"].iter().all(|server| ended.text.contains(&format!("  {server}\n")));
    if both && !ended.text.contains("failed: ") {
        return Ok(());
    }
    Err(format!("not all calls were answered, or not by both servers: {}", ended.text))
}

/// The two servers as the lines of a file.
fn custom_resolver(programs: &Programs) -> Result<(), String> {
    let scratch = Scratch::new("lines");
    let lines: String = (1..=2).map(|number| format!("{TEST_NETWORK}{number}:50051\n")).collect();
    let file = scratch.write("servers.txt", &lines);
    shares_calls(Run::new(programs.executable("custom_resolver")), &format!("lines://{file}"))
}

/// The two servers as records in etcd.
fn etcd_client(programs: &Programs, etcd: &Etcd) -> Result<(), String> {
    for number in 1..=2 {
        let address = format!("{TEST_NETWORK}{number}:50051");
        let record = format!(r#"{{"ip":"{TEST_NETWORK}{number}","port":50051,"healthy":true}}"#);
        etcd.put(&format!("/services/user-service/{address}"), &record);
    }
    let target = format!("etcd://{}/user-service", etcd.client());
    shares_calls(Run::new(programs.executable("etcd_client")), &target)
}

/// Four calls, each answered by one of the two servers. Which one the first go to depends on which connection was there first;
/// who takes turns with whom is the vectors' matter.
fn reaches_servers(run: Run) -> Result<(), String> {
    let ended = run.succeed()?;
    let servers: Vec<&str> = ended.text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    if servers.len() == 4 && servers.iter().all(|server| ["1", "2"].contains(server)) {
        return Ok(());
    }
    Err(format!("calls went to {servers:?}"))
}
