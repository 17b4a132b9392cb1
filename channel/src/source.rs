//! Where a channel's lists come from: what is looked up, what is watched, when to ask, and what to make of an answer.
//!
//! The main target is looked up on the resolver's thread ([`Lookup`]) or watched by discovery's ([`Live`]), or neither,
//! where the list is the target's own or the application's. Until it answers for the first time calls wait, for as long
//! as `initial_timeout` says or until it is plain that waiting is of no use; from then on they fail, or the fallback is
//! used, until the main target does answer. After that the fallback is gone.
//!
//! A service config that has a source of its own is waited for as well: the first list is not used before that source has
//! said something, be it that it cannot be asked, or `initial_timeout` is over. So the first calls obey it already.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evener_discovery::Endpoint;
use serde_json::{Value, json};

use crate::event::Level;
use crate::live::{Ask, Heard, Live, may_pass};
use crate::log::Log;
use crate::lookup::{Answer, Lookup};
use crate::news::News;
use crate::options::UpdateError;
use crate::resolution::Resolution;
use crate::subchannels::check;

/// See the module. Without a lookup and a watch there is nothing to ask.
#[derive(Debug)]
pub(crate) struct Source {
    lookup: Option<Arc<Lookup>>,
    resolution: Resolution,
    pub(crate) live: Live,
    initial_timeout: Duration,
    /// Until when the first answers are waited for.
    main: Patience,
    fallback: Patience,
    config: Patience,
    /// Said in the log already.
    last_failure: String,
    /// Said in the log already.
    last_finding: String,
    /// Why the last answer cannot be used, where that will not change by waiting.
    unusable: Option<UpdateError>,
}

/// How long a first answer is waited for.
#[derive(Debug, Default)]
struct Patience {
    until: Option<Instant>,
    answered: bool,
    /// Waited for in vain; may still answer.
    gave_up: bool,
}

impl Patience {
    fn begin(&mut self, now: Instant, timeout: Duration) {
        self.until = (!timeout.is_zero()).then(|| now.checked_add(timeout)).flatten();
    }

    fn answered(&mut self) {
        *self = Self { answered: true, ..Self::default() };
    }

    /// Gives up where the time is over or waiting is of no use; says whether it did so now.
    fn give_up(&mut self, now: Instant, hopeless: bool) -> bool {
        let over = self.until.is_some_and(|until| until <= now);
        if self.answered || self.gave_up || !(over || hopeless) {
            return false;
        }
        self.gave_up = true;
        self.until = None;
        true
    }
}

impl Source {
    pub(crate) fn new(
        lookup: Option<Lookup>,
        resolution: Resolution,
        live: Live,
        initial_timeout: Duration,
    ) -> Self {
        Self {
            lookup: lookup.map(Arc::new),
            resolution,
            live,
            initial_timeout,
            main: Patience::default(),
            fallback: Patience::default(),
            config: Patience::default(),
            last_failure: String::new(),
            last_finding: String::new(),
            unusable: None,
        }
    }

