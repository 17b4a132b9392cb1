//! Asks every endpoint of a set again and again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tonic_health::pb::health_check_response::ServingStatus;

use super::check::{Checker, Said};
use super::options::{ProbeError, ProbeKind, ProbeOptions};
use super::tally::{Tally, Verdict};
use crate::dice::Dice;
use crate::model::{Address, Endpoint};

/// The first check of an endpoint is made after this at the latest.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

/// Checks the endpoints of one set for as long as it lives; dropping it ends all checks.
///
/// Belongs to a tokio runtime with time and network: it must be made and used inside one.
#[derive(Debug)]
pub struct Prober {
    checker: Arc<Checker>,
    slots: Arc<Semaphore>,
    dice: Dice,
    tasks: JoinSet<()>,
    said: mpsc::UnboundedSender<(Key, Verdict)>,
    heard: mpsc::UnboundedReceiver<(Key, Verdict)>,
    probed: HashMap<Key, Probed>,
}

/// An endpoint is its set of addresses (gRFC A61).
type Key = Vec<Address>;

#[derive(Debug)]
struct Probed {
    task: AbortHandle,
    verdict: Verdict,
}

impl Prober {
    /// A prober that checks nothing yet. `seed` spreads the checks over time.
    ///
    /// # Errors
    /// An option is out of its range, or a file for TLS cannot be used.
    pub fn new(options: ProbeOptions, seed: u64) -> Result<Self, ProbeError> {
        let slots = Arc::new(Semaphore::new(options.concurrency.min(Semaphore::MAX_PERMITS)));
        let checker = Arc::new(Checker::new(options)?);
        let (said, heard) = mpsc::unbounded_channel();
        let dice = Dice::new(Some(seed));
        Ok(Self { checker, slots, dice, tasks: JoinSet::new(), said, heard, probed: HashMap::new() })
    }

    /// Checks these endpoints from now on, and no others. Those that stay keep their verdicts. One that checks of this kind
    /// cannot ask is not checked, and is healthy (see [`ProbeKind`]).
    pub fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        let mut before = std::mem::take(&mut self.probed);
        for endpoint in endpoints {
            let key = key(endpoint);
            if self.probed.contains_key(&key) || !self.checker.can_ask(&endpoint.addresses) {
                continue;
            }
            let probed = before.remove(&key).unwrap_or_else(|| self.start(key.clone(), endpoint));
            self.probed.insert(key, probed);
        }
        for gone in before.values() {
            gone.task.abort();
        }
        while self.tasks.try_join_next().is_some() {} // What has ended is let go of.
    }

    /// Waits until an endpoint's verdict has changed; those that have changed as well are taken over with it. Cancel-safe.
    pub async fn changed(&mut self) {
        let mut is_news = false;
        while !is_news {
            // The prober holds a sender itself, so that there is always something to wait for.
            let Some(said) = self.heard.recv().await else { return };
            is_news = self.note(said);
            while let Ok(said) = self.heard.try_recv() {
                is_news |= self.note(said);
            }
        }
    }

    /// Whether that concerns an endpoint of the set.
    fn note(&mut self, (key, verdict): (Key, Verdict)) -> bool {
        let probed = self.probed.get_mut(&key);
        probed.map(|probed| probed.verdict = verdict).is_some()
    }

    /// The addresses of each endpoint that is unhealthy now.
    pub fn failing(&self) -> impl Iterator<Item = &[Address]> {
        self.held(Verdict::Unhealthy)
    }

    /// The addresses of each endpoint that has passed a check and is not unhealthy.
    pub fn passing(&self) -> impl Iterator<Item = &[Address]> {
        self.held(Verdict::Healthy)
    }

    fn held(&self, verdict: Verdict) -> impl Iterator<Item = &[Address]> {
        let held = self.probed.iter().filter(move |(_, probed)| probed.verdict == verdict);
        held.map(|(key, _)| key.as_slice())
    }

    fn start(&mut self, key: Key, endpoint: &Endpoint) -> Probed {
        let probe = Probe {
            key,
            addresses: endpoint.addresses.clone(),
            checker: Arc::clone(&self.checker),
            slots: Arc::clone(&self.slots),
            said: self.said.clone(),
            dice: Dice::new(Some(self.dice.roll())),
        };
        Probed { task: self.tasks.spawn(probe.run()), verdict: Verdict::Unproven }
    }
}

fn key(endpoint: &Endpoint) -> Key {
    let mut key = endpoint.addresses.clone();
    key.sort_unstable();
    key.dedup();
    key
}

/// The checks of one endpoint.
struct Probe {
    key: Key,
    addresses: Vec<Address>,
    checker: Arc<Checker>,
    slots: Arc<Semaphore>,
    said: mpsc::UnboundedSender<(Key, Verdict)>,
    dice: Dice,
}

impl Probe {
    async fn run(mut self) {
        let checker = Arc::clone(&self.checker);
        let options = checker.options();
        let mut tally = Tally::new(options.rise, options.fall);
        // Anywhere in that time: half of it, give or take all of that.
        sleep(self.dice.around(options.interval.min(FIRST_WITHIN) / 2, 100)).await;
        loop {
            let passed = match &options.kind {
                ProbeKind::GrpcWatch { service } => self.follow(service, &mut tally).await,
                _ => self.check().await,
            };
            self.tell(tally.count(passed));
            sleep(self.dice.around(options.interval, options.jitter_percent.into())).await;
        }
    }

    async fn check(&self) -> bool {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        self.checker.passes(&self.addresses).await
    }

    /// Believes what the server says for as long as it says anything. How it ended: a broken stream is a failed check.
    async fn follow(&self, service: &str, tally: &mut Tally) -> bool {
        let opened = {
            let _slot = self.slots.acquire().await;
            self.checker.watch(&self.addresses, service).await
        };
        let mut stream = match opened {
            None => return false,
            Some(Said::NoHealthService) => return true,
            Some(Said::Stream(stream)) => stream,
        };
        while let Some(message) = stream.next().await {
            let Ok(answer) = message else {
                return message.is_err_and(|s| s.code() == tonic::Code::Unimplemented);
            };
            let verdict = match answer.status() {
                ServingStatus::Serving => Verdict::Healthy,
                _ => Verdict::Unhealthy,
            };
            self.tell(tally.believe(verdict));
        }
        false
    }

    fn tell(&self, verdict: Option<Verdict>) {
        if let Some(verdict) = verdict {
            // A prober that is gone has no more use for it.
            let _ = self.said.send((self.key.clone(), verdict));
        }
    }
}
