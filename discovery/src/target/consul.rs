//! `consul:` targets.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::TargetError;
use super::uri::RegistryUri;
use crate::model::host::{self, Host};
use crate::record::consul::duration;

/// What Consul itself allows at most.
const MAX_WAIT: Duration = Duration::from_secs(600);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Parameters that may be given several times.
const REPEATED: [&str; 1] = ["tag"];
const KNOWN: [&str; 26] = [
    "dc",
    "peer",
    "ns",
    "partition",
    "tag",
    "filter",
    "tagged",
    "passing",
    "weights",
    "limit",
    "stale",
    "consistent",
    "cached",
    "max-stale",
    "wait",
    "timeout",
    "max-backoff",
    "tls",
    "zone-key",
    "region-key",
    // Of mbobakov/grpc-consul-resolver.
    "healthy",
    "near",
    "insecure",
    "token",
    "allow-stale",
    "require-consistent",
];

/// A service in Consul's catalogue, or what `watch_config` reads there: `consul://[agent]/service[?parameters]`.
///
/// `agent` is `HOST[:PORT]`, `[IPV6]:PORT` or `unix:PATH` (percent-encoded); without it the environment's
/// `CONSUL_HTTP_ADDR` counts, then `127.0.0.1:8500`.
///
/// | parameter | meaning |
/// |---|---|
/// | `dc=a\|b` | datacenters in the order in which they are used: the second takes calls only where the first cannot. An empty one is the agent's own, which is the default |
/// | `peer=x\|y` | cluster peers, after the datacenters; without `dc` only they |
/// | `ns`, `partition` | the namespace and the partition (Consul Enterprise) |
/// | `tag=T` | only instances with this tag; may be repeated, all count |
/// | `filter=EXPRESSION` | only instances for which the expression holds, in Consul's filter language |
/// | `tagged=wan\|lan` | which tagged address to use, the first that an instance has; otherwise its own, then its node's |
/// | `passing` | an instance with a warning takes no calls |
/// | `weights=false` | every instance has weight 1, whatever it registered |
/// | `limit=N` | only N instances that can take calls (of each datacenter): always the same for one process, others for another |
/// | `stale`, `consistent`, `cached` | any server may answer (the default), a quorum confirms, or the agent answers from its cache; `stale=false` asks the leader |
/// | `max-stale=10s` | how old an answer may be before the leader is asked |
/// | `wait=5m` | how long one question waits for a change, 1 s to 10 min; 55 s where a proxy is seen, or has cut a wait off |
/// | `timeout=10s` | the time for a connection, and for an answer beyond the wait |
/// | `max-backoff=60s` | the longest pause between attempts |
/// | `tls` | HTTPS; port 8501 unless given |
/// | `zone-key`, `region-key` | the keys in the service's or node's metadata that hold zone and region: `zone`, `region` |
///
/// The grammar of mbobakov/grpc-consul-resolver is understood: `healthy=true` is `passing`, `allow-stale` is `stale`,
/// `require-consistent` is `consistent`. What should not be used, `near`, `insecure`, `healthy=false`, and secrets (`token`,
/// user and password), is told by [`ConsulTarget::warnings`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsulTarget {
    /// The agent to ask; `None` is left to the environment.
    pub agent: Option<ConsulAgent>,
    /// Whether to use TLS; `None` is left to the environment.
    pub tls: Option<bool>,
    /// User and password for HTTP basic authentication.
    pub user: Option<(String, String)>,
    /// An ACL token. Better kept in the environment or a file.
    pub token: Option<String>,
    /// The service's name; for `watch_config` a key, or a prefix of keys with a `/` at its end.
    pub service: String,
    /// Where instances are looked for, in the order in which they are used; never empty.
    pub places: Vec<ConsulPlace>,
    /// The namespace; `None` is the token's.
    pub namespace: Option<String>,
    /// The partition; `None` is the agent's.
    pub partition: Option<String>,
    /// Tags that an instance must have.
    pub tags: Vec<String>,
    /// A filter in Consul's language.
    pub filter: Option<String>,
    /// Which tagged addresses to prefer, best first, in lower case.
    pub tagged: Vec<String>,
    /// Whether a warning keeps calls away.
    pub passing: bool,
    /// Whether registered weights count.
    pub weights: bool,
    /// How many instances of each place that can take calls are used.
    pub limit: Option<u32>,
    /// How current an answer must be.
    pub consistency: ConsulConsistency,
    /// How old a stale or cached answer may be: 10 s.
    pub max_stale: Duration,
    /// How long a question waits for a change; `None` is 5 min, or 55 s where a proxy is seen or has cut a
    /// wait off.
    pub wait: Option<Duration>,
    /// The time for a connection, and for an answer beyond the wait: 10 s.
    pub timeout: Duration,
    /// The longest pause between attempts; `None` is the general limit of 60 s.
    pub max_backoff: Option<Duration>,
    /// The key of metadata that holds the zone: `zone`.
    pub zone_key: String,
    /// The key of metadata that holds the region: `region`.
    pub region_key: String,
    warnings: Vec<ConsulWarning>,
}

