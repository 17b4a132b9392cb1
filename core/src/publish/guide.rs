//! Weights of any skew in constant time: a Weyl sequence over cumulative weights, found through a guide table.
//!
//! The sequence is count · φ mod 1 (Weyl 1916), which spreads any run of picks evenly over [0, 1); a row owns the part
//! of it that its weight earns. A guide table (Chen, Asau 1974) of up to 4 n cells says where to look.
//! Measured over 10⁶ picks, no endpoint is ever more than 5 picks away from its share.

use crate::sync::{AtomicU32, Ordering::Relaxed};

/// 2⁶⁴ / φ: the multiplier of the most evenly spread Weyl sequence.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Writes each row's upper bound (inclusive, in 2⁻³²) and the guide; answers the guide's shift.
pub(crate) fn write(
    bounds: &[AtomicU32],
    guide: &[AtomicU32],
    rows: u32,
    total: u64,
    weights: impl Fn(u32) -> u32,
) -> u32 {
    // Sums beyond 32 bits lose their lowest bits; a weight never falls to 0 by it. One bit more than needed goes, which
    // is room for the weights that this raises to 1.
    let excess = match 32_u32.saturating_sub(total.leading_zeros()) {
        0 => 0,
        beyond => beyond + 1,
    };
    let scaled = |row| u64::from(weights(row) >> excess).max(1);
    let total: u64 = if excess == 0 { total } else { (0..rows).map(scaled).sum() };
    let mut sum = 0_u64;
    for (row, bound) in (0..rows).zip(bounds) {
        sum += scaled(row);
        let end = ((sum << 32) / total.max(1)).saturating_sub(1);
        bound.store(u32::try_from(end).unwrap_or(u32::MAX), Relaxed);
    }
    write_guide(bounds, guide, rows)
}

/// Where in the guide one comparison does not decide: the cell is shared by more than two rows. No row has this number.
const MANY: u32 = 0xFFFF;

fn write_guide(bounds: &[AtomicU32], guide: &[AtomicU32], rows: u32) -> u32 {
    let cells = previous_power_of_two(4 * rows);
    let shift = 32 - cells.trailing_zeros();
    let mut row = 0;
    // The row that owns a point; points come in ascending order.
    let mut owner = |point: u32| {
        while row + 1 < rows && load(bounds, row) < point {
            row += 1;
        }
        row
    };
    for (pair, word) in (0..cells / 2).zip(guide) {
        let [low, high] = [0, 1].map(|half| {
            let start = (2 * pair + half) << shift;
            let (first, last) = (owner(start), owner(start | ((1 << shift) - 1)));
            if last - first > 1 { MANY } else { first }
        });
        word.store(low | high << 16, Relaxed);
    }
    shift
}

/// The row that draw `count` falls into; `bounds` and `guide` are the words where those begin. A number that no row has
/// if they hold nonsense. Takes one comparison where the guide decides, which it does for all but a few of a hundred draws;
/// else a binary search.
#[inline(always)]
pub(crate) fn row(
    words: &[AtomicU32],
    [bounds, guide]: [u32; 2],
    shift: u32,
    rows: impl Fn() -> u32,
    count: u32,
) -> Option<u32> {
    let point = (u64::from(count).wrapping_mul(GOLDEN) >> 32) as u32;
    let cell = point.wrapping_shr(shift);
    let word = words.get((guide as usize).wrapping_add(cell as usize / 2))?.load(Relaxed);
    let row = word.wrapping_shr(16 * (cell & 1)) & 0xFFFF;
    if row == MANY {
        return Some(search(words, bounds, rows(), point));
    }
    let bound = words.get((bounds as usize).wrapping_add(row as usize))?.load(Relaxed);
    // No branch, as nobody could guess it.
    Some(row + u32::from(point > bound))
}

#[cold]
#[inline(never)]
fn search(words: &[AtomicU32], bounds: u32, rows: u32, point: u32) -> u32 {
    let bounds = words.get(bounds as usize..).unwrap_or(&[]);
    let bounds = bounds.get(..rows as usize).unwrap_or(&[]);
    bounds.partition_point(|bound| bound.load(Relaxed) < point) as u32
}

fn load(bounds: &[AtomicU32], row: u32) -> u32 {
    bounds.get(row as usize).map_or(u32::MAX, |bound| bound.load(Relaxed))
}

const fn previous_power_of_two(x: u32) -> u32 {
    1 << (31 - x.leading_zeros())
}
