//! The members of a channel, packed: which slot, under which authorization, with which cids.
//!
//! Members name slots by number, not by reference, so copying a leaf touches no connection. The few different cid sets of a leaf
//! (most components of a kind have the same name) stand once each beside the members.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::tree::{Leaf, Tree};
use crate::text::Cid;

/// One binding of a member: the cid, and whether the member's user authorized it (otherwise nobody did).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) cid: Cid,
    pub(crate) by_user: bool,
}

/// Bindings of one member, by growing cid; never empty.
pub(crate) type Bounds = SmallVec<[Bound; 1]>;

/// Names what serves connections: [`OWN_QUEUE`], or a lane.
pub(crate) type LaneId = u32;

/// The connection has a queue of its own.
pub(crate) const OWN_QUEUE: LaneId = 0;

/// Where a member stands in a snapshot: the same for its whole tenancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) slot: u32,
    /// The lane that its connection is at home on.
    pub(crate) lane: LaneId,
}

/// A member without its cids: 12 bytes, so that 64 of them are 12 cache lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) slot: u32,
    /// The count of user changes of the slot at which the user-authorized bindings hold (rule C5, I4).
    pub(crate) auth: u32,
    /// Which of the leaf's cid sets.
    set: u32,
}

impl Member {
    /// The member's bindings, of the sets of its leaf.
    #[inline]
    pub(crate) fn cids(self, sets: &[Arc<[Bound]>]) -> &[Bound] {
        &sets[self.set as usize]
    }
}

/// A leaf of members, by growing slot.
#[derive(Debug, Default)]
pub(crate) struct MemberLeaf {
    members: SmallVec<[Member; 8]>,
    sets: SmallVec<[Arc<[Bound]>; 2]>,
}

/// Members of a channel, all at home in the same place.
pub(crate) type Members = Tree<MemberLeaf>;

/// The members that are at home on one lane; never none.
#[derive(Debug, Clone)]
pub(crate) struct OnLane {
    pub(crate) lane: LaneId,
    pub(crate) members: Members,
}

impl MemberLeaf {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    #[inline]
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The bindings of the member at this place.
    #[inline]
    pub(crate) fn cids(&self, place: usize) -> &[Bound] {
        self.members[place].cids(&self.sets)
    }

    #[inline]
    pub(crate) fn sets(&self) -> &[Arc<[Bound]>] {
        &self.sets
    }

    fn find(&self, slot: u32) -> Result<usize, usize> {
        self.members.binary_search_by_key(&slot, |member| member.slot)
    }

    /// Adds a member behind the others; equal cid sets are shared.
    fn push(&mut self, slot: u32, auth: u32, bounds: &Arc<[Bound]>) {
        let known = self.sets.iter().position(|set| Arc::ptr_eq(set, bounds) || set == bounds);
        let set = known.unwrap_or_else(|| {
            self.sets.push(Arc::clone(bounds));
            self.sets.len() - 1
        });
        self.members.push(Member { slot, auth, set: set as u32 });
    }

    fn extend(&mut self, from: &Self, places: std::ops::Range<usize>) {
        for member in &from.members[places] {
            self.push(member.slot, member.auth, &from.sets[member.set as usize]);
        }
    }

    /// This leaf with the member of `slot` holding `bounds`, or without it if there are none.
    fn with(&self, slot: u32, auth: u32, bounds: &[Bound]) -> Self {
        let (before, after) = match self.find(slot) {
            Ok(at) => (at, at + 1),
            Err(at) => (at, at),
        };
        // The common case: every set stays in use, so the members are copied as they are.
        let known = self.sets.iter().position(|set| **set == *bounds);
        if let Some(set) = known.filter(|_| before == after || self.sets.len() == 1) {
            let mut members = SmallVec::with_capacity(self.len() + 1);
            members.extend_from_slice(&self.members[..before]);
            members.push(Member { slot, auth, set: set as u32 });
            members.extend_from_slice(&self.members[after..]);
            return Self { members, sets: self.sets.clone() };
        }
        if bounds.is_empty() && self.sets.len() == 1 {
            let mut members = SmallVec::with_capacity(self.len());
            members.extend_from_slice(&self.members[..before]);
            members.extend_from_slice(&self.members[after..]);
            return Self { members, sets: self.sets.clone() };
        }
        let mut next = Self { members: SmallVec::with_capacity(self.len() + 1), sets: smallvec![] };
        next.extend(self, 0..before);
        if !bounds.is_empty() {
            next.push(slot, auth, &Arc::from(bounds));
        }
        next.extend(self, after..self.len());
        next
    }
}

impl Leaf for MemberLeaf {
    type Key = u32;
    const CAPACITY: usize = if crate::sync::MODEL { 2 } else { 64 };

    fn len(&self) -> usize {
        self.members.len()
    }

    fn first_key(&self) -> &u32 {
        &self.members[0].slot
    }

    fn split(&self, at: usize) -> (Self, Self) {
        let (mut left, mut right) = (Self::default(), Self::default());
        left.extend(self, 0..at);
        right.extend(self, at..self.len());
        (left, right)
    }

    fn concat(&self, right: &Self) -> Self {
        let mut joined = Self::default();
        joined.extend(self, 0..self.len());
        joined.extend(right, 0..right.len());
        joined
    }

