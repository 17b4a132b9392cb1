//! `dns:` and bare names.

use std::fmt;
use std::time::Duration;

use super::uri::{self, Uri};
use super::{AddressTarget, Target, TargetError, span};
use crate::model::host::{self, Host};
use crate::model::{Address, Endpoint, percent};

const DEFAULT_PORT: u16 = 443;
const DEFAULT_SERVER_PORT: u16 = 53;

/// A host name to look up: `dns:[//server[:53][,server...]]/host[:port][?key=value&...]`, or `host[:port]` alone.
///
/// | part | meaning |
/// |---|---|
/// | servers | the DNS servers to ask, with commas; port 53 unless given; IPv6 in brackets. None: those of the options, else those of `/etc/resolv.conf` |
/// | host | a dot at its end marks it as complete: the search list of `/etc/resolv.conf` is not tried |
/// | port | a number, `http` or `https`; 443 unless given |
/// | parameters | see [`DnsParameters`] |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsTarget {
    /// The name, ASCII, at most 253 characters; a trailing dot marks it as complete.
    pub host: String,
    /// The port, 443 unless the target had one.
    pub port: u16,
    /// The DNS servers of `dns://server,server/host`, port 53 unless the target had one; none asks the usual ones.
    pub servers: Vec<Address>,
    /// What the target says about how it is looked up.
    pub parameters: DnsParameters,
    authority: String,
}

/// How a name of `dns:` or `dns+srv:` is looked up. What is not given is as the options say.
///
/// | parameter | meaning |
/// |---|---|
/// | `refresh=30s` | from one answer to the next question, 1 s to 24 h, in place of what the records' time to live says |
/// | `timeout=10s` | how long one question, with all its repetitions and servers, may take: 100 ms to 2 min |
/// | `family=both` | `ipv4`: only A records; `ipv6`: only AAAA; `both` |
/// | `group=host` | all addresses of a host are one endpoint, for hosts that are each one server; without it each address is one |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsParameters {
    /// From one answer to the next question.
    pub refresh: Option<Duration>,
    /// How long one question may take.
    pub timeout: Option<Duration>,
    /// Which addresses are asked for.
    pub family: Family,
    /// Whether all addresses of a host are one endpoint.
    pub grouped: bool,
}

/// Kinds of IP addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

impl Family {
    pub(super) fn parse(text: &str) -> Result<Self, TargetError> {
        match text {
            "both" => Ok(Self::Both),
            "ipv4" => Ok(Self::Ipv4),
            "ipv6" => Ok(Self::Ipv6),
            _ => Err(TargetError::new("query", format!("family: `{text}` is none of ipv4, ipv6 and both"))),
        }
    }

    /// `both`, `ipv4` or `ipv6`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl DnsParameters {
    pub(super) fn parse(query: &[(String, String)]) -> Result<Self, TargetError> {
        let mut parameters = Self::default();
        for (key, value) in query {
            parameters.set(key, value)?;
        }
        Ok(parameters)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), TargetError> {
        let within = |least, most| span::parse(key, value, least, most).map(Some);
        match (key, value) {
            ("refresh", _) => self.refresh = within(Duration::from_secs(1), Duration::from_secs(86_400))?,
            ("timeout", _) => self.timeout = within(Duration::from_millis(100), Duration::from_secs(120))?,
            ("family", _) => self.family = Family::parse(value)?,
            ("group", "host") => self.grouped = true,
            ("group", _) => {
                return Err(TargetError::new("query", format!("group: `{value}` is unknown; known: host")));
            }
            _ => {
                let reason = format!("`{key}` is unknown; known: refresh, timeout, family, group");
                return Err(TargetError::new("query", reason));
            }
        }
        Ok(())
    }
}

