//! EndpointSlices of Kubernetes (`discovery.k8s.io/v1`) as endpoints.
//!
//! Of each object only what is used is kept: `managedFields` and the like are passed over while reading.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Deserializer};

use crate::model::{Address, Condition, Endpoint};
use crate::target::KubernetesPort;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SliceList {
    /// `EndpointSliceList`: whatever else answers must not be taken for an empty list.
    kind: String,
    /// What concerns the list as a whole.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: ListMetadata,
    /// The slices.
    #[serde(default, deserialize_with = "null_is_default")]
    pub items: Vec<Slice>,
}

/// What concerns a list as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListMetadata {
    /// The state of the server that the list shows; never empty.
    #[serde(deserialize_with = "empty_is_none")]
    pub resource_version: Option<String>,
    /// Where the next page begins, if there is one; never empty.
    #[serde(rename = "continue", deserialize_with = "empty_is_none")]
    pub continue_token: Option<String>,
}

/// One EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slice {
    /// Its name and version.
    pub metadata: Metadata,
    /// The kind of its addresses: `IPv4`, `IPv6` or `FQDN`. It never changes.
    #[serde(default)]
    pub address_type: String,
    /// The ports that all its endpoints have.
    #[serde(default, deserialize_with = "null_is_default")]
    pub ports: Vec<Port>,
    /// The endpoints.
    #[serde(default, deserialize_with = "null_is_default")]
    pub endpoints: Vec<SliceEndpoint>,
}

/// What names an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Unique in its namespace.
    pub name: String,
    /// Its version; never empty, since to watch from that would be to watch from now on.
    #[serde(deserialize_with = "empty_is_none")]
    pub resource_version: Option<String>,
}

/// A port of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Port {
    /// Its name; a Service with one port need not name it.
    pub name: Option<String>,
    /// Its number. None means any port, which nobody can connect to.
    pub port: Option<i64>,
    /// `TCP` unless given.
    pub protocol: Option<String>,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SliceEndpoint {
    /// Only the first one has a meaning.
    #[serde(deserialize_with = "null_is_default")]
    pub addresses: Vec<String>,
    /// What is known of its state.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Conditions,
    /// The zone it runs in.
    pub zone: Option<String>,
    /// The node it runs on.
    pub node_name: Option<String>,
    /// Its own name, with some headless Services.
    pub hostname: Option<String>,
    /// The pod, mostly.
    pub target_ref: Option<TargetRef>,
    /// Who is to use it.
    pub hints: Option<Hints>,
}

/// What is known of an endpoint's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// It takes calls; unknown means that it does.
    pub ready: Option<bool>,
    /// It could take calls, be it terminating or not; unknown means that it could.
    pub serving: Option<bool>,
    /// It is about to end; unknown means that it is not.
    pub terminating: Option<bool>,
}

/// The object that an endpoint stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TargetRef {
    /// `Pod`, mostly.
    pub kind: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// Who is to use an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hints {
    /// Clients in these zones.
    #[serde(deserialize_with = "null_is_default")]
    pub for_zones: Vec<Hint>,
    /// Clients on these nodes.
    #[serde(deserialize_with = "null_is_default")]
    pub for_nodes: Vec<Hint>,
}

/// A zone or a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Hint {
    /// Its name.
    pub name: String,
}

/// One line of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchLine {
    /// A slice is new or has changed.
    Applied(Slice),
    /// A slice is gone.
    Deleted(Metadata),
    /// Everything up to this version has been said.
    Bookmark(String),
    /// The watch cannot go on.
    Error {
        /// As in HTTP; 410 where what was asked for is too old.
        code: u16,
        /// The reason, for people.
        message: String,
    },
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct Carrying<T> {
    object: T,
}

#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    message: Option<String>,
    reason: Option<String>,
}

/// Reads a page of a list.
///
/// # Errors
/// It is not one.
pub fn decode_list(text: &str) -> Result<SliceList, String> {
    let list: SliceList = read(text, "a list of EndpointSlices")?;
    if list.kind != "EndpointSliceList" {
        return Err(format!("is not a list of EndpointSlices, but {:?}", list.kind));
    }
    Ok(list)
}

/// Reads a slice.
///
/// # Errors
/// It is not one.
pub fn decode(text: &str) -> Result<Slice, String> {
    read(text, "an EndpointSlice")
}