    fn is_past(&self, key: &u32) -> bool {
        self.members.last().is_none_or(|last| last.slot < *key)
    }
}

impl Members {
    /// The authorization count and the bindings of a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<(u32, &[Bound])> {
        let leaf = self.leaf(&slot)?;
        let place = leaf.find(slot).ok()?;
        Some((leaf.members[place].auth, leaf.cids(place)))
    }

    /// With `bounds` as the bindings of a slot; without the slot if there are none.
    pub(crate) fn with(&self, slot: u32, auth: u32, bounds: &[Bound]) -> Self {
        let edit = |leaf: Option<&MemberLeaf>| match leaf {
            Some(leaf) => Some(leaf.with(slot, auth, bounds)),
            None => Some(MemberLeaf::default().with(slot, auth, bounds)),
        };
        self.edited(&slot, edit).unwrap_or_else(|| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn bounds(cid: &str) -> [Bound; 1] {
        [Bound { cid: Cid::from(cid), by_user: true }]
    }

    fn leaf(members: &Members) -> &MemberLeaf {
        members.leaf(&0).expect("there are members")
    }

    proptest! {
        #[test]
        fn edits_leave_what_a_map_holds(edits in prop::collection::vec((0_u32..400, 0_u32..3, 0_usize..3), 0..600)) {
            let names = ["", "page", "layout"].map(bounds);
            let (mut members, mut map) = (Members::default(), BTreeMap::new());
            for (slot, auth, name) in edits {
                if name == 0 {
                    members = members.with(slot, auth, &[]);
                    map.remove(&slot);
                } else {
                    members = members.with(slot, auth, &names[name]);
                    map.insert(slot, (auth, name));
                }
                prop_assert_eq!(members.len(), map.len());
            }
            for slot in 0..400 {
                let expected = map.get(&slot).map(|(auth, name)| (*auth, &names[*name][..]));
                prop_assert_eq!(members.get(slot), expected);
            }
        }
    }

    #[test]
    fn members_are_still_there_when_their_leaves_have_grown_together() {
        let mut members =
            (0..1_000).fold(Members::default(), |members, slot| members.with(slot, 0, &bounds("page")));
        for slot in (0..1_000).filter(|slot| slot % 50 != 0) {
            members = members.with(slot, 0, &[]);
        }
        assert!(members.leaves().count() < 10);
        assert!((0..1_000).all(|slot| members.get(slot).is_some() == (slot % 50 == 0)));
    }

    #[test]
    fn growing_slots_fill_their_leaves() {
        let members =
            (0..1_000).fold(Members::default(), |members, slot| members.with(slot, 0, &bounds("page")));
        assert!(members.leaves().count() <= 1_000_usize.div_ceil(MemberLeaf::CAPACITY - 1));
    }

    #[test]
    fn slots_in_any_order_fill_more_than_half_of_their_leaves() {
        let slots = (1..1_009_u32).map(|n| n * 401 % 1_009);
        let members = slots.fold(Members::default(), |members, slot| members.with(slot, 0, &bounds("page")));
        assert!(members.leaves().count() <= 1_009 * 2 / MemberLeaf::CAPACITY);
    }

    #[test]
    fn a_set_that_another_member_has_is_shared_and_one_that_nobody_has_is_gone() {
        let members =
            Members::default().with(0, 0, &bounds("a")).with(1, 0, &bounds("b")).with(2, 0, &bounds("c"));
        let same = members.with(1, 0, &bounds("a"));
        assert_eq!((leaf(&same).sets.len(), same.get(1)), (2, Some((0, &bounds("a")[..]))));
        let fewer = members.with(1, 0, &[]);
        assert_eq!((leaf(&fewer).sets.len(), fewer.get(2)), (2, Some((0, &bounds("c")[..]))));
        // Leaves that grow together keep their equal sets once, though each has its own copy.
        let mut left = MemberLeaf::default();
        let mut right = MemberLeaf::default();
        left.push(0, 0, &Arc::from(bounds("a")));
        right.push(1, 0, &Arc::from(bounds("a")));
        assert_eq!(left.concat(&right).sets.len(), 1);
    }

    #[test]
    fn equal_cid_sets_of_a_leaf_are_kept_once() {
        let bounds = [Bound { cid: Cid::from("page"), by_user: true }];
        let other = [Bound { cid: Cid::from("layout"), by_user: false }];
        let mut members = Members::default();
        for slot in 0..40 {
            members = members.with(slot, 0, if slot % 2 == 0 { &bounds } else { &other });
        }
        assert_eq!(members.len(), 40);
        assert!(members.leaves().all(|leaf| leaf.sets.len() <= 2));
        assert_eq!(members.get(7), Some((0, &other[..])));
        let members = members.with(7, 3, &[]);
        assert_eq!((members.get(7), members.len()), (None, 39));
    }

    #[test]
    fn sets_that_nobody_has_any_more_are_given_up() {
        let bounds = |n: usize| [Bound { cid: Cid::from(format!("c{n}")), by_user: true }];
        let members = (0..1000).fold(Members::default(), |members, n| members.with(1, 0, &bounds(n)));
        assert!(members.leaves().all(|leaf| leaf.sets.len() == 1));
    }
}
