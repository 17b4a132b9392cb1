//! `cargo xtask scenarios`: real registries, real servers, a C++ and a Python client under load, and what goes wrong in production.

mod fleet;
mod load;
mod masses;
mod outages;
mod place;
mod registry;

use crate::packages::{self, Package};
use crate::programs::{self, Programs};
use crate::servers;
use crate::steps::native;
use crate::tally::Tally;
use crate::venv::Venv;
use crate::workspace::Workspace;
pub use place::{INSIDE, Place};
use std::thread;
use std::time::Instant;

/// One statement and whether it held.
pub struct Case {
    what: String,
    result: Result<(), String>,
}

impl Case {
    fn new(what: impl Into<String>, result: Result<(), String>) -> Self {
        let case = Self { what: what.into(), result };
        match &case.result {
            Ok(()) => println!("ok      {}", case.what),
            Err(reason) => println!("FAILED  {}: {reason}", case.what),
        }
        case
    }
}

fn packages() -> Vec<Package> {
    [native::packages(), Venv::packages(), place::packages()].concat()
}

fn run(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    servers::ensure(workspace)?;
    programs::build(workspace)?;
    place::enter(workspace, tally)
}

/// `cargo xtask scenarios`.
pub fn run_alone(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    if let Some(unknown) = arguments.first() {
        return Err(format!("unknown argument {unknown}; `scenarios` takes none"));
    }
    packages::ensure(&packages())?;
    let mut tally = Tally::default();
    run(workspace, &mut tally)?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(())
}

/// What is run inside the network namespace: everything is built.
pub fn play(workspace: &Workspace, place: &Place) -> Result<(), String> {
    let programs = programs::built(workspace);
    let begun = Instant::now();
    let mut cases = outages(&programs, place);
    cases.extend(masses::run(&programs, place));
    let failed = cases.iter().filter(|case| case.result.is_err()).count();
    println!(
        "scenarios: {} passed, {failed} failed in {:.0} s",
        cases.len() - failed,
        begun.elapsed().as_secs_f64()
    );
    if failed == 0 { Ok(()) } else { Err("a scenario failed".to_string()) }
}

/// All registries side by side: what takes a minute takes it once.
fn outages(programs: &Programs, place: &Place) -> Vec<Case> {
    let registries = registry::all(place.takes_kubernetes());
    thread::scope(|scope| {
        let running: Vec<_> = (1..)
            .zip(&registries)
            .map(|(number, registry)| {
                let registry = registry.as_ref();
                scope.spawn(move || outages::run(programs, place, number, registry))
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|_| vec![panicked()])).collect()
    })
}

fn panicked() -> Case {
    Case::new("a registry is set up and changed", Err("it panicked; what it said stands above".to_string()))
}
