//! Where snapshots' files are, and how they are replaced.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use siphasher::sip128::{Hasher128, SipHasher24};

use super::error::{SnapshotError, SnapshotErrorKind};
use super::format::{self, MAX_BYTES, SnapshotFile};
use crate::model::Endpoint;
use crate::target::redact;

/// Tells these hashes from any other use of the function; files are found again by every process, so it is no secret.
const KEY: [u64; 2] = [u64::from_be_bytes(*b"evener s"), u64::from_be_bytes(*b"napshot1")];
/// Clocks of machines that share a disk may differ by so much.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// A temporary file so old was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A directory of snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    directory: PathBuf,
}

/// What a snapshot's file said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The endpoints, at least one.
    pub endpoints: Vec<Endpoint>,
    /// The service config that came with them.
    pub service_config: Option<String>,
    /// How the source counted its changes then.
    pub revision: Option<String>,
    /// How long ago this was last known to be true.
    pub age: Duration,
}

impl Store {
    /// The snapshots in a directory. It need not exist: saving creates it, for its owner alone.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The file of a target: a keyed hash (SipHash-2-4-128) of its canonical form without its secrets.
    pub fn path_of(&self, target: &str) -> PathBuf {
        self.directory.join(format!("{}.json", name_of(target)))
    }

    /// Loads what was known of a target, unless it is older than `max_age`; zero: however old it is. `Ok(None)`: nothing was saved.
    ///
    /// # Errors
    ///
    /// There is a file that is not used, with the reason. One that cannot be understood has been renamed to
    /// `NAME.json.bad`.
    pub fn load(
        &self,
        target: &str,
        max_age: Duration,
        now: SystemTime,
    ) -> Result<Option<Restored>, SnapshotError> {
        self.sweep(target, now);
        let path = self.path_of(target);
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let file = match format::decode(&bytes) {
            Ok(file) if file.target == redact(target) => file,
            Ok(file) => return Err(set_aside(&path, &format!("it is of another target, {}", file.target))),
            Err(reason) => return Err(set_aside(&path, &reason)),
        };
        let age = age(&path, file.as_of, max_age, now)?;
        let SnapshotFile { endpoints, service_config, revision, .. } = file;
        Ok(Some(Restored { endpoints, service_config, revision, age }))
    }

    /// Replaces what is saved of a target. `Ok(false)`: there was nothing worth saving, and what was saved before is still
    /// there.
    ///
    /// # Errors
    ///
    /// The disk refused; what was saved before is still there.
    pub fn save(&self, file: &SnapshotFile) -> Result<bool, SnapshotError> {
        let bytes = format::encode(file);
        // Read back, for what is saved is of no use otherwise; this is also what finds that nothing is in it.
        if format::decode(&bytes).is_err() {
            return Ok(false);
        }
        create_directory(&self.directory)
            .map_err(|error| SnapshotError::io(&self.directory, "the directory cannot be created", &error))?;
        let path = self.path_of(&file.target);
        self.replace(&path, &name_of(&file.target), &bytes)
            .map_err(|error| SnapshotError::io(&path, "cannot be written", &error))?;
        Ok(true)
    }

    /// At any time, there is the old file or the new one, whole.
    fn replace(&self, path: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (temporary, mut file) = self.create_temporary(name)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        drop(file);
        if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
            // It is of no use to anybody; should it stay, it is swept away later.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        sync_directory(&self.directory);
        Ok(())
    }

    /// A file of a name that nobody else has, whatever processes share the directory.
    fn create_temporary(&self, name: &str) -> io::Result<(PathBuf, File)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let mut last = None;
        for _ in 0..8 {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            // Containers that share a disk have the same process ids, and the workers of one server the same hash keys.
            let random = RandomState::new().hash_one((number, process::id()));
            let path = self.directory.join(format!(".{name}.{random:016x}.tmp"));
            match private().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
    }

    /// Removes what processes that died left of this target. Whatever cannot be removed does no harm.
    fn sweep(&self, target: &str, now: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let prefix = format!(".{}.", name_of(target));
        for entry in entries.flatten() {
            let name = entry.file_name();
            let temporary =
                name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".tmp"));
            let modified = || entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let old = |modified| now.duration_since(modified).is_ok_and(|age| age >= ABANDONED);
            if temporary && modified().is_some_and(old) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn name_of(target: &str) -> String {
    let mut hasher = SipHasher24::new_with_keys(KEY[0], KEY[1]);
    hasher.write(redact(target).as_bytes());
    format!("{:032x}", hasher.finish128().as_u128())
}

/// The content of a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, SnapshotError> {
    let refused = |error: &io::Error| SnapshotError::io(path, "cannot be read", error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&error)),
    };
    let metadata = file.metadata().map_err(|error| refused(&error))?;
    if let Some(reason) = distrust(&metadata) {
        let reason = format!("{reason}, so it is not used; mend that or remove the file");
        return Err(SnapshotError::new(path, SnapshotErrorKind::Insecure, reason));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| refused(&error))?;
    Ok(Some(bytes))
}

/// Renames a file that is of no use, so that it can be looked at and is not read again.
fn set_aside(path: &Path, reason: &str) -> SnapshotError {
    let aside = path.with_extension("json.bad");
    let what = match fs::rename(path, &aside) {
        Ok(()) => format!("it is now {}", aside.display()),
        Err(error) => format!("and it cannot be renamed: {error}"),
    };
    SnapshotError::new(path, SnapshotErrorKind::Corrupt, format!("is not used: {reason} ({what})"))
}

fn age(
    path: &Path,
    as_of: SystemTime,
    max_age: Duration,
    now: SystemTime,
) -> Result<Duration, SnapshotError> {
    let age = match now.duration_since(as_of) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() <= CLOCK_SKEW => Duration::ZERO,
        // Its age is not known: a file from the future would never expire.
        Err(_) => return Err(set_aside(path, "it was saved in the future, so a clock is or was wrong")),
    };
    if !max_age.is_zero() && age > max_age {
        let (old, limit) = (age.as_secs(), max_age.as_secs_f32());
        let reason = format!("is not used: it is {old} s old, and may be {limit} s");
        return Err(SnapshotError::new(path, SnapshotErrorKind::Expired(age), reason));
    }
    Ok(age)
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn create_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Why what a file says may be somebody else's word.
#[cfg(unix)]
fn distrust(metadata: &fs::Metadata) -> Option<&'static str> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    if metadata.permissions().mode() & 0o002 != 0 {
        return Some("anybody may write to it");
    }
    // In a directory that others may write to, they may have been there first: the name is no secret.
    let is_ours = [0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid());
    (!is_ours).then_some("it belongs to another user")
}

#[cfg(not(unix))]
const fn distrust(_: &fs::Metadata) -> Option<&'static str> {
    None
}

/// Makes the rename last through a power failure where the file system can promise that; not all can, and the file is
/// whole in any case.
fn sync_directory(path: &Path) {
    if let Ok(directory) = File::open(path) {
        let _ = directory.sync_all();
    }
}
