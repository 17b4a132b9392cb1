//! What is known of the show so far: every backend as each client sees it.

use super::outage::Outage;
use super::report::{EndpointState, Failure, ListState, Report};
use crate::programs::Language;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Percentiles are those of this many of the latest calls.
const RECENT: usize = 400;

/// The state of a backend that is not in a client's list.
pub const NOT_LISTED: &str = "not listed";

/// A backend, in the order in which they were started.
#[derive(Clone, Debug)]
pub struct Backend {
    pub name: String,
    pub language: Language,
    pub delay_ms: u32,
    pub address: String,
}

/// One client and what it has seen of each backend, by the backend's number.
pub struct Client {
    pub language: Language,
    pub rows: Vec<Row>,
    pub failures: Vec<Failure>,
    pub list: ListState,
    /// None before the registry is killed.
    pub outage: Option<Outage>,
}

/// A backend in the eyes of a client.
#[derive(Default)]
pub struct Row {
    pub calls: u64,
    /// The calls of settled phases alone: what the share is judged by.
    pub judged: u64,
    /// What an exactly even spread would have given it in those phases.
    pub ideal: f64,
    pub endpoint: Option<EndpointState>,
    recent: VecDeque<u64>,
    /// Failed calls of former stays in the list; the channel counts those of the present one.
    failed_before: u64,
}

/// Backends that went from one state to another, as a client sees them.
struct Change {
    before: String,
    after: String,
    backends: Vec<String>,
}

/// The whole board.
pub struct Board {
    pub backends: Vec<Backend>,
    pub clients: Vec<Client>,
    /// Wall-clock microseconds from a backend's SIGKILL until its process was gone, which takes a moment on a machine that is busy.
    pub death_us: Option<RangeInclusive<u64>>,
    /// How long the registry was away.
    pub away: Option<Duration>,
}

impl Row {
    /// The state as shown: what the channel says, and how the weight or a drain changes it.
    pub fn state(&self) -> String {
        match &self.endpoint {
            None => NOT_LISTED.to_string(),
            Some(endpoint) if endpoint.draining || endpoint.weight == 0 => "draining".to_string(),
            Some(endpoint) => endpoint.state.to_lowercase(),
        }
    }

    /// The calls that failed on it, by the channel's own count.
    pub fn errors(&self) -> u64 {
        self.failed_before + self.endpoint.as_ref().map_or(0, |endpoint| endpoint.failed)
    }

    /// The latency in milliseconds below which `percent` of the recent calls stayed.
    pub fn percentile_ms(&self, percent: usize) -> Option<f64> {
        let mut sorted: Vec<u64> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last * percent).div_ceil(100)).map(|&time| time as f64 / 1000.0)
    }

    /// Takes in how the channel describes it now; None when it is not in the list.
    fn see(&mut self, endpoint: Option<EndpointState>) {
        if endpoint.is_none() {
            self.failed_before = self.errors();
        }
        self.endpoint = endpoint;
    }

    fn add(&mut self, times: &[u64]) {
        self.calls += times.len() as u64;
        self.recent.extend(times);
        let surplus = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..surplus);
    }
}

impl Change {
    fn line(&self, language: Language) -> String {
        format!("{} client: {}: {} -> {}", language.name(), self.backends.join(", "), self.before, self.after)
    }
}

impl Client {
    pub fn calls(&self) -> u64 {
        self.rows.iter().map(|row| row.calls).sum()
    }

    /// The addresses in its list.
    fn listed(&self) -> impl Iterator<Item = String> + '_ {
        self.rows.iter().filter_map(|row| row.endpoint.as_ref()).map(|endpoint| endpoint.address.clone())
    }
}

impl Board {
    pub fn new() -> Self {
        let client = |language| Client {
            language,
            rows: Vec::new(),
            failures: Vec::new(),
            list: ListState::default(),
            outage: None,
        };
        let clients = Language::BOTH.map(client).into();
        Self { backends: Vec::new(), clients, death_us: None, away: None }
    }

    pub fn add_backend(&mut self, backend: Backend) {
        self.backends.push(backend);
        for client in &mut self.clients {
            client.rows.push(Row::default());
        }
    }

