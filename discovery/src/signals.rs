//! What every thread that talks to the outside does first.

use nix::sys::signal::{SigSet, Signal};

/// From now on a connection that breaks while this thread, or one that it starts, writes to it is an error of that write. Where
/// `SIGPIPE` is not ignored, which a program in C or C++ does not do by itself, it would end the process.
pub fn block_broken_pipes() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGPIPE);
    // Cannot fail: the arguments are right.
    let _ = signals.thread_block();
}
