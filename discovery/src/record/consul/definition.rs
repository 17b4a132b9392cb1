//! Consul's service definitions: `{"service": {...}}`, `{"services": [...]}`, and what the agent's API takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::duration;
use crate::json::{self, JsonError, Node};
use crate::registration::{Check, CheckKind, ServiceDefinition, shown};

mod keys;

use keys::Kind;

/// What Consul itself asks for at least.
const MIN_DEREGISTER_SECONDS: u64 = 60;

/// A file of definitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Definitions {
    /// The services, at least one, in the order in which they stand there.
    pub services: Vec<Definition>,
    /// What is not known or no longer in use, each with its place: `service.chekc: is unknown, and handed on as it is`.
    pub warnings: Vec<String>,
}

/// One service as it is defined.
#[derive(Clone, PartialEq)]
pub struct Definition {
    /// The service's name.
    pub name: String,
    /// The instance's id; Consul takes the name where there is none.
    pub id: Option<String>,
    /// Where it listens, unless that is the agent's own address.
    pub address: Option<String>,
    /// The port; `None` or 0 where the definition has none.
    pub port: Option<u16>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its weight while all checks pass, where the definition has one.
    pub weight: Option<u32>,
    /// The checks, as `/v1/agent/service/register` takes them.
    pub checks: Vec<Map<String, Value>>,
    /// Everything else of the definition, as `/v1/agent/service/register` takes it; with keys that are not known here.
    pub rest: Map<String, Value>,
    /// The token to register it with.
    pub token: Option<String>,
}

/// Without the secrets.
impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Definition");
        shown.field("name", &self.name).field("id", &self.id).field("address", &self.address);
        shown
            .field("port", &self.port)
            .field("checks", &self.checks.iter().map(shown::fields).collect::<Vec<_>>())
            .field("rest", &shown::fields(&self.rest))
            .finish_non_exhaustive()
    }
}

/// Reads a file. Keys may be written as Consul's files (`tagged_addresses`) or its API (`TaggedAddresses`) have them, in any
/// case; what is not known is handed on and told in the warnings.
///
/// # Errors
///
/// Not JSON, or a value of the wrong kind, with its place.
///
/// ```
/// use evener_discovery::record::consul::definition;
///
/// let text = r#"{"service": {"name": "user-service", "port": 8080,
///     "check": {"http": "http://localhost:8080/health", "interval": "10s", "timeout": "3s"}}}"#;
/// let definitions = definition::decode(text).unwrap();
/// assert!(definitions.warnings.is_empty());
/// assert_eq!(definitions.services[0].name, "user-service");
/// assert_eq!(definitions.services[0].checks[0]["HTTP"], "http://localhost:8080/health");
/// ```
pub fn decode(text: &str) -> Result<Definitions, String> {
    let document = json::parse(text).map_err(|error| error.to_string())?;
    let mut reader = Reader { warnings: Vec::new() };
    let services = reader.file(&Node::root(&document)).map_err(|error| error.to_string())?;
    Ok(Definitions { services, warnings: reader.warnings })
}

/// Reads a file as what can be registered, anywhere: fields that only Consul knows are in `extra`. The second list is the
/// warnings of [`Definitions`].
///
/// # Errors
///
/// As [`decode`].
pub fn services(text: &str) -> Result<(Vec<ServiceDefinition>, Vec<String>), String> {
    let definitions = decode(text)?;
    let services = definitions.services.into_iter().map(Definition::into_service);
    Ok((services.collect(), definitions.warnings))
}

impl Definition {
    /// The definition as what can be registered anywhere. Without a port it has port 0, which is refused until one is set.
    pub fn into_service(self) -> ServiceDefinition {
        let mut service = ServiceDefinition::new(self.name, self.port.unwrap_or(0));
        let mut rest = self.rest;
        service.id = self.id;
        service.host = self.address;
        service.tags = self.tags;
        service.metadata = self.metadata;
        service.weight = self.weight.unwrap_or(1);
        let warning = rest.remove("Weights").and_then(|weights| weights.get("Warning")?.as_u64());
        service.warning_weight = warning.and_then(|weight| u32::try_from(weight).ok());
        service.checks = self.checks.into_iter().map(check).collect();
        let ttl = service.checks.iter().find_map(|check| match check.kind {
            CheckKind::Ttl(ttl) => Some(ttl),
            _ => None,
        });
        service.ttl = ttl.unwrap_or(service.ttl);
        rest.extend(self.token.map(|token| ("Token".to_owned(), Value::from(token))));
        service.extra = rest.into_iter().collect();
        service
    }
}

