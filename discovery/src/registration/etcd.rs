//! Registration in etcd: a key with a lease that is kept alive over one stream.
//!
//! The key is `SERVICE/ID` with gRPC's value, or `/services/SERVICE/HOST:PORT` with `format=services`. **Who owns a
//! key is told by its lease**, which nobody else has: every write is a transaction on condition that the key is not
//! there or has our lease. A key that is there before our first write is taken over only where its record has our own
//! address, so by a server that was restarted before its old lease ran out; one that somebody has taken from us is
//! never taken back while it is there. etcd makes no checks of its own: those of a definition mean nothing to it.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use etcd_client::{
    Compare, CompareOp, GetOptions, KeyValue, LeaseKeepAliveStream, LeaseKeeper, PutOptions, Txn, TxnOp,
};
use tokio::time::timeout;

use super::{Beat, Finding, Published, Record, Registrar, RegistrationOptions, ServiceDefinition};
use crate::backend::etcd::connect::{Connector, FILES, Session};
use crate::backend::etcd::failure::{Failure, Kind};
use crate::event::{ErrorClass, SourceError};
use crate::model::{Address, Condition, Endpoint, host};
use crate::record::etcd::{decode, encode};
use crate::runtime::Dice;
use crate::target::etcd::{EtcdFormat, EtcdTarget, parse_any_path, prefix};

/// How long one request may take before another member is asked.
const ANSWER: Duration = Duration::from_secs(4);
/// How often somebody else may write the key between our look at it and our write.
const RACES: usize = 5;
/// How many leases are remembered that may still hold our key.
const PAST: usize = 4;

/// One key in etcd, and its lease.
pub(super) struct EtcdRegistrar {
    connector: Connector,
    target: EtcdTarget,
    /// What a new lease is to have.
    ttl: Duration,
    /// Taken out while something is asked, so that what is cut short begins with another connection.
    session: Option<Session>,
    /// Something was asked and the answer not waited for.
    is_asking: bool,
    lease: Option<Lease>,
    /// The last leases that were not heard of for their whole time to live, and may still hold our key.
    past: VecDeque<i64>,
    /// The stream of signs of life, taken out while one is given.
    beats: Option<Beats>,
    /// The member that was asked last, for people.
    asked: String,
    /// The key that was written last.
    written: Option<String>,
    /// When the files for TLS are looked at.
    files: Instant,
    dice: Dice,
}

/// A stream of signs of life, to write and to read.
type Beats = (LeaseKeeper, LeaseKeepAliveStream);

#[derive(Clone, Copy)]
struct Lease {
    id: i64,
    ttl: Duration,
    /// When the registry last knew it.
    known: Instant,
}

/// A key that is to be ours.
#[derive(Clone)]
struct Claim {
    key: String,
    value: String,
    endpoint: Endpoint,
    /// Leases that were ours before.
    past: VecDeque<i64>,
    /// A record of the same address by another lease is one of ours, from before a restart.
    may_inherit: bool,
}

/// Nothing is connected yet.
///
/// # Errors
/// The target is no etcd target, or the environment names servers that are none.
pub(super) fn registrar(
    target: &str,
    definition: &ServiceDefinition,
    options: &RegistrationOptions,
) -> Result<EtcdRegistrar, SourceError> {
    let target = target_of(target, &definition.name)?;
    let mut dice = Dice::new(options.seed);
    let connector = Connector::new(&target, &options.credentials, dice.roll())?;
    Ok(EtcdRegistrar {
        connector,
        target,
        ttl: definition.ttl,
        session: None,
        is_asking: false,
        lease: None,
        past: VecDeque::new(),
        beats: None,
        asked: String::new(),
        written: None,
        files: Instant::now() + FILES,
        dice,
    })
}

/// A path that does not end with the service's name is what stands before it.
fn target_of(text: &str, name: &str) -> Result<EtcdTarget, SourceError> {
    let refused = |reason: String| SourceError::new(ErrorClass::Config, reason);
    let rest = text.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("etcd"));
    let (_, rest) = rest.ok_or_else(|| refused(format!("{text} is no etcd: target")))?;
    let mut target = parse_any_path(rest).map_err(|error| refused(error.to_string()))?;
    let path = target.uri.path.trim_end_matches('/');
    let path = match path.rsplit('/').next() {
        Some(last) if last == name => path.to_owned(),
        _ if path.is_empty() => name.to_owned(),
        _ => format!("{path}/{name}"),
    };
    target.uri.path = path;
    Ok(target)
}

