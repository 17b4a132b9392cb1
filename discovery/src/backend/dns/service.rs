//! The endpoints of a service: its SRV records, and the addresses of the hosts they name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use hickory_resolver::proto::rr::{RData, Record, RecordType};

use super::Found;
use super::environment::Environment;
use super::host::{self, Addresses, HostAnswer};
use super::question::{Answer, ask_in_turn};
use crate::event::SourceError;
use crate::record::srv::{SrvRecord, assemble};
use crate::target::{DnsParameters, Family};

/// So many hosts are looked up at a time.
const AT_A_TIME: usize = 16;

/// Looks a service up. `last` holds the addresses of its hosts, which stay while one, or one kind of its addresses, cannot be looked up.
///
/// # Errors
/// The records cannot be had, or a host cannot be looked up and of no other one is an address known: whether there is
/// none is not certain then.
pub(super) async fn look_up(
    environment: &Environment,
    name: &str,
    parameters: &DnsParameters,
    last: &mut BTreeMap<String, Addresses>,
) -> Result<Found, SourceError> {
    let answer = ask_in_turn(environment, &environment.candidates(name)?, RecordType::SRV).await?;
    let mut ttl = answer.ttl();
    let Answer::Records { answers, additional } = answer else {
        last.clear();
        return Ok(Found { parts: Vec::new(), ttl, skipped: None });
    };
    let records: Vec<SrvRecord> = answers.iter().filter_map(record).collect();
    let hosts = hosts(environment, &records, &additional, parameters.family).await;
    let (mut failed, mut left_out) = (None, Vec::new());
    let mut known = BTreeMap::new();
    for (host, answer) in hosts {
        let mut addresses = last.remove(&host).unwrap_or_default();
        match answer {
            Ok(answer) => {
                ttl = [ttl, answer.ttl].into_iter().flatten().min();
                left_out.extend(addresses.take(answer));
            }
            Err(error) => {
                left_out.push(error.message.clone());
                failed = Some(error);
            }
        }
        known.insert(host, addresses);
    }
    let all = known.iter().map(|(host, addresses)| (host.clone(), addresses.all())).collect();
    let parts = assemble(&records, &all, parameters.grouped);
    if let Some(error) = failed.filter(|_| parts.iter().all(|part| part.endpoints.is_empty())) {
        return Err(error);
    }
    *last = known;
    let skipped = left_out.last().map(|example| (left_out.len() as u64, example.clone()));
    Ok(Found { parts, ttl, skipped })
}

fn record(record: &Record) -> Option<SrvRecord> {
    let RData::SRV(srv) = &record.data else { return None };
    let (priority, weight, port) = (srv.priority, srv.weight, srv.port);
    Some(SrvRecord { priority, weight, port, target: srv.target.to_ascii() })
}

type HostFound = (String, Result<HostAnswer, SourceError>);

/// The addresses of all hosts: those that came along with the records, and those of all others by asking.
async fn hosts(
    environment: &Environment,
    records: &[SrvRecord],
    additional: &[Record],
    family: Family,
) -> Vec<HostFound> {
    let mut names: Vec<&String> =
        records.iter().filter(|record| !record.is_refusal()).map(|record| &record.target).collect();
    names.sort_unstable();
    names.dedup();
    let look_up = async |name: &String| -> HostFound {
        match came_along(name, additional, family) {
            Some(found) => (name.clone(), Ok(found)),
            // Names in records are always full.
            None => (name.clone(), host::look_up(environment, name, family).await),
        }
    };
    stream::iter(names).map(look_up).buffer_unordered(AT_A_TIME).collect().await
}

/// What came along with the records, where that is all there can be. A server leaves out what does not fit, so a family
/// that is missing may be there all the same; that a host has none of it is never said in this way.
fn came_along(name: &str, additional: &[Record], family: Family) -> Option<HostAnswer> {
    let wanted = |ip: &IpAddr| match family {
        Family::Both => true,
        Family::Ipv4 => ip.is_ipv4(),
        Family::Ipv6 => ip.is_ipv6(),
    };
    let of_host = additional.iter().filter(|record| record.name.to_ascii().eq_ignore_ascii_case(name));
    let found: Vec<(IpAddr, u32)> =
        of_host.filter_map(|record| Some((host::ip(record).filter(wanted)?, record.ttl))).collect();
    let has_v4 = family == Family::Ipv6 || found.iter().any(|(ip, _)| ip.is_ipv4());
    let has_v6 = family == Family::Ipv4 || found.iter().any(|(ip, _)| ip.is_ipv6());
    if !has_v4 || !has_v6 {
        return None;
    }
    let ttl = found.iter().map(|(_, ttl)| *ttl).min();
    let all = found.into_iter().map(|(ip, _)| ip).collect();
    Some(HostAnswer::of(all, ttl.map(|ttl| Duration::from_secs(ttl.into()))))
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    #[test]
    fn what_came_along_counts_where_no_wanted_family_is_missing() {
        let record = |name: &str, ttl: u32, ip: &str| {
            let data = match ip.parse().unwrap() {
                IpAddr::V4(ip) => RData::A(ip.into()),
                IpAddr::V6(ip) => RData::AAAA(ip.into()),
            };
            Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, data)
        };
        let additional =
            [record("a.", 9, "10.0.0.1"), record("B.", 9, "10.0.0.2"), record("b.", 7, "2001:db8::2")];
        let found = |name: &str, family: Family| {
            let answer = came_along(name, &additional, family)?;
            let (ttl, mut addresses) = (answer.ttl?.as_secs(), Addresses::default());
            assert_eq!(addresses.take(answer), None);
            Some((addresses.all().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), ttl))
        };
        let some = |ips: &str, ttl: u64| Some((ips.to_owned(), ttl));
        assert_eq!(found("a.", Family::Both), None, "AAAA may have been left out");
        assert_eq!(found("a.", Family::Ipv6), None);
        assert_eq!(found("a.", Family::Ipv4), some("10.0.0.1", 9));
        assert_eq!(found("b.", Family::Both), some("10.0.0.2 2001:db8::2", 7));
        assert_eq!(found("b.", Family::Ipv6), some("2001:db8::2", 7));
        assert_eq!(found("c.", Family::Both), None);
    }
}
