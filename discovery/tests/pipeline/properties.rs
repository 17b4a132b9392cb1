//! Random histories of what a source may say, against a plain account of what it said and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evener_discovery::pipeline::{PipelineOptions, Snapshot, State};
use evener_discovery::{Condition, Event, Part};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::world::{World, address_of, endpoint, failure, ms, partly, seconds};

const ENDPOINTS: u32 = 12;

/// Number to record (what follows the address).
type Content = BTreeMap<u32, &'static str>;

#[derive(Clone, Debug)]
enum Step {
    Wait(Duration),
    Reset(BTreeMap<u8, Content>),
    Set(u8, Content),
    /// What a part has become while another one cannot be asked.
    SetWhileFailing(u8, Content),
    Remove(u8),
    Confirm,
    Fail,
}

/// What the source has said of an endpoint, and since when it says so.
#[derive(Clone, Debug)]
struct Word {
    record: Option<&'static str>,
    since: Duration,
    last: &'static str,
    /// For how long, since it is gone, removals were possible.
    open: Duration,
}

/// The account: by its own plain rules, without any of the pipeline's parts.
struct Account {
    options: PipelineOptions,
    world: World,
    parts: BTreeMap<u8, Content>,
    words: BTreeMap<u32, Word>,
    known: bool,
    failing_since: Option<Duration>,
    empty_since: Option<Duration>,
    /// Until when the source last reported nothing.
    empty_until: Option<Duration>,
    /// When it was last read in full.
    read: Option<Duration>,
    looked_at: Duration,
    seen: usize,
}

