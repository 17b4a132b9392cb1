//! Under which address a server is reached: as it says itself, as the environment says, or on the way to the registry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{UdpSocket, lookup_host};

use super::{ADVERTISE_ENV, ServiceDefinition};
use crate::event::{ErrorClass, SourceError};
use crate::model::host;

/// Addresses that are nobody's (RFC 5737, RFC 3849): the way there is the way to the world. Nothing is sent.
const ABROAD: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// Fills in the host of a definition that has none, and the id.
///
/// What the environment says goes before what is found. A registry on this machine tells nothing about how others reach
/// it, so the address on the way to anywhere is taken then; a machine without one is reached by itself alone.
pub(super) async fn complete(
    mut definition: ServiceDefinition,
    registry: Option<(String, u16)>,
) -> Result<ServiceDefinition, SourceError> {
    if definition.host.is_none() {
        let said = std::env::var(ADVERTISE_ENV).ok().filter(|text| !text.is_empty());
        match said {
            Some(text) => advertise(&mut definition, &text)?,
            None => definition.host = Some(on_the_way_to(registry).await?.to_string()),
        }
    }
    if definition.id.is_none() {
        let (name, host, port) =
            (&definition.name, definition.host.as_deref().unwrap_or_default(), definition.port);
        definition.id = Some(format!("{name}-{host}-{port}"));
    }
    Ok(definition)
}

/// `HOST` or `HOST:PORT`, as the environment says.
fn advertise(definition: &mut ServiceDefinition, text: &str) -> Result<(), SourceError> {
    let wrong = |reason: String| SourceError::new(ErrorClass::Config, format!("{ADVERTISE_ENV}: {reason}"));
    let (host, port) = host::split(text).map_err(|error| wrong(error.to_string()))?;
    if host.is_empty() {
        return Err(wrong(format!("`{text}` has no host")));
    }
    definition.host = Some(host.to_owned());
    definition.port = port.unwrap_or(definition.port);
    Ok(())
}

async fn on_the_way_to(registry: Option<(String, u16)>) -> Result<IpAddr, SourceError> {
    if let Some((host, port)) = registry {
        let found = lookup_host((host.as_str(), port)).await.map_err(|error| {
            let text = format!("cannot find this machine's address: {host}: {error}");
            SourceError::new(ErrorClass::Unreachable, text)
        })?;
        for remote in found {
            if let Some(local) = local_address(remote).await {
                return Ok(local);
            }
        }
    }
    for remote in ABROAD {
        if let Some(local) = local_address(remote).await {
            return Ok(local);
        }
    }
    Ok(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The address of this machine from which that one would be spoken to, if others could use it. Sends nothing.
async fn local_address(remote: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(remote).await.ok()?;
    let local = socket.local_addr().ok()?.ip();
    let is_local = match local {
        IpAddr::V4(local) => local.is_link_local(),
        IpAddr::V6(local) => local.is_unicast_link_local(),
    };
    (!local.is_loopback() && !local.is_unspecified() && !is_local).then_some(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete_now(
        definition: ServiceDefinition,
        registry: Option<(String, u16)>,
    ) -> Result<ServiceDefinition, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(complete(definition, registry))
    }

    #[test]
    fn what_is_said_is_not_looked_for() {
        let said =
            ServiceDefinition { host: Some("db.example.com".to_owned()), ..ServiceDefinition::new("db", 5) };
        let done = complete_now(said, Some(("no.such.host.invalid".to_owned(), 1))).unwrap();
        assert_eq!(done.host.as_deref(), Some("db.example.com"));
        assert_eq!(done.id.as_deref(), Some("db-db.example.com-5"), "the same after a restart");
    }

    #[test]
    fn the_way_to_a_registry_on_this_machine_is_no_address_for_others() {
        let done =
            complete_now(ServiceDefinition::new("db", 5), Some(("127.0.0.1".to_owned(), 2379))).unwrap();
        let found: IpAddr = done.host.unwrap().parse().unwrap();
        // One without any network has no other.
        let abroad = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.connect(ABROAD[0])?;
            socket.local_addr()
        });
        match abroad {
            Ok(address) if !address.ip().is_loopback() => assert_eq!(found, address.ip()),
            _ => assert!(found.is_loopback() || found.is_ipv6(), "{found}"),
        }
    }

    #[test]
    fn the_environments_word_may_have_a_port() {
        for (text, host, port) in [
            ("db.example.com", "db.example.com", 5),
            ("db.example.com:6", "db.example.com", 6),
            ("10.1.2.3:6", "10.1.2.3", 6),
            ("[fd00::1]:6", "fd00::1", 6),
            ("fd00::1", "fd00::1", 5),
        ] {
            let mut definition = ServiceDefinition::new("db", 5);
            advertise(&mut definition, text).unwrap();
            assert_eq!((definition.host.as_deref(), definition.port), (Some(host), port), "{text}");
        }
        for text in [":80", "a:b:c", "host:port"] {
            let error = advertise(&mut ServiceDefinition::new("db", 5), text).unwrap_err();
            assert!(error.message.contains(ADVERTISE_ENV), "{error}");
        }
    }
}
