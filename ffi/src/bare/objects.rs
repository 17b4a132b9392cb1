//! The two objects that lie in the caller's memory, and the way into the second.
//!
//! The first of two checks against misuse is the mark of `boundary`, the second the controller's busy word: whoever finds it
//! taken leaves. A reference to what is inside the controller is made only by whoever took it.

use core::cell::UnsafeCell;
use core::mem::{ManuallyDrop, offset_of};

use evener_core::sync::{AtomicU32, Ordering};
use evener_core::{Balancer, Controller, Member};

use crate::boundary::{self, Answer, Marked, mark_of};
use crate::evener_status::{self, *};

/// The words of the caller's block. `'static` stands for "until fini", which the caller promises to call last.
pub(crate) type Words = &'static [AtomicU32];
pub(crate) type Core = Controller<Words, &'static mut [Member]>;

/// The side that picks: any number of threads, never waiting for one another or for the controller.
///
/// It lives in the caller's memory, which must stay where it is until evener_balancer_fini.
///
/// Used by: evener_pick, evener_begin, evener_start, evener_finish, evener_counters_read, evener_user, evener_published, evener_needs_poll.
pub struct evener_balancer {
    mark: AtomicU32,
    pub(super) inner: Balancer<Words>,
}

/// The side that decides: one thread at a time; a second one is answered `EVENER_BUSY`.
///
/// It lives in the same memory as its balancer.
///
/// Used by: evener_controller_update, evener_controller_set_policy, evener_controller_set_connectivity,
/// evener_controller_set_health, evener_controller_connect, evener_controller_poll, evener_controller_next_deadline,
/// evener_controller_state, evener_controller_handle, evener_controller_endpoint.
pub struct evener_controller {
    mark: AtomicU32,
    turn: AtomicU32,
    /// Address of the balancer it was made with.
    partner: usize,
    inner: UnsafeCell<Core>,
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const POISONED: u32 = 2;

// SAFETY: `block::build` writes the mark last, `end` zeroes it before the block is the caller's again.
unsafe impl Marked for evener_balancer {
    const KIND: u32 = 0x6576_6E63;
    const MARK_AT: usize = offset_of!(Self, mark);
}

// SAFETY: `block::fill` writes the whole object at once; `end` zeroes the mark before the block is the caller's again.
unsafe impl Marked for evener_controller {
    const KIND: u32 = 0x6576_6E8D;
    const MARK_AT: usize = offset_of!(Self, mark);
}

impl evener_balancer {
    #[inline(always)]
    pub(crate) const fn core(&self) -> &Balancer<Words> {
        &self.inner
    }
}

impl evener_controller {
    /// A controller that is to lie at `place`, made with the balancer at `partner`; nobody is inside.
    pub(super) fn new(core: Core, place: *const Self, partner: *const evener_balancer) -> Self {
        Self {
            mark: AtomicU32::new(mark_of(place)),
            turn: AtomicU32::new(FREE),
            partner: partner.addr(),
            inner: UnsafeCell::new(core),
        }
    }
}

/// Ends both, unless they do not belong together or somebody is inside. Neither has anything to drop: they hold slices of their
/// block and plain data.
pub(super) fn end(balancer: &evener_balancer, controller: &evener_controller) -> Answer {
    if controller.partner != core::ptr::from_ref(balancer).addr() {
        return Err(EVENER_BAD_ARGUMENT);
    }
    if let Err(EVENER_BUSY) = Turn::take(&controller.turn).map(ManuallyDrop::new) {
        return Err(EVENER_BUSY);
    }
    controller.mark.store(0, Ordering::Release);
    balancer.mark.store(0, Ordering::Release);
    Ok(EVENER_OK)
}

/// Runs `body` on the controller behind a pointer, if nobody else is inside.
///
/// # Safety
/// The crate's contract for callers: null, misaligned, or readable as an `evener_controller`.
pub(crate) unsafe fn with_controller(
    pointer: *mut evener_controller,
    body: impl FnOnce(&mut Core) -> Answer,
) -> Answer {
    // SAFETY: the same contract.
    let controller = unsafe { boundary::live(pointer.cast_const()) }?;
    let turn = Turn::take(&controller.turn)?;
    // SAFETY: whoever holds the turn is alone inside, and it is given back only after `body`.
    let answer = body(unsafe { &mut *controller.inner.get() });
    turn.give_back();
    answer
}

/// Being the one inside a controller. Unwinding out of it poisons.
struct Turn<'a>(&'a AtomicU32);

impl<'a> Turn<'a> {
    fn take(word: &'a AtomicU32) -> Result<Self, evener_status> {
        match word.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Self(word)),
            Err(POISONED) => Err(EVENER_POISONED),
            Err(_) => Err(EVENER_BUSY),
        }
    }

    fn give_back(self) {
        ManuallyDrop::new(self).0.store(FREE, Ordering::Release);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(POISONED, Ordering::Release);
    }
}

/// Runs a closure on the controller behind a pointer, unless somebody is inside.
macro_rules! inside {
    ($pointer:expr, |$core:ident| $body:expr) => {{
        let body = |$core: &mut $crate::bare::objects::Core| -> $crate::boundary::Answer { $body };
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::bare::objects::with_controller($pointer, body) }
    }};
}
pub(super) use inside;
