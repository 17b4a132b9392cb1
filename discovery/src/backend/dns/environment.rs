//! Who is asked, and what a name may stand for: `resolv.conf`, the hosts file, the servers that were chosen.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::timeout;

use super::question::{Answer, no_answer, read};
use super::{host, names};
use crate::event::{ErrorClass, SourceError};
use crate::model::Address;
use crate::target::Family;

/// The shortest time that one server gets for one answer, however many there are.
const SHORTEST_TRY: Duration = Duration::from_millis(500);
/// For how long what the hosts file says is taken to hold.
const HOSTS_TTL: Duration = Duration::from_secs(30);

/// Where the system keeps its settings.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) resolv_conf: PathBuf,
    pub(super) hosts: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into() }
    }
}

/// Tells whether a file has changed. The number is that of the file itself, which a replaced one does not share.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    changed: Option<SystemTime>,
    length: u64,
    number: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let number = 0;
        Some(Self { changed: metadata.modified().ok(), length: metadata.len(), number })
    }
}

/// Who is asked. Settings are read again when their files change.
pub(super) struct Environment {
    files: Files,
    chosen: Vec<Address>,
    /// How long a question may take with all its repetitions.
    patience: Duration,
    stamps: Option<[Option<Stamp>; 2]>,
    settings: Settings,
    servers: Vec<Server>,
    /// The server that answered last, which is asked first.
    favourite: AtomicUsize,
    is_doubtful: bool,
}

struct Settings {
    search: Vec<Name>,
    options: ResolverOpts,
    hosts: Arc<Hosts>,
    servers: Vec<SocketAddr>,
}

struct Server {
    address: SocketAddr,
    resolver: TokioResolver,
}

impl Environment {
    /// # Errors
    /// A server that was chosen is of no kind that can be asked.
    pub(super) fn new(chosen: Vec<Address>, patience: Duration, files: Files) -> Result<Self, SourceError> {
        if let Some(wrong) =
            chosen.iter().find(|address| !matches!(address, Address::Ip(_) | Address::Name { .. }))
        {
            let text = format!("{wrong} cannot be a DNS server: it is asked by IP address or name");
            return Err(SourceError::new(ErrorClass::Config, text));
        }
        let settings = Settings {
            search: Vec::new(),
            options: ResolverOpts::default(),
            hosts: Arc::default(),
            servers: Vec::new(),
        };
        let (stamps, servers, favourite) = (None, Vec::new(), AtomicUsize::new(0));
        Ok(Self { files, chosen, patience, stamps, settings, servers, favourite, is_doubtful: false })
    }

    /// Something has failed: a server that has a name is looked up again before the next question.
    pub(super) fn distrust(&mut self) {
        self.is_doubtful = self.chosen.iter().any(|address| matches!(address, Address::Name { .. }));
    }

