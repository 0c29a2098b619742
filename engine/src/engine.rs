//! What all clones of a [`Realtime`](crate::Realtime) share, and the few steps that several operations have in common.
//!
//! The operations are in files of their own: `lifecycle.rs` (connect, identify, end), `subscriptions.rs` (changes from outside),
//! `deltas.rs` (changes by a handler), `fanout.rs` (broadcasts), `inspect.rs` (questions).

use std::fmt;
use std::sync::Arc;

use crate::caught::Caught;
use crate::channel::Channel;
use crate::config::{Limits, Overflow};
use crate::error::Error;
use crate::event::Key;
use crate::identity::{Client, Identity};
use crate::index::{Cell, ChannelIndex, OWN_QUEUE};
use crate::lane::Lanes;
use crate::observer::Observers;
use crate::queue::{Bound, Control, Entry, Pushed};
use crate::registry::{Registry, SlotId, Ticket, Tickets};
use crate::shutdown::Latch;
use crate::stats::Counters;
use crate::sync::Swap;
use crate::text::Cid;
use crate::token::KeyRing;

/// How params are weighed, if they are.
pub(crate) type Weigher<P> = Box<dyn Fn(&P) -> u64 + Send + Sync>;

/// The engine.
pub(crate) struct Engine<P> {
    pub(crate) registry: Registry<P>,
    pub(crate) index: ChannelIndex,
    pub(crate) counters: Counters,
    pub(crate) lanes: Lanes<P>,
    pub(crate) limits: Limits,
    pub(crate) overflow: Overflow,
    /// Messages that a queue holds at most.
    pub(crate) capacity: u32,
    /// Broadcasts that a lane holds at most.
    pub(crate) lane_capacity: u32,
    /// What a queue's messages weigh together at most, and how they are weighed.
    pub(crate) weigher: Option<(u64, Weigher<P>)>,
    pub(crate) keys: Swap<KeyRing>,
    pub(crate) latch: Latch,
    pub(crate) observers: Observers,
}

impl<P> fmt::Debug for Engine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realtime")
            .field("limits", &self.limits)
            .field("overflow", &self.overflow)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<P: Send + Sync + 'static> Engine<P> {
    pub(crate) fn check_key(&self, channel: &Channel, cid: &Cid) -> Result<(), Error> {
        channel.check(&self.limits)?;
        Ok(self.limits.check_name("cid", cid)?)
    }

    pub(crate) fn check_keys(&self, keys: &[Key]) -> Result<(), Error> {
        keys.iter().try_for_each(|(channel, cid)| self.check_key(channel, cid))
    }

    pub(crate) fn check_identity(&self, identity: &Identity) -> Result<(), Error> {
        Ok(identity.check(&self.limits)?)
    }

    pub(crate) fn check_client(&self, client: &Client) -> Result<(), Error> {
        Ok(client.check(&self.limits)?)
    }

    /// Queues a control event and wakes its receiver. The caller has pinned the epoch.
    pub(crate) fn tell(&self, slot: SlotId, event: Control, caught: &mut Caught) {
        let home = self.registry.slot(slot).home();
        if home == OWN_QUEUE {
            self.tell_own_queue(slot, event, caught);
        } else {
            // On the way of its broadcasts, to stay in their order.
            let born = self.registry.slot(slot).peek_tenant().born;
            self.lanes.read(home, |lane| self.post(lane, Entry::Control { slot, born, event }, caught));
        }
    }

    pub(crate) fn tell_own_queue(&self, slot: SlotId, event: Control, caught: &mut Caught) {
        if self.registry.slots.queue(slot).push_control(event) == Pushed::SentToSleeper {
            caught.attempt(|| self.wake(slot));
        }
    }

    /// How much a queue may hold beside a message of this weight.
    pub(crate) fn bound(&self, weight: u64) -> Bound {
        let (bytes, weight) = match &self.weigher {
            Some((bytes, _)) => (*bytes, weight),
            None => (u64::MAX, 0),
        };
        Bound { messages: self.capacity, bytes, weight }
    }

    /// Wakes the receiver that holds the lease now. A waker is the host's own code: call it where a panic is caught.
    pub(crate) fn wake(&self, slot: SlotId) {
        self.registry.slot(slot).peek_tenant().parker.wake();
    }

    /// Tells a slot that bindings on one channel are gone.
    pub(crate) fn tell_dropped(&self, slot: SlotId, channel: &Channel, cids: Vec<Cid>, caught: &mut Caught) {
        if !cids.is_empty() {
            let keys = cids.into_iter().map(|cid| (channel.clone(), cid)).collect();
            self.tell(slot, Control::Unsubscribed(keys), caught);
        }
    }
}

