//! `cargo xtask test`: the steps in order, every one of them run, one closing line.

use crate::newest;
use crate::packages::{self, Package};
use crate::step::Step;
use crate::steps::STEPS;
use crate::tally::Tally;
use crate::workspace::Workspace;
use std::time::{Duration, Instant};

/// What the command line asked for.
pub struct Selection {
    only: Vec<String>,
    newest_grpc: bool,
    list: bool,
}

struct Done {
    name: &'static str,
    tally: Tally,
    time: Duration,
    failure: Option<String>,
}

impl Selection {
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut selection = Self { only: Vec::new(), newest_grpc: false, list: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--newest-grpc" => selection.newest_grpc = true,
                "--list" => selection.list = true,
                "--only" => selection.only.push(known_step(rest.next())?),
                other => {
                    return Err(format!(
                        "unknown argument {other}; known: --only STEP, --newest-grpc, --list"
                    ));
                }
            }
        }
        Ok(selection)
    }

    /// The steps to run. `--newest-grpc` alone is that one step; the plain command leaves it out, since it needs root.
    fn steps(&self) -> Vec<&'static Step> {
        if self.newest_grpc && self.only.is_empty() {
            return vec![&newest::STEP];
        }
        let mut chosen: Vec<&Step> = STEPS.iter().filter(|step| self.wants(step.name)).collect();
        if self.newest_grpc {
            chosen.push(&newest::STEP);
        }
        chosen
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

pub fn run(workspace: &Workspace, selection: &Selection) -> Result<(), String> {
    if selection.list {
        for step in STEPS.iter().chain([&newest::STEP]) {
            println!("{:14} {}", step.name, step.what);
        }
        return Ok(());
    }
    let steps = selection.steps();
    let needs: Vec<Package> = steps.iter().flat_map(|step| (step.needs)()).collect();
    packages::ensure(&needs)?;
    let done: Vec<Done> = steps.iter().map(|step| run_step(workspace, step)).collect();
    close(&done)
}

fn known_step(name: Option<&String>) -> Result<String, String> {
    let name = name.ok_or("--only needs the name of a step")?;
    if STEPS.iter().any(|step| step.name == name) {
        return Ok(name.clone());
    }
    let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
    Err(format!("no step is named {name}; there are: {}", names.join(" ")))
}

fn run_step(workspace: &Workspace, step: &'static Step) -> Done {
    println!("\n=== {}: {}", step.name, step.what);
    let begun = Instant::now();
    let mut tally = Tally::default();
    let failure = (step.run)(workspace, &mut tally).err();
    if failure.is_some() && tally.failed == 0 {
        tally.failed = 1;
    }
    if tally.is_empty() {
        tally.passed = 1;
    }
    let done = Done { name: step.name, tally, time: begun.elapsed(), failure };
    println!("--- {}", line(&done));
    done
}

fn close(done: &[Done]) -> Result<(), String> {
    println!("\n=== summary");
    let mut sum = Tally::default();
    for step in done {
        println!("{}", line(step));
        if let Some(failure) = &step.failure {
            println!("    {}", failure.trim_end().replace('\n', "\n    "));
        }
        sum += step.tally;
    }
    if sum.skipped > 0 {
        println!("{} SKIPPED: what they need is not there; the lines above say what", sum.skipped);
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if sum.failed == 0 { Ok(()) } else { Err("not everything passed".to_string()) }
}

fn line(done: &Done) -> String {
    let verdict = if done.tally.failed == 0 { "ok" } else { "FAILED" };
    let Tally { passed, failed, .. } = done.tally;
    format!(
        "{:14} {verdict:6} {passed:5} passed {failed:3} failed {:8.1} s",
        done.name,
        done.time.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Selection, String> {
        Selection::parse(&arguments.iter().map(|argument| (*argument).to_string()).collect::<Vec<_>>())
    }

    fn names(selection: &Selection) -> Vec<&'static str> {
        selection.steps().iter().map(|step| step.name).collect()
    }

    #[test]
    fn without_arguments_every_step_is_run() {
        assert_eq!(names(&parse(&[]).unwrap()).len(), STEPS.len());
    }

    #[test]
    fn only_chooses_and_refuses_what_it_does_not_know() {
        assert_eq!(names(&parse(&["--only", "fmt"]).unwrap()), ["fmt"]);
        assert!(parse(&["--only", "nonsense"]).is_err());
        assert!(parse(&["--only"]).is_err());
        assert!(parse(&["--fast"]).is_err());
    }

    #[test]
    fn the_newest_grpc_is_a_run_of_its_own() {
        assert_eq!(names(&parse(&["--newest-grpc"]).unwrap()), ["newest-grpc"]);
        assert_eq!(names(&parse(&["--only", "fmt", "--newest-grpc"]).unwrap()), ["fmt", "newest-grpc"]);
    }

    #[test]
    fn a_step_has_a_name_of_its_own() {
        let mut seen: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), STEPS.len());
    }
}
