//! Broadcasts: look the channel up, load its snapshot, walk its leaves, push one node per member (rules B1 to B4).
//!
//! Progress: lock-free. The walk uses the snapshot that it loaded and waits for no change of the subscriptions; a push retries only
//! when another push, take, park or close of the same queue succeeded. Under `Overflow::Close` the publisher also ends the
//! connections whose queue was full, after the walk: a lock-free edit of each of their channels.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::caught::Caught;
use crate::channel::Channel;
use crate::config::Overflow;
use crate::engine::Engine;
use crate::error::Error;
use crate::event::{CloseReason, Message, Reach};
use crate::identity::Identity;
use crate::index::{Cell, Member, Members};
use crate::queue::{Bound, LEAF, Places, Publication, Pushed, Target, prefetch};
use crate::registry::SlotId;
use crate::sync::epoch;
use crate::text::Text;

/// The slots that a broadcast leaves out, asked for in the order of the members.
#[derive(Default)]
struct Skip {
    slots: SmallVec<[SlotId; 4]>,
    /// How many the walk has passed.
    passed: usize,
}

impl Skip {
    #[inline(never)]
    fn new(slots: impl Iterator<Item = SlotId>) -> Self {
        let mut slots: SmallVec<[SlotId; 4]> = slots.collect();
        slots.sort_unstable();
        Self { slots, passed: 0 }
    }

    /// The place of the first member from `place` on that is left out, or the number of members.
    fn stop(&mut self, members: &[Member], place: usize) -> usize {
        while let Some(slot) = self.slots.get(self.passed) {
            let at = place + members[place..].partition_point(|member| member.slot < *slot);
            match members.get(at) {
                Some(member) if member.slot == *slot => return at,
                // No member; the next may be one.
                Some(_) => self.passed += 1,
                // Not in this leaf.
                None => return members.len(),
            }
        }
        members.len()
    }
}

/// What pushes leave to be done when all are made.
#[derive(Default)]
pub(crate) struct After {
    /// Connections that an overflow ends.
    ended: SmallVec<[SlotId; 4]>,
    pub(crate) caught: Caught,
}

impl After {
    /// See [`Caught::attempt`].
    pub(crate) fn attempt(&mut self, work: impl FnOnce()) {
        self.caught.attempt(work);
    }

    #[inline]
    fn is_something(&self) -> bool {
        !self.ended.is_empty() || self.caught.is_some()
    }
}

/// A broadcast in slices, of which the lanes have theirs.
pub(crate) struct Begun {
    /// Members with queues of their own.
    pub(crate) members: Members,
    /// Slots to leave out, growing.
    pub(crate) excluded: SmallVec<[SlotId; 4]>,
    pub(crate) reach: Reach,
    pub(crate) caught: Caught,
}

