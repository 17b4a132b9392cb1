//! What a channel's target means.
//!
//! | target | meaning |
//! |---|---|
//! | `dns:[//server[:53]/]host[:port][?...]`, `host[:port]` | a name, looked up and looked up again; port 443 unless given, see [`DnsTarget`] |
//! | `10.0.0.1[:port]`, `[::1][:port]` bare or after `dns:` | that address |
//! | `ipv4:a[:p],b[:p]`, `ipv6:[a][:p],...` | those addresses, each an endpoint; port 443 unless given |
//! | `unix:path`, `unix:///absolute`, `unix-abstract:name` | a Unix socket |
//! | `static:///h:p;weight=3;zone=a,h:p` | a list of endpoints written out, see [`Endpoint`] |
//! | `static:///NAME` | the list of that name, see [`NamedLists`](crate::NamedLists) |
//! | `dns+srv:///_grpc._tcp.name` | what the SRV records of a name say, see [`SrvTarget`] |
//! | `etcd://[server,server]/prefix[?...]` | the keys below a prefix, see [`EtcdTarget`] |
//! | `consul://[agent]/service[?...]` | a service's instances, see [`ConsulTarget`] |
//! | `kubernetes:///service.namespace:port` | a Service's EndpointSlices, see [`KubernetesTarget`] |
//! | `yours:///...` | whatever a resolver of the application's own says, see [`CustomTarget`] |
//!
//! As in gRPC, a target with no scheme or an unknown one is read again with `dns:///` before it, which
//! is how `localhost:8080` (a URI of scheme `localhost`) becomes a name and a port.

mod consul;
mod custom;
mod dns;
mod error;
pub(crate) mod etcd;
mod kubernetes;
mod list;
mod span;
mod srv;
mod uri;

use std::fmt;
use std::str::FromStr;

pub use consul::{
    ConsulAgent, ConsulConsistency, ConsulPlace, ConsulTarget, ConsulWarning, ConsulWarningKind,
};
pub use custom::CustomTarget;
pub use dns::{DnsParameters, DnsTarget, Family};
pub use error::TargetError;
pub use etcd::{EtcdFormat, EtcdTarget};
pub use kubernetes::{KubernetesPort, KubernetesTarget};
pub use srv::SrvTarget;
pub(crate) use uri::is_secret;
pub use uri::{RegistryUri, redact};

use crate::model::Endpoint;
use uri::Uri;

/// Schemes with a meaning in gRPC or in evener that this build has nothing for.
const UNAVAILABLE: [&str; 3] = ["xds", "vsock", "google-c2p"];

/// A parsed target: where the endpoints of a channel come from.
///
/// `Display` writes it in one canonical form, which parses to the same target but for the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A list written out in the target, or a named one.
    Static(StaticTarget),
    /// Addresses written in the target (`ipv4:`, `ipv6:`, `unix:`, `unix-abstract:`, an IP address
    /// after `dns:` or bare). They never change.
    Addresses(AddressTarget),
    /// A host name to look up.
    Dns(DnsTarget),
    /// A name whose SRV records name hosts, ports, priorities and weights.
    Srv(SrvTarget),
    /// The keys below a prefix in etcd.
    Etcd(EtcdTarget),
    /// A service in Consul's catalogue.
    Consul(Box<ConsulTarget>),
    /// A Service's EndpointSlices in Kubernetes.
    Kubernetes(KubernetesTarget),
    /// A name for a resolver that the application registered.
    Custom(CustomTarget),
}

/// What follows `static:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticTarget {
    /// The endpoints themselves, at least one, in the order in which they were written.
    List(Vec<Endpoint>),
    /// The name of a list that the application or a file defines.
    Named(String),
}

