//! Exact weights: a cycle that contains each row exactly as often as its weight says, spread as evenly as can be.
//!
//! This is the chairman assignment problem, and the rule is Tijdeman's (1980): the k-th turn of a row has a release time and
//! a deadline, and each step takes, among the released rows, the one whose deadline comes first. No prefix of the
//! cycle is ever a whole pick away from any row's share.

use crate::layout::Layout;
use crate::sync::{AtomicU32, Ordering::Relaxed};

/// Steps times rows that building a schedule may cost; beyond it the Weyl sequence serves.
const MAX_WORK: u64 = 1 << 21;

/// Whether weights of this sum (over their greatest common divisor) are scheduled exactly.
pub(crate) const fn fits(layout: &Layout, rows: u32, length: u64) -> bool {
    length <= layout.schedule_entries as u64 && length * rows as u64 <= MAX_WORK
}

/// What one row needs while its schedule is built.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    /// First step the row may take next.
    release: u32,
    /// Last step it may take next.
    deadline: u32,
    /// Steps it has taken.
    taken: u32,
}

impl Turn {
    /// Before the first step.
    pub(crate) fn first(rows: u32, length: u32, weight: u32) -> Self {
        Self { release: 0, deadline: 0, taken: 0 }.planned(rows, length, weight)
    }

    fn after(self, rows: u32, length: u32, weight: u32) -> Self {
        Self { taken: self.taken + 1, ..self }.planned(rows, length, weight)
    }

    /// Release and deadline of the turn that follows `taken` ones: Tijdeman's conditions
    /// σ ≥ 1 / (2n − 2) and σ < 1 − 1 / (2n − 2), solved for the step in whole numbers.
    fn planned(mut self, rows: u32, length: u32, weight: u32) -> Self {
        let spread = 2 * u64::from(rows) - 2;
        let (length, weight, taken) = (u64::from(length), u64::from(weight), u64::from(self.taken));
        let per_step = (weight * spread).max(1);
        self.release = (length * (1 + taken * spread)).div_ceil(per_step) as u32;
        self.deadline = (length * ((taken + 1) * spread - 1) / per_step) as u32;
        self
    }
}

impl From<[u32; 3]> for Turn {
    fn from([release, deadline, taken]: [u32; 3]) -> Self {
        Self { release, deadline, taken }
    }
}

impl From<Turn> for [u32; 3] {
    fn from(turn: Turn) -> Self {
        [turn.release, turn.deadline, turn.taken]
    }
}

/// Writes the schedule of `rows` (at least two) rows into `buffer`. `turns` keeps what each row needs and
/// knows its weight over the common divisor; `length` is the sum of those.
pub(crate) fn write<R: RowTurns>(buffer: &[AtomicU32], rows: u32, length: u32, turns: &mut R) {
    for row in 0..rows {
        let weight = turns.weight(row);
        turns.set(row, Turn::first(rows, length, weight));
    }
    let mut word = 0;
    for step in 0..length {
        let row = next_row(rows, step + 1, turns);
        let weight = turns.weight(row);
        let turn = turns.turn(row).after(rows, length, weight);
        turns.set(row, turn);
        word = if step & 1 == 0 { row } else { word | row << 16 };
        if let Some(cell) = buffer.get(step as usize / 2) {
            cell.store(word, Relaxed);
        }
    }
}

/// Where a schedule's builder keeps what it needs per row.
pub(crate) trait RowTurns {
    fn weight(&self, row: u32) -> u32;
    fn turn(&self, row: u32) -> Turn;
    fn set(&mut self, row: u32, turn: Turn);
}

fn next_row(rows: u32, step: u32, turns: &impl RowTurns) -> u32 {
    let mut best = (u32::MAX, 0);
    for row in 0..rows {
        let turn = turns.turn(row);
        if turn.release <= step && turn.deadline < best.0 {
            best = (turn.deadline, row);
        }
    }
    best.1
}

/// The row at a position of the schedule that begins at word `start`.
#[inline(always)]
pub(crate) fn row(words: &[AtomicU32], start: u32, position: u32) -> Option<u32> {
    let word = words.get((start as usize).wrapping_add(position as usize / 2))?.load(Relaxed);
    Some(word.wrapping_shr(16 * (position & 1)) & 0xFFFF)
}
