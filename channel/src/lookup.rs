//! The sources that are looked up on the resolver thread: the system's DNS and a file of lists.

use std::path::PathBuf;
use std::time::Duration;

use evener_discovery::target::DnsTarget;
use evener_discovery::{Endpoint, ListFile, Refresh, system_dns};

use crate::clock;
use crate::options::ChannelOptions;
use crate::resolution::Schedule;
use crate::sync::{Mutex, lock};

/// How often a file is looked at.
const FILE_REFRESH: Duration = Duration::from_secs(1);
/// From one answer of the system's resolver to the next question.
const DNS_REFRESH: Duration = Duration::from_secs(30);
/// The least refresh interval, so that a zero does not ask without pause.
const DNS_MIN_REFRESH: Duration = Duration::from_secs(1);
/// The longest pause after failed DNS lookups, as in gRPC.
const DNS_MAX_BACKOFF: Duration = Duration::from_secs(120);

/// Something to look up. Blocks, so never called by a driver.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// A host name, by way of the system's resolver.
    Dns(DnsTarget),
    /// The list of a name, in a file that is read again when it changes.
    File {
        /// The list's name.
        name: String,
        /// The file, and what was read of it. Only the resolver thread takes this lock.
        file: Mutex<ListFile>,
    },
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The endpoints now.
    List(Vec<Endpoint>),
    /// The same as last time.
    Unchanged,
    /// Nothing could be found out, and why.
    Failed(String),
}

impl Lookup {
    pub(crate) fn file(name: String, path: PathBuf) -> Self {
        Self::File { name, file: Mutex::new(ListFile::new(path)) }
    }

    /// Looks it up. Blocks for as long as that takes.
    pub(crate) fn run(&self) -> Answer {
        match self {
            Self::Dns(target) => match system_dns::lookup(target) {
                Ok(list) => Answer::List(list),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Self::File { name, file } => read(name, &mut lock(file)),
        }
    }

    /// How often it is to be looked up.
    pub(crate) fn schedule(&self, options: &ChannelOptions) -> Schedule {
        match self {
            Self::Dns(_) => Schedule {
                refresh: Some(
                    options.dns_refresh.unwrap_or(DNS_REFRESH).clamp(DNS_MIN_REFRESH, clock::LONGEST),
                ),
                min_interval: options.dns_min_interval.min(clock::LONGEST),
                jitter_percent: 10,
                max_backoff: DNS_MAX_BACKOFF,
            },
            Self::File { .. } => Schedule {
                refresh: Some(FILE_REFRESH),
                min_interval: FILE_REFRESH,
                jitter_percent: 0,
                max_backoff: FILE_REFRESH,
            },
        }
    }

    /// What a user should be told about an answer that cannot be balanced.
    pub(crate) fn finding(&self, list: &[Endpoint]) -> Option<String> {
        match self {
            Self::Dns(target) => system_dns::finding(target, list),
            Self::File { .. } => None,
        }
    }

    /// What it is, for `describe`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::File { .. } => "file",
        }
    }
}

fn read(name: &str, file: &mut ListFile) -> Answer {
    match file.refresh() {
        // A name that is not in the file has no endpoint: its calls fail at once, and say so.
        Refresh::Changed => Answer::List(file.lists().get(name).unwrap_or_default().to_vec()),
        Refresh::Failed(error) => Answer::Failed(error),
        Refresh::Unchanged => match file.error() {
            Some(error) => Answer::Failed(error.to_owned()),
            None => Answer::Unchanged,
        },
    }
}
