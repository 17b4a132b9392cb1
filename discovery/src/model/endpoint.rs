//! One server, its addresses and what discovery knows about it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use evener_core::EndpointId;

use super::{Address, AddressError, percent};

/// Characters with a meaning of their own in the text form of an endpoint.
const RESERVED: &[u8] = b",;|=";

/// One server process: the unit that is picked, connected to and counted.
///
/// Written and read (`Display`, `FromStr`) as
/// `ADDRESS[|ADDRESS...][;weight=N][;priority=N][;zone=TEXT][;region=TEXT][;condition=TEXT][;meta.KEY=TEXT]`, with percent-encoding for `,;|=%` inside a text.
///
/// Its identity is the unordered set of its addresses (gRFC A61); see [`Endpoint::id`]. Everything else
/// may change without costing the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its addresses in the order in which they are to be tried; never empty in what this crate makes.
    pub addresses: Vec<Address>,
    /// Its share of the calls relative to the others'; 1 unless given. 0 drains it: no new calls.
    pub weight: u32,
    /// Its tier: 0 is used first, the next one only where no endpoint of the tiers before it can take calls
    /// (gRFC A56).
    pub priority: u32,
    /// The zone it runs in, for policies that prefer their own.
    pub zone: Option<String>,
    /// The region that zone is in.
    pub region: Option<String>,
    /// What whoever registered or checks it says of it.
    pub condition: Condition,
    /// Whatever else discovery said of it; not interpreted.
    pub metadata: BTreeMap<String, String>,
}

impl Endpoint {
    /// An endpoint that is ready, of weight 1 and the first tier, with neither zone nor metadata.
    pub const fn new(addresses: Vec<Address>) -> Self {
        Self {
            addresses,
            weight: 1,
            priority: 0,
            zone: None,
            region: None,
            condition: Condition::Ready,
            metadata: BTreeMap::new(),
        }
    }

    /// The same endpoint with another weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// The same endpoint in a zone.
    #[must_use]
    pub fn with_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// The identity under which the core keeps its connection, load and counters.
    ///
    /// `key` is a secret of the process, the same for every endpoint of a channel: with it unknown,
    /// nobody can make up two endpoints whose fingerprints collide. Neither the order of the
    /// addresses nor a repeated one matters.
    pub fn id(&self, key: [u64; 2]) -> EndpointId {
        let addresses: Vec<Vec<u8>> = self.addresses.iter().map(Address::identity).collect();
        let addresses: Vec<&[u8]> = addresses.iter().map(Vec::as_slice).collect();
        EndpointId::of_addresses(key, &addresses)
    }

    /// The target under which a stock gRPC channel dials this endpoint, as in
    /// `ipv4:10.0.0.1:80,10.0.0.2:80`; `None` if it has no address.
    ///
    /// gRPC has no target for addresses of different kinds: where they are mixed, those of the same
    /// kind as the first one are named.
    pub fn grpc_target(&self) -> Option<String> {
        let prefix = self.addresses.first()?.grpc_prefix();
        let several = matches!(prefix, "ipv4:" | "ipv6:");
        let alike = self.addresses.iter().filter(|address| address.grpc_prefix() == prefix);
        let paths: Vec<String> =
            alike.map(Address::grpc_path).take(if several { usize::MAX } else { 1 }).collect();
        Some(format!("{prefix}{}", paths.join(",")))
    }

