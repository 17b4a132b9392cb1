//! Picking and diffing: the core of evener.
//!
//! The core decides which endpoint a call goes to, and does nothing else: no input or output, no clock, no allocation, no
//! unsafe code. Time is an argument, randomness a seed, and the same inputs give the same picks on every platform.
//!
//! There are two roles over one block of memory that the caller gives:
//!
//! - the [`Controller`], exactly one: it is told address lists, connectivity and health, publishes what follows from them, and
//!   says what the host should do (connect, close, resolve again);
//! - the [`Balancer`], any number, on any thread: it picks an endpoint for a call, begins the call there, finishes it. A
//!   pick reads a published table and writes nothing shared.
//!
//! ```text
//! endpoints ─ update ─► members ─ compose ─► plan ─ publish ─► table ─ pick ─► handle ─ start ─► ticket ─ finish ─► slot
//! ```
//!
//! Time is counted in ticks of a microsecond; `u32` ticks wrap after 71 minutes, and all comparisons allow for it.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod balancer;
mod compose;
mod controller;
mod endpoint;
mod fixed;
mod handle;
mod layout;
mod members;
mod memory;
#[cfg(all(test, loom))]
mod models;
mod pick;
mod policy;
mod poll;
mod publish;
mod rng;
mod slot;
mod state;
pub mod sync;
mod ticks;

pub use balancer::{Balancer, Finished};
pub use controller::{Controller, Status};
pub use endpoint::{Endpoint, EndpointId};
pub use handle::{BeginError, Handle, RawTicket, Stale, Ticket};
pub use layout::{ClaimError, Limits, MAX_ENDPOINTS, MAX_SCHEDULE, Options, words};
pub use members::Member;
pub use members::diff::{Changes, UpdateError};
pub use memory::Memory;
pub use pick::cursor::{ClaimedCursor, Cursor, PickCursor, SharedCursor};
pub use pick::{FailReason, Pick, Start};
pub use policy::Policy;
pub use poll::action::Action;
pub use slot::counters::{Counters, Outcome};
pub use state::backoff::Backoff;
pub use state::connectivity::Connectivity;
pub use state::health::Health;
pub use ticks::{TICKS_PER_MILLISECOND, TICKS_PER_SECOND};
