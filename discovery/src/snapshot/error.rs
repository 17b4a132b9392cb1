use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why a snapshot was not loaded or saved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotError {
    /// The file, or the directory that was to hold it.
    pub path: PathBuf,
    /// What kind of reason it is.
    pub kind: SnapshotErrorKind,
    /// What happened and what to do about it, for people.
    pub reason: String,
}

/// Kinds of reasons for which a snapshot is not loaded or saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotErrorKind {
    /// The disk refused.
    Io,
    /// The file cannot be understood. It was moved out of the way, to `NAME.bad`.
    Corrupt,
    /// The file is older than it may be; how old it is.
    Expired(Duration),
    /// Anybody may write to the file, or it belongs to another user: what it says may be somebody else's.
    Insecure,
}

impl SnapshotError {
    pub(super) fn new(path: impl Into<PathBuf>, kind: SnapshotErrorKind, reason: impl Into<String>) -> Self {
        Self { path: path.into(), kind, reason: reason.into() }
    }

    pub(super) fn io(path: impl Into<PathBuf>, doing: &str, error: &std::io::Error) -> Self {
        Self::new(path, SnapshotErrorKind::Io, format!("{doing}: {error}"))
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot {}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for SnapshotError {}
