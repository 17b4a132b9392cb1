//! The answer of `/v1/health/service/NAME`: the instances of a service with their checks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::host::{self, Host};
use crate::model::{Address, Condition, Endpoint};
use crate::target::ConsulTarget;

/// The key of metadata under which a registered server writes its tier.
pub(crate) const PRIORITY_KEY: &str = "priority";
/// The key of metadata that tells whose registration it is; clients do not see it.
pub(crate) const OWNER_KEY: &str = "evener-owner";
/// Consul refuses larger weights.
const MAX_WEIGHT: i64 = 65_535;

/// How instances become endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Which tagged addresses to prefer, best first, in lower case.
    pub tagged: Vec<String>,
    /// Tags that an instance must have.
    pub tags: Vec<String>,
    /// Whether a warning keeps calls away.
    pub passing: bool,
    /// Whether registered weights count.
    pub weights: bool,
    /// The key of metadata that holds the zone.
    pub zone_key: String,
    /// The key of metadata that holds the region.
    pub region_key: String,
    /// The tier of every instance; `None` takes it from each one's metadata, 0 without.
    pub priority: Option<u32>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            tagged: Vec::new(),
            tags: Vec::new(),
            passing: false,
            weights: true,
            zone_key: "zone".to_owned(),
            region_key: "region".to_owned(),
            priority: None,
        }
    }
}

impl Mapping {
    /// What a target asks for, for one of its places. With several of them their order makes the tiers; with one the
    /// instances' own metadata does.
    pub fn of(target: &ConsulTarget, place: usize) -> Self {
        let several = target.places.len() > 1;
        Self {
            tagged: target.tagged.clone(),
            tags: target.tags.clone(),
            passing: target.passing,
            weights: target.weights,
            zone_key: target.zone_key.clone(),
            region_key: target.region_key.clone(),
            priority: several.then(|| u32::try_from(place).unwrap_or(u32::MAX)),
        }
    }
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The endpoints in canonical order, each set of addresses once.
    pub endpoints: Vec<Endpoint>,
    /// How many instances were left out because they could not be understood.
    pub skipped: u64,
    /// Why the last of these was.
    pub example: Option<String>,
}

/// Reads an answer. An instance that cannot be understood is left out and counted.
///
/// An instance whose check fails or that is under maintenance is there, as [`Condition::Unhealthy`]: so calls to it end at
/// once, where an instance that is missing could also be one that a faulty answer forgot. One of which nothing is wrong but that
/// its time to live has run out is missing: nobody says that it is unwell, only nothing was heard of it, as with a lease of etcd that
/// has run out. An agent that was frozen for a while says so of all its instances, until their next signs of life. Two instances with the same
/// addresses are one endpoint, and the healthier one says how it is: a server that came back under another id
/// does not suffer from what it left behind.
///
/// # Errors
///
/// The answer as a whole is not JSON, or no list.
pub fn decode(body: &[u8], mapping: &Mapping) -> Result<Health, String> {
    let instances: Vec<Value> =
        serde_json::from_slice(body).map_err(|error| format!("the list of instances: {error}"))?;
    let mut health = Health::default();
    let mut all: BTreeMap<Vec<Address>, Endpoint> = BTreeMap::new();
    for instance in instances {
        match endpoint(instance, mapping) {
            Ok(Some(endpoint)) => keep_healthier(&mut all, endpoint),
            Ok(None) => {}
            Err(reason) => {
                health.skipped += 1;
                health.example = Some(reason);
            }
        }
    }
    health.endpoints = all.into_values().collect();
    Ok(health)
}

fn keep_healthier(all: &mut BTreeMap<Vec<Address>, Endpoint>, endpoint: Endpoint) {
    let better = |one: &Endpoint, other: &Endpoint| {
        (one.condition, std::cmp::Reverse(one.weight)) < (other.condition, std::cmp::Reverse(other.weight))
    };
    match all.get(&endpoint.addresses) {
        Some(known) if !better(&endpoint, known) => {}
        _ => {
            all.insert(endpoint.addresses.clone(), endpoint);
        }
    }
}

