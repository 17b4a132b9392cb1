//! Memory for hosts without an allocator: both roles over one struct.

use crate::balancer::Balancer;
use crate::controller::Controller;
use crate::layout::{ClaimError, Limits, Options};
use crate::members::Member;
use crate::sync::AtomicU32;

/// Memory for one balancer, for hosts that place it in a `static`, on a stack or in a struct.
///
/// `W` must be at least [`words`](crate::words) of the limits, `N` at least their `endpoints`. Hosts with an
/// allocator can use a boxed slice of words and of [`Member`]s instead.
///
/// ```
/// use evener_core::{Limits, Memory, Options, words};
///
/// const LIMITS: Limits = Limits::new(64);
/// let mut memory = Memory::<64, { words(&LIMITS) }>::new();
/// let (controller, balancer) = memory.split(LIMITS, Options::default()).unwrap();
/// # let _ = (controller, balancer);
/// ```
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Memory<const N: usize, const W: usize> {
    words: [AtomicU32; W],
    members: [Member; N],
}

impl<const N: usize, const W: usize> Memory<N, W> {
    /// Empty memory.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { words: [const { AtomicU32::new(0) }; W], members: [Member::EMPTY; N] }
    }

    /// Empty memory.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { words: core::array::from_fn(|_| AtomicU32::new(0)), members: [Member::EMPTY; N] }
    }

    /// The two roles: one controller, and a balancer to copy to whoever picks.
    ///
    /// # Errors
    /// As [`Controller::claim`].
    #[allow(clippy::type_complexity, reason = "the two roles over borrowed memory, spelled out once")]
    pub fn split(
        &mut self,
        limits: Limits,
        options: Options,
    ) -> Result<(Controller<&[AtomicU32], &mut [Member]>, Balancer<&[AtomicU32]>), ClaimError> {
        let words: &[AtomicU32] = &self.words;
        let controller = Controller::claim(words, &mut self.members[..], limits, options)?;
        let balancer = controller.balancer();
        Ok((controller, balancer))
    }
}

impl<const N: usize, const W: usize> Default for Memory<N, W> {
    fn default() -> Self {
        Self::new()
    }
}