/// Reads one line of a watch.
///
/// # Errors
/// It is not one, or of a kind that is unknown.
pub fn decode_line(line: &str) -> Result<WatchLine, String> {
    let kind = read::<Line<'_>>(line, "an event of a watch")?.kind;
    match kind {
        "ADDED" | "MODIFIED" => {
            let slice: Slice = carried(line)?;
            slice.metadata.check()?;
            Ok(WatchLine::Applied(slice))
        }
        "DELETED" => {
            let Named { metadata } = carried(line)?;
            metadata.check()?;
            Ok(WatchLine::Deleted(metadata))
        }
        "BOOKMARK" => {
            let named: Named = carried(line)?;
            named
                .metadata
                .resource_version
                .map(WatchLine::Bookmark)
                .ok_or_else(|| "a bookmark has no version".to_owned())
        }
        "ERROR" => {
            let Status { code, message, reason } = carried(line)?;
            let message = message.or(reason).unwrap_or_else(|| "no reason was given".to_owned());
            Ok(WatchLine::Error { code, message })
        }
        kind => Err(format!("events of kind {kind:?} are unknown")),
    }
}

impl Metadata {
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() { Err("an EndpointSlice has no name".to_owned()) } else { Ok(()) }
    }
}

fn carried<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    read::<Carrying<T>>(line, "an event of a watch").map(|carrying| carrying.object)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("is not {what}: {error}"))
}

/// Kubernetes writes null for what is empty.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Go writes an empty text for what is not there.
fn empty_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.filter(|text: &String| !text.is_empty()))
}

/// What a slice says, and what could not be used of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// Its endpoints, each with one address.
    pub endpoints: Vec<Endpoint>,
    /// How many endpoints were left out.
    pub skipped: u64,
    /// Why the last one was; empty if none was.
    pub example: String,
    /// Why it is not known at which port the endpoints of the slice are; `None` where it is, or there is no endpoint.
    pub lacks_port: Option<String>,
}

impl Mapped {
    fn skip(&mut self, slice: &Slice, reason: &str) {
        self.skipped += 1;
        self.example = format!("slice {}: {reason}", slice.metadata.name);
    }
}

impl Slice {
    /// The endpoints of the slice at the port that is wanted, or else at its only one.
    ///
    /// Conditions: `ready` (or unknown) takes calls. What is still serving but terminating drains. Anything else is
    /// unhealthy, which takes it out of use at once, where leaving it out would count as a removal and be held back.
    pub fn endpoints(&self, wanted: Option<&KubernetesPort>) -> Mapped {
        self.endpoints_or_known(wanted, |_| None)
    }

    /// The same, where a slice that does not say the port leaves each address at the one at which it is `known`: that
    /// the port was not said is no news of the endpoint. Those that are not known are left out.
    pub fn endpoints_or_known(
        &self,
        wanted: Option<&KubernetesPort>,
        known: impl Fn(IpAddr) -> Option<u16>,
    ) -> Mapped {
        let mut mapped = Mapped::default();
        if self.endpoints.is_empty() {
            return mapped;
        }
        if let Err(reason) = self.check_type() {
            self.endpoints.iter().for_each(|_| mapped.skip(self, &reason));
            return mapped;
        }
        let port = self.port(wanted);
        mapped.lacks_port =
            port.as_ref().err().map(|reason| format!("slice {}: {reason}", self.metadata.name));
        for endpoint in &self.endpoints {
            let at = |ip| port.clone().or_else(|reason| known(ip).ok_or(reason));
            match endpoint.map(at) {
                Ok(endpoint) => mapped.endpoints.push(endpoint),
                Err(reason) => mapped.skip(self, &reason),
            }
        }
        mapped
    }

    /// Names are no addresses that Kubernetes gives a meaning.
    fn check_type(&self) -> Result<(), String> {
        match self.address_type.as_str() {
            "IPv4" | "IPv6" => Ok(()),
            other => Err(format!("addresses of type {other:?} are not used")),
        }
    }