/// Something in a target that is understood and should not stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsulWarning {
    /// What becomes of it.
    pub kind: ConsulWarningKind,
    /// The part of the target: `authority` or `query`.
    pub part: &'static str,
    /// What stands there: a parameter's name, or `user and password`.
    pub what: &'static str,
    /// Why it should not, and what to do instead.
    pub reason: &'static str,
}

/// What becomes of something that should not stand in a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsulWarningKind {
    /// It is used, and is a secret in a place that is no secret.
    Secret,
    /// It is left out.
    Ignored,
    /// It is taken for what it is called now.
    Deprecated,
}

impl fmt::Display for ConsulWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manner = match self.kind {
            ConsulWarningKind::Secret => "",
            ConsulWarningKind::Ignored => "is left out: ",
            ConsulWarningKind::Deprecated => "deprecated; ",
        };
        write!(f, "{}: {}: {manner}{}", self.part, self.what, self.reason)
    }
}

/// Where Consul's HTTP API is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsulAgent {
    /// A host, as in a URL (an IPv6 address without its brackets), and a port.
    Tcp {
        /// The host.
        host: String,
        /// The port; `None` is 8500, or 8501 with TLS.
        port: Option<u16>,
    },
    /// The path of a Unix socket.
    Unix(String),
}

/// One of the places where a service's instances are looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConsulPlace {
    /// The datacenter of the agent that is asked.
    Own,
    /// A datacenter by its name.
    Datacenter(String),
    /// A cluster peer by its name.
    Peer(String),
}

impl ConsulPlace {
    /// What the place is called in messages: its name, `peer NAME`, or `the agent's datacenter`.
    pub fn title(&self) -> String {
        match self {
            Self::Own => "the agent's datacenter".to_owned(),
            Self::Datacenter(name) => format!("datacenter {name}"),
            Self::Peer(name) => format!("peer {name}"),
        }
    }
}

/// How current Consul's answers must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsulConsistency {
    /// Any server may answer. How far it may lag behind is limited.
    #[default]
    Stale,
    /// The leader answers.
    Leader,
    /// The leader answers once a quorum has confirmed that it is the leader.
    Consistent,
    /// The agent answers from its own cache, which it keeps up to date in the background.
    Cached,
}

impl ConsulAgent {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]:PORT`, `unix:PATH`, `unix:///PATH`.
    ///
    /// # Errors
    ///
    /// What is wrong, with the part `authority`.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(TargetError::new("authority", "unix: needs the path of a socket"));
            }
            return Ok(Self::Unix(path.to_owned()));
        }
        let refused = |error: crate::AddressError| {
            TargetError::new("authority", format!("{}: {}", error.part, error.reason))
        };
        let (host, port) = host::split(text).map_err(refused)?;
        let host = match host::parse_host(host).map_err(refused)? {
            Host::Ip(ip) => ip.to_string(),
            Host::Zoned { ip, zone } => format!("{ip}%{zone}"),
            Host::Name(name) => name,
        };
        Ok(Self::Tcp { host, port })
    }
}

