//! One function for each decoder of outside data: what `cargo xtask fuzz` feeds for minutes, and what a plain test feeds with the corpus and
//! a few thousand mutations of it.
//!
//! None may panic, whatever it is given. Where what is read can be written again, it must be read back the same.

mod configs;
pub mod mutation;
mod records;
mod targets;

pub use configs::*;
pub use records::*;
pub use targets::*;

/// A decoder under test.
pub type Entry = fn(&[u8]);

/// Every decoder, by the name of its corpus.
pub const TARGETS: &[(&str, Entry)] = &[
    ("consul_definition", consul_definition),
    ("consul_duration", consul_duration),
    ("consul_health", consul_health),
    ("consul_kv", consul_kv),
    ("endpoint", endpoint),
    ("endpoint_slice", endpoint_slice),
    ("etcd_record", etcd_record),
    ("lint", lint),
    ("lint_target", lint_target),
    ("list_file", list_file),
    ("redact", redact),
    ("service_config", service_config),
    ("slice_watch", slice_watch),
    ("snapshot", snapshot),
    ("target", target),
    ("txt", txt),
];

/// What comes from outside as text is known to be UTF-8 where the decoders are called.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

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