impl EtcdRegistrar {
    fn claim(&self, record: &Record) -> Result<Claim, SourceError> {
        let refused =
            |reason: String| SourceError::new(ErrorClass::Config, format!("registration: {reason}"));
        let format = self.target.format.unwrap_or(EtcdFormat::Grpc);
        let endpoint = endpoint(record).map_err(refused)?;
        let value = encode(&endpoint, format).map_err(refused)?;
        let last = match format {
            EtcdFormat::Grpc => record.id().to_owned(),
            EtcdFormat::Services => record.address(),
        };
        let key = prefix(&self.target.uri.path, format) + &last;
        let may_inherit = self.written.as_ref() != Some(&key);
        Ok(Claim { key, value, endpoint, past: self.past.clone(), may_inherit })
    }

    /// The lease we have, or a new one.
    async fn lease(&mut self) -> Result<Lease, Failure> {
        if let Some(lease) = self.lease {
            return Ok(lease);
        }
        let seconds = i64::try_from(self.ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1);
        let grant = |mut session: Session| async move { Ok(session.lease.grant(seconds, None).await?) };
        let granted = self.ask(grant).await?;
        let ttl = Duration::from_secs(granted.ttl().max(1).unsigned_abs());
        let lease = Lease { id: granted.id(), ttl, known: Instant::now() };
        self.lease = Some(lease);
        Ok(lease)
    }

    /// A lease that was not heard of for so long has expired, or will before we can do anything about it.
    fn judge_lease(&mut self) {
        if let Some(lease) = self.lease.filter(|lease| lease.known.elapsed() >= lease.ttl) {
            // A registry that was away may have renewed all of them when it came back.
            self.past.truncate(PAST - 1);
            self.past.push_front(lease.id);
            self.forget_lease();
        }
    }

    /// Where the files for TLS have changed, what is asked next is asked over another connection.
    async fn judge_files(&mut self) {
        let now = Instant::now();
        if now < self.files {
            return;
        }
        self.files = now + self.dice.around(FILES, 10);
        if self.connector.has_other_files().await {
            (self.session, self.beats) = (None, None);
        }
    }

    fn forget_lease(&mut self) {
        self.lease = None;
        self.beats = None;
    }

    /// Asks a member; a second time with another authentication where the first one no longer counts.
    async fn ask<T, F, A>(&mut self, question: F) -> Result<T, Failure>
    where
        F: Fn(Session) -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        match self.ask_once("a request", &question).await {
            Err(failure) if failure.may_be_token() && self.connector.has_user() => {
                self.ask_once("a request", &question).await
            }
            answer => answer,
        }
    }

    async fn ask_once<T, F, A>(&mut self, what: &str, question: F) -> Result<T, Failure>
    where
        F: FnOnce(Session) -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        if std::mem::replace(&mut self.is_asking, true) {
            self.connector.rotate(Instant::now());
        }
        let session = self.session().await?;
        self.connector.member().clone_into(&mut self.asked);
        let answer = timeout(ANSWER, question(session.clone())).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure::timeout(what, ANSWER)));
        self.is_asking = false;
        match &answer {
            Err(failure) if is_of_the_connection(failure.kind) => {
                self.beats = None;
                if !failure.may_be_token() {
                    self.connector.rotate(Instant::now());
                }
            }
            _ => {
                self.connector.succeeded();
                self.session = Some(session);
            }
        }
        answer
    }

    /// The connection we have, or one to the first member that lets us.
    async fn session(&mut self) -> Result<Session, Failure> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        self.beats = None;
        let mut answer = self.connector.connect(true).await;
        for _ in 1..self.connector.len() {
            if answer.is_ok() {
                break;
            }
            self.connector.rotate(Instant::now());
            answer = self.connector.connect(true).await;
        }
        if let Err(failure) = &answer {
            self.is_asking = false;
            self.connector.member().clone_into(&mut self.asked);
            self.connector.rotate(Instant::now());
            if failure.kind == Kind::Credentials {
                self.connector.refused();
            }
        }
        answer
    }

    fn is_known(&mut self, id: i64) {
        if let Some(lease) = self.lease.as_mut().filter(|lease| lease.id == id) {
            lease.known = Instant::now();
        }
    }

    fn told(&self, failure: &Failure) -> SourceError {
        failure.source_error(&self.asked)
    }

    async fn try_publish(&mut self, claim: &Claim) -> Result<Lease, Failure> {
        let lease = self.lease().await?;
        match self.put(claim, lease).await {
            Err(failure) if failure.kind == Kind::NoLease => self.forget_lease(),
            answer => return answer.map(|()| lease),
        }
        let lease = self.lease().await?;
        self.put(claim, lease).await?;
        Ok(lease)
    }

    async fn put(&mut self, claim: &Claim, lease: Lease) -> Result<(), Failure> {
        self.ask(|session| write(session, claim.clone(), lease.id)).await
    }

    /// Takes away a key that we wrote.
    async fn remove(&mut self, key: String) -> Result<(), Failure> {
        let Some(lease) = self.lease else { return Ok(()) };
        let remove = |mut session: Session| {
            let is_ours = Compare::lease(key.clone(), CompareOp::Equal, lease.id);
            let txn = Txn::new().when([is_ours]).and_then([TxnOp::delete(key.clone(), None)]);
            async move { Ok(session.kv.txn(txn).await.map(drop)?) }
        };
        self.ask(remove).await
    }

    /// Like any question it takes the connection with it: one that is given up leaves it to another member.
    async fn try_beat(&mut self, lease: Lease) -> Result<Beat, Failure> {
        // A stream over a connection that was given up is of no use.
        let beats = self.beats.take().filter(|_| self.session.is_some());
        let sign = |session| give_sign(session, beats, lease.id);
        let (beats, is_alive) = self.ask_once("a sign of life", sign).await?;
        if !is_alive {
            return Ok(Beat::Gone);
        }
        self.beats = Some(beats);
        Ok(Beat::Alive)
    }
}

