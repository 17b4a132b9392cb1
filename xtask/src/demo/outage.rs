//! The part without a registry, as a client lives through it.

use super::report::Report;
use std::collections::BTreeSet;

/// What one client did and knew from the registry's SIGKILL on.
#[derive(Debug, Default)]
pub struct Outage {
    /// The addresses in its list when the registry was killed.
    listed: BTreeSet<String>,
    /// The registry answers again.
    is_over: bool,
    /// Calls while the registry was away; until the end of the show, where they failed.
    pub answered: u64,
    pub failed: u64,
    /// How many of the addresses it had were missing from its list at some time.
    pub missed: usize,
    /// The greatest age of its list, in seconds, as far as it knew the registry to be away; 0 where it never did.
    pub oldest: f64,
}

impl Outage {
    /// `listed` is what the client's list holds now.
    pub fn begin(listed: impl Iterator<Item = String>) -> Self {
        Self { listed: listed.collect(), ..Self::default() }
    }

    pub fn see(&mut self, report: &Report) {
        self.failed += report.failures.len() as u64;
        let there: BTreeSet<&String> = report.endpoints.iter().map(|endpoint| &endpoint.address).collect();
        let missing = self.listed.iter().filter(|&address| !there.contains(address)).count();
        self.missed = self.missed.max(missing);
        if !self.is_over {
            self.answered += report.latencies.iter().map(|(_, times)| times.len() as u64).sum::<u64>();
        }
        if report.list.freshness == "stale" {
            self.oldest = self.oldest.max(report.list.age_seconds);
        }
    }

    /// The registry answers again; what happens from now on is judged still.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// How many servers the list held.
    pub fn listed(&self) -> usize {
        self.listed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(line: &str) -> Report {
        Report::parse(line).unwrap()
    }

    #[test]
    fn a_server_that_was_missing_once_is_remembered() {
        let mut outage = Outage::begin(["127.0.0.1:1".to_string(), "127.0.0.1:2".to_string()].into_iter());
        let both =
            r#"{"channel":{"endpoints":[{"addresses":["127.0.0.1:1"]},{"addresses":["127.0.0.1:2"]}]}}"#;
        outage.see(&report(both));
        assert_eq!((outage.listed(), outage.missed), (2, 0));
        outage.see(&report(r#"{"channel":{"endpoints":[{"addresses":["127.0.0.1:2"]}]}}"#));
        outage.see(&report(both));
        assert_eq!(outage.missed, 1);
    }

    #[test]
    fn calls_are_counted_while_the_registry_is_away_and_failures_to_the_end() {
        let mut outage = Outage::default();
        let line = r#"{"latencies_us":{"a":[1,2]},"failures":[{"code":14}]}"#;
        outage.see(&report(line));
        outage.end();
        outage.see(&report(line));
        assert_eq!((outage.answered, outage.failed), (2, 2));
    }

    #[test]
    fn a_list_grows_old_without_its_registry_only() {
        let line = |freshness: &str, age: u32| {
            report(&format!(
                r#"{{"channel":{{"resolution":{{"freshness":"{freshness}","age_seconds":{age}}}}}}}"#
            ))
        };
        let mut outage = Outage::default();
        outage.see(&line("stale", 7));
        outage.see(&line("fresh", 9));
        assert!((6.5..7.5).contains(&outage.oldest), "{}", outage.oldest);
    }
}
