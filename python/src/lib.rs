//! The compiled half of the Python package: thin classes over evener's core and channel engine.
//!
//! Nothing here decides anything. Picks do not release the interpreter's lock, which would cost more than the pick; whatever
//! may wait for the engine's own lock releases it first, and no thread of the engine ever takes it.
#![forbid(unsafe_code)]

mod balancer;
mod call;
mod channel;
mod clock;
mod config_watch;
mod credentials;
mod discovery;
mod driver;
mod endpoints;
mod errors;
mod fields;
mod fork;
mod lint;
mod names;
mod open;
mod probe;
mod raw;
mod registration;
mod runtime;
mod ticket;
mod waiting;
mod watch;

use pyo3::prelude::*;

/// evener's compiled half. The documented interface is `evener` and `evener.grpc`.
// A pick reads the core's table and the list of objects as one: an interpreter without a lock must switch it on for this.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::balancer::{Balancer, Nothing};
    #[pymodule_export]
    use crate::call::Call;
    #[pymodule_export]
    use crate::channel::Channel;
    #[pymodule_export]
    use crate::clock::check_seconds;
    #[pymodule_export]
    use crate::config_watch::ConfigWatch;
    #[pymodule_export]
    use crate::credentials::check_credentials;
    #[pymodule_export]
    use crate::discovery::check_discovery;
    #[pymodule_export]
    use crate::driver::Driver;
    #[pymodule_export]
    use crate::errors::{ConfigError, NoEndpoint};
    #[pymodule_export]
    use crate::fork::forked;
    #[pymodule_export]
    use crate::lint::lint;
    #[pymodule_export]
    use crate::names::policies;
    #[pymodule_export]
    use crate::probe::check_probe;
    #[pymodule_export]
    use crate::raw::RawBalancer;
    #[pymodule_export]
    use crate::registration::{Definition, Registration, definitions};
    #[pymodule_export]
    use crate::runtime::end_discovery;
    #[pymodule_export]
    use crate::ticket::{Failure, Ticket};
    #[pymodule_export]
    use crate::watch::{Watch, redact};

    // Kinds of a driver's events.
    #[pymodule_export]
    const CONNECT: u32 = crate::driver::CONNECT;
    #[pymodule_export]
    const DISCONNECT: u32 = crate::driver::DISCONNECT;
    #[pymodule_export]
    const CANCEL_CALLS: u32 = crate::driver::CANCEL_CALLS;
    #[pymodule_export]
    const CLOSE: u32 = crate::driver::CLOSE;
    #[pymodule_export]
    const STATE_CHANGED: u32 = crate::driver::STATE_CHANGED;
    #[pymodule_export]
    const PICK_AGAIN: u32 = crate::driver::PICK_AGAIN;
    #[pymodule_export]
    const LOG: u32 = crate::driver::LOG;
    #[pymodule_export]
    const SERVICE_CONFIG: u32 = crate::driver::SERVICE_CONFIG;
    #[pymodule_export]
    const RESOLVE_START: u32 = crate::driver::RESOLVE_START;
    #[pymodule_export]
    const RESOLVE_NOW: u32 = crate::driver::RESOLVE_NOW;
    #[pymodule_export]
    const RESOLVE_STOP: u32 = crate::driver::RESOLVE_STOP;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