fn endpoint(instance: Value, mapping: &Mapping) -> Result<Option<Endpoint>, String> {
    let Instance { node, service, checks } =
        serde_json::from_value(instance).map_err(|error| format!("an instance: {error}"))?;
    let (node, service) = (node.unwrap_or_default(), service.unwrap_or_default());
    if !mapping.tags.iter().all(|tag| service.tags().contains(tag)) {
        return Ok(None);
    }
    let address =
        address(&node, &service, mapping).map_err(|reason| format!("{}: {reason}", service.id()))?;
    let mut endpoint = Endpoint::new(vec![address]);
    let checks = checks.unwrap_or_default();
    let status = Status::of(&checks);
    if status == Status::Critical && is_unheard_of(&checks) {
        return Ok(None);
    }
    endpoint.condition = condition(status, mapping.passing);
    endpoint.weight = if mapping.weights { service.weight(status) } else { 1 };
    endpoint.priority = mapping.priority.unwrap_or_else(|| service.priority());
    (endpoint.zone, endpoint.region) = place(&node, &service, mapping);
    endpoint.metadata = metadata(&node, service);
    Ok(Some(endpoint))
}

/// The worst of an instance's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Passing,
    Warning,
    Critical,
}

impl Status {
    /// Maintenance, of the service or the node, is a check that is critical; another word than Consul's three is not
    /// trusted.
    fn of(checks: &[Check]) -> Self {
        let one = |check: &Check| match check.status.as_deref() {
            Some("passing") => Self::Passing,
            Some("warning") => Self::Warning,
            _ => Self::Critical,
        };
        checks.iter().map(one).max().unwrap_or(Self::Passing)
    }
}

/// Whether all that is critical is that nobody has spoken for the instance in time.
fn is_unheard_of(checks: &[Check]) -> bool {
    let is_critical = |check: &&Check| Status::of(std::slice::from_ref(*check)) == Status::Critical;
    checks.iter().filter(is_critical).all(Check::has_run_out)
}

const fn condition(status: Status, passing: bool) -> Condition {
    match status {
        Status::Passing => Condition::Ready,
        Status::Warning if !passing => Condition::Ready,
        Status::Warning | Status::Critical => Condition::Unhealthy,
    }
}

/// A Unix socket; else a tagged address of the service; else its own; else its node's.
fn address(node: &Node, service: &Service, mapping: &Mapping) -> Result<Address, String> {
    if let Some(path) = filled(&service.socket_path) {
        return Address::unix(path).map_err(|error| format!("socket path: {error}"));
    }
    let port = service.port.unwrap_or(0);
    if let Some((host, tagged_port)) = service.tagged(&mapping.tagged) {
        return socket(&host, tagged_port.unwrap_or(port));
    }
    if let Some(host) = filled(&service.address) {
        return socket(host, port);
    }
    let host = node.tagged(&mapping.tagged).or_else(|| filled(&node.address)).ok_or("it has no address")?;
    socket(host, port)
}

fn socket(text: &str, port: i64) -> Result<Address, String> {
    let (text, port) = from_url(text, port);
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| format!("{text} has no port"))?;
    let host = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inner) => host::parse_server(inner),
        None => host::parse_server(text),
    };
    match host.map_err(|error| error.to_string())? {
        Host::Ip(ip) if ip.is_unspecified() => Err(format!("{ip} is no address to connect to")),
        host => Ok(Address::from_host(host, port)),
    }
}

/// go-kratos writes whole URLs into tagged addresses: `grpc://10.0.0.1:9000?isSecure=false`.
fn from_url(text: &str, port: i64) -> (&str, i64) {
    let Some((_, rest)) = text.split_once("://") else { return (text, port) };
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    match host::split(rest) {
        Ok((host, Some(port))) => (host, i64::from(port)),
        _ => (rest, port),
    }
}

