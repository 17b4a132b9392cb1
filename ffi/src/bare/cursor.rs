//! The position of one picker.

use core::mem::{align_of, size_of};

use evener_core::Cursor;

use crate::boundary;
use crate::evener_status;

/// Where one thread's picks stand: make one per thread, or one per channel where picks are rare.
///
/// All zero is a valid cursor; it starts at a random place with its first pick. An update of the endpoints never resets it.
/// It belongs to the caller and holds nothing: forget it when done. Two threads (or an interrupt handler and the code it
/// stopped) that use one by mistake lose or repeat a step, no more.
///
/// Used by: evener_pick, evener_start.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_cursor {
    /// The library's.
    pub opaque: [u32; 4],
}

// Functions read an `evener_cursor` as the core's `Cursor`: four atomics of u32, for which every bit pattern is valid.
const _: () = {
    assert!(size_of::<evener_cursor>() == size_of::<Cursor>());
    assert!(align_of::<evener_cursor>() == align_of::<Cursor>());
};

/// Makes a cursor that gives the same picks every time: for tests.
///
/// `count` is the position and `key` the start of its random numbers; both are taken as they are.
/// Any thread; may be called from an interrupt handler. Keeps nothing. Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_cursor_at(cursor: *mut evener_cursor, count: u32, key: u32) -> evener_status {
    boundary::guard(|| {
        out!(cursor.cast::<Cursor>()).write(Cursor::at(count, key));
        Ok(evener_status::EVENER_OK)
    })
}
