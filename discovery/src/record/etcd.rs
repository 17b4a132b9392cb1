//! How a server is written down in etcd: gRPC's naming and the form below `/services/`.
//!
//! Both are read by one function, by their shape, whatever the prefix: a value with `Addr` is gRPC's (of the package
//! `endpoints` of etcd's `client/v3/naming`), one with `ip` or `port` the other, and an empty value leaves the last
//! part of the key, which then is the address. Reading is as tolerant as Go's own decoder: names of fields in any
//! case, unknown fields, null for what is missing. Writing gives what Go writes, byte for byte.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::{Address, AddressError, Condition, Endpoint, host};
use crate::target::EtcdFormat;

/// Fields of a record that say what the endpoint is like rather than what it is called.
const WEIGHT: &str = "weight";
const PRIORITY: &str = "priority";
const ZONE: &str = "zone";
const REGION: &str = "region";
/// What the form below `/services/` says about its address, and metadata cannot be called.
const ADDRESS_FIELDS: [&str; 3] = ["ip", "port", "healthy"];
/// The port that gRPC takes where a target has none.
const GRPC_PORT: u16 = 443;
/// `Op` of a record that says the server is gone; anything else but 0 has no meaning.
const DELETED: i64 = 1;

/// Reads the record under `key`. `None`: it says that its server is gone.
///
/// `weight`, `priority`, `zone` and `region` are taken from the metadata (in the form below `/services/` also from
/// the record itself); everything else there, `server_name` included, becomes the endpoint's metadata, as does a
/// weight or a priority that is no number. A weight below 1 but above 0 counts as 1; other fractions are rounded.
/// `"healthy": false` makes an endpoint that is there and takes no calls.
///
/// # Errors
/// Why it is no record, for people.
pub fn decode(key: &str, value: &[u8]) -> Result<Option<Endpoint>, String> {
    let name = key.rsplit('/').next().unwrap_or(key);
    if value.trim_ascii().is_empty() {
        let address = name.parse::<Address>();
        let address =
            address.map_err(|error| format!("the value is empty and the key no address: {error}"))?;
        return Ok(Some(Endpoint::new(vec![address])));
    }
    let value: Value = serde_json::from_slice(value).map_err(|error| format!("is not JSON: {error}"))?;
    let Value::Object(record) = value else { return Err("is no JSON object".to_owned()) };
    if field(&record, "addr").is_some() {
        return grpc(&record);
    }
    services(name, &record).map(Some)
}

fn grpc(record: &Map<String, Value>) -> Result<Option<Endpoint>, String> {
    match field(record, "op").map(|op| op.as_i64().ok_or(op)) {
        None | Some(Ok(0)) => {}
        Some(Ok(DELETED)) => return Ok(None),
        Some(Ok(other)) => return Err(format!("Op: {other} is neither 0 nor 1")),
        Some(Err(other)) => return Err(format!("Op: {other} is no number")),
    }
    let Some(Value::String(address)) = field(record, "addr") else {
        return Err("Addr: is no string".to_owned());
    };
    let mut endpoint = Endpoint::new(vec![grpc_address(address).map_err(|error| format!("Addr: {error}"))?]);
    match field(record, "metadata") {
        None => {}
        Some(Value::Object(fields)) => describe(&mut endpoint, fields),
        Some(other) => {
            endpoint.metadata.insert("metadata".to_owned(), text(other));
        }
    }
    Ok(Some(endpoint))
}

/// The port may be missing, as in the documentation of the format: it is gRPC's own then.
fn grpc_address(text: &str) -> Result<Address, AddressError> {
    match host::split(text) {
        Ok((host, None)) if !text.starts_with("unix") => {
            Ok(Address::from_host(host::parse_host(host)?, GRPC_PORT))
        }
        _ => text.parse(),
    }
}

fn services(name: &str, record: &Map<String, Value>) -> Result<Endpoint, String> {
    let mut endpoint = Endpoint::new(vec![services_address(name, record)?]);
    match field(record, "healthy") {
        None | Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => endpoint.condition = Condition::Unhealthy,
        Some(other) => return Err(format!("healthy: {other} is neither true nor false")),
    }
    if let Some(Value::Object(fields)) = field(record, "metadata") {
        describe(&mut endpoint, fields);
    }
    let is_read = |name: &str, value: &Value| {
        ADDRESS_FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name))
            || name.eq_ignore_ascii_case("metadata") && value.is_object()
    };
    describe(&mut endpoint, record.iter().filter(|(name, value)| !is_read(name, value)));
    Ok(endpoint)
}

