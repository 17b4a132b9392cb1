//! One function for each decoder of outside data: what `cargo xtask fuzz` feeds for minutes, and what a plain test feeds with the corpus and
//! a few thousand mutations of it.
//!
//! None may panic, whatever it is given. Where what is read can be written again, it must be read back the same.

mod entries;
pub mod mutation;

pub use entries::*;

/// A decoder under test.
pub type Entry = fn(&[u8]);

/// Every decoder, by the name of its corpus.
pub const TARGETS: &[(&str, Entry)] = &[
    ("endpoint", endpoint),
    ("lint", lint),
    ("list_file", list_file),
    ("service_config", service_config),
    ("target", target),
];

/// The program of a fuzz target: libFuzzer's under cargo-fuzz; otherwise one that replays the files it is given, to look at a finding.
#[macro_export]
macro_rules! program {
    ($entry:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$entry(data));

        #[cfg(not(fuzzing))]
        fn main() {
            for file in std::env::args().skip(1) {
                let data = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
                $crate::$entry(&data);
            }
        }
    };
}
