//! Under which address a server is reached: as it says itself, as the environment says, or on the way to the registry.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use tokio::net::{UdpSocket, lookup_host};

use super::{ADVERTISE_ENV, ServiceDefinition};
use crate::event::{ErrorClass, SourceError};
use crate::model::host;

/// Addresses that are nobody's (RFC 5737, RFC 3849): the way there is the way to the world. Nothing is sent.
const ABROAD: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// Where this machine's address is told or found.
pub(super) struct Machine {
    /// What the environment says.
    pub(super) advertised: Option<String>,
    /// Where the way to the world is looked for.
    pub(super) abroad: Vec<SocketAddr>,
    /// The addresses of the interfaces that are up, in the system's order.
    pub(super) interfaces: Box<dyn Fn() -> Vec<IpAddr> + Send + Sync>,
}

/// A definition with its host and its id.
pub(super) struct Completed {
    pub(super) definition: ServiceDefinition,
    /// No address was found but the one by which this machine reaches itself.
    pub(super) is_alone: bool,
}

impl Default for Machine {
    fn default() -> Self {
        let advertised = std::env::var(ADVERTISE_ENV).ok();
        Self { advertised, abroad: ABROAD.to_vec(), interfaces: Box::new(interfaces) }
    }
}

impl Machine {
    /// Fills in the host of a definition that has none, and the id.
    ///
    /// What the environment says goes before what is found. A registry on this machine tells nothing about how others
    /// reach it, so the address on the way to anywhere is taken then; where there is no such way, that of an interface.
    /// A machine without one is reached by itself alone.
    pub(super) async fn complete(
        &self,
        definition: ServiceDefinition,
        registry: Option<(String, u16)>,
    ) -> Result<Completed, SourceError> {
        complete(definition, self.advertised.as_deref(), self.find(registry)).await
    }

    async fn find(&self, registry: Option<(String, u16)>) -> Result<IpAddr, SourceError> {
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
        for remote in &self.abroad {
            if let Some(local) = local_address(*remote).await {
                return Ok(local);
            }
        }
        Ok(best(&(self.interfaces)()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

/// The definition itself goes before the environment, and that before what is found, which is only looked for then.
async fn complete(
    mut definition: ServiceDefinition,
    advertised: Option<&str>,
    found: impl Future<Output = Result<IpAddr, SourceError>>,
) -> Result<Completed, SourceError> {
    let mut is_alone = false;
    if definition.host.is_none() {
        match advertised.filter(|text| !text.is_empty()) {
            Some(text) => advertise(&mut definition, text)?,
            None => {
                let found = found.await?;
                is_alone = found.is_loopback();
                definition.host = Some(found.to_string());
            }
        }
    }
    if definition.id.is_none() {
        let (name, host, port) =
            (&definition.name, definition.host.as_deref().unwrap_or_default(), definition.port);
        definition.id = Some(format!("{name}-{host}-{port}"));
    }
    Ok(Completed { definition, is_alone })
}

/// `HOST` or `HOST:PORT`, as the environment says.
fn advertise(definition: &mut ServiceDefinition, text: &str) -> Result<(), SourceError> {
    let wrong = |reason: String| SourceError::new(ErrorClass::Config, format!("{ADVERTISE_ENV}: {reason}"));
    let (host, port) = host::split(text).map_err(|error| wrong(error.to_string()))?;
    if host.is_empty() {
        return Err(wrong(format!("`{text}` has no host")));
    }
    host::parse_server(host).map_err(|error| wrong(error.to_string()))?;
    definition.host = Some(host.to_owned());
    definition.port = port.unwrap_or(definition.port);
    Ok(())
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
    is_for_others(&local).then_some(local)
}

/// The first address that others can use, of IPv4 where there is one.
fn best(addresses: &[IpAddr]) -> Option<IpAddr> {
    let usable = || addresses.iter().filter(|ip| is_for_others(ip));
    usable().find(|ip| ip.is_ipv4()).or_else(|| usable().next()).copied()
}

/// Whether others can use an address: it is not this machine's word for itself, nor one that counts on a single link.
fn is_for_others(ip: &IpAddr) -> bool {
    let is_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !is_local
}

fn interfaces() -> Vec<IpAddr> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let up = all.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    up.filter_map(|interface| ip(&interface.address?)).collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete_now(
        definition: ServiceDefinition,
        registry: Option<(String, u16)>,
    ) -> Result<ServiceDefinition, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let completed = runtime.block_on(Machine::default().complete(definition, registry))?;
        assert_eq!(
            completed.is_alone,
            completed.definition.host.as_deref() == Some("127.0.0.1"),
            "only where nothing is said"
        );
        Ok(completed.definition)
    }

    #[test]
    fn what_is_said_goes_before_the_environment_and_that_before_what_is_found() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let host_of = |said: Option<&str>, advertised: Option<&str>| {
            let definition =
                ServiceDefinition { host: said.map(ToOwned::to_owned), ..ServiceDefinition::new("db", 5) };
            let found = async { Ok(IpAddr::from([10, 0, 0, 9])) };
            let done = runtime.block_on(complete(definition, advertised, found)).unwrap();
            assert!(!done.is_alone);
            format!("{}:{}", done.definition.host.unwrap(), done.definition.port)
        };
        assert_eq!(host_of(Some("explicit"), Some("advertised:6")), "explicit:5");
        assert_eq!(host_of(None, Some("advertised:6")), "advertised:6");
        assert_eq!(host_of(None, Some("")), "10.0.0.9:5");
        assert_eq!(host_of(None, None), "10.0.0.9:5");
    }

    #[test]
    fn an_interfaces_address_counts_where_others_can_use_it() {
        let best_of = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
            best(&addresses).map(|ip| ip.to_string())
        };
        let some = |ip: &str| Some(ip.to_owned());
        assert_eq!(best_of(&["127.0.0.1", "::1", "fe80::1", "169.254.1.1", "0.0.0.0"]), None);
        assert_eq!(best_of(&["::1", "fd00::1", "fd00::2", "10.0.0.1", "10.0.0.2"]), some("10.0.0.1"));
        assert_eq!(best_of(&["127.0.0.1", "fe80::1", "fd00::1"]), some("fd00::1"));
        assert!(interfaces().iter().any(IpAddr::is_loopback), "there is always that one");
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
            // A machine without a way to anywhere may have interfaces all the same.
            _ => assert!(
                found.is_loopback() || found.is_ipv6() || Some(found) == best(&interfaces()),
                "{found}"
            ),
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
        for text in [":80", "a:b:c", "host:port", "a b", "a b:80"] {
            let error = advertise(&mut ServiceDefinition::new("db", 5), text).unwrap_err();
            assert!(error.message.contains(ADVERTISE_ENV), "{error}");
        }
    }
}
