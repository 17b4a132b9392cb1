//! The endpoints of a service: its SRV records, and the addresses of the hosts they name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use hickory_resolver::proto::rr::{RData, Record, RecordType};

use super::environment::Environment;
use super::question::{Answer, ask_in_turn};
use super::{Found, host};
use crate::event::SourceError;
use crate::record::srv::{SrvRecord, assemble};
use crate::target::{DnsParameters, Family};

/// So many hosts are looked up at a time.
const AT_A_TIME: usize = 16;

/// Looks a service up. `last` holds the addresses of its hosts, which stay while one cannot be looked up.
///
/// # Errors
/// The records cannot be had, or there are some but of none of the hosts is anything known.
pub(super) async fn look_up(
    environment: &Environment,
    name: &str,
    parameters: &DnsParameters,
    last: &mut BTreeMap<String, Vec<IpAddr>>,
) -> Result<Found, SourceError> {
    let answer = ask_in_turn(environment, &environment.candidates(name)?, RecordType::SRV).await?;
    let mut ttl = answer.ttl();
    let Answer::Records { answers, additional } = answer else {
        last.clear();
        return Ok(Found { parts: Vec::new(), ttl, skipped: None });
    };
    let records: Vec<SrvRecord> = answers.iter().filter_map(record).collect();
    let hosts = hosts(environment, &records, &additional, parameters.family).await;
    let mut failed = Vec::new();
    let mut known = BTreeMap::new();
    for (host, answer) in hosts {
        match answer {
            Ok((addresses, host_ttl)) => {
                ttl = [ttl, host_ttl].into_iter().flatten().min();
                known.insert(host, addresses);
            }
            Err(error) => {
                if let Some(addresses) = last.remove(&host) {
                    known.insert(host, addresses);
                }
                failed.push(error);
            }
        }
    }
    if let (Some(error), true) = (failed.first(), known.is_empty()) {
        return Err(error.clone());
    }
    *last = known;
    let skipped = failed.last().map(|error| (failed.len() as u64, error.message.clone()));
    Ok(Found { parts: assemble(&records, last, parameters.grouped), ttl, skipped })
}

fn record(record: &Record) -> Option<SrvRecord> {
    let RData::SRV(srv) = &record.data else { return None };
    let (priority, weight, port) = (srv.priority, srv.weight, srv.port);
    Some(SrvRecord { priority, weight, port, target: srv.target.to_ascii() })
}

type HostFound = (String, Result<(Vec<IpAddr>, Option<Duration>), SourceError>);

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
        let came_along = came_along(name, additional, family);
        if came_along.0.is_empty() {
            return (name.clone(), ask(environment, name, family).await);
        }
        (name.clone(), Ok(came_along))
    };
    stream::iter(names).map(look_up).buffer_unordered(AT_A_TIME).collect().await
}

/// Names in records are always full.
async fn ask(
    environment: &Environment,
    name: &str,
    family: Family,
) -> Result<(Vec<IpAddr>, Option<Duration>), SourceError> {
    let answer = host::look_up(environment, name, family).await?;
    let ttl = answer.ttl;
    let mut addresses = host::Addresses::default();
    addresses.take(answer);
    Ok((addresses.into_all(), ttl))
}

fn came_along(name: &str, additional: &[Record], family: Family) -> (Vec<IpAddr>, Option<Duration>) {
    let wanted = |ip: &IpAddr| match family {
        Family::Both => true,
        Family::Ipv4 => ip.is_ipv4(),
        Family::Ipv6 => ip.is_ipv6(),
    };
    let of_host = additional.iter().filter(|record| record.name.to_ascii().eq_ignore_ascii_case(name));
    let found: Vec<(IpAddr, u32)> =
        of_host.filter_map(|record| Some((host::ip(record).filter(wanted)?, record.ttl))).collect();
    let ttl = found.iter().map(|(_, ttl)| *ttl).min();
    (found.into_iter().map(|(ip, _)| ip).collect(), ttl.map(|ttl| Duration::from_secs(ttl.into())))
}