impl fmt::Display for ConsulAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Tcp { host, port } => {
                if host.contains(':') && port.is_some() {
                    write!(f, "[{host}]")?;
                } else {
                    f.write_str(host)?;
                }
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

pub(super) fn parse(rest: &str) -> Result<ConsulTarget, TargetError> {
    let target = parse_any(rest)?;
    if target.service.is_empty() {
        return Err(TargetError::new("path", "is empty; it names the service"));
    }
    Ok(target)
}

fn parse_any(rest: &str) -> Result<ConsulTarget, TargetError> {
    let uri = RegistryUri::parse("consul", rest)?;
    uri.refuse_cut_user()?;
    uri.refuse_unknown(&KNOWN)?;
    refuse_repeated(&uri)?;
    let query = Query { uri: &uri };
    let agent = Some(uri.authority.as_str()).filter(|authority| !authority.is_empty());
    Ok(ConsulTarget {
        agent: agent.map(ConsulAgent::parse).transpose()?,
        tls: query.boolean("tls")?,
        user: uri.user.clone(),
        token: query.text("token")?,
        service: uri.path.clone(),
        places: query.places()?,
        namespace: query.text("ns")?,
        partition: query.text("partition")?,
        tags: query.tags()?,
        filter: query.text("filter")?,
        tagged: query.list("tagged")?.into_iter().map(|name| name.to_ascii_lowercase()).collect(),
        passing: query.boolean("passing")?.or(query.boolean("healthy")?).unwrap_or(false),
        weights: query.boolean("weights")?.unwrap_or(true),
        limit: query.limit()?,
        consistency: query.consistency()?,
        max_stale: query.span("max-stale")?.unwrap_or(ConsulTarget::DEFAULT_MAX_STALE),
        wait: query.wait()?,
        timeout: query.positive_span("timeout")?.unwrap_or(DEFAULT_TIMEOUT),
        max_backoff: query.positive_span("max-backoff")?,
        zone_key: query.text("zone-key")?.unwrap_or_else(|| "zone".to_owned()),
        region_key: query.text("region-key")?.unwrap_or_else(|| "region".to_owned()),
        warnings: query.warnings(),
    })
}

fn refuse_repeated(uri: &RegistryUri) -> Result<(), TargetError> {
    let mut seen = BTreeSet::new();
    let mut keys = uri.query.iter().map(|(key, _)| key.as_str());
    match keys.find(|key| !REPEATED.contains(key) && !seen.insert(*key)) {
        Some(key) => Err(TargetError::new("query", format!("`{key}` is given twice"))),
        None => Ok(()),
    }
}

/// The parameters of a target, each read as what it is.
struct Query<'a> {
    uri: &'a RegistryUri,
}

