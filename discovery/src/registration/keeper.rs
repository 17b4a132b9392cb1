//! The loop that keeps a registration for ever, written once for all registries.
//!
//! Three clocks run: when to write the record, when to give a sign of life, when to read back what the registry holds.
//! Whatever goes wrong moves one of them and nothing else, so there is no failure after which nothing more is tried.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep_until, timeout};

use super::address;
use super::handle::{Desk, Wish};
use super::options::{Ready, RegistrationOptions};
use super::registrar::{Beat, Finding, Record, Registrar};
use super::{RegistrationState, ServiceDefinition};
use crate::event::{ErrorClass, SourceError};
use crate::pipeline::Reconnect;
use crate::runtime::Dice;

/// From a server that is not ready to the next question.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How long a server's own answer may take.
const READY_PATIENCE: Duration = Duration::from_secs(5);
/// The shortest time between two readings back.
const MIN_VERIFY: Duration = Duration::from_secs(1);
/// The shortest patience with a sign of life.
const MIN_PATIENCE: Duration = Duration::from_millis(500);
/// The shortest time between two signs of life.
const MIN_BEAT: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Keeper<R> {
    registrar: R,
    definition: ServiceDefinition,
    options: RegistrationOptions,
    desk: std::sync::Arc<Desk>,
    dice: Dice,
    reconnect: Reconnect,
    /// Host and id are known.
    is_complete: bool,
    is_ready: bool,
    /// What is in the registry, as far as is known.
    held: Option<Held>,
    publish_at: Option<Instant>,
    beat_at: Option<Instant>,
    verify_at: Option<Instant>,
}

struct Held {
    record: Record,
    ttl: Option<Duration>,
    /// When the registry last knew it.
    known: Instant,
}

impl<R: Registrar> Keeper<R> {
    pub(super) fn new(
        registrar: R,
        definition: ServiceDefinition,
        options: RegistrationOptions,
        desk: std::sync::Arc<Desk>,
    ) -> Self {
        let dice = Dice::new(options.seed);
        Self {
            registrar,
            definition,
            options,
            desk,
            dice,
            reconnect: Reconnect::default(),
            is_complete: false,
            is_ready: false,
            held: None,
            publish_at: Some(Instant::now()),
            beat_at: None,
            verify_at: None,
        }
    }

    /// Keeps the registration, for ever. May be dropped at any time and begun again.
    pub(super) async fn serve(&mut self, wishes: &mut watch::Receiver<Wish>) {
        loop {
            let wish = wishes.borrow_and_update().clone();
            let record = self.record(&wish);
            let known = self.held.as_ref().map(|held| &held.record);
            if known.is_some_and(|known| *known != record) && self.publish_at.is_none() {
                self.publish_at = Some(Instant::now());
            }
            let clocks = [self.publish_at, self.beat_at, self.verify_at];
            let Some(next) = clocks.into_iter().flatten().min() else {
                // Nothing to keep alive, and nothing to verify before something changes.
                let _ = wishes.changed().await;
                continue;
            };
            tokio::select! {
                biased;
                changed = wishes.changed() => {
                    if changed.is_err() {
                        sleep_until(next.into()).await;
                    }
                    continue;
                }
                () = sleep_until(next.into()) => {}
            }
            if self.publish_at.is_some_and(|at| at <= next) {
                self.publish(&wish).await;
            } else if self.beat_at.is_some_and(|at| at <= next) {
                self.beat().await;
            } else {
                self.verify().await;
            }
        }
    }