/// Addresses that a target spells out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressTarget {
    /// One endpoint for each address, at least one, in the order in which they were written.
    pub endpoints: Vec<Endpoint>,
    authority: String,
}

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    ///
    /// The part of the target that is wrong and why, with passwords and tokens left out. A scheme
    /// that exists but is not in this build is such an error, never a host name.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        Self::parse_with(text, |_| false)
    }

    /// As [`Target::parse`], where `is_custom` tells which schemes (in lower case) the application has a
    /// resolver of its own for. It is asked first: a built-in scheme may be taken over.
    ///
    /// # Errors
    ///
    /// As [`Target::parse`].
    pub fn parse_with(text: &str, is_custom: impl Fn(&str) -> bool) -> Result<Self, TargetError> {
        if text.is_empty() {
            return Err(TargetError::new("target", "is empty"));
        }
        if let Some(c) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(TargetError::new("target", format!("contains {c:?}")));
        }
        let Some((scheme, rest)) = uri::split_scheme(text) else {
            return dns::parse_bare(text);
        };
        match scheme.as_str() {
            scheme if is_custom(scheme) => custom::parse(scheme, rest).map(Self::Custom),
            "etcd" => etcd::parse(rest).map(Self::Etcd),
            "consul" => consul::parse(rest).map(|target| Self::Consul(Box::new(target))),
            "kubernetes" => kubernetes::parse(rest).map(Self::Kubernetes),
            "dns+srv" => srv::parse(rest).map(Self::Srv),
            "dns" => dns::parse(rest),
            "ipv4" => list::parse_ipv4(&Uri::new(rest)?),
            "ipv6" => list::parse_ipv6(&Uri::new(rest)?),
            "unix" => list::parse_unix(&Uri::new(rest)?),
            "unix-abstract" => list::parse_unix_abstract(&Uri::new(rest)?),
            "static" => list::parse_static(&Uri::new(rest)?),
            scheme if UNAVAILABLE.contains(&scheme) => Err(TargetError::unavailable(scheme, rest)),
            scheme => dns::parse_bare(text).map_err(|error| error.of_unknown_scheme(scheme, rest)),
        }
    }

    /// The scheme that the canonical form begins with.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Static(_) => "static",
            Self::Addresses(target) => {
                let first = target.endpoints.first().and_then(|endpoint| endpoint.addresses.first());
                first.map_or("ipv4", |address| address.grpc_prefix().trim_end_matches([':', '/']))
            }
            Self::Dns(_) => "dns",
            Self::Srv(_) => "dns+srv",
            Self::Etcd(_) => "etcd",
            Self::Consul(_) => "consul",
            Self::Kubernetes(_) => "kubernetes",
            Self::Custom(target) => &target.scheme,
        }
    }

    /// What gRPC would send as `:authority` and check a certificate against.
    ///
    /// For a name that is the name as it was written, port and all; for Unix sockets `localhost`;
    /// for a named list its name. Where the target lists several addresses it is the first one:
    /// gRPC would take the whole list, which is no valid authority and is refused by some servers.
    pub fn authority(&self) -> String {
        match self {
            Self::Static(StaticTarget::List(endpoints)) => list::authority(endpoints),
            Self::Static(StaticTarget::Named(name)) => uri::encode_authority(name),
            Self::Addresses(target) => target.authority.clone(),
            Self::Dns(target) => target.authority().to_owned(),
            Self::Srv(target) => uri::encode_authority(target.authority()),
            Self::Etcd(target) => uri::encode_authority(target.authority()),
            Self::Consul(target) => uri::encode_authority(target.authority()),
            Self::Kubernetes(target) => uri::encode_authority(target.authority()),
            Self::Custom(target) => uri::encode_authority(&target.uri.path),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(StaticTarget::List(endpoints)) => {
                f.write_str("static:///")?;
                list::write_joined(f, endpoints)
            }
            Self::Static(StaticTarget::Named(name)) => {
                write!(f, "static:///{}", crate::model::percent::encode(name, list::NAME_RESERVED))
            }
            Self::Addresses(target) => list::write_addresses(f, &target.endpoints),
            Self::Dns(target) => target.fmt(f),
            Self::Srv(target) => target.fmt(f),
            Self::Etcd(target) => write!(f, "etcd:{}", target.uri),
            Self::Consul(target) => target.fmt(f),
            Self::Kubernetes(target) => target.fmt(f),
            Self::Custom(target) => write!(f, "{}:{}", target.scheme, target.uri),
        }
    }
}
