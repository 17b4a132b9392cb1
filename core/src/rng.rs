//! Stateless pseudo-random numbers: a counter or a seed goes in, evenly spread bits come out, the
//! same on every platform.

/// Spreads the bits of `x` over all 32 (the finaliser of MurmurHash3, Appleby 2011).
pub(crate) const fn mix32(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    let x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}

/// Spreads the bits of `x` over all 64 (the finaliser of SplitMix64, Steele et al. 2014).
pub(crate) const fn mix64(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The random number that draw `count` of the stream `key` stands for.
pub(crate) const fn draw32(count: u32, key: u32) -> u32 {
    mix32(mix32(count.wrapping_mul(0x9E37_79B9)) ^ key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_counts_give_evenly_spread_numbers() {
        let mut seen = [0_u32; 16];
        for count in 0..160_000 {
            seen[(draw32(count, 7) >> 28) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n.abs_diff(10_000) < 500), "{seen:?}");
        assert_ne!(draw32(1, 7), draw32(1, 8));
        assert_ne!(mix64(1), mix64(2));
    }
}
