//! The island where the caller's pointers become references, and where panics stop.
//!
//! Everything here answers with a status instead of trusting: null, alignment, `struct_size`, reserved fields. The macros at the
//! end are what the exported functions use; each returns early from a closure that yields `Answer`.

use core::mem::{align_of, size_of};
use core::ptr;

use evener_core::sync::{AtomicU32, Ordering};

use crate::evener_status::{self, *};

/// What a function body yields: both arms are statuses, so that `?` leaves early.
pub(crate) type Answer = Result<evener_status, evener_status>;

/// Runs a function's body. A panic ends here, as `EVENER_PANIC`.
#[cfg(feature = "full")]
#[inline(always)]
pub(crate) fn guard(body: impl FnOnce() -> Answer) -> evener_status {
    // Unwind safety: a controller that was unwound is poisoned by its own guard; everything else is atomics.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
        Ok(answer) => answer.unwrap_or_else(|error| error),
        Err(_) => EVENER_PANIC,
    }
}

/// Runs a function's body. Nothing unwinds in a bare build: a panic stops in the panic handler.
#[cfg(not(feature = "full"))]
#[inline(always)]
pub(crate) fn guard(body: impl FnOnce() -> Answer) -> evener_status {
    body().unwrap_or_else(|error| error)
}

/// `Ok` when the pointer is neither null nor misaligned.
#[inline(always)]
pub(crate) fn check<T>(pointer: *const T) -> Result<(), evener_status> {
    if pointer.is_null() {
        return Err(EVENER_NULL_POINTER);
    }
    if !pointer.is_aligned() {
        return Err(EVENER_MISALIGNED);
    }
    Ok(())
}

/// A structure that begins with `struct_size`.
///
/// # Safety
/// `repr(C)`, a `u32` named `struct_size` first, no padding, and every bit pattern is a value.
pub(crate) unsafe trait Sized32: Copy {
    /// Every size this structure ever had, the present one last.
    const SIZES: &'static [usize];
}

/// The largest `struct_size` that is looked at: a bigger one is a mistake, not a newer caller.
const LARGEST: usize = 4096;

/// Copies a structure that begins with `struct_size`.
///
/// A smaller size is fine if the structure once had it: the fields it lacks are zero. A larger one is fine if the
/// part that is not known here is zero. Anything else is `EVENER_BAD_SIZE`.
///
/// # Safety
/// `pointer` is null, misaligned, or good for reading `struct_size` bytes.
pub(crate) unsafe fn versioned<T: Sized32>(pointer: *const T) -> Result<T, evener_status> {
    check(pointer)?;
    // SAFETY: not null, aligned for T, whose first field is this u32; readable by the caller's promise.
    let given = unsafe { pointer.cast::<u32>().read() } as usize;
    if given > LARGEST || (given < size_of::<T>() && !T::SIZES.contains(&given)) {
        return Err(EVENER_BAD_SIZE);
    }
    for at in size_of::<T>()..given {
        // SAFETY: at < struct_size, which the caller promises to be readable.
        if unsafe { pointer.cast::<u8>().add(at).read() } != 0 {
            return Err(EVENER_BAD_SIZE);
        }
    }
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    let known = given.min(size_of::<T>());
    // SAFETY: both sides hold at least `known` bytes, and the destination is ours; T takes any bit pattern, zero included
    // (promised by the implementation of Sized32), so the value is initialised.
    unsafe {
        ptr::copy_nonoverlapping(pointer.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), known);
        Ok(value.assume_init())
    }
}

/// An object that the library made, known by a mark: an odd number mixed with the object's own address, so that neither other
/// memory nor a moved copy passes. A mark is never 0, which is what it becomes when the object ends.
///
/// # Safety
/// At `MARK_AT` lies an `AtomicU32`, written by [`mark_of`] only when all of the object is valid, and zeroed before it ends.
pub(crate) unsafe trait Marked {
    const KIND: u32;
    const MARK_AT: usize;
}

/// The mark of a live object at this address, which is even.
#[inline(always)]
pub(crate) fn mark_of<T: Marked>(object: *const T) -> u32 {
    (T::KIND | 1) ^ object.addr() as u32
}

/// Where the mark lies.
#[inline(always)]
pub(crate) fn mark_at<T: Marked>(object: *const T) -> *const AtomicU32 {
    object.wrapping_byte_add(T::MARK_AT).cast()
}