/// The records that an edit made before its swap, to be forgotten if it did not make the slot a member after all (I3).
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    attempt: usize,
    records: Vec<(usize, SlotId, Arc<Cell>, Ticket)>,
}

impl Recorded {
    /// Called first in every attempt of the edit.
    pub(crate) fn begin(&mut self) {
        self.attempt += 1;
    }

    /// Records the channel in the slot's own set. False: the connection has ended, leave it out.
    pub(crate) fn record<P: Send + Sync + 'static>(
        &mut self,
        engine: &Engine<P>,
        slot: SlotId,
        cell: &Arc<Cell>,
    ) -> bool {
        let place = engine.registry.slot(slot);
        let ticket = place.new_ticket();
        let open = place.joined.record(cell, ticket);
        if open {
            self.records.push((self.attempt, slot, Arc::clone(cell), ticket));
        }
        open
    }

    /// Called after the edit: forgets all records but those of the attempt that succeeded, for slots that it made members.
    pub(crate) fn settle<P: Send + Sync + 'static>(
        self,
        engine: &Engine<P>,
        became_member: impl Fn(SlotId) -> bool,
    ) {
        for (attempt, slot, cell, ticket) in self.records {
            if attempt != self.attempt || !became_member(slot) {
                engine.registry.slot(slot).joined.forget(cell.id, &[ticket]);
            }
        }
    }
}

/// The records of a slot that an edit is about to remove from a channel, as they were read before the swap (I3).
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    slot: SlotId,
    tickets: Tickets,
}

impl Leaving {
    pub(crate) fn new<P: Send + Sync + 'static>(engine: &Engine<P>, slot: SlotId, cell: &Cell) -> Self {
        Self { slot, tickets: engine.registry.slot(slot).joined.tickets(cell) }
    }

    /// After the swap.
    pub(crate) fn forget<P: Send + Sync + 'static>(&self, engine: &Engine<P>, cell: &Cell) {
        engine.registry.slot(self.slot).joined.forget(cell.id, &self.tickets);
    }
}

#[cfg(all(test, not(holocast_loom)))]
mod tests {
    use super::*;
    use crate::index::always;
    use crate::{Client, Realtime};

    #[test]
    fn i3_of_several_attempts_only_the_last_ones_records_stay() {
        let realtime = Realtime::<()>::new();
        let engine = &realtime.engine;
        let connection = realtime.connect(&Client::new("a")).unwrap().connection;
        let slot = connection.slot();
        let mut cell = None;
        engine.index.edit::<()>(&Channel::atom("c"), always, |found, _, _| {
            cell = Some(Arc::clone(found));
            None
        });
        let cell = cell.unwrap();
        let remembered = |attempts: &[bool], became_member: bool| {
            let mut recorded = Recorded::default();
            for records in attempts {
                recorded.begin();
                assert!(!records || recorded.record(engine, slot, &cell));
            }
            recorded.settle(engine, |_| became_member);
            engine.registry.slot(slot).joined.tickets(&cell).len()
        };
        assert_eq!(remembered(&[true, false], true), 0);
        assert_eq!(remembered(&[true], false), 0);
        assert_eq!(remembered(&[true, true], true), 1);
    }
}
