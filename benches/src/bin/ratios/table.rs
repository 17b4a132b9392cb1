//! The table.

use crate::SIZES;
use crate::group::Ratio;
use std::fmt::Write;

/// What rows are compared with.
pub mod unit {
    pub const FLOOR: &str = "private counter % n";
    pub const LOCKED_ADD: &str = "locked add";
    pub const RUST_PICK: &str = "`round_robin` from Rust";
    pub const PYTHON_NO_OP: &str = "empty PyO3 method";
    pub const SORT_AND_MERGE: &str = "sort and merge";
}

/// What is to be reached: row, number of endpoints, threads, ratio. What is shared is judged where it is contended.
const TARGETS: [(&str, u32, usize, f64); 8] = [
    ("`round_robin`", 64, 1, 1.25),
    ("`weighted_round_robin` 3:2:1, exact schedule", 64, 1, 2.0),
    ("`weighted_round_robin` 1 to 100, Weyl", 64, 1, 2.0),
    ("`weighted_round_robin` 1000:1:1.., Weyl", 64, 1, 2.0),
    ("`round_robin`, shared cursor, claimed 64 at a time", 64, 2, 0.3),
    ("update: one replaced, shuffled", 1024, 1, 0.2),
    ("C ABI: `evener_pick`, static library", 64, 1, 1.5),
    ("Python `evener.Balancer.pick`", 64, 1, 1.5),
];

const HEAD: &str = include_str!("head.md");
const TAIL: &str = include_str!("tail.md");

#[derive(Default)]
pub struct Table {
    cells: Vec<(u32, usize, Ratio)>,
}

impl Table {
    /// Adds what a group came to.
    pub fn take(&mut self, n: u32, threads: usize, ratios: Vec<Ratio>) {
        self.cells.extend(ratios.into_iter().map(|ratio| (n, threads, ratio)));
    }

    /// Everything that `RESULTS.md` says.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from(HEAD);
        text.push_str("\n| costs | times |");
        for n in SIZES {
            let _ = write!(text, " N = {n} |");
        }
        text.push_str(" to reach |\n|---|---|");
        text.push_str(&"---:|".repeat(SIZES.len() + 1));
        text.push('\n');
        for (label, unit) in self.rows() {
            let _ = writeln!(text, "{}", self.line(label, unit));
        }
        text.push('\n');
        text.push_str(&self.units());
        text.push('\n');
        text.push_str(TAIL);
        text
    }

    /// Rows in the order they were first measured.
    fn rows(&self) -> Vec<(&'static str, &'static str)> {
        let mut rows = Vec::new();
        for (_, _, ratio) in &self.cells {
            if !rows.contains(&(ratio.label, ratio.unit)) {
                rows.push((ratio.label, ratio.unit));
            }
        }
        rows
    }

    fn line(&self, label: &str, unit: &str) -> String {
        let mut line = format!("| {label} | {unit} |");
        for n in SIZES {
            let threads = [1, 2].into_iter().filter_map(|threads| self.ratio(label, unit, n, threads));
            let shown: Vec<String> = threads.map(figure).collect();
            let cell = if shown.is_empty() { "–".into() } else { shown.join(" / ") };
            let _ = write!(line, " {cell} |");
        }
        let target = TARGETS.iter().find(|(row, ..)| *row == label);
        match target.map(|&(_, n, threads, most)| (n, threads, most, self.ratio(label, unit, n, threads))) {
            Some((n, threads, most, Some(ratio))) => {
                let verdict = if ratio <= most { "reached" } else { "missed" };
                let contended = if threads == 1 { "" } else { ", two threads" };
                let _ = write!(line, " ≤ {most} at N = {n}{contended}: {verdict} |");
            }
            _ => line.push_str(" |"),
        }
        line
    }

    fn ratio(&self, label: &str, unit: &str, n: u32, threads: usize) -> Option<f64> {
        let same = |(m, t, ratio): &&(u32, usize, Ratio)| {
            (*m, *t, ratio.label, ratio.unit) == (n, threads, label, unit)
        };
        self.cells.iter().find(same).map(|(.., ratio)| ratio.ratio)
    }

    /// What a unit was on the machine of this run.
    fn units(&self) -> String {
        let mut text = String::from("For scale, what 1 was in this run, N = 64:");
        let mut seen = Vec::new();
        for (_, threads, ratio) in self.cells.iter().filter(|(n, ..)| *n == 64) {
            if seen.contains(&(ratio.unit, *threads)) {
                continue;
            }
            seen.push((ratio.unit, *threads));
            let s = if *threads == 1 { "" } else { "s" };
            let _ = write!(text, " {} {} ns on {threads} thread{s};", ratio.unit, figure(ratio.unit_ns));
        }
        text.pop();
        text.push_str(".\n");
        text
    }
}

fn figure(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}