impl Account {
    fn new(options: PipelineOptions) -> Self {
        Self {
            world: World::new(options.clone()),
            options,
            parts: BTreeMap::new(),
            words: BTreeMap::new(),
            known: false,
            failing_since: None,
            empty_since: None,
            empty_until: None,
            read: None,
            looked_at: Duration::ZERO,
            seen: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        let event = match step {
            Step::Wait(time) => return self.until(self.world.elapsed() + *time),
            Step::Reset(parts) => {
                self.parts.clone_from(parts);
                let parts = parts.iter().map(|(key, content)| part(*key, content)).collect();
                Event::Reset { parts, revision: None }
            }
            Step::Set(key, content) => {
                self.parts.insert(*key, content.clone());
                Event::Apply { changed: vec![part(*key, content)], removed: Vec::new(), revision: None }
            }
            Step::SetWhileFailing(key, content) => {
                self.parts.insert(*key, content.clone());
                partly(Event::Apply {
                    changed: vec![part(*key, content)],
                    removed: Vec::new(),
                    revision: None,
                })
            }
            Step::Remove(key) => {
                self.parts.remove(key);
                Event::Apply { changed: Vec::new(), removed: vec![key.to_string()], revision: None }
            }
            Step::Confirm => Event::Confirmed { revision: None },
            Step::Fail => failure(),
        };
        self.hear(&event);
        self.world.say(event);
        self.look();
    }

    /// Lets time pass, looking whenever the pipeline wakes.
    fn until(&mut self, end: Duration) {
        while let Some(deadline) = self.world.deadline().filter(|deadline| *deadline < end) {
            self.world.until(deadline);
            self.look();
        }
        self.world.until(end);
        self.look();
    }

    fn hear(&mut self, event: &Event) {
        let now = self.world.elapsed();
        let fails = matches!(event, Event::Failed(_) | Event::Partly { .. });
        self.failing_since = fails.then(|| self.failing_since.unwrap_or(now));
        if matches!(event, Event::Reset { .. } | Event::Apply { .. } | Event::Partly { .. }) {
            self.known = true;
        }
        if matches!(event, Event::Reset { .. } | Event::Confirmed { .. }) {
            self.read = Some(now);
        }
        if self.empty_since.is_some() {
            self.empty_until = Some(now);
        }
        let mut said: Content = BTreeMap::new();
        for content in self.parts.values().rev() {
            said.extend(content);
        }
        if self.known {
            self.empty_since = said.is_empty().then(|| self.empty_since.unwrap_or(now));
        }
        for number in 0..ENDPOINTS {
            let record = said.get(&number).copied();
            let word = Word { record, since: now, last: record.unwrap_or_default(), open: Duration::ZERO };
            match self.words.get_mut(&number) {
                Some(known) if known.record != record => {
                    let last = record.unwrap_or(known.last);
                    *known = Word { last, ..word };
                }
                Some(_) => {}
                None => drop(self.words.insert(number, word)),
            }
        }
    }

    /// Whether an empty answer is held.
    fn is_closed(&self, now: Duration) -> bool {
        let Some(since) = self.empty_since.filter(|_| !self.options.empty_hold.is_zero()) else {
            return false;
        };
        self.failing_since.is_some() || now < since + self.options.empty_hold
    }

    fn look(&mut self) {
        let now = self.world.elapsed();
        // Between two looks nothing happens, so that what was closed shortly before now was closed since the last one.
        let closed = self.is_closed(now.saturating_sub(Duration::from_nanos(1)).max(self.looked_at));
        if !closed {
            let passed = now - self.looked_at;
            self.words.values_mut().filter(|word| word.record.is_none()).for_each(|word| word.open += passed);
        }
        self.looked_at = now;
        let published = std::mem::take(&mut self.world.published);
        for index in self.seen..published.len() {
            let before = index.checked_sub(1).and_then(|index| published.get(index));
            self.check_publication(before, &published[index]);
        }
        self.seen = published.len();
        if let Some((_, snapshot)) = published.last() {
            self.check_view(snapshot, now);
        }
        assert_eq!(published.is_empty(), !self.known, "the first answer is published at once");
        self.world.published = published;
    }

    fn check_publication(
        &self,
        before: Option<&(Duration, Snapshot)>,
        (now, snapshot): &(Duration, Snapshot),
    ) {
        let Some((then, before)) = before else { return };
        let (was, is) = (numbers(before), numbers(snapshot));
        let alarming = before.endpoints.iter().any(|endpoint| {
            let after = snapshot.endpoints.iter().find(|other| other.addresses == endpoint.addresses);
            endpoint.condition != Condition::Unhealthy
                && after.is_some_and(|after| after.condition == Condition::Unhealthy)
        });
        assert!(alarming || *now - *then >= self.options.debounce, "{then:?} {now:?}");
        let gone: Vec<u32> = was.difference(&is).copied().collect();
        gone.iter().for_each(|number| self.check_removal(*number, *now));
        self.check_budget(&gone, *now);
        if is.is_empty() {
            assert_eq!(snapshot.state, State::KnownEmpty);
            assert!(self.empty_since.is_some() && !self.is_closed(*now), "empty before its time");
        }
    }

    fn check_removal(&self, number: u32, now: Duration) {
        let word = &self.words[&number];
        assert_eq!(word.record, None, "{number} is reported and lost");
        let gone = now - word.since;
        let announced = is_announced(word.last);
        assert!(announced || self.options.removal_epoch.is_zero() || gone > self.options.removal_epoch);
        // It may have been let go before the set became empty, and published after that.
        let empty = self.empty_since.map_or(Duration::ZERO, |since| now - since);
        let failing = self.failing_since.map_or(Duration::ZERO, |since| now - since);
        let recently = self.options.max_delay;
        assert!(
            !self.is_closed(now)
                || empty <= recently
                || failing <= recently && empty >= self.options.empty_hold
        );
    }

    /// No more leave than the budgets of the epochs in which they may have been let go, but for those that a later read
    /// has confirmed, and those whose leaving was announced.
    fn check_budget(&self, gone: &[u32], now: Duration) {
        let (epoch, delay) = (self.options.removal_epoch, self.options.max_delay);
        let was_empty =
            self.empty_since.is_some() || self.empty_until.is_some_and(|until| now <= until + delay);
        if epoch.is_zero() || was_empty {
            return;
        }
        let confirmed = |word: &Word| self.read.is_some_and(|read| read.saturating_sub(word.since) >= epoch);
        let words = gone.iter().map(|number| &self.words[number]);
        let budgeted = words.filter(|word| !is_announced(word.last) && !confirmed(word)).count();
        let number_of = |time: Duration| time.as_nanos() / epoch.as_nanos();
        let epochs = number_of(now) - number_of(now.saturating_sub(delay)) + 1;
        // Of all endpoints that there are, which is the most that can be in use.
        let share = (ENDPOINTS * u32::from(self.options.max_drop_ratio)).div_ceil(100);
        assert!(budgeted as u128 <= u128::from(share) * epochs, "{budgeted} at {now:?}");
    }

    fn check_view(&self, snapshot: &Snapshot, now: Duration) {
        let view: BTreeMap<u32, String> =
            snapshot.endpoints.iter().map(|endpoint| split(&endpoint.to_string())).collect();
        for (number, word) in &self.words {
            let (seen, since) = (view.get(number), now - word.since);
            match word.record {
                Some(record) if seen.is_none_or(|seen| seen != record) => {
                    assert!(since < self.options.max_delay, "{number} waits for {since:?}");
                    let alarm = record == ";condition=unhealthy" && seen.is_some();
                    assert!(!alarm, "an unhealthy one waits");
                }
                None if seen.is_some() => {
                    assert!(word.open <= self.longest_hold(word.last), "{number} {word:?}")
                }
                _ => {}
            }
        }
    }

    /// How long one that is gone may still be seen, but for times when an empty set is held.
    fn longest_hold(&self, last: &str) -> Duration {
        if is_announced(last) {
            return self.options.max_delay;
        }
        let waves = 100_u32.div_ceil(u32::from(self.options.max_drop_ratio));
        self.options.removal_epoch * (1 + waves) + self.options.max_delay
    }

    /// In the end, when the source can be asked and nothing happens any more, what is published is what it reports.
    fn finish(mut self) {
        self.take(&Step::Confirm);
        if !self.known {
            return assert_eq!(self.world.publications(), 0);
        }
        self.until(self.world.elapsed() + seconds(3600));
        let said = self.words.iter().filter_map(|(number, word)| Some((*number, word.record?.to_owned())));
        let view = self.world.endpoints().iter().map(|endpoint| split(&endpoint.to_string()));
        assert!(said.eq(view));
        assert_eq!(self.world.status().endpoints.held, 0);
        assert_eq!(self.world.pipeline.deadline(), None);
    }
}

fn part(key: u8, content: &Content) -> Part {
    let endpoints = content.iter().map(|(number, record)| endpoint(&format!("{number}{record}"))).collect();
    Part { key: key.to_string(), endpoints }
}

fn is_announced(record: &str) -> bool {
    !matches!(record, "" | ";weight=5")
}

fn split(text: &str) -> (u32, String) {
    let (address, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let number = (0..ENDPOINTS).find(|number| address_of(*number) == address).unwrap();
    (number, rest.to_owned())
}

fn numbers(snapshot: &Snapshot) -> BTreeSet<u32> {
    snapshot.endpoints.iter().map(|endpoint| split(&endpoint.to_string()).0).collect()
}

fn options() -> impl Strategy<Value = PipelineOptions> {
    let holds = prop_oneof![Just(0), Just(3000), Just(30_000)];
    let epochs = prop_oneof![Just(0), Just(1000), Just(10_000)];
    let ratios = prop_oneof![Just(10), Just(34), Just(50), Just(100)];
    let windows = prop_oneof![Just((0, 0)), Just((100, 100)), Just((100, 1000))];
    (holds, epochs, ratios, windows).prop_map(|(hold, epoch, max_drop_ratio, (debounce, max_delay))| {
        PipelineOptions {
            empty_hold: ms(hold),
            removal_epoch: ms(epoch),
            max_drop_ratio,
            debounce: ms(debounce),
            max_delay: ms(max_delay),
            ..PipelineOptions::default()
        }
    })
}

fn content() -> impl Strategy<Value = Content> {
    let record = prop_oneof![
        6 => Just(""),
        2 => Just(";weight=5"),
        1 => Just(";weight=0"),
        1 => Just(";condition=draining"),
        1 => Just(";condition=unhealthy"),
    ];
    prop_oneof![
        1 => Just(Content::new()),
        5 => btree_map(0..ENDPOINTS, record, 0..ENDPOINTS as usize),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..3_u8;
    prop_oneof![
        3 => (0..150_u64).prop_map(|time| Step::Wait(ms(time))),
        3 => (0..15_000_u64).prop_map(|time| Step::Wait(ms(time))),
        1 => prop_oneof![Just(100), Just(1000), Just(10_000), Just(30_000)].prop_map(|time| Step::Wait(ms(time))),
        3 => btree_map(key.clone(), content(), 0..3).prop_map(Step::Reset),
        4 => (key.clone(), content()).prop_map(|(key, content)| Step::Set(key, content)),
        1 => (key.clone(), content()).prop_map(|(key, content)| Step::SetWhileFailing(key, content)),
        2 => key.prop_map(Step::Remove),
        1 => Just(Step::Confirm),
        1 => Just(Step::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// After every event and at every wake: what is reported is there within the window, unhealthy at once; what is not
    /// leaves neither before nor after its time; an empty set is empty only after the hold; and every publication is a
    /// change, in order, a window after the one before.
    #[test]
    fn what_is_published_is_what_is_said_in_its_time(options in options(), steps in vec(step(), 0..60)) {
        let mut account = Account::new(options);
        for step in &steps {
            account.take(step);
        }
        account.finish();
    }
}
