//! Services of Kubernetes by their EndpointSlices: listed, then watched from where the list ended.
//!
//! The state is that of client-go's reflector: a list in pages gives a version; a watch from it tells each change with
//! its version; a watch that breaks off is resumed at the last version heard of, so that nothing is missed and nothing
//! listed again; only where the server no longer has that version (410, as a status or as an event) is listed anew. kube's
//! own `watcher` is not used: it swallows bookmarks, which are what tells that a quiet Service is still watched, and resumes
//! for ever where 410 comes as a status.

mod access;
mod asking;
mod lines;
mod making;
mod program;
mod refusal;
mod slices;

use std::time::Duration;

use futures_util::io::AsyncBufRead;
use kube::api::{ListParams, WatchParams};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::backend::{Feed, Opener};
use crate::event::{ErrorClass, Event, SourceError};
use crate::pipeline::Reconnect;
use crate::record::endpoint_slice::{Slice, WatchLine, decode_line, decode_list};
use crate::runtime::{Dice, WatchOptions};
use crate::target::KubernetesTarget;

use access::{Access, Surroundings};
use asking::{Asked, Unanswered, ask};
use lines::{Lines, whole};
use refusal::Question;
use slices::Slices;

/// How many slices a page of a list has.
const PAGE: u32 = 500;
/// The longest page that is read, in bytes. Slices have at most 1000 endpoints, so that a page of usual ones is far below.
const LONGEST_PAGE: usize = 64 << 20;
/// How long an answer may take to begin, and a page to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a watch lasts at most; servers end them at 300 s.
const WATCH: Duration = Duration::from_secs(290);
/// How long after its time a watch that the server has not ended is given up: the connection is dead.
const OVERTIME: Duration = Duration::from_secs(5);
/// A watch that is resumed and quiet for so long has been accepted.
const ACCEPTED_AFTER: Duration = Duration::from_secs(1);
/// A watch that ends sooner than this has not worked, however politely it ended.
const SHORTEST: Duration = Duration::from_secs(2);
/// A watch that ends sooner than agreed by more than this was ended by a server that is about to go, for all clients at once.
const EARLY: Duration = Duration::from_secs(1);
/// Watches of this length together in which not even a bookmark came may be of a server that has lost its memory.
const SUSPICIOUS: Duration = Duration::from_secs(30);
/// The least time between two looks at whether the watch can be believed.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);
/// How long a look is put off at most: whoever has the same reason for it must not look in step.
const LOOK_SPREAD: Duration = Duration::from_secs(1);
/// What the pause is at least, and at most, that a server gets which asks for one.
const ASKED_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The backend of a `kubernetes:` target.
pub fn open(target: &KubernetesTarget, options: &WatchOptions) -> Result<Opener, SourceError> {
    if let Some(tls) = &options.credentials.tls {
        tls.check()?;
    }
    Ok(open_in(target, options, Surroundings::new()))
}

fn open_in(target: &KubernetesTarget, options: &WatchOptions, surroundings: Surroundings) -> Opener {
    let watch = Watch {
        service: target.service.clone(),
        access: Access::new(target, &options.credentials, surroundings),
        slices: Slices::new(target.port.clone(), target.family),
        length: target.watch_timeout.unwrap_or(WATCH),
        version: None,
        asked: None,
        is_stale: false,
        listed: None,
        looked: None,
        look_at: None,
        quiet: Duration::ZERO,
        asked_pause: Duration::ZERO,
        reconnect: Reconnect::default(),
        dice: Dice::new(options.seed),
    };
    Box::new(move |feed| Box::pin(watch.run(feed)))
}

struct Watch {
    service: String,
    access: Access,
    slices: Slices,
    length: Duration,
    /// The version up to which everything was heard; `None` before the first list and after it was lost.
    version: Option<String>,
    /// The server and the namespace that were asked last.
    asked: Option<(String, String)>,
    /// Whether the last thing that was said is that nobody can be asked.
    is_stale: bool,
    /// When everything was listed last, and when somebody's doubt was last looked into.
    listed: Option<Instant>,
    looked: Option<Instant>,
    /// When somebody's doubt is to be looked into, if there is one.
    look_at: Option<Instant>,
    /// How long the last watches have lasted in which nothing at all was heard.
    quiet: Duration,
    /// How long the server wants to be left alone.
    asked_pause: Duration,
    reconnect: Reconnect,
    dice: Dice,
}

