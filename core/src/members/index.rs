//! From an identity to its slot: open addressing with linear probing over buckets that lie in the members
//! themselves, two to each, so at most half are taken. Removal shifts back (Knuth 6.4, algorithm R) and leaves no
//! tombstones: a look-up is short however long the index has lived.

use super::{Member, NONE};
use crate::endpoint::EndpointId;
use crate::fixed::scale;

/// The slot of an identity.
#[inline]
pub(crate) fn find(members: &[Member], id: EndpointId) -> Option<u16> {
    let mut bucket = home(members, id);
    for _ in 0..2 * members.len() {
        let slot = at(members, bucket);
        if slot == NONE {
            return None;
        }
        if members.get(usize::from(slot))?.id == id {
            return Some(slot);
        }
        bucket = after(members, bucket);
    }
    None
}

/// Enters a slot under its member's identity, which must not be there yet.
pub(crate) fn insert(members: &mut [Member], slot: u16) {
    let Some(member) = members.get(usize::from(slot)) else { return };
    let mut bucket = home(members, member.id);
    while at(members, bucket) != NONE {
        bucket = after(members, bucket);
    }
    set(members, bucket, slot);
}

/// Takes a slot out.
pub(crate) fn remove(members: &mut [Member], slot: u16) {
    let Some(member) = members.get(usize::from(slot)) else { return };
    let mut hole = home(members, member.id);
    while at(members, hole) != slot {
        if at(members, hole) == NONE {
            return;
        }
        hole = after(members, hole);
    }
    let mut bucket = after(members, hole);
    while let Some(moving) = members.get(usize::from(at(members, bucket))) {
        // It may move back only as far as its home.
        if distance(members, home(members, moving.id), bucket) >= distance(members, hole, bucket) {
            set(members, hole, at(members, bucket));
            hole = bucket;
        }
        bucket = after(members, bucket);
    }
    set(members, hole, NONE);
}

fn home(members: &[Member], id: EndpointId) -> u32 {
    scale(id.hash32(), 2 * members.len() as u32)
}

const fn after(members: &[Member], bucket: u32) -> u32 {
    if bucket + 1 < 2 * members.len() as u32 { bucket + 1 } else { 0 }
}

/// How many steps lead from one bucket to another.
const fn distance(members: &[Member], from: u32, to: u32) -> u32 {
    if to >= from { to - from } else { to + 2 * members.len() as u32 - from }
}

fn at(members: &[Member], bucket: u32) -> u16 {
    members.get(bucket as usize / 2).map_or(NONE, |member| member.buckets[bucket as usize % 2])
}

fn set(members: &mut [Member], bucket: u32, slot: u16) {
    if let Some(member) = members.get_mut(bucket as usize / 2) {
        member.buckets[bucket as usize % 2] = slot;
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