/// The address is in the value, in the last part of the key, or the host in one and the port in the other.
fn services_address(name: &str, record: &Map<String, Value>) -> Result<Address, String> {
    let ip = match field(record, "ip") {
        None => None,
        Some(Value::String(ip)) => Some(ip.as_str()),
        Some(other) => return Err(format!("ip: {other} is no string")),
    };
    let port = field(record, "port").map(port).transpose()?;
    if ip.is_none()
        && port.is_none()
        && field(record, "healthy").is_none()
        && name.parse::<Address>().is_err()
    {
        return Err("has neither Addr nor ip, and the key is no address".to_owned());
    }
    let (host, written_port) = host::split(ip.unwrap_or(name)).map_err(|error| format!("ip: {error}"))?;
    let host = host::parse_server(host).map_err(|error| format!("ip: {error}"))?;
    let in_key = || host::split(name).ok().and_then(|(_, port)| port);
    let port = port.or(written_port).or_else(in_key);
    let port = port.ok_or_else(|| "port: is missing, in the value and in the key".to_owned())?;
    Ok(Address::from_host(host, port))
}

fn port(value: &Value) -> Result<u16, String> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let port = number.and_then(|number| u16::try_from(number).ok()).filter(|&port| port > 0);
    port.ok_or_else(|| format!("port: {value} is not a number from 1 to 65535"))
}

/// The last field of that name, in whatever case; null counts as absent.
fn field<'a>(record: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = record.iter().rfind(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null());
    found.map(|(_, value)| value)
}

fn describe<'a>(endpoint: &mut Endpoint, fields: impl IntoIterator<Item = (&'a String, &'a Value)>) {
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
        let known = name.to_ascii_lowercase();
        match (known.as_str(), share(value)) {
            (WEIGHT, Some(weight)) => endpoint.weight = weight,
            (PRIORITY, Some(priority)) => endpoint.priority = priority,
            (ZONE, _) if !text(value).is_empty() => endpoint.zone = Some(text(value)),
            (REGION, _) if !text(value).is_empty() => endpoint.region = Some(text(value)),
            _ => {
                endpoint.metadata.insert(name.clone(), text(value));
            }
        }
    }
}

/// A number from 0, written as such or in a string; a share that is more than nothing never becomes nothing.
fn share(value: &Value) -> Option<u32> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let number = number.filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let least = if number > 0.0 { 1.0 } else { 0.0 };
    // What is too large for the type becomes its largest number.
    Some(number.round().max(least) as u32)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes a server down. It is written with its first address; gRPC's form says `"Metadata":null` where there is
/// nothing to tell, and weight 0 of a server that is not ready, since it knows no other word for that.
///
/// # Errors
/// The endpoint has no address, or the form has no words for it.
pub fn encode(endpoint: &Endpoint, format: EtcdFormat) -> Result<String, String> {
    let address = endpoint.addresses.first().ok_or("an endpoint needs an address")?;
    match format {
        EtcdFormat::Grpc => Ok(encode_grpc(address, endpoint)),
        EtcdFormat::Services => encode_services(address, endpoint),
    }
}

fn encode_grpc(address: &Address, endpoint: &Endpoint) -> String {
    let mut fields = fields(endpoint);
    if endpoint.condition != Condition::Ready {
        fields.insert(WEIGHT, "0".to_owned());
    }
    let metadata = if fields.is_empty() { "null".to_owned() } else { format!("{{{}}}", joined(&fields)) };
    format!("{{\"Op\":0,\"Addr\":{},\"Metadata\":{metadata}}}", quoted(&address.to_string()))
}

fn encode_services(address: &Address, endpoint: &Endpoint) -> Result<String, String> {
    let (host, port) = match address {
        Address::Ip(ip) => (ip.ip().to_string(), ip.port()),
        Address::Name { host, port } => (host.clone(), *port),
        other => return Err(format!("{other} cannot be written as ip and port")),
    };
    let fields = fields(endpoint);
    if let Some(name) = ADDRESS_FIELDS.into_iter().find(|name| fields.contains_key(name)) {
        return Err(format!("metadata cannot be called `{name}`: the record has a field of that name"));
    }
    let separator = if fields.is_empty() { "" } else { "," };
    let healthy = endpoint.condition == Condition::Ready;
    let host = quoted(&host);
    Ok(format!("{{\"ip\":{host},\"port\":{port},\"healthy\":{healthy}{separator}{}}}", joined(&fields)))
}

/// What is to be told besides the address, each value as JSON, in the order in which Go writes maps.
fn fields(endpoint: &Endpoint) -> BTreeMap<&str, String> {
    let metadata = endpoint.metadata.iter();
    let mut fields: BTreeMap<&str, String> =
        metadata.map(|(name, value)| (name.as_str(), quoted(value))).collect();
    if endpoint.weight != 1 {
        fields.insert(WEIGHT, endpoint.weight.to_string());
    }
    if endpoint.priority != 0 {
        fields.insert(PRIORITY, endpoint.priority.to_string());
    }
    for (name, value) in [(ZONE, &endpoint.zone), (REGION, &endpoint.region)] {
        if let Some(value) = value {
            fields.insert(name, quoted(value));
        }
    }
    fields
}

