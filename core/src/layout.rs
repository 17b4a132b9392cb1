//! Where everything lies in the shared memory: one slice of words, laid out once from the limits.

use crate::sync::AtomicU32;
use crate::ticks::TICKS_PER_SECOND;

/// The most endpoints a balancer can hold: slot numbers are `u16`, and the last two are reserved.
pub const MAX_ENDPOINTS: u32 = 65_534;
/// The most entries an exact schedule can have: its rows are `u16`.
pub const MAX_SCHEDULE: u32 = 65_536;

/// How much a balancer must hold. Fixed when its memory is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Endpoints, those that still drain included: 1 to [`MAX_ENDPOINTS`].
    pub endpoints: u32,
    /// Entries of the exact schedule of `weighted_round_robin`: 0 for none (the policy then always
    /// uses its Weyl sequence), at most [`MAX_SCHEDULE`]. Weights whose sum over their greatest
    /// common divisor is at most this are followed exactly.
    pub schedule: u32,
}

impl Limits {
    /// Room for so many endpoints, without an exact schedule.
    pub const fn new(endpoints: u32) -> Self {
        Self { endpoints, schedule: 0 }
    }

    /// The same, with room for an exact schedule of so many entries.
    pub const fn with_schedule(mut self, entries: u32) -> Self {
        self.schedule = entries;
        self
    }

    /// Whether both numbers are in range.
    pub const fn are_valid(&self) -> bool {
        self.endpoints >= 1 && self.endpoints <= MAX_ENDPOINTS && self.schedule <= MAX_SCHEDULE
    }

    /// The layout of shared memory for these limits, if they are valid and the memory has the words.
    pub(crate) const fn lay_out(&self, available: usize) -> Result<Layout, ClaimError> {
        if !self.are_valid() {
            return Err(ClaimError::Limits);
        }
        let needed = words(self);
        if available < needed {
            return Err(ClaimError::TooSmall { needed });
        }
        Ok(Layout::of(self))
    }
}

/// What a controller is told once, when it claims its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where cursors start and how pick_first shuffles follow from it: the same seed, the same picks.
    pub seed: u64,
    /// How long calls of a removed endpoint may go on before
    /// [`Action::CancelCalls`](crate::Action::CancelCalls), in ticks; 0 = for ever.
    pub drain_timeout: u32,
    /// The most calls in flight on one endpoint; 0 = no limit.
    pub calls_per_endpoint: u32,
    /// How long a tier of priorities may take to connect before the next one is connected too, in ticks, at most 2³¹ − 1; 0 = not at
    /// all. A tier whose endpoints have all failed is not waited for.
    pub failover_timeout: u32,
}

impl Default for Options {
    /// Seed 0, calls drain for 30 s, no limit, tiers connect for 10 s (gRFC A56).
    fn default() -> Self {
        Self {
            seed: 0,
            drain_timeout: 30 * TICKS_PER_SECOND,
            calls_per_endpoint: 0,
            failover_timeout: 10 * TICKS_PER_SECOND,
        }
    }
}

/// Why memory cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// A limit is out of range.
    Limits,
    /// The shared memory has fewer words than the limits need.
    TooSmall {
        /// Words that are needed.
        needed: usize,
    },
    /// There are fewer members than endpoints.
    TooFewMembers {
        /// Members that are needed.
        needed: usize,
    },
    /// Another controller has the memory.
    Claimed,
}

impl core::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Limits => {
                write!(f, "endpoints must be 1 to {MAX_ENDPOINTS}, the schedule at most {MAX_SCHEDULE}")
            }
            Self::TooSmall { needed } => write!(f, "these limits need {needed} words of shared memory"),
            Self::TooFewMembers { needed } => write!(f, "these limits need {needed} members"),
            Self::Claimed => f.write_str("the memory has a controller already"),
        }
    }
}

impl core::error::Error for ClaimError {}

/// How many words of shared memory a balancer of these limits needs.
pub const fn words(limits: &Limits) -> usize {
    Layout::of(limits).total as usize
}

// The head of the shared memory: what every part needs, in one cache line that is rarely written.
pub(crate) const CLAIM: usize = 0;
pub(crate) const STATE: usize = 1;
pub(crate) const ATTENTION: usize = 2;
pub(crate) const SEEDS: usize = 3;
pub(crate) const CALL_LIMIT: usize = 4;
// Behind it, in a line of their own, the headers of both tables.
const HEADERS: u32 = 16;
const HEAD: u32 = HEADERS + 2 * TABLE_HEADER;
/// The head, as the slice of words that a pick looks at.
pub(crate) const HEAD_WORDS: usize = HEAD as usize;

