//! The concurrent protocols of this crate, explored by loom: every interleaving (up to a number of preemptions) and every value a
//! load may see. The models run the functions that are used, with their `Sound` choices; each control changes one choice, and
//! loom must then find the failure that the choice prevents.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p evener-core --lib models`
//!
//! Two rules from experience: the writer's table number is a local (were it loaded, loom would explore next to nothing), and
//! nothing relies on SeqCst accesses (loom treats them as AcqRel). That a model explores is asserted.

mod attention;
mod claim;
mod cursor;
mod gate;
mod publish;

use loom::model::Builder;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many times loom may take the processor from a thread that could go on. All known bugs of such protocols need two or
/// fewer; three is what two threads of a few steps each can be explored with in seconds.
const PREEMPTIONS: usize = 3;

/// Explores `model`, which must hold in every execution.
fn holds(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let (executions, failure) = explore(preemptions, model);
    assert_eq!(failure, None, "after {executions} executions");
    assert!(executions > 1, "loom had nothing to explore");
}

/// Explores `model`, in which loom must find the failure with this message.
fn breaks(message: &str, model: impl Fn() + Send + Sync + 'static) {
    let (executions, failure) = explore(PREEMPTIONS, model);
    let failure = failure.unwrap_or_else(|| panic!("held in {executions} executions, but must break"));
    assert!(failure.contains(message), "broke in another way: {failure}");
}

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> (usize, Option<String>) {
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = executions.clone();
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            counted.fetch_add(1, Relaxed);
            model();
        });
    }));
    (executions.load(Relaxed), outcome.err().map(text_of))
}

fn text_of(panic: Box<dyn core::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(String::new, |text| String::from(*text)),
    }
}
