//! evener's figures beside their floors and peers.
//!
//! Two ways to measure share the fixtures of this crate:
//!
//! - the criterion benches (`benches/`), which follow one case over time and find regressions;
//! - the `ratios` program, which writes `RESULTS.md`. Criterion measures its cases one after the other, seconds apart. A case
//!   of one to three nanoseconds moves by tens of per cent with the state of a shared host in that time, so a ratio of two such
//!   figures says little. `ratios` instead goes round all cases in turns of a millisecond and takes the median, over the
//!   rounds, of the ratio within each round.
//!
//! Everything that is measured against evener is a fixture of [`peers`] or of the programs in `cpp/` and `python/`.

#![forbid(unsafe_code)]

pub mod case;
pub mod fleet;
pub mod lists;
pub mod peers;
pub mod worker;
