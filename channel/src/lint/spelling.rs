//! Which word was probably meant.

use strsim::osa_distance;

/// As many of a word's letters may be wrong: one in so many.
const SLIPS: usize = 4;

/// The word that a text is a slip of: a few letters too many, too few, wrong or in the wrong order. Case does not count.
pub(super) fn nearest<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let distances = words.iter().map(|word| (osa_distance(&text, &word.to_ascii_lowercase()), *word));
    let near = distances.filter(|(distance, word)| *distance <= word.len() / SLIPS);
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}
