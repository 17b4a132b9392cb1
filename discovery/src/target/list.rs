//! Targets that spell out their addresses: `ipv4:`, `ipv6:`, `unix:`, `unix-abstract:`, `static:`.

use std::fmt;
use std::net::IpAddr;

use super::dns::authority as authority_of;
use super::uri::{self, Uri};
use super::{AddressTarget, StaticTarget, Target, TargetError};
use crate::model::host::{self, Host};
use crate::model::{Address, AddressError, Endpoint, percent};

const DEFAULT_PORT: u16 = 443;

/// Characters that would make a list of what is meant as a name.
pub(super) const NAME_RESERVED: &[u8] = b",;|=:";

pub(super) fn parse_ipv4(uri: &Uri<'_>) -> Result<Target, TargetError> {
    parse_ips("ipv4", uri, |host| matches!(host, Host::Ip(IpAddr::V4(_))))
}

pub(super) fn parse_ipv6(uri: &Uri<'_>) -> Result<Target, TargetError> {
    parse_ips("ipv6", uri, |host| matches!(host, Host::Ip(IpAddr::V6(_)) | Host::Zoned { .. }))
}

fn parse_ips(scheme: &str, uri: &Uri<'_>, fits: fn(&Host) -> bool) -> Result<Target, TargetError> {
    let path = uri.path_only(scheme)?;
    let mut endpoints = Vec::new();
    let mut authority = None;
    for (index, text) in path.split(',').enumerate() {
        let (host, port) =
            parse_ip(scheme, text, fits).map_err(|error| TargetError::of_entry(index + 1, &error))?;
        authority.get_or_insert_with(|| authority_of(&host, port));
        endpoints.push(Endpoint::new(vec![Address::from_host(host, port.unwrap_or(DEFAULT_PORT))]));
    }
    Ok(Target::Addresses(AddressTarget { endpoints, authority: authority.unwrap_or_default() }))
}

fn parse_ip(scheme: &str, text: &str, fits: fn(&Host) -> bool) -> Result<(Host, Option<u16>), AddressError> {
    let text = percent::decode_address(text);
    let (host, port) = host::split(&text)?;
    let host = host::parse_host(host)?;
    if fits(&host) {
        return Ok((host, port));
    }
    Err(AddressError::new("host", format!("`{text}` is not an address of the kind {scheme}: lists")))
}

pub(super) fn parse_unix(uri: &Uri<'_>) -> Result<Target, TargetError> {
    let path = uri::decode("path", uri.absolute_path("unix")?)?;
    socket(Address::unix(&path)?)
}

pub(super) fn parse_unix_abstract(uri: &Uri<'_>) -> Result<Target, TargetError> {
    let name = uri::decode("name", uri.absolute_path("unix-abstract")?)?;
    socket(Address::unix_abstract(&name)?)
}

fn socket(address: Address) -> Result<Target, TargetError> {
    let endpoints = vec![Endpoint::new(vec![address])];
    Ok(Target::Addresses(AddressTarget { endpoints, authority: "localhost".to_owned() }))
}

pub(super) fn parse_static(uri: &Uri<'_>) -> Result<Target, TargetError> {
    let path = uri.path_only("static")?;
    if path.is_empty() {
        return Err(TargetError::new(
            "path",
            "is empty; write static:///HOST:PORT,HOST:PORT or static:///NAME",
        ));
    }
    if path.bytes().any(|byte| NAME_RESERVED.contains(&byte)) {
        return parse_list(path);
    }
    let name = uri::decode("name", path)?;
    // An IP address is no name: what it lacks is its port.
    if name.parse::<IpAddr>().is_ok() {
        parse_list(&name)
    } else {
        Ok(Target::Static(StaticTarget::Named(name)))
    }
}

fn parse_list(path: &str) -> Result<Target, TargetError> {
    let entries = path.split(',').enumerate();
    let parse =
        |(index, text): (usize, &str)| text.parse().map_err(|error| TargetError::of_entry(index + 1, &error));
    Ok(Target::Static(StaticTarget::List(entries.map(parse).collect::<Result<_, _>>()?)))
}

/// The first address stands for the list: as host and port, or `localhost` for a Unix socket.
pub(super) fn authority(endpoints: &[Endpoint]) -> String {
    match endpoints.first().and_then(|endpoint| endpoint.addresses.first()) {
        None | Some(Address::Unix(_) | Address::UnixAbstract(_)) => "localhost".to_owned(),
        Some(address) => uri::encode_authority(&address.to_string()),
    }
}

pub(super) fn write_joined(f: &mut fmt::Formatter<'_>, endpoints: &[Endpoint]) -> fmt::Result {
    for (index, endpoint) in endpoints.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(f, "{separator}{endpoint}")?;
    }
    Ok(())
}

/// All of one kind, as the parser made them: one prefix and the addresses.
pub(super) fn write_addresses(f: &mut fmt::Formatter<'_>, endpoints: &[Endpoint]) -> fmt::Result {
    let mut addresses = endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    let Some(first) = addresses.next() else { return Ok(()) };
    f.write_str(&first.grpc_target())?;
    addresses.try_for_each(|address| write!(f, ",{}", address.grpc_path()))
}