impl Registrar for EtcdRegistrar {
    fn registry(&self) -> Option<(String, u16)> {
        self.connector.server()
    }

    fn remark(&self, definition: &ServiceDefinition) -> Option<String> {
        let has_none = definition.checks.is_empty();
        (!has_none).then(|| "etcd makes no checks: those of the definition have no effect".to_owned())
    }

    async fn publish(&mut self, record: &Record) -> Result<Published, SourceError> {
        self.judge_files().await;
        self.judge_lease();
        self.ttl = record.definition.ttl;
        let claim = self.claim(record)?;
        let lease = match self.try_publish(&claim).await {
            Ok(lease) => lease,
            Err(failure) => return Err(self.told(&failure)),
        };
        self.past.clear();
        self.is_known(lease.id);
        let before = self.written.replace(claim.key.clone());
        if let Some(before) = before.filter(|before| *before != claim.key)
            && let Err(failure) = self.remove(before).await
        {
            return Err(self.told(&failure));
        }
        Ok(Published { ttl: Some(lease.ttl) })
    }

    async fn beat(&mut self) -> Result<Beat, SourceError> {
        let Some(lease) = self.lease else { return Ok(Beat::Gone) };
        self.judge_files().await;
        match self.try_beat(lease).await {
            Ok(Beat::Alive) => {
                self.is_known(lease.id);
                Ok(Beat::Alive)
            }
            Ok(Beat::Gone) => {
                self.forget_lease();
                Ok(Beat::Gone)
            }
            Err(failure) if failure.kind == Kind::NoLease => {
                self.forget_lease();
                Ok(Beat::Gone)
            }
            Err(failure) => {
                let told = self.told(&failure);
                // Where the connection was at fault another member's turn has come already.
                if !is_of_the_connection(failure.kind) {
                    self.session = None;
                    self.connector.rotate(Instant::now());
                }
                Err(told)
            }
        }
    }

    async fn verify(&mut self, record: &Record) -> Result<Finding, SourceError> {
        self.judge_files().await;
        let claim = self.claim(record)?;
        let key = &claim.key;
        let read = |session| read(session, key.clone());
        let found = match self.ask(read).await {
            Ok(found) => found,
            Err(failure) => return Err(self.told(&failure)),
        };
        let lease = self.lease.map(|lease| lease.id);
        Ok(match found {
            None => Finding::Damaged(format!("{key} is not there")),
            Some(pair) if Some(pair.lease()) != lease => {
                Finding::Damaged(format!("{key} was taken by another owner: its lease is {:x}", pair.lease()))
            }
            Some(pair) if pair.value() != claim.value.as_bytes() => {
                Finding::Damaged(format!("{key} has another value"))
            }
            Some(_) => Finding::Intact,
        })
    }

    async fn withdraw(&mut self) -> Result<(), SourceError> {
        if let (Some(_), Some(key)) = (self.lease, self.written.clone())
            && let Err(failure) = self.remove(key).await
        {
            return Err(self.told(&failure));
        }
        // With a lease goes whatever else may have been written with it.
        let leases: Vec<i64> = self.past.iter().copied().chain(self.lease.map(|lease| lease.id)).collect();
        for lease in leases {
            let revoke =
                |mut session: Session| async move { Ok(session.lease.revoke(lease).await.map(drop)?) };
            match self.ask(revoke).await {
                Err(failure) if failure.kind != Kind::NoLease => return Err(self.told(&failure)),
                _ => {}
            }
        }
        self.forget_lease();
        self.past.clear();
        self.written = None;
        Ok(())
    }
}

