//! The examples and the README's quick starts do what they say: each is built, run, and its output looked at.

mod environments;

use crate::command::Run;
use crate::packages::Package;
use crate::process::Process;
use crate::programs::{self, Language, Programs, TEST_NETWORK};
use crate::servers;
use crate::step::Step;
use crate::steps::native;
use crate::tally::Tally;
use crate::toolchain::cargo;
use crate::venv::Venv;
use crate::workspace::Workspace;
use evener_test_servers::{Bind, BindOptions, Consul, Etcd, Scratch, eventually};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a registry may take to find out.
const PATIENCE: Duration = Duration::from_secs(20);

pub const STEP: Step = Step {
    name: "examples",
    what: "the examples and the README's quick starts are built and run, against real servers and registries",
    needs: packages,
    run,
};

fn packages() -> Vec<Package> {
    [native::packages(), Venv::packages()].concat()
}

fn run(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    servers::ensure(workspace)?;
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
    let mut book = Book { tally, wrong: Vec::new() };
    for (language, run) in runs {
        book.enter(language, || reaches_servers(run));
    }
    let show = Show { workspace, programs: &programs };
    book.enter("cpp-client", || {
        answered_by_each(|| show.cpp("cpp_client").arg(two_servers()).arg("200"), &TWO)
    });
    book.enter("custom-resolver", || custom_resolver(&show));
    book.enter("environments/development", || environments::development(&show));
    book.enter_with("etcd-client", Etcd::start(), |etcd| etcd_client(&show, etcd));
    book.enter_with("consul-server", Consul::start(), |consul| consul_server(&show, consul));
    book.enter_with("environments/test", name_server(), |bind| environments::test(&show, bind));
    book.enter_with("environments/production", Etcd::start(), |etcd| environments::production(&show, etcd));
    first.end()?;
    second.end()?;
    book.close()
}

/// What each example came to.
struct Book<'a> {
    tally: &'a mut Tally,
    wrong: Vec<String>,
}

impl Book<'_> {
    fn enter(&mut self, example: &str, show: impl FnOnce() -> Result<(), String>) {
        match show() {
            Ok(()) => self.tally.passed += 1,
            Err(reason) => {
                self.tally.failed += 1;
                self.wrong.push(format!("{example}: {reason}"));
            }
        }
    }

    /// The same, of an example that needs a server which may not be installed; that was said.
    fn enter_with<S>(
        &mut self,
        example: &str,
        server: Option<S>,
        show: impl FnOnce(&S) -> Result<(), String>,
    ) {
        match server {
            Some(server) => self.enter(example, || show(&server)),
            None => self.tally.skipped += 1,
        }
    }

    fn close(self) -> Result<(), String> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self.wrong.join("\n")) }
    }
}

/// How an example is run.
struct Show<'a> {
    workspace: &'a Workspace,
    programs: &'a Programs,
}

impl Show<'_> {
    fn cpp(&self, name: &str) -> Run {
        Run::new(self.programs.executable(name))
    }

    /// A script, by its path below `examples`.
    fn python(&self, script: &str) -> Run {
        let (python, stubs) = self.programs.interpreter();
        Run::new(python).arg(self.file(script)).env("PYTHONPATH", stubs)
    }

    /// The same, to run beside this program.
    fn start_python(&self, script: &str, arguments: &[&str]) -> Result<Process, String> {
        let (python, stubs) = self.programs.interpreter();
        let mut command = Command::new(python);
        command.arg(self.file(script)).args(arguments).env("PYTHONPATH", stubs);
        Process::start(script, command)
    }

    /// The `evener` command.
    fn evener(&self) -> Run {
        Run::new(self.programs.interpreter().0).args(["-m", "evener"])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.workspace.file("examples").join(name)
    }
}

/// The servers that the first examples share.
const TWO: [&str; 2] = ["server 1", "server 2"];

fn two_servers() -> String {
    format!("static:///{TEST_NETWORK}1:50051,{TEST_NETWORK}2:50051")
}

fn server(programs: &Programs, language: Language, number: u32) -> Result<Process, String> {
    let name = format!("server {number}");
    let mut command = programs.backend(language);
    command.args([&name, "0", &format!("{TEST_NETWORK}{number}:50051")]);
    let mut process = Process::start(&name, command)?;
    process.listening_port()?;
    Ok(process)
}

