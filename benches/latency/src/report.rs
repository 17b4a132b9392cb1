//! The table.

use std::fmt::Write as _;
use std::time::Duration;

/// The window of the default options, milliseconds, and what is allowed beyond it.
const WINDOW_MS: f64 = 100.0;
const BEYOND_MS: f64 = 100.0;

const HEAD: &str = "# Latency of discovery

Written by `cargo xtask latency` on DATE; do not edit. From the moment a write to a registry begins to the first pick that goes to the endpoint that was written:
real servers on loopback, evener's channel with its default options (but that removals are not held), and a transport whose connections are there at once. Both sides and the
registry share one machine.

| registry | what is written | writes | median | 99th percentile | median / window | to reach |
|---|---|---:|---:|---:|---:|---|
";

const FOOT: &str = "
- *A write alone* comes after a quiet time, so nothing is waiting: it is published as it arrives. Writes that follow one another are collected until it is quiet for 100 ms
  (the debounce window), for one second at most: *a write every 50 ms* is never followed by quiet, and waits for that second's
  end, half of it on average. Endpoints that are replaced before they were ever published are not counted.
- Consul: the agent writes to its catalog, and the blocking query hears of that. Of an agent evener asks thirty questions at once and then two a second, however often
  something changes: *alone* is a write every 1.1 s here, and every 0.35 s elsewhere. Kubernetes: the time of the API server's own write, over TLS, is part of it.
- DNS tells nobody of a change. What is shown is the second between two questions, which `?refresh=1s` asks for; by default it is the records' time to live.
";

/// One line of the table.
pub struct Row {
    pub registry: &'static str,
    pub kind: &'static str,
    pub is_watched: bool,
    pub latencies: Vec<Duration>,
}

/// The whole text.
pub fn markdown(rows: &[Row], date: &str) -> String {
    let mut text = HEAD.replace("DATE", date);
    for row in rows {
        let median = percentile(&row.latencies, 50);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.registry,
            row.kind,
            row.latencies.len(),
            shown(median),
            shown(percentile(&row.latencies, 99)),
            ratio(median),
            verdict(row, median)
        );
    }
    text.push_str(FOOT);
    text
}

/// What is to be reached: by registries that are watched, for writes that need not wait for others.
fn verdict(row: &Row, median: Option<f64>) -> String {
    if !row.is_watched || row.kind != "a write alone" {
        return String::new();
    }
    let reached = median.is_some_and(|median| median <= WINDOW_MS + BEYOND_MS);
    let word = if reached { "reached" } else { "missed" };
    format!("median ≤ {:.0} ms: {word}", WINDOW_MS + BEYOND_MS)
}

/// To the debounce window.
fn ratio(milliseconds: Option<f64>) -> String {
    milliseconds.map_or_else(|| "–".to_string(), |milliseconds| format!("{:.2}", milliseconds / WINDOW_MS))
}

fn shown(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "–".to_string(),
        Some(few) if few < 10.0 => format!("{few:.1} ms"),
        Some(many) => format!("{many:.0} ms"),
    }
}

/// By nearest rank, in milliseconds.
fn percentile(latencies: &[Duration], percent: usize) -> Option<f64> {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|latency| latency.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_go_by_nearest_rank() {
        let latencies: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!((percentile(&latencies, 50), percentile(&latencies, 99)), (Some(100.0), Some(198.0)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn only_watched_registries_have_something_to_reach() {
        let row = |is_watched, milliseconds| Row {
            registry: "r",
            kind: "a write alone",
            is_watched,
            latencies: vec![Duration::from_millis(milliseconds)],
        };
        let text = markdown(&[row(true, 4), row(true, 300), row(false, 300)], "2026-01-31");
        assert!(text.contains("on 2026-01-31;"));
        assert!(
            text.contains("| r | a write alone | 1 | 4.0 ms | 4.0 ms | 0.04 | median ≤ 200 ms: reached |")
        );
        assert!(text.contains("| 300 ms | 300 ms | 3.00 | median ≤ 200 ms: missed |"));
        assert!(text.contains("| 300 ms | 300 ms | 3.00 |  |"));
    }
}
