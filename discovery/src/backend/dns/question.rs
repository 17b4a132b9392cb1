//! One question and what its answer means.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use tokio::time::timeout;

use super::environment::Environment;
use crate::event::{ErrorClass, SourceError};

/// How long the second of two questions is waited for when the first one has brought what is needed.
const GRACE: Duration = Duration::from_secs(2);

/// What DNS says. That nobody could be asked is an error, not an answer.
pub(super) enum Answer {
    /// Records of the answer, aliases included, and those that came along with them.
    Records { answers: Vec<Record>, additional: Vec<Record> },
    /// There is none.
    Nothing {
        /// For how long that holds, if the answer says so.
        ttl: Option<Duration>,
        /// Whether the name does not exist at all, for any kind of record.
        no_such_name: bool,
    },
}

impl Answer {
    /// For how long the answer holds: as long as the first of its records.
    pub(super) fn ttl(&self) -> Option<Duration> {
        match self {
            Self::Records { answers, .. } => {
                answers.iter().map(|record| record.ttl).min().map(|ttl| Duration::from_secs(ttl.into()))
            }
            Self::Nothing { ttl, .. } => *ttl,
        }
    }
}

/// Asks for one kind of records of each name in turn until one has some.
///
/// # Errors
/// No name has records, and of at least one that is not certain.
pub(super) async fn ask_in_turn(
    environment: &Environment,
    names: &[Name],
    kind: RecordType,
) -> Result<Answer, SourceError> {
    let mut turns = Turns::default();
    for name in names {
        match environment.ask(name, kind).await {
            Ok(answer @ Answer::Records { .. }) => return Ok(answer),
            Ok(Answer::Nothing { ttl, .. }) => turns.nothing(ttl),
            Err(error) => turns.failed(error)?,
        }
    }
    turns.end().map(|ttl| Answer::Nothing { ttl, no_such_name: false })
}

/// What trying one name after the other has brought so far, as the C library goes about it: a name that a server
/// refuses does not keep the others from being tried, but then "there is none" is not certain. Where no server
/// answers there is no point in going on.
#[derive(Default)]
pub(super) struct Turns {
    ttl: Option<Duration>,
    failed: Option<SourceError>,
}

impl Turns {
    pub(super) fn nothing(&mut self, ttl: Option<Duration>) {
        self.ttl = match (self.ttl, ttl) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    pub(super) fn failed(&mut self, error: SourceError) -> Result<(), SourceError> {
        if matches!(error.class, ErrorClass::Timeout | ErrorClass::Unreachable) {
            return Err(error);
        }
        self.failed = Some(error);
        Ok(())
    }

    /// For how long it holds that there is nothing, where that is certain.
    pub(super) fn end(self) -> Result<Option<Duration>, SourceError> {
        self.failed.map_or(Ok(self.ttl), Err)
    }
}

/// The meaning of what the client library answers.
pub(super) fn read(
    result: Result<hickory_resolver::lookup::Lookup, NetError>,
    name: &Name,
    kind: RecordType,
    server: impl std::fmt::Display,
) -> Result<Answer, SourceError> {
    let error = match result {
        Ok(lookup) => {
            let (answers, additional) = (lookup.answers().to_vec(), lookup.additionals().to_vec());
            return Ok(Answer::Records { answers, additional });
        }
        Err(error) => error,
    };
    let (class, what) = match &error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            // It only points at other servers: it is none of those that know.
            ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
                (ErrorClass::Protocol, "refers to others instead of answering".to_owned())
            }
            code @ (ResponseCode::NoError | ResponseCode::NXDomain) => {
                let ttl = none.negative_ttl.map(|ttl| Duration::from_secs(ttl.into()));
                return Ok(Answer::Nothing { ttl, no_such_name: code == ResponseCode::NXDomain });
            }
            code => (ErrorClass::Protocol, format!("answers {code}")),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
            (ErrorClass::Denied, "refuses to answer (REFUSED)".to_owned())
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => {
            (ErrorClass::Protocol, "cannot find it out (SERVFAIL)".to_owned())
        }
        NetError::Timeout => (ErrorClass::Timeout, "does not answer".to_owned()),
        NetError::Io(error) => (ErrorClass::Unreachable, format!("cannot be reached: {error}")),
        NetError::NoConnections => (ErrorClass::Unreachable, "cannot be reached".to_owned()),
        other => (ErrorClass::Protocol, format!("fails: {other}")),
    };
    Err(SourceError::new(class, format!("{name} {kind}: the DNS server {server} {what}")))
}

pub(super) fn no_answer(text: impl AsRef<str>) -> SourceError {
    SourceError::new(ErrorClass::Timeout, text)
}

/// Waits for both; but once one has brought what is `enough`, for the other only so much longer.
pub(super) async fn with_grace<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
    enough: impl Fn(Either<&A, &B>) -> bool,
) -> (Option<A>, Option<B>) {
    match select(pin!(first), pin!(second)).await {
        Either::Left((first, rest)) if enough(Either::Left(&first)) => {
            (Some(first), timeout(GRACE, rest).await.ok())
        }
        Either::Left((first, rest)) => (Some(first), Some(rest.await)),
        Either::Right((second, rest)) if enough(Either::Right(&second)) => {
            (timeout(GRACE, rest).await.ok(), Some(second))
        }
        Either::Right((second, rest)) => (Some(rest.await), Some(second)),
    }
}