/// As the query of a target, question mark and all; empty where nothing was given.
impl fmt::Display for DnsParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = [
            self.refresh.map(|span| format!("refresh={}", span::write(span))),
            self.timeout.map(|span| format!("timeout={}", span::write(span))),
            (self.family != Family::Both).then(|| format!("family={}", self.family.name())),
            self.grouped.then(|| "group=host".to_owned()),
        ];
        let given: Vec<String> = given.into_iter().flatten().collect();
        if given.is_empty() { Ok(()) } else { write!(f, "?{}", given.join("&")) }
    }
}

impl DnsTarget {
    /// The name as it was written, with the port if one was.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for DnsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dns://{}/{}:{}{}", join_servers(&self.servers), self.host, self.port, self.parameters)
    }
}

/// Servers as they stand between `//` and the path.
pub(super) fn join_servers(servers: &[Address]) -> String {
    let servers: Vec<String> =
        servers.iter().map(|server| percent::encode(&server.to_string(), b"")).collect();
    servers.join(",")
}

/// Reads what gRPC would read after putting `dns:///` before it.
pub(super) fn parse_bare(text: &str) -> Result<Target, TargetError> {
    resolve(None, text, None)
}

pub(super) fn parse(rest: &str) -> Result<Target, TargetError> {
    let (rest, query) = match rest.split_once('?') {
        Some((_, query)) if query.contains('#') => {
            return Err(TargetError::new("fragment", "no scheme has one; a # in a value is written %23"));
        }
        Some((rest, query)) => (rest, Some(DnsParameters::parse(&uri::parameters(query)?)?)),
        None => (rest, None),
    };
    let uri = Uri::new(rest)?;
    resolve(uri.authority, uri.path.strip_prefix('/').unwrap_or(uri.path), query)
}

fn resolve(servers: Option<&str>, text: &str, query: Option<DnsParameters>) -> Result<Target, TargetError> {
    let text = percent::decode_address(text);
    if text.contains(',') {
        return Err(TargetError::new(
            "host",
            format!("`{text}` is a list; several addresses are written static:///A:P,B:P or ipv4:A:P,B:P"),
        ));
    }
    let (host, port) = host::split(&text)?;
    let host = match host {
        "" if port.is_some() => "localhost",
        host => host,
    };
    let host = host::parse_host(host)?;
    let servers = servers.map(parse_servers).transpose()?.unwrap_or_default();
    let authority = authority(&host, port);
    let port = port.unwrap_or(DEFAULT_PORT);
    match host {
        Host::Name(host) => {
            let parameters = query.unwrap_or_default();
            Ok(Target::Dns(DnsTarget { host, port, servers, parameters, authority }))
        }
        _ if query.is_some_and(|query| query != DnsParameters::default()) => {
            Err(TargetError::new("query", format!("`{text}` is an address: it is not looked up")))
        }
        host => {
            let endpoints = vec![Endpoint::new(vec![Address::from_host(host, port)])];
            Ok(Target::Addresses(AddressTarget { endpoints, authority }))
        }
    }
}

/// The servers of an authority that is not empty, still percent-encoded.
pub(super) fn parse_servers(text: &str) -> Result<Vec<Address>, TargetError> {
    let text = percent::decode_address(text);
    if text.contains('@') {
        return Err(TargetError::new("authority", "a DNS server takes neither user nor password"));
    }
    text.split(',').map(parse_server).collect()
}

fn parse_server(text: &str) -> Result<Address, TargetError> {
    let of_server =
        |error: crate::AddressError| TargetError::new(format!("authority: {}", error.part), error.reason);
    let (host, port) = host::split(text).map_err(of_server)?;
    let host = host::parse_host(host).map_err(of_server)?;
    Ok(Address::from_host(host, port.unwrap_or(DEFAULT_SERVER_PORT)))
}

/// Host and port as written, in the form in which they may stand in `:authority`.
pub(super) fn authority(host: &Host, port: Option<u16>) -> String {
    let host = match host {
        Host::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        Host::Ip(ip) => ip.to_string(),
        Host::Zoned { ip, zone } => format!("[{ip}%25{zone}]"),
        Host::Name(name) => name.clone(),
    };
    port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}
