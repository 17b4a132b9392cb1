//! A client under load, and what it says of itself.

use crate::process::Process;
use crate::programs::{Language, Programs};
use serde_json::Value;
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// How many failures are shown.
const SHOWN: usize = 5;
const GLANCE: Duration = Duration::from_millis(50);
const WORKERS: u32 = 4;
/// A client reports four times a second. One that says nothing for so long does not do its work, however busy the machine is.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a client that has fallen silent may take to write where its threads are.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Enough to notice any gap; little enough for a dozen clients on two cores.
fn calls_per_second(language: Language) -> u32 {
    match language {
        Language::Python => 40,
        Language::Cpp => 80,
    }
}

/// One client program on one target.
pub struct Load {
    language: Language,
    process: Process,
    calls: u64,
    failures: Vec<String>,
    /// When it said something.
    heard: Instant,
    /// The channel's latest description of itself.
    channel: Value,
}

impl Load {
    fn start(programs: &Programs, language: Language, target: &str) -> Result<Self, String> {
        let mut command = programs.client(language);
        command.arg(calls_per_second(language).to_string()).arg(WORKERS.to_string()).arg(target);
        let process = Process::start(&format!("the {} client", language.name()), command)?;
        Ok(Self {
            language,
            process,
            calls: 0,
            failures: Vec::new(),
            heard: Instant::now(),
            channel: Value::Null,
        })
    }

    /// Takes in what the client has said since the last time.
    fn look(&mut self) -> Result<(), String> {
        self.process.still_runs()?;
        let lines: Vec<String> = self.process.new_lines().collect();
        if !lines.is_empty() {
            self.heard = Instant::now();
        } else if self.heard.elapsed() > SILENCE {
            return Err(self.silent());
        }
        lines.iter().try_for_each(|line| self.take(line))
    }

    /// What is wrong; the Python client writes before that, on standard error, what each of its threads is at.
    fn silent(&self) -> String {
        if self.language == Language::Python && self.process.signal("USR1").is_ok() {
            thread::sleep(LAST_WORDS);
        }
        format!("the {} client has said nothing for {SILENCE:?}", self.language.name())
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let report = parse(self.language, line)?;
        let servers = report["latencies_us"].as_object().into_iter().flatten();
        self.calls +=
            servers.filter_map(|(_, calls)| calls.as_array()).map(|calls| calls.len() as u64).sum::<u64>();
        self.failures.extend(failures_in(&report));
        self.channel = report["channel"].clone();
        Ok(())
    }

    /// Ends it; an error when one of its last calls failed.
    fn end(self) -> Result<(), String> {
        let lines = self.process.end()?;
        let reports = lines.iter().map(|line| parse(self.language, line));
        let reports: Vec<Value> = reports.collect::<Result<_, _>>()?;
        none_failed(self.language, &reports.iter().flat_map(failures_in).collect::<Vec<_>>())
    }

    /// The addresses in the channel's list.
    pub fn listed(&self) -> BTreeSet<String> {
        self.endpoints(|_| true)
    }

    /// The addresses that take calls.
    pub fn ready(&self) -> BTreeSet<String> {
        self.endpoints(|endpoint| endpoint["state"] == "READY")
    }

    fn endpoints(&self, which: impl Fn(&Value) -> bool) -> BTreeSet<String> {
        let endpoints = self.channel["endpoints"].as_array().into_iter().flatten();
        endpoints
            .filter(|endpoint| which(endpoint))
            .filter_map(|endpoint| endpoint["addresses"][0].as_str().map(str::to_string))
            .collect()
    }

    /// It takes no more calls, and has none.
    pub fn is_idle(&self, address: &str) -> bool {
        let endpoints = self.channel["endpoints"].as_array().into_iter().flatten();
        let mut same = endpoints.filter(|endpoint| endpoint["addresses"][0] == address);
        same.all(|endpoint| endpoint["weight"] == 0 && endpoint["in_flight"] == 0)
    }

    /// How old the list is, in seconds, by the channel's own account.
    pub fn age(&self) -> Option<f64> {
        find(&self.channel["resolution"], "age_seconds").and_then(Value::as_f64)
    }
}

