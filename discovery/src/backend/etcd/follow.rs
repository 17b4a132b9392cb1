//! Reads ranges of keys, then watches them from the next revision on, for ever.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::connect::{Connector, Session};
use super::failure::{Failure, Kind};
use super::list::{Listing, Range, list};
use super::sink::Sink;
use super::watch::{self, Batch, Next};
use crate::event::SourceError;
use crate::pipeline::{Reconnect, ReconnectOptions};
use crate::runtime::Dice;

/// What refuses us now is asked again after this time at the soonest: checking a password is costly for etcd.
const REFUSED: Duration = Duration::from_secs(5);
/// A connection that lived this long was a good one: what ends it may be mended at once.
const GOOD: Duration = Duration::from_secs(5);

/// What is read of one range.
struct Followed {
    range: Range,
    /// All changes up to this revision are known.
    seen: i64,
    /// The user was allowed to read it, once.
    is_readable: bool,
}

/// Follows some ranges of keys.
pub(crate) struct Follower<S> {
    connector: Connector,
    followed: Vec<Followed>,
    sink: S,
    reconnect: Reconnect,
    dice: Dice,
    /// The cluster whose revisions `seen` are; `None`: everything is to be read (again).
    cluster: Option<u64>,
    /// Something has been read, ever.
    is_known: bool,
    /// Since when the watch stands.
    connected: Option<Instant>,
    /// What ends the connection may be mended at once, this time.
    may_mend: bool,
    /// Members asked in vain since the last pause.
    tried: usize,
}

impl<S: Sink> Follower<S> {
    pub fn new(connector: Connector, ranges: Vec<Range>, sink: S, dice: Dice) -> Self {
        let followed =
            ranges.into_iter().map(|range| Followed { range, seen: 0, is_readable: false }).collect();
        Self {
            connector,
            followed,
            sink,
            reconnect: Reconnect::new(ReconnectOptions::default()),
            dice,
            cluster: None,
            is_known: false,
            connected: None,
            may_mend: true,
            tried: 0,
        }
    }

    /// As if it had read everything up to a revision.
    #[cfg(test)]
    pub fn has_read(&mut self, cluster: u64, revision: i64) {
        self.cluster = Some(cluster);
        for followed in &mut self.followed {
            (followed.seen, followed.is_readable) = (revision, true);
        }
    }

    /// Never ends: there is nothing that waiting could not mend.
    pub async fn run(mut self) -> SourceError {
        loop {
            if let Err(failure) = self.attempt().await {
                self.recover(&failure).await;
            }
        }
    }

    /// One connection. Ends well when it is to be replaced by one that goes on where it ended.
    async fn attempt(&mut self) -> Result<(), Failure> {
        let session = self.connector.connect(true).await?;
        if self.cluster.is_none() {
            self.read(&session).await?;
        }
        self.watch(session).await
    }

    async fn read(&mut self, session: &Session) -> Result<(), Failure> {
        let ranges: Vec<Range> = self.followed.iter().map(|followed| followed.range.clone()).collect();
        let answer = list(&mut session.kv.clone(), &ranges, false).await;
        let listing = match answer {
            Err(failure) if matches!(failure.kind, Kind::Timeout | Kind::NoLeader) && self.is_desperate() => {
                return Err(self.read_what_is_there(&ranges, failure).await);
            }
            answer => answer?,
        };
        self.judge_denied(&listing)?;
        for followed in &mut self.followed {
            followed.seen = listing.revision;
        }
        self.cluster = Some(listing.cluster);
        self.is_known = true;
        self.sink.reset(listing.entries, listing.revision);
        Ok(())
    }

    /// Nothing was ever read, and no other member is left to ask.
    const fn is_desperate(&self) -> bool {
        !self.is_known && self.tried + 1 >= self.connector.len()
    }

    /// The cluster cannot agree and nothing is known: what one member has, old or not, is better than nothing. It is
    /// told as such by the failure that follows.
    async fn read_what_is_there(&mut self, ranges: &[Range], failure: Failure) -> Failure {
        let Ok(session) = self.connector.connect(false).await else { return failure };
        let Ok(listing) = list(&mut session.kv.clone(), ranges, true).await else { return failure };
        self.is_known = true;
        self.sink.reset(listing.entries, listing.revision);
        let text = format!("{}; what is known was read from one member and may be old", failure.message);
        Failure::new(failure.kind, text)
    }

