//! `host`, `host:port`, `[v6]:port`: the one place that takes such a text apart.

use std::net::{IpAddr, Ipv6Addr};

use super::AddressError;

/// What stands before the colon in addresses that have no host.
const SOCKETS: [&str; 2] = ["unix", "unix-abstract"];

/// A host as it is written in an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    Zoned { ip: Ipv6Addr, zone: String },
    Name(String),
}

/// Splits `text` into a host, empty for `:80`, and the port if one is written.
///
/// A bare IPv6 address needs brackets only where a port follows it.
pub(crate) fn split(text: &str) -> Result<(&str, Option<u16>), AddressError> {
    if text.contains('@') {
        return Err(AddressError::new("host", "has a user in front, which no address takes".to_owned()));
    }
    if let Some(inner) = text.strip_prefix('[') {
        return split_bracketed(text, inner);
    }
    match text.matches(':').count() {
        0 => Ok((text, None)),
        1 => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            Ok((host, Some(parse_port(port)?)))
        }
        _ if ipv6(text).is_some() => Ok((text, None)),
        _ => Err(AddressError::new(
            "host",
            format!("`{text}` has too many colons; an IPv6 address with a port is written [ADDRESS]:PORT"),
        )),
    }
}

fn split_bracketed<'a>(text: &'a str, inner: &'a str) -> Result<(&'a str, Option<u16>), AddressError> {
    let Some((host, rest)) = inner.split_once(']') else {
        return Err(AddressError::new("host", format!("`{text}` lacks the closing bracket")));
    };
    if ipv6(host).is_none() {
        return Err(AddressError::new("host", format!("`{host}` in brackets is not an IPv6 address")));
    }
    if rest.is_empty() {
        return Ok((host, None));
    }
    let Some(port) = rest.strip_prefix(':') else {
        return Err(AddressError::new("port", format!("`{rest}` after the bracket should be :PORT")));
    };
    Ok((host, Some(parse_port(port)?)))
}

/// A port by number, or by one of the two names gRPC itself knows.
pub(crate) fn parse_port(text: &str) -> Result<u16, AddressError> {
    match text {
        "" => return Err(AddressError::new("port", "nothing follows the colon".to_owned())),
        "http" => return Ok(80),
        "https" => return Ok(443),
        _ => {}
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(AddressError::new(
            "port",
            format!("`{text}` is not a number from 1 to 65535 (of the names only http and https are known)"),
        )),
    }
}

/// An IP address, with or without a zone, or else a valid host name.
pub(crate) fn parse_host(text: &str) -> Result<Host, AddressError> {
    if let Ok(ip) = text.parse() {
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    if let Some(host) = ipv6(text) {
        return Ok(host);
    }
    check_name(text)?;
    Ok(Host::Name(text.to_owned()))
}

/// The same for the host of a server's record. Written with its port, one called `unix` would read as the path of a
/// socket.
pub(crate) fn parse_server(text: &str) -> Result<Host, AddressError> {
    match parse_host(text)? {
        Host::Name(name) if SOCKETS.contains(&name.as_str()) => {
            let reason = format!("`{name}` is no name of a host: it is how the address of a socket begins");
            Err(AddressError::new("host", reason))
        }
        host => Ok(host),
    }
}

fn ipv6(text: &str) -> Option<Host> {
    let Some((ip, zone)) = text.split_once('%') else {
        return text.parse().ok().map(|ip| Host::Ip(IpAddr::V6(ip)));
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if zone.is_empty() || !zone.bytes().all(known) {
        return None;
    }
    Some(Host::Zoned { ip: ip.parse().ok()?, zone: zone.to_owned() })
}

/// RFC 1123 names, with the underscore that service names use; a trailing dot marks a full name.
fn check_name(name: &str) -> Result<(), AddressError> {
    let refuse = |reason: String| Err(AddressError::new("host", reason));
    if name.is_empty() {
        return refuse("is missing".to_owned());
    }
    if name.len() > 254 {
        return refuse(format!("has {} characters, more than the 253 a name may have", name.len()));
    }
    if !name.is_ascii() {
        return refuse(format!("`{name}` is not ASCII; an international name is written in its xn-- form"));
    }
    let labels = name.strip_suffix('.').unwrap_or(name);
    for label in labels.split('.') {
        check_label(name, label)?;
    }
    let last = labels.rsplit('.').next().unwrap_or(labels);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse(format!(
            "`{name}` is neither an IPv4 address nor a name: a name does not end in a number"
        ));
    }
    Ok(())
}

fn check_label(name: &str, label: &str) -> Result<(), AddressError> {
    if label.is_empty() || label.len() > 63 {
        let reason = format!("`{name}` has a part that is not 1 to 63 characters long");
        return Err(AddressError::new("host", reason));
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match label.chars().find(|c| !allowed(c)) {
        Some(c) => {
            Err(AddressError::new("host", format!("`{name}` contains {c:?}, which no name may contain")))
        }
        None => Ok(()),
    }
}