/// The object behind a pointer, or why there is none.
///
/// # Safety
/// `pointer` is null, misaligned, or good for reading the size of a `T` while `'a` lasts.
#[inline(always)]
pub(crate) unsafe fn live<'a, T: Marked>(pointer: *const T) -> Result<&'a T, evener_status> {
    check(pointer)?;
    // SAFETY: not null, aligned, readable; an AtomicU32 takes any bit pattern, and only it is read until it proves the rest.
    let mark = unsafe { &*mark_at(pointer) };
    if mark.load(Ordering::Acquire) != mark_of(pointer) {
        return Err(EVENER_NOT_A_BALANCER);
    }
    // SAFETY: the mark says that a whole `T` lies here and has not ended.
    Ok(unsafe { &*pointer })
}

/// An object, something that is read, and where a result goes: as [`live`], [`shared`] and [`Out::new`] take them, with as few
/// tests as that can be done in. `None` where one of them would refuse; which one, and why, they say.
///
/// # Safety
/// Each pointer is null, misaligned, or good for what its one of the three functions says.
#[inline(always)]
pub(crate) unsafe fn usual<'a, T: Marked, U, V>(
    object: *const T,
    read: *const U,
    out: *mut V,
) -> Option<(&'a T, &'a U, Out<V>)> {
    const { assert!(align_of::<U>() == align_of::<u32>() && align_of::<V>() == align_of::<u32>()) };
    let aligned = (object.addr() | read.addr() | out.addr()).is_multiple_of(align_of::<u32>());
    if object.is_null() || read.is_null() || out.is_null() || !aligned {
        return None;
    }
    // SAFETY: aligned for a word, readable; an AtomicU32 takes any bit pattern.
    let mark = unsafe { &*mark_at(object) };
    // The mark holds the address, and no object was ever made at one that is misaligned for it.
    if mark.load(Ordering::Acquire) != mark_of(object) {
        return None;
    }
    // SAFETY: the mark says that a whole `T` lies here and has not ended; the other one is not null, aligned and readable.
    Some(unsafe { (&*object, &*read, Out(out)) })
}

/// A shared reference.
///
/// # Safety
/// `pointer` is null, misaligned, or good for reading a `T` while `'a` lasts.
#[inline(always)]
pub(crate) unsafe fn shared<'a, T>(pointer: *const T) -> Result<&'a T, evener_status> {
    check(pointer)?;
    // SAFETY: not null and aligned; readable and unchanging by the caller's promise.
    Ok(unsafe { &*pointer })
}

/// An exclusive reference.
///
/// # Safety
/// `pointer` is null, misaligned, or good for reading and writing a `T`, by nobody else, while `'a` lasts.
#[inline(always)]
pub(crate) unsafe fn exclusive<'a, T>(pointer: *mut T) -> Result<&'a mut T, evener_status> {
    check(pointer)?;
    // SAFETY: not null and aligned; ours alone by the caller's promise.
    Ok(unsafe { &mut *pointer })
}

/// A slice; null is fine when `length` is zero.
///
/// # Safety
/// `pointer` is null, misaligned, or good for reading `length` values while `'a` lasts.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, length: usize) -> Result<&'a [T], evener_status> {
    if length == 0 {
        return Ok(&[]);
    }
    check(pointer)?;
    if length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(EVENER_BAD_ARGUMENT);
    }
    // SAFETY: not null, aligned, no longer than an allocation can be; readable by the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(pointer, length) })
}

/// Where a result goes: checked before anything is done, written at the end.
#[derive(Clone, Copy)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `pointer` is null, misaligned, or good for writing a `T` until the function returns.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *mut T) -> Result<Self, evener_status> {
        check(pointer)?;
        Ok(Self(pointer))
    }

    /// # Safety
    /// As for [`Out::new`]; null means that the caller does not want the result.
    #[inline(always)]
    pub(crate) unsafe fn optional(pointer: *mut T) -> Result<Option<Self>, evener_status> {
        if pointer.is_null() {
            return Ok(None);
        }
        // SAFETY: the same promise.
        unsafe { Self::new(pointer) }.map(Some)
    }

    /// Writes the result. What was there is not dropped: results are plain data.
    #[inline(always)]
    pub(crate) fn write(self, value: T) {
        // SAFETY: `new` was promised writable memory and checked null and alignment.
        unsafe { self.0.write(value) }
    }
}

