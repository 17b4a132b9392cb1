//! The background thread that all watches share.
//!
//! A [`Runtime`] is an explicit object: there is nothing global. Its one thread, `evener-discovery`, starts with the
//! first watch. Equal watches (the same target with equal options) share one connection to their registry.
//!
//! # Fork
//!
//! A forked child has the memory of its parent and none of its threads. A runtime knows the process it was made in:
//! in another one each of its functions answers an error or nothing, at once, takes no lock and waits for nobody, and
//! dropping it or a [`Watch`] does nothing. The child makes a runtime of its own.

mod dice;
mod observer;
mod options;
mod resolver;

pub use dice::Dice;
pub use observer::{Observer, Woken};
pub use options::{DnsOptions, WatchOptions};
pub use resolver::{Resolver, ResolverSink, Resolving};
