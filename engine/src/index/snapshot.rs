//! What a channel is between two changes, and a change while it is drafted.

use std::sync::Arc;

use super::member::{Bound, Bounds, MemberLeaf, Members, OWN_QUEUE, OnLane, Seat};
use super::revocation::Revocations;
use crate::identity::Identity;
use crate::receipt::Stamp;
use crate::text::Cid;

/// One state of a channel: immutable, ordered, complete.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Grows with every snapshot of the channel (I1).
    pub(crate) stamp: Stamp,
    /// Members with a queue of their own.
    pub(crate) members: Members,
    /// Members on lanes, lane by lane, so that a broadcast finds each lane's without a search. A host has a few lanes.
    pub(crate) lanes: Vec<OnLane>,
    pub(crate) revocations: Revocations,
    /// Handles that keep the channel's cell, though it be empty.
    handles: usize,
    /// The last snapshot of its cell; nobody edits it (I5).
    pub(crate) retired: bool,
}

impl Snapshot {
    pub(crate) fn empty(stamp: Stamp) -> Self {
        Self {
            stamp,
            members: Members::default(),
            lanes: Vec::new(),
            revocations: Revocations::default(),
            handles: 0,
            retired: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_bare() && self.handles == 0
    }

    pub(super) fn has_no_members(&self) -> bool {
        self.members.is_empty() && self.lanes.is_empty()
    }

    /// The authorization count and the bindings of a member.
    pub(crate) fn get(&self, seat: Seat) -> Option<(u32, &[Bound])> {
        at(&self.members, &self.lanes, seat.lane)?.get(seat.slot)
    }

    pub(crate) fn is_member(&self, seat: Seat) -> bool {
        self.get(seat).is_some()
    }

    /// All leaves of all members.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &Arc<MemberLeaf>> {
        self.members.leaves().chain(self.lanes.iter().flat_map(|on_lane| on_lane.members.leaves()))
    }

    /// Whether nothing but handles, if those, keeps the channel's cell.
    pub(crate) fn is_bare(&self) -> bool {
        self.has_no_members() && self.revocations.is_empty()
    }

    /// The next state, to be changed; O(1), and a step for each lane.
    pub(crate) fn draft(&self, stamp: Stamp) -> Draft {
        Draft {
            stamp,
            members: self.members.clone(),
            lanes: self.lanes.clone(),
            revocations: self.revocations.clone(),
            handles: self.handles,
        }
    }
}

/// The members that are at home in one place.
fn at<'a>(members: &'a Members, lanes: &'a [OnLane], lane: u32) -> Option<&'a Members> {
    match lane {
        OWN_QUEUE => Some(members),
        _ => lanes.iter().find(|on_lane| on_lane.lane == lane).map(|on_lane| &on_lane.members),
    }
}

/// The next snapshot, until it is swapped in.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) stamp: Stamp,
    members: Members,
    lanes: Vec<OnLane>,
    pub(crate) revocations: Revocations,
    pub(crate) handles: usize,
}

impl Draft {
    /// The authorization count and the bindings of a member.
    fn get(&self, seat: Seat) -> Option<(u32, &[Bound])> {
        at(&self.members, &self.lanes, seat.lane)?.get(seat.slot)
    }

    /// The bindings of a connection; none if it is no member.
    pub(crate) fn bounds(&self, seat: Seat) -> &[Bound] {
        self.get(seat).map_or(&[], |(_, bounds)| bounds)
    }

    /// Gives a connection these bindings; with none it is no member.
    fn set(&mut self, seat: Seat, auth: u32, bounds: &[Bound]) {
        if seat.lane == OWN_QUEUE {
            self.members = self.members.with(seat.slot, auth, bounds);
            return;
        }
        let place = self.lanes.iter().position(|on_lane| on_lane.lane == seat.lane);
        let next = match place {
            Some(place) => self.lanes[place].members.with(seat.slot, auth, bounds),
            None => Members::default().with(seat.slot, auth, bounds),
        };
        match (place, next.is_empty()) {
            (Some(place), true) => drop(self.lanes.swap_remove(place)),
            (Some(place), false) => self.lanes[place].members = next,
            (None, true) => {}
            (None, false) => self.lanes.push(OnLane { lane: seat.lane, members: next }),
        }
    }

    /// Drops the bindings that another user than the one of `auth` authorized (rule C5); returns their cids.
    pub(crate) fn refresh(&mut self, seat: Seat, auth: u32) -> Vec<Cid> {
        let Some((held, bounds)) = self.get(seat) else { return Vec::new() };
        if held == auth {
            return Vec::new();
        }
        let (gone, kept): (Bounds, Bounds) = bounds.iter().cloned().partition(|bound| bound.by_user);
        self.set(seat, auth, &kept);
        gone.into_iter().map(|bound| bound.cid).collect()
    }

    /// Binds a cid of a refreshed connection. Returns whether it is new, and whether a user authorized it: an existing binding keeps
    /// its authorization (rule S1).
    pub(crate) fn bind(&mut self, seat: Seat, auth: u32, cid: &Cid, by_user: bool) -> (bool, bool) {
        let held = self.bounds(seat);
        let at = match held.binary_search_by(|bound| bound.cid.cmp(cid)) {
            Ok(at) => return (false, held[at].by_user),
            Err(at) => at,
        };
        let mut bounds = Bounds::from(held);
        bounds.insert(at, Bound { cid: cid.clone(), by_user });
        self.set(seat, auth, &bounds);
        (true, by_user)
    }

    /// Drops one binding; returns how many the connection has left, or `None` if it was not there.
    pub(crate) fn unbind(&mut self, seat: Seat, cid: &Cid) -> Option<usize> {
        let (auth, bounds) = self.get(seat)?;
        let at = bounds.binary_search_by(|bound| bound.cid.cmp(cid)).ok()?;
        let mut bounds = Bounds::from(bounds);
        bounds.remove(at);
        self.set(seat, auth, &bounds);
        Some(bounds.len())
    }

    /// Drops all bindings of a connection and returns their cids.
    pub(crate) fn unbind_all(&mut self, seat: Seat) -> Vec<Cid> {
        let cids = self.bounds(seat).iter().map(|bound| bound.cid.clone()).collect::<Vec<_>>();
        if !cids.is_empty() {
            self.set(seat, 0, &[]);
        }
        cids
    }

    /// Remembers an unsubscribe (rule S3), or with no cid an unsubscribe_all (rule S4).
    pub(crate) fn revoke(&mut self, identity: &Identity, cid: Option<&Cid>) {
        self.revocations = self.revocations.with((identity.clone(), cid.cloned()), self.stamp);
    }

    /// Forgets what a re-grant supersedes (rule S2).
    pub(crate) fn grant(&mut self, identity: &Identity, cid: &Cid) {
        if !self.revocations.is_empty() {
            let channel_wide = (identity.clone(), None);
            self.revocations =
                self.revocations.without(&channel_wide).without(&(channel_wide.0, Some(cid.clone())));
        }
    }

    /// The members with a queue of their own.
    #[cfg(test)]
    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    pub(super) fn into_snapshot(self) -> Snapshot {
        let Self { stamp, members, lanes, revocations, handles } = self;
        let mut next = Snapshot { stamp, members, lanes, revocations, handles, retired: false };
        next.retired = next.is_empty();
        next
    }
}
