//! `cargo xtask scenarios`, and a step of the tests: real registries, real servers, a C++ and a Python client under load, and what goes wrong in
//! production.

mod fleet;
mod load;
mod masses;
mod outages;
mod place;
mod registered;
mod registry;

use crate::packages::{self, Package};
use crate::programs::{self, Programs};
use crate::servers;
use crate::step::Step;
use crate::steps::native;
use crate::tally::Tally;
use crate::venv::Venv;
use crate::workspace::Workspace;
pub use place::{INSIDE, Place};
use std::thread;
use std::time::Instant;

pub const STEP: Step = Step {
    name: "scenarios",
    what: "outages, replacements and wiped registries under the load of a C++ and a Python client: no failed call",
    needs: packages,
    run,
};

/// The first part of the network for servers that register themselves.
const FILLED: u8 = 8;

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
    let mut cases = side_by_side(&programs, place);
    // Alone, since it wants the whole machine for a moment.
    cases.extend(masses::thousand(&programs, place));
    let failed = cases.iter().filter(|case| case.result.is_err()).count();
    println!(
        "scenarios: {} passed, {failed} failed in {:.0} s",
        cases.len() - failed,
        begun.elapsed().as_secs_f64()
    );
    if failed == 0 { Ok(()) } else { Err("a scenario failed".to_string()) }
}

/// What takes a minute takes it once: most of it is waiting.
fn side_by_side(programs: &Programs, place: &Place) -> Vec<Case> {
    let outages = registry::all(place.takes_kubernetes());
    let filled = registered::registries();
    thread::scope(|scope| {
        let mut running = vec![scope.spawn(|| masses::rolling(programs, place))];
        for (number, registry) in (1..).zip(&outages) {
            running.push(scope.spawn(move || outages::run(programs, place, number, registry.as_ref())));
        }
        for (number, registry) in (FILLED..).zip(&filled) {
            running.push(scope.spawn(move || registered::run(programs, place, number, registry.as_ref())));
        }
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|_| vec![panicked()])).collect()
    })
}

fn panicked() -> Case {
    Case::new("a registry is set up and changed", Err("it panicked; what it said stands above".to_string()))
}