/// Failures after which the connection is not asked again.
const fn is_of_the_connection(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Token | Kind::Denied | Kind::Credentials | Kind::NoLeader | Kind::Unreachable | Kind::Timeout
    )
}

fn endpoint(record: &Record) -> Result<Endpoint, String> {
    let definition = &record.definition;
    let host = host::parse_server(record.host()).map_err(|error| error.to_string())?;
    let mut metadata = definition.metadata.clone();
    if !definition.tags.is_empty() {
        metadata.entry("tags".to_owned()).or_insert_with(|| definition.tags.join(","));
    }
    Ok(Endpoint {
        weight: definition.weight,
        priority: definition.priority,
        zone: definition.zone.clone(),
        region: definition.region.clone(),
        condition: if record.draining { Condition::Draining } else { Condition::Ready },
        metadata,
        ..Endpoint::new(vec![Address::from_host(host, definition.port)])
    })
}

/// Gives a sign of life over the stream that there is, or a new one. Says whether the lease is known.
async fn give_sign(session: Session, beats: Option<Beats>, lease: i64) -> Result<(Beats, bool), Failure> {
    let Some((mut keeper, mut stream)) = beats else {
        let mut leases = session.lease;
        // Its first answer has come by then.
        return Ok((leases.keep_alive(lease).await?, true));
    };
    keeper.keep_alive().await?;
    let closed = || Failure::new(Kind::Unreachable, "the server closed the stream of signs of life");
    let answer = stream.message().await?.ok_or_else(closed)?;
    Ok(((keeper, stream), answer.ttl() > 0))
}

async fn read(mut session: Session, key: String) -> Result<Option<KeyValue>, Failure> {
    let answer = session.kv.get(key, Some(GetOptions::new())).await?;
    Ok(answer.kvs().first().cloned())
}

/// Writes the key on condition that nobody else's record is overwritten.
async fn write(session: Session, claim: Claim, lease: i64) -> Result<(), Failure> {
    for _ in 0..RACES {
        let found = read(session.clone(), claim.key.clone()).await?;
        let condition = condition(&claim, lease, found.as_ref())?;
        let value =
            TxnOp::put(claim.key.clone(), claim.value.clone(), Some(PutOptions::new().with_lease(lease)));
        let answer = session.kv.clone().txn(Txn::new().when([condition]).and_then([value])).await?;
        if answer.succeeded() {
            return Ok(());
        }
    }
    Err(Failure::new(Kind::Held, format!("{}: others write the same key again and again", claim.key)))
}

fn condition(claim: &Claim, lease: i64, found: Option<&KeyValue>) -> Result<Compare, Failure> {
    let key = claim.key.clone();
    let Some(found) = found else { return Ok(Compare::create_revision(key, CompareOp::Equal, 0)) };
    if found.lease() == lease || claim.past.contains(&found.lease()) {
        return Ok(Compare::lease(key, CompareOp::Equal, found.lease()));
    }
    let other = decode(&claim.key, found.value()).ok().flatten();
    let is_our_address = other.as_ref().is_some_and(|other| other.addresses == claim.endpoint.addresses);
    if claim.may_inherit && is_our_address {
        return Ok(Compare::mod_revision(key, CompareOp::Equal, found.mod_revision()));
    }
    let other = other.map_or_else(|| "no record".to_owned(), |other| other.to_string());
    let text = format!("{key} belongs to another owner (lease {:x}): {other}", found.lease());
    Err(Failure::new(Kind::Held, text))
}

#[cfg(test)]
#[path = "etcd_tests.rs"]
mod with_etcd;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str, name: &str) -> String {
        target_of(target, name).unwrap().uri.path
    }

    #[test]
    fn the_path_is_the_service_or_what_stands_before_it() {
        for (target, expected) in [
            ("etcd:///", "user"),
            ("etcd:///user", "user"),
            ("etcd:///user/", "user"),
            ("etcd:///team", "team/user"),
            ("etcd:////team/user?format=services", "/team/user"),
            ("etcd://127.0.0.1:1", "user"),
            ("ETCD:///services", "services/user"),
        ] {
            assert_eq!(path(target, "user"), expected, "{target}");
        }
        assert!(target_of("consul:///", "user").is_err());
        assert!(target_of("etcd:///?format=x", "user").is_err());
    }
}