    /// A prefix that could never be read is left out, and said. One that could be and cannot any more looks like
    /// an empty one and is not.
    fn judge_denied(&mut self, listing: &Listing) -> Result<(), Failure> {
        for (index, followed) in self.followed.iter_mut().enumerate() {
            let is_denied = listing.denied.contains(&index);
            if is_denied && followed.is_readable {
                let text =
                    format!("permission denied for {}, which could be read before", followed.range.key);
                return Err(Failure::new(Kind::Denied, text));
            }
            followed.is_readable |= !is_denied;
            if is_denied {
                self.sink.skipped(format!("{}: the user may not read what is below it", followed.range.key));
            }
        }
        Ok(())
    }

    async fn watch(&mut self, session: Session) -> Result<(), Failure> {
        let readable = self.followed.iter().filter(|followed| followed.is_readable);
        let starts: Vec<(Range, i64)> =
            readable.map(|followed| (followed.range.clone(), followed.seen + 1)).collect();
        let denied = self.followed.iter().filter(|followed| !followed.is_readable);
        let denied = denied.map(|followed| followed.range.clone()).collect();
        let mut stream = watch::open(session, &starts, denied, &mut self.dice).await?;
        loop {
            match stream.next(&self.connector, &self.sink, &mut self.dice).await? {
                Next::Batch(batch) => self.take(batch)?,
                Next::Reconnect => return Ok(()),
                Next::ReadAgain => {
                    self.cluster = None;
                    return Ok(());
                }
            }
        }
    }

    fn take(&mut self, batch: Batch) -> Result<(), Failure> {
        if batch.cluster.is_some() && batch.cluster != self.cluster {
            return Err(Failure::new(Kind::Compacted, "another cluster answers than before"));
        }
        if batch.is_complete && self.connected.is_none() {
            self.stands();
        }
        self.advance(&batch);
        if batch.is_confirmation {
            self.sink.confirmed(self.revision());
        } else if !batch.changes.is_empty() {
            self.sink.apply(batch.changes, self.revision());
        }
        Ok(())
    }

    fn stands(&mut self) {
        let now = Instant::now();
        self.connected = Some(now);
        self.tried = 0;
        self.connector.succeeded();
        self.reconnect.connected(now);
    }

    fn advance(&mut self, batch: &Batch) {
        let Some(index) = batch.range else { return };
        let mut readable = self.followed.iter_mut().filter(|followed| followed.is_readable);
        if let Some(followed) = readable.nth(index) {
            followed.seen = followed.seen.max(batch.seen);
        }
    }

    /// The newest revision that anything is known of.
    fn revision(&self) -> i64 {
        self.followed.iter().map(|followed| followed.seen).max().unwrap_or(0)
    }

    async fn recover(&mut self, failure: &Failure) {
        let now = Instant::now();
        let stood = self.connected.take();
        if stood.is_some() {
            self.reconnect.lost(now);
        }
        self.may_mend |= stood.is_some_and(|since| now.duration_since(since) >= GOOD);
        let goes_on = self.may_mend && failure.may_be_token() && self.connector.has_user();
        if !goes_on {
            // Who answers next may be another member, or the same one with other data, whose revisions may be as
            // high: where we were says nothing any more.
            self.cluster = None;
            self.sink.failed(failure.source_error(self.connector.member()));
        }
        if goes_on || (self.may_mend && failure.kind == Kind::Compacted) {
            self.may_mend = false;
            return;
        }
        self.pause(failure.kind, stood.is_some(), now).await;
    }

    async fn pause(&mut self, kind: Kind, stood: bool, now: Instant) {
        let is_refused = matches!(kind, Kind::Credentials | Kind::Denied | Kind::Config);
        if kind == Kind::Credentials {
            self.connector.refused();
        }
        if !is_refused {
            self.connector.rotate(now);
            self.tried += 1;
            if self.tried < self.connector.len() && !stood {
                return;
            }
            self.tried = 0;
        }
        let pause = self.reconnect.next(now, self.dice.roll());
        sleep(if is_refused { pause.max(REFUSED) } else { pause }).await;
    }
}