/// Why a watch ended.
enum Ended {
    /// Its time was over, or a list has taken its place: the next one goes on at the version that is known.
    Resume,
    /// The version that is known is of no use any more.
    Relist,
}

/// What happened while the watch was waited for.
enum Heard {
    Line(String),
    End,
    Quiet,
    Doubt,
}

impl Watch {
    async fn run(mut self, feed: Feed) -> SourceError {
        loop {
            match self.cycle(&feed).await {
                Ok(Ended::Resume) => {}
                Ok(Ended::Relist) => {
                    self.version = None;
                    // A version that is too old as soon as it is listed must not become a storm.
                    if self.listed.is_some_and(|listed| listed.elapsed() < SHORTEST) {
                        self.pause().await;
                    }
                }
                Err(error) => {
                    self.is_stale = true;
                    if error.class == ErrorClass::Denied {
                        self.access.distrust();
                    }
                    feed.send(Event::Failed(error));
                    self.pause().await;
                }
            }
        }
    }

    async fn pause(&mut self) {
        let own = self.reconnect.next(std::time::Instant::now(), self.dice.roll());
        sleep(own.max(std::mem::take(&mut self.asked_pause))).await;
    }

    /// Lists where nothing is known, then watches until that ends.
    async fn cycle(&mut self, feed: &Feed) -> Result<Ended, SourceError> {
        self.access.refresh().await?;
        let asked = (self.access.server().to_owned(), self.access.namespace().to_owned());
        if self.asked.replace(asked.clone()).is_some_and(|before| before != asked) {
            // Another cluster or namespace, by a change of the kubeconfig: versions mean nothing there.
            self.version = None;
        }
        let version = match self.version.take() {
            Some(version) => version,
            None => {
                let (slices, version) = self.list().await?;
                self.listed = Some(Instant::now());
                (self.look_at, self.quiet) = (None, Duration::ZERO);
                let events = self.slices.reset(&slices, &version);
                self.say(events, feed);
                version
            }
        };
        self.version = Some(version.clone());
        self.watch(&version, feed).await
    }

    /// All slices, page by page, and the version they are of.
    async fn list(&mut self) -> Result<(Vec<Slice>, String), SourceError> {
        let mut slices = Vec::new();
        let mut next = None;
        let mut is_anew = false;
        loop {
            let begins = next.is_none();
            let parameters = ListParams { limit: Some(PAGE), continue_token: next, ..self.selection() };
            let page = match self.page(&parameters).await {
                // The list that this would be the next page of is too old: begin again, once.
                Err(error) if error.class == ErrorClass::Expired && !begins && !is_anew => {
                    (slices, next, is_anew) = (Vec::new(), None, true);
                    continue;
                }
                page => page?,
            };
            let page =
                decode_list(&page).map_err(|reason| self.question().error(ErrorClass::Protocol, &reason))?;
            slices.extend(page.items);
            next = page.metadata.continue_token;
            if next.is_some() {
                continue;
            }
            let version = page.metadata.resource_version.ok_or_else(|| {
                self.question().error(ErrorClass::Protocol, "lists without a resourceVersion")
            })?;
            return Ok((slices, version));
        }
    }

    async fn page(&mut self, parameters: &ListParams) -> Result<String, SourceError> {
        let answer = timeout(PATIENCE, async {
            let page = self.ask(Asked::List(parameters)).await?;
            whole(page, LONGEST_PAGE).await.map_err(|error| self.broken("the list", &error))
        });
        answer.await.unwrap_or_else(|_| Err(self.silent()))
    }

    /// Asks with the credentials as they are now.
    async fn ask(&mut self, what: Asked<'_>) -> Result<impl AsyncBufRead + Unpin + use<>, SourceError> {
        let authorization = self.access.authorization()?;
        let (client, path) = self.access.client()?;
        let answer = ask(&client, &path, what, authorization).await;
        answer.map(Box::pin).map_err(|error| self.unanswered(&error))
    }

    fn selection(&self) -> ListParams {
        ListParams::default().labels(&format!("kubernetes.io/service-name={}", self.service))
    }

