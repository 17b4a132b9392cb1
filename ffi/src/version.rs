//! Versions: of the library, and of its ABI.

use core::ffi::c_char;

/// The library's version, first number. Equal to the package's; checked when the library is compiled.
pub const EVENER_VERSION_MAJOR: u32 = 0;
/// The library's version, second number.
pub const EVENER_VERSION_MINOR: u32 = 1;
/// The library's version, third number.
pub const EVENER_VERSION_PATCH: u32 = 0;

/// The version of the ABI that this header describes.
///
/// It grows when something that compiled programs rely on changes its meaning or goes: a function's signature, the layout of
/// a structure without `struct_size`, a number. New functions, new status numbers and new fields at the
/// end of a structure that begins with `struct_size` leave it as it is.
pub const EVENER_ABI_VERSION: u32 = 1;

const _: () = {
    assert!(EVENER_VERSION_MAJOR == number(env!("CARGO_PKG_VERSION_MAJOR")));
    assert!(EVENER_VERSION_MINOR == number(env!("CARGO_PKG_VERSION_MINOR")));
    assert!(EVENER_VERSION_PATCH == number(env!("CARGO_PKG_VERSION_PATCH")));
};

const fn number(text: &str) -> u32 {
    let (digits, mut value, mut at) = (text.as_bytes(), 0, 0);
    while at < digits.len() {
        value = value * 10 + (digits[at] - b'0') as u32;
        at += 1;
    }
    value
}

/// The ABI version of the library that runs; compare it with `EVENER_ABI_VERSION` of the header once at start.
///
/// Any thread; may be called from an interrupt handler. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn evener_abi_version() -> u32 {
    EVENER_ABI_VERSION
}

/// The version of the library that runs, as text ("0.1.0"): static, never freed.
///
/// Any thread; may be called from an interrupt handler. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn evener_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
