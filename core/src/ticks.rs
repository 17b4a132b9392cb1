//! Time inside the core: `u32` ticks of one microsecond from an origin the host chooses.
//!
//! The counter wraps after about 71 minutes. Two times are compared by their wrapping difference,
//! which is right while they lie less than 2³¹ ticks (about 35 minutes) apart; every timer of the core
//! is far shorter, so a host that polls at least every half hour is never misunderstood.

/// Ticks in a millisecond.
pub const TICKS_PER_MILLISECOND: u32 = 1_000;
/// Ticks in a second.
pub const TICKS_PER_SECOND: u32 = 1_000_000;

/// Whether `now` is at `deadline` or after it.
pub(crate) const fn reached(now: u32, deadline: u32) -> bool {
    now.wrapping_sub(deadline) < 1 << 31
}

/// The earlier of two deadlines.
pub(crate) const fn earlier(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(x), Some(y)) => Some(if reached(y, x) { x } else { y }),
        (Some(x), None) => Some(x),
        (None, y) => y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_hold_across_the_wrap() {
        let before = u32::MAX - 10;
        let deadline = before.wrapping_add(TICKS_PER_SECOND);
        assert!(deadline < before, "the deadline lies behind the wrap");
        assert!(!reached(before, deadline));
        assert!(!reached(deadline.wrapping_sub(1), deadline));
        assert!(reached(deadline, deadline) && reached(deadline.wrapping_add(1), deadline));
        assert_eq!(earlier(Some(before), Some(deadline)), Some(before));
        assert_eq!(earlier(Some(deadline), Some(before)), Some(before));
        assert_eq!(earlier(None, Some(3)), Some(3));
        assert_eq!(earlier(None, None), None);
    }
}
