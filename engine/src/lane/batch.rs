//! One broadcast as one lane got it: a walk over packed memory, that asks for each member whether it may still have it.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::core::{LaneCore, Settled};
use crate::channel::Channel;
use crate::index::{Bound, Member, MemberLeaf, Place};
use crate::queue::{Cids, Parcel, prefetch};
use crate::registry::{Gates, PAGE, SlotId};
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
    held: Held<P>,
    /// Deliveries of which nobody knows yet what becomes of them.
    left: usize,
    /// Members with a smaller slot were passed.
    passed: SlotId,
}

impl<P> Batch<P> {
    pub(super) fn new(core: &Arc<LaneCore<P>>, parcel: Parcel<P>, forwarded: SmallVec<[SlotId; 4]>) -> Self {
        let left = parcel.deliveries() - forwarded.len();
        Self { held: Held { core: Arc::clone(core), parcel, forwarded }, left, passed: 0 }
    }

    /// What was broadcast to.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.held.parcel.message.channel
    }

    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.held.parcel.message.action
    }

    /// The params, shared with every other receiver.
    #[must_use]
    pub fn params(&self) -> &P {
        &self.held.parcel.message.params
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
    #[inline]
    pub fn receivers(&mut self) -> Receivers<'_, P> {
        let Self { held, left, passed } = self;
        Receivers { held, run: held.run_from(*passed), settled: Settled::default(), left, passed }
    }
}

impl<P> Drop for Batch<P> {
    fn drop(&mut self) {
        self.held.core.settle(Settled { released: self.left as u64, ..Settled::default() });
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

/// What a walk only reads.
struct Held<P> {
    core: Arc<LaneCore<P>>,
    parcel: Parcel<P>,
    /// Slots that got it on their own queues when it was taken, growing (L2).
    forwarded: SmallVec<[SlotId; 4]>,
}

/// Members in a cache line, and members of a channel beyond which the next leaf is asked for while one is walked: about what the
/// second-level cache of a core holds with their gates.
const LINE: usize = 64 / size_of::<Member>();
const FAR: usize = 1 << 15;

/// Neighbours of one leaf and one page, of whom none is excluded.
struct Run<'a> {
    members: std::slice::Iter<'a, Member>,
    sets: &'a [Arc<[Bound]>],
    gates: &'a Gates,
    place: Place<'a, MemberLeaf>,
    /// Where the run ends in the leaf.
    end: usize,
}

/// What became of a delivery that the gate did not let through.
enum Closer<'a> {
    Served(u64, Cids<'a>),
    Withheld,
    Released,
    Forwarded,
}

impl<P> Held<P> {
    /// The run that begins with the first member from this slot on.
    fn run_from(&self, slot: SlotId) -> Option<Run<'_>> {
        let place = self.parcel.members.place(&slot)?;
        self.run_at(place, place.leaf.members().partition_point(|member| member.slot < slot))
    }

    /// The run that begins here in the leaf or behind.
    #[inline(never)]
    fn run_at<'a>(&'a self, mut place: Place<'a, MemberLeaf>, mut at: usize) -> Option<Run<'a>> {
        let Parcel { members, excluded, .. } = &self.parcel;
        let page = |slot| slot / PAGE as u32;
        loop {
            let Some(first) = place.leaf.members().get(at).map(|first| first.slot) else {
                (place, at) = (members.next(&place)?, 0);
                continue;
            };
            let excluded = excluded[excluded.partition_point(|slot| *slot < first)..].first().copied();
            if excluded == Some(first) {
                at += 1;
                continue;
            }
            // No slot has the greatest number.
            let excluded = excluded.unwrap_or(SlotId::MAX);
            let belongs = |member: &Member| member.slot < excluded && page(member.slot) == page(first);
            let rest = &place.leaf.members()[at..];
            // A run goes to the end of its leaf as a rule.
            let len = if belongs(&rest[rest.len() - 1]) { rest.len() } else { rest.partition_point(belongs) };
            if members.len() >= FAR
                && let Some(next) = place.sibling()
            {
                next.members().chunks(LINE).for_each(|line| prefetch(line.as_ptr()));
            }
            let gates = self.core.slots.gates(first);
            return Some(Run {
                members: rest[..len].iter(),
                sets: place.leaf.sets(),
                gates,
                place,
                end: at + len,
            });
        }
    }

    /// A member that the gate did not let through.
    #[cold]
    fn look_closer<'a>(&self, member: Member, bounds: &'a [Bound]) -> Closer<'a> {
        let Member { slot, auth, .. } = member;
        if self.forwarded.binary_search(&slot).is_ok() {
            return Closer::Forwarded;
        }
        // Pinned before the tenant is looked at: if it lives, the slot and its token stay its own meanwhile (I7).
        let _pin = epoch::pin();
        let slots = &self.core.slots;
        let (tenant, gates) = (slots.slot(slot).peek_tenant(), slots.gates(slot));
        if !tenant.is_live() || !tenant.is_of(auth) || gates.state(slot).is_mute() {
            return Closer::Released;
        }
        // Another user, or another receiver since the batch was taken: then it is still the old one's (L2).
        let cids = Cids::new(bounds, tenant.auth != auth);
        match cids.clone().next() {
            Some(_) => Closer::Served(gates.token(slot), cids),
            None => Closer::Withheld,
        }
    }
}

/// The receivers of a [`Batch`] ([`Batch::receivers`]).
///
/// What is called out of line takes and returns values, never this itself: then its fields can stay in registers where it is inlined.
pub struct Receivers<'a, P> {
    held: &'a Held<P>,
    run: Option<Run<'a>>,
    settled: Settled,
    left: &'a mut usize,
    passed: &'a mut SlotId,
}

impl<P> fmt::Debug for Receivers<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receivers").finish_non_exhaustive()
    }
}

impl<'a, P> Iterator for Receivers<'a, P> {
    type Item = (u64, Cids<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u64, Cids<'a>)> {
        loop {
            let run = self.run.as_mut()?;
            let Some(member) = run.members.next() else {
                self.run = self.held.run_at(run.place, run.end);
                continue;
            };
            if let Some(token) = run.gates.pass(member.slot, member.auth) {
                self.settled.taken += 1;
                return Some((token, Cids::new(member.cids(run.sets), false)));
            }
            match self.held.look_closer(*member, member.cids(run.sets)) {
                Closer::Served(token, cids) => {
                    self.settled.taken += 1;
                    return Some((token, cids));
                }
                Closer::Withheld => self.settled.withheld += 1,
                Closer::Released => self.settled.released += 1,
                Closer::Forwarded => {}
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(*self.left - self.settled.deliveries()))
    }
}

impl<P> Drop for Receivers<'_, P> {
    #[inline]
    fn drop(&mut self) {
        *self.left -= self.settled.deliveries();
        *self.passed = self.run.as_ref().map_or(SlotId::MAX, |run| {
            // The next of the run; if there is none, whoever is behind its last.
            let last = || run.place.leaf.members()[run.end - 1].slot + 1;
            run.members.as_slice().first().map_or_else(last, |next| next.slot)
        });
        self.held.core.settle(self.settled);
    }
}
