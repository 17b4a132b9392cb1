//! One stream of etcd's `Watch`: what it says, and whether it still lives.
//!
//! Responses are not asked for in fragments, so each holds whole revisions, and all changes of a transaction in one
//! range come in one of them.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use etcd_client::{GetOptions, KvClient, WatchClient, WatchOptions, WatchResponse, WatchStream};
use tokio::time::{Instant, sleep_until, timeout};

use super::connect::{Connector, FILES, Session};
use super::failure::{Failure, Kind};
use super::list::{Range, may_read};
use super::sink::{Change, Sink};
use crate::runtime::Dice;

/// A stream that says nothing for so long is asked how far it is. etcd itself tells every 10 minutes.
const IDLE: Duration = Duration::from_secs(30);
/// It has this long to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The least time between two questions that hints give rise to. Each may cost etcd a read that all members agree on, and a
/// fleet whose servers refuse connections gives a hint for every one of them.
const HINTS: Duration = Duration::from_secs(5);
/// The id of an answer to all watches of a stream.
const EVERY_WATCH: i64 = -1;

/// What one response says.
pub(crate) struct Batch {
    /// Which cluster says it, if that was heard.
    pub cluster: Option<u64>,
    /// Which range, by its index in what was asked for; `None`: all.
    pub range: Option<usize>,
    /// Everything in the range up to this revision has been told.
    pub seen: i64,
    pub changes: Vec<Change>,
    /// All ranges are watched.
    pub is_complete: bool,
    /// The server said so because nothing has changed.
    pub is_confirmation: bool,
}

/// What a stream says next.
pub(crate) enum Next {
    Batch(Batch),
    /// It is time for another connection, which goes on where this one is: the certificates have changed.
    Reconnect,
    /// It is time to read everything again: the user may read what it could not before.
    ReadAgain,
}

/// A stream with one watch per range.
pub(crate) struct Stream {
    stream: WatchStream,
    /// After which revision the watches begin: a server that is not there yet has lost its data.
    known: i64,
    /// The newest revision that the server was heard to be at.
    newest: i64,
    kv: KvClient,
    key: String,
    /// A question for the server's revision that is not answered yet.
    question: Option<Question>,
    /// How many watches stand, of how many.
    standing: usize,
    asked_for: usize,
    /// It has been asked how far it is, and has not answered.
    is_asked: bool,
    deadline: Instant,
    files: Instant,
    /// Ranges that the user may not read.
    denied: Vec<Range>,
    hints: Duration,
    idle: Duration,
    answer: Duration,
    /// Hints wait until then.
    hint_at: Instant,
}

type Question = Pin<Box<dyn Future<Output = Result<i64, Failure>> + Send>>;

/// Watches ranges, each from a revision on. They stand when a [`Batch`] says so. `denied` are those that the user may not
/// read so far.
pub(crate) async fn open(
    session: Session,
    starts: &[(Range, i64)],
    denied: Vec<Range>,
    dice: &mut Dice,
) -> Result<Stream, Failure> {
    let opened = timeout(ANSWER, watches(session.watch, starts)).await;
    let stream = opened.map_err(|_| Failure::timeout("watching", ANSWER))??;
    let known = starts.iter().map(|(_, from)| from - 1).max().unwrap_or(0);
    let now = Instant::now();
    Ok(Stream {
        stream,
        known,
        newest: 0,
        kv: session.kv,
        key: starts.first().map(|(range, _)| range.key.clone()).unwrap_or_default(),
        question: None,
        standing: 0,
        asked_for: starts.len(),
        is_asked: true,
        deadline: now + ANSWER,
        files: now + dice.around(FILES, 10),
        denied,
        hints: HINTS,
        idle: IDLE,
        answer: ANSWER,
        hint_at: now,
    })
}

async fn watches(mut client: WatchClient, starts: &[(Range, i64)]) -> Result<WatchStream, Failure> {
    let mut stream: Option<WatchStream> = None;
    for (id, (range, from)) in (1..).zip(starts) {
        let options = options(range, *from).with_watch_id(id);
        match &mut stream {
            None => stream = Some(client.watch(range.key.clone(), Some(options)).await?),
            Some(stream) => stream.watch(range.key.clone(), Some(options)).await?,
        }
    }
    stream.ok_or_else(|| Failure::new(Kind::Denied, "permission denied: no prefix can be read"))
}

fn options(range: &Range, from: i64) -> WatchOptions {
    let options = WatchOptions::new().with_start_revision(from).with_progress_notify();
    match &range.end {
        Some(end) => options.with_range(end.clone()),
        None => options,
    }
}

impl Stream {
    /// Lets hints have so much time between them.
    #[cfg(test)]
    pub const fn with_hints_every(mut self, interval: Duration) -> Self {
        self.hints = interval;
        self
    }

    /// Lets it say nothing for so long, and be so long about an answer.
    #[cfg(test)]
    pub const fn with_patience(mut self, idle: Duration, answer: Duration) -> Self {
        (self.idle, self.answer) = (idle, answer);
        self
    }

