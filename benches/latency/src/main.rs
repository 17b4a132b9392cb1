//! From a write in a registry to the first pick that honours it: real registries, the channel engine, and a transport whose connections
//! are there at once, so that nothing but discovery is measured.
//!
//! ```text
//! latency [--samples N] [--output FILE]
//! ```

mod meter;
mod registries;
mod report;

use registries::Registry;
use report::Row;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// A rolling deployment: one write follows the other within the window.
const ROLLING: Duration = Duration::from_millis(50);
const SAMPLES: usize = 100;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let value = |name: &str| arguments.iter().skip_while(|word| *word != name).nth(1);
    let samples = match value("--samples") {
        Some(number) => number.parse().map_err(|_| "--samples needs a number".to_string())?,
        None => SAMPLES,
    };
    let mut rows = Vec::new();
    for registry in registries::all() {
        rows.extend(measure(registry.as_ref(), samples)?);
    }
    let text = report::markdown(&rows, &date()?);
    print!("{text}");
    match value("--output") {
        Some(file) => std::fs::write(file, text).map_err(|error| format!("{file}: {error}")),
        None => Ok(()),
    }
}

/// Today, by the system's own program.
fn date() -> Result<String, String> {
    let said = Command::new("date").args(["-u", "+%F"]).output().map_err(|error| format!("date: {error}"))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_string())
}

fn measure(registry: &dyn Registry, samples: usize) -> Result<[Row; 2], String> {
    let row = |kind, pause| -> Result<Row, String> {
        eprintln!("{}, {kind}", registry.name());
        let latencies = meter::latencies(registry, samples, pause)?;
        Ok(Row { registry: registry.name(), kind, is_watched: registry.is_watched(), latencies })
    };
    Ok([row("a write alone", registry.quiet())?, row("a write every 50 ms", ROLLING)?])
}