    /// Watches from a version on.
    async fn watch(&mut self, version: &str, feed: &Feed) -> Result<Ended, SourceError> {
        // Between 90 and 100 % of its length, so that clients do not come back in step.
        let length = self.dice.around(self.length.mul_f64(0.95), 5).max(Duration::from_secs(1));
        let began = Instant::now();
        let agreed = Duration::from_secs(length.as_secs());
        let lines = match self.start_watch(version, agreed).await {
            Err(error) if error.class == ErrorClass::Expired => return Ok(Ended::Relist),
            lines => lines?,
        };
        let opened = Instant::now();
        self.reconnect.connected(opened.into_std());
        let mut lines = Lines::new(lines);
        let (mut heard_any, mut is_accepted) = (false, false);
        loop {
            let quiet_at = if is_accepted { began + length + OVERTIME } else { opened + ACCEPTED_AFTER };
            let heard = tokio::select! {
                biased;
                line = timeout_at(quiet_at, lines.next()) => self.heard(line)?,
                () = self.doubted(feed) => Heard::Doubt,
            };
            match heard {
                Heard::Line(line) => {
                    (heard_any, is_accepted) = (true, true);
                    if let Some(ended) = self.take(&line, feed)? {
                        return Ok(ended);
                    }
                }
                Heard::Quiet if is_accepted => return Err(self.silent()),
                Heard::Quiet => {
                    is_accepted = true;
                    self.confirm_if_stale(feed);
                }
                Heard::Doubt => {
                    if self.look_again(feed).await? {
                        return Ok(Ended::Resume);
                    }
                }
                Heard::End if began.elapsed() < SHORTEST => {
                    return Err(self.question().error(ErrorClass::Unreachable, "ended the watch at once"));
                }
                Heard::End => {
                    let lasted = began.elapsed();
                    if lasted + EARLY < agreed {
                        self.pause().await;
                    }
                    self.quiet = if heard_any { Duration::ZERO } else { self.quiet + lasted };
                    return Ok(if self.quiet >= SUSPICIOUS { Ended::Relist } else { Ended::Resume });
                }
            }
        }
    }

    async fn start_watch(
        &mut self,
        version: &str,
        length: Duration,
    ) -> Result<impl AsyncBufRead + Unpin + use<>, SourceError> {
        let seconds = u32::try_from(length.as_secs()).unwrap_or(1);
        let label_selector = self.selection().label_selector;
        let parameters =
            WatchParams { label_selector, bookmarks: true, timeout: Some(seconds), ..WatchParams::default() };
        match timeout(PATIENCE, self.ask(Asked::Watch(&parameters, version))).await {
            Ok(answer) => answer,
            Err(_) => Err(self.silent()),
        }
    }

    /// What the stream brought.
    fn heard(
        &self,
        line: Result<std::io::Result<Option<String>>, tokio::time::error::Elapsed>,
    ) -> Result<Heard, SourceError> {
        match line {
            Ok(Ok(Some(line))) => Ok(Heard::Line(line)),
            Ok(Ok(None)) => Ok(Heard::End),
            Ok(Err(error)) => Err(self.broken("the watch", &error)),
            Err(_) => Ok(Heard::Quiet),
        }
    }