/// Reads `T` as `U`, which has the same size, alignment and valid values.
///
/// # Safety
/// `T` and `U` are `repr(C)` or `repr(transparent)` with the same fields at the same offsets.
#[inline(always)]
pub(crate) unsafe fn same_layout<T, U>(values: &[T]) -> &[U] {
    const { assert!(size_of::<T>() == size_of::<U>() && align_of::<T>() == align_of::<U>()) };
    // SAFETY: same size and alignment (asserted), same fields (promised): the same bytes are as many valid `U`.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast::<U>(), values.len()) }
}

/// `&T` from a pointer, or leave with the status.
macro_rules! shared {
    ($pointer:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::shared($pointer) }?
    };
}

/// `&mut T` from a pointer, or leave with the status.
macro_rules! exclusive {
    ($pointer:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::exclusive($pointer) }?
    };
}

/// `&[T]` from pointer and length, or leave with the status.
macro_rules! slice {
    ($pointer:expr, $length:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::slice($pointer, $length) }?
    };
}

/// A copy of a structure that begins with `struct_size`, or leave with the status.
macro_rules! versioned {
    ($pointer:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::versioned($pointer) }?
    };
}

/// Where a result goes, or leave with the status.
macro_rules! out {
    ($pointer:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::Out::new($pointer) }?
    };
    (optional $pointer:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::Out::optional($pointer) }?
    };
}

/// The library's object, what is read and where the result goes, if nothing is wrong with any of them.
macro_rules! usual {
    ($object:expr, $read:expr, $out:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::usual($object, $read, $out) }
    };
}

/// The library's object behind a pointer, or leave with the status.
macro_rules! live {
    ($pointer:expr) => {
        // SAFETY: the crate's contract for callers covers every pointer argument.
        unsafe { $crate::boundary::live($pointer) }?
    };
}

/// `&[T]` as `&[U]`. Where it is used, sizes and offsets of both are asserted.
macro_rules! same_layout {
    ($values:expr) => {
        // SAFETY: both are repr(C) with the same fields at the same offsets, as the assertions beside the type say.
        unsafe { $crate::boundary::same_layout($values) }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Grown {
        struct_size: u32,
        first: u32,
        added: u64,
        tail: [u64; 2],
    }

    // SAFETY: repr(C), struct_size first, no padding, integers only.
    unsafe impl Sized32 for Grown {
        const SIZES: &'static [usize] = &[8, 32];
    }

    fn read(value: &Grown) -> Result<Grown, evener_status> {
        // SAFETY: the value is there, and no test says a size beyond it.
        unsafe { versioned(value) }
    }

    #[test]
    fn an_older_size_leaves_later_fields_zero() {
        let older = Grown { struct_size: 8, first: 7, added: 9, tail: [1, 2] };
        assert_eq!(read(&older), Ok(Grown { struct_size: 8, first: 7, added: 0, tail: [0, 0] }));
    }

    #[test]
    fn a_size_that_never_was_is_refused() {
        for struct_size in [0, 1, 7, 9, 16, 31, 5000, u32::MAX] {
            let wrong = Grown { struct_size, first: 0, added: 0, tail: [0, 0] };
            assert_eq!(read(&wrong), Err(EVENER_BAD_SIZE), "{struct_size}");
        }
    }

    #[repr(C)]
    struct Newer {
        known: Grown,
        unknown: [u32; 4],
    }

    #[test]
    fn a_newer_size_is_fine_when_what_is_unknown_is_zero() {
        let known = Grown { struct_size: 48, first: 1, added: 2, tail: [3, 4] };
        let mut newer = Newer { known, unknown: [0; 4] };
        let as_known = ptr::from_ref(&newer).cast::<Grown>();
        // SAFETY: 48 bytes are there.
        assert_eq!(unsafe { versioned(as_known) }, Ok(known));
        newer.unknown[3] = 1 << 24;
        let as_known = ptr::from_ref(&newer).cast::<Grown>();
        // SAFETY: 48 bytes are there.
        assert_eq!(unsafe { versioned(as_known) }, Err(EVENER_BAD_SIZE));
    }

    #[cfg(feature = "full")]
    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(guard(|| panic!("made for the test")), EVENER_PANIC);
    }
}
