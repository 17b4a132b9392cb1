//! One address of an endpoint.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use super::host::{self, Host};
use super::percent;

/// Longest path of a Unix socket, in bytes: what `sockaddr_un` holds less its final zero.
const UNIX_PATH_MAX: usize = 107;

/// Where a server listens.
///
/// Written and read (`Display`, `FromStr`) as `10.0.0.1:80`, `[::1]:80`, `[fe80::1%eth0]:80`,
/// `host:80`, `unix:/path` or `unix-abstract:name`. A port is always there. The order is by kind,
/// then by value: canonical, so that two lists of the same addresses compare equal once sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Address {
    /// IP address and port; an IPv6 scope only as a number.
    Ip(SocketAddr),
    /// A link-local IPv6 address whose zone is an interface's name.
    Zoned {
        /// The address.
        ip: Ipv6Addr,
        /// The interface, as in `eth0`.
        zone: String,
        /// The port, not 0.
        port: u16,
    },
    /// A host name, left to the transport to resolve.
    Name {
        /// The name, ASCII.
        host: String,
        /// The port, not 0.
        port: u16,
    },
    /// Path of a Unix stream socket, relative or absolute, at most 107 bytes.
    Unix(String),
    /// Name of a socket in Linux' abstract namespace, without the leading zero, at most 107 bytes.
    UnixAbstract(String),
}

impl Address {
    /// Reads several addresses separated by commas: those of one endpoint.
    ///
    /// # Errors
    ///
    /// What [`Address::from_str`] answers for the first address that is wrong.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AddressError> {
        text.split(',').map(|address| address.trim().parse()).collect()
    }

    /// The target under which a stock gRPC channel dials exactly this address:
    /// `ipv4:1.2.3.4:5`, `ipv6:[::1]:5`, `dns:///host:5`, `unix:/path`, `unix-abstract:name`.
    pub fn grpc_target(&self) -> String {
        format!("{}{}", self.grpc_prefix(), self.grpc_path())
    }

    /// The scheme and what separates it from the path; addresses that share it fit in one target.
    pub(crate) const fn grpc_prefix(&self) -> &'static str {
        match self {
            Self::Ip(SocketAddr::V4(_)) => "ipv4:",
            Self::Ip(SocketAddr::V6(_)) | Self::Zoned { .. } => "ipv6:",
            Self::Name { .. } => "dns:///",
            Self::Unix(_) => "unix:",
            Self::UnixAbstract(_) => "unix-abstract:",
        }
    }

    /// The address without its scheme, percent-encoded.
    pub(crate) fn grpc_path(&self) -> String {
        match self {
            Self::Unix(path) => percent::encode(&one_slash(path), b""),
            Self::UnixAbstract(name) => percent::encode(name, b"/"),
            _ => percent::encode(&self.to_string(), b""),
        }
    }

    /// The bytes that say which address this is, the same on every platform.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let with_port = |kind: u8, port: u16, text: &[u8]| {
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&port.to_be_bytes());
            bytes.extend_from_slice(text);
            bytes
        };
        match self {
            Self::Ip(SocketAddr::V4(v4)) => with_port(4, v4.port(), &v4.ip().octets()),
            Self::Ip(SocketAddr::V6(v6)) => {
                let mut bytes = with_port(6, v6.port(), &v6.ip().octets());
                bytes.extend_from_slice(&v6.scope_id().to_be_bytes());
                bytes
            }
            Self::Zoned { ip, zone, port } => {
                let mut bytes = with_port(7, *port, &ip.octets());
                bytes.extend_from_slice(zone.as_bytes());
                bytes
            }
            Self::Name { host, port } => with_port(1, *port, host.to_ascii_lowercase().as_bytes()),
            Self::Unix(path) => with_port(2, 0, path.as_bytes()),
            Self::UnixAbstract(name) => with_port(3, 0, name.as_bytes()),
        }
    }

    pub(crate) fn unix(path: &str) -> Result<Self, AddressError> {
        check_unix("path", path)?;
        Ok(Self::Unix(one_slash(path)))
    }

    pub(crate) fn unix_abstract(name: &str) -> Result<Self, AddressError> {
        check_unix("name", name)?;
        Ok(Self::UnixAbstract(name.to_owned()))
    }

    pub(crate) fn from_host(host: Host, port: u16) -> Self {
        match host {
            Host::Ip(ip) => Self::Ip(SocketAddr::new(ip, port)),
            Host::Name(host) => Self::Name { host, port },
            // A zone by number is part of the socket address; one by name means what it means
            // where it is dialled.
            Host::Zoned { ip, zone } => match zone.parse() {
                Ok(scope) => Self::Ip(SocketAddrV6::new(ip, port, 0, scope).into()),
                Err(_) => Self::Zoned { ip, zone, port },
            },
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// # Errors
    ///
    /// The part that is wrong (`host`, `port`, `path` or `name`) and why. The port must be written.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(path);
        }
        if let Some(name) = text.strip_prefix("unix-abstract:") {
            return Self::unix_abstract(name);
        }
        let (host, port) = host::split(text)?;
        let host = host::parse_host(host)?;
        let Some(port) = port else {
            return Err(AddressError::new("port", format!("`{text}` has none")));
        };
        Ok(Self::from_host(host, port))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Zoned { ip, zone, port } => write!(f, "[{ip}%{zone}]:{port}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::UnixAbstract(name) => write!(f, "unix-abstract:{name}"),
        }
    }
}

/// An absolute path with one slash in front: two would begin an authority.
fn one_slash(path: &str) -> String {
    let rest = path.trim_start_matches('/');
    if path.starts_with('/') { format!("/{rest}") } else { rest.to_owned() }
}

fn check_unix(part: &'static str, text: &str) -> Result<(), AddressError> {
    if text.is_empty() {
        return Err(AddressError::new(part, "is missing".to_owned()));
    }
    if text.len() > UNIX_PATH_MAX {
        let reason = format!("has {} bytes; a socket's {part} has at most {UNIX_PATH_MAX}", text.len());
        return Err(AddressError::new(part, reason));
    }
    if text.contains('\0') {
        return Err(AddressError::new(part, "contains a zero byte".to_owned()));
    }
    Ok(())
}

/// Why a text is not an address, or not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressError {
    /// The part that is wrong: `host`, `port`, `path`, `name`, `weight`, `zone`...
    pub part: &'static str,
    /// What is wrong with it; reads on after the part's name.
    pub reason: String,
}

impl AddressError {
    pub(crate) const fn new(part: &'static str, reason: String) -> Self {
        Self { part, reason }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.reason)
    }
}

impl std::error::Error for AddressError {}