    /// Takes a client's report in; the state changes it tells of, one line each.
    pub fn take(&mut self, client: usize, report: Report) -> Vec<String> {
        let Some(client) = self.clients.get_mut(client) else {
            return Vec::new();
        };
        if let Some(outage) = &mut client.outage {
            outage.see(&report);
        }
        client.list = report.list;
        for (server, times) in &report.latencies {
            if let Some(number) = self.backends.iter().position(|backend| backend.name == *server) {
                client.rows[number].add(times);
            }
        }
        client.failures.extend(report.failures);
        let mut changes: Vec<Change> = Vec::new();
        for (backend, row) in self.backends.iter().zip(&mut client.rows) {
            let before = row.state();
            row.see(report.endpoints.iter().find(|endpoint| endpoint.address == backend.address).cloned());
            let after = row.state();
            if before == after {
                continue;
            }
            match changes.iter_mut().find(|change| change.before == before && change.after == after) {
                Some(change) => change.backends.push(backend.name.clone()),
                None => changes.push(Change { before, after, backends: vec![backend.name.clone()] }),
            }
        }
        changes.iter().map(|change| change.line(client.language)).collect()
    }

    /// The registry is gone.
    pub fn begin_outage(&mut self) {
        for client in &mut self.clients {
            client.outage = Some(Outage::begin(client.listed()));
        }
    }

    /// It answers again, after so long.
    pub fn end_outage(&mut self, away: Duration) {
        self.away = Some(away);
        self.clients.iter_mut().filter_map(|client| client.outage.as_mut()).for_each(Outage::end);
    }

    /// The calls each client has had from each backend: where a settled phase begins.
    pub fn counts(&self) -> Vec<Vec<u64>> {
        self.clients.iter().map(|client| client.rows.iter().map(|row| row.calls).collect()).collect()
    }

    /// How even the phase since `before` was, in words.
    pub fn phase_verdict(&self, before: &[Vec<u64>], serving: &[usize]) -> String {
        let words = self.clients.iter().zip(before).map(|(client, before)| {
            let made = |&number: &usize| client.rows[number].calls - before[number];
            let (least, most) = (serving.iter().map(made).min(), serving.iter().map(made).max());
            format!(
                "{} client {} to {} calls each",
                client.language.name(),
                least.unwrap_or(0),
                most.unwrap_or(0)
            )
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Books a settled phase: since `before`, calls should have gone evenly to the backends in `serving`, and nowhere else.
    pub fn book(&mut self, before: &[Vec<u64>], serving: &[usize]) {
        for (client, before) in self.clients.iter_mut().zip(before) {
            let made: Vec<u64> =
                client.rows.iter().zip(before).map(|(row, before)| row.calls - before).collect();
            let even = made.iter().sum::<u64>() as f64 / serving.len().max(1) as f64;
            for (number, (row, made)) in client.rows.iter_mut().zip(made).enumerate() {
                row.judged += made;
                row.ideal += if serving.contains(&number) { even } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let mut board = Board::new();
        for (name, address) in [("a", "127.0.0.1:1"), ("b", "127.0.0.1:2")] {
            let (name, address) = (name.to_string(), address.to_string());
            board.add_backend(Backend { name, language: Language::Cpp, delay_ms: 1, address });
        }
        board
    }

    fn report(line: &str) -> Report {
        Report::parse(line).unwrap()
    }

    #[test]
    fn a_change_of_state_is_told_once() {
        let mut board = board();
        let line = r#"{"channel":{"endpoints":[{"addresses":["127.0.0.1:2"],"state":"READY","weight":1}]}}"#;
        assert_eq!(board.take(0, report(line)), ["Python client: b: not listed -> ready"]);
        assert!(board.take(0, report(line)).is_empty());
    }

    #[test]
    fn weight_zero_is_shown_as_draining() {
        let mut board = board();
        let line = r#"{"channel":{"endpoints":[{"addresses":["127.0.0.1:2"],"state":"READY","weight":0}]}}"#;
        board.take(1, report(line));
        assert_eq!(board.clients[1].rows[1].state(), "draining");
    }

    #[test]
    fn a_phase_is_judged_against_an_even_spread() {
        let mut board = board();
        let before = board.counts();
        board.take(0, report(r#"{"latencies_us":{"a":[1,2,3],"b":[4]}}"#));
        board.book(&before, &[0, 1]);
        let rows = &board.clients[0].rows;
        assert_eq!((rows[0].judged, rows[0].ideal), (3, 2.0));
        assert_eq!((rows[1].judged, rows[1].ideal), (1, 2.0));
    }

    #[test]
    fn percentiles_are_those_of_the_calls_seen() {
        let mut row = Row::default();
        assert_eq!(row.percentile_ms(50), None);
        row.add(&(1..=101).map(|n| n * 1000).collect::<Vec<_>>());
        assert_eq!((row.percentile_ms(50), row.percentile_ms(99)), (Some(51.0), Some(100.0)));
    }
}
