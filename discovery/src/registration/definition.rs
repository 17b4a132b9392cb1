//! What a server says of itself when it registers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::event::{ErrorClass, SourceError};
use crate::model::host;

/// The least time to live that a registration may have.
pub const MIN_TTL: Duration = Duration::from_secs(1);

/// One instance of a service: what is written into a registry. `Debug` shows no secret that is in it.
#[derive(Clone, PartialEq)]
pub struct ServiceDefinition {
    /// The service's name, under which clients look for it.
    pub name: String,
    /// What tells this instance from the service's others. `None` makes one of name, host and port: the same after
    /// a restart, so that what a crash has left is taken over.
    pub id: Option<String>,
    /// The host name or IP address that clients dial, without a port. `None` takes what
    /// [`EVENER_ADVERTISE_ADDRESS`](crate::registration::ADVERTISE_ENV) says, or else this machine's address on the
    /// way to the registry.
    pub host: Option<String>,
    /// The port that clients dial, 1 to 65535.
    pub port: u16,
    /// Consul's tags.
    pub tags: Vec<String>,
    /// Whatever else clients may want to know.
    pub metadata: BTreeMap<String, String>,
    /// The instance's share of the calls relative to the others'; 0 is none.
    pub weight: u32,
    /// Its share while a check of it is in the state `warning` (Consul). `None` is Consul's 1.
    pub warning_weight: Option<u32>,
    /// Its tier: 0 is used first.
    pub priority: u32,
    /// The zone it runs in.
    pub zone: Option<String>,
    /// The region that zone is in.
    pub region: Option<String>,
    /// Checks that the registry is to make (Consul); a registration has to be kept alive whatever they say.
    pub checks: Vec<Check>,
    /// After how long without a sign of life the registry drops the instance: 30 s. At least [`MIN_TTL`].
    pub ttl: Duration,
    /// Fields of the registry's own form of a definition that have no place above, handed on as they are.
    pub extra: BTreeMap<String, Value>,
}

impl ServiceDefinition {
    /// A definition with a name and a port; everything else has its default.
    pub fn new(name: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            id: None,
            host: None,
            port,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            weight: 1,
            warning_weight: None,
            priority: 0,
            zone: None,
            region: None,
            checks: Vec::new(),
            ttl: Duration::from_secs(30),
            extra: BTreeMap::new(),
        }
    }

    /// Whether it can be registered anywhere.
    ///
    /// # Errors
    /// The field that is wrong, and why ([`ErrorClass::Config`]).
    pub fn check(&self) -> Result<(), SourceError> {
        let wrong = |text: &str| Err(SourceError::new(ErrorClass::Config, format!("registration: {text}")));
        if self.name.is_empty() {
            return wrong("name: is empty");
        }
        if self.name.chars().chain(self.id.iter().flat_map(|id| id.chars())).any(char::is_control) {
            return wrong("name, id: have a control character");
        }
        if self.id.as_deref() == Some("") {
            return wrong("id: is empty; leave it out to have one made");
        }
        if self.host.as_deref() == Some("") {
            return wrong("host: is empty; leave it out to have it found");
        }
        if let Some(Err(error)) = self.host.as_deref().map(host::parse_server) {
            return wrong(&format!("{error}; an IP address or a host name is wanted, without a port"));
        }
        if self.port == 0 {
            return wrong("port: is 0; give the port that the server has bound");
        }
        if self.ttl < MIN_TTL {
            return wrong("ttl: is below one second");
        }
        Ok(())
    }
}

