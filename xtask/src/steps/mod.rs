//! The steps of `cargo xtask test`, in the order they run: the quick and telling ones first.

mod bare;
mod examples;
pub mod header;
mod install;
pub mod native;
pub mod python;
pub mod readme;
mod rust;
mod symbols;

use crate::fuzz;
use crate::scenarios;
use crate::servers;
use crate::step::Step;

/// One line a step; a new one is one line more.
pub const STEPS: &[Step] = &[
    rust::FMT,
    rust::CLIPPY,
    rust::FEATURES,
    servers::STEP,
    rust::TESTS,
    fuzz::STEP,
    rust::MSRV,
    rust::DOCS,
    rust::LOOM,
    header::STEP,
    symbols::STEP,
    native::PLAIN,
    native::SANITIZED,
    python::STEP,
    bare::NO_PANIC,
    bare::STEP,
    install::STEP,
    examples::STEP,
    scenarios::STEP,
    readme::STEP,
];
