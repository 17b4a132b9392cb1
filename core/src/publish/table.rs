//! What is published: a verdict, and where there are endpoints to pick, one row for each.
//!
//! Every word is an atomic that a reader may find half-written; whatever it reads is only used once the
//! state word has confirmed it, and every index goes through `get`.
//!
//! ```text
//! header  kind, turns, where rows begin, reason or parameters of the kind (8 words, in the memory's head)
//! rows    slot, generation                                            (2 n words)
//! bounds  upper end of each row's interval (guide)                      (n words)
//! guide   two u16 rows to a word                                      (2 n words)
//! ```
//!
//! The header says where everything is, so that a pick needs no layout: it computes nothing that was known before.

use super::{guide, schedule};
use crate::fixed::{Reciprocal, scale};
use crate::handle::Handle;
use crate::layout::{self, HEAD_WORDS, Layout, TABLE_HEADER, TableParts};
use crate::pick::{Draw, FailReason, Pick};
use crate::rng::draw32;
use crate::sync::{AtomicU32, Ordering::Relaxed};

const KIND: usize = 0;
/// How many turns there are until the first one comes again, where that is how rows are chosen, else 0: what the commonest
/// pick asks first.
const TURNS: usize = 1;
const FIRST_PAIR: usize = 2;
const PARAMETERS: usize = 3;
/// Where the schedule begins that says which row's turn it is; 0 where it is simply the next one's. A parameter.
const SCHEDULE_START: usize = PARAMETERS + 2;
const HEADER: usize = TABLE_HEADER as usize;

// What a table says: first what calls do where there are no rows, then how a row is chosen. Policies differ in which rows
// there are, and in this.
const QUEUE: u32 = 0;
const FAIL: u32 = 1;
const DROP: u32 = 2;
/// One row after the other. Parameters: reciprocal of the number of rows, 0.
const CYCLE: u32 = 3;
/// By a Weyl sequence over cumulative weights. Parameters: where bounds and guide begin, the guide's shift, the number of rows.
const WEYL: u32 = 4;
/// One entry of an exact schedule after the other. Parameters: reciprocal of the schedule's length, where it begins.
const SCHEDULE: u32 = 5;
/// Any row, each as likely as the others. Parameter: the number of rows.
const RANDOM: u32 = 6;

/// Writes one table buffer. Everything is stored relaxed: the state word around it orders it.
#[derive(Clone, Copy)]
pub(crate) struct TableWriter<'a> {
    words: &'a [AtomicU32],
    parts: TableParts,
}

impl<'a> TableWriter<'a> {
    pub(crate) const fn new(words: &'a [AtomicU32], layout: &Layout, buffer: u32) -> Self {
        Self { words, parts: layout.table(buffer) }
    }

    /// Calls wait.
    pub(crate) fn queue(self) {
        self.header([QUEUE, 0]);
    }

    /// Calls fail, but for those that wait for ready.
    pub(crate) fn fail(self, reason: FailReason) {
        self.header([FAIL, 0, 0, reason as u32]);
    }

    /// Puts an endpoint into row `row`.
    pub(crate) fn row(self, row: u32, handle: Handle) {
        self.set(self.parts.rows + 2 * row, u32::from(handle.slot()));
        self.set(self.parts.rows + 2 * row + 1, handle.generation());
    }

    /// The slot in row `row`, as written before.
    pub(crate) fn slot(self, row: u32) -> u16 {
        let word = self.words.get((self.parts.rows + 2 * row) as usize);
        word.map_or(u16::MAX, |word| word.load(Relaxed) as u16)
    }

    /// Rows are chosen one after the other.
    pub(crate) fn cycle(self, rows: u32) {
        let (low, high) = Reciprocal::of(rows).halves();
        self.header([CYCLE, rows, self.first_pair(), low, high, 0]);
    }

    /// Rows are chosen at random.
    pub(crate) fn random(self, rows: u32) {
        self.header([RANDOM, 0, self.first_pair(), rows]);
    }

    /// Rows are chosen by the schedule of this length that begins at word `start`.
    pub(crate) fn schedule(self, start: u32, length: u32) {
        let (low, high) = Reciprocal::of(length).halves();
        self.header([SCHEDULE, length, self.first_pair(), low, high, start]);
    }

