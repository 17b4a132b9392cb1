//! What the libraries export is exactly the ABI that was agreed on.

use crate::command::Run;
use crate::packages::program;
use crate::step::Step;
use crate::steps::native;
use crate::tally::Tally;
use crate::toolchain::{self, cargo};
use crate::workspace::Workspace;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub const STEP: Step = Step {
    name: "symbols",
    what: "the libraries export the golden list of symbols, no more and no less",
    needs: || [toolchain::packages(), vec![program("binutils", "nm")]].concat(),
    run: check,
};

fn check(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let full = native::build_library(workspace)?.join("libevener.so");
    compare(workspace, tally, "full", &exported(&["-D", "--defined-only"], &full, |_| true)?)?;
    cargo(workspace, "build")
        .args([
            "--package",
            "evener-ffi",
            "--profile",
            "bare",
            "--no-default-features",
            "--features",
            "panic-loop",
        ])
        .succeed()?;
    let bare = workspace.target("bare/libevener.a");
    compare(
        workspace,
        tally,
        "bare",
        &exported(&["-g", "--defined-only"], &bare, |name| name.starts_with("evener_"))?,
    )
}

fn compare(
    workspace: &Workspace,
    tally: &mut Tally,
    kind: &str,
    exported: &BTreeSet<String>,
) -> Result<(), String> {
    let path = workspace.file(&format!("ffi/golden/{kind}.txt"));
    let golden = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let golden: BTreeSet<String> = golden.lines().map(str::to_string).collect();
    let added: Vec<&String> = exported.difference(&golden).collect();
    let gone: Vec<&String> = golden.difference(exported).collect();
    if added.is_empty() && gone.is_empty() {
        println!("{kind}: {} symbols", exported.len());
        tally.passed += 1;
        return Ok(());
    }
    tally.failed += 1;
    Err(format!("{kind}: not in the golden list: {added:?}; in the list but not exported: {gone:?}"))
}

fn exported(flags: &[&str], library: &Path, keep: fn(&str) -> bool) -> Result<BTreeSet<String>, String> {
    let listed = Run::new("nm").args(flags).arg(library).quiet().end()?;
    let names = listed.text.lines().filter_map(|line| line.split_whitespace().nth(2));
    let names: BTreeSet<String> = names.filter(|name| keep(name)).map(str::to_string).collect();
    if names.is_empty() { Err(format!("nm shows no symbols: {}", listed.text.trim())) } else { Ok(names) }
}
