//! One blocking query, asked again for ever.

use std::future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::acl;
use super::api::{Answer, Api, Question, Refusal};
use super::blocking::{Blocking, DEFAULT_WAIT};
use crate::event::{ErrorClass, SourceError};
use crate::pipeline::{Reconnect, ReconnectOptions};
use crate::runtime::Dice;
use crate::target::{ConsulConsistency, ConsulPlace, ConsulTarget};

/// How soon after a question a hint may cause another one.
const HINT_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause that is made because it was asked for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Asks one path for changes: waits as the rules say, survives failures, and hands every answer to its owner, who tells
/// what became of it by [`Poller::settle`] or [`Poller::refuse`].
pub(crate) struct Poller {
    api: Arc<Api>,
    what: String,
    path: String,
    query: Vec<(&'static str, String)>,
    consistency: ConsulConsistency,
    max_stale: Duration,
    has_own_wait: bool,
    /// A status besides 2xx that is an answer.
    also: Option<u16>,
    blocking: Blocking,
    reconnect: Reconnect,
    is_connected: bool,
    dice: Dice,
    asked: Instant,
    pause: Option<Duration>,
    hint: Arc<Notify>,
}

/// An answer, and why it may be too old to be believed where something newer is known.
pub(crate) struct Outcome {
    pub answer: Answer,
    pub doubt: Option<Refusal>,
}

impl Poller {
    /// `what` names the question in messages; `hint` makes it ask at once.
    pub fn new(
        api: Arc<Api>,
        target: &ConsulTarget,
        what: String,
        path: String,
        hint: Arc<Notify>,
        dice: Dice,
    ) -> Self {
        let mut options = ReconnectOptions::default();
        options.cap = target.max_backoff.unwrap_or(options.cap);
        options.splay = options.splay.min(options.cap);
        Self {
            blocking: Blocking::new(target.wait.unwrap_or(DEFAULT_WAIT), target.timeout),
            has_own_wait: target.wait.is_some(),
            consistency: target.consistency,
            max_stale: target.max_stale,
            query: Vec::new(),
            also: None,
            reconnect: Reconnect::new(options),
            is_connected: false,
            asked: Instant::now(),
            pause: None,
            api,
            what,
            path,
            hint,
            dice,
        }
    }

