//! Broadcasts: look the channel up, load its snapshot, walk its leaves, push one node per member (rules B1 to B4).
//!
//! Progress: lock-free. The walk uses the snapshot that it loaded and waits for no change of the subscriptions; a push retries only
//! when another push, take, park or close of the same queue succeeded. Under `Overflow::Close` the publisher also ends the
//! connections whose queue was full, after the walk: a lock-free edit of each of their channels.

use std::mem;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::channel::Channel;
use crate::config::Overflow;
use crate::engine::Engine;
use crate::event::{CloseReason, Message, Reach};
use crate::identity::Identity;
use crate::index::{Cell, Member};
use crate::queue::{Bound, Publication, Pushed, Queue, prefetch};
use crate::registry::{SlotId, Slots};
use crate::sync::epoch;

/// How many queues ahead of the push are asked for: memory latency over the cost of one push.
const AHEAD: usize = 8;

/// Members with their queues, each queue looked up and asked for some pushes before it is needed.
fn approached<'a, P: Send + Sync + 'static>(
    slots: &'a Slots<P>,
    members: &'a [Member],
) -> impl Iterator<Item = (&'a Member, &'a Queue<P>)> {
    let approach = |member: &Member| {
        let queue = slots.queue(member.slot);
        prefetch(queue);
        queue
    };
    let mut ahead = members.iter();
    let mut near: [Option<&Queue<P>>; AHEAD] = std::array::from_fn(|_| ahead.next().map(approach));
    members.iter().enumerate().map_while(move |(place, member)| {
        let near = &mut near[place % AHEAD];
        Some((member, mem::replace(near, ahead.next().map(approach))?))
    })
}

impl<P: Send + Sync + 'static> Engine<P> {
    /// Delivers a message to its channel's members, if there are any.
    pub(crate) fn broadcast(
        &self,
        channel: &Channel,
        excluded: &[Identity],
        message: Arc<Message<P>>,
    ) -> Reach {
        // Pinned before the snapshot is loaded (I7).
        let _pin = epoch::pin();
        match self.index.read(channel, |cell| self.fan_out(cell, excluded, message)) {
            Some(reach) => reach,
            None => self.count(Reach::default()),
        }
    }

    /// As [`Engine::broadcast`], for a cell at hand. The caller has pinned the epoch.
    pub(crate) fn fan_out(&self, cell: &Cell, excluded: &[Identity], message: Arc<Message<P>>) -> Reach {
        let snapshot = cell.snapshot();
        let mut skip: SmallVec<[SlotId; 4]> = SmallVec::new();
        if !excluded.is_empty() {
            skip.extend(excluded.iter().flat_map(|identity| self.registry.excluded(identity)));
            skip.sort_unstable();
        }
        let (bytes, weight) = match &self.weigher {
            Some((bytes, _)) => (*bytes, message.weight),
            None => (u64::MAX, 0),
        };
        let bound = Bound { messages: self.capacity, bytes, weight };
        let slots = &*self.registry.slots;
        let mut reach = Reach::default();
        let mut ended: SmallVec<[SlotId; 4]> = SmallVec::new();
        let mut leaves = snapshot.members.leaves().peekable();
        let mut message = Some(message);
        while let Some(leaf) = leaves.next() {
            // The last block gets the publisher's own reference: most channels have one leaf, and a count saved is a step saved.
            let shared = if leaves.peek().is_some() { message.clone() } else { message.take() };
            let Some(shared) = shared else { break };
            let mut publication = Publication::new(shared, leaf);
            for (place, (member, queue)) in approached(slots, leaf.members()).enumerate() {
                if !skip.is_empty() && skip.binary_search(&member.slot).is_ok() {
                    continue;
                }
                match publication.push(queue, place as u32, member.auth, &bound) {
                    Pushed::Sent => reach.reached += 1,
                    Pushed::SentToSleeper => {
                        reach.reached += 1;
                        self.wake(member.slot);
                    }
                    Pushed::Closed => {}
                    Pushed::Full => {
                        let sent =
                            self.overflow(&mut publication, member.slot, place as u32, member.auth, &bound);
                        match sent {
                            true => reach.reached += 1,
                            false => reach.refused += 1,
                        }
                        if !sent && self.overflow == Overflow::Close {
                            ended.push(member.slot);
                        }
                    }
                }
            }
        }
        for slot in ended {
            self.end(slot, None, CloseReason::Overflow);
        }
        self.count(reach)
    }

    /// A queue was full: acts by the policy and says whether the message got in after all.
    #[cold]
    fn overflow(
        &self,
        publication: &mut Publication<P>,
        slot: SlotId,
        place: u32,
        auth: u32,
        bound: &Bound,
    ) -> bool {
        let queue = self.registry.slots.queue(slot);
        match self.overflow {
            Overflow::Close => queue.close(),
            Overflow::DropNewest => queue.note_refused(),
            Overflow::Reset => {
                // Heavier than the whole bound: nothing would be gained by a reset.
                if bound.weight <= bound.bytes && queue.reset(&self.registry.slot(slot).tally) {
                    let pushed = publication.push(queue, place, auth, bound);
                    // In any case: a reset may have moved control events behind the back of a receiver about to sleep.
                    self.wake(slot);
                    match pushed {
                        Pushed::Sent | Pushed::SentToSleeper => return true,
                        Pushed::Closed => return false,
                        Pushed::Full => {}
                    }
                }
                queue.note_refused();
            }
        }
        false
    }

    fn count(&self, reach: Reach) -> Reach {
        self.counters.broadcast(reach.reached, reach.refused);
        reach
    }
}
