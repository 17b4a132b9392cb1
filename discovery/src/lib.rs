//! Names to endpoints: what a channel's target means, and the endpoints behind it.
//!
//! What decides is plain data and pure functions, in virtual time: [`target`] and [`record`] read what others have written, [`pipeline`] says what of
//! a source's answers is believed and when. What touches the outside stands beside it: [`static_list`] and [`snapshot`] read and write files,
//! [`system_dns`] asks the system's resolver, each on the thread that calls it. With the feature `runtime` there is one thread for everything else:
//! `runtime` runs the watches of `backend`, `probe` checks what they find, `config_watch` follows configurations, and [`registration`] keeps servers
//! registered.
//!
//! ```
//! use evener_discovery::{StaticTarget, Target};
//!
//! let target = Target::parse("static:///10.0.0.1:50051;weight=3,10.0.0.2:50051")?;
//! let Target::Static(StaticTarget::List(endpoints)) = target else { unreachable!() };
//! assert_eq!(endpoints[0].weight, 3);
//! assert_eq!(endpoints[1].grpc_target().as_deref(), Some("ipv4:10.0.0.2:50051"));
//!
//! let error = Target::parse("dns:///user-service:http2").unwrap_err();
//! assert_eq!(error.part, "port");
//! # Ok::<(), evener_discovery::TargetError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "runtime")]
pub mod backend;
#[cfg(feature = "runtime")]
pub mod config_watch;
#[cfg(feature = "runtime")]
pub mod credentials;
pub mod dice;
pub mod event;
pub mod json;
pub mod model;
pub mod pipeline;
#[cfg(feature = "runtime")]
pub mod probe;
pub mod record;
pub mod registration;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod signals;
pub mod snapshot;
pub mod static_list;
pub mod system_dns;
pub mod target;
#[cfg(any(feature = "consul", feature = "etcd", feature = "probes"))]
pub(crate) mod tls;

/// Whether this build asks DNS servers itself. Names are looked up by the system's resolver otherwise.
pub const HAS_DNS: bool = cfg!(feature = "dns");

pub use event::{ErrorClass, Event, Part, SourceError};
pub use model::{Address, AddressError, Condition, Endpoint};
pub use static_list::{ListFile, NamedLists, Refresh};
pub use system_dns::{LookupError, LookupErrorKind};
pub use target::{DnsTarget, StaticTarget, Target, TargetError};
