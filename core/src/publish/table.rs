//! What is published: a verdict, and where there are endpoints to pick, one row for each.
//!
//! Every word is an atomic that a reader may find half-written; whatever it reads is only used once the
//! state word has confirmed it, and every index goes through `get`.
//!
//! ```text
//! header  verdict | shape | reason, rows, two parameters of the shape   (8 words)
//! rows    slot, generation                                            (2 n words)
//! bounds  upper end of each row's interval (guide)                      (n words)
//! guide   two u16 rows to a word                                      (2 n words)
//! ```

use super::{guide, schedule};
use crate::fixed::{Reciprocal, scale};
use crate::handle::Handle;
use crate::layout::{Layout, TABLE_HEADER};
use crate::pick::{Draw, FailReason, Pick};
use crate::rng::draw32;
use crate::sync::{AtomicU32, Ordering::Relaxed};

const VERDICT: usize = 0;
const ROWS: usize = 1;
const PARAMETERS: usize = 2;
const HEADER: usize = TABLE_HEADER as usize;

/// How a row is chosen among the rows of a table. Policies differ in which rows there are and in their shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Shape {
    /// One after the other.
    Cycle = 0,
    /// Any, each as likely as the others.
    Random = 1,
    /// By an exact schedule.
    Schedule = 2,
    /// By a Weyl sequence over cumulative weights.
    Weyl = 3,
}

const VERDICT_QUEUE: u32 = 0;
const VERDICT_ROWS: u32 = 1;
const VERDICT_FAIL: u32 = 2;
const VERDICT_DROP: u32 = 3;

const fn verdict_word(verdict: u32, detail: u32) -> u32 {
    verdict | detail << 8
}

/// Writes one table buffer. Everything is stored relaxed: the state word around it orders it.
#[derive(Clone, Copy)]
pub(crate) struct TableWriter<'a> {
    words: &'a [AtomicU32],
    endpoints: usize,
}

impl<'a> TableWriter<'a> {
    pub(crate) fn new(words: &'a [AtomicU32], layout: &Layout) -> Self {
        Self { words, endpoints: layout.endpoints as usize }
    }

    /// Calls wait.
    pub(crate) fn queue(self) {
        self.set(VERDICT, verdict_word(VERDICT_QUEUE, 0));
        self.set(ROWS, 0);
    }

    /// Calls fail, but for those that wait for ready.
    pub(crate) fn fail(self, reason: FailReason) {
        self.set(VERDICT, verdict_word(VERDICT_FAIL, reason as u32));
        self.set(ROWS, 0);
    }

    /// Puts an endpoint into row `row`.
    pub(crate) fn row(self, row: u32, handle: Handle) {
        self.set(HEADER + 2 * row as usize, u32::from(handle.slot()));
        self.set(HEADER + 2 * row as usize + 1, handle.generation());
    }

    /// The slot in row `row`, as written before.
    pub(crate) fn slot(self, row: u32) -> u16 {
        self.words.get(HEADER + 2 * row as usize).map_or(u16::MAX, |word| word.load(Relaxed) as u16)
    }

    /// Rows are chosen one after the other.
    pub(crate) fn cycle(self, rows: u32) {
        let (low, high) = Reciprocal::of(rows).halves();
        self.shape(Shape::Cycle, rows, low, high);
    }

    /// Rows are chosen at random.
    pub(crate) fn random(self, rows: u32) {
        self.shape(Shape::Random, rows, 0, 0);
    }

    /// Rows are chosen by the schedule of this length in schedule buffer `buffer`.
    pub(crate) fn schedule(self, rows: u32, buffer: u32, length: u32) {
        self.shape(Shape::Schedule, rows, buffer, length);
        let (low, high) = Reciprocal::of(length).halves();
        self.set(PARAMETERS + 2, low);
        self.set(PARAMETERS + 3, high);
    }

    /// Rows are chosen by weight: `weights` gives each row's, all at least 1, at least two rows.
    pub(crate) fn weyl(self, rows: u32, total: u64, weights: impl Fn(u32) -> u32) {
        let bounds = self.words.get(self.bounds()..).unwrap_or(&[]);
        let cells = self.words.get(self.guide()..).unwrap_or(&[]);
        let shift = guide::write(bounds, cells, rows, total, weights);
        self.shape(Shape::Weyl, rows, shift, 0);
    }

    fn shape(self, shape: Shape, rows: u32, first: u32, second: u32) {
        self.set(VERDICT, verdict_word(VERDICT_ROWS, shape as u32));
        self.set(ROWS, rows);
        self.set(PARAMETERS, first);
        self.set(PARAMETERS + 1, second);
    }

    const fn bounds(&self) -> usize {
        HEADER + 2 * self.endpoints
    }

    const fn guide(&self) -> usize {
        HEADER + 3 * self.endpoints
    }

    fn set(&self, index: usize, value: u32) {
        if let Some(word) = self.words.get(index) {
            word.store(value, Relaxed);
        }
    }
}

/// The schedule buffer that table `k`, which is current, refers to; 0 if it refers to none.
pub(crate) fn schedule_buffer(words: &[AtomicU32], layout: &Layout, k: u32) -> u32 {
    let Some(header) = layout.table(words, k & 1).first_chunk::<HEADER>() else { return 0 };
    let scheduled = verdict_word(VERDICT_ROWS, Shape::Schedule as u32);
    if header[VERDICT].load(Relaxed) == scheduled { header[PARAMETERS].load(Relaxed) & 1 } else { 0 }
}

/// Picks from one table buffer. `None` where it holds nonsense, which the state word will confirm.
#[inline]
pub(crate) fn pick(words: &[AtomicU32], layout: &Layout, buffer: u32, draw: Draw) -> Option<Pick> {
    let table = layout.table(words, buffer);
    let header: &[AtomicU32; HEADER] = table.first_chunk()?;
    let verdict = header[VERDICT].load(Relaxed);
    if verdict & 0xFF != VERDICT_ROWS {
        return without_rows(verdict);
    }
    let rows = header[ROWS].load(Relaxed);
    let parameter = |i: usize| header[PARAMETERS + i].load(Relaxed);
    let row = match verdict >> 8 {
        shape if shape == Shape::Cycle as u32 => {
            Reciprocal::from_halves(parameter(0), parameter(1)).remainder(draw.count, rows)
        }
        shape if shape == Shape::Random as u32 => scale(draw32(draw.count, draw.key), rows),
        shape if shape == Shape::Schedule as u32 => {
            let position =
                Reciprocal::from_halves(parameter(2), parameter(3)).remainder(draw.count, parameter(1));
            schedule::row(layout.schedule(words, parameter(0)), position)?
        }
        _ => {
            let endpoints = layout.endpoints as usize;
            let bounds = table.get(HEADER + 2 * endpoints..HEADER + 3 * endpoints)?;
            let cells = table.get(HEADER + 3 * endpoints..)?;
            guide::row(bounds, cells, rows, parameter(0), draw.count)?
        }
    };
    let entry: &[AtomicU32; 2] = table.get(HEADER + 2 * row as usize..)?.first_chunk()?;
    Some(Pick::Complete(Handle::new(entry[0].load(Relaxed) as u16, entry[1].load(Relaxed))))
}

#[cold]
fn without_rows(verdict: u32) -> Option<Pick> {
    Some(match verdict & 0xFF {
        VERDICT_QUEUE => Pick::Queue,
        VERDICT_FAIL => Pick::Fail(FailReason::from_number(verdict >> 8)?),
        VERDICT_DROP => Pick::Drop,
        _ => return None,
    })
}
