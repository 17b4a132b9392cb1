//! Texts across the boundary: pointer and length, UTF-8.

use core::ffi::c_char;

use crate::boundary::{self, Answer};
use crate::evener_status::{self, *};

/// Where the library writes a text: the caller's buffer.
///
/// `length` becomes the text's full length in bytes. If that is more than `capacity`, the buffer holds its beginning (cut between
/// characters) and the answer is `EVENER_TOO_SMALL`: give more and ask again. A zero byte follows where there is room for it; `length` never
/// counts it. `data` may be null if `capacity` is 0. For texts that explain an error, too small a buffer does not change the
/// status of the function.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_text {
    /// The buffer.
    pub data: *mut c_char,
    /// Its size in bytes.
    pub capacity: usize,
    /// Written: the text's length.
    pub length: usize,
}

/// Writes a target, or a text with targets in it, without their secrets: user, password, and the value of each parameter whose name
/// says that it is one (`token`, `password`, `key` and the like) become `***`. For logs and error messages; the library's own
/// texts are like that already.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_UTF8`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_redact_target(
    target: *const c_char,
    target_len: usize,
    redacted: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let target = text!(target, target_len);
        write_text!(redacted, &evener_discovery::target::redact(target))
    })
}

/// A caller's text as `&str`. Null is the empty text when `length` is 0.
///
/// # Safety
/// `data` is null or good for reading `length` bytes while `'a` lasts.
pub(super) unsafe fn read<'a>(data: *const c_char, length: usize) -> Result<&'a str, evener_status> {
    // SAFETY: the same promise; bytes have no alignment.
    let bytes = unsafe { boundary::slice(data.cast::<u8>(), length) }?;
    core::str::from_utf8(bytes).map_err(|_| EVENER_BAD_UTF8)
}

/// Writes a text into the caller's buffer.
///
/// # Safety
/// `buffer` is null, misaligned, or an `evener_text` whose `data` is good for writing `capacity` bytes.
pub(super) unsafe fn write(buffer: *mut evener_text, text: &str) -> Answer {
    // SAFETY: the same promise.
    let buffer = unsafe { boundary::exclusive(buffer) }?;
    if buffer.data.is_null() && buffer.capacity != 0 {
        return Err(EVENER_NULL_POINTER);
    }
    buffer.length = text.len();
    let fitting = cut(text, buffer.capacity);
    for (at, byte) in text.bytes().take(fitting).chain([0]).take(buffer.capacity).enumerate() {
        // SAFETY: at < capacity bytes, which are writable by the same promise.
        unsafe { buffer.data.cast::<u8>().add(at).write(byte) };
    }
    if text.len() > buffer.capacity { Err(EVENER_TOO_SMALL) } else { Ok(EVENER_OK) }
}

/// Writes why something failed where the caller asked for it, and yields the status it failed with.
///
/// # Safety
/// As for [`write`]; null means that the caller does not want the text.
pub(super) unsafe fn explain_to(
    buffer: *mut evener_text,
    status: evener_status,
    text: &str,
) -> evener_status {
    // SAFETY: the same promise. Too small or no buffer changes nothing about the failure.
    let _ = unsafe { write(buffer, text) };
    status
}

/// Where to cut a text so that at most so many bytes are left and no character is split.
fn cut(text: &str, most: usize) -> usize {
    let most = most.min(text.len());
    (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// `&str` from pointer and length, or leave with the status.
macro_rules! text {
    ($data:expr, $length:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::full::text::read($data, $length) }?
    };
}

/// Answers with a text in the caller's buffer.
macro_rules! write_text {
    ($buffer:expr, $text:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::full::text::write($buffer, $text) }
    };
}

/// A failure's status, with its reason in the caller's buffer.
macro_rules! explain {
    ($buffer:expr, $status:expr, $error:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::full::text::explain_to($buffer, $status, &$error.to_string()) }
    };
}
pub(super) use {explain, text, write_text};

#[cfg(test)]
mod tests {
    use super::*;

    fn into(capacity: usize, text: &str) -> (Answer, Vec<u8>, usize) {
        let mut bytes = vec![0xAA_u8; capacity + 1];
        let mut buffer = evener_text { data: bytes.as_mut_ptr().cast(), capacity, length: 0 };
        // SAFETY: the buffer holds `capacity` bytes and one more.
        let answer = unsafe { write(&mut buffer, text) };
        assert_eq!(bytes[capacity], 0xAA, "wrote past the end");
        bytes.truncate(capacity);
        (answer, bytes, buffer.length)
    }

    #[test]
    fn a_text_that_fits_ends_with_zero_if_there_is_room() {
        assert_eq!(into(4, "abc"), (Ok(EVENER_OK), b"abc\0".to_vec(), 3));
        assert_eq!(into(3, "abc"), (Ok(EVENER_OK), b"abc".to_vec(), 3));
    }

    #[test]
    fn a_target_is_written_without_its_secrets() {
        let target = "consul://me:hush@agent:8500/svc?token=hush&dc=a";
        let mut bytes = [0_u8; 64];
        let mut buffer = evener_text { data: bytes.as_mut_ptr().cast(), capacity: bytes.len(), length: 0 };
        let redact = |target: *const c_char, length, buffer| {
            // SAFETY: the text and the buffer live through the call, or are null, which is answered.
            unsafe { evener_redact_target(target, length, buffer) }
        };
        assert_eq!(redact(target.as_ptr().cast(), target.len(), &mut buffer), EVENER_OK);
        assert_eq!(&bytes[..buffer.length], b"consul://***@agent:8500/svc?token=***&dc=a");
        assert_eq!(redact(core::ptr::null(), 1, &mut buffer), EVENER_NULL_POINTER);
        assert_eq!(redact(target.as_ptr().cast(), target.len(), core::ptr::null_mut()), EVENER_NULL_POINTER);
        buffer.capacity = 9;
        assert_eq!(redact(target.as_ptr().cast(), target.len(), &mut buffer), EVENER_TOO_SMALL);
        assert_eq!((buffer.length, &bytes[..9]), (42, &b"consul://"[..]));
    }

    #[test]
    fn a_text_that_does_not_fit_is_cut_between_characters() {
        assert_eq!(into(2, "a\u{e9}"), (Err(EVENER_TOO_SMALL), b"a\0".to_vec(), 3));
        assert_eq!(into(0, "a"), (Err(EVENER_TOO_SMALL), vec![], 1));
    }
}
