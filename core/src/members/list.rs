//! First-in, first-out lists of members, linked through the members themselves. A member is in one list at
//! most: the free ones have no actions to tell.

use super::{Member, NONE};

#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    head: u16,
    tail: u16,
    len: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE, len: 0 };

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn push_back(&mut self, members: &mut [Member], slot: u16) {
        let Some(member) = members.get_mut(usize::from(slot)) else { return };
        member.next = NONE;
        match members.get_mut(usize::from(self.tail)) {
            Some(last) if self.head != NONE => last.next = slot,
            _ => self.head = slot,
        }
        self.tail = slot;
        self.len += 1;
    }

    pub(crate) fn push_front(&mut self, members: &mut [Member], slot: u16) {
        let Some(member) = members.get_mut(usize::from(slot)) else { return };
        member.next = self.head;
        if self.head == NONE {
            self.tail = slot;
        }
        self.head = slot;
        self.len += 1;
    }

    pub(crate) fn pop_front(&mut self, members: &mut [Member]) -> Option<u16> {
        let slot = self.head;
        let member = members.get_mut(usize::from(slot))?;
        self.head = member.next;
        if self.head == NONE {
            self.tail = NONE;
        }
        member.next = NONE;
        self.len -= 1;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out() {
        let mut members = [Member::EMPTY; 4];
        let mut list = List::EMPTY;
        for slot in [2, 0, 3] {
            list.push_back(&mut members, slot);
        }
        list.push_front(&mut members, 1);
        assert_eq!(list.len(), 4);
        let order: [Option<u16>; 5] = core::array::from_fn(|_| list.pop_front(&mut members));
        assert_eq!(order, [Some(1), Some(2), Some(0), Some(3), None]);
        list.push_back(&mut members, 3);
        assert_eq!(list.pop_front(&mut members), Some(3));
    }
}