impl Query<'_> {
    fn text(&self, key: &str) -> Result<Option<String>, TargetError> {
        match self.uri.parameter(key) {
            Some("") => Err(refused(key, "is empty")),
            text => Ok(text.map(ToOwned::to_owned)),
        }
    }

    /// As Go's `ParseBool`; a key alone is true.
    fn boolean(&self, key: &str) -> Result<Option<bool>, TargetError> {
        match self.uri.parameter(key) {
            None => Ok(None),
            Some("" | "1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(Some(false)),
            Some(other) => Err(refused(key, &format!("`{other}` is neither true nor false"))),
        }
    }

    fn span(&self, key: &str) -> Result<Option<Duration>, TargetError> {
        let text = self.uri.parameter(key);
        text.map(|text| duration::decode(text).map_err(|reason| refused(key, &reason))).transpose()
    }

    fn positive_span(&self, key: &str) -> Result<Option<Duration>, TargetError> {
        match self.span(key)? {
            Some(Duration::ZERO) => Err(refused(key, "is zero")),
            span => Ok(span),
        }
    }

    fn wait(&self) -> Result<Option<Duration>, TargetError> {
        let wait = self.span("wait")?;
        match wait {
            Some(wait) if wait < Duration::from_secs(1) || wait > MAX_WAIT => {
                Err(refused("wait", "is not from 1s to 10m"))
            }
            wait => Ok(wait),
        }
    }

    fn limit(&self) -> Result<Option<u32>, TargetError> {
        let Some(text) = self.uri.parameter("limit") else { return Ok(None) };
        match text.parse() {
            // mbobakov's word for no limit.
            Ok(0) => Ok(None),
            Ok(limit) => Ok(Some(limit)),
            Err(_) => Err(refused("limit", &format!("`{text}` is not a whole number"))),
        }
    }

    fn list(&self, key: &str) -> Result<Vec<String>, TargetError> {
        let Some(text) = self.uri.parameter(key) else { return Ok(Vec::new()) };
        let names: Vec<String> = text.split('|').map(ToOwned::to_owned).collect();
        match names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|other| other == *name)) {
            Some((_, name)) => Err(refused(key, &format!("names `{name}` twice"))),
            None => Ok(names),
        }
    }

    fn places(&self) -> Result<Vec<ConsulPlace>, TargetError> {
        let own =
            |name: String| if name.is_empty() { ConsulPlace::Own } else { ConsulPlace::Datacenter(name) };
        let mut places: Vec<ConsulPlace> = self.list("dc")?.into_iter().map(own).collect();
        for peer in self.list("peer")? {
            if peer.is_empty() {
                return Err(refused("peer", "has an empty name"));
            }
            places.push(ConsulPlace::Peer(peer));
        }
        if places.is_empty() {
            places.push(ConsulPlace::Own);
        }
        Ok(places)
    }

    fn tags(&self) -> Result<Vec<String>, TargetError> {
        let given = self.uri.query.iter().filter(|(key, _)| key == "tag");
        let tags: BTreeSet<String> = given.map(|(_, tag)| tag.clone()).collect();
        // mbobakov's word for no tag is an empty one, alone.
        if tags.iter().any(String::is_empty) && tags.len() > 1 {
            return Err(refused("tag", "is empty"));
        }
        Ok(tags.into_iter().filter(|tag| !tag.is_empty()).collect())
    }

    fn consistency(&self) -> Result<ConsulConsistency, TargetError> {
        let stale = self.boolean("stale")?.or(self.boolean("allow-stale")?);
        let consistent = self.boolean("consistent")?.or(self.boolean("require-consistent")?).unwrap_or(false);
        let cached = self.boolean("cached")?.unwrap_or(false);
        match (stale, consistent, cached) {
            (Some(true), true, _) | (Some(true), _, true) | (_, true, true) => {
                Err(TargetError::new("query", "of stale, consistent and cached only one can be true"))
            }
            (_, true, _) => Ok(ConsulConsistency::Consistent),
            (_, _, true) => Ok(ConsulConsistency::Cached),
            (Some(false), ..) => Ok(ConsulConsistency::Leader),
            _ => Ok(ConsulConsistency::Stale),
        }
    }

    fn warnings(&self) -> Vec<ConsulWarning> {
        use ConsulWarningKind::{Deprecated, Ignored, Secret};

        let takes_critical = matches!(self.boolean("healthy"), Ok(Some(false)));
        let (healthy, instead) = if takes_critical {
            (Ignored, "an instance with a critical check takes no calls")
        } else {
            (Deprecated, "write passing")
        };
        let parameters = [
            (
                Secret,
                "token",
                "a target is written to logs; use CONSUL_HTTP_TOKEN_FILE or the channel's credentials",
            ),
            (
                Ignored,
                "near",
                "it switches Consul's streaming off; the zone of each instance is known to the policy",
            ),
            (Ignored, "insecure", "certificates are always checked; name the authority in CONSUL_CACERT"),
            (healthy, "healthy", instead),
            (Deprecated, "allow-stale", "stale is the default, stale=false asks the leader"),
            (Deprecated, "require-consistent", "write consistent"),
        ];
        let given = parameters.into_iter().filter(|(_, key, _)| self.uri.parameter(key).is_some());
        let given = given.map(|(kind, what, reason)| ConsulWarning { kind, part: "query", what, reason });
        let user = self.uri.user.as_ref().map(|_| ConsulWarning {
            kind: Secret,
            part: "authority",
            what: "user and password",
            reason: "a target is written to logs; use CONSUL_HTTP_AUTH or the channel's credentials",
        });
        user.into_iter().chain(given).collect()
    }
}

