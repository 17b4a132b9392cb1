//! Random numbers for jitter and identity keys: SplitMix64 (Steele, Lea, Flood 2014).

use std::hash::{BuildHasher, Hasher, RandomState};

/// A sequence that is the same for the same seed.
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// `None` takes the seed from the operating system, by way of std's hash keys.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { state: seed.unwrap_or_else(|| RandomState::new().build_hasher().finish()) }
    }

    pub(crate) const fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) const fn roll32(&mut self) -> u32 {
        (self.roll() >> 32) as u32
    }
}

#[cfg(all(test, not(loom)))]
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
}
