//! The last known endpoints on disk, for a start while the registry is down.
//!
//! One file for each target in a directory of the operator's choice, which only trusted processes may write to: whoever can
//! write there can send calls anywhere. Several processes may share it; the last one to save wins.
//!
//! A file is replaced as a whole (a temporary file, synced, renamed over it), is readable by its owner alone, and is never
//! replaced by an empty set. What it holds is what the registry says to everybody who may ask it, but for secrets: the target
//! is redacted, and metadata whose key names a secret is left out.
//!
//! Loading and saving block on the disk. Nothing here reads a clock.

mod error;
mod format;
mod schedule;
mod store;

pub use error::{SnapshotError, SnapshotErrorKind};
pub use format::{SnapshotFile, decode, encode};
pub use schedule::SaveSchedule;
pub use store::{Restored, Store};
