//! What is published: a verdict, and where there are endpoints to pick, one row for each.
//!
//! Every word is an atomic that a reader may find half-written; whatever it reads is only used once the
//! state word has confirmed it, and every index goes through `get`.
//!
//! ```text
//! header  kind | reason, rows, where they begin, parameters of the kind (8 words, in the memory's head)
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
const ROWS: usize = 1;
const FIRST_PAIR: usize = 2;
const PARAMETERS: usize = 3;
const HEADER: usize = TABLE_HEADER as usize;

// What a table says: first what calls do where there are no rows, then how a row is chosen. Policies differ in which rows
// there are, and in this.
const QUEUE: u32 = 0;
const FAIL: u32 = 1;
const DROP: u32 = 2;
/// One row after the other. Parameters: reciprocal of the number of rows.
const CYCLE: u32 = 3;
/// By a Weyl sequence over cumulative weights. Parameters: where bounds and guide begin, the guide's shift.
const WEYL: u32 = 4;
/// By an exact schedule. Parameters: where it begins, its length and the reciprocal of that.
const SCHEDULE: u32 = 5;
/// Any row, each as likely as the others.
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
        self.header([FAIL, reason as u32]);
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
        self.header([CYCLE, rows, self.first_pair(), low, high]);
    }

    /// Rows are chosen at random.
    pub(crate) fn random(self, rows: u32) {
        self.header([RANDOM, rows, self.first_pair()]);
    }

    /// Rows are chosen by the schedule of this length that begins at word `start`.
    pub(crate) fn schedule(self, rows: u32, start: u32, length: u32) {
        let (low, high) = Reciprocal::of(length).halves();
        self.header([SCHEDULE, rows, self.first_pair(), start, length, low, high]);
    }

    /// Rows are chosen by weight: `weights` gives each row's, all at least 1, at least two rows.
    pub(crate) fn weyl(self, rows: u32, total: u64, weights: impl Fn(u32) -> u32) {
        let TableParts { bounds, guide, .. } = self.parts;
        let at = |start: u32| self.words.get(start as usize..).unwrap_or(&[]);
        let shift = guide::write(at(bounds), at(guide), rows, total, weights);
        self.header([WEYL, rows, self.first_pair(), bounds, guide, shift]);
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
    u32::from(holds(KIND, SCHEDULE) && holds(PARAMETERS, layout.schedule_start(1)))
}

/// The endpoint that a draw stands for in one table buffer. `None` where it has no rows, or holds nonsense, which the
/// state word will confirm.
#[inline(always)]
pub(crate) fn find(words: &[AtomicU32], buffer: u32, draw: Draw) -> Option<Handle> {
    let head: &[AtomicU32; HEAD_WORDS] = words.first_chunk()?;
    let header = |i: usize| head[layout::header(buffer) + i].load(Relaxed);
    let parameter = |i: usize| header(PARAMETERS + i);
    let (kind, rows) = (header(KIND), header(ROWS));
    let row = if kind == CYCLE {
        Reciprocal::from_halves(parameter(0), parameter(1)).remainder(draw.count, rows)
    } else if kind == WEYL {
        guide::row(words, [parameter(0), parameter(1)], parameter(2), rows, draw.count)?
    } else if kind == SCHEDULE {
        let reciprocal = Reciprocal::from_halves(parameter(2), parameter(3));
        schedule::row(words, parameter(0), reciprocal.remainder(draw.count, parameter(1)))?
    } else {
        random_row(kind, rows, draw)?
    };
    let (pairs, _) = words.as_chunks();
    let [slot, generation] = pairs.get((header(FIRST_PAIR) as usize).wrapping_add(row as usize))?;
    Some(Handle::new(slot.load(Relaxed) as u16, generation.load(Relaxed)))
}

/// Apart, as it takes many instructions.
#[inline(never)]
fn random_row(kind: u32, rows: u32, draw: Draw) -> Option<u32> {
    (kind == RANDOM).then(|| scale(draw32(draw.count, draw.key), rows))
}

/// Picks from one table buffer, whatever it says. `None` where it holds nonsense.
pub(crate) fn pick(words: &[AtomicU32], buffer: u32, draw: Draw) -> Option<Pick> {
    let [kind, detail]: &[_; 2] = words.get(layout::header(buffer)..)?.first_chunk()?;
    Some(match kind.load(Relaxed) {
        QUEUE => Pick::Queue,
        FAIL => Pick::Fail(FailReason::from_number(detail.load(Relaxed))?),
        DROP => Pick::Drop,
        _ => Pick::Complete(find(words, buffer, draw)?),
    })
}
