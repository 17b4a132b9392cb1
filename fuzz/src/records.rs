//! What registries answer, and what a snapshot of it holds.

use crate::text;
use evener_discovery::record::{consul, endpoint_slice as slices, etcd};
use evener_discovery::target::{EtcdFormat, KubernetesPort};
use evener_discovery::{Endpoint, snapshot as file};

/// A record in etcd: the key up to the first line feed, then the value. What is read can be written in gRPC's form, and is then read as the same server.
pub fn etcd_record(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let Some(key) = parts.next().and_then(text) else { return };
    let value = parts.next().unwrap_or_default();
    let Ok(Some(endpoint)) = etcd::decode(key, value) else { return };
    check(&endpoint);
    let written = etcd::encode(&endpoint, EtcdFormat::Grpc).expect("an endpoint with an address");
    let again = etcd::decode("x", written.as_bytes())
        .expect("what was just written")
        .expect("a server that is there");
    assert_eq!(again.addresses, endpoint.addresses, "from {data:?} by {written}");
}

/// The instances of a service in Consul.
pub fn consul_health(data: &[u8]) {
    for passing in [false, true] {
        let mapping = consul::health::Mapping {
            passing,
            tagged: vec!["wan".to_owned()],
            ..consul::health::Mapping::default()
        };
        let Ok(health) = consul::health::decode(data, &mapping) else { return };
        health.endpoints.iter().for_each(check);
    }
}

/// Consul's keys and values, as a prefix's and as one key's.
pub fn consul_kv(data: &[u8]) {
    let _ = consul::kv::decode(data, "config/user/");
    let _ = consul::kv::decode(data, "config/user/a");
}

/// A page of EndpointSlices, or one alone.
pub fn endpoint_slice(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(list) = slices::decode_list(text) {
        list.items.iter().for_each(map);
    }
    if let Ok(slice) = slices::decode(text) {
        map(&slice);
    }
}

/// A line of a watch of EndpointSlices.
pub fn slice_watch(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(slices::WatchLine::Applied(slice)) = slices::decode_line(text) {
        map(&slice);
    }
}

fn map(slice: &slices::Slice) {
    let ports = [None, Some(KubernetesPort::Number(50051)), Some(KubernetesPort::Name("grpc".to_owned()))];
    for port in &ports {
        slice.endpoints(port.as_ref()).endpoints.iter().for_each(check);
    }
}

/// A snapshot's file. What is read can be written, and is then read as the same but for secrets.
pub fn snapshot(data: &[u8]) {
    let Ok(read) = file::decode(data) else { return };
    read.endpoints.iter().for_each(check);
    let again = file::decode(&file::encode(&read)).expect("what was just written");
    assert_eq!(again.endpoints.len(), read.endpoints.len());
}

/// What no decoder may let through.
fn check(endpoint: &Endpoint) {
    assert!(!endpoint.addresses.is_empty(), "{endpoint:?}");
    let _ = endpoint.to_string();
}
