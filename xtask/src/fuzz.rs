//! The decoders of outside data: a short run in the tests, without a fuzzer; `cargo xtask fuzz` with one.

use crate::command::Run;
use crate::packages::{self, program};
use crate::step::Step;
use crate::tally::Tally;
use crate::toolchain::{self, cargo_in, counted};
use crate::workspace::Workspace;
use std::fs;
use std::path::PathBuf;

pub const STEP: Step = Step {
    name: "fuzz",
    what: "the corpus of every decoder of outside data, and mutations of it that are the same in every run",
    needs: toolchain::packages,
    run: replay,
};

const MANIFEST: &str = "fuzz/Cargo.toml";
const SECONDS: u32 = 600;
const VERSION: &str = "0.13.2";

fn replay(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let run = |subcommand: &str, more: &[&str]| {
        cargo_in(workspace, subcommand, "fuzz").args(["--manifest-path", MANIFEST]).args(more)
    };
    run("fmt", &["--check"]).succeed()?;
    run("clippy", &["--all-targets", "--", "-D", "warnings"]).succeed()?;
    counted(run("test", &["--no-fail-fast"]), tally)
}

/// `cargo xtask fuzz [--seconds N] [TARGET]...`: each target for so long, without a finding. What the fuzzer learns stays below the target
/// directory, and the next run begins with it.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    let (seconds, chosen) = parse(arguments)?;
    packages::ensure(&[toolchain::packages(), vec![program("g++", "g++")]].concat())?;
    let fuzzer = Fuzzer { workspace, tool: install(workspace)? };
    let targets = targets(workspace)?;
    if let Some(unknown) = chosen.iter().find(|name| !targets.contains(name)) {
        return Err(format!("no target is named {unknown}; there are: {}", targets.join(" ")));
    }
    let chosen = if chosen.is_empty() { targets } else { chosen };
    let found: Vec<String> = chosen.iter().filter_map(|name| fuzzer.run(name, seconds).err()).collect();
    if found.is_empty() {
        println!("No finding in {} targets, {seconds} s each.", chosen.len());
        return Ok(());
    }
    Err(found.join("\n"))
}

fn parse(arguments: &[String]) -> Result<(u32, Vec<String>), String> {
    let (mut seconds, mut chosen) = (SECONDS, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--seconds" => {
                seconds = rest
                    .next()
                    .and_then(|number| number.parse().ok())
                    .ok_or("--seconds needs a number of seconds")?;
            }
            other if other.starts_with('-') => return Err(format!("unknown argument {other}")),
            name => chosen.push(name.to_string()),
        }
    }
    Ok((seconds, chosen))
}

/// The targets, by their corpora; a test of theirs holds the two together.
fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.file("fuzz/corpus");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    Ok(names)
}

/// cargo-fuzz, below the target directory.
fn install(workspace: &Workspace) -> Result<PathBuf, String> {
    let root = workspace.target_folder("tools")?;
    let tool = root.join("bin/cargo-fuzz");
    if !tool.is_file() {
        cargo_in(workspace, "install", "tools/build")
            .args(["cargo-fuzz", "--locked", "--version", VERSION, "--root"])
            .arg(&root)
            .succeed()?;
    }
    Ok(tool)
}

struct Fuzzer<'a> {
    workspace: &'a Workspace,
    tool: PathBuf,
}

impl Fuzzer<'_> {
    fn run(&self, name: &str, seconds: u32) -> Result<(), String> {
        let learnt = self.workspace.target_folder(&format!("fuzz/corpus/{name}"))?;
        let findings = self.workspace.target_folder(&format!("fuzz/findings/{name}"))?;
        let run = Run::new(&self.tool).args(["fuzz", "run", "--fuzz-dir"]).arg(self.workspace.file("fuzz"));
        // Debian's Rust has no runtime of the sanitizer; there is no `unsafe` in what is fuzzed.
        let run = run.args(["--sanitizer", if toolchain::has_rustup() { "address" } else { "none" }]);
        toolchain::cargo_environment(self.workspace, run, "fuzz/build")
            .env("RUSTC_BOOTSTRAP", "1")
            .arg(name)
            .arg(learnt)
            .arg(self.workspace.file("fuzz/corpus").join(name))
            .args([
                "--",
                &format!("-max_total_time={seconds}"),
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-verbosity=0",
            ])
            .args(["-print_final_stats=1", &format!("-artifact_prefix={}/", findings.display())])
            .folder(self.workspace.root())
            .succeed()
            .map(|_| ())
            .map_err(|reason| format!("{name}: a finding, in {}: {reason}", findings.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_string()).collect()
    }

    #[test]
    fn the_time_and_the_targets_are_read() {
        assert_eq!(parse(&[]), Ok((SECONDS, Vec::new())));
        assert_eq!(parse(&words(&["--seconds", "5", "target"])), Ok((5, words(&["target"]))));
        assert!(parse(&words(&["--seconds"])).is_err());
        assert!(parse(&words(&["--minutes"])).is_err());
    }
}
