//! The project's commands, each complete on a machine with only Rust, Python 3 and a C++ compiler.
//!
//! ```text
//! cargo xtask demo                     six real gRPC servers in a real etcd, two clients, one live table
//! cargo xtask test [--only STEP]...    every check of the project, one after the other
//! cargo xtask test --newest-grpc       the C++ channel against the newest gRPC, in a private root
//! cargo xtask test --list              the names of the steps
//! cargo xtask servers                  the registries that the tests run against, built
//! cargo xtask scenarios                real registries and what goes wrong in production, under load
//! cargo xtask fuzz                     each decoder of outside data under a fuzzer, ten minutes each
//! cargo xtask bench                    the measured figures, beside their floors and peers
//! cargo xtask latency                  from a registry's write to the first pick that honours it
//! cargo xtask header                   write include/evener.h anew
//! ```
#![forbid(unsafe_code)]

mod bench;
mod command;
mod demo;
mod fuzz;
mod newest;
mod packages;
mod process;
mod programs;
mod scenarios;
mod servers;
mod step;
mod steps;
mod suite;
mod tally;
mod toolchain;
mod venv;
mod workspace;

use std::process::ExitCode;
use workspace::Workspace;

const USAGE: &str = "usage: cargo xtask demo
       cargo xtask test [--only STEP]... [--newest-grpc] [--list]
       cargo xtask servers
       cargo xtask scenarios
       cargo xtask fuzz [--seconds N] [TARGET]...
       cargo xtask bench [--quick | --criterion [ARGUMENT]...]
       cargo xtask latency [--samples N]
       cargo xtask header";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(reason) => return stop(&reason),
    };
    let Some((name, rest)) = arguments.split_first() else {
        return stop(USAGE);
    };
    let done = match name.as_str() {
        "test" => suite::Selection::parse(rest).and_then(|selection| suite::run(&workspace, &selection)),
        "demo" => demo::run(&workspace, rest),
        "servers" => servers::run(&workspace, rest),
        "scenarios" => scenarios::run_alone(&workspace, rest),
        scenarios::INSIDE => scenarios::play(&workspace, &scenarios::Place::named(rest.first())),
        "fuzz" => fuzz::run(&workspace, rest),
        "bench" => bench::run(&workspace, rest),
        "latency" => bench::latency(&workspace, rest),
        "header" => steps::header::write(&workspace),
        _ => Err(USAGE.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => stop(&reason),
    }
}

fn stop(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::FAILURE
}
