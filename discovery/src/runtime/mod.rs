//! The background thread that all watches share.
//!
//! A [`Runtime`] is an explicit object: there is nothing global. Its one thread, `evener-discovery`, starts with the
//! first watch. Equal watches (the same target with equal options) share one connection to their registry.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use evener_discovery::Target;
//! use evener_discovery::runtime::{Runtime, WatchOptions, Woken};
//!
//! let runtime = Runtime::new();
//! let target = Target::parse("static:///10.0.0.1:50051,10.0.0.2:50051")?;
//! let woken = Arc::new(Woken::new());
//! let watch = runtime.watch(&target, WatchOptions::default(), woken.clone())?;
//! while watch.latest().is_none() {
//!     assert!(woken.wait(Duration::from_secs(10)));
//! }
//! assert_eq!(watch.latest().unwrap().endpoints.len(), 2);
//! assert!(runtime.shutdown(Duration::from_secs(5)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Fork
//!
//! A forked child has the memory of its parent and none of its threads. A runtime knows the process it was made in:
//! in another one each of its functions answers an error or nothing, at once, takes no lock and waits for nobody, and
//! dropping it or a [`Watch`] does nothing. The child makes a runtime of its own.

mod beside;
mod disk;
mod model;
mod observer;
mod options;
mod probing;
mod resolver;
mod shared;
mod task;
mod thread;
mod watch;

use std::time::Duration;

pub use crate::dice::Dice;
pub use observer::{Observer, Woken};
pub use options::{DnsOptions, WatchOptions};
pub use resolver::{Resolver, ResolverSink, Resolving};
pub use thread::Runtime;
pub use watch::Watch;

pub(crate) use model::{Lists, Model};
pub(crate) use shared::Shared;
pub(crate) use thread::Guest;
pub(crate) use watch::Subscription;

/// Far enough to be never, and near enough that no clock overflows.
pub(crate) const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