    /// The number of the port that is wanted.
    fn port(&self, wanted: Option<&KubernetesPort>) -> Result<u16, String> {
        let tcp = |port: &&Port| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
        let ports: Vec<&Port> = self.ports.iter().filter(tcp).collect();
        let named = |name: &str| ports.iter().find(|port| port.name.as_deref().unwrap_or_default() == name);
        let chosen = match (wanted, &ports[..]) {
            (Some(KubernetesPort::Number(number)), _) => return Ok(*number),
            (Some(KubernetesPort::Name(name)), _) => {
                named(name).ok_or_else(|| format!("has no TCP port named {name:?}, but {}", names(&ports)))?
            }
            (None, [only]) => only,
            (None, []) => return Err("has no TCP port; the target must name one by its number".to_owned()),
            (None, _) => named("grpc").ok_or_else(|| {
                format!(
                    "has several ports, {}: the target must name one, as in kubernetes:///service:port",
                    names(&ports)
                )
            })?,
        };
        let number = chosen.port.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
        number.ok_or_else(|| {
            format!("the port named {:?} has no number", chosen.name.as_deref().unwrap_or_default())
        })
    }
}

fn names(ports: &[&Port]) -> String {
    let names: Vec<&str> = ports.iter().map(|port| port.name.as_deref().unwrap_or("(unnamed)")).collect();
    if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
}

