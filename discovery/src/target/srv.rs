//! `dns+srv:` targets.

use std::fmt;

use super::TargetError;
use super::dns::{DnsParameters, join_servers, parse_servers};
use super::uri::RegistryUri;
use crate::model::Address;
use crate::model::host::{self, Host};

/// A name whose SRV records (RFC 2782) name the endpoints:
/// `dns+srv://[server[:53],server...]/_service._proto.name[?key=value&...]`.
///
/// | part | meaning |
/// |---|---|
/// | servers | the DNS servers to ask, as for [`DnsTarget`](super::DnsTarget) |
/// | name | the name that has the records, `_grpc._tcp.user-service.example.com`, say. It takes no port: each record has one |
/// | parameters | see [`DnsParameters`] |
///
/// Records of the lowest priority are the first tier of endpoints, those of the next one the second, and so on.
/// A record's weight is that of each of its host's addresses; weight 0, which RFC 2782 means as "hardly ever", is
/// read as 1, since 0 takes an endpoint out of use here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SrvTarget {
    /// The name that has the records; a trailing dot marks it as complete.
    pub name: String,
    /// The DNS servers to ask; none asks the usual ones.
    pub servers: Vec<Address>,
    /// What the target says about how it is looked up.
    pub parameters: DnsParameters,
}

pub(super) fn parse(rest: &str) -> Result<SrvTarget, TargetError> {
    let uri = RegistryUri::parse("dns+srv", rest)?;
    uri.refuse_cut_user()?;
    if uri.user.is_some() {
        return Err(TargetError::new("authority", "a DNS server takes neither user nor password"));
    }
    if uri.path.is_empty() {
        return Err(TargetError::new("path", "is empty; it names the service"));
    }
    let parameters = DnsParameters::parse(&uri.query)?;
    let servers = match uri.authority.as_str() {
        "" => Vec::new(),
        servers => parse_servers(servers)?,
    };
    Ok(SrvTarget { name: parse_name(uri.path)?, servers, parameters })
}

fn parse_name(path: String) -> Result<String, TargetError> {
    let (name, port) = host::split(&path)?;
    if port.is_some() {
        return Err(TargetError::new("port", "each SRV record has one of its own; the target takes none"));
    }
    match host::parse_host(name)? {
        Host::Name(name) => Ok(name),
        _ => Err(TargetError::new("host", format!("`{path}` is an address, which has no SRV records"))),
    }
}

impl SrvTarget {
    /// What calls have as `:authority` unless the application says otherwise: the name without the labels in front
    /// that begin with an underscore, since no certificate is made out to those.
    pub fn authority(&self) -> &str {
        let mut name = self.name.as_str();
        while let Some((_, rest)) =
            name.split_once('.').filter(|(label, rest)| label.starts_with('_') && !rest.is_empty())
        {
            name = rest;
        }
        name
    }
}

impl fmt::Display for SrvTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dns+srv://{}/{}{}", join_servers(&self.servers), self.name, self.parameters)
    }
}