    /// The next thing it says.
    pub async fn next(
        &mut self,
        connector: &Connector,
        sink: &impl Sink,
        dice: &mut Dice,
    ) -> Result<Next, Failure> {
        loop {
            tokio::select! {
                answer = self.stream.message() => {
                    let closed = || Failure::new(Kind::Unreachable, "the server closed the stream");
                    let response = answer?.ok_or_else(closed)?;
                    let batch = self.take(&response)?;
                    if batch.is_complete {
                        self.is_heard(dice);
                    }
                    return Ok(Next::Batch(batch));
                }
                revision = answer_to(&mut self.question) => {
                    self.question = None;
                    if let Some(batch) = self.stands_at(revision?, dice) {
                        return Ok(Next::Batch(batch));
                    }
                }
                () = sleep_until(self.deadline) => self.is_late().await?,
                // A hint that comes too early is kept until it may be followed.
                () = hinted_after(self.hint_at, sink), if !self.is_asked => {
                    // Whoever got the same reason for a hint must not ask in step.
                    self.hint_at = Instant::now() + self.hints + dice.around(self.hints / 10, 100);
                    self.ask().await?;
                }
                () = sleep_until(self.files) => {
                    self.files = Instant::now() + dice.around(FILES, 10);
                    if connector.has_other_files().await {
                        return Ok(Next::Reconnect);
                    }
                    if self.may_read_more().await? {
                        return Ok(Next::ReadAgain);
                    }
                }
            }
        }
    }

    /// Whether the user has been given a right that it did not have.
    async fn may_read_more(&mut self) -> Result<bool, Failure> {
        for range in &self.denied {
            if may_read(&mut self.kv, range).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_late(&mut self) -> Result<(), Failure> {
        if self.is_asked {
            return Err(Failure::timeout("the watch", self.answer));
        }
        self.ask().await
    }

    /// Asks how far it is, which a server that lives answers at once; but (since etcd 3.6) only where something has
    /// been written since the watches began. Until then it is asked for its revision.
    async fn ask(&mut self) -> Result<(), Failure> {
        self.is_asked = true;
        self.deadline = Instant::now() + self.answer;
        if self.newest <= self.known {
            self.question = Some(Box::pin(revision(self.kv.clone(), self.key.clone())));
        }
        Ok(self.stream.request_progress().await?)
    }

    fn is_heard(&mut self, dice: &mut Dice) {
        self.is_asked = false;
        self.question = None;
        self.deadline = Instant::now() + dice.around(self.idle, 10);
    }

    /// Nothing was written since the watches began, so nothing can be missing. Otherwise the watches will say so.
    fn stands_at(&mut self, revision: i64, dice: &mut Dice) -> Option<Batch> {
        self.newest = self.newest.max(revision);
        if revision > self.known {
            return None;
        }
        self.is_heard(dice);
        Some(Batch {
            cluster: None,
            range: None,
            seen: 0,
            changes: Vec::new(),
            is_complete: true,
            is_confirmation: true,
        })
    }

    fn take(&mut self, response: &WatchResponse) -> Result<Batch, Failure> {
        refuse_end(response)?;
        let header =
            response.header().ok_or_else(|| Failure::new(Kind::Protocol, "a watch without a header"))?;
        let range = usize::try_from(response.watch_id() - 1).ok().filter(|&index| index < self.asked_for);
        if response.created() {
            if header.revision() < self.known {
                return Err(Failure::new(
                    Kind::Compacted,
                    "the server knows less than before: its data was lost",
                ));
            }
            self.standing += 1;
        }
        let events = response.events();
        let is_progress = events.is_empty() && !response.created();
        // An answer that was asked for may be ahead of changes that are still to come (etcd before 3.5.8), so it
        // proves life only. What the server tells on its own holds for its watch.
        let seen = match events.iter().filter_map(|event| event.kv()).map(|pair| pair.mod_revision()).max() {
            Some(revision) => revision,
            None if is_progress && response.watch_id() != EVERY_WATCH => header.revision(),
            None => 0,
        };
        self.newest = self.newest.max(header.revision());
        Ok(Batch {
            cluster: Some(header.cluster_id()),
            range,
            seen,
            changes: changes(response),
            is_complete: self.standing == self.asked_for,
            is_confirmation: is_progress,
        })
    }
}

async fn hinted_after(time: Instant, sink: &impl Sink) {
    sleep_until(time).await;
    sink.hinted().await;
}

async fn answer_to(question: &mut Option<Question>) -> Result<i64, Failure> {
    match question {
        Some(question) => question.await,
        None => pending().await,
    }
}

/// The newest revision of the cluster.
async fn revision(mut kv: KvClient, key: String) -> Result<i64, Failure> {
    let answer = kv.get(key, Some(GetOptions::new().with_count_only())).await?;
    Ok(answer.header().map_or(0, |header| header.revision()))
}

/// A watch that ends, with or without a reason, ends the stream.
fn refuse_end(response: &WatchResponse) -> Result<(), Failure> {
    if response.compact_revision() > 0 {
        let text = format!("everything before revision {} was compacted", response.compact_revision());
        return Err(Failure::new(Kind::Compacted, text));
    }
    if !response.canceled() {
        return Ok(());
    }
    match response.cancel_reason() {
        "" => Err(Failure::new(Kind::Protocol, "the server ended the watch")),
        reason => Err(Failure::said(reason)),
    }
}

fn changes(response: &WatchResponse) -> Vec<Change> {
    let pairs = response.events().iter().filter_map(|event| event.kv());
    // A deletion is what sets a key's version to 0.
    let changed = pairs.map(|pair| Change {
        key: pair.key().to_vec(),
        value: (pair.version() > 0).then(|| pair.value().to_vec()),
    });
    changed.collect()
}
