//! Which member is asked, with which user and which certificates.

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use etcd_client::{Client, ConnectOptions, Identity, KvClient, LeaseClient, TlsOptions, WatchClient};
use tokio::time::timeout;

use super::failure::{Failure, Kind};
use crate::credentials::{Credentials, Secret, SecretReader, TlsContent, TlsFiles};
use crate::event::{ErrorClass, SourceError};
use crate::target::EtcdTarget;
use crate::target::etcd::parse_server;
use crate::tls;

/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection and an authentication together may take; etcd's passwords are slow to check on purpose.
const AUTHENTICATE: Duration = Duration::from_secs(10);
/// A silent connection is asked whether it lives, no more often than etcd allows (5 s)...
const PING: Duration = Duration::from_secs(6);
/// ...and is dead when it does not answer in this time.
const PONG: Duration = Duration::from_secs(4);
/// How often a connection that stands looks whether the files that it was made with have changed.
pub(crate) const FILES: Duration = Duration::from_secs(30);
/// Larger than anything an etcd sends unless its limits were raised far beyond its defaults.
const LARGEST_MESSAGE: usize = 64 << 20;

/// The members of a cluster and what they are asked with.
pub(crate) struct Connector {
    members: Vec<Member>,
    /// The one that is asked now.
    current: usize,
    user: Option<User>,
    tls: TlsFiles,
    /// What the files held when the last connection was made.
    content: Option<TlsContent>,
}

struct Member {
    url: String,
    is_tls: bool,
    failed: Option<Instant>,
}

struct User {
    name: String,
    password: SecretReader,
    /// The registry refused what was read last.
    is_refused: bool,
}

/// Clients over one connection to one member, authenticated.
#[derive(Clone)]
pub(crate) struct Session {
    pub kv: KvClient,
    pub watch: WatchClient,
    pub lease: LeaseClient,
}

impl Connector {
    /// Nothing is connected yet. `pick` chooses the first member, so that clients spread over them.
    ///
    /// # Errors
    /// The environment names what is no server.
    pub fn new(target: &EtcdTarget, credentials: &Credentials, pick: u64) -> Result<Self, SourceError> {
        let tls = credentials.tls.clone().or_else(tls_of_environment);
        let by_default = target.tls.unwrap_or_else(|| tls.is_some());
        let servers: Vec<String> = match target.servers.as_slice() {
            [] => servers_of_environment(),
            servers => servers.iter().map(ToString::to_string).collect(),
        };
        let member = |text: &String| Member::parse(text, target.tls, by_default);
        let members = servers.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        let user = credentials.user.clone().or_else(|| user_of_target(target)).or_else(user_of_environment);
        let user = user.map(|(name, password)| User {
            name,
            password: SecretReader::new(password),
            is_refused: false,
        });
        let current = usize::try_from(pick % members.len().max(1) as u64).unwrap_or(0);
        Ok(Self { members, current, user, tls: tls.unwrap_or_default(), content: None })
    }

    /// How many members there are to ask.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    pub const fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// The member that is asked now, for people.
    pub fn member(&self) -> &str {
        self.members.get(self.current).map_or("", |member| member.url.as_str())
    }

    /// Host and port of the member that is asked now.
    pub fn server(&self) -> Option<(String, u16)> {
        let url = &self.members.get(self.current)?.url;
        let (host, port) = url.rsplit_once("//")?.1.rsplit_once(':')?;
        Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
    }

    /// Turns to the member that never failed, or has not for the longest time.
    pub fn rotate(&mut self, now: Instant) {
        if let Some(member) = self.members.get_mut(self.current) {
            member.failed = Some(now);
        }
        let count = self.members.len().max(1);
        let order = (1..=count).map(|step| (self.current + step) % count);
        let failed = |&index: &usize| self.members.get(index).and_then(|member| member.failed);
        self.current = order.min_by_key(failed).unwrap_or(0);
    }

