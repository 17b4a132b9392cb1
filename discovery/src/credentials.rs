//! What a registry is asked with: secrets that rotate, and TLS files that are read again.

use std::env::VarError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::event::{ErrorClass, SourceError};

/// A secret: written out, or a place where it is looked up each time it is needed (files at least once a minute).
#[derive(Clone)]
pub enum Secret {
    /// The secret itself. Its memory is wiped when it is dropped.
    Value(Arc<Zeroizing<String>>),
    /// The name of an environment variable.
    Env(String),
    /// A file; white space at its end does not count. While it cannot be read the last content stays in use, and while it is
    /// empty: whoever writes a file often empties it first.
    File(PathBuf),
    /// A function of the application's own; called on the background thread, so it must not block for long.
    Callback(Arc<dyn Fn() -> Result<String, String> + Send + Sync>),
}

/// Never shows the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(***)"),
            Self::Env(name) => write!(f, "Env({name:?})"),
            Self::File(path) => write!(f, "File({path:?})"),
            Self::Callback(_) => f.write_str("Callback(..)"),
        }
    }
}

/// Files for TLS, in PEM. They are read again when they change, within a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Certificates to trust: a file, or a folder with files of them. `None` trusts the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain; needs `key`.
    pub cert: Option<PathBuf>,
    /// The key of `cert`.
    pub key: Option<PathBuf>,
    /// The name to check the server's certificate against, where it is not the host's.
    pub server_name: Option<String>,
}

/// The content of [`TlsFiles`], PEM. Compare it with what was read before to know whether to connect anew.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsContent {
    /// Certificates to trust.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain.
    pub cert: Option<Vec<u8>>,
    /// Its key. Wiped when it is dropped.
    pub key: Option<Zeroizing<Vec<u8>>>,
}

impl TlsFiles {
    /// Whether this can be meant: nothing is read.
    ///
    /// # Errors
    /// One of `cert` and `key` is there without the other.
    pub fn check(&self) -> Result<(), SourceError> {
        if self.cert.is_some() == self.key.is_some() {
            return Ok(());
        }
        let text = "cert_file and key_file go together: one of them is missing";
        Err(SourceError::new(ErrorClass::Config, text))
    }

    /// Reads the files, now. Blocks for as long as that takes.
    ///
    /// # Errors
    /// A file cannot be read, or one of `cert` and `key` is there without the other.
    pub fn read(&self) -> Result<TlsContent, SourceError> {
        self.check()?;
        let read = |path: &Option<PathBuf>| path.as_ref().map(|path| read_file(path)).transpose();
        Ok(TlsContent {
            ca: self.ca.as_deref().map(read_all).transpose()?,
            cert: read(&self.cert)?,
            key: read(&self.key)?.map(Zeroizing::new),
        })
    }
}

/// What a file holds, or all files of a folder that can be read, one after the other by name.
pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>, SourceError> {
    if !path.is_dir() {
        return read_file(path);
    }
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort_unstable();
    let mut all = Vec::new();
    for content in files.iter().filter_map(|file| std::fs::read(file).ok()) {
        all.extend(content);
        // The last line of a file need not have an end.
        all.push(b'\n');
    }
    Ok(all)
}

fn read_file(path: &Path) -> Result<Vec<u8>, SourceError> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::new(ErrorClass::Denied, format!("{}: {error}", path.display()))
}

/// Never shows the key.
impl fmt::Debug for TlsContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsContent(..)")
    }
}

/// Equal where the same would be looked up: the same text, variable or file, or the very same function.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(one), Self::Value(other)) => one == other,
            (Self::Env(one), Self::Env(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Callback(one), Self::Callback(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Secret {
    /// A secret that is written out.
    pub fn value(text: impl Into<String>) -> Self {
        Self::Value(Arc::new(Zeroizing::new(text.into())))
    }

    /// Looks the secret up, now. Reads a file where it is one: [`SecretReader`] does not each time.
    ///
    /// # Errors
    /// Where it should be there is nothing; names the place, never the content.
    pub fn read(&self) -> Result<Zeroizing<String>, SourceError> {
        self.read_among(|name| std::env::var(name))
    }

    /// The same with other environment variables than the process has.
    fn read_among(
        &self,
        variable: impl Fn(&str) -> Result<String, VarError>,
    ) -> Result<Zeroizing<String>, SourceError> {
        let denied = |text: String| SourceError::new(ErrorClass::Denied, text);
        match self {
            Self::Value(text) => Ok((**text).clone()),
            Self::Env(name) => variable(name)
                .map(Zeroizing::new)
                .map_err(|error| denied(format!("environment variable {name}: {error}"))),
            Self::File(path) => match std::fs::read_to_string(path).map(Zeroizing::new) {
                Ok(text) if text.trim_end().is_empty() => {
                    Err(denied(format!("{}: is empty", path.display())))
                }
                Ok(text) => Ok(Zeroizing::new(text.trim_end().to_owned())),
                Err(error) => Err(denied(format!("{}: {error}", path.display()))),
            },
            Self::Callback(call) => {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call()));
                let result = result.unwrap_or_else(|_| Err("it panicked".to_owned()));
                result.map(Zeroizing::new).map_err(|error| denied(format!("credentials callback: {error}")))
            }
        }
    }
}

/// A secret that is needed again and again: looked up once a few seconds at most, and kept as it was while it cannot
/// be looked up.
pub struct SecretReader {
    secret: Secret,
    last: Option<(Instant, Zeroizing<String>)>,
}

/// Never shows the secret.
impl fmt::Debug for SecretReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretReader").field("secret", &self.secret).finish_non_exhaustive()
    }
}