    /// Rows are chosen by weight: `weights` gives each row's, all at least 1, at least two rows.
    pub(crate) fn weyl(self, rows: u32, total: u64, weights: impl Fn(u32) -> u32) {
        let TableParts { bounds, guide, .. } = self.parts;
        let at = |start: u32| self.words.get(start as usize..).unwrap_or(&[]);
        let shift = guide::write(at(bounds), at(guide), rows, total, weights);
        self.header([WEYL, 0, self.first_pair(), bounds, guide, shift, rows]);
    }

    const fn first_pair(self) -> u32 {
        self.parts.rows / 2
    }

    fn header<const N: usize>(self, values: [u32; N]) {
        const { assert!(N <= HEADER) };
        for (word, value) in self.words.iter().skip(self.parts.header).zip(values) {
            word.store(value, Relaxed);
        }
    }

    fn set(self, index: u32, value: u32) {
        if let Some(word) = self.words.get(index as usize) {
            word.store(value, Relaxed);
        }
    }
}

/// The schedule buffer that table `k`, which is current, refers to; 0 if it refers to none.
pub(crate) fn schedule_buffer(words: &[AtomicU32], layout: &Layout, k: u32) -> u32 {
    let header = words.get(layout::header(k)..).unwrap_or(&[]);
    let holds = |at: usize, value: u32| header.get(at).is_some_and(|word| word.load(Relaxed) == value);
    u32::from(holds(KIND, SCHEDULE) && holds(SCHEDULE_START, layout.schedule_start(1)))
}

/// A table as a pick sees it: the words, and of those the head.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    words: &'a [AtomicU32],
    head: &'a [AtomicU32; HEAD_WORDS],
    buffer: u32,
}

impl<'a> Look<'a> {
    #[inline(always)]
    pub(crate) const fn at(words: &'a [AtomicU32], head: &'a [AtomicU32; HEAD_WORDS], buffer: u32) -> Self {
        Self { words, head, buffer }
    }

    /// The endpoint whose turn it is. `None` where rows are not simply chosen one after the other, or the table holds
    /// nonsense, which the state word will confirm.
    #[inline(always)]
    pub(crate) fn next_in_turn(self, count: u32) -> Option<Handle> {
        if self.header(KIND) != CYCLE {
            return None;
        }
        self.handle(self.turn(count, self.header(TURNS)))
    }

    /// The endpoint that a step stands for, however rows are chosen. `None` where there are none, or the table
    /// holds nonsense, which the state word will confirm.
    #[inline(always)]
    pub(crate) fn find(self, count: u32, key: impl Fn() -> u32) -> Option<Handle> {
        let turns = self.header(TURNS);
        self.handle(if turns != 0 { self.row_in_turn(count, turns)? } else { self.other_row(count, key)? })
    }

    #[inline(always)]
    fn row_in_turn(self, count: u32, turns: u32) -> Option<u32> {
        let turn = self.turn(count, turns);
        match self.header(SCHEDULE_START) {
            0 => Some(turn),
            start => schedule::row(self.words, start, turn),
        }
    }

    #[inline(always)]
    fn turn(self, count: u32, turns: u32) -> u32 {
        Reciprocal::from_halves(self.parameter(0), self.parameter(1)).remainder(count, turns)
    }

    #[inline(always)]
    fn other_row(self, count: u32, key: impl Fn() -> u32) -> Option<u32> {
        match self.header(KIND) {
            WEYL => {
                let starts = [self.parameter(0), self.parameter(1)];
                guide::row(self.words, starts, self.parameter(2), || self.parameter(3), count)
            }
            RANDOM => Some(scale(draw32(count, key()), self.parameter(0))),
            _ => None,
        }
    }

    #[inline(always)]
    fn handle(self, row: u32) -> Option<Handle> {
        let (pairs, _) = self.words.as_chunks();
        let [slot, generation] = pairs.get((self.header(FIRST_PAIR) as usize).wrapping_add(row as usize))?;
        Some(Handle::new(slot.load(Relaxed) as u16, generation.load(Relaxed)))
    }

    #[inline(always)]
    fn header(self, i: usize) -> u32 {
        self.head[layout::header(self.buffer) + i].load(Relaxed)
    }

    #[inline(always)]
    fn parameter(self, i: usize) -> u32 {
        self.header(PARAMETERS + i)
    }

    /// Picks, whatever the table says. `None` where it holds nonsense.
    pub(crate) fn pick(self, draw: Draw) -> Option<Pick> {
        Some(match self.header(KIND) {
            QUEUE => Pick::Queue,
            FAIL => Pick::Fail(FailReason::from_number(self.parameter(0))?),
            DROP => Pick::Drop,
            _ => Pick::Complete(self.find(draw.count, || draw.key)?),
        })
    }
}
