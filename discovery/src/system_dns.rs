//! Names through the system's resolver (`getaddrinfo`): hosts file, nsswitch, mDNS, search list and all.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::model::{Address, Endpoint};
use crate::target::DnsTarget;

/// Looks a name up: one endpoint for each address, sorted and without repetition, so that the same
/// answer in another order is no change. Never empty.
///
/// Blocks until the system answers, which with a dead name server takes it 10 s and more: to be
/// called where waiting harms nobody.
///
/// # Errors
///
/// The name is unknown, the system could not ask just now, or the target names a DNS server, which
/// the system's resolver cannot be told.
pub fn lookup(target: &DnsTarget) -> Result<Vec<Endpoint>, LookupError> {
    let host = &target.host;
    if let Some(server) = target.servers.first() {
        let reason = format!("the system's resolver cannot be told to ask {server}; write dns:///{host}");
        return Err(LookupError::new(host, LookupErrorKind::Unsupported, reason));
    }
    let found = (host.as_str(), target.port)
        .to_socket_addrs()
        .map_err(|error| LookupError::classify(host, &error))?;
    let endpoints = to_endpoints(found);
    if endpoints.is_empty() {
        return Err(LookupError::new(host, LookupErrorKind::NotFound, "it has no address".to_owned()));
    }
    Ok(endpoints)
}

fn to_endpoints(found: impl Iterator<Item = SocketAddr>) -> Vec<Endpoint> {
    let mut addresses: Vec<Address> = found.map(Address::Ip).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into_iter().map(|address| Endpoint::new(vec![address])).collect()
}

/// Why a name has no endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupError {
    /// The name that was looked up.
    pub host: String,
    /// What to make of it.
    pub kind: LookupErrorKind,
    /// The reason in words; reads on after the name.
    pub reason: String,
}

/// What kind of failure a lookup ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupErrorKind {
    /// The name does not exist or has no address: an answer.
    NotFound,
    /// No answer could be had; it says nothing about the name. Asking again may help.
    Temporary,
    /// Such a lookup is not possible here; asking again will not help.
    Unsupported,
    /// Anything else, in the system's own words.
    Other,
}

impl LookupError {
    fn new(host: &str, kind: LookupErrorKind, reason: String) -> Self {
        Self { host: host.to_owned(), kind, reason }
    }

    /// The standard library hands the resolver's answer on as a text only.
    fn classify(host: &str, error: &io::Error) -> Self {
        const NOT_FOUND: [&str; 4] = [
            "name or service not known",
            "no address associated",
            "name does not resolve",
            "nodename nor servname",
        ];
        const TEMPORARY: [&str; 3] = ["temporary failure", "try again", "timed out"];

        let text = error.to_string().to_ascii_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        let (kind, reason) = if says(&NOT_FOUND) {
            (LookupErrorKind::NotFound, "no such name, or it has no address".to_owned())
        } else if says(&TEMPORARY) {
            (LookupErrorKind::Temporary, format!("no name server answered ({error})"))
        } else {
            (LookupErrorKind::Other, error.to_string())
        };
        Self::new(host, kind, reason)
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot resolve {}: {}", self.host, self.reason)
    }
}

impl std::error::Error for LookupError {}

/// What to tell a user whose name resolves to one address that hides the servers behind it.
///
/// A Kubernetes Service with a cluster IP does: the address is a virtual one, and a connection to it
/// goes to one pod for as long as it lives, so nothing can be balanced. `None` where nothing is amiss.
pub fn finding(target: &DnsTarget, endpoints: &[Endpoint]) -> Option<String> {
    let host = target.host.strip_suffix('.').unwrap_or(&target.host);
    let (service, zone) = host.split_once(".svc")?;
    let in_cluster = zone.is_empty() || zone.starts_with('.');
    let ([endpoint], true) = (endpoints, in_cluster) else { return None };
    let address = endpoint.addresses.first()?;
    Some(format!(
        "{host} resolves to the one address {address}, as a Service with a cluster IP does: all calls go to one \
         pod. Make the Service headless (clusterIP: None), or use kubernetes:///{service}:{}.",
        target.port
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn dns(text: &str) -> DnsTarget {
        match Target::parse(text) {
            Ok(Target::Dns(target)) => target,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn localhost_is_the_loopback() {
        let endpoints = lookup(&dns("localhost:8080")).unwrap();
        let loopback = ["127.0.0.1:8080", "[::1]:8080"];
        assert!(
            endpoints.iter().all(|endpoint| loopback.contains(&endpoint.to_string().as_str())),
            "{endpoints:?}"
        );
    }

    #[test]
    fn a_name_that_cannot_exist_is_an_error_that_names_it() {
        // RFC 6761: no name under .invalid exists. Without a network the resolver cannot even ask.
        let error = lookup(&dns("nobody.invalid:80")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot resolve nobody.invalid: "), "{text}");
        assert!(matches!(error.kind, LookupErrorKind::NotFound | LookupErrorKind::Temporary), "{error:?}");
    }

    #[test]
    fn a_chosen_server_is_refused_and_not_passed_over() {
        let error = lookup(&dns("dns://8.8.8.8/localhost")).unwrap_err();
        assert_eq!(error.kind, LookupErrorKind::Unsupported);
        assert!(error.reason.contains("8.8.8.8:53"), "{error}");
    }

    #[test]
    fn answers_are_sorted_and_without_repetition() {
        let found = ["[::1]:80", "10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80"].map(|a| a.parse().unwrap());
        let endpoints: Vec<_> = to_endpoints(found.into_iter()).iter().map(ToString::to_string).collect();
        assert_eq!(endpoints, ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80"]);
    }

    #[test]
    fn failures_are_told_apart_by_what_the_system_says() {
        for (text, expected) in [
            ("failed to lookup address information: Name or service not known", LookupErrorKind::NotFound),
            (
                "failed to lookup address information: No address associated with hostname",
                LookupErrorKind::NotFound,
            ),
            ("failed to lookup address information: Name does not resolve", LookupErrorKind::NotFound),
            (
                "failed to lookup address information: Temporary failure in name resolution",
                LookupErrorKind::Temporary,
            ),
            ("failed to lookup address information: Try again", LookupErrorKind::Temporary),
            ("failed to lookup address information: Memory allocation failure", LookupErrorKind::Other),
        ] {
            assert_eq!(LookupError::classify("h", &io::Error::other(text)).kind, expected, "{text}");
        }
    }

    #[test]
    fn a_cluster_ip_is_pointed_out() {
        let one: [Endpoint; 1] = ["10.96.0.100:8080".parse().unwrap()];
        let two: [Endpoint; 2] = ["10.0.0.1:8080", "10.0.0.2:8080"].map(|text| text.parse().unwrap());
        let service = dns("user-service.default.svc.cluster.local:8080");

        let text = finding(&service, &one).unwrap();
        assert!(
            text.contains("10.96.0.100:8080") && text.contains("kubernetes:///user-service.default:8080"),
            "{text}"
        );
        assert!(finding(&dns("user-service.default.svc"), &one).is_some());
        assert_eq!(finding(&service, &two), None);
        assert_eq!(finding(&dns("user-service.svcs.example.com"), &one), None);
        assert_eq!(finding(&dns("user-service.example.com"), &one), None);
    }
}
