//! One broadcast as one lane got it: a walk over packed memory, that asks for each member whether it may still have it.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::core::{LaneCore, Settled};
use crate::channel::Channel;
use crate::index::{Leaves, Member, MemberLeaf};
use crate::queue::{Cids, Parcel};
use crate::registry::{Gates, PAGE, SlotId, Slots};
use crate::sync::epoch;

/// One broadcast to the connections of a lane.
///
/// The members are those of one instant (rule B1). Whether a connection may have it is asked for each of them when it is handed out: it
/// is passed over if it has ended, or if its user is another one than authorized the binding (rules C4 and C5). Work a batch off
/// before you take the next event; what is dropped unseen counts as released.
///
/// Keeping a batch keeps the message and one state of the channel's members.
///
/// ```
/// use holocast::{Client, Identity, LaneEvent, Realtime, channel};
///
/// let realtime = Realtime::new();
/// let mut lane = realtime.lane();
/// for token in 0..3 {
///     lane.connect(&Client::new(format!("tab-{token}")).with_user(7), token)?;
/// }
/// realtime.subscribe(&Identity::user(7), &channel!("news"), "page")?;
/// realtime.broadcast_action(&channel!("news"), "add", "hello")?;
/// while let Some(event) = lane.try_recv() {
///     if let LaneEvent::Broadcast(mut batch) = event {
///         assert_eq!((batch.action(), *batch.params()), ("add", "hello"));
///         let receivers: Vec<_> = batch.receivers().map(|(token, cids)| (token, cids.count())).collect();
///         assert_eq!(receivers, [(0, 1), (1, 1), (2, 1)]);
///     }
/// }
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct Batch<P> {
    core: Arc<LaneCore<P>>,
    parcel: Parcel<P>,
    /// Slots that got it on their own queues when it was taken, growing (L2).
    forwarded: SmallVec<[SlotId; 4]>,
    /// Deliveries of which nobody knows yet what becomes of them.
    left: usize,
    /// Members with a smaller slot were passed.
    passed: SlotId,
}

impl<P> Batch<P> {
    pub(super) fn new(core: &Arc<LaneCore<P>>, parcel: Parcel<P>, forwarded: SmallVec<[SlotId; 4]>) -> Self {
        let left = parcel.deliveries() - forwarded.len();
        Self { core: Arc::clone(core), parcel, forwarded, left, passed: 0 }
    }

    /// What was broadcast to.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.parcel.message.channel
    }

    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.parcel.message.action
    }

    /// The params, shared with every other receiver.
    #[must_use]
    pub fn params(&self) -> &P {
        &self.parcel.message.params
    }

    /// How many receivers are left, at most: those that have ended meanwhile are passed over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether no receiver is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The receivers that are left: the token of each connection and its cids, in order. Each is handed out once; another call goes on
    /// where the last one stopped.
    ///
    /// # Complexity
    /// O(1) for each, over packed memory; allocates nothing.
    pub fn receivers(&mut self) -> Receivers<'_, P> {
        let Self { core, parcel, forwarded, left, passed } = self;
        let mut leaves = parcel.members.leaves_from(passed);
        let mut leaf = None;
        let mut at = 0;
        // Where the last call stopped.
        for next in leaves.by_ref() {
            at = next.members().partition_point(|member| member.slot < *passed);
            if at < next.len() {
                leaf = Some(&**next);
                break;
            }
        }
        let excluded = &parcel.excluded[parcel.excluded.partition_point(|slot| *slot < *passed)..];
        let members = leaf.map_or(&[][..], MemberLeaf::members);
        Receivers {
            slots: &core.slots,
            core,
            leaves,
            leaf,
            members,
            at,
            page: None,
            excluded,
            forwarded,
            settled: Settled::default(),
            left,
            passed,
        }
    }
}

impl<P> Drop for Batch<P> {
    fn drop(&mut self) {
        self.core.settle(Settled { released: self.left as u64, ..Settled::default() });
    }
}

