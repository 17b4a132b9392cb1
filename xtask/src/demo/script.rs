//! What happens, and when: about 35 seconds.

use super::board::NOT_LISTED;
use super::stage::Stage;
use crate::programs::Language::{Cpp, Python};
use std::time::Duration;

const READY: &[&str] = &["ready"];
const DRAINING: &[&str] = &["draining"];
const GONE: &[&str] = &[NOT_LISTED];
const LOST: &[&str] = &["idle", "connecting", "transient_failure"];

pub fn play(stage: &mut Stage) -> Result<(), String> {
    stage.tell("Six backends of different speed start; a Python and a C++ client spread their calls over them, round robin.");
    let mut serving = stage.start_backends(&[
        ("python-1", Python, 2),
        ("python-2", Python, 5),
        ("python-3", Python, 10),
        ("cpp-1", Cpp, 1),
        ("cpp-2", Cpp, 4),
        ("cpp-3", Cpp, 8),
    ])?;
    stage.start_clients(&serving)?;
    settle(stage, &serving, 6)?;
    add_two(stage, &mut serving)?;
    drain_and_remove_one(stage, &mut serving)?;
    kill_one(stage, &serving)?;
    stage.tell("The end: the clients finish their calls, then the servers stop.");
    Ok(())
}

fn add_two(stage: &mut Stage, serving: &mut Vec<usize>) -> Result<(), String> {
    stage.tell("Two backends are added: python-4 and cpp-4.");
    serving.extend(stage.start_backends(&[("python-4", Python, 3), ("cpp-4", Cpp, 2)])?);
    stage.set_endpoints(&weighted(serving, None))?;
    settle(stage, serving, 6)
}

fn drain_and_remove_one(stage: &mut Stage, serving: &mut Vec<usize>) -> Result<(), String> {
    let leaving = serving[1];
    stage.tell("python-2 is drained: weight 0 keeps its connection and takes it out of every pick.");
    let before = std::mem::take(serving);
    serving.extend(before.iter().filter(|&&number| number != leaving));
    stage.set_endpoints(&weighted(&before, Some(leaving)))?;
    stage.until_state(leaving, DRAINING)?;
    stage.until_idle(leaving)?;
    stage.tell("Its last call has ended: it is removed, and its server stops.");
    stage.set_endpoints(&weighted(serving, None))?;
    stage.until_state(leaving, GONE)?;
    stage.stop_backend(leaving)?;
    settle(stage, serving, 5)
}

fn kill_one(stage: &mut Stage, serving: &[usize]) -> Result<(), String> {
    let killed = serving[2];
    let name = stage.board().backends[killed].name.clone();
    stage.tell(&format!("{name} is killed with SIGKILL, with no change to the list of endpoints."));
    stage.kill_backend(killed)?;
    stage.until_state(killed, LOST)?;
    let others: Vec<usize> = serving.iter().copied().filter(|&number| number != killed).collect();
    settle(stage, &others, 4)?;
    stage.tell(&format!("{name} comes back where it was."));
    stage.restart_backend(killed)?;
    settle(stage, serving, 5)
}

/// Waits until every client has a connection to all of these, then watches calls go to them alone.
fn settle(stage: &mut Stage, serving: &[usize], seconds: u64) -> Result<(), String> {
    for &number in serving {
        stage.until_state(number, READY)?;
    }
    let before = stage.board().counts();
    stage.watch(Duration::from_secs(seconds))?;
    stage.board().book(&before, serving);
    let verdict = stage.board().phase_verdict(&before, serving);
    stage.tell(&format!("    {seconds} s over {} backends: {verdict}", serving.len()));
    Ok(())
}

fn weighted(serving: &[usize], drained: Option<usize>) -> Vec<(usize, u32)> {
    serving.iter().map(|&number| (number, u32::from(drained != Some(number)))).collect()
}
