//! Random numbers for jitter and identity keys, where nobody gains by guessing them: SplitMix64 (Steele, Lea, Flood 2014).

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::time::Duration;

/// A sequence that is the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// `None` takes the seed from the operating system, by way of std's hash keys, and from the number of the process: a forked child has
    /// the keys of its parent, and all workers of a server would draw the same.
    pub fn new(seed: Option<u64>) -> Self {
        Self { state: seed.unwrap_or_else(|| RandomState::new().hash_one(process::id())) }
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The upper half of the next number.
    pub const fn roll32(&mut self) -> u32 {
        (self.roll() >> 32) as u32
    }

    /// A span that differs from `span` by up to so many percent to both sides.
    pub fn around(&mut self, span: Duration, percent: u32) -> Duration {
        let range = span.mul_f64(f64::from(percent.min(100)) / 100.0);
        let share = self.roll() as f64 / u64::MAX as f64;
        (span - range) + (2 * range).mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // SplitMix64 from seed 1234567, as in the reference implementation's usual check.
        let mut dice = Dice::new(Some(1_234_567));
        assert_eq!(dice.roll(), 6_457_827_717_110_365_317);
        assert_eq!(dice.roll(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn unseeded_sequences_differ() {
        assert_ne!(Dice::new(None).roll(), Dice::new(None).roll());
    }

    #[test]
    fn spans_stay_in_their_range_and_use_it() {
        let mut dice = Dice::new(Some(7));
        let second = Duration::from_secs(1);
        let spans: Vec<Duration> = (0..1_000).map(|_| dice.around(second, 10)).collect();
        assert!(spans.iter().all(|&span| span >= second * 9 / 10 && span <= second * 11 / 10));
        assert!(spans.iter().any(|&span| span < second * 92 / 100));
        assert!(spans.iter().any(|&span| span > second * 108 / 100));
        assert_eq!(dice.around(second, 0), second);
    }
}