impl<P: fmt::Debug> fmt::Debug for Batch<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("channel", self.channel())
            .field("action", &self.action())
            .field("params", self.params())
            .field("len", &self.len())
            .finish()
    }
}

/// The receivers of a [`Batch`] ([`Batch::receivers`]).
pub struct Receivers<'a, P> {
    core: &'a LaneCore<P>,
    slots: &'a Slots<P>,
    leaves: Leaves<'a, MemberLeaf>,
    /// The one that is being walked, its members, and the place of the next.
    leaf: Option<&'a MemberLeaf>,
    members: &'a [Member],
    at: usize,
    /// The gates of the page of the last member, and its number.
    page: Option<(u32, &'a Gates)>,
    /// Still to come, growing.
    excluded: &'a [SlotId],
    forwarded: &'a [SlotId],
    settled: Settled,
    left: &'a mut usize,
    passed: &'a mut SlotId,
}

impl<P> fmt::Debug for Receivers<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receivers").finish_non_exhaustive()
    }
}

impl<'a, P> Receivers<'a, P> {
    #[inline]
    fn gates(&mut self, slot: SlotId) -> &'a Gates {
        let page = slot / PAGE as u32;
        match self.page {
            Some((known, gates)) if known == page => gates,
            _ => {
                let gates = self.slots.gates(slot);
                self.page = Some((page, gates));
                gates
            }
        }
    }

    /// A member that the gate did not let through.
    #[cold]
    fn look_closer(&mut self, leaf: &'a MemberLeaf, place: usize) -> Option<(u64, Cids<'a>)> {
        let Member { slot, auth, .. } = leaf.members()[place];
        if self.forwarded.binary_search(&slot).is_ok() {
            return None;
        }
        // Pinned before the tenant is looked at: if it lives, the slot and its token stay its own meanwhile (I7).
        let _pin = epoch::pin();
        let tenant = self.slots.slot(slot).peek_tenant();
        let gates = self.slots.gates(slot);
        if !tenant.is_live() || !tenant.is_of(auth) || gates.state(slot).is_mute() {
            self.settled.released += 1;
            return None;
        }
        // Another user, or another receiver since the batch was taken: then it is still the old one's (L2).
        let cids = Cids::new(leaf.cids(place), tenant.auth != auth);
        if cids.clone().next().is_none() {
            self.settled.withheld += 1;
            return None;
        }
        self.settled.taken += 1;
        Some((gates.token(slot), cids))
    }
}

impl<'a, P> Iterator for Receivers<'a, P> {
    type Item = (u64, Cids<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u64, Cids<'a>)> {
        loop {
            let leaf = self.leaf?;
            let Some(member) = self.members.get(self.at) else {
                self.leaf = self.leaves.next().map(|leaf| &**leaf);
                self.members = self.leaf.map_or(&[][..], MemberLeaf::members);
                self.at = 0;
                continue;
            };
            let place = self.at;
            self.at += 1;
            if self.excluded.first() == Some(&member.slot) {
                self.excluded = &self.excluded[1..];
                continue;
            }
            if let Some(token) = self.gates(member.slot).pass(member.slot, member.auth) {
                self.settled.taken += 1;
                return Some((token, Cids::new(leaf.cids(place), false)));
            }
            if let Some(receiver) = self.look_closer(leaf, place) {
                return Some(receiver);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(*self.left - self.known()))
    }
}

impl<P> Receivers<'_, P> {
    /// Deliveries of which is known what became of them.
    fn known(&self) -> usize {
        (self.settled.taken + self.settled.withheld + self.settled.released) as usize
    }
}

impl<P> Drop for Receivers<'_, P> {
    fn drop(&mut self) {
        *self.left -= self.known();
        *self.passed = match (self.leaf, self.members.get(self.at)) {
            (Some(_), Some(next)) => next.slot,
            // At the end of a leaf: behind its last.
            (Some(_), None) => self.members.last().map_or(0, |last| last.slot + 1),
            (None, _) => SlotId::MAX,
        };
        self.core.settle(self.settled);
    }
}
