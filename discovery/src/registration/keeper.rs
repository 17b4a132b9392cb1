//! The loop that keeps a registration for ever, written once for all registries.
//!
//! Three clocks run: when to write the record, when to give a sign of life, when to read back what the registry holds.
//! Whatever goes wrong moves one of them and nothing else, so there is no failure after which nothing more is tried.

use std::future::Future;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep_until, timeout};

use super::address::Machine;
use super::desk::{Desk, Wish};
use super::options::{Ready, ReadyProbe, RegistrationOptions};
use super::registrar::{Beat, Finding, Published, Record, Registrar};
use super::{ADVERTISE_ENV, RegistrationState, ServiceDefinition};
use crate::event::{ErrorClass, SourceError};
use crate::pipeline::Reconnect;
use crate::runtime::Dice;

/// From a server that is not ready to the next question.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How long a server's own answer may take.
const READY_PATIENCE: Duration = Duration::from_secs(5);
/// The shortest time between two readings back.
const MIN_VERIFY: Duration = Duration::from_secs(1);
/// The shortest patience with a request.
const MIN_PATIENCE: Duration = Duration::from_millis(500);
/// How long looking for an address may hold up the signs of life, where one that others can use is still missing.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest time between two signs of life.
const MIN_BEAT: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Keeper<R> {
    registrar: R,
    machine: Machine,
    /// As the server gave it.
    asked: ServiceDefinition,
    /// The same with host and id, once they are known.
    definition: ServiceDefinition,
    options: RegistrationOptions,
    desk: std::sync::Arc<Desk>,
    dice: Dice,
    reconnect: Reconnect,
    /// Host and id are known.
    is_complete: bool,
    /// No address was found but the one by which this machine reaches itself.
    is_alone: bool,
    is_ready: bool,
    /// The server was asked whether it is ready, and has not answered.
    probe: Option<Answer>,
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
        machine: Machine,
        definition: ServiceDefinition,
        options: RegistrationOptions,
        desk: std::sync::Arc<Desk>,
    ) -> Self {
        let dice = Dice::new(options.seed);
        Self {
            registrar,
            machine,
            asked: definition.clone(),
            definition,
            options,
            desk,
            dice,
            reconnect: Reconnect::default(),
            is_complete: false,
            is_alone: false,
            is_ready: false,
            probe: None,
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
                continue;
            }
            if self.beat_at.is_some_and(|at| at <= next) {
                self.beat().await;
            } else {
                self.verify().await;
            }
            self.look_again().await;
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
                let result = self.write(&record).await;
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

    /// Puts the record there. One with another id than before takes the place of that one.
    async fn write(&mut self, record: &Record) -> Result<Published, SourceError> {
        if self.held.as_ref().is_some_and(|held| held.record.id() != record.id()) {
            within(self.patience(), self.registrar.withdraw()).await?;
            self.held = None;
        }
        within(self.patience(), self.registrar.publish(record)).await
    }

    /// Finds out under which address and id the server is registered.
    async fn complete(&mut self) -> Result<(), SourceError> {
        let completed = self.machine.complete(self.asked.clone(), self.registrar.registry()).await?;
        // What was complete from the start is told all the same.
        let was_told = mem::replace(&mut self.is_complete, true);
        self.is_alone = completed.is_alone;
        if was_told && completed.definition == self.definition {
            return Ok(());
        }
        self.definition = completed.definition;
        // Whether it can be reached was asked of another address, if of any.
        self.is_ready = false;
        let record = Record { definition: self.definition.clone(), draining: false };
        let remarks = [self.is_alone.then(|| alone(record.host())), self.registrar.remark(&self.definition)];
        let remarks: Vec<String> = remarks.into_iter().flatten().collect();
        let remark = (!remarks.is_empty()).then(|| remarks.join("; "));
        self.desk.with(|status| {
            status.id = Some(record.id().to_owned());
            status.address = Some(record.address());
            status.remark = remark;
        });
        Ok(())
    }

    /// A machine that had no address for others may have one by now.
    async fn look_again(&mut self) {
        if self.is_alone {
            // What cannot be found out now is looked for the next time.
            let _ = timeout(LOOK, self.complete()).await;
        }
    }

    /// What has to be known and true before anything is registered.
    async fn prepare(&mut self) -> Result<(), Unready> {
        if !self.is_complete {
            self.complete().await.map_err(Unready::Failed)?;
        }
        if !self.is_ready {
            let answer = ask(&self.options.ready, &self.definition, &mut self.probe);
            let late = |_| Err(format!("no answer within {READY_PATIENCE:?}"));
            let unready = timeout(READY_PATIENCE, answer).await.unwrap_or_else(late).err();
            if let Some(reason) = unready {
                let text = format!("not ready: {reason}");
                return Err(Unready::Later(SourceError::new(ErrorClass::Unreachable, text)));
            }
            self.is_ready = true;
        }
        Ok(())
    }

    async fn beat(&mut self) {
        let Some(Held { ttl: Some(ttl), known, .. }) = self.held else {
            self.beat_at = None;
            return;
        };
        let expires = known + ttl;
        match within(self.patience(), self.registrar.beat()).await {
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
        let result = within(self.patience(), self.registrar.verify(&held.record)).await;
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

    /// How long a request may take now. Whatever gets no answer leaves half of the time before the record expires to ask
    /// again, maybe somebody else: the signs of life, which wait for each other request to end, would come too late.
    fn patience(&self) -> Duration {
        let patience = self.registrar.patience();
        let Some(Held { ttl: Some(ttl), known, .. }) = self.held else { return patience };
        let left = (known + ttl).saturating_duration_since(Instant::now());
        (left / 2).max(MIN_PATIENCE).min(patience)
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
        self.beat_at = ttl.map(|ttl| now + until_beat(ttl, &mut self.dice));
    }

    fn schedule_verify(&mut self, now: Instant) {
        let interval = self.options.verify_interval.max(MIN_VERIFY);
        self.verify_at = now.checked_add(self.dice.around(interval, 10));
    }
}

/// From one sign of life to the next one, where a registration lives so long without any.
fn until_beat(ttl: Duration, dice: &mut Dice) -> Duration {
    dice.around(ttl / 3, 10).max(MIN_BEAT)
}

fn alone(host: &str) -> String {
    format!(
        "no address of this machine was found that others can use: registered is {host}, which leads them to themselves; \
         say one in the definition or in {ADVERTISE_ENV}"
    )
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

/// What a probe will say; an error where it panics.
type Answer = oneshot::Receiver<Result<(), String>>;

/// Whether the server can take calls. A probe that has not answered yet, in `asked`, is not begun once more.
async fn ask(
    ready: &Ready,
    definition: &ServiceDefinition,
    asked: &mut Option<Answer>,
) -> Result<(), String> {
    match ready {
        Ready::AtOnce => Ok(()),
        Ready::Listening => {
            let host = definition.host.as_deref().unwrap_or_default();
            let connected = TcpStream::connect((host, definition.port)).await;
            connected.map(drop).map_err(|error| format!("{host} port {}: {error}", definition.port))
        }
        Ready::Probe(probe) => {
            let answer = match asked {
                Some(answer) => answer,
                None => asked.insert(begin(probe)?),
            };
            let answer = answer.await;
            *asked = None;
            answer.unwrap_or_else(|_| Err("the probe panicked".to_owned()))
        }
    }
}

/// Asks on a thread of its own: one that blocks for ever must not take away those that the whole process shares, for names
/// and files.
fn begin(probe: &ReadyProbe) -> Result<Answer, String> {
    let (tell, answer) = oneshot::channel();
    let probe = std::sync::Arc::clone(probe);
    let thread = std::thread::Builder::new().name("evener-ready".to_owned());
    // Whoever asked may be gone.
    let begun = thread.spawn(move || drop(tell.send(probe())));
    begun.map(|_| answer).map_err(|error| format!("no thread for the probe: {error}"))
}

/// What has become of a registration whose first state this is.
pub(super) fn is_up(state: &RegistrationState) -> bool {
    matches!(state, RegistrationState::Registered { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_come_in_a_third_of_the_time_to_live_and_not_in_step() {
        let mut dice = Dice::new(Some(1));
        let seconds: Vec<f64> =
            (0..200).map(|_| until_beat(Duration::from_secs(30), &mut dice).as_secs_f64()).collect();
        assert!(seconds.iter().all(|gap| (9.0..=11.0).contains(gap)), "{seconds:?}");
        assert!(seconds.iter().any(|gap| *gap < 9.3) && seconds.iter().any(|gap| *gap > 10.7), "{seconds:?}");
    }
}
