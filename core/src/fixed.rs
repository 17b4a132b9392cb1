//! Integer arithmetic that replaces division and floating point, so that every target computes the
//! same picks.

/// `count mod n` by multiplication (Lemire, Kaser, Kurz: "Faster remainder by direct computation",
/// 2019): exact for every `u32` count and every `n` from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reciprocal {
    factor: u64,
}

impl Reciprocal {
    /// The reciprocal of `n`; 0 is taken as 1.
    pub(crate) const fn of(n: u32) -> Self {
        let n = if n == 0 { 1 } else { n };
        Self { factor: (u64::MAX / n as u64).wrapping_add(1) }
    }

    /// Puts together what [`Self::halves`] took apart.
    pub(crate) const fn from_halves(low: u32, high: u32) -> Self {
        Self { factor: (high as u64) << 32 | low as u64 }
    }

    /// The two words that a table stores.
    pub(crate) const fn halves(self) -> (u32, u32) {
        (self.factor as u32, (self.factor >> 32) as u32)
    }

    /// `count mod n`; `n` must be the number the reciprocal was made of.
    pub(crate) const fn remainder(self, count: u32, n: u32) -> u32 {
        let fraction = self.factor.wrapping_mul(count as u64);
        ((fraction as u128 * n as u128) >> 64) as u32
    }
}

/// Maps a random number evenly onto `0..n` (Lemire: "Fast random integer generation in an
/// interval", 2019; without rejection, so off by less than n / 2³²).
pub(crate) const fn scale(random: u32, n: u32) -> u32 {
    ((random as u64 * n as u64) >> 32) as u32
}

/// The greatest common divisor (Euclid); `gcd(0, b) = b`.
pub(crate) const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn remainder_is_exact(count: u32, n in 1_u32..) {
            let (low, high) = Reciprocal::of(n).halves();
            prop_assert_eq!(Reciprocal::from_halves(low, high).remainder(count, n), count % n);
        }

        #[test]
        fn scale_stays_inside(random: u32, n in 1_u32..) {
            prop_assert!(scale(random, n) < n);
        }

        #[test]
        fn gcd_divides_both(a in 1_u32.., b in 1_u32..) {
            let g = gcd(a, b);
            prop_assert!(a % g == 0 && b % g == 0);
        }
    }

    #[test]
    fn remainder_of_the_extremes() {
        for n in [1, 2, 3, 64, 65_534, u32::MAX] {
            for count in [0, 1, n - 1, n, u32::MAX - 1, u32::MAX] {
                assert_eq!(Reciprocal::of(n).remainder(count, n), count % n, "{count} mod {n}");
            }
        }
    }
}