/// A check that the registry makes of an instance, in Consul's terms. `Debug` shows no secret that is in it.
#[derive(Clone, PartialEq)]
pub struct Check {
    /// What the check is called; `None` lets the registry choose.
    pub name: Option<String>,
    /// Its identity in the registry; `None` lets the registry choose.
    pub id: Option<String>,
    /// What is done.
    pub kind: CheckKind,
    /// From one run to the next: 10 s.
    pub interval: Duration,
    /// How long one run may take; `None` is the registry's default.
    pub timeout: Option<Duration>,
    /// Whether a certificate that cannot be checked is taken all the same.
    pub tls_skip_verify: bool,
    /// Runs in a row that have to succeed before it passes.
    pub success_before_passing: Option<u32>,
    /// Runs in a row that have to fail before it is critical.
    pub failures_before_critical: Option<u32>,
    /// After how long in the critical state the registry forgets the instance. `None` is the registrar's default:
    /// never without one, so that what a crash leaves behind goes away.
    pub deregister_after: Option<Duration>,
    /// What it says before its first run: `passing`, `warning` or `critical`.
    pub status: Option<String>,
    /// Fields of the registry's own form of a check that have no place above, handed on as they are.
    pub extra: BTreeMap<String, Value>,
}

impl Check {
    /// A check of a kind; everything else has its default.
    pub const fn new(kind: CheckKind) -> Self {
        Self {
            name: None,
            id: None,
            kind,
            interval: Duration::from_secs(10),
            timeout: None,
            tls_skip_verify: false,
            success_before_passing: None,
            failures_before_critical: None,
            deregister_after: None,
            status: None,
            extra: BTreeMap::new(),
        }
    }
}

/// How an instance is checked. `Debug` shows no secret that is in it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckKind {
    /// The instance gives signs of life itself, each within so long of the one before.
    Ttl(Duration),
    /// An HTTP request that is answered with 2xx.
    Http {
        /// The URL.
        url: String,
        /// The method; `GET` unless given.
        method: Option<String>,
        /// Headers of the request.
        header: BTreeMap<String, Vec<String>>,
        /// The request's body.
        body: Option<String>,
    },
    /// A TCP connection that can be made, to `HOST:PORT`.
    Tcp(String),
    /// gRPC's health service.
    Grpc {
        /// `HOST:PORT`, or `HOST:PORT/SERVICE` for the health of one service.
        target: String,
        /// Whether TLS is used.
        tls: bool,
    },
    /// A command on the registry's agent: the program and its arguments. Exit code 0 passes, 1 warns.
    Script(Vec<String>),
    /// What [`Check::extra`] says, in the registry's own words.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_registered_is_refused_with_the_field() {
        let good = ServiceDefinition::new("user-service", 50051);
        assert_eq!(good.check(), Ok(()));
        for (bad, field) in [
            (ServiceDefinition { name: String::new(), ..good.clone() }, "name"),
            (ServiceDefinition { name: "a\nb".to_owned(), ..good.clone() }, "name"),
            (ServiceDefinition { id: Some(String::new()), ..good.clone() }, "id"),
            (ServiceDefinition { host: Some(String::new()), ..good.clone() }, "host: is empty"),
            (ServiceDefinition { port: 0, ..good.clone() }, "port"),
            (ServiceDefinition { ttl: Duration::ZERO, ..good.clone() }, "ttl"),
        ] {
            let error = bad.check().unwrap_err();
            assert_eq!(error.class, ErrorClass::Config);
            assert!(error.message.contains(field), "{error}");
        }
    }

    #[test]
    fn a_host_is_an_ip_address_or_a_name_and_nothing_more() {
        let check = |host: &str| {
            ServiceDefinition { host: Some(host.to_owned()), ..ServiceDefinition::new("db", 5) }.check()
        };
        let good = ["10.0.0.1", "fd00::1", "fe80::1%eth0", "db", "db_1.example.com."];
        for host in good {
            assert_eq!(check(host), Ok(()), "{host}");
        }
        let bad =
            ["a b", " db", "127.0.0.1:90", "db:90", "[::1]", "x\0", "\u{e9}", "a..b", "1.2.3.400", "unix"];
        for host in bad {
            let error = check(host).unwrap_err();
            assert_eq!(error.class, ErrorClass::Config);
            assert!(error.message.starts_with(&format!("registration: host: `{host}`")), "{error}");
            assert!(
                error.message.ends_with("an IP address or a host name is wanted, without a port"),
                "{error}"
            );
        }
    }
}