    /// Reads the files if they have changed, and finds the servers.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn refresh(&mut self) -> Result<(), SourceError> {
        let stamps = [Stamp::of(&self.files.resolv_conf), Stamp::of(&self.files.hosts)];
        let is_new = self.stamps != Some(stamps);
        if is_new {
            self.settings = Settings::read(&self.files, &self.settings);
        }
        if is_new || self.is_doubtful || self.servers.is_empty() {
            self.servers = self.find_servers().await?;
            self.favourite = AtomicUsize::new(0);
            (self.stamps, self.is_doubtful) = (Some(stamps), false);
        }
        Ok(())
    }

    /// Those that can be found. One with a name that cannot is looked up again when these have failed.
    ///
    /// # Errors
    /// There is none.
    async fn find_servers(&self) -> Result<Vec<Server>, SourceError> {
        if self.chosen.is_empty() {
            return self.open(&self.settings.servers);
        }
        let (mut addresses, mut failed) = (Vec::new(), None);
        for address in &self.chosen {
            match address {
                Address::Ip(address) => addresses.push(*address),
                Address::Name { host, port } => match self.look_server_up(host, *port).await {
                    Ok(found) => addresses.extend(found),
                    Err(error) => failed = Some(error),
                },
                _ => {}
            }
        }
        match failed {
            Some(error) if addresses.is_empty() => Err(error),
            _ => self.open(&addresses),
        }
    }

    /// A server that has a name is looked up by those of `resolv.conf`.
    async fn look_server_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, SourceError> {
        let mut system = Self::new(Vec::new(), self.patience, self.files.clone())?;
        system.settings = Settings::read(&self.files, &self.settings);
        system.servers = system.open(&system.settings.servers)?;
        let mut found = host::Addresses::default();
        found.take(Box::pin(host::look_up(&system, host, Family::Both)).await?);
        let found: Vec<SocketAddr> = found.all().into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        if found.is_empty() {
            let text = format!("the DNS server {host} has no address");
            return Err(SourceError::new(ErrorClass::Unreachable, text));
        }
        Ok(found)
    }

    fn open(&self, addresses: &[SocketAddr]) -> Result<Vec<Server>, SourceError> {
        let tries = u32::try_from(addresses.len() * self.rounds()).unwrap_or(u32::MAX).max(1);
        let each = (self.patience / tries).min(self.settings.options.timeout).max(SHORTEST_TRY);
        addresses.iter().map(|address| self.open_one(*address, each)).collect()
    }

    fn open_one(&self, address: SocketAddr, each: Duration) -> Result<Server, SourceError> {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        *options = self.settings.options.clone();
        // Search, hosts, repetition and time to live are ours.
        (options.cache_size, options.attempts, options.timeout) = (0, 0, each);
        options.use_hosts_file = ResolveHosts::Never;
        options.edns0 = true;
        options.preserve_intermediates = true;
        let resolver = builder.build().map_err(|error| {
            SourceError::new(ErrorClass::Config, format!("the DNS server {address} cannot be asked: {error}"))
        })?;
        Ok(Server { address, resolver })
    }

    fn rounds(&self) -> usize {
        self.settings.options.attempts.max(1)
    }

    /// The full names that a name may stand for.
    pub(super) fn candidates(&self, name: &str) -> Result<Vec<Name>, SourceError> {
        names::candidates(name, &self.settings.search, self.settings.options.ndots)
            .map_err(|reason| SourceError::new(ErrorClass::Config, reason))
    }

    /// What the hosts file says of a name, and for how long.
    pub(super) fn in_hosts_file(&self, name: &str) -> Option<(Vec<IpAddr>, Duration)> {
        let mut name = Name::from_ascii(name).ok()?;
        name.set_fqdn(true);
        let of = |kind| self.settings.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [of(RecordType::A), of(RecordType::AAAA)].into_iter().flatten();
        let ips: Vec<IpAddr> =
            found.flat_map(|found| found.answers().iter().filter_map(host::ip).collect::<Vec<_>>()).collect();
        (!ips.is_empty()).then_some((ips, HOSTS_TTL))
    }

    /// Asks one server after the other, all of them again as often as `attempts` says, until one gives an answer.
    ///
    /// # Errors
    /// None does; the last one's reason.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Answer, SourceError> {
        let asked = timeout(self.patience, self.ask_all(name, kind)).await;
        asked.unwrap_or_else(|_| {
            Err(no_answer(format!("{name} {kind}: no DNS server answers in {:?}", self.patience)))
        })
    }

    async fn ask_all(&self, name: &Name, kind: RecordType) -> Result<Answer, SourceError> {
        let first = self.favourite.load(Ordering::Relaxed);
        let mut failed = no_answer(format!("{name} {kind}: there is no DNS server to ask"));
        for turn in 0..self.servers.len() * self.rounds() {
            let number = (first + turn) % self.servers.len();
            let Some(server) = self.servers.get(number) else { break };
            match read(server.resolver.lookup(name.clone(), kind).await, name, kind, server.address) {
                Ok(answer) => {
                    self.favourite.store(number, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl Settings {
    /// What the files say now. One that cannot be read or holds no server leaves what it said `before`.
    fn read(files: &Files, before: &Self) -> Self {
        let hosts = std::fs::File::open(&files.hosts).ok().and_then(|file| {
            let mut hosts = Hosts::default();
            hosts.read_hosts_conf(file).ok().map(|()| Arc::new(hosts))
        });
        let read = std::fs::read(&files.resolv_conf).ok().and_then(|text| parse_resolv_conf(text).ok());
        let (search, options, servers) = match read {
            Some((config, options)) => {
                let servers =
                    config.name_servers.iter().map(|server| SocketAddr::new(server.ip, 53)).collect();
                (search(&config), options, servers)
            }
            None if !before.servers.is_empty() => {
                (before.search.clone(), before.options.clone(), before.servers.clone())
            }
            // Without settings it is the machine itself, says resolv.conf(5).
            None => (Vec::new(), ResolverOpts::default(), vec![SocketAddr::from(([127, 0, 0, 1], 53))]),
        };
        Self { search, options, hosts: hosts.unwrap_or_else(|| Arc::clone(&before.hosts)), servers }
    }
}

/// The search list; the domain of the machine itself counts only where there is none.
fn search(config: &ResolverConfig) -> Vec<Name> {
    match (&config.search[..], &config.domain) {
        ([], Some(domain)) => vec![domain.clone()],
        (search, _) => search.to_vec(),
    }
}
