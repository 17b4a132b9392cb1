//! Address lists, and how they are compared by hand.

use evener_core::{Endpoint, EndpointId};
use std::cmp::Ordering;
use std::collections::HashSet;

const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908];

/// Address number `i`.
pub fn address(i: u32) -> String {
    format!("10.{}.{}.{}:50051", i >> 16 & 0xFF, i >> 8 & 0xFF, i & 0xFF)
}

/// The endpoint at address number `i`.
pub fn endpoint(i: u32) -> Endpoint {
    Endpoint::new(EndpointId::of_addresses(KEY, &[address(i).as_bytes()])).with_user(u64::from(i))
}

/// `count` lists of `n` endpoints each, in no order. Each differs from the one before it in one endpoint, and so does
/// the first from the last.
pub fn replacing_one(n: u32, count: u32) -> Vec<Vec<Endpoint>> {
    let stays = (1..n).map(endpoint);
    (0..count)
        .map(|i| {
            let mut list: Vec<Endpoint> = stays.clone().chain([endpoint(n + i)]).collect();
            shuffle(&mut list, u64::from(i) + 1);
            list
        })
        .collect()
}

/// Fisher and Yates, over a xorshift generator.
fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for last in (1..list.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        list.swap(last, (state % (last as u64 + 1)) as usize);
    }
}

/// The identities of a list.
pub fn ids(list: &[Endpoint]) -> Vec<u128> {
    list.iter().map(|endpoint| endpoint.id.raw()).collect()
}

/// The usual comparison by hand: sort copies of both lists, then walk through both at once. Answers how many were
/// added and removed.
pub fn sort_and_merge(old: &[u128], new: &[u128]) -> (usize, usize) {
    let mut old = old.to_vec();
    old.sort_unstable();
    let mut new = new.to_vec();
    new.sort_unstable();
    merge(&old, &new)
}

/// The same by someone who keeps the old list sorted: only the new one is copied and sorted, and then kept.
pub fn sort_new_and_merge(sorted: &mut Vec<u128>, new: &[u128]) -> (usize, usize) {
    let mut new = new.to_vec();
    new.sort_unstable();
    let changes = merge(sorted, &new);
    *sorted = new;
    changes
}

fn merge(old: &[u128], new: &[u128]) -> (usize, usize) {
    let (mut i, mut j) = (0, 0);
    let (mut added, mut removed) = (0, 0);
    while let (Some(a), Some(b)) = (old.get(i), new.get(j)) {
        match a.cmp(b) {
            Ordering::Less => (removed, i) = (removed + 1, i + 1),
            Ordering::Greater => (added, j) = (added + 1, j + 1),
            Ordering::Equal => (i, j) = (i + 1, j + 1),
        }
    }
    (added + new.len() - j, removed + old.len() - i)
}

/// The comparison by hash set, as discovery libraries do it.
pub fn hash_set_difference(old: &HashSet<u128>, new: &[u128]) -> (usize, usize) {
    let new: HashSet<u128> = new.iter().copied().collect();
    (new.difference(old).count(), old.difference(&new).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_comparisons_agree() {
        let lists = replacing_one(64, 3);
        let (old, new) = (ids(&lists[0]), ids(&lists[1]));
        assert_eq!(sort_and_merge(&old, &new), (1, 1));
        let mut sorted = old.clone();
        sorted.sort_unstable();
        assert_eq!(sort_new_and_merge(&mut sorted, &new), (1, 1));
        assert_eq!(sort_new_and_merge(&mut sorted, &new), (0, 0));
        assert_eq!(hash_set_difference(&old.into_iter().collect(), &new), (1, 1));
    }

    #[test]
    fn lists_are_shuffled() {
        let lists = replacing_one(64, 2);
        let moved = lists[0].iter().zip(&lists[1]).filter(|(a, b)| a.id != b.id).count();
        assert!(moved > 50, "{moved}");
    }
}
