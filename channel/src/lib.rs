//! One gRPC channel's load balancing, without the gRPC: resolution, service config, balancer, waiting
//! calls and connectivity tied together as one engine that a transport drives.
//!
//! A *transport* (the C++ and Python adapters) owns one gRPC channel per endpoint. It carries out the
//! [`Action`]s that a [`Driver`] hands out, reports what it sees, and asks where each call should go:
//!
//! ```text
//! Driver::next ──► Connect ──► transport dials ──► Channel::set_state(READY)
//!                  Close   ──► transport frees ──► Channel::closed
//! call ──► Channel::start_call ──► Started(ticket) ──► sent to ticket.endpoint() ──► finish_call
//!                              └─► Wait(epoch)     ──► PickAgain, or wait(epoch)  ──► start_call
//!                              └─► Fail(code, text)
//! ```
//!
//! - **Threads.** [`Channel`] and [`Driver`] may be used from any thread at any time. Starting and
//!   finishing a call take no lock; everything else of a channel is behind one mutex, never held while
//!   anything outside is called. There is one thread of our own, `evener-resolver`, started by the
//!   first lookup that can block.
//! - **No global state.** Everything hangs on a [`Driver`]. A process that forks makes a new one.
//! - **Policy.** Without a service config the policy is `round_robin`, not gRPC's default `pick_first`,
//!   which sends all calls to one server.
//! - **Platforms.** Unix, for [`Driver::wake_fd`].
//!
//! ```
//! use evener_channel::{Action, CallReport, Channel, ChannelOptions, Connectivity, Driver, StartCall};
//!
//! let driver = Driver::new()?;
//! let channel = Channel::open(&driver, "static:///10.0.0.1:50051,10.0.0.2:50051", ChannelOptions::default(), 7)?;
//! let StartCall::Wait { epoch } = channel.start_call("/demo.Greeter/Hello", None) else { unreachable!() };
//!
//! // The transport's thread. This one connects to whatever it is told to at once.
//! while channel.epoch() == epoch || channel.state(false) != Connectivity::Ready {
//!     let event = driver.next(None).expect("the driver is running");
//!     assert_eq!(event.channel, 7);
//!     if let Action::Connect { endpoint } = event.action {
//!         channel.set_state(endpoint, Connectivity::Ready, "");
//!     }
//! }
//!
//! let StartCall::Started(ticket) = channel.start_call("/demo.Greeter/Hello", None) else { unreachable!() };
//! println!("to {:?}", channel.endpoint_target(ticket.endpoint()));
//! channel.finish_call(ticket, CallReport::default());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod blocks;
mod calls;
mod channel;
mod choice;
mod clock;
pub mod config;
mod control;
mod describe;
mod driver;
mod engine;
mod event;
mod failure;
pub mod lint;
#[cfg(feature = "runtime")]
mod live;
#[cfg(not(feature = "runtime"))]
#[path = "live_absent.rs"]
mod live;
mod log;
mod lookup;
mod news;
mod options;
mod output;
#[cfg(feature = "runtime")]
mod polled;
mod resolution;
mod resolver;
mod seating;
mod setup;
mod shared;
mod signal;
mod source;
mod sources;
mod stats;
mod subchannels;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
mod tiers;
mod waiters;

pub use calls::{CallReport, CallTicket, RawCall, StartCall, outcome_of};
pub use channel::{CallConfig, Channel};
pub use driver::Driver;
pub use event::{Action, Event, Level};
pub use options::{ChannelOptions, OpenError, UpdateError};
pub use stats::{EndpointStats, state_name};

pub use evener_core::{Connectivity, Health, Outcome, Policy};
#[cfg(feature = "runtime")]
pub use evener_discovery::credentials;
pub use evener_discovery::pipeline::{PipelineOptions, StalePolicy};
#[cfg(feature = "runtime")]
pub use evener_discovery::probe::{ProbeError, ProbeKind, ProbeOptions};
#[cfg(feature = "runtime")]
pub use evener_discovery::runtime::{Resolver, ResolverSink, Resolving, Runtime};
pub use evener_discovery::{Address, Endpoint, NamedLists, SourceError};