    fn set(&mut self, parameter: &str) -> Result<(), AddressError> {
        let Some((key, value)) = parameter.split_once('=') else {
            let reason = format!("`{parameter}` should be NAME=VALUE");
            return Err(AddressError::new("parameter", reason));
        };
        match key {
            "weight" => self.weight = parse_number("weight", value)?,
            "priority" => self.priority = parse_number("priority", value)?,
            "condition" => self.condition = value.parse()?,
            "zone" if value.is_empty() => return Err(AddressError::new("zone", "is empty".to_owned())),
            "zone" => self.zone = Some(decode("zone", value)?),
            "region" if value.is_empty() => return Err(AddressError::new("region", "is empty".to_owned())),
            "region" => self.region = Some(decode("region", value)?),
            _ => {
                let Some(name) = key.strip_prefix("meta.").filter(|name| !name.is_empty()) else {
                    let reason = format!(
                        "`{key}` is unknown; weight, priority, zone, region, condition and meta.NAME are known"
                    );
                    return Err(AddressError::new("parameter", reason));
                };
                self.metadata.insert(decode("meta", name)?, decode("meta", value)?);
            }
        }
        Ok(())
    }
}

/// What is known of a server besides its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It takes calls.
    #[default]
    Ready,
    /// It still serves but is about to leave: calls go there only where nothing else of its tier can take
    /// them, as kube-proxy does with terminating endpoints.
    Draining,
    /// A check of it fails: no calls, whatever its connection says.
    Unhealthy,
}

impl Condition {
    /// `ready`, `draining` or `unhealthy`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl FromStr for Condition {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let known = [Self::Ready, Self::Draining, Self::Unhealthy];
        known.into_iter().find(|condition| condition.name() == text).ok_or_else(|| {
            AddressError::new("condition", format!("`{text}` is none of ready, draining and unhealthy"))
        })
    }
}

impl FromStr for Endpoint {
    type Err = AddressError;

    /// # Errors
    ///
    /// The part that is wrong and why; an unknown or repeated parameter is an error too.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut parts = text.split(';');
        let addresses = parts.next().unwrap_or_default().split('|').map(parse_address);
        let mut endpoint = Self::new(addresses.collect::<Result<_, _>>()?);
        let mut seen = Vec::new();
        for parameter in parts {
            let key = parameter.split('=').next().unwrap_or_default();
            if seen.contains(&key) {
                return Err(AddressError::new("parameter", format!("`{key}` is given twice")));
            }
            seen.push(key);
            endpoint.set(parameter)?;
        }
        Ok(endpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            let separator = if index == 0 { "" } else { "|" };
            write!(f, "{separator}{}", percent::encode(&address.to_string(), RESERVED))?;
        }
        if self.weight != 1 {
            write!(f, ";weight={}", self.weight)?;
        }
        if self.priority != 0 {
            write!(f, ";priority={}", self.priority)?;
        }
        if let Some(zone) = &self.zone {
            write!(f, ";zone={}", percent::encode(zone, RESERVED))?;
        }
        if let Some(region) = &self.region {
            write!(f, ";region={}", percent::encode(region, RESERVED))?;
        }
        if self.condition != Condition::Ready {
            write!(f, ";condition={}", self.condition.name())?;
        }
        for (key, value) in &self.metadata {
            write!(f, ";meta.{}={}", percent::encode(key, RESERVED), percent::encode(value, RESERVED))?;
        }
        Ok(())
    }
}

fn parse_address(text: &str) -> Result<Address, AddressError> {
    if text.starts_with("unix") {
        decode("path", text)?.parse()
    } else {
        percent::decode_address(text).parse()
    }
}

fn parse_number(part: &'static str, text: &str) -> Result<u32, AddressError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(AddressError::new(part, format!("`{text}` is not a whole number from 0 to {}", u32::MAX))),
    }
}

