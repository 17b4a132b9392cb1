//! `etcd:` targets.

use super::TargetError;
use super::uri::RegistryUri;
use crate::model::{Address, host};

const DEFAULT_PORT: u16 = 2379;
const PARAMETERS: [&str; 2] = ["format", "tls"];

/// Where the user's own records stand unless the target says otherwise.
const SERVICES: &str = "/services/";

/// The keys below a prefix in etcd: `etcd://[[user:password@]server[:2379],server...]/prefix[?format=...&tls=...]`.
///
/// `etcd:///user-service` reads the keys below `user-service/`, as gRPC's naming does, and those below
/// `/services/user-service/`. A prefix that itself begins with a slash (`etcd:////team/user-service`, four slashes)
/// names exactly the keys below it. Keys of another service whose name only begins alike are never read.
///
/// | part | meaning |
/// |---|---|
/// | servers | the cluster's members, with commas; port 2379 unless given; IPv6 in brackets. None: those of `EVENER_ETCD_ENDPOINTS`, else of `ETCDCTL_ENDPOINTS`, else `127.0.0.1:2379` |
/// | user, password | better kept out of targets: see [`Credentials`](crate::credentials::Credentials), or `ETCDCTL_USER` |
/// | `format` | `grpc`: only gRPC's naming; `services`: only the records below `/services/`. Without it both are read, and gRPC's is written |
/// | `tls` | `true`, `false`. Without it: TLS where the options or `ETCDCTL_CACERT`, `ETCDCTL_CERT` and `ETCDCTL_KEY` name files for it, or a server's URL there begins with `https://` |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtcdTarget {
    /// The target as it was written, taken apart.
    pub uri: RegistryUri,
    /// The members to ask; empty for those that the environment names.
    pub servers: Vec<Address>,
    /// The form of the records, if one was chosen.
    pub format: Option<EtcdFormat>,
    /// Whether the target asks for TLS, if it says so.
    pub tls: Option<bool>,
}

/// How a server is written down in etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EtcdFormat {
    /// gRPC's naming, `SERVICE/...` → `{"Op":0,"Addr":"HOST:PORT","Metadata":...}`.
    Grpc,
    /// `/services/SERVICE/IP:PORT` → `{"ip":...,"port":...,"healthy":true,...}`.
    Services,
}

impl EtcdFormat {
    /// `grpc` or `services`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Services => "services",
        }
    }
}

pub(super) fn parse(rest: &str) -> Result<EtcdTarget, TargetError> {
    let target = parse_any_path(rest)?;
    if target.uri.path.trim_matches('/').is_empty() {
        return Err(TargetError::new("path", "is empty; it names the service"));
    }
    Ok(target)
}

/// As [`parse`], where the path may be empty: a registration knows the service's name itself.
pub(crate) fn parse_any_path(rest: &str) -> Result<EtcdTarget, TargetError> {
    let uri = RegistryUri::parse("etcd", rest)?;
    uri.refuse_cut_user()?;
    uri.refuse_unknown(&PARAMETERS)?;
    let servers = servers(&uri.authority)?;
    let format = uri.parameter("format").map(parse_format).transpose()?;
    let tls = uri.parameter("tls").map(parse_switch).transpose()?;
    Ok(EtcdTarget { uri, servers, format, tls })
}

fn servers(authority: &str) -> Result<Vec<Address>, TargetError> {
    if authority.is_empty() {
        return Ok(Vec::new());
    }
    authority.split(',').map(parse_server).collect()
}

/// One member: `HOST[:PORT]`.
pub(crate) fn parse_server(text: &str) -> Result<Address, TargetError> {
    let of_server =
        |error: crate::AddressError| TargetError::new(format!("authority: {}", error.part), error.reason);
    let (host, port) = host::split(text).map_err(of_server)?;
    let host = host::parse_host(host).map_err(of_server)?;
    Ok(Address::from_host(host, port.unwrap_or(DEFAULT_PORT)))
}

fn parse_format(text: &str) -> Result<EtcdFormat, TargetError> {
    let known = [EtcdFormat::Grpc, EtcdFormat::Services];
    known
        .into_iter()
        .find(|format| format.name() == text)
        .ok_or_else(|| TargetError::new("query", format!("format: `{text}` is neither grpc nor services")))
}

fn parse_switch(text: &str) -> Result<bool, TargetError> {
    text.parse().map_err(|_| TargetError::new("query", format!("tls: `{text}` is neither true nor false")))
}

impl EtcdTarget {
    /// What calls have as `:authority` unless the application says otherwise.
    pub fn authority(&self) -> &str {
        self.uri.path.trim_matches('/')
    }

    /// The prefixes of the keys that hold the service's records; each ends with a slash.
    pub fn prefixes(&self) -> Vec<String> {
        let formats =
            self.format.map_or_else(|| vec![EtcdFormat::Grpc, EtcdFormat::Services], |one| vec![one]);
        let mut prefixes: Vec<String> =
            formats.into_iter().map(|form| prefix(&self.uri.path, form)).collect();
        prefixes.dedup();
        prefixes
    }
}

/// The prefix of a service's keys in one form; it ends with a slash.
pub(crate) fn prefix(path: &str, format: EtcdFormat) -> String {
    let path = path.trim_end_matches('/');
    match format {
        EtcdFormat::Services if path.starts_with(&SERVICES[1..]) => format!("/{path}/"),
        EtcdFormat::Services if !path.starts_with('/') => format!("{SERVICES}{path}/"),
        _ => format!("{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use crate::Target;

    fn prefixes(target: &str) -> Vec<String> {
        let Ok(Target::Etcd(target)) = Target::parse(target) else { panic!("{target} is no etcd target") };
        target.prefixes()
    }

    #[test]
    fn a_service_is_read_where_either_form_has_it_and_nowhere_else() {
        for (target, expected) in [
            ("etcd:///user-service", &["user-service/", "/services/user-service/"][..]),
            ("etcd:///user-service/", &["user-service/", "/services/user-service/"]),
            ("etcd:///user-service?format=grpc", &["user-service/"]),
            ("etcd:///user-service?format=services", &["/services/user-service/"]),
            ("etcd:///services/user-service", &["services/user-service/", "/services/user-service/"]),
            ("etcd:////services/user-service", &["/services/user-service/"]),
            ("etcd:////team/a/b", &["/team/a/b/"]),
            ("etcd:////team/a/b?format=services", &["/team/a/b/"]),
        ] {
            assert_eq!(prefixes(target), expected, "{target}");
        }
    }
}