    /// Takes one line of the watch over; some end it.
    fn take(&mut self, line: &str, feed: &Feed) -> Result<Option<Ended>, SourceError> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let known = |version: Option<String>, before: &Option<String>| {
            version.or_else(|| before.clone()).unwrap_or_default()
        };
        let (version, events) = match decode_line(line) {
            Ok(WatchLine::Applied(slice)) => {
                let version = known(slice.metadata.resource_version.clone(), &self.version);
                (version.clone(), self.slices.apply(&slice, &version))
            }
            Ok(WatchLine::Deleted(gone)) => {
                let version = known(gone.resource_version, &self.version);
                (version.clone(), self.slices.delete(&gone.name, &version))
            }
            Ok(WatchLine::Bookmark(version)) => {
                (version.clone(), vec![Event::Confirmed { revision: Some(version) }])
            }
            Ok(WatchLine::Error { code: 410, .. }) => return Ok(Some(Ended::Relist)),
            Ok(WatchLine::Error { code, message }) => return Err(self.refused(code, &message)),
            Err(example) => {
                feed.send(Event::Skipped { count: 1, example });
                return Ok(None);
            }
        };
        self.version = Some(version);
        self.say(events, feed);
        Ok(None)
    }

    /// Hands on what has become known. Where nobody can connect for want of a port nothing of it is known, and that is
    /// told instead.
    fn say(&mut self, events: Vec<Event>, feed: &Feed) {
        let failure = self.slices.without_port().map(|reason| self.without_port(reason));
        self.is_stale = failure.is_some();
        let is_told = |event: &Event| !self.is_stale || matches!(event, Event::Skipped { .. });
        events.into_iter().filter(is_told).for_each(|event| feed.send(event));
        if let Some(error) = failure {
            feed.send(Event::Failed(error));
        }
    }

    /// A watch that goes on after a failure has missed nothing.
    fn confirm_if_stale(&mut self, feed: &Feed) {
        if self.is_stale {
            self.say(vec![Event::Confirmed { revision: self.version.clone() }], feed);
        }
    }

    /// Waits until somebody doubts what is known and it is time to look into it. What is dropped before that is not
    /// forgotten.
    async fn doubted(&mut self, feed: &Feed) {
        let at = match self.look_at {
            Some(at) => at,
            None => {
                feed.hinted().await;
                let now = Instant::now();
                let allowed = self.looked.map_or(now, |looked| now.max(looked + BETWEEN_LOOKS));
                *self.look_at.insert(allowed + self.dice.around(LOOK_SPREAD / 2, 100))
            }
        };
        sleep_until(at).await;
    }

    /// Somebody doubts what is known: lists beside the watch. Says whether the watch had missed something, and what
    /// was listed has taken its place.
    async fn look_again(&mut self, feed: &Feed) -> Result<bool, SourceError> {
        (self.look_at, self.looked) = (None, Some(Instant::now()));
        self.access.refresh().await?;
        let (slices, version) = match self.list().await {
            // Nothing is wrong with the watch. It goes on, and so does the doubt.
            Err(error) if error.class == ErrorClass::RateLimited => {
                let pause = std::mem::take(&mut self.asked_pause).max(BETWEEN_LOOKS);
                let spread = self.dice.around(LOOK_SPREAD / 2, 100);
                self.look_at = Some(Instant::now() + pause + spread);
                return Ok(false);
            }
            listed => listed?,
        };
        if self.slices.agree_with(&slices) {
            self.say(vec![Event::Confirmed { revision: Some(version) }], feed);
            return Ok(false);
        }
        let events = self.slices.reset(&slices, &version);
        self.say(events, feed);
        self.version = Some(version);
        Ok(true)
    }

    /// The meaning of what came instead of an answer, and the pause that the server asks for with it.
    fn unanswered(&mut self, error: &Unanswered) -> SourceError {
        match error {
            Unanswered::Unfit(why) => {
                self.question().error(ErrorClass::Config, &format!("cannot be asked: {why}"))
            }
            Unanswered::UnfitToken => self
                .question()
                .error(ErrorClass::Denied, "cannot be asked: the token holds what no header may hold"),
            Unanswered::Failed(error) => self.question().failed(error),
            Unanswered::Refused { code, message, retry_after } => {
                let error = self.question().refused(*code, message);
                self.must_pause(&error, *retry_after);
                error
            }
        }
    }

    fn refused(&mut self, code: u16, message: &str) -> SourceError {
        let error = self.question().refused(code, message);
        self.must_pause(&error, Duration::ZERO);
        error
    }

    fn must_pause(&mut self, error: &SourceError, asked: Duration) {
        let (least, most) = ASKED_PAUSE;
        let is_limited = error.class == ErrorClass::RateLimited;
        self.asked_pause = asked.max(if is_limited { least } else { Duration::ZERO }).min(most);
    }

    /// The meaning of a stream that cannot be read on.
    fn broken(&self, what: &str, error: &std::io::Error) -> SourceError {
        let (class, how) = match error.kind() {
            std::io::ErrorKind::InvalidData => (ErrorClass::Protocol, "cannot be understood"),
            _ => (ErrorClass::Unreachable, "broke off"),
        };
        self.question().error(class, &format!("{what} {how}: {error}"))
    }

    fn question(&self) -> Question<'_> {
        let (server, namespace) = (self.access.server(), self.access.namespace());
        Question { server, namespace, service: &self.service, trouble: self.access.trouble() }
    }

    fn silent(&self) -> SourceError {
        self.question().error(ErrorClass::Timeout, "does not answer")
    }

    fn without_port(&self, reason: &str) -> SourceError {
        let (service, namespace) = (&self.service, self.access.namespace());
        let what = format!(
            "has endpoints, but nobody can connect to them: {reason}. A target chooses the port by its name, \
             kubernetes:///{service}.{namespace}:NAME, or by its number"
        );
        self.question().error(ErrorClass::Config, &what)
    }
}

#[cfg(test)]
mod tests;