impl SliceEndpoint {
    fn map(&self, port: impl FnOnce(IpAddr) -> Result<u16, String>) -> Result<Endpoint, String> {
        let first = self.addresses.first().ok_or("an endpoint has no address")?;
        let ip: IpAddr = first.parse().map_err(|_| format!("{first:?} is not an IP address"))?;
        let mut endpoint = Endpoint::new(vec![Address::Ip(SocketAddr::new(ip, port(ip)?))]);
        endpoint.condition = self.conditions.condition();
        endpoint.zone = self.zone.clone().filter(|zone| !zone.is_empty());
        endpoint.metadata = self.metadata();
        Ok(endpoint)
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let pod = self.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
        let joined = |hints: &[Hint]| {
            let names: Vec<&str> = hints.iter().map(|hint| hint.name.as_str()).collect();
            Some(names.join(",")).filter(|names| !names.is_empty())
        };
        let hints = self.hints.as_ref();
        let known = [
            ("kubernetes.node", self.node_name.clone()),
            ("kubernetes.hostname", self.hostname.clone()),
            ("kubernetes.pod", pod.and_then(|pod| pod.name.clone())),
            ("kubernetes.for-zones", hints.and_then(|hints| joined(&hints.for_zones))),
            ("kubernetes.for-nodes", hints.and_then(|hints| joined(&hints.for_nodes))),
        ];
        known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

impl Conditions {
    /// What they mean, where unknown is as Kubernetes defines it.
    pub fn condition(self) -> Condition {
        let (serving, terminating) = (self.serving.unwrap_or(true), self.terminating.unwrap_or(false));
        match self.ready.unwrap_or(true) {
            true => Condition::Ready,
            false if serving && terminating => Condition::Draining,
            false => Condition::Unhealthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: &str = r#"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
        "metadata":{"name":"u-1","resourceVersion":"7","managedFields":[{"manager":"kcm"}],"labels":{"kubernetes.io/service-name":"user"}},
        "addressType":"IPv4","ports":[{"name":"grpc","port":50051,"protocol":"TCP"}],
        "endpoints":[{"addresses":["10.1.2.3","10.9.9.9"],"conditions":{"ready":true,"serving":true,"terminating":false},
            "zone":"a","nodeName":"n1","hostname":"u-0","targetRef":{"kind":"Pod","name":"user-0"},
            "hints":{"forZones":[{"name":"a"},{"name":"b"}],"forNodes":[{"name":"n1"}]}}]}"#;

    fn slice(ports: &str, endpoints: &str) -> Slice {
        decode(&format!(
            r#"{{"metadata":{{"name":"s"}},"addressType":"IPv4","ports":{ports},"endpoints":{endpoints}}}"#
        ))
        .unwrap()
    }

    fn written(mapped: &Mapped) -> Vec<String> {
        mapped.endpoints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_that_is_known_of_an_endpoint_is_kept() {
        let mapped = decode(SLICE).unwrap().endpoints(None);
        assert_eq!(
            written(&mapped),
            ["10.1.2.3:50051;zone=a;meta.kubernetes.for-nodes=n1;meta.kubernetes.for-zones=a%2Cb;\
              meta.kubernetes.hostname=u-0;meta.kubernetes.node=n1;meta.kubernetes.pod=user-0"]
        );
        assert_eq!(mapped.skipped, 0);
    }

    #[test]
    fn what_is_not_said_means_ready_and_serving_and_staying() {
        let (yes, no) = (Some(true), Some(false));
        for (ready, serving, terminating, expected) in [
            (None, None, None, Condition::Ready),
            (yes, None, None, Condition::Ready),
            // publishNotReadyAddresses: ready whatever else is said.
            (yes, no, yes, Condition::Ready),
            (no, yes, yes, Condition::Draining),
            (no, None, yes, Condition::Draining),
            (None, None, yes, Condition::Ready),
            (no, no, yes, Condition::Unhealthy),
            (no, yes, no, Condition::Unhealthy),
            (no, None, None, Condition::Unhealthy),
            (no, no, no, Condition::Unhealthy),
        ] {
            let conditions = Conditions { ready, serving, terminating };
            assert_eq!(conditions.condition(), expected, "{conditions:?}");
        }
        assert_eq!(
            written(
                &slice(r#"[{"port":1}]"#, r#"[{"addresses":["10.0.0.1"],"conditions":null}]"#)
                    .endpoints(None)
            ),
            ["10.0.0.1:1"]
        );
    }

    #[test]
    fn ports_are_found_by_number_by_name_or_as_the_only_one() {
        let one = r#"[{"addresses":["10.0.0.1"]}]"#;
        let number = Some(KubernetesPort::Number(9));
        let name = |name: &str| Some(KubernetesPort::Name(name.to_owned()));
        let both = r#"[{"name":"web","port":80},{"name":"grpc","port":81},{"name":"quic","port":82,"protocol":"UDP"}]"#;
        for (ports, wanted, expected) in [
            (r#"[{"name":"","port":80}]"#, None, Ok("10.0.0.1:80")),
            (
                r#"[{"name":"web","port":80},{"name":"dns","port":53,"protocol":"UDP"}]"#,
                None,
                Ok("10.0.0.1:80"),
            ),
            (both, None, Ok("10.0.0.1:81")),
            (both, name("web"), Ok("10.0.0.1:80")),
            (both, number.clone(), Ok("10.0.0.1:9")),
            ("null", number.clone(), Ok("10.0.0.1:9")),
            ("[]", None, Err("has no TCP port")),
            ("null", None, Err("has no TCP port")),
            (both, name("quic"), Err("has no TCP port named \"quic\", but web, grpc")),
            ("[]", name("web"), Err("but none at all")),
            (r#"[{"name":"a","port":1},{"name":"b","port":2}]"#, None, Err("several ports, a, b")),
            (r#"[{"name":"a","port":null}]"#, None, Err("has no number")),
            (r#"[{}]"#, None, Err("has no number")),
            (r#"[{"port":65536}]"#, None, Err("has no number")),
            (r#"[{"port":-1}]"#, None, Err("has no number")),
        ] {
            let mapped = slice(ports, one).endpoints(wanted.as_ref());
            match expected {
                Ok(address) => {
                    assert_eq!((written(&mapped), mapped.skipped), (vec![address.to_owned()], 0), "{ports}");
                    assert_eq!(mapped.lacks_port, None, "{ports}");
                }
                Err(reason) => {
                    assert!(mapped.example.contains(reason), "{ports}: {mapped:?}");
                    assert_eq!(mapped.lacks_port, Some(mapped.example), "{ports}");
                    assert_eq!((mapped.endpoints.len(), mapped.skipped), (0, 1), "{ports}");
                }
            }
        }
    }

    #[test]
    fn an_address_whose_port_is_not_said_stays_at_the_one_that_is_known() {
        let endpoints =
            r#"[{"addresses":["10.0.0.1"],"conditions":{"ready":false}},{"addresses":["10.0.0.2"]}]"#;
        let known = |ip: IpAddr| (ip.to_string() == "10.0.0.1").then_some(9);
        let of = |ports| slice(ports, endpoints).endpoints_or_known(None, known);
        let mapped = of(r#"[{"name":"a","port":1},{"name":"b","port":2}]"#);
        assert_eq!(
            (written(&mapped), mapped.skipped),
            (vec!["10.0.0.1:9;condition=unhealthy".to_owned()], 1)
        );
        assert!(mapped.lacks_port.is_some_and(|reason| reason.contains("several ports, a, b")));
        let mapped = of(r#"[{"name":"a","port":1}]"#);
        assert_eq!(written(&mapped), ["10.0.0.1:1;condition=unhealthy", "10.0.0.2:1"], "what is said counts");
        let mut names = slice("[]", endpoints);
        names.address_type = "FQDN".to_owned();
        assert_eq!(names.endpoints(None).lacks_port, None, "no port would help");
        assert_eq!(slice("[]", "[]").endpoints(None).lacks_port, None, "there is nothing to connect to");
    }

    #[test]
    fn what_cannot_be_used_is_counted_and_costs_nothing_else() {
        let endpoints = r#"[{"addresses":[]},{"addresses":null},{"addresses":["pod.example.com"]},{"addresses":["10.0.0.1"]},{}]"#;
        let mapped = slice(r#"[{"port":1}]"#, endpoints).endpoints(None);
        assert_eq!((written(&mapped), mapped.skipped), (vec!["10.0.0.1:1".to_owned()], 4));
        let mut names = slice(r#"[{"port":1}]"#, endpoints);
        names.address_type = "FQDN".to_owned();
        let mapped = names.endpoints(None);
        assert_eq!((mapped.endpoints.len(), mapped.skipped), (0, 5));
        assert!(mapped.example.contains("\"FQDN\""), "{}", mapped.example);
        assert_eq!(slice("null", "null").endpoints(None), Mapped::default());
    }

    #[test]
    fn lines_of_a_watch_are_told_apart() {
        let applied = format!(r#"{{"type":"MODIFIED","object":{SLICE}}}"#);
        assert_eq!(decode_line(&applied), Ok(WatchLine::Applied(decode(SLICE).unwrap())));
        let deleted = format!(r#"{{"object":{SLICE},"type":"DELETED"}}"#);
        let metadata = Metadata { name: "u-1".to_owned(), resource_version: Some("7".to_owned()) };
        assert_eq!(decode_line(&deleted), Ok(WatchLine::Deleted(metadata.clone())));
        let unversioned = deleted.replace(r#""resourceVersion":"7""#, r#""resourceVersion":"""#);
        let metadata = Metadata { resource_version: None, ..metadata };
        assert_eq!(decode_line(&unversioned), Ok(WatchLine::Deleted(metadata)));
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"EndpointSlice","metadata":{"resourceVersion":"12"},"endpoints":null}}"#;
        assert_eq!(decode_line(bookmark), Ok(WatchLine::Bookmark("12".to_owned())));
        let gone =
            r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","code":410}}"#;
        assert_eq!(decode_line(gone), Ok(WatchLine::Error { code: 410, message: "Expired".to_owned() }));
        for wrong in [
            "",
            "{}",
            r#"{"type":"NEW"}"#,
            r#"{"type":"ADDED"}"#,
            r#"{"type":"DELETED","object":{"metadata":{}}}"#,
            r#"{"type":"BOOKMARK","object":{"metadata":{}}}"#,
            r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}"#,
        ] {
            assert!(decode_line(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_say_where_the_next_one_begins() {
        let list = decode_list(&format!(
            r#"{{"kind":"EndpointSliceList","metadata":{{"resourceVersion":"5","continue":"abc","remainingItemCount":3}},"items":[{SLICE}]}}"#
        ))
        .unwrap();
        assert_eq!(
            (list.metadata.resource_version.as_deref(), list.metadata.continue_token.as_deref()),
            (Some("5"), Some("abc"))
        );
        assert_eq!(list.items.len(), 1);
        let empty = r#"{"kind":"EndpointSliceList","metadata":{"resourceVersion":"5"},"items":null}"#;
        assert_eq!(decode_list(empty).unwrap().items, []);
        let last =
            r#"{"kind":"EndpointSliceList","metadata":{"resourceVersion":"","continue":""},"items":[]}"#;
        assert_eq!(decode_list(last).unwrap().metadata, ListMetadata::default());
        for wrong in
            ["[]", "{}", r#"{"kind":"Status","items":[]}"#, r#"{"kind":"EndpointSliceList","items":{}}"#]
        {
            assert!(decode_list(wrong).is_err(), "{wrong}");
        }
    }
}
