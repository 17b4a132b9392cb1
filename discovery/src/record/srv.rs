//! SRV records (RFC 2782) as endpoints.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::event::Part;
use crate::model::{Address, Endpoint};

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SrvRecord {
    /// Lower ones are used first.
    pub priority: u16,
    /// The share of the calls among records of the same priority.
    pub weight: u16,
    /// The port of the service on the host.
    pub port: u16,
    /// The host's name, with or without a dot at its end; `.` alone says that there is no such service.
    pub target: String,
}

impl SrvRecord {
    /// Whether it says, by the root as its host, that the service is decidedly not to be had.
    pub fn is_refusal(&self) -> bool {
        matches!(self.target.as_str(), "" | ".")
    }
}

/// The endpoints that records name, as one part for each record: its key is `HOST:PORT`.
///
/// `addresses` holds what the hosts resolve to; a host that is not in it has no endpoints. Priorities become tiers
/// from 0 without gaps. A weight of 0 is read as 1: RFC 2782 means "hardly ever", not "never". With `grouped` all
/// addresses of a host are one endpoint, without it each is one, of the record's weight. Records with port 0, which
/// nobody can connect to, are left out.
pub fn assemble(
    records: &[SrvRecord],
    addresses: &BTreeMap<String, Vec<IpAddr>>,
    grouped: bool,
) -> Vec<Part> {
    let mut records: Vec<&SrvRecord> =
        records.iter().filter(|record| record.port != 0 && !record.is_refusal()).collect();
    // The same host and port twice: the record that is used first says it.
    records.sort_unstable();
    let mut tiers: Vec<u16> = records.iter().map(|record| record.priority).collect();
    tiers.dedup();
    let mut parts: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
    for record in records {
        let tier = tiers.binary_search(&record.priority).unwrap_or_default();
        let key = format!("{}:{}", record.target.to_ascii_lowercase(), record.port);
        let found = addresses.get(&record.target).map_or(&[][..], Vec::as_slice);
        parts
            .entry(key)
            .or_insert_with(|| endpoints(record, u32::try_from(tier).unwrap_or(u32::MAX), found, grouped));
    }
    parts.into_iter().map(|(key, endpoints)| Part { key, endpoints }).collect()
}

fn endpoints(record: &SrvRecord, tier: u32, found: &[IpAddr], grouped: bool) -> Vec<Endpoint> {
    let mut found: Vec<Address> =
        found.iter().map(|ip| Address::Ip(SocketAddr::new(*ip, record.port))).collect();
    found.sort_unstable();
    found.dedup();
    let endpoint = |addresses: Vec<Address>| {
        let mut endpoint = Endpoint::new(addresses).with_weight(u32::from(record.weight.max(1)));
        endpoint.priority = tier;
        endpoint
    };
    match found.len() {
        0 => Vec::new(),
        _ if grouped => vec![endpoint(found)],
        _ => found.into_iter().map(|address| endpoint(vec![address])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(priority: u16, weight: u16, port: u16, target: &str) -> SrvRecord {
        SrvRecord { priority, weight, port, target: target.to_owned() }
    }

    fn addresses(of: &[(&str, &[&str])]) -> BTreeMap<String, Vec<IpAddr>> {
        let parse = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        of.iter().map(|(host, ips)| ((*host).to_owned(), parse(ips))).collect()
    }

    fn written(parts: &[Part]) -> Vec<String> {
        parts.iter().flat_map(|part| &part.endpoints).map(ToString::to_string).collect()
    }

    #[test]
    fn priorities_are_tiers_and_weights_are_kept() {
        let records = [
            record(20, 5, 81, "c."),
            record(10, 3, 80, "a."),
            record(10, 0, 80, "b."),
            record(700, 1, 80, "a."),
            record(20, 1, 0, "a."),
        ];
        let found =
            addresses(&[("a.", &["10.0.0.1", "2001:db8::1"]), ("b.", &["10.0.0.2"]), ("c.", &["10.0.0.3"])]);
        assert_eq!(
            written(&assemble(&records, &found, false)),
            [
                "10.0.0.1:80;weight=3",
                "[2001:db8::1]:80;weight=3",
                "10.0.0.2:80",
                "10.0.0.3:81;weight=5;priority=1"
            ]
        );
        assert_eq!(written(&assemble(&records, &found, true))[0], "10.0.0.1:80|[2001:db8::1]:80;weight=3");
    }

    #[test]
    fn a_refusal_and_an_unknown_host_have_no_endpoints() {
        assert_eq!(assemble(&[record(0, 0, 80, ".")], &addresses(&[]), false), []);
        assert_eq!(written(&assemble(&[record(0, 0, 80, "a.")], &addresses(&[]), false)), [""; 0]);
    }

    proptest! {
        #[test]
        fn the_order_of_records_does_not_matter(
            records in prop::collection::vec((0_u16..4, 0_u16..4, 0_u16..3, "[a-c]\\."), 0..12),
            grouped: bool,
        ) {
            let mut records: Vec<SrvRecord> = records.iter().map(|(p, w, port, host)| record(*p, *w, *port, host)).collect();
            let found = addresses(&[("a.", &["10.0.0.1"]), ("b.", &["10.0.0.2", "10.0.0.1"])]);
            let before = assemble(&records, &found, grouped);
            records.reverse();
            prop_assert_eq!(before, assemble(&records, &found, grouped));
        }
    }
}
