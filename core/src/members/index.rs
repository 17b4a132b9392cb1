//! From an identity to its slot: open addressing with linear probing over buckets that lie in the members
//! themselves, two to each, so at most half are taken. Removal shifts back (Knuth 6.4, algorithm R) and leaves no
//! tombstones: a look-up is short however long the index has lived.

use super::Member;
use crate::endpoint::EndpointId;
use crate::fixed::scale;

/// What a bucket holds that holds nothing.
pub(crate) const EMPTY: u32 = u32::MAX;

/// The slot of an identity.
#[inline]
pub(crate) fn find(members: &[Member], id: EndpointId) -> Option<u16> {
    let hash = id.hash32();
    let bucket = home(members, hash);
    // Nine of ten are in one of the two buckets they may begin at. Which one, nobody could guess: so no branch asks.
    let buckets = &members.get(bucket as usize / 2)?.buckets;
    let likely = *buckets.get(usize::from(tag(buckets[0]) != tag_of(hash)))?;
    match members.get(usize::from(slot(likely))) {
        Some(member) if member.id == id => Some(slot(likely)),
        _ => probe(members, id, hash),
    }
}

#[inline(never)]
fn probe(members: &[Member], id: EndpointId, hash: u32) -> Option<u16> {
    let mut bucket = home(members, hash);
    for _ in 0..2 * members.len() {
        let entry = at(members, bucket);
        if entry == EMPTY {
            return None;
        }
        if tag(entry) == tag_of(hash) && members.get(usize::from(slot(entry)))?.id == id {
            return Some(slot(entry));
        }
        bucket = after(members, bucket);
    }
    None
}

/// Enters a slot under its member's identity, which must not be there yet.
pub(crate) fn insert(members: &mut [Member], slot: u16) {
    let Some(member) = members.get(usize::from(slot)) else { return };
    let hash = member.id.hash32();
    let mut bucket = home(members, hash);
    while at(members, bucket) != EMPTY {
        bucket = after(members, bucket);
    }
    set(members, bucket, entry(slot, hash));
}

/// Takes a slot out.
pub(crate) fn remove(members: &mut [Member], slot: u16) {
    let Some(member) = members.get(usize::from(slot)) else { return };
    let hash = member.id.hash32();
    let mut hole = home(members, hash);
    while at(members, hole) != entry(slot, hash) {
        if at(members, hole) == EMPTY {
            return;
        }
        hole = after(members, hole);
    }
    let mut bucket = after(members, hole);
    while let Some(moving) = members.get(usize::from(self::slot(at(members, bucket)))) {
        // It may move back only as far as its home.
        if distance(members, home(members, moving.id.hash32()), bucket) >= distance(members, hole, bucket) {
            set(members, hole, at(members, bucket));
            hole = bucket;
        }
        bucket = after(members, bucket);
    }
    set(members, hole, EMPTY);
}

/// The first of the two buckets in a member.
fn home(members: &[Member], hash: u32) -> u32 {
    2 * scale(hash, members.len() as u32)
}

/// What a bucket says: a slot, and bits of its identity's hash that the home does not depend on, so that few look-ups
/// go to a member in vain.
const fn entry(slot: u16, hash: u32) -> u32 {
    (tag_of(hash) as u32) << 16 | slot as u32
}

const fn slot(entry: u32) -> u16 {
    entry as u16
}

const fn tag(entry: u32) -> u16 {
    (entry >> 16) as u16
}

const fn tag_of(hash: u32) -> u16 {
    hash as u16
}

const fn after(members: &[Member], bucket: u32) -> u32 {
    if bucket + 1 < 2 * members.len() as u32 { bucket + 1 } else { 0 }
}

/// How many steps lead from one bucket to another.
const fn distance(members: &[Member], from: u32, to: u32) -> u32 {
    if to >= from { to - from } else { to + 2 * members.len() as u32 - from }
}

fn at(members: &[Member], bucket: u32) -> u32 {
    members.get(bucket as usize / 2).map_or(EMPTY, |member| member.buckets[bucket as usize % 2])
}

fn set(members: &mut [Member], bucket: u32, entry: u32) {
    if let Some(member) = members.get_mut(bucket as usize / 2) {
        member.buckets[bucket as usize % 2] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::vec::Vec;

    proptest! {
        /// Identities that collide on purpose: the hash of a small number times 2⁶⁴ is spread like any other, so a
        /// full index of few members makes long runs that wrap.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((0_u128..24, any::<bool>()), 0..200)) {
            let mut members = [Member::EMPTY; 12];
            let mut free: Vec<u16> = (0..12).collect();
            let mut model = HashMap::new();
            for (number, add) in steps {
                let id = EndpointId::from_raw(number << 60);
                match (add, model.get(&id).copied()) {
                    (true, None) => if let Some(slot) = free.pop() {
                        members[usize::from(slot)].id = id;
                        insert(&mut members, slot);
                        model.insert(id, slot);
                    },
                    (false, Some(slot)) => {
                        remove(&mut members, slot);
                        model.remove(&id);
                        free.push(slot);
                    }
                    _ => {}
                }
                for number in 0..24 {
                    let id = EndpointId::from_raw(number << 60);
                    prop_assert_eq!(find(&members, id), model.get(&id).copied());
                }
            }
        }
    }
}