/// A check with its known fields in their places. They were read as what they are, so none is lost for being odd.
fn check(mut fields: Map<String, Value>) -> Check {
    let mut check = Check::new(kind(&mut fields));
    let mut text = |key: &str| fields.remove(key).and_then(|value| value.as_str().map(ToOwned::to_owned));
    check.id = text("CheckID");
    check.name = text("Name");
    check.status = text("Status");
    let mut time = |key: &str| text(key).and_then(|text| duration::decode(&text).ok());
    check.interval = time("Interval").unwrap_or(check.interval);
    check.timeout = time("Timeout");
    check.deregister_after = time("DeregisterCriticalServiceAfter");
    check.tls_skip_verify = fields.remove("TLSSkipVerify") == Some(Value::Bool(true));
    let mut count = |key: &str| fields.remove(key).and_then(|count| u32::try_from(count.as_u64()?).ok());
    check.success_before_passing = count("SuccessBeforePassing");
    check.failures_before_critical = count("FailuresBeforeCritical");
    check.extra = fields.into_iter().collect();
    check
}

fn kind(fields: &mut Map<String, Value>) -> CheckKind {
    let mut text = |key: &str| fields.remove(key).and_then(|value| value.as_str().map(ToOwned::to_owned));
    if let Some(ttl) = text("TTL").and_then(|text| duration::decode(&text).ok()) {
        return CheckKind::Ttl(ttl);
    }
    if let Some(url) = text("HTTP") {
        let (method, body) = (text("Method"), text("Body"));
        return CheckKind::Http { url, method, header: headers(fields.remove("Header")), body };
    }
    if let Some(address) = text("TCP") {
        return CheckKind::Tcp(address);
    }
    if let Some(target) = text("GRPC") {
        return CheckKind::Grpc { target, tls: fields.remove("GRPCUseTLS") == Some(Value::Bool(true)) };
    }
    // With a container or a shell it is not simply a command.
    if fields.contains_key("DockerContainerID") || fields.contains_key("Shell") {
        return CheckKind::Other;
    }
    match fields.remove("Args") {
        Some(args) => CheckKind::Script(texts(Some(args))),
        None => CheckKind::Other,
    }
}

fn headers(value: Option<Value>) -> BTreeMap<String, Vec<String>> {
    let Some(Value::Object(all)) = value else { return BTreeMap::new() };
    let values = |value: Value| match value {
        Value::String(text) => vec![text],
        several => texts(Some(several)),
    };
    all.into_iter().map(|(key, value)| (key, values(value))).collect()
}

struct Reader {
    warnings: Vec<String>,
}

impl Reader {
    fn file(&mut self, root: &Node<'_>) -> Result<Vec<Definition>, JsonError> {
        let mut services = Vec::new();
        let mut checks = Vec::new();
        let mut others = Vec::new();
        for (key, node) in root.fields()? {
            match keys::plain(key).as_str() {
                "service" => services.push(self.service(&node)?),
                "services" => {
                    for node in node.elements()? {
                        services.push(self.service(&node)?);
                    }
                }
                "check" => checks.push(self.check(&node)?),
                "checks" => {
                    for node in node.elements()? {
                        checks.push(self.check(&node)?);
                    }
                }
                _ => others.push(node),
            }
        }
        if services.is_empty() {
            // What the agent's API takes: the service itself.
            let service = self.service(root).map_err(|error| match error.path.as_str() {
                "name" => JsonError::new("", "has neither service, nor services, nor a name of its own"),
                _ => error,
            })?;
            return Ok(vec![service]);
        }
        for node in others {
            self.warnings.push(format!("{}: is no part of a service, and left out", node.path()));
        }
        self.attach(checks, &mut services);
        Ok(services)
    }

    /// Checks beside the services name theirs by its id.
    fn attach(&mut self, checks: Vec<Map<String, Value>>, services: &mut [Definition]) {
        for mut check in checks {
            let id = check.remove("ServiceID");
            let id = id.as_ref().and_then(Value::as_str).unwrap_or_default();
            match services.iter_mut().find(|service| service.id.as_deref().unwrap_or(&service.name) == id) {
                Some(service) => service.checks.push(check),
                None => self
                    .warnings
                    .push(format!("check: is of no service here (service_id `{id}`), and left out")),
            }
        }
    }