    /// Takes the record away. Says whether that is certain.
    pub(super) async fn withdraw(&mut self, until: Instant) -> bool {
        let mut pause = Duration::from_millis(100);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match within(left.min(self.registrar.patience()), self.registrar.withdraw()).await {
                Ok(()) => return true,
                Err(error) => self.failed(error),
            }
            if Instant::now() + pause >= until {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    fn record(&self, wish: &Wish) -> Record {
        let mut definition = self.definition.clone();
        definition.weight = wish.weight;
        definition.metadata.clone_from(&wish.metadata);
        Record { definition, draining: wish.draining }
    }

    async fn publish(&mut self, wish: &Wish) {
        let result = match self.prepare().await {
            Ok(()) => {
                let record = self.record(wish);
                let result = within(self.registrar.patience(), self.registrar.publish(&record)).await;
                result.map(|published| (record, published))
            }
            Err(Unready::Later(error)) => {
                self.publish_at = Some(Instant::now() + ASK_AGAIN);
                return self.failed(error);
            }
            Err(Unready::Failed(error)) => Err(error),
        };
        let now = Instant::now();
        match result {
            Ok((record, published)) => {
                self.publish_at = None;
                self.reconnect.connected(now);
                self.desk.with(|status| {
                    status.publications += 1;
                    status.last_error = None;
                });
                self.held = Some(Held { record, ttl: published.ttl, known: now });
                self.schedule_beat(now);
                self.schedule_verify(now);
                self.desk.set_registered(now);
            }
            Err(error) => {
                self.publish_at = Some(now + self.reconnect.next(now, self.dice.roll()));
                if self.held.is_none() {
                    self.desk.set_lost(now, &error);
                }
                self.failed(error);
            }
        }
    }

    /// What has to be known and true before anything is registered.
    async fn prepare(&mut self) -> Result<(), Unready> {
        if !self.is_complete {
            let completed = address::complete(self.definition.clone(), self.registrar.registry()).await;
            self.definition = completed.map_err(Unready::Failed)?;
            self.is_complete = true;
            let record = Record { definition: self.definition.clone(), draining: false };
            self.desk.with(|status| {
                status.id = Some(record.id().to_owned());
                status.address = Some(record.address());
            });
        }
        if !self.is_ready {
            let unready = ask(&self.options.ready, &self.definition).await.err();
            if let Some(reason) = unready {
                let text = format!("not ready: {reason}");
                return Err(Unready::Later(SourceError::new(ErrorClass::Unreachable, text)));
            }
            self.is_ready = true;
        }
        Ok(())
    }

    async fn beat(&mut self) {
        let now = Instant::now();
        let Some(Held { ttl: Some(ttl), known, .. }) = self.held else {
            self.beat_at = None;
            return;
        };
        let expires = known + ttl;
        let patience =
            expires.saturating_duration_since(now).max(MIN_PATIENCE).min(self.registrar.patience());
        match within(patience, self.registrar.beat()).await {
            Ok(Beat::Alive) => {
                self.known();
                self.desk.with(|status| status.beats += 1);
            }
            Ok(Beat::Gone) => self.gone("the registry no longer knows the registration"),
            Err(error) => {
                let now = Instant::now();
                if now >= expires {
                    // The registry has dropped it, as far as it is there at all.
                    self.lost(now, &error);
                    self.publish_at = Some(now + self.reconnect.next(now, self.dice.roll()));
                } else {
                    let soon = self.dice.around(ttl / 8, 50).max(MIN_BEAT);
                    self.beat_at = Some((now + soon).min(expires));
                }
                self.failed(error);
            }
        }
    }

    async fn verify(&mut self) {
        let Some(held) = &self.held else {
            self.verify_at = None;
            return;
        };
        let result = within(self.registrar.patience(), self.registrar.verify(&held.record)).await;
        self.schedule_verify(Instant::now());
        match result {
            Ok(Finding::Intact) => {
                if self.publish_at.is_none() {
                    self.desk.with(|status| status.last_error = None);
                }
            }
            Ok(Finding::Damaged(reason)) => self.gone(&reason),
            // Whether it can be reached is for the signs of life to find out.
            Err(error) => self.failed(error),
        }
    }

    /// The registry knows the registration, as of now.
    fn known(&mut self) {
        let now = Instant::now();
        if let Some(held) = &mut self.held {
            held.known = now;
        }
        self.schedule_beat(now);
        if self.publish_at.is_none() {
            self.desk.with(|status| status.last_error = None);
        }
    }

    /// The registry answers, and the registration is not there as it should be: written again at once.
    fn gone(&mut self, reason: &str) {
        let now = Instant::now();
        let error = SourceError::new(ErrorClass::Expired, reason);
        self.lost(now, &error);
        self.publish_at = Some(now);
        self.desk.with(|status| status.repairs += 1);
        self.failed(error);
    }

    fn lost(&mut self, now: Instant, cause: &SourceError) {
        self.held = None;
        self.beat_at = None;
        self.verify_at = None;
        self.desk.set_lost(now, cause);
    }

    fn failed(&self, error: SourceError) {
        self.desk.with(|status| {
            status.errors += 1;
            status.last_error = Some(error);
        });
    }

    fn schedule_beat(&mut self, now: Instant) {
        let ttl = self.held.as_ref().and_then(|held| held.ttl);
        self.beat_at = ttl.map(|ttl| now + self.dice.around(ttl / 3, 10).max(MIN_BEAT));
    }

    fn schedule_verify(&mut self, now: Instant) {
        let interval = self.options.verify_interval.max(MIN_VERIFY);
        self.verify_at = now.checked_add(self.dice.around(interval, 10));
    }
}

/// Why nothing can be registered yet.
enum Unready {
    /// The server is not ready.
    Later(SourceError),
    Failed(SourceError),
}

/// Runs a request with a time limit. A panic in it is an error like others: the registration goes on.
async fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    let guarded = AssertUnwindSafe(request).catch_unwind();
    match timeout(limit, guarded).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(SourceError::new(ErrorClass::Protocol, "the registry's adapter panicked")),
        Err(_) => {
            let text = format!("the registry did not answer within {limit:?}");
            Err(SourceError::new(ErrorClass::Timeout, text))
        }
    }
}

/// Whether the server can take calls.
async fn ask(ready: &Ready, definition: &ServiceDefinition) -> Result<(), String> {
    let answer = async {
        match ready {
            Ready::AtOnce => Ok(()),
            Ready::Listening => {
                let host = definition.host.as_deref().unwrap_or_default();
                let connected = TcpStream::connect((host, definition.port)).await;
                connected.map(drop).map_err(|error| format!("{host} port {}: {error}", definition.port))
            }
            Ready::Probe(probe) => {
                let probe = std::sync::Arc::clone(probe);
                let answer = spawn_blocking(move || probe()).await;
                answer.unwrap_or_else(|_| Err("the probe panicked".to_owned()))
            }
        }
    };
    let late = |_| Err(format!("no answer within {READY_PATIENCE:?}"));
    timeout(READY_PATIENCE, answer).await.unwrap_or_else(late)
}

/// What has become of a registration whose first state this is.
pub(super) fn is_up(state: &RegistrationState) -> bool {
    matches!(state, RegistrationState::Registered { .. })
}