    /// Adds a parameter to every question.
    pub fn with(mut self, key: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (key, value)));
        self
    }

    /// Adds where to look: a datacenter or a peer, the namespace and the partition.
    pub fn at(mut self, place: &ConsulPlace) -> Self {
        match place {
            ConsulPlace::Own => {}
            ConsulPlace::Datacenter(name) => self.query.push(("dc", name.clone())),
            ConsulPlace::Peer(name) => self.query.push(("peer", name.clone())),
        }
        let settings = self.api.settings();
        let (namespace, partition) = (settings.namespace.clone(), settings.partition.clone());
        self.with("ns", namespace).with("partition", partition)
    }

    /// Takes a status that is not 2xx as an answer as well.
    pub const fn or_status(mut self, status: u16) -> Self {
        self.also = Some(status);
        self
    }

    /// The next answer; it may take as long as the wait. After an error it pauses by itself before it asks again.
    pub async fn next(&mut self) -> Result<Outcome, SourceError> {
        let result = self.try_next().await;
        result.map_err(|refusal| self.failed(refusal))
    }

    async fn try_next(&mut self) -> Result<Outcome, Refusal> {
        let pause = self.pause.take().unwrap_or_else(|| self.blocking.pause(Instant::now()));
        sleep(pause).await;
        let answer = loop {
            self.asked = Instant::now();
            let question = self.question(self.consistency);
            tokio::select! {
                answer = self.api.ask(question) => {
                    self.look_for_a_cut(&answer);
                    break self.accept(answer?)?;
                }
                () = Self::hinted(&self.hint, self.blocking.ask().index) => self.blocking.look(),
            }
        };
        if answer.is_proxied && !self.has_own_wait {
            self.blocking.shorten();
        }
        let Some(doubt) = self.doubt(&answer) else { return Ok(Outcome { answer, doubt: None }) };
        let mut doubt = Refusal::from(doubt);
        if self.consistency == ConsulConsistency::Stale {
            // Whoever lags so far behind is not asked: the leader is.
            self.blocking.begin_anew();
            match self.ask_leader().await {
                Ok(answer) => return Ok(Outcome { answer, doubt: None }),
                Err(refusal) => doubt.retry_after = refusal.retry_after,
            }
        }
        Ok(Outcome { answer, doubt: Some(doubt) })
    }

    async fn ask_leader(&self) -> Result<Answer, Refusal> {
        self.accept(self.api.ask(self.question(ConsulConsistency::Leader)).await?)
    }

    /// A proxy that does not say that it is there shows it by cutting a wait off.
    fn look_for_a_cut(&mut self, answer: &Result<Answer, SourceError>) {
        let is_cut = match answer {
            Ok(answer) => matches!(answer.status, 502 | 504),
            Err(error) => error.class == ErrorClass::Unreachable,
        };
        if is_cut && !self.has_own_wait {
            self.blocking.cut(self.asked, Instant::now());
        }
    }

    /// Comes only while a question waits for a change, and not at once.
    async fn hinted(hint: &Notify, index: u64) {
        if index == 0 {
            future::pending::<()>().await;
        }
        sleep(HINT_INTERVAL).await;
        hint.notified().await;
    }

    fn question(&self, consistency: ConsulConsistency) -> Question {
        let ask = self.blocking.ask();
        let mut question = Question::get(self.path.clone());
        question.query = self.query.clone();
        question.timeout = Some(ask.timeout);
        let question = question.with("index", ask.index.to_string());
        let question = question.with("wait", format!("{}ms", ask.wait.as_millis()));
        match consistency {
            ConsulConsistency::Leader => question,
            ConsulConsistency::Stale => question.with("stale", ""),
            ConsulConsistency::Consistent => question.with("consistent", ""),
            ConsulConsistency::Cached => question.with("cached", ""),
        }
    }

    fn accept(&self, answer: Answer) -> Result<Answer, Refusal> {
        if answer.is_success() || self.also == Some(answer.status) {
            self.api.set_accepted();
            Ok(answer)
        } else {
            Err(answer.refusal(&self.what))
        }
    }

    /// Whether an answer is older than it may be.
    fn doubt(&self, answer: &Answer) -> Option<SourceError> {
        let too_old = |age: Option<Duration>| age.is_some_and(|age| age > self.max_stale);
        let text = match self.consistency {
            ConsulConsistency::Stale if !answer.knows_leader => {
                "the server that answers knows of no leader".to_owned()
            }
            ConsulConsistency::Stale if too_old(answer.last_contact) => {
                format!(
                    "the server that answers has not heard of the leader for {:?}",
                    answer.last_contact.unwrap_or_default()
                )
            }
            ConsulConsistency::Cached if too_old(answer.age) => {
                format!(
                    "the agent's cache is {:?} old: it has lost the servers",
                    answer.age.unwrap_or_default()
                )
            }
            _ => return None,
        };
        Some(SourceError::new(ErrorClass::Unreachable, format!("consul: {}: {text}", self.what)))
    }

    /// The answer was understood; `changed` tells whether it is another one than the last.
    pub fn settle(&mut self, answer: &Answer, changed: bool) {
        let now = Instant::now();
        if !self.is_connected {
            self.reconnect.connected(now);
            self.is_connected = true;
        }
        self.blocking.answered(answer.index, changed, self.asked, now);
    }

    /// The next question shall not wait: what the last answer said is to be confirmed.
    pub const fn confirm(&mut self) {
        self.blocking.failed();
    }

    /// The answer cannot be used; the next question comes after a pause.
    pub fn refuse(&mut self, reason: impl Into<Refusal>) -> SourceError {
        self.failed(reason.into())
    }

    /// Whether what an empty answer lacks may be read at all, where the question looks: see [`acl::may_read`].
    ///
    /// # Errors
    /// As there.
    pub async fn may_read(&self, resource: &str, name: &str) -> Result<(), Refusal> {
        acl::may_read(&self.api, resource, name, &self.what, &self.query).await
    }

    fn failed(&mut self, refusal: Refusal) -> SourceError {
        let now = Instant::now();
        self.is_connected = false;
        self.blocking.failed();
        let own = self.reconnect.next(now, self.dice.roll());
        let asked_for = refusal.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.pause = Some(own.max(asked_for));
        let mut error = refusal.error;
        // A target that was right cannot have become wrong: whoever says so may say something else soon.
        if error.class == ErrorClass::Config && self.api.has_accepted() {
            error.class = ErrorClass::Protocol;
        }
        error
    }
}