/// Words of one slot: 32 bytes, two slots to a cache line.
pub(crate) const SLOT_WORDS: u32 = 8;
/// Words of a table's header.
pub(crate) const TABLE_HEADER: u32 = 8;
/// Words of a table per endpoint: slot and generation, upper bound, two words of guide.
const TABLE_ROW: u32 = 5;

/// Where each region of the shared memory begins. Computed from [`Limits`], never stored in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) endpoints: u32,
    pub(crate) schedule_entries: u32,
    tables: u32,
    table_stride: u32,
    schedules: u32,
    schedule_stride: u32,
    pub(crate) attention: u32,
    pub(crate) slots: u32,
    total: u32,
}

impl Layout {
    pub(crate) const fn of(limits: &Limits) -> Self {
        let n = limits.endpoints;
        let table_stride = line(n * TABLE_ROW);
        let schedule_stride = line(limits.schedule.div_ceil(2));
        let tables = HEAD;
        let schedules = tables + 2 * table_stride;
        let attention = schedules + 2 * schedule_stride;
        let slots = attention + line(n.div_ceil(32));
        let total = slots + n * SLOT_WORDS;
        Self {
            endpoints: n,
            schedule_entries: limits.schedule,
            tables,
            table_stride,
            schedules,
            schedule_stride,
            attention,
            slots,
            total,
        }
    }

    /// Where the parts of table buffer `buffer` (0 or 1) begin.
    pub(crate) const fn table(&self, buffer: u32) -> TableParts {
        let rows = self.tables + (buffer & 1) * self.table_stride;
        let bounds = rows + 2 * self.endpoints;
        TableParts { header: header(buffer), rows, bounds, guide: bounds + self.endpoints }
    }

    /// Where schedule buffer `buffer` (0 or 1) begins.
    pub(crate) const fn schedule_start(&self, buffer: u32) -> u32 {
        self.schedules + (buffer & 1) * self.schedule_stride
    }

    /// The words of schedule buffer `buffer` (0 or 1).
    pub(crate) fn schedule<'a>(&self, words: &'a [AtomicU32], buffer: u32) -> &'a [AtomicU32] {
        region(words, self.schedule_start(buffer), self.schedule_stride)
    }

    /// The attention bitmap, a bit per slot.
    pub(crate) fn attention<'a>(&self, words: &'a [AtomicU32]) -> &'a [AtomicU32] {
        region(words, self.attention, self.endpoints.div_ceil(32))
    }
}

/// Where the parts of one table buffer begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableParts {
    pub(crate) header: usize,
    /// Even: a row is a pair of words.
    pub(crate) rows: u32,
    pub(crate) bounds: u32,
    pub(crate) guide: u32,
}

/// Where the header of table buffer `buffer` (0 or 1) begins, within the head.
#[inline]
pub(crate) const fn header(buffer: u32) -> usize {
    (HEADERS + (buffer & 1) * TABLE_HEADER) as usize
}

/// Rounds up to whole cache lines of 64 bytes.
const fn line(words: u32) -> u32 {
    words.div_ceil(16) * 16
}

fn region(words: &[AtomicU32], start: u32, len: u32) -> &[AtomicU32] {
    words.get(start as usize..(start + len) as usize).unwrap_or(&[])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::members::Member;

    #[test]
    fn an_endpoint_costs_at_most_136_bytes() {
        let per_endpoint = |n: u32| 4 * words(&Limits::new(n)) / n as usize + size_of::<Member>();
        assert!(size_of::<Member>() <= 64);
        assert!(per_endpoint(1024) <= 136, "{}", per_endpoint(1024));
        assert!(per_endpoint(65_534) <= 136, "{}", per_endpoint(65_534));
    }

    #[test]
    fn regions_lie_one_behind_the_other() {
        for limits in [Limits::new(1), Limits::new(64).with_schedule(100), Limits::new(MAX_ENDPOINTS)] {
            let l = Layout::of(&limits);
            assert!(l.tables >= HEAD && l.schedules >= l.tables + 2 * l.table_stride);
            assert!(l.attention >= l.schedules + 2 * l.schedule_stride);
            assert!(l.slots >= l.attention + l.endpoints.div_ceil(32));
            assert_eq!(l.total, l.slots + l.endpoints * SLOT_WORDS);
        }
    }
}
