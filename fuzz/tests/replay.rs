//! The corpus, and mutations of it that are the same in every run, through every decoder.

use evener_fuzz::TARGETS;
use evener_fuzz::mutation::{Numbers, mutate};
use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::Path;

/// Enough to meet what a careless decoder does not expect; a few seconds in an unoptimised build.
const MUTATIONS: usize = 5_000;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = folder().join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file of the corpus")).collect()
}

/// Runs a decoder; what made it panic is shown in a form that can be pasted.
fn feed(name: &str, entry: evener_fuzz::Entry, data: &[u8]) {
    if panic::catch_unwind(|| entry(data)).is_err() {
        panic!("{name} panics at {:?}", String::from_utf8_lossy(data));
    }
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_string()).collect();
    let folders = fs::read_dir(folder()).expect("the corpus").flatten();
    let folders: BTreeSet<String> =
        folders.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(targets, folders);
}

#[test]
fn the_corpus_is_decoded_or_refused() {
    for (name, entry) in TARGETS {
        for data in corpus(name) {
            feed(name, *entry, &data);
        }
    }
}

#[test]
fn mutations_of_the_corpus_are_decoded_or_refused() {
    for (name, entry) in TARGETS {
        let corpus = corpus(name);
        let mut numbers = Numbers::new(0x5eed);
        for _ in 0..MUTATIONS {
            let data = mutate(&corpus[numbers.below(corpus.len())], &corpus, &mut numbers);
            feed(name, *entry, &data);
        }
    }
}

#[test]
fn a_decoder_that_panics_is_found_out() {
    let careless = |data: &[u8]| assert!(!data.contains(&b'|'), "careless");
    let corpus = vec![b"a=1".to_vec()];
    let mut numbers = Numbers::new(1);
    let found = (0..MUTATIONS).any(|_| {
        let data = mutate(&corpus[0], &corpus, &mut numbers);
        panic::catch_unwind(|| careless(&data)).is_err()
    });
    assert!(found);
}
