//! A pipeline and its clock, with what holds for every publication checked at each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evener_discovery::pipeline::{Changes, Pipeline, PipelineOptions, Snapshot, Status};
use evener_discovery::{Condition, Endpoint, ErrorClass, Event, Part, SourceError};

pub struct World {
    pub pipeline: Pipeline,
    pub published: Vec<(Duration, Snapshot)>,
    start: Instant,
    now: Instant,
}

pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    pub fn new(options: PipelineOptions) -> Self {
        let start = Instant::now();
        Self { pipeline: Pipeline::new(options, start), published: Vec::new(), start, now: start }
    }

    /// Only epochs delay anything.
    pub fn with_epochs_alone() -> Self {
        Self::new(PipelineOptions { removal_epoch: seconds(10), ..PipelineOptions::immediate() })
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// When the pipeline asks to be woken, as a time since the start.
    pub fn deadline(&self) -> Option<Duration> {
        self.pipeline.deadline().map(|deadline| deadline - self.start)
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass up to so long after the start, waking the pipeline when it asks for it and at no other time.
    pub fn until(&mut self, elapsed: Duration) {
        let end = self.start + elapsed;
        assert!(end >= self.now, "time goes forward");
        while let Some(deadline) = self.pipeline.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.poll();
        }
        self.now = end;
    }

    pub fn wait(&mut self, time: Duration) {
        self.until(self.elapsed() + time);
    }

    pub fn say(&mut self, event: Event) {
        self.pipeline.handle(event, self.now);
        self.poll();
    }

    /// Everything there is, in one part.
    pub fn reset(&mut self, endpoints: &[&str]) {
        self.say(reset(endpoints));
    }

    /// One part's content.
    pub fn apply(&mut self, key: &str, endpoints: &[&str]) {
        self.say(apply(key, endpoints));
    }

    pub fn remove(&mut self, key: &str) {
        self.say(Event::Apply { changed: Vec::new(), removed: vec![key.to_owned()], revision: None });
    }

    pub fn confirm(&mut self) {
        self.say(Event::Confirmed { revision: None });
    }

    pub fn fail(&mut self) {
        self.say(failure());
    }

    pub fn poll(&mut self) {
        while let Some(snapshot) = self.pipeline.poll(self.now) {
            self.check(&snapshot);
            self.published.push((self.elapsed(), snapshot));
        }
        if let Some(deadline) = self.pipeline.deadline() {
            assert!(deadline > self.now, "a deadline that has passed would be polled for ever");
        }
    }

    /// What was published last, in the endpoints' text form.
    pub fn set(&self) -> Vec<String> {
        self.endpoints().iter().map(ToString::to_string).collect()
    }

    pub fn endpoints(&self) -> &[Endpoint] {
        self.published.last().map_or(&[], |(_, snapshot)| &*snapshot.endpoints)
    }

    pub fn last(&self) -> &Snapshot {
        &self.published.last().expect("something has been published").1
    }

    pub fn publications(&self) -> usize {
        self.published.len()
    }

    pub fn status(&self) -> Status {
        self.pipeline.status(self.now)
    }

    /// What holds for every publication: numbered, in order, each endpoint once, and something has changed.
    fn check(&self, snapshot: &Snapshot) {
        let before = self.published.last().map(|(_, snapshot)| snapshot);
        assert_eq!(snapshot.epoch, before.map_or(0, |before| before.epoch) + 1);
        let keys: Vec<_> = snapshot.endpoints.iter().map(identity).collect();
        assert!(keys.is_sorted_by(|one, other| one < other), "in order, each once: {keys:?}");

        let changes = difference(before.map_or(&[], |before| &*before.endpoints), &snapshot.endpoints);
        assert_eq!(snapshot.changes, changes);
        let same_rest = before.is_some_and(|before| {
            before.state == snapshot.state && before.service_config == snapshot.service_config
        });
        assert!(changes != Changes::default() || !same_rest, "nothing has changed: {snapshot:?}");
    }
}

/// What identifies an endpoint: its addresses, in order.
pub fn identity(endpoint: &Endpoint) -> Vec<evener_discovery::Address> {
    let mut addresses = endpoint.addresses.clone();
    addresses.sort();
    addresses.dedup();
    addresses
}

fn difference(before: &[Endpoint], after: &[Endpoint]) -> Changes {
    let before: BTreeMap<_, _> = before.iter().map(|endpoint| (identity(endpoint), endpoint)).collect();
    let after: BTreeMap<_, _> = after.iter().map(|endpoint| (identity(endpoint), endpoint)).collect();
    Changes {
        added: after.keys().filter(|key| !before.contains_key(*key)).count(),
        updated: after
            .iter()
            .filter(|(key, value)| before.get(*key).is_some_and(|was| was != *value))
            .count(),
        removed: before.keys().filter(|key| !after.contains_key(*key)).count(),
    }
}

/// Endpoints in their text form; what is no address is the last part of one: `3` is `10.0.0.3:80`.
pub fn endpoint(text: &str) -> Endpoint {
    let (address, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    match address.parse::<u32>() {
        Ok(number) => format!("{}{rest}", address_of(number)).parse().unwrap(),
        Err(_) => text.parse().unwrap(),
    }
}

pub fn address_of(number: u32) -> String {
    let [_, a, b, c] = number.to_be_bytes();
    format!("10.{a}.{b}.{c}:80")
}

pub fn part(key: &str, endpoints: &[&str]) -> Part {
    Part { key: key.to_owned(), endpoints: endpoints.iter().map(|text| endpoint(text)).collect() }
}

pub fn reset(endpoints: &[&str]) -> Event {
    Event::Reset { parts: vec![part("all", endpoints)], revision: None }
}

pub fn apply(key: &str, endpoints: &[&str]) -> Event {
    Event::Apply { changed: vec![part(key, endpoints)], removed: Vec::new(), revision: None }
}

pub fn failure() -> Event {
    Event::Failed(refused())
}

/// What a part of the source says while another part cannot be asked.
pub fn partly(said: Event) -> Event {
    Event::Partly { said: Box::new(said), error: refused() }
}

fn refused() -> SourceError {
    SourceError::new(ErrorClass::Unreachable, "connection refused")
}

/// `["10.0.0.1:80", ...]` for `[1, ...]`.
pub fn addresses(numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|number| address_of(*number)).collect()
}

pub fn ready(endpoints: &[Endpoint]) -> usize {
    endpoints.iter().filter(|endpoint| endpoint.condition == Condition::Ready && endpoint.weight > 0).count()
}
