//! The C ABI of evener: `include/evener.h` is generated from this crate.
//!
//! Two builds of the same sources:
//!
//! - **bare** (`--no-default-features`): `no_std`, no libc, no allocation. The core's balancer and controller in memory
//!   that the caller gives ([`bare`]).
//! - **full** (default): the above, and channels: targets, resolution, service config, waiting calls ([`full`]).
//!
//! # How a function is made
//!
//! Every exported function is a few lines: `boundary::guard` around it (a panic becomes `EVENER_PANIC`), macros that
//! turn pointers into references or answer with a status, and one call into safe code. Every `unsafe` block lives in the
//! islands `boundary` (with its macros), `bare::block`, `bare::objects` and, in the full build, `full::object` and `full::text`; each says why it is
//! sound, and a test holds the list of islands.
//!
//! # What the caller promises
//!
//! Exported functions are `unsafe` to call from Rust. A pointer that is null or misaligned, memory that is too short, an object
//! of another kind, a ticket that was finished: all that is answered by a status. What a library cannot see, the
//! caller promises: that a pointer which is neither null nor misaligned points to readable (for results: writable)
//! memory of the size its type has, for as long as the call runs, and that nobody else writes it meanwhile.
#![cfg_attr(not(feature = "full"), no_std)]
#![allow(non_camel_case_types)] // The C names are the names: nothing to look up twice.
#![allow(clippy::missing_safety_doc)] // The one safety contract stands above; a section per function would only repeat it in the header.
#![allow(clippy::upper_case_acronyms)]

#[macro_use]
mod boundary;
pub mod bare;
mod events;
#[cfg(feature = "full")]
pub mod full;
#[cfg(all(feature = "panic-loop", not(test)))]
mod panic_loop;
mod status;
mod version;

pub use events::{evener_event_kind, evener_log_level};
pub use status::{evener_status, evener_status_message};
pub use version::{
    EVENER_ABI_VERSION, EVENER_VERSION_MAJOR, EVENER_VERSION_MINOR, EVENER_VERSION_PATCH, evener_abi_version,
    evener_version,
};

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, vec::Vec};

    /// Files below `folder` that hold an unsafe block, as `folder/name`.
    fn islands(folder: &Path, found: &mut Vec<std::string::String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                islands(&path, found);
            } else if fs::read_to_string(&path).unwrap().contains(concat!("unsafe", " {")) {
                let name = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
                found.push(name.to_str().unwrap().into());
            }
        }
    }

    #[test]
    fn unsafe_blocks_keep_to_their_islands() {
        let mut found = Vec::new();
        islands(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
        found.sort();
        assert_eq!(
            found,
            ["bare/block.rs", "bare/objects.rs", "boundary.rs", "full/object.rs", "full/text.rs"]
        );
    }
}