    /// The member that is asked now answers.
    pub fn succeeded(&mut self) {
        if let Some(member) = self.members.get_mut(self.current) {
            member.failed = None;
        }
    }

    /// The password was refused: it is looked up again before the next try.
    pub const fn refused(&mut self) {
        if let Some(user) = &mut self.user {
            user.is_refused = true;
        }
    }

    /// Whether the files for TLS have another content than at the last connection.
    pub async fn has_other_files(&self) -> bool {
        let Some(used) = &self.content else { return false };
        // What cannot be read now will be told when it is needed.
        read(self.tls.clone()).await.is_ok_and(|(content, _)| content != *used)
    }

    /// Connects to the member that is to be asked, and authenticates. With `leader` a member that has none refuses.
    pub async fn connect(&mut self, leader: bool) -> Result<Session, Failure> {
        let member = self.members.get(self.current).ok_or_else(|| Failure::new(Kind::Config, "no server"))?;
        let (url, is_tls) = (member.url.clone(), member.is_tls);
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(PING, PONG)
            .with_require_leader(leader);
        if is_tls {
            options = options.with_tls(self.tls_options().await?);
        }
        let Some(user) = &mut self.user else { return open(&url, options).await };
        let password = if user.is_refused { user.password.refresh() } else { user.password.get() };
        let password = password.map_err(|error| Failure::new(Kind::Credentials, error.message))?;
        let with_user = options.clone().with_user(&user.name, password.as_str());
        match open(&url, with_user).await {
            Err(failure) if failure.kind == Kind::NoUsers => open(&url, options).await,
            answer => answer,
        }
    }

    async fn tls_options(&mut self) -> Result<TlsOptions, Failure> {
        let (content, roots) = read(self.tls.clone()).await?;
        let mut options = TlsOptions::new().trust_anchors(roots.roots).timeout(CONNECT);
        if let Some(name) = &self.tls.server_name {
            options = options.domain_name(name);
        }
        if let (Some(cert), Some(key)) = (&content.cert, &content.key) {
            options = options.identity(Identity::from_pem(cert, key.as_slice()));
        }
        self.content = Some(content);
        Ok(options)
    }
}

impl Member {
    /// `HOST[:PORT]`, `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    fn parse(text: &str, asked: Option<bool>, by_default: bool) -> Result<Self, SourceError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(false), rest),
            Some(("https", rest)) => (Some(true), rest),
            Some(_) => return Err(config(format!("etcd: `{text}` is neither http:// nor https://"))),
            None => (None, text),
        };
        let address = parse_server(rest.trim_end_matches('/'));
        let address = address.map_err(|error| config(format!("etcd: `{text}`: {}", error.reason)))?;
        let is_tls = asked.or(scheme).unwrap_or(by_default);
        let scheme = if is_tls { "https" } else { "http" };
        Ok(Self { url: format!("{scheme}://{address}"), is_tls, failed: None })
    }
}

async fn open(url: &str, options: ConnectOptions) -> Result<Session, Failure> {
    let client = timeout(AUTHENTICATE, Client::connect([url], Some(options))).await;
    let client = client.map_err(|_| Failure::timeout("connecting", AUTHENTICATE))??;
    Ok(Session {
        kv: client.kv_client().max_decoding_message_size(LARGEST_MESSAGE),
        watch: client.watch_client().max_decoding_message_size(LARGEST_MESSAGE),
        lease: client.lease_client(),
    })
}

/// Reads the files away from the thread that all watches share.
async fn read(files: TlsFiles) -> Result<(TlsContent, rustls::RootCertStore), Failure> {
    let read = tokio::task::spawn_blocking(move || {
        let content = files.read().map_err(|error| Failure::new(Kind::Config, error.message))?;
        // Says which file it is that cannot be used.
        tls::client_config(&files).map_err(|error| Failure::new(Kind::Config, error))?;
        let roots = tls::roots(files.ca.as_deref()).map_err(|error| Failure::new(Kind::Config, error))?;
        Ok((content, roots))
    });
    read.await.map_err(|error| Failure::new(Kind::Config, error.to_string()))?
}

