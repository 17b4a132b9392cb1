//! What every function answers.

use core::ffi::{CStr, c_char};

/// The answer of nearly every function. Numbers never change their meaning and are never reused.
///
/// Below 100: ordinary answers. From 100: errors; nothing was changed, and results were not written unless the function's
/// text says otherwise. A program must expect numbers that its header does not know yet and treat them as errors when they are
/// 100 or more.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_status {
    /// Done; results are written.
    EVENER_OK = 0,
    /// No endpoint can take the call now, but one may soon: wait and ask again.
    EVENER_QUEUE = 1,
    /// The call is to fail now (unless it waits for ready); the reason is written.
    EVENER_FAIL = 2,
    /// The call is to fail whatever it asked for, and is not to be retried.
    EVENER_DROP = 3,
    /// There is nothing: no action, no deadline, no such endpoint.
    EVENER_NONE = 4,
    /// The time given ran out first.
    EVENER_TIMEOUT = 5,

    /// A pointer that must not be null is null.
    EVENER_NULL_POINTER = 100,
    /// `struct_size` is none of the sizes this structure ever had, or a field this library does not know is not zero.
    EVENER_BAD_SIZE = 101,
    /// A pointer is not aligned as its type demands.
    EVENER_MISALIGNED = 102,
    /// The memory given is too short.
    EVENER_TOO_SMALL = 103,
    /// A number is out of its range, or a reserved field is not zero.
    EVENER_BAD_ARGUMENT = 104,
    /// The handle's endpoint is gone, or the ticket was finished or never started.
    EVENER_STALE = 105,
    /// The endpoint has reached its limit of calls, or the balancer its limit of endpoints.
    EVENER_FULL = 106,
    /// Another thread (or the code this interrupt stopped) is inside the same object.
    EVENER_BUSY = 107,
    /// A panic was caught inside this controller before: it takes no more orders. Picks go on.
    EVENER_POISONED = 108,
    /// The memory already holds a balancer, or is not zero-filled.
    EVENER_CLAIMED = 109,
    /// The pointer does not point to a live object of this kind, or the object was moved.
    EVENER_NOT_A_BALANCER = 110,
    /// A panic was caught: a bug of evener's. Please report it.
    EVENER_PANIC = 111,
    /// A text is not UTF-8.
    EVENER_BAD_UTF8 = 112,
    /// The target cannot be understood, or its scheme is not known.
    EVENER_BAD_TARGET = 113,
    /// The service config is not valid; the previous one stays in force.
    EVENER_BAD_CONFIG = 114,
    /// An endpoint's address, weight or zone is not valid.
    EVENER_BAD_ENDPOINT = 115,
    /// The driver or the channel was shut down.
    EVENER_SHUT_DOWN = 116,
    /// The operating system refused something.
    EVENER_IO = 117,
    // Last added. A number that goes out of use stays here as a comment.
}

use evener_status::*;

impl evener_status {
    const ALL: [Self; 24] = [
        EVENER_OK,
        EVENER_QUEUE,
        EVENER_FAIL,
        EVENER_DROP,
        EVENER_NONE,
        EVENER_TIMEOUT,
        EVENER_NULL_POINTER,
        EVENER_BAD_SIZE,
        EVENER_MISALIGNED,
        EVENER_TOO_SMALL,
        EVENER_BAD_ARGUMENT,
        EVENER_STALE,
        EVENER_FULL,
        EVENER_BUSY,
        EVENER_POISONED,
        EVENER_CLAIMED,
        EVENER_NOT_A_BALANCER,
        EVENER_PANIC,
        EVENER_BAD_UTF8,
        EVENER_BAD_TARGET,
        EVENER_BAD_CONFIG,
        EVENER_BAD_ENDPOINT,
        EVENER_SHUT_DOWN,
        EVENER_IO,
    ];

    const fn message(self) -> &'static CStr {
        match self {
            EVENER_OK => c"ok",
            EVENER_QUEUE => c"no endpoint is ready yet: wait",
            EVENER_FAIL => c"the call fails: no endpoint can take it",
            EVENER_DROP => c"the call is dropped",
            EVENER_NONE => c"nothing",
            EVENER_TIMEOUT => c"the time ran out",
            EVENER_NULL_POINTER => c"a pointer is null",
            EVENER_BAD_SIZE => c"struct_size is not known, or an unknown field is not zero",
            EVENER_MISALIGNED => c"a pointer is misaligned",
            EVENER_TOO_SMALL => c"the memory is too short",
            EVENER_BAD_ARGUMENT => c"an argument is out of range",
            EVENER_STALE => c"the handle or ticket is no longer valid",
            EVENER_FULL => c"no room: the limit is reached",
            EVENER_BUSY => c"another thread is inside this object",
            EVENER_POISONED => c"the controller failed before and takes no more orders",
            EVENER_CLAIMED => c"the memory is in use or not zero-filled",
            EVENER_NOT_A_BALANCER => c"not a live object of this kind",
            EVENER_PANIC => c"internal error (a panic was caught)",
            EVENER_BAD_UTF8 => c"a text is not UTF-8",
            EVENER_BAD_TARGET => c"the target is not valid",
            EVENER_BAD_CONFIG => c"the service config is not valid",
            EVENER_BAD_ENDPOINT => c"an endpoint is not valid",
            EVENER_SHUT_DOWN => c"shut down",
            EVENER_IO => c"the operating system refused",
        }
    }
}

/// One line of English for a status; "unknown status" for a number this library does not know. Static, never freed.
///
/// Any thread; may be called from an interrupt handler. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn evener_status_message(status: u32) -> *const c_char {
    let known = evener_status::ALL.iter().find(|known| **known as u32 == status);
    known.map_or(c"unknown status", |known| known.message()).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_have_messages_of_their_own() {
        for (at, one) in evener_status::ALL.iter().enumerate() {
            for other in &evener_status::ALL[at + 1..] {
                assert_ne!(*one as u32, *other as u32);
                assert_ne!(one.message(), other.message());
            }
        }
    }
}