fn decode(part: &'static str, text: &str) -> Result<String, AddressError> {
    percent::decode(text).ok_or_else(|| {
        let reason =
            format!("`{text}` has a % without two hexadecimal digits of UTF-8 after it; % itself is %25");
        AddressError::new(part, reason)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u64; 2] = [1, 2];

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn text_form_holds_everything() {
        let mut expected = Endpoint::new(vec!["10.0.0.1:80".parse().unwrap(), "[::1]:80".parse().unwrap()])
            .with_weight(3)
            .with_zone("eu,west;1");
        expected.metadata.insert("build=".to_owned(), "100 %".to_owned());
        let text = "10.0.0.1:80|[::1]:80;weight=3;zone=eu%2Cwest%3B1;meta.build%3D=100%20%25";

        assert_eq!(endpoint(text), expected);
        assert_eq!(expected.to_string(), text);
    }

    #[test]
    fn identity_is_the_set_of_addresses() {
        let id = |text| endpoint(text).id(KEY);

        assert_eq!(id("a:1|b:2"), id("b:2|a:1|b:2;weight=7;zone=z;meta.k=v"));
        assert_eq!(id("Host:1"), id("host:1"));
        assert_ne!(id("a:1|b:2"), id("a:1"));
        assert_ne!(id("a:1"), endpoint("a:1").id([1, 3]));
        // Kinds never run into each other.
        assert_ne!(id("unix:a"), id("unix-abstract:a"));
        assert_ne!(id("[fe80::1%1]:1"), id("[fe80::1]:1"));
        assert_ne!(id("[fe80::1%eth0]:1"), id("[fe80::1%eth1]:1"));
    }

    #[test]
    fn a_target_names_addresses_of_one_kind() {
        for (text, expected) in [
            ("10.0.0.1:80|10.0.0.2:80", "ipv4:10.0.0.1:80,10.0.0.2:80"),
            ("[::1]:80|10.0.0.1:80|[::2]:80", "ipv6:[::1]:80,[::2]:80"),
            ("[fe80::1%eth0]:80|[::1]:80", "ipv6:[fe80::1%25eth0]:80,[::1]:80"),
            ("[fe80::1%3]:80", "ipv6:[fe80::1%253]:80"),
            ("localhost:80|other:80", "dns:///localhost:80"),
            ("unix:/run/my%20socket", "unix:/run/my%20socket"),
            ("unix-abstract:a?b", "unix-abstract:a%3Fb"),
        ] {
            assert_eq!(endpoint(text).grpc_target().as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Endpoint::new(Vec::new()).grpc_target(), None);
    }

    fn addresses() -> impl Strategy<Value = Address> {
        prop_oneof![
            any::<([u8; 4], u16)>().prop_map(|(ip, port)| Address::Ip((ip, port.max(1)).into())),
            any::<([u16; 8], u16)>().prop_map(|(ip, port)| Address::Ip((ip, port.max(1)).into())),
            ("[a-z][a-z0-9_-]{0,20}(\\.[a-z][a-z0-9]{0,9}){0,3}", 1_u16..)
                .prop_map(|(host, port)| Address::Name { host, port }),
            (any::<[u16; 8]>(), "[a-z]{1,8}[0-9]", 1_u16..).prop_map(|(ip, zone, port)| Address::Zoned {
                ip: ip.into(),
                zone,
                port
            }),
            "[^\0/]{1,20}".prop_map(Address::Unix),
            "[^\0]{1,20}".prop_map(Address::UnixAbstract),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            addresses in prop::collection::vec(addresses(), 1..4),
            (weight, priority) in any::<(u32, u32)>(),
            zone in prop::option::of(".+"),
            region in prop::option::of(".+"),
            condition in prop::sample::select(vec![Condition::Ready, Condition::Draining, Condition::Unhealthy]),
            metadata in prop::collection::btree_map(".+", ".*", 0..3),
        ) {
            let endpoint = Endpoint { addresses, weight, priority, zone, region, condition, metadata };
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }

        #[test]
        fn an_address_that_is_written_is_read(address in addresses()) {
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }

        #[test]
        fn never_panics(text in ".*", shaped in "[a-z0-9.:;=|%\\[\\]/,]{0,40}") {
            for text in [text, shaped] {
                if let Ok(endpoint) = text.parse::<Endpoint>() {
                    prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
                }
                let _ = Address::parse_list(&text);
            }
        }
    }
}
