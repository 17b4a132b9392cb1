//! How long to wait before the next connection attempt, for hosts that dial themselves.

use crate::ticks::TICKS_PER_SECOND;

/// gRPC's connection backoff (`doc/connection-backoff.md`): exponential with jitter, in ticks.
///
/// A pure calculator: the host keeps the attempt's number, starts the wait when the attempt *starts*,
/// and begins at 0 again after a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Delay of attempt 0, in ticks.
    pub initial: u32,
    /// No delay is longer than this, before jitter, in ticks.
    pub max: u32,
    /// Growth from one attempt to the next, in per cent (160 = 1.6 times).
    pub multiplier_percent: u32,
    /// Jitter, in per cent of the delay, to either side.
    pub jitter_percent: u32,
}

impl Default for Backoff {
    /// 1 s, 1.6 times, ±20 %, at most 120 s.
    fn default() -> Self {
        Self {
            initial: TICKS_PER_SECOND,
            max: 120 * TICKS_PER_SECOND,
            multiplier_percent: 160,
            jitter_percent: 20,
        }
    }
}

impl Backoff {
    /// The delay before the attempt that follows failed attempt number `attempt` (from 0), in ticks.
    /// `random` is any evenly distributed number: the same one gives the same delay.
    pub fn next_delay(&self, attempt: u32, random: u32) -> u32 {
        let base = self.base(attempt);
        let spread = base * u64::from(self.jitter_percent.min(100)) / 100;
        let jitter = (u128::from(2 * spread) * u128::from(random)) >> 32;
        u32::try_from(u128::from(base - spread) + jitter).unwrap_or(u32::MAX)
    }

    fn base(&self, attempt: u32) -> u64 {
        let max = u64::from(self.max);
        let mut base = u64::from(self.initial).min(max);
        for _ in 0..attempt {
            if base >= max || self.multiplier_percent <= 100 {
                break;
            }
            base = (base * u64::from(self.multiplier_percent) / 100).min(max);
        }
        base
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIDDLE: u32 = 1 << 31;

    #[test]
    fn grows_as_grpc_says() {
        let backoff = Backoff::default();
        let delays: [u32; 4] = core::array::from_fn(|n| backoff.next_delay(n as u32, MIDDLE));
        assert_eq!(delays, [1_000_000, 1_600_000, 2_560_000, 4_096_000]);
        assert_eq!(backoff.next_delay(1_000_000, MIDDLE), 120_000_000);
        assert_eq!(backoff.next_delay(0, 0), 800_000);
        assert_eq!(backoff.next_delay(0, u32::MAX), 1_199_999);
    }

    proptest! {
        #[test]
        fn stays_in_its_band(attempt: u32, random: u32) {
            let delay = Backoff::default().next_delay(attempt, random);
            prop_assert!((800_000..=144_000_000).contains(&delay));
        }

        #[test]
        fn odd_settings_do_not_panic(initial: u32, max: u32, grow: u32, jitter: u32, n in 0_u32..100, r: u32) {
            let odd = Backoff { initial, max, multiplier_percent: grow, jitter_percent: jitter };
            let _ = odd.next_delay(n, r);
        }
    }
}