fn parse(language: Language, line: &str) -> Result<Value, String> {
    serde_json::from_str(line)
        .map_err(|error| format!("the {} client said ({error}): {line}", language.name()))
}

fn failures_in(report: &Value) -> Vec<String> {
    report["failures"].as_array().into_iter().flatten().map(Value::to_string).collect()
}

fn none_failed(language: Language, failures: &[String]) -> Result<(), String> {
    if failures.is_empty() {
        return Ok(());
    }
    let some = failures.get(..SHOWN).unwrap_or(failures).join(" ");
    Err(format!("{} calls of the {} client failed: {some}", failures.len(), language.name()))
}

/// The first field of that name, however deep.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => {
            fields.get(name).or_else(|| fields.values().find_map(|field| find(field, name)))
        }
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

/// The C++ and the Python client on the same target.
pub struct Loads {
    loads: Vec<Load>,
}

impl Loads {
    pub fn start(programs: &Programs, target: &str) -> Result<Self, String> {
        let loads = Language::BOTH.iter().map(|language| Load::start(programs, *language, target));
        Ok(Self { loads: loads.collect::<Result<_, _>>()? })
    }

    /// Waits until it holds for both.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Load) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        loop {
            self.look()?;
            if self.loads.iter().all(&holds) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not within {limit:?}: {what}; {}", self.describe()));
            }
            thread::sleep(GLANCE);
        }
    }

    /// Lets it run for so long, while it holds for both all the time.
    pub fn during(
        &mut self,
        what: &str,
        time: Duration,
        holds: impl Fn(&Load) -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.look()?;
            if !self.loads.iter().all(&holds) {
                return Err(format!("no longer: {what}; {}", self.describe()));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Both list exactly these, and all of them take calls.
    pub fn until_ready(&mut self, what: &str, limit: Duration, wanted: &[String]) -> Result<(), String> {
        let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
        self.until(what, limit, |load| load.listed() == wanted && load.ready() == wanted)
    }

    /// How old the younger of the two lists is.
    pub fn age(&self) -> Result<f64, String> {
        let ages: Option<Vec<f64>> = self.loads.iter().map(Load::age).collect();
        let ages = ages.ok_or_else(|| format!("no age in {}", self.describe()))?;
        Ok(ages.into_iter().fold(f64::INFINITY, f64::min))
    }

    /// An error when a call has failed since the last time. Waits until each client has reported calls since then: they do so from time to time.
    pub fn no_failures(&mut self) -> Result<(), String> {
        self.until("every client makes calls", SILENCE, |load| load.calls > 0 || !load.failures.is_empty())?;
        for load in &mut self.loads {
            load.calls = 0;
            none_failed(load.language, &std::mem::take(&mut load.failures))?;
        }
        Ok(())
    }

    /// Forgets failures that had to be.
    pub fn excuse(&mut self) -> Result<(), String> {
        self.look()?;
        self.loads.iter_mut().for_each(|load| load.failures.clear());
        Ok(())
    }

    /// Forgets the failures of calls that were under way when a server died; an error when there are more, which came after them.
    pub fn excuse_calls_under_way(&mut self) -> Result<(), String> {
        self.look()?;
        for load in &mut self.loads {
            let failures = std::mem::take(&mut load.failures);
            if failures.len() > WORKERS as usize {
                none_failed(load.language, &failures)?;
            }
        }
        Ok(())
    }

    /// Ends both; an error when a call has failed since the last time, to the very last one.
    pub fn end(mut self) -> Result<(), String> {
        self.no_failures()?;
        self.loads.into_iter().try_for_each(Load::end)
    }

    fn look(&mut self) -> Result<(), String> {
        self.loads.iter_mut().try_for_each(Load::look)
    }

    fn describe(&self) -> String {
        let one = |load: &Load| {
            format!(
                "{}: lists {:?}, ready {}, {}",
                load.language.name(),
                load.listed().iter().take(8).collect::<Vec<_>>(),
                load.ready().len(),
                load.channel["resolution"]
            )
        };
        self.loads.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_found_however_deep() {
        let value = json!({"a": [{"b": 1}, {"age_seconds": 2.5}]});
        assert_eq!(find(&value, "age_seconds"), Some(&json!(2.5)));
        assert_eq!(find(&value, "c"), None);
    }
}