/// No call failed, and these servers, no others, had their part.
fn answered(run: Run, by: &[&str]) -> Result<(), String> {
    let ended = run.succeed()?;
    if servers_in(&ended.text) == by.iter().copied().collect() {
        return Ok(());
    }
    Err(format!("calls were to be answered by {by:?}: {}", ended.text))
}

/// The same for several servers. A client calls as soon as one connection stands, and may be done before the next one does: then it is
/// run again.
fn answered_by_each(run: impl Fn() -> Run, by: &[&str]) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ended = run().succeed()?;
        let (seen, all) = (servers_in(&ended.text), by.iter().copied().collect());
        if seen == all {
            return Ok(());
        }
        if seen.is_empty() || !seen.is_subset(&all) || Instant::now() >= deadline {
            return Err(format!("calls were to be answered by each of {by:?}: {}", ended.text));
        }
    }
}

/// A line is `COUNT  SERVER`; what a program warns of stands elsewhere.
fn servers_in(text: &str) -> BTreeSet<&str> {
    let shares = text.lines().filter_map(|line| line.split_once("  "));
    shares.filter(|(count, _)| count.parse::<u32>().is_ok()).map(|(_, server)| server).collect()
}

/// The two servers as the lines of a file; the resolver in C++, and in Python both ways.
fn custom_resolver(show: &Show) -> Result<(), String> {
    let scratch = Scratch::new("lines");
    let lines: String = (1..=2).map(|number| format!("{TEST_NETWORK}{number}:50051\n")).collect();
    let file = scratch.write("servers.txt", &lines);
    answered_by_each(|| show.cpp("custom_resolver").arg(format!("lines://{file}")).arg("200"), &TWO)?;
    for scheme in ["lines", "lines-by-hand"] {
        let target = format!("{scheme}://{file}");
        answered_by_each(|| show.python("custom-resolver/main.py").arg(&target).arg("200"), &TWO)?;
    }
    Ok(())
}

/// The two servers as records in etcd; the client in C++ and in Python.
fn etcd_client(show: &Show, etcd: &Etcd) -> Result<(), String> {
    for number in 1..=2 {
        let address = format!("{TEST_NETWORK}{number}:50051");
        let record = format!(r#"{{"ip":"{TEST_NETWORK}{number}","port":50051,"healthy":true}}"#);
        etcd.put(&format!("/services/user-service/{address}"), &record);
    }
    let target = format!("etcd://{}/user-service", etcd.client());
    answered_by_each(|| show.cpp("etcd_client").arg(&target).arg("200"), &TWO)?;
    answered_by_each(|| show.python("etcd-client/client.py").arg(&target).arg("200"), &TWO)
}

/// A server that Consul asks for its health; it is found, and it leaves in order.
fn consul_server(show: &Show, consul: &Consul) -> Result<(), String> {
    let registry = format!("consul://{}", consul.http());
    let address = format!("{TEST_NETWORK}3:50051");
    let mut server = show.start_python("consul-server/server.py", &[&registry, &address])?;
    expect_line(&mut server, &format!("registered {address}"))?;
    let passing = || {
        consul.get("/v1/health/service/user-service?passing").as_array().map_or(0, |servers| servers.len())
    };
    eventually("Consul finds the server healthy", PATIENCE, || passing() == 1);
    let client = show.python("etcd-client/client.py").arg(format!("{registry}/user-service")).arg("20");
    answered(client, &[&format!("user-service at {address}")])?;
    server.signal("TERM")?;
    expect_line(&mut server, "left")?;
    server.end()?;
    match consul.get("/v1/health/service/user-service").as_array() {
        Some(left) if left.is_empty() => Ok(()),
        left => Err(format!("Consul still knows {left:?}")),
    }
}

fn name_server() -> Option<Bind> {
    let records = environments::TEST_SERVERS.map(|host| format!("user-service 1 A {TEST_NETWORK}{host}"));
    Bind::start(&BindOptions { records: records.to_vec(), ..BindOptions::default() })
}

fn expect_line(process: &mut Process, expected: &str) -> Result<(), String> {
    let line = process.next_line()?;
    if line == expected { Ok(()) } else { Err(format!("said {line:?} instead of {expected:?}")) }
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
