//! What happens, and when: about 45 seconds.

use super::board::NOT_LISTED;
use super::stage::Stage;
use crate::programs::Language::{Cpp, Python};
use std::time::Duration;

const READY: &[&str] = &["ready"];
/// A client that is busy may say nothing between the two.
const LEAVING: &[&str] = &["draining", NOT_LISTED];
const GONE: &[&str] = &[NOT_LISTED];
const LOST: &[&str] = &["idle", "connecting", "transient_failure"];

/// From the registry's SIGKILL until it is started again.
pub const OUTAGE: Duration = Duration::from_secs(5);

pub fn play(stage: &mut Stage) -> Result<(), String> {
    stage.tell("Six backends of different speed register themselves in etcd; a Python and a C++ client find them there.");
    let mut serving = stage.start_backends(&[
        ("python-1", Python, 2),
        ("python-2", Python, 5),
        ("python-3", Python, 10),
        ("cpp-1", Cpp, 1),
        ("cpp-2", Cpp, 4),
        ("cpp-3", Cpp, 8),
    ])?;
    stage.start_clients()?;
    settle(stage, &serving, 5)?;
    add_two(stage, &mut serving)?;
    drain_and_remove_one(stage, &mut serving)?;
    kill_one(stage, &serving)?;
    kill_the_registry(stage, &serving)?;
    stage.tell("The end: the clients finish their calls, then the servers leave the registry and stop.");
    Ok(())
}

fn add_two(stage: &mut Stage, serving: &mut Vec<usize>) -> Result<(), String> {
    stage.tell("Two backends are added, and register themselves: python-4 and cpp-4.");
    serving.extend(stage.start_backends(&[("python-4", Python, 3), ("cpp-4", Cpp, 2)])?);
    settle(stage, serving, 5)
}

fn drain_and_remove_one(stage: &mut Stage, serving: &mut Vec<usize>) -> Result<(), String> {
    let leaving = serving.remove(1);
    stage.tell("python-2 is told to end. It marks itself as leaving: connections stay, and no pick takes it any more.");
    stage.dismiss_backend(leaving)?;
    stage.until_state(leaving, LEAVING)?;
    stage.until_idle(leaving)?;
    stage.tell("Its last call has ended: it takes itself out of the registry, and its server stops.");
    stage.until_state(leaving, GONE)?;
    stage.see_off_backend(leaving)?;
    settle(stage, serving, 4)
}

fn kill_one(stage: &mut Stage, serving: &[usize]) -> Result<(), String> {
    let killed = serving[2];
    let name = stage.board().backends[killed].name.clone();
    stage.tell(&format!("{name} is killed with SIGKILL. etcd lists it for up to 15 s more; lost connections take it out of picks at once."));
    stage.kill_backend(killed)?;
    stage.until_state(killed, LOST)?;
    let others: Vec<usize> = serving.iter().copied().filter(|&number| number != killed).collect();
    settle(stage, &others, 3)?;
    stage.tell(&format!("{name} comes back where it was, and registers itself again."));
    stage.restart_backend(killed)?;
    settle(stage, serving, 4)
}

fn kill_the_registry(stage: &mut Stage, serving: &[usize]) -> Result<(), String> {
    stage.tell("etcd itself is killed with SIGKILL. The clients call on, with the list they have.");
    let before = stage.board().counts();
    stage.kill_registry();
    stage.watch(OUTAGE)?;
    stage.board().book(&before, serving);
    stage.tell("etcd is started again, with its data.");
    let away = stage.restart_registry()?;
    stage.tell(&format!(
        "    it answers after {:.1} s away; the clients go on trying to reach it, each in its own time",
        away.as_secs_f64()
    ));
    stage.until_fresh()?;
    settle(stage, serving, 3)
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