fn config(message: String) -> SourceError {
    SourceError::new(ErrorClass::Config, message)
}

fn servers_of_environment() -> Vec<String> {
    let listed = variable("EVENER_ETCD_ENDPOINTS").or_else(|| variable("ETCDCTL_ENDPOINTS"));
    let listed = listed.unwrap_or_else(|| "127.0.0.1:2379".to_owned());
    listed.split(',').map(|server| server.trim().to_owned()).filter(|server| !server.is_empty()).collect()
}

fn tls_of_environment() -> Option<TlsFiles> {
    let file = |name| variable(name).map(PathBuf::from);
    let (ca, cert, key) = (file("ETCDCTL_CACERT"), file("ETCDCTL_CERT"), file("ETCDCTL_KEY"));
    let is_any = ca.is_some() || cert.is_some() || key.is_some();
    is_any.then_some(TlsFiles { ca, cert, key, server_name: None })
}

fn user_of_target(target: &EtcdTarget) -> Option<(String, Secret)> {
    let (name, password) = target.uri.user.clone()?;
    Some((name, Secret::value(password)))
}

/// `NAME:PASSWORD`, or the password in a variable of its own, as for etcdctl.
fn user_of_environment() -> Option<(String, Secret)> {
    let user = variable("ETCDCTL_USER")?;
    match user.split_once(':') {
        Some((name, password)) => Some((name.to_owned(), Secret::value(password))),
        None => Some((user, Secret::Env("ETCDCTL_PASSWORD".to_owned()))),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn connector(target: &str, tls: Option<TlsFiles>) -> Connector {
        let Ok(Target::Etcd(target)) = Target::parse(target) else { panic!("{target} is no etcd target") };
        Connector::new(&target, &Credentials { tls, ..Credentials::default() }, 0).unwrap()
    }

    fn urls(connector: &Connector) -> Vec<&str> {
        connector.members.iter().map(|member| member.url.as_str()).collect()
    }

    #[test]
    fn members_have_ports_and_schemes() {
        let plain = connector("etcd://10.0.0.1,[::1]:2380,e3/svc", None);
        assert_eq!(urls(&plain), ["http://10.0.0.1:2379", "http://[::1]:2380", "http://e3:2379"]);
        let by_files = connector("etcd://e1/svc", Some(TlsFiles::default()));
        assert_eq!(urls(&by_files), ["https://e1:2379"]);
        assert_eq!(urls(&connector("etcd://e1/svc?tls=true", None)), ["https://e1:2379"]);
        assert_eq!(
            urls(&connector("etcd://e1/svc?tls=false", Some(TlsFiles::default()))),
            ["http://e1:2379"]
        );
        for (text, expected) in [("https://e1", "https://e1:2379"), ("http://[::1]:1/", "http://[::1]:1")] {
            assert_eq!(Member::parse(text, None, false).unwrap().url, expected);
        }
        assert!(Member::parse("ftp://e1", None, false).is_err());
        assert!(Member::parse("e1:x", None, false).is_err());
    }

    #[test]
    fn the_next_member_is_one_that_did_not_fail_or_did_long_ago() {
        let mut three = connector("etcd://a,b,c/svc", None);
        let start = Instant::now();
        let mut asked = Vec::new();
        for second in 0..5 {
            asked.push(three.member().to_owned());
            three.rotate(start + Duration::from_secs(second));
        }
        assert_eq!(
            asked,
            ["http://a:2379", "http://b:2379", "http://c:2379", "http://a:2379", "http://b:2379"]
        );
        // It is c's turn, which answers; when it fails later the others are older, b the last to have failed.
        three.succeeded();
        three.rotate(start + Duration::from_secs(60));
        assert_eq!(three.member(), "http://a:2379");
    }
}