/// How long what was looked up counts.
const READ_AGAIN: Duration = Duration::from_secs(5);

impl SecretReader {
    /// Nothing is looked up yet.
    pub const fn new(secret: Secret) -> Self {
        Self { secret, last: None }
    }

    /// The secret as it is, or was at most five seconds ago; the last one where it cannot be looked up now.
    ///
    /// # Errors
    /// It could never be looked up.
    pub fn get(&mut self) -> Result<Zeroizing<String>, SourceError> {
        self.get_at(Instant::now())
    }

    fn get_at(&mut self, now: Instant) -> Result<Zeroizing<String>, SourceError> {
        if let Some((at, text)) = &self.last
            && now.saturating_duration_since(*at) < READ_AGAIN
        {
            return Ok(text.clone());
        }
        self.refresh_at(now)
    }

    /// As [`SecretReader::get`], looking it up again however short ago it was: the registry has refused it.
    ///
    /// # Errors
    /// It could never be looked up.
    pub fn refresh(&mut self) -> Result<Zeroizing<String>, SourceError> {
        self.refresh_at(Instant::now())
    }

    fn refresh_at(&mut self, now: Instant) -> Result<Zeroizing<String>, SourceError> {
        match (self.secret.read(), &mut self.last) {
            (Ok(text), last) => {
                *last = Some((now, text.clone()));
                Ok(text)
            }
            (Err(_), Some((at, text))) => {
                *at = now;
                Ok(text.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// What a registry is asked with. The default asks with what the registry's usual environment variables say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Credentials {
    /// A user's name and password (etcd; HTTP basic authentication for Consul).
    pub user: Option<(String, Secret)>,
    /// A token (Consul's ACL token, a bearer token for Kubernetes).
    pub token: Option<Secret>,
    /// TLS; `None` is no TLS unless the target or the environment says so.
    pub tls: Option<TlsFiles>,
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use evener_test_servers::Scratch;

    use super::*;

    /// A callback that gives, or fails with, what is in the other end.
    fn callback(answer: Result<&str, &str>) -> (Secret, Arc<Mutex<Result<String, String>>>) {
        let owned = answer.map(str::to_owned).map_err(str::to_owned);
        let answer = Arc::new(Mutex::new(owned));
        let given = Arc::clone(&answer);
        (Secret::Callback(Arc::new(move || given.lock().unwrap().clone())), answer)
    }

    fn text(read: Result<Zeroizing<String>, SourceError>) -> Result<String, String> {
        read.map(|text| text.to_string()).map_err(|error| {
            assert_eq!(error.class, ErrorClass::Denied);
            error.message
        })
    }

    #[test]
    fn a_variable_is_looked_up_each_time() {
        let secret = Secret::Env("TOKEN".to_owned());
        for value in ["one", "two"] {
            let read = secret.read_among(|name| {
                assert_eq!(name, "TOKEN");
                Ok(value.to_owned())
            });
            assert_eq!(text(read).as_deref(), Ok(value));
        }
        let error = text(secret.read_among(|_| Err(VarError::NotPresent))).unwrap_err();
        assert!(error.contains("environment variable TOKEN"), "{error}");
        // The process' own: cargo sets this one for tests.
        let own = Secret::Env("CARGO_PKG_NAME".to_owned());
        assert_eq!(text(own.read()).ok(), std::env::var("CARGO_PKG_NAME").ok());
    }

    #[test]
    fn a_callback_may_fail_and_even_panic() {
        let (secret, answer) = callback(Ok("one"));
        assert_eq!(text(secret.read()).as_deref(), Ok("one"));
        *answer.lock().unwrap() = Err("no ticket".to_owned());
        assert_eq!(text(secret.read()).unwrap_err(), "credentials callback: no ticket");
        let panics = Secret::Callback(Arc::new(|| panic!("a test's callback")));
        assert_eq!(text(panics.read()).unwrap_err(), "credentials callback: it panicked");
    }

    #[test]
    fn a_file_is_read_without_the_space_at_its_end() {
        let scratch = Scratch::new("secret");
        let secret = Secret::File(scratch.write("token", " one \r\n").into());
        assert_eq!(text(secret.read()).as_deref(), Ok(" one"));
        let missing = Secret::File(scratch.file("missing").into());
        assert!(text(missing.read()).unwrap_err().contains("missing"));
        for nothing in ["", " \r\n"] {
            let empty = Secret::File(scratch.write("empty", nothing).into());
            assert!(text(empty.read()).unwrap_err().contains("empty: is empty"), "{nothing:?}");
        }
    }

    #[test]
    fn what_is_looked_up_counts_for_five_seconds_unless_it_was_refused() {
        let (secret, answer) = callback(Ok("one"));
        let (mut reader, start) = (SecretReader::new(secret), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(text(reader.get_at(start)).as_deref(), Ok("one"));
        *answer.lock().unwrap() = Ok("two".to_owned());
        assert_eq!(text(reader.get_at(at(4_999))).as_deref(), Ok("one"));
        assert_eq!(text(reader.get_at(at(5_000))).as_deref(), Ok("two"));
        *answer.lock().unwrap() = Ok("three".to_owned());
        assert_eq!(text(reader.refresh_at(at(5_001))).as_deref(), Ok("three"));
        *answer.lock().unwrap() = Ok("four".to_owned());
        assert_eq!(text(reader.get_at(at(10_000))).as_deref(), Ok("three"), "it is 4.999 s old");
        assert_eq!(text(reader.get_at(at(10_001))).as_deref(), Ok("four"));
    }

    #[test]
    fn the_last_one_outlives_what_it_came_from() {
        let scratch = Scratch::new("secret-reader");
        let path = PathBuf::from(scratch.write("token", "one"));
        let start = Instant::now();
        let mut file = SecretReader::new(Secret::File(path.clone()));
        assert_eq!(text(file.get_at(start)).as_deref(), Ok("one"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text(file.refresh_at(start)).as_deref(), Ok("one"));
        assert_eq!(text(file.get_at(start + 2 * READ_AGAIN)).as_deref(), Ok("one"));
        scratch.write("token", "\n");
        assert_eq!(text(file.refresh_at(start)).as_deref(), Ok("one"), "it is about to be written");
        scratch.write("token", "two");
        assert_eq!(text(file.get_at(start + 4 * READ_AGAIN)).as_deref(), Ok("two"));

        let (secret, answer) = callback(Err("not yet"));
        let mut reader = SecretReader::new(secret);
        assert!(reader.get_at(start).is_err(), "there is no last one");
        *answer.lock().unwrap() = Ok("one".to_owned());
        assert_eq!(
            text(reader.get_at(start)).as_deref(),
            Ok("one"),
            "a failure does not count for five seconds"
        );
        *answer.lock().unwrap() = Err("no more".to_owned());
        assert_eq!(text(reader.refresh_at(start)).as_deref(), Ok("one"));
    }

    #[test]
    fn certificates_to_trust_may_be_a_folder_of_files() {
        let scratch = Scratch::new("tls-folder");
        let folder = PathBuf::from(scratch.file("trusted"));
        std::fs::create_dir_all(folder.join("no-file")).unwrap();
        std::fs::write(folder.join("b"), "two").unwrap();
        std::fs::write(folder.join("a"), "one").unwrap();
        let files = TlsFiles { ca: Some(folder.clone()), ..TlsFiles::default() };
        assert_eq!(files.read().unwrap().ca.as_deref(), Some(&b"one\ntwo\n"[..]));
        let files = TlsFiles { ca: Some(folder.join("missing")), ..TlsFiles::default() };
        assert!(files.read().unwrap_err().message.contains("missing"));
    }

    #[test]
    fn a_certificate_and_its_key_go_together() {
        let file = || Some(PathBuf::from("/nowhere"));
        for (cert, key, is_right) in
            [(None, None, true), (file(), file(), true), (file(), None, false), (None, file(), false)]
        {
            let files = TlsFiles { cert, key, ..TlsFiles::default() };
            assert_eq!(files.check().is_ok(), is_right, "{files:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let scratch = Scratch::new("secret-shown");
        let (cert, key) = (scratch.write("cert", "hidden"), scratch.write("key", "hidden"));
        let files = TlsFiles { cert: Some(cert.into()), key: Some(key.into()), ..TlsFiles::default() };
        let content = files.read().unwrap();
        assert_eq!(content.key.as_deref().map(Vec::as_slice), Some(&b"hidden"[..]));
        let (call, _) = callback(Ok("hidden"));
        let mut reader = SecretReader::new(Secret::value("hidden"));
        reader.get().unwrap();
        let credentials = Credentials { token: Some(call), ..Credentials::default() };
        for shown in [
            format!("{:?}", Secret::value("hidden")),
            format!("{reader:?}"),
            format!("{credentials:?}"),
            format!("{content:?}"),
        ] {
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }
}