    /// The channel is used for the first time: ask at once.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.resolution.begin(now);
        self.live.begin();
        if self.lookup.is_some() || self.live.has_main() {
            self.main.begin(now, self.initial_timeout);
        }
        if self.live.has_config() {
            self.config.begin(now, self.initial_timeout);
        }
    }

    /// Whether the first list has to wait for the service config that goes with it.
    pub(crate) const fn awaits_config(&self) -> bool {
        self.live.has_config() && !self.config.answered && !self.config.gave_up
    }

    /// A connection was lost or could not be made: ask again soon.
    pub(crate) fn request(&mut self, now: Instant) {
        self.resolution.request(now);
        self.live.resolve_now();
    }

    /// The lookup, if it is to be run now.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Arc<Lookup>> {
        let lookup = self.lookup.as_ref()?;
        self.resolution.ask(now).then(|| Arc::clone(lookup))
    }

    /// What is to be watched from now on.
    pub(crate) fn asks(&mut self) -> impl Iterator<Item = Ask> {
        self.live.asks()
    }

    /// When to look at it again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let patience = [&self.main, &self.fallback, &self.config].map(|patience| patience.until);
        [self.resolution.deadline()].into_iter().chain(patience).flatten().min()
    }

    /// Never ask again, and take no answer that is still under way.
    pub(crate) fn stop(&mut self) {
        self.resolution.stop();
        self.live.stop();
        self.lookup = None;
        self.unusable = None;
        self.main.answered();
        self.fallback.answered();
    }

    /// Whether an answer is awaited. A channel that was given another list meanwhile does not want it.
    pub(crate) const fn is_asked(&self) -> bool {
        self.resolution.is_asked()
    }

    /// What the watches have to say, and whether time has run out.
    pub(crate) fn hear(&mut self, target: &str, has_list: bool, now: Instant, log: &mut Log) -> News {
        let mut news = News { source_config: self.live.hear_config(), ..News::default() };
        if news.source_config.is_some() {
            self.config.answered();
        }
        if self.config.give_up(now, false) {
            let (name, timeout) = (self.live.config_name().unwrap_or_default(), self.initial_timeout);
            let text =
                format!("service config of {name}: no answer within {timeout:?}; calls go on without it");
            log.note(Level::Warning, text);
        }
        if let Some(heard) = self.live.hear_main() {
            news.moved = true;
            self.hear_main(heard, &mut news, target, has_list, log);
        }
        let hopeless = self.live.main_error().is_some_and(|error| !may_pass(error));
        let failed = hopeless || self.resolution.error().is_some();
        if self.main.give_up(now, failed) {
            news.moved = true;
            self.gave_up(target, now, log);
        }
        if let Some(heard) = self.live.hear_fallback() {
            news.moved = true;
            if let Some(list) = heard.list {
                self.fallback.answered();
                news.list = self.use_list(list, target, log);
            }
        }
        let hopeless = self.live.fallback_error().is_some_and(|error| !may_pass(error));
        news.moved |= self.fallback.give_up(now, hopeless);
        news
    }

    fn hear_main(&mut self, heard: Heard, news: &mut News, target: &str, has_list: bool, log: &mut Log) {
        match heard.error {
            Some(error) => self.say_failure(&error.message, target, has_list || heard.list.is_some(), log),
            None if !self.last_failure.is_empty() && (has_list || heard.list.is_some()) => {
                self.say_recovery(target, log);
            }
            None => {}
        }
        news.resolved_config = heard.config;
        if let Some(list) = heard.list {
            self.main_answered(target, log);
            self.tell_finding(&list, log);
            news.list = self.use_list(list, target, log);
        }
    }

    /// The main target has answered: from now on it alone counts.
    fn main_answered(&mut self, target: &str, log: &mut Log) {
        if self.main.gave_up && self.live.has_fallback() {
            log.note(Level::Info, format!("{target}: answers; the fallback target is left"));
        }
        self.main.answered();
        self.fallback.answered();
        self.live.end_fallback();
    }

    /// Calls would fail from now on. The time of the fallback begins, if there is one.
    fn gave_up(&mut self, target: &str, now: Instant, log: &mut Log) {
        let cause = self.main_error().unwrap_or_default();
        if !self.live.begin_fallback() {
            if self.last_failure.is_empty() {
                log.note(Level::Warning, format!("{target}: {cause}"));
            }
            return;
        }
        self.fallback.begin(now, self.initial_timeout);
        let fallback = self.live.fallback_name().unwrap_or_default();
        log.note(Level::Warning, format!("{target}: {cause}; using the fallback target {fallback}"));
    }

    /// Takes an answer; returns the list in it, if there is one that can be used. `target` is the channel's,
    /// for the log; `has_list` tells whether an earlier list stays where there is none.
    pub(crate) fn take(
        &mut self,
        answer: Answer,
        target: &str,
        has_list: bool,
        now: Instant,
        log: &mut Log,
    ) -> Option<Vec<Endpoint>> {
        match answer {
            Answer::Failed(error) => {
                self.failed(error, target, has_list, now, log);
                None
            }
            Answer::Unchanged => {
                self.succeeded(target, now, log);
                None
            }
            Answer::List(list) => {
                self.succeeded(target, now, log);
                self.main_answered(target, log);
                self.tell_finding(&list, log);
                self.use_list(list, target, log)
            }
        }
    }

    fn succeeded(&mut self, target: &str, now: Instant, log: &mut Log) {
        if self.resolution.succeeded(now).is_some() {
            self.say_recovery(target, log);
        }
    }

    fn failed(&mut self, error: String, target: &str, has_list: bool, now: Instant, log: &mut Log) {
        self.say_failure(&error, target, has_list, log);
        self.resolution.failed(now, error);
    }

    /// Says each failure once, however often it repeats.
    fn say_failure(&mut self, error: &str, target: &str, has_list: bool, log: &mut Log) {
        if error != self.last_failure {
            let kept = if has_list { "; the last list stays" } else { "" };
            log.note(Level::Warning, format!("{target}: {error}{kept}"));
            error.clone_into(&mut self.last_failure);
        }
    }

    fn say_recovery(&mut self, target: &str, log: &mut Log) {
        self.last_failure.clear();
        log.note(Level::Info, format!("{target}: resolves again"));
    }

    fn tell_finding(&mut self, list: &[Endpoint], log: &mut Log) {
        let finding = self.lookup.as_ref().and_then(|lookup| lookup.finding(list));
        let finding = finding.or_else(|| self.live.finding(list)).unwrap_or_default();
        if finding != self.last_finding {
            if !finding.is_empty() {
                log.note(Level::Warning, finding.clone());
            }
            self.last_finding = finding;
        }
    }

    /// A list that cannot be used costs nothing but itself. Without any list before it, calls fail.
    fn use_list(&mut self, list: Vec<Endpoint>, target: &str, log: &mut Log) -> Option<Vec<Endpoint>> {
        let unusable = check(&list).err();
        if let Some(error) = unusable
            && self.unusable != unusable
        {
            log.note(Level::Error, format!("{target}: list refused: {error}"));
        }
        self.unusable = unusable;
        unusable.is_none().then_some(list)
    }

    /// What is wrong with the last answer, or why there is none.
    pub(crate) fn error(&self) -> Option<String> {
        let main = self.main_error();
        let Some(fallback) = self.live.fallback_error().filter(|_| self.main.gave_up) else {
            return main;
        };
        let name = self.live.fallback_name().unwrap_or_default();
        Some(format!("{}; fallback target {name}: {fallback}", main.unwrap_or_default()))
    }

    fn main_error(&self) -> Option<String> {
        let failure = self.resolution.error().map(str::to_owned);
        let failure = failure.or_else(|| self.live.main_error().map(|error| error.message.clone()));
        let failure = failure.or_else(|| Some(self.unusable?.to_string()));
        let timeout = self.initial_timeout;
        failure.or_else(|| self.main.gave_up.then(|| format!("no answer within {timeout:?}")))
    }

    /// Whether there is nothing that calls could wait for.
    pub(crate) fn has_failed(&self) -> bool {
        if self.main.gave_up && self.live.has_fallback() {
            return self.fallback.gave_up;
        }
        self.unusable.is_some() || self.resolution.error().is_some() || self.main.gave_up
    }

    /// What it is, for `describe`.
    pub(crate) fn kind(&self) -> String {
        let kind = self.lookup.as_ref().map(|lookup| lookup.kind()).or_else(|| self.live.kind());
        kind.unwrap_or("list").to_owned()
    }

    /// How each source is doing, for `describe`.
    pub(crate) fn describe(&self, has_list: bool, now: Instant) -> Value {
        let [main, fallback, config] = self.live.describe(now);
        let main = if main.is_null() { self.describe_lookup(has_list, now) } else { main };
        let uses_fallback = self.main.gave_up && self.fallback.answered;
        json!({
            "source": self.kind(),
            "error": self.error(),
            "uses_fallback": uses_fallback,
            "main": main,
            "fallback": fallback,
            "config": config,
        })
    }

    /// A lookup, or the list that never changes, in the words of a watch.
    fn describe_lookup(&self, has_list: bool, now: Instant) -> Value {
        let error = self.main_error();
        let is_fixed = self.lookup.is_none();
        let freshness = match (has_list || is_fixed, &error) {
            (true, None) => "fresh",
            (true, Some(_)) => "stale",
            (false, _) => "unknown",
        };
        let age = self.resolution.answered().map(|at| now.saturating_duration_since(at).as_secs_f64());
        json!({
            "state": if has_list || is_fixed { "known" } else { "unknown" },
            "freshness": freshness,
            "age_seconds": age,
            "revision": null,
            "last_error": error,
        })
    }
}