fn joined(fields: &BTreeMap<&str, String>) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    fields.join(",")
}

/// A JSON string as Go's `encoding/json` writes it: what means something in HTML is escaped too.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(key: &str, value: &str) -> String {
        match decode(key, value.as_bytes()) {
            Ok(Some(endpoint)) => endpoint.to_string(),
            Ok(None) => "gone".to_owned(),
            Err(reason) => format!("error {reason}"),
        }
    }

    #[test]
    fn grpc_naming_is_read_as_go_reads_it() {
        for (value, expected) in [
            (r#"{"Op":0,"Addr":"127.0.0.1:2000","Metadata":null}"#, "127.0.0.1:2000"),
            (r#"{"Addr":"1.2.3.4:80"}"#, "1.2.3.4:80"),
            (r#"{"addr":"1.2.3.4:80","op":0,"metadata":{}}"#, "1.2.3.4:80"),
            (r#"{"ADDR":"[::1]:80","unknown":[1,{}]}"#, "[::1]:80"),
            (r#"{"Addr":"host:80","Op":null}"#, "host:80"),
            (r#"{"Op":1,"Addr":"1.2.3.4:80"}"#, "gone"),
            (r#"{"Op":7,"Addr":"1.2.3.4:80"}"#, "error Op: 7 is neither 0 nor 1"),
            (r#"{"Op":"add","Addr":"1.2.3.4:80"}"#, "error Op: \"add\" is no number"),
            (r#"{"Addr":5}"#, "error Addr: is no string"),
            (r#"{"Addr":""}"#, "error Addr: host: is missing"),
            (r#"{"Addr":"1.2.3.4","Metadata":"..."}"#, "1.2.3.4:443;meta.metadata=..."),
            (r#"{"Addr":"::1"}"#, "[::1]:443"),
            (r#"{"Addr":"unix:/run/a"}"#, "unix:/run/a"),
            (r#"{"Addr":"a b"}"#, "error Addr: host: `a b` contains ' ', which no name may contain"),
            (r#"{"Op":0,"Addr":"a:1","Metadata":"v1"}"#, "a:1;meta.metadata=v1"),
            (
                r#"{"Addr":"a:1","Metadata":{"weight":3,"zone":"b","region":"eu","priority":1,"server_name":"x.y","n":{"a":1},"gone":null}}"#,
                "a:1;weight=3;priority=1;zone=b;region=eu;meta.n=%7B%22a%22:1%7D;meta.server_name=x.y",
            ),
            (r#"{"Addr":"a:1","Metadata":{"Weight":"2","ZONE":"b"}}"#, "a:1;weight=2;zone=b"),
            (r#"{"Addr":"a:1","Metadata":{"weight":0}}"#, "a:1;weight=0"),
            (r#"{"Addr":"a:1","Metadata":{"weight":0.2}}"#, "a:1"),
            (r#"{"Addr":"a:1","Metadata":{"weight":2.6}}"#, "a:1;weight=3"),
            (r#"{"Addr":"a:1","Metadata":{"weight":1e30}}"#, "a:1;weight=4294967295"),
            (r#"{"Addr":"a:1","Metadata":{"weight":-1}}"#, "a:1;meta.weight=-1"),
            (r#"{"Addr":"a:1","Metadata":{"weight":"much"}}"#, "a:1;meta.weight=much"),
            ("[]", "error is no JSON object"),
            ("{", "error is not JSON: EOF while parsing an object at line 1 column 1"),
            ("{}", "error has neither Addr nor ip, and the key is no address"),
        ] {
            assert_eq!(read("svc/key", value), expected, "{value}");
        }
    }

    #[test]
    fn the_form_below_services_is_read_from_the_value_and_the_key() {
        let key = "/services/user-service/192.168.1.100:8080";
        for (key, value, expected) in [
            (
                key,
                r#"{"ip":"192.168.1.100","port":8080,"healthy":true,"version":"v1.0"}"#,
                "192.168.1.100:8080;meta.version=v1.0",
            ),
            (
                key,
                r#"{"ip":"192.168.1.100","port":8080,"healthy":false,"version":"v1.0"}"#,
                "192.168.1.100:8080;condition=unhealthy;meta.version=v1.0",
            ),
            (key, "", "192.168.1.100:8080"),
            (key, " \n", "192.168.1.100:8080"),
            (key, r#"{"healthy":true}"#, "192.168.1.100:8080"),
            (key, "{}", "192.168.1.100:8080"),
            (key, r#"{"ip":"10.0.0.9"}"#, "10.0.0.9:8080"),
            (key, r#"{"port":"9090"}"#, "192.168.1.100:9090"),
            ("/services/s/10.0.0.1", r#"{"port":80}"#, "10.0.0.1:80"),
            ("/services/s/a", r#"{"IP":"::1","Port":80}"#, "[::1]:80"),
            ("/services/s/a", r#"{"ip":"10.0.0.1:80"}"#, "10.0.0.1:80"),
            (
                "/services/s/a",
                r#"{"ip":"h","port":80,"weight":3,"metadata":{"zone":"a","k":"v"}}"#,
                "h:80;weight=3;zone=a;meta.k=v",
            ),
            ("/services/s/a", r#"{"ip":"h","port":80,"metadata":"m"}"#, "h:80;meta.metadata=m"),
            ("/services/s/a", "", "error the value is empty and the key no address: port: `a` has none"),
            ("/services/s/a", r#"{"healthy":true}"#, "error port: is missing, in the value and in the key"),
            (key, r#"{"healthy":"no"}"#, "error healthy: \"no\" is neither true nor false"),
            (key, r#"{"port":0}"#, "error port: 0 is not a number from 1 to 65535"),
            (key, r#"{"port":65536}"#, "error port: 65536 is not a number from 1 to 65535"),
            (key, r#"{"ip":7}"#, "error ip: 7 is no string"),
            (
                key,
                r#"{"ip":"unix"}"#,
                "error ip: host: `unix` is no name of a host: it is how the address of a socket begins",
            ),
            (
                "/services/s/unix:51",
                r#"{"version":1}"#,
                "error ip: host: `unix` is no name of a host: it is how the address of a socket begins",
            ),
            (key, r#"{"ip":"a b"}"#, "error ip: host: `a b` contains ' ', which no name may contain"),
        ] {
            assert_eq!(read(key, value), expected, "{key} {value}");
        }
    }

    #[test]
    fn what_is_written_is_what_go_writes() {
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        for (text, format, expected) in [
            ("127.0.0.1:2000", EtcdFormat::Grpc, r#"{"Op":0,"Addr":"127.0.0.1:2000","Metadata":null}"#),
            (
                "[::1]:80;weight=3;zone=a;meta.tag=<b>&",
                EtcdFormat::Grpc,
                r#"{"Op":0,"Addr":"[::1]:80","Metadata":{"tag":"\u003cb\u003e\u0026","weight":3,"zone":"a"}}"#,
            ),
            (
                "h:80;condition=draining",
                EtcdFormat::Grpc,
                r#"{"Op":0,"Addr":"h:80","Metadata":{"weight":0}}"#,
            ),
            (
                "192.168.1.100:8080;meta.version=v1.0",
                EtcdFormat::Services,
                r#"{"ip":"192.168.1.100","port":8080,"healthy":true,"version":"v1.0"}"#,
            ),
            (
                "[::1]:80;condition=draining;weight=2",
                EtcdFormat::Services,
                r#"{"ip":"::1","port":80,"healthy":false,"weight":2}"#,
            ),
        ] {
            assert_eq!(encode(&endpoint(text), format).as_deref(), Ok(expected), "{text}");
        }
        for text in ["unix:/run/a", "h:80;meta.port=1"] {
            assert!(encode(&endpoint(text), EtcdFormat::Services).is_err(), "{text}");
        }
        assert_eq!(quoted("\u{7}\u{8}\n\u{2028}\"\\é"), r#""\u0007\b\n\u2028\"\\é""#);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            port in 1_u16..,
            ip in any::<std::net::IpAddr>(),
            (weight, priority) in any::<(u32, u32)>(),
            zone in prop::option::of(".+"),
            region in prop::option::of(".+"),
            metadata in prop::collection::btree_map("m.*", ".*", 0..3),
            services in any::<bool>(),
        ) {
            prop_assume!(!metadata.contains_key("metadata"));
            let addresses = vec![Address::Ip((ip, port).into())];
            let endpoint =
                Endpoint { addresses, weight, priority, zone, region, condition: Condition::Ready, metadata };
            let format = if services { EtcdFormat::Services } else { EtcdFormat::Grpc };
            let written = encode(&endpoint, format).unwrap();
            prop_assert_eq!(decode("s/k", written.as_bytes()), Ok(Some(endpoint)));
        }

        #[test]
        fn never_panics(
            key in ".*",
            value in prop::collection::vec(any::<u8>(), 0..60),
            shaped in r#"\{"(addr|ip|port|op|metadata)":["0-9a.:{}\[\]]{0,20}(,"(healthy|weight|port)":["0-9a.-]{0,9})?\}"#,
        ) {
            let _ = decode(&key, &value);
            let _ = decode(&key, shaped.as_bytes());
        }
    }
}
