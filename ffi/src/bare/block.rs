//! The island that lays a balancer and its controller into the caller's memory.

use core::ptr;
use core::slice;

use evener_core::sync::{AtomicU32, Ordering};
use evener_core::{Controller, Limits, Member, Options};

use super::layout::{ALIGN, Layout};
use super::limits::{evener_limits, parse};
use super::objects::{self, Words, evener_balancer, evener_controller};
use crate::boundary::{self, mark_at, mark_of};
use crate::evener_status::{self, *};

/// The first word of a block that is being filled; marks are odd.
const CLAIMING: u32 = 2;

/// Makes a balancer and its controller in the caller's memory.
///
/// `memory`: `length` bytes, at least what evener_balancer_size says, aligned to evener_balancer_align, and **zero-filled**
/// (static memory is; calloc gives it) or given back by evener_balancer_fini. It must neither move nor be freed before
/// evener_balancer_fini. Both pointers written point into it; nothing else is ever allocated.
///
/// Any thread, an interrupt handler too if it may take the time (it writes the whole block).
/// Errors, with nothing written: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_SIZE`, `EVENER_BAD_ARGUMENT` (a limit out of
/// range), `EVENER_TOO_SMALL`, `EVENER_CLAIMED` (a balancer lives here already, or the memory is not zero-filled).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_balancer_init(
    memory: *mut core::ffi::c_void,
    length: usize,
    limits: *const evener_limits,
    shared: *mut *mut evener_balancer,
    exclusive: *mut *mut evener_controller,
) -> evener_status {
    boundary::guard(|| {
        let (shared, exclusive) = (out!(shared), out!(exclusive));
        let given: evener_limits = versioned!(limits);
        let (limits, options) = parse(&given)?;
        // SAFETY: `length` bytes at `memory` are the caller's to give, by this function's contract.
        let (balancer, controller) = unsafe { build(memory.cast(), length, &limits, options) }?;
        shared.write(balancer);
        exclusive.write(controller);
        Ok(EVENER_OK)
    })
}

type Built = (*mut evener_balancer, *mut evener_controller);

/// # Safety
/// `memory` is null, misaligned, or `length` bytes that are the caller's alone until fini, zero-filled or left by fini.
unsafe fn build(
    memory: *mut u8,
    length: usize,
    limits: &Limits,
    options: Options,
) -> Result<Built, evener_status> {
    let layout = Layout::of(limits)?;
    if memory.is_null() {
        return Err(EVENER_NULL_POINTER);
    }
    if !memory.addr().is_multiple_of(ALIGN) {
        return Err(EVENER_MISALIGNED);
    }
    if length < layout.size {
        return Err(EVENER_TOO_SMALL);
    }
    let balancer = memory.cast::<evener_balancer>();
    // SAFETY: inside the block, aligned; zero-filled memory is a valid atomic, and so is what fini leaves.
    let claim = unsafe { &*mark_at(balancer) };
    if claim.compare_exchange(0, CLAIMING, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return Err(EVENER_CLAIMED);
    }
    // SAFETY: the block is long enough, aligned and, by the claim, ours alone.
    let built = unsafe { fill(memory, &layout, limits, options) };
    claim.store(if built.is_ok() { mark_of(balancer) } else { 0 }, Ordering::Release);
    built
}

/// # Safety
/// `memory` holds `layout.size` bytes, aligned to `ALIGN`, that nobody else touches.
unsafe fn fill(
    memory: *mut u8,
    layout: &Layout,
    limits: &Limits,
    options: Options,
) -> Result<Built, evener_status> {
    // SAFETY: the four regions lie inside the block one after another and are aligned, as `Layout` made them: no two
    // references overlap. Words and members are written before slices are made of them; `'static` ends at fini.
    unsafe {
        let words_at = memory.add(layout.words).cast::<AtomicU32>();
        (0..layout.word_count).for_each(|i| words_at.add(i).write(AtomicU32::new(0)));
        let words: Words = slice::from_raw_parts(words_at, layout.word_count);

        let members_at = memory.add(layout.members).cast::<Member>();
        (0..layout.member_count).for_each(|i| members_at.add(i).write(Member::EMPTY));
        let members = slice::from_raw_parts_mut(members_at, layout.member_count);

        let core = Controller::claim(words, members, *limits, options).map_err(|_| EVENER_BAD_ARGUMENT)?;
        let balancer = memory.cast::<evener_balancer>();
        ptr::addr_of_mut!((*balancer).inner).write(core.balancer());

        let controller = memory.add(layout.controller).cast::<evener_controller>();
        controller.write(evener_controller::new(core, controller, balancer));
        Ok((balancer, controller))
    }
}

/// Ends a balancer and its controller. Afterwards the memory is the caller's again, for anything, a new balancer included.
///
/// The caller guarantees that no call of any kind on either is under way or comes later; tickets that are still open
/// are forgotten. Not from an interrupt handler that may have stopped such a call.
/// Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER` (one of them is not live),
/// `EVENER_BAD_ARGUMENT` (they do not belong together), `EVENER_BUSY`. A poisoned controller can be ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_balancer_fini(
    shared: *mut evener_balancer,
    exclusive: *mut evener_controller,
) -> evener_status {
    boundary::guard(|| {
        let (balancer, control): (&evener_balancer, &evener_controller) = (live!(shared), live!(exclusive));
        objects::end(balancer, control)
    })
}

#[cfg(all(test, feature = "full"))]
mod tests {
    use super::*;
    use crate::bare::objects::with_controller;
    use crate::bare::{evener_controller_connect, evener_cursor, evener_handle, evener_pick};

    #[repr(align(64))]
    struct Memory([u8; 4096]);

    #[test]
    fn a_panic_poisons_the_controller_and_picks_go_on() {
        let mut memory = Memory([0; 4096]);
        let given = evener_limits {
            struct_size: 32,
            endpoints: 3,
            schedule: 0,
            drain_timeout: 0,
            calls_per_endpoint: 0,
            failover_timeout: 0,
            seed: 0,
        };
        let (mut shared, mut control) = (ptr::null_mut(), ptr::null_mut());
        let start = memory.0.as_mut_ptr().cast::<core::ffi::c_void>();
        // SAFETY: the memory is zero-filled, aligned, and outlives all below; the other pointers are to locals.
        let made = unsafe { evener_balancer_init(start, 4096, &given, &mut shared, &mut control) };
        assert_eq!(made, EVENER_OK);
        // SAFETY: init has just made it.
        let caught = boundary::guard(|| unsafe { with_controller(control, |_| panic!("made for the test")) });
        assert_eq!(caught, EVENER_PANIC);
        let (mut cursor, mut handle) =
            (evener_cursor { opaque: [0; 4] }, evener_handle { slot: 0, generation: 0 });
        // SAFETY: both objects are live, the other pointers are to locals.
        unsafe {
            assert_eq!(evener_controller_connect(control), EVENER_POISONED);
            assert_eq!(evener_pick(shared, &mut cursor, &mut handle, ptr::null_mut()), EVENER_QUEUE);
            assert_eq!(evener_balancer_fini(shared, control), EVENER_OK);
        }
    }
}
