//! `dns:` and bare names.

use std::fmt;

use super::uri::Uri;
use super::{AddressTarget, Target, TargetError};
use crate::model::host::{self, Host};
use crate::model::{Address, Endpoint, percent};

const DEFAULT_PORT: u16 = 443;
const DEFAULT_SERVER_PORT: u16 = 53;

/// A host name to look up, the port its endpoints share, and the DNS server to ask if one was named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsTarget {
    /// The name, ASCII, at most 253 characters; a trailing dot marks it as complete.
    pub host: String,
    /// The port, 443 unless the target had one.
    pub port: u16,
    /// The DNS server of `dns://server/host`, port 53 unless the target had one.
    pub server: Option<Address>,
    authority: String,
}

impl DnsTarget {
    /// The name as it was written, with the port if one was.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for DnsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dns://")?;
        if let Some(server) = &self.server {
            f.write_str(&percent::encode(&server.to_string(), b""))?;
        }
        write!(f, "/{}:{}", self.host, self.port)
    }
}

/// Reads what gRPC would read after putting `dns:///` before it.
pub(super) fn parse_bare(text: &str) -> Result<Target, TargetError> {
    resolve(None, text)
}

pub(super) fn parse(uri: &Uri<'_>) -> Result<Target, TargetError> {
    resolve(uri.authority, uri.path.strip_prefix('/').unwrap_or(uri.path))
}

fn resolve(server: Option<&str>, text: &str) -> Result<Target, TargetError> {
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
    let server = server.map(parse_server).transpose()?;
    let authority = authority(&host, port);
    let port = port.unwrap_or(DEFAULT_PORT);
    Ok(match host {
        Host::Name(host) => Target::Dns(DnsTarget { host, port, server, authority }),
        host => {
            let endpoints = vec![Endpoint::new(vec![Address::from_host(host, port)])];
            Target::Addresses(AddressTarget { endpoints, authority })
        }
    })
}

fn parse_server(text: &str) -> Result<Address, TargetError> {
    let of_server =
        |error: crate::AddressError| TargetError::new(format!("authority: {}", error.part), error.reason);
    let text = percent::decode_address(text);
    if text.contains('@') {
        return Err(TargetError::new("authority", "a DNS server takes neither user nor password"));
    }
    let (host, port) = host::split(&text).map_err(of_server)?;
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
