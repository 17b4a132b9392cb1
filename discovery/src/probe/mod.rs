//! Active health checks of endpoints, for sources that know nothing of health (DNS, static lists, a bare etcd prefix).
//!
//! A `Prober` asks every endpoint of a set again and again and says of each whether it may take calls; its verdict
//! becomes the endpoint's [`Condition`](crate::Condition), so that a failing one is out of picks at once and keeps its place
//! otherwise. Kinds of checks, thresholds, jitter and limits are [`ProbeOptions`], which there are in every build with a
//! [runtime](crate::runtime); what makes the checks needs the feature `probes`. A watch has one where
//! [`WatchOptions::probe`](crate::runtime::WatchOptions::probe) says so.
//!
//! ```text
//! set of endpoints ─► Prober ─ check (at most `concurrency` at a time) ─► Tally (rise, fall) ─► conditions
//! ```

#[cfg(feature = "probes")]
mod check;
mod options;
#[cfg(feature = "probes")]
mod prober;
mod tally;

pub use options::{ProbeError, ProbeKind, ProbeOptions};
#[cfg(feature = "probes")]
pub use prober::Prober;
pub use tally::{Tally, Verdict};
