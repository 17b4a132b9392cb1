//! The addresses of a host: A and AAAA, each on its own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::Either;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::environment::Environment;
use super::question::{Answer, Turns, no_answer, with_grace};
use crate::event::{Part, SourceError};
use crate::model::{Address, Endpoint};
use crate::target::Family;

/// What was found out about a host.
pub(super) struct HostAnswer {
    /// The addresses of each family; `None` where that could not be found out.
    v4: Option<Vec<IpAddr>>,
    v6: Option<Vec<IpAddr>>,
    pub(super) ttl: Option<Duration>,
    /// Why that of one family could not be found out.
    failed: Option<SourceError>,
}

impl HostAnswer {
    const fn nothing(ttl: Option<Duration>) -> Self {
        Self { v4: Some(Vec::new()), v6: Some(Vec::new()), ttl, failed: None }
    }

    /// All that there is of a host.
    pub(super) fn of(all: Vec<IpAddr>, ttl: Option<Duration>) -> Self {
        let (v4, v6) = all.into_iter().partition(IpAddr::is_ipv4);
        Self { v4: Some(v4), v6: Some(v6), ttl, failed: None }
    }

    fn is_empty(&self) -> bool {
        let none = |family: &Option<Vec<IpAddr>>| family.as_ref().is_none_or(Vec::is_empty);
        none(&self.v4) && none(&self.v6)
    }
}

/// The last known addresses of a host.
#[derive(Default)]
pub(super) struct Addresses {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    /// Which of both could not be found out the last time.
    failing: (bool, bool),
}

impl Addresses {
    /// Takes over what was found out; a family of which nothing was keeps what it had. Says why, where that is news.
    pub(super) fn take(&mut self, answer: HostAnswer) -> Option<String> {
        let failing = (answer.v4.is_none(), answer.v6.is_none());
        let is_news = std::mem::replace(&mut self.failing, failing) != failing;
        self.v4 = answer.v4.unwrap_or_else(|| std::mem::take(&mut self.v4));
        self.v6 = answer.v6.unwrap_or_else(|| std::mem::take(&mut self.v6));
        let failed = answer.failed.filter(|_| is_news)?;
        Some(format!("{failed}; of the addresses of that kind those known before stay"))
    }

    pub(super) fn parts(&self, port: u16, grouped: bool) -> Vec<Part> {
        let address = |ip: &IpAddr| Address::Ip(SocketAddr::new(*ip, port));
        if grouped {
            let addresses: Vec<Address> = self.v4.iter().chain(&self.v6).map(address).collect();
            let endpoints = if addresses.is_empty() { Vec::new() } else { vec![Endpoint::new(addresses)] };
            return vec![Part { key: "host".to_owned(), endpoints }];
        }
        let part = |key: &str, ips: &[IpAddr]| Part {
            key: key.to_owned(),
            endpoints: ips.iter().map(|ip| Endpoint::new(vec![address(ip)])).collect(),
        };
        vec![part("A", &self.v4), part("AAAA", &self.v6)]
    }

    pub(super) fn all(&self) -> Vec<IpAddr> {
        self.v4.iter().chain(&self.v6).copied().collect()
    }
}

/// Looks a host up: in the hosts file, then in DNS, where the file has no address of a family that is wanted.
///
/// # Errors
/// Nobody could say anything about it. One family alone that cannot be found out is no error while the other one has
/// addresses.
pub(super) async fn look_up(
    environment: &Environment,
    name: &str,
    family: Family,
) -> Result<HostAnswer, SourceError> {
    let in_file = environment.in_hosts_file(name).map(|answer| only(family, answer));
    if let Some(answer) = in_file.filter(|answer| !answer.is_empty()) {
        return Ok(answer);
    }
    let mut turns = Turns::default();
    for name in environment.candidates(name)? {
        match ask_both(environment, &name, family).await {
            Ok(answer) if !answer.is_empty() => return Ok(answer),
            Ok(answer) => turns.nothing(answer.ttl),
            Err(error) => turns.failed(error)?,
        }
    }
    turns.end().map(HostAnswer::nothing)
}

/// What the hosts file says, less the family that is not wanted.
fn only(family: Family, (all, ttl): (Vec<IpAddr>, Duration)) -> HostAnswer {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = all.into_iter().partition(IpAddr::is_ipv4);
    let wanted = |unwanted: Family, ips: Vec<IpAddr>| Some(if family == unwanted { Vec::new() } else { ips });
    HostAnswer { v4: wanted(Family::Ipv6, v4), v6: wanted(Family::Ipv4, v6), ttl: Some(ttl), failed: None }
}

/// Asks for both families of one full name. A broken family must not hold the other one up for long.
async fn ask_both(environment: &Environment, name: &Name, family: Family) -> Result<HostAnswer, SourceError> {
    let unasked = || Ok(Answer::Nothing { ttl: None, no_such_name: false });
    let a =
        async { if family == Family::Ipv6 { unasked() } else { environment.ask(name, RecordType::A).await } };
    let aaaa = async {
        if family == Family::Ipv4 { unasked() } else { environment.ask(name, RecordType::AAAA).await }
    };
    let decides = |answer: &Result<Answer, SourceError>| {
        answer.as_ref().is_ok_and(|answer| match answer {
            Answer::Records { .. } => true,
            Answer::Nothing { no_such_name, .. } => *no_such_name,
        })
    };
    let enough = |done: Either<&_, &_>| match done {
        Either::Left(answer) | Either::Right(answer) => decides(answer),
    };
    let late = |kind| {
        Err(no_answer(format!("{name} {kind}: the DNS server answers for the other kind of address only")))
    };
    let (a, aaaa) = with_grace(a, aaaa, enough).await;
    combine(a.unwrap_or_else(|| late(RecordType::A)), aaaa.unwrap_or_else(|| late(RecordType::AAAA)))
}