/// Zone and region: Consul's own, else from the metadata of the service, then of its node. The datacenter is a region
/// to whoever names none.
fn place(node: &Node, service: &Service, mapping: &Mapping) -> (Option<String>, Option<String>) {
    let localities = [&service.locality, &node.locality];
    let own = |pick: fn(&Locality) -> &Option<String>| {
        localities.iter().find_map(|locality| locality.as_ref().and_then(|locality| filled(pick(locality))))
    };
    let meta = |key: &str| {
        [&service.meta, &node.meta]
            .into_iter()
            .find_map(|meta| meta.as_ref()?.get(key)?.as_deref().filter(|value| !value.is_empty()))
    };
    let zone = own(|locality| &locality.zone).or_else(|| meta(&mapping.zone_key));
    let region = own(|locality| &locality.region).or_else(|| meta(&mapping.region_key));
    let region = region.or_else(|| filled(&node.datacenter));
    (zone.map(ToOwned::to_owned), region.map(ToOwned::to_owned))
}

/// The service's metadata as it is, and what names the instance.
fn metadata(node: &Node, service: Service) -> BTreeMap<String, String> {
    let tags = service.tags().join(",");
    let named = [
        ("consul.id", service.id),
        ("consul.node", node.node.clone()),
        ("consul.datacenter", node.datacenter.clone()),
        ("consul.tags", Some(tags)),
    ];
    let named =
        named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.filter(|v| !v.is_empty())?)));
    let meta = service.meta.unwrap_or_default().into_iter().filter(|(key, _)| key != OWNER_KEY);
    meta.map(|(key, value)| (key, value.unwrap_or_default())).chain(named).collect()
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

type Meta = BTreeMap<String, Option<String>>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: Option<Node>,
    service: Option<Service>,
    checks: Option<Vec<Check>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    node: Option<String>,
    address: Option<String>,
    datacenter: Option<String>,
    tagged_addresses: Option<Meta>,
    meta: Option<Meta>,
    locality: Option<Locality>,
}

impl Node {
    fn tagged(&self, wanted: &[String]) -> Option<&str> {
        let known = self.tagged_addresses.as_ref()?;
        let one = |name: &String| {
            let mut alike = known.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            alike.find_map(|(_, address)| filled(address))
        };
        wanted.iter().find_map(one)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Service {
    #[serde(rename = "ID")]
    id: Option<String>,
    address: Option<String>,
    port: Option<i64>,
    socket_path: Option<String>,
    tags: Option<Vec<String>>,
    meta: Option<Meta>,
    tagged_addresses: Option<BTreeMap<String, Value>>,
    weights: Option<Weights>,
    locality: Option<Locality>,
}

impl Service {
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or("an instance without an id")
    }

    fn tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }

    fn weight(&self, status: Status) -> u32 {
        let weights = self.weights.as_ref();
        let of = |pick: fn(&Weights) -> Option<i64>| weights.and_then(pick).unwrap_or(1);
        let weight = match status {
            Status::Warning => of(|weights| weights.warning),
            Status::Passing | Status::Critical => of(|weights| weights.passing),
        };
        u32::try_from(weight.clamp(0, MAX_WEIGHT)).unwrap_or(1)
    }

    fn priority(&self) -> u32 {
        let text = self.meta.as_ref().and_then(|meta| meta.get(PRIORITY_KEY)?.as_deref());
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The first tagged address that is wanted and there. Consul has written its fields in both spellings.
    fn tagged(&self, wanted: &[String]) -> Option<(String, Option<i64>)> {
        let known = self.tagged_addresses.as_ref()?;
        let one = |name: &String| {
            let (_, tagged) = known.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            let field = |name: &str| {
                tagged
                    .as_object()?
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            };
            let address = field("address")?.as_str().filter(|address| !address.is_empty())?;
            let port = field("port").and_then(Value::as_i64).filter(|port| *port > 0);
            Some((address.to_owned(), port))
        };
        wanted.iter().find_map(one)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    status: Option<String>,
    r#type: Option<String>,
    output: Option<String>,
}

impl Check {
    /// Consul's own words (`CheckTTL` in agent/checks/check.go), since a check that its server has set to critical is of the same type.
    /// Agents before 1.7 tell no type.
    fn has_run_out(&self) -> bool {
        let is_ttl = self.r#type.as_deref().is_none_or(|kind| matches!(kind, "ttl" | ""));
        let has_run_out = |output: &str| {
            output.strip_prefix("TTL expired").is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
        };
        is_ttl && self.output.as_deref().is_some_and(has_run_out)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: Option<i64>,
    warning: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Locality {
    region: Option<String>,
    zone: Option<String>,
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
