//! The island that gives the caller objects on the heap and takes them back.

use crate::boundary::{Marked, mark_at, mark_of};
use crate::evener_status::{self, *};
use core::sync::atomic::Ordering;

/// Hands an object over: it is the caller's until [`take`].
pub(super) fn give<T: Marked>(object: Box<T>) -> *mut T {
    let pointer = Box::into_raw(object);
    // SAFETY: the object is there; its mark is an AtomicU32 at this place, as `Marked` promises.
    unsafe { &*mark_at(pointer) }.store(mark_of(pointer), Ordering::Release);
    pointer
}

/// Takes an object back to drop it. Null is nothing.
///
/// # Safety
/// `pointer` is null, misaligned, readable memory, or came from [`give`] and was not taken before; nobody uses it any more.
pub(super) unsafe fn take<T: Marked>(pointer: *mut T) -> Result<Option<Box<T>>, evener_status> {
    if pointer.is_null() {
        return Ok(None);
    }
    crate::boundary::check(pointer)?;
    // SAFETY: not null, aligned, readable; an AtomicU32 takes any bit pattern.
    let mark = unsafe { &*mark_at(pointer) };
    let mine = mark.compare_exchange(mark_of(pointer), 0, Ordering::AcqRel, Ordering::Relaxed);
    mine.map_err(|_| EVENER_NOT_A_BALANCER)?;
    // SAFETY: the mark was right, so `give` made this pointer from a box, and whoever zeroes the mark is the one who takes.
    Ok(Some(unsafe { Box::from_raw(pointer) }))
}

/// Drops the caller's object, if it is one.
macro_rules! free {
    ($pointer:expr) => {
        $crate::boundary::guard(|| {
            // SAFETY: the crate's contract for callers: an object is freed once, and not used after.
            drop(unsafe { $crate::full::object::take($pointer) }?);
            Ok($crate::evener_status::EVENER_OK)
        })
    };
}
pub(super) use free;