    fn service(&mut self, node: &Node<'_>) -> Result<Definition, JsonError> {
        let mut rest = self.object(node, keys::SERVICE, "")?;
        let mut text = |key: &str| rest.remove(key).and_then(|value| value.as_str().map(ToOwned::to_owned));
        let name = text("Name").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| node.error_at("name", "is missing"))?;
        let (id, address, token) = (text("ID"), text("Address"), text("Token"));
        let port = rest.remove("Port").and_then(|port| port.as_u64());
        let weight = rest.get("Weights").and_then(|weights| weights.get("Passing")).and_then(Value::as_u64);
        let mut checks: Vec<Value> = rest.remove("Check").into_iter().collect();
        if let Some(Value::Array(several)) = rest.remove("Checks") {
            checks.extend(several);
        }
        Ok(Definition {
            name,
            id: id.filter(|id| !id.is_empty()),
            address: address.filter(|address| !address.is_empty()),
            port: port.and_then(|port| u16::try_from(port).ok()),
            tags: texts(rest.remove("Tags")),
            metadata: meta(rest.remove("Meta")),
            weight: weight.and_then(|weight| u32::try_from(weight).ok()),
            checks: checks.into_iter().filter_map(into_object).collect(),
            rest,
            token,
        })
    }

    fn check(&mut self, node: &Node<'_>) -> Result<Map<String, Value>, JsonError> {
        let mut check = self.object(node, keys::CHECK, "")?;
        if let Some(id) = check.remove("ID") {
            check.entry("CheckID").or_insert(id);
        }
        if let Some(Value::Array(args)) = check.remove("ScriptArgs") {
            check.entry("Args").or_insert(Value::Array(args));
        }
        if let Some(Value::String(script)) = check.remove("Script") {
            self.warnings.push(format!(
                "{}: script is no longer known to Consul; args runs it by a shell",
                node.path()
            ));
            check.entry("Args").or_insert_with(|| serde_json::json!(["/bin/sh", "-c", script]));
        }
        Ok(check)
    }

    /// An object with its keys as the API has them. `path` is the way to a nested table of keys, as in `Weights.`.
    fn object(
        &mut self,
        node: &Node<'_>,
        known: keys::Table,
        path: &str,
    ) -> Result<Map<String, Value>, JsonError> {
        let mut object = Map::new();
        for (key, node) in node.fields()? {
            if node.value().is_null() {
                continue;
            }
            let Some((name, kind)) = keys::find(known, key) else {
                self.warnings.push(format!("{}: is unknown, and handed on as it is", node.path()));
                object.insert(key.to_owned(), node.value().clone());
                continue;
            };
            let value = self.value(&node, *kind, &format!("{path}{name}."))?;
            if object.insert((*name).to_owned(), value).is_some() {
                return Err(node.error("is given twice, in two spellings"));
            }
        }
        Ok(object)
    }

    fn value(&mut self, node: &Node<'_>, kind: Kind, path: &str) -> Result<Value, JsonError> {
        match kind {
            Kind::Text => node.string().map(Value::from),
            Kind::Flag => node.boolean().map(Value::from),
            Kind::Port => match node.integer()? {
                port @ 0..=65_535 => Ok(Value::from(port)),
                _ => Err(node.error("is not a port, 0 to 65535")),
            },
            Kind::Whole => node.integer().map(Value::from),
            Kind::Span => span(node).map(|_| node.value().clone()),
            Kind::Deregister => Ok(Value::from(self.deregister(node)?)),
            Kind::Texts => strings(node),
            Kind::Meta => texts_by_key(node),
            Kind::Object(table) => self.object(node, table, path).map(Value::Object),
            Kind::ObjectsByName(table) => {
                let mut all = Map::new();
                for (key, node) in node.fields()? {
                    all.insert(key.to_owned(), Value::Object(self.object(&node, table, path)?));
                }
                Ok(Value::Object(all))
            }
            Kind::Check => self.check(node).map(Value::Object),
            Kind::Checks => {
                let checks = node.elements()?.map(|node| self.check(&node).map(Value::Object));
                checks.collect::<Result<Vec<Value>, _>>().map(Value::Array)
            }
            Kind::Any => Ok(node.value().clone()),
        }
    }

    /// Consul takes less than a minute as a minute, silently.
    fn deregister(&mut self, node: &Node<'_>) -> Result<String, JsonError> {
        let given = span(node)?;
        if given.as_secs() >= MIN_DEREGISTER_SECONDS {
            return Ok(duration::encode(given));
        }
        self.warnings.push(format!("{}: is less than Consul's least of 1m, which counts", node.path()));
        Ok(format!("{MIN_DEREGISTER_SECONDS}s"))
    }
}

fn span(node: &Node<'_>) -> Result<std::time::Duration, JsonError> {
    duration::decode(node.string()?).map_err(|reason| node.error(reason))
}

fn strings(node: &Node<'_>) -> Result<Value, JsonError> {
    let all = node.elements()?.map(|node| node.string().map(Value::from));
    all.collect::<Result<Vec<Value>, _>>().map(Value::Array)
}

/// Metadata is text; a header's value is a list of texts.
fn texts_by_key(node: &Node<'_>) -> Result<Value, JsonError> {
    let mut all = Map::new();
    for (key, node) in node.fields()? {
        let value = if node.value().is_array() { strings(&node)? } else { Value::from(node.string()?) };
        all.insert(key.to_owned(), value);
    }
    Ok(Value::Object(all))
}

fn texts(value: Option<Value>) -> Vec<String> {
    let Some(Value::Array(all)) = value else { return Vec::new() };
    all.into_iter().filter_map(|value| value.as_str().map(ToOwned::to_owned)).collect()
}

fn meta(value: Option<Value>) -> BTreeMap<String, String> {
    let Some(Value::Object(all)) = value else { return BTreeMap::new() };
    all.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
