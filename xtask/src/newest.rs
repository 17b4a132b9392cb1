//! `--newest-grpc`.

use crate::suite::Step;
use crate::tally::Tally;
use crate::workspace::Workspace;

pub const STEP: Step = Step {
    name: "newest-grpc",
    what: "the C++ channel on the newest gRPC, in a private root",
    needs: Vec::new,
    run,
};

fn run(_: &Workspace, _: &mut Tally) -> Result<(), String> {
    Err("not yet".into())
}
