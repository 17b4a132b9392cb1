//! The table: redrawn in place on a terminal, printed as snapshots elsewhere.

use super::board::{Board, Client, Row};
use super::report::ListState;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stdout};
use std::time::{Duration, Instant};

/// Between two snapshots where nothing can be redrawn.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);
const UP_AND_CLEAR_BELOW: &str = "\x1b[{}A\x1b[J";

/// The screen: lines of the story above, the table below.
pub struct Screen {
    is_terminal: bool,
    begun: Instant,
    /// Lines of the table on a terminal now, to be drawn over.
    drawn: usize,
    last_snapshot: Option<Instant>,
}

impl Screen {
    pub fn new() -> Self {
        Self { is_terminal: stdout().is_terminal(), begun: Instant::now(), drawn: 0, last_snapshot: None }
    }

    /// A line of the story, kept for good.
    pub fn tell(&mut self, line: &str) {
        self.erase();
        println!("{:6.1} s  {line}", self.begun.elapsed().as_secs_f64());
    }

    /// Shows the board: always on a terminal, now and then elsewhere.
    pub fn show(&mut self, board: &Board) {
        if self.is_terminal {
            return self.draw(board);
        }
        if self.last_snapshot.is_none_or(|at| at.elapsed() >= SNAPSHOT_EVERY) {
            self.snapshot(board);
        }
    }

    /// Shows the board wherever this is.
    pub fn snapshot(&mut self, board: &Board) {
        self.last_snapshot = Some(Instant::now());
        self.draw(board);
        if !self.is_terminal {
            self.drawn = 0;
        }
    }

    fn draw(&mut self, board: &Board) {
        self.erase();
        let text = table(board);
        print!("{text}");
        let _ = stdout().flush();
        self.drawn = text.lines().count();
    }

    fn erase(&mut self) {
        if self.is_terminal && self.drawn > 0 {
            print!("{}", UP_AND_CLEAR_BELOW.replace("{}", &self.drawn.to_string()));
        }
        self.drawn = 0;
    }
}

/// One block a client, one line a backend; not wider than 80 columns.
pub fn table(board: &Board) -> String {
    board.clients.iter().map(|client| block(board, client)).collect()
}

fn block(board: &Board, client: &Client) -> String {
    let mut text = String::new();
    let calls = client.calls();
    let _ = writeln!(
        text,
        "\n  {:13} {:>9}  {:18} {:>7} {:>6} {:>6} {:>7} {:>7}",
        format!("{} client", client.language.name()),
        "speed",
        "state",
        "calls",
        "share",
        "errors",
        "p50 ms",
        "p99 ms"
    );
    for (backend, row) in board.backends.iter().zip(&client.rows) {
        let _ = writeln!(text, "  {}", line(&backend.name, backend.delay_ms, row, calls));
    }
    let all = format!("all, from a list that is {}", list(&client.list));
    let _ = writeln!(text, "  {all:43} {calls:7} {:6} {:6}", "", client.failures.len());
    text
}

/// A list is as old as the registry is silent; one that is fresh has only had nothing new.
fn list(state: &ListState) -> String {
    match state.freshness.as_str() {
        "stale" => format!("{:.1} s old", state.age_seconds),
        "fresh" => "fresh".to_string(),
        _ => "not there yet".to_string(),
    }
}

fn line(name: &str, delay_ms: u32, row: &Row, all: u64) -> String {
    let share = 100.0 * row.calls as f64 / all.max(1) as f64;
    let time = |percent| row.percentile_ms(percent).map_or_else(|| "-".to_string(), |ms| format!("{ms:.1}"));
    format!(
        "{name:13} {delay_ms:6} ms  {:18} {:7} {share:5.1}% {:6} {:>7} {:>7}",
        row.state(),
        row.calls,
        row.errors(),
        time(50),
        time(99)
    )
}
