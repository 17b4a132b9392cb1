//! The vectors and the misuse checks from C on bare metal, in QEMU, with caps on size and stack.

use crate::command::Run;
use crate::packages::{Package, program};
use crate::step::Step;
use crate::tally::Tally;
use crate::toolchain::Debian;
use crate::workspace::Workspace;

pub const STEP: Step = Step {
    name: "bare",
    what: "the vectors from C on a Cortex-M4, an RV32 and a Cortex-M0, in QEMU; text size, bytes per endpoint, stack",
    needs: packages,
    run,
};

pub const NO_PANIC: Step = Step {
    name: "no-panic",
    what: "no panic is reachable from pick, begin, start and finish in a release build",
    needs: || [Debian::packages(), vec![program("g++", "cc"), program("binutils", "nm")]].concat(),
    run: no_panic,
};

const PROCESSORS: [&str; 3] = ["m4", "rv32", "m0"];

fn no_panic(workspace: &Workspace, _: &mut Tally) -> Result<(), String> {
    let run = Run::new("sh").arg(workspace.file("ffi/bare/no_panic.sh")).arg(workspace.target("embedded"));
    Debian::environment(run).succeed().map(|_| ())
}

fn packages() -> Vec<Package> {
    let tools = [
        program("qemu-system-arm", "qemu-system-arm"),
        program("qemu-system-misc", "qemu-system-riscv32"),
        program("gcc-arm-none-eabi", "arm-none-eabi-gcc"),
        program("gcc-riscv64-unknown-elf", "riscv64-unknown-elf-gcc"),
    ];
    [Debian::packages(), tools.to_vec()].concat()
}

fn run(workspace: &Workspace, tally: &mut Tally) -> Result<(), String> {
    let mut wrong = Vec::new();
    for processor in PROCESSORS {
        let run = Run::new("sh")
            .arg(workspace.file("ffi/bare/run.sh"))
            .arg(processor)
            .arg(workspace.target("embedded"));
        let ended = Debian::environment(run).end()?;
        *tally += Tally::of_vectors(&ended.text);
        // The run is a case of its own: misuse, and the caps on size and stack.
        if ended.is_success() {
            tally.passed += 1;
        } else {
            tally.failed += 1;
            wrong.push(ended.complaint());
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