fn combine(
    a: Result<Answer, SourceError>,
    aaaa: Result<Answer, SourceError>,
) -> Result<HostAnswer, SourceError> {
    let no_such_name = [&a, &aaaa]
        .into_iter()
        .any(|answer| matches!(answer, Ok(Answer::Nothing { no_such_name: true, .. })));
    let ttl = common_ttl(&a, &aaaa);
    let (a, aaaa) = (a.map(|answer| addresses(&answer)), aaaa.map(|answer| addresses(&answer)));
    match (a, aaaa) {
        (Ok(v4), Ok(v6)) => Ok(HostAnswer { v4: Some(v4), v6: Some(v6), ttl, failed: None }),
        (Ok(ips), Err(error)) if !ips.is_empty() => {
            Ok(HostAnswer { v4: Some(ips), v6: None, ttl, failed: Some(error) })
        }
        (Err(error), Ok(ips)) if !ips.is_empty() => {
            Ok(HostAnswer { v4: None, v6: Some(ips), ttl, failed: Some(error) })
        }
        // That a name does not exist holds for every kind of record.
        (Ok(_), Err(_)) | (Err(_), Ok(_)) if no_such_name => Ok(HostAnswer::nothing(ttl)),
        (_, Err(error)) | (Err(error), _) => Err(error),
    }
}

/// For how long the answers hold. That a host has addresses of one kind only is not asked about again sooner than
/// what it has.
fn common_ttl(a: &Result<Answer, SourceError>, aaaa: &Result<Answer, SourceError>) -> Option<Duration> {
    let answers = [a, aaaa].into_iter().flatten();
    let some = answers.clone().filter(|answer| matches!(answer, Answer::Records { .. }));
    some.filter_map(Answer::ttl).min().or_else(|| answers.filter_map(Answer::ttl).min())
}

fn addresses(answer: &Answer) -> Vec<IpAddr> {
    match answer {
        Answer::Records { answers, .. } => {
            // Servers turn the order round; a record reached by two ways is one address.
            let mut ips: Vec<IpAddr> = answers.iter().filter_map(ip).collect();
            ips.sort_unstable();
            ips.dedup();
            ips
        }
        Answer::Nothing { .. } => Vec::new(),
    }
}

/// The address of an A or AAAA record.
pub(super) fn ip(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ErrorClass;

    fn failed() -> Result<Answer, SourceError> {
        Err(SourceError::new(ErrorClass::Timeout, "no answer"))
    }

    fn nothing(no_such_name: bool) -> Result<Answer, SourceError> {
        Ok(Answer::Nothing { ttl: Some(Duration::from_secs(9)), no_such_name })
    }

    fn some(ip: [u8; 4]) -> Result<Answer, SourceError> {
        let record = Record::from_rdata(Name::root(), 7, RData::A(std::net::Ipv4Addr::from(ip).into()));
        Ok(Answer::Records { answers: vec![record], additional: Vec::new() })
    }

    #[test]
    fn one_family_that_fails_keeps_what_it_had_while_the_other_has_addresses() {
        let mut known = Addresses::default();
        known.take(HostAnswer {
            v4: Some(vec![[10, 0, 0, 1].into()]),
            v6: Some(vec!["2001:db8::1".parse().unwrap()]),
            ttl: None,
            failed: None,
        });
        let answer = combine(some([10, 0, 0, 2]), failed()).unwrap();
        assert_eq!(answer.ttl, Some(Duration::from_secs(7)));
        let told = known.take(answer);
        assert_eq!(told.as_deref(), Some("no answer; of the addresses of that kind those known before stay"));
        let written: Vec<String> =
            known.parts(80, false).iter().flat_map(|part| &part.endpoints).map(ToString::to_string).collect();
        assert_eq!(written, ["10.0.0.2:80", "[2001:db8::1]:80"]);
        assert_eq!(known.parts(80, true)[0].endpoints[0].to_string(), "10.0.0.2:80|[2001:db8::1]:80");
        // It is told when it begins, and again when it has been well in between.
        let mut told = |aaaa| known.take(combine(some([10, 0, 0, 2]), aaaa).unwrap()).is_some();
        assert_eq!(
            [failed(), nothing(false), failed(), failed()].map(&mut told),
            [false, false, true, false]
        );
    }

    #[test]
    fn there_is_none_only_where_that_is_certain() {
        assert!(combine(nothing(false), nothing(false)).unwrap().is_empty());
        assert!(combine(nothing(true), failed()).unwrap().is_empty());
        assert!(combine(failed(), nothing(true)).unwrap().is_empty());
        assert!(combine(nothing(false), failed()).is_err());
        assert!(combine(failed(), nothing(false)).is_err());
        assert!(combine(failed(), failed()).is_err());
    }
}
