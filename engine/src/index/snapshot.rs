//! What a channel is between two changes, and a change while it is drafted.

use super::member::{Bound, Bounds, Members};
use super::revocation::Revocations;
use crate::identity::Identity;
use crate::receipt::Stamp;
use crate::text::Cid;

/// One state of a channel: immutable, ordered, complete.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Grows with every snapshot of the channel (I1).
    pub(crate) stamp: Stamp,
    pub(crate) members: Members,
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
            revocations: Revocations::default(),
            handles: 0,
            retired: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.revocations.is_empty() && self.handles == 0
    }

    /// Whether nothing but handles keeps the channel's cell.
    pub(crate) fn is_held_only(&self) -> bool {
        self.members.is_empty() && self.revocations.is_empty() && self.handles > 0
    }

    /// The next state, to be changed; O(1).
    pub(crate) fn draft(&self, stamp: Stamp) -> Draft {
        Draft {
            stamp,
            members: self.members.clone(),
            revocations: self.revocations.clone(),
            handles: self.handles,
        }
    }
}

/// The next snapshot, until it is swapped in.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) stamp: Stamp,
    pub(crate) members: Members,
    pub(crate) revocations: Revocations,
    pub(crate) handles: usize,
}

impl Draft {
    /// The bindings of a slot; none if it is no member.
    pub(crate) fn bounds(&self, slot: u32) -> &[Bound] {
        self.members.get(slot).map_or(&[], |(_, bounds)| bounds)
    }

    /// Drops the bindings that another user than the one of `auth` authorized (rule C5); returns their cids.
    pub(crate) fn refresh(&mut self, slot: u32, auth: u32) -> Vec<Cid> {
        let Some((held, bounds)) = self.members.get(slot) else { return Vec::new() };
        if held == auth {
            return Vec::new();
        }
        let (gone, kept): (Bounds, Bounds) = bounds.iter().cloned().partition(|bound| bound.by_user);
        self.members = self.members.with(slot, auth, &kept);
        gone.into_iter().map(|bound| bound.cid).collect()
    }

    /// Binds a cid of a refreshed slot. Returns whether it is new, and whether a user authorized it: an existing binding keeps
    /// its authorization (rule S1).
    pub(crate) fn bind(&mut self, slot: u32, auth: u32, cid: &Cid, by_user: bool) -> (bool, bool) {
        let held = self.bounds(slot);
        let at = match held.binary_search_by(|bound| bound.cid.cmp(cid)) {
            Ok(at) => return (false, held[at].by_user),
            Err(at) => at,
        };
        let mut bounds = Bounds::from(held);
        bounds.insert(at, Bound { cid: cid.clone(), by_user });
        self.members = self.members.with(slot, auth, &bounds);
        (true, by_user)
    }

    /// Drops one binding; returns how many the slot has left, or `None` if it was not there.
    pub(crate) fn unbind(&mut self, slot: u32, cid: &Cid) -> Option<usize> {
        let (auth, bounds) = self.members.get(slot)?;
        let at = bounds.binary_search_by(|bound| bound.cid.cmp(cid)).ok()?;
        let mut bounds = Bounds::from(bounds);
        bounds.remove(at);
        self.members = self.members.with(slot, auth, &bounds);
        Some(bounds.len())
    }

    /// Drops all bindings of a slot and returns their cids.
    pub(crate) fn unbind_all(&mut self, slot: u32) -> Vec<Cid> {
        let cids = self.bounds(slot).iter().map(|bound| bound.cid.clone()).collect::<Vec<_>>();
        if !cids.is_empty() {
            self.members = self.members.with(slot, 0, &[]);
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

    pub(super) fn into_snapshot(self) -> Snapshot {
        let Self { stamp, members, revocations, handles } = self;
        let mut next = Snapshot { stamp, members, revocations, handles, retired: false };
        next.retired = next.is_empty();
        next
    }
}