impl<P: Send + Sync + 'static> Engine<P> {
    /// A message to broadcast, checked and weighed.
    pub(crate) fn message(
        &self,
        channel: &Channel,
        action: Text,
        params: P,
    ) -> Result<Arc<Message<P>>, Error> {
        channel.check(&self.limits)?;
        self.limits.check_name("action", &action)?;
        self.latch.check()?;
        let weight = self.weigher.as_ref().map_or(0, |(_, weigh)| weigh(&params));
        Ok(Arc::new(Message { channel: channel.clone(), action, params, weight }))
    }

    /// Delivers a message to its channel's members, if there are any.
    pub(crate) fn broadcast(
        &self,
        channel: &Channel,
        excluded: &[Identity],
        message: Arc<Message<P>>,
    ) -> Reach {
        // Pinned before the snapshot is loaded (I7).
        let _pin = epoch::pin();
        let mut message = Some(message);
        let reach = self
            .index
            .read(channel, |cell| message.take().map(|message| self.fan_out(cell, excluded, message)));
        match reach.flatten() {
            Some(reach) => reach,
            // Counted before the message is dropped.
            None => self.count(Reach::default()),
        }
    }

    /// As [`Engine::broadcast`], for a cell at hand. The caller has pinned the epoch.
    pub(crate) fn fan_out(&self, cell: &Cell, excluded: &[Identity], message: Arc<Message<P>>) -> Reach {
        let snapshot = cell.snapshot();
        let mut skip = self.skip(excluded);
        let bound = self.bound(message.weight);
        let slots = &*self.registry.slots;
        let mut targets: SmallVec<[Target<'_, P>; LEAF]> = SmallVec::new();
        let mut sleepers = Places::new();
        let mut reach = Reach::default();
        let mut after = After::default();
        if !snapshot.lanes.is_empty() {
            self.fan_out_to_lanes(&snapshot.lanes, &skip.slots, &message, &mut reach, &mut after);
        }
        let mut leaves = snapshot.members.leaves().peekable();
        let mut message = Some(message);
        while let Some(leaf) = leaves.next() {
            // The last block gets the publisher's own reference: most channels have one leaf, and a count saved is a step saved.
            let shared = if leaves.peek().is_some() { message.clone() } else { message.take() };
            let Some(shared) = shared else { break };
            let mut publication = Publication::new(shared, leaf);
            let members = leaf.members();
            targets.clear();
            for member in members {
                let queue = slots.queue(member.slot);
                prefetch(queue);
                targets.push(Target { queue, auth: member.auth });
            }
            let mut place = 0;
            while place < members.len() {
                let until = skip.stop(members, place);
                let run = publication.push_run(&targets, place..until, &bound, &mut sleepers);
                let Some((at, refused)) = run else {
                    // Past the excluded one.
                    place = until + 1;
                    continue;
                };
                place = at + 1;
                let member = &members[at];
                if refused == Pushed::Full {
                    let sent = self.overflow(&mut publication, at, member, &bound, &mut after.caught);
                    reach.refused += usize::from(!sent);
                    if !sent && self.overflow == Overflow::Close {
                        after.ended.push(member.slot);
                    }
                }
            }
            // All at once: what a wake touches is asked for before.
            let sleeper = |place: &u32| members[*place as usize].slot;
            sleepers.iter().for_each(|place| prefetch(self.registry.slot(sleeper(place))));
            for place in sleepers.drain(..) {
                // A waker is the host's own code. If one panics the others must be woken all the same: their queues say that it was done.
                after.attempt(|| self.wake(sleeper(&place)));
            }
            let unsent = publication.unsent();
            reach.reached += members.len() - unsent;
            if unsent > 0 {
                // Who gives back the last nodes drops the params.
                after.attempt(|| drop(publication));
            }
        }
        let reach = self.count(reach);
        if after.is_something() {
            // So that its panic, if it is the last one here, does not come on top of another.
            after.attempt(|| drop(message));
            self.finish_some(after);
        }
        reach
    }

    /// The slots of the excluded, as they are found now.
    #[inline]
    fn skip(&self, excluded: &[Identity]) -> Skip {
        if excluded.is_empty() {
            return Skip::default();
        }
        Skip::new(excluded.iter().flat_map(|identity| self.registry.excluded(identity)))
    }

    /// Begins a broadcast that goes on in slices: the lanes get theirs at once.
    pub(crate) fn begin(&self, channel: &Channel, excluded: &[Identity], message: &Arc<Message<P>>) -> Begun {
        // As in broadcast().
        let _pin = epoch::pin();
        let (mut reach, mut after) = (Reach::default(), After::default());
        let begun = self.index.read(channel, |cell| {
            let snapshot = cell.snapshot();
            let skip = self.skip(excluded);
            self.fan_out_to_lanes(&snapshot.lanes, &skip.slots, message, &mut reach, &mut after);
            (snapshot.members.clone(), skip.slots)
        });
        self.count(reach);
        let (members, excluded) = begun.unwrap_or_default();
        Begun { members, excluded, reach, caught: self.settle(after) }
    }

    /// Pushes the node of one member, wakes its receiver, and acts by the policy if the queue is full: what became of it.
    pub(crate) fn push_one(
        &self,
        publication: &mut Publication<P>,
        place: usize,
        member: &Member,
        bound: &Bound,
        after: &mut After,
    ) -> Pushed {
        let Member { slot, auth, .. } = *member;
        let pushed = publication.push(self.registry.slots.queue(slot), place as u32, auth, bound);
        match pushed {
            Pushed::SentToSleeper => {
                after.attempt(|| self.wake(slot));
            }
            Pushed::Full => {
                if self.overflow(publication, place, member, bound, &mut after.caught) {
                    return Pushed::Sent;
                }
                if self.overflow == Overflow::Close {
                    after.ended.push(slot);
                }
            }
            Pushed::Sent | Pushed::Closed => {}
        }
        pushed
    }

    /// Does what is left, and goes on with the panic, if there was one.
    #[inline]
    pub(crate) fn finish(&self, after: After) {
        if after.is_something() {
            self.finish_some(after);
        }
    }

    #[cold]
    fn finish_some(&self, after: After) {
        self.settle(after).go_on();
    }

    /// The same, with the panic given to the caller.
    pub(crate) fn settle(&self, mut after: After) -> Caught {
        for slot in std::mem::take(&mut after.ended) {
            after.attempt(|| _ = self.end(slot, None, CloseReason::Overflow));
        }
        after.caught
    }

    /// A queue was full: acts by the policy and says whether the message got in after all.
    #[cold]
    fn overflow(
        &self,
        publication: &mut Publication<P>,
        place: usize,
        member: &Member,
        bound: &Bound,
        caught: &mut Caught,
    ) -> bool {
        let Member { slot, auth, .. } = *member;
        let queue = self.registry.slots.queue(slot);
        let tell = |first: bool| {
            if first {
                self.observers.tell(|one| one.overflowed(&self.registry.slot(slot).peek_tenant().client));
            }
        };
        match self.overflow {
            // Told of when it ends.
            Overflow::Close => queue.close(),
            Overflow::DropNewest => tell(queue.note_lost(1)),
            Overflow::Reset => {
                // Heavier than the whole bound: nothing would be gained by a reset.
                let worth = bound.weight <= bound.bytes;
                if worth && let Some(first) = queue.reset(&self.registry.slot(slot).tally, caught) {
                    tell(first);
                    let pushed = publication.push(queue, place as u32, auth, bound);
                    // In any case: a reset may have moved control events behind the back of a receiver about to sleep.
                    caught.attempt(|| self.wake(slot));
                    match pushed {
                        Pushed::Sent | Pushed::SentToSleeper => return true,
                        Pushed::Closed => return false,
                        Pushed::Full => {}
                    }
                }
                tell(queue.note_lost(1));
            }
        }
        false
    }

    fn count(&self, reach: Reach) -> Reach {
        self.counters.broadcast(reach.reached, reach.refused);
        reach
    }
}