fn refused(key: &str, reason: &str) -> TargetError {
    TargetError::new("query", format!("{key}: {reason}"))
}

impl ConsulTarget {
    /// How old an answer may be unless the target says otherwise.
    pub const DEFAULT_MAX_STALE: Duration = Duration::from_secs(10);

    /// Reads `consul://[agent][/][?parameters]`, where a service need not be named: what registration takes.
    ///
    /// # Errors
    ///
    /// As [`Target::parse`](crate::Target::parse).
    pub fn parse_agent(text: &str) -> Result<Self, TargetError> {
        match super::uri::split_scheme(text) {
            Some((scheme, rest)) if scheme == "consul" => parse_any(rest),
            _ => Err(TargetError::new("scheme", "is not consul; write consul:// or consul://HOST:PORT")),
        }
    }

    /// What calls have as `:authority` unless the application says otherwise.
    pub fn authority(&self) -> &str {
        &self.service
    }

    /// What the target asks for that it should not. A channel that is opened with it logs them; `lint` has them as findings.
    pub fn warnings(&self) -> &[ConsulWarning] {
        &self.warnings
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all: Vec<(&'static str, String)> = Vec::new();
        let names = |kind: fn(&ConsulPlace) -> Option<&str>| {
            let names: Vec<&str> = self.places.iter().filter_map(kind).collect();
            (!names.is_empty()).then(|| names.join("|"))
        };
        let datacenters = names(|place| match place {
            ConsulPlace::Own => Some(""),
            ConsulPlace::Datacenter(name) => Some(name),
            ConsulPlace::Peer(_) => None,
        });
        let peers = names(|place| if let ConsulPlace::Peer(name) = place { Some(name) } else { None });
        let is_default = self.places == [ConsulPlace::Own];
        let mut add = |key, value: Option<String>| all.extend(value.map(|value| (key, value)));
        let flag = |holds: bool| holds.then(|| "true".to_owned());
        add("dc", datacenters.filter(|_| !is_default));
        add("peer", peers);
        add("ns", self.namespace.clone());
        add("partition", self.partition.clone());
        for tag in &self.tags {
            add("tag", Some(tag.clone()));
        }
        add("filter", self.filter.clone());
        add("tagged", Some(self.tagged.join("|")).filter(|text| !text.is_empty()));
        add("passing", flag(self.passing));
        add("weights", (!self.weights).then(|| "false".to_owned()));
        add("limit", self.limit.map(|limit| limit.to_string()));
        add("stale", (self.consistency == ConsulConsistency::Leader).then(|| "false".to_owned()));
        add("consistent", flag(self.consistency == ConsulConsistency::Consistent));
        add("cached", flag(self.consistency == ConsulConsistency::Cached));
        let span = |span: Duration, default: Duration| (span != default).then(|| duration::encode(span));
        add("max-stale", span(self.max_stale, Self::DEFAULT_MAX_STALE));
        add("wait", self.wait.map(duration::encode));
        add("timeout", span(self.timeout, DEFAULT_TIMEOUT));
        add("max-backoff", self.max_backoff.map(duration::encode));
        add("tls", self.tls.map(|tls| tls.to_string()));
        let key = |key: &String, default: &str| (key != default).then(|| key.clone());
        add("zone-key", key(&self.zone_key, "zone"));
        add("region-key", key(&self.region_key, "region"));
        add("token", self.token.clone());
        all
    }
}

/// The canonical form, secrets too: what is not the default, in one order. Parses to the same.
impl fmt::Display for ConsulTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = RegistryUri {
            user: self.user.clone(),
            authority: self.agent.as_ref().map(ToString::to_string).unwrap_or_default(),
            path: self.service.clone(),
            query: self.parameters().into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        };
        write!(f, "consul:{uri}")
    }
}

/// Without the secrets.
impl fmt::Debug for ConsulTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::redact(&self.to_string()))
    }
}
