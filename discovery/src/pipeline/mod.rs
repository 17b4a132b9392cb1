//! From what sources say to what channels use: pure, in virtual time, one [`Pipeline`] for each source.
//!
//! ```text
//! Event ─► assemble ─► guard ─► stabilize ─► debounce ─► diff ─► Snapshot
//!          parts to    known /   add now,  ▲  first now,   what
//!          endpoints   empty /   remove    │  then a       changed
//!                      unknown   late      │  window
//!                                       verdicts of probes
//! ```
//!
//! What holds, whatever the source does:
//!
//! - **An endpoint that the source reports is published**, within [`debounce`](PipelineOptions::debounce) of the last
//!   change and [`max_delay`](PipelineOptions::max_delay) of the first one; the first answer and a change after a quiet
//!   time at once. So is what a record says: weight, condition, zone.
//! - **An endpoint that becomes [`Unhealthy`](crate::Condition::Unhealthy) is published as such at once.**
//! - **An endpoint that the source no longer reports is held** until the second
//!   [epoch](PipelineOptions::removal_epoch) from then begins, and goes on unchanged if it comes back before (the
//!   algorithm of Finagle's `Stabilizer`, but with additions at once). One that was last seen draining, unhealthy or of
//!   weight 0 has been announced: it leaves without being held.
//! - **Mass removals are spread**: an epoch takes out at most [`max_drop_ratio`](PipelineOptions::max_drop_ratio) percent
//!   of what is published, unless the source was read again at least an epoch later and still does not report them. The
//!   last of them leaves at most `⌈100 / max_drop_ratio⌉ - 1` epochs late.
//! - **A set that becomes empty is held** for [`empty_hold`](PipelineOptions::empty_hold), and for as long as the source
//!   cannot be asked after it said so. An empty first answer is an answer: it is published at once.
//! - **An endpoint whose probes fail is published as unhealthy at once**, whatever the source says of it, unless all fail and
//!   that is to take nothing out ([`Pipeline::judge`]).
//! - **A source that fails changes nothing.** What is known stays, ages, and says so: [`Pipeline::status`]. Of a source that
//!   consists of several places the one that can be asked counts, and the whole stays stale ([`Event::Partly`](crate::Event)).
//! - **Nothing is published that has not changed**, and what is published is in one canonical order.
//!
//! Time is an argument: nothing here reads a clock, sleeps or allocates a thread.

mod assemble;
mod compose;
mod debounce;
mod diff;
mod freshness;
mod guard;
mod identity;
mod options;
mod reconnect;
mod stabilize;
mod status;
mod verdicts;

pub use compose::Pipeline;
pub use diff::{Changes, Snapshot};
pub use freshness::{Cause, Freshness};
pub use options::{OptionError, PipelineOptions, StalePolicy};
pub use reconnect::{Reconnect, ReconnectOptions};
pub use status::{EndpointCounts, State, Status, UpdateCounts};
