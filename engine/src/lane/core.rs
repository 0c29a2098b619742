//! What publishers and the consumer of a lane share, and what publishers do with it.
//!
//! A connection is *at home* on the lane on which it was first connected, for its whole tenancy: its memberships stand with those of
//! the lane in every snapshot, and everything that is sent to it goes through the lane's queue. When another receiver takes it over
//! (rule C3) it is *away*: its gate is shut, and the consumer of the lane, when it takes an entry, forwards what is for it to the
//! connection's own queue, where the new receiver takes it.
//!
//! * **L1** One way at a time: what is sent to a connection at home on a lane passes the lane's queue first, always, and is either handed
//!   out from there or forwarded, in the order of that queue. So moving a connection reorders nothing (rule B4).
//! * **L2** The consumer decides once for each entry and connection whether to forward: when it takes the entry, and the batch keeps the
//!   list. So a supersede meanwhile neither loses nor doubles it (rule B5): what was taken is the old receiver's, the rest the new one's.
//! * **L3** `away` is raised with a gate that is shut for it, and lowered by the end of the tenancy or by the one who finds that it has
//!   ended: both change the same atomic, so it is lowered once. The consumer skips the search when the count is zero: who was counted
//!   before an entry was pushed is seen with the entry; of another one the entry may be the old receiver's (L2).
//! * **L4** A lane without a consumer lives on while connections are at home on it: who pushes to it forwards what it holds ([`Engine::drain`]).
//!   So its queue is empty when it goes: the last push found it parked and drained it, or left that to who was draining.
//! * **L5** A loss is told to whoever the receiver is. An overflow counts it, then tells those whom it finds away. A takeover shuts the
//!   gate, then tells the new receiver what is counted. So one of both does, or both, unless the consumer took the count in between:
//!   it looks whose takeover is between these two steps, and if it finds the gate open, the lane was told before the takeover.

use std::fmt;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use smallvec::SmallVec;

use crate::caught::Caught;
use crate::config::Overflow;
use crate::engine::Engine;
use crate::event::{CloseReason, Message, Reach};
use crate::fanout::After;
use crate::index::{LaneId, OWN_QUEUE, OnLane};
use crate::queue::{
    Control, Entry, Opened, Parcel, Parked, Parker, Publication, Pushed, Queue, Taken, Tally,
};
use crate::registry::{Shut, SlotId, Slots, State, Tenant};
use crate::stats::Stats;
use crate::sync::{AtomicU32, AtomicU64, MODEL, Map, Ordering, epoch, spin};

/// The lease of every lane's queue: it has one consumer, ever.
pub(super) const LEASE: u32 = 1;

/// Lanes that have counters of their own; more of them share.
const SHARDS: usize = if MODEL { 1 } else { 16 };

/// Deliveries, counted: not with the lane, as they stay when it is gone.
#[derive(Debug, Default)]
struct Counts {
    /// Written by publishers.
    accepted: CachePadded<AtomicU64>,
    /// Written by who takes.
    taken: CachePadded<AtomicU64>,
    /// Given on to connections' own queues, which count them from then on.
    forwarded: AtomicU64,
    withheld: AtomicU64,
    released: AtomicU64,
}

impl Counts {
    fn add_to(&self, stats: &mut Stats) {
        // Relaxed, all of them: counts. What was accepted is read last, so that it is not less than what became of it.
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (taken, forwarded) = (get(&self.taken), get(&self.forwarded));
        let (withheld, released) = (get(&self.withheld), get(&self.released));
        stats.taken += taken;
        stats.withheld += withheld;
        stats.released += released;
        stats.queued += get(&self.accepted).saturating_sub(taken + forwarded + withheld + released);
    }
}

/// What became of deliveries of a lane.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Settled {
    pub(super) taken: u64,
    pub(super) forwarded: u64,
    pub(super) withheld: u64,
    pub(super) released: u64,
}

impl Settled {
    /// Those that a consumer found in a batch.
    pub(super) fn deliveries(self) -> usize {
        (self.taken + self.withheld + self.released) as usize
    }
}

/// See the module's text.
pub(crate) struct LaneCore<P> {
    id: LaneId,
    pub(super) queue: Queue<P>,
    pub(super) parker: Parker,
    pub(super) slots: Arc<Slots<P>>,
    /// Connections at home here whose gate is shut for being away (L3).
    away: CachePadded<AtomicU64>,
    /// Tenancies at home here, and the consumer.
    homes: AtomicU64,
    /// 1 when the consumer is gone (L4).
    orphan: AtomicU32,
    /// Who forwards for an orphan, and how many came meanwhile.
    drainers: AtomicU64,
    /// Of all lanes: see [`LaneCore::counts`].
    shards: Arc<[Counts]>,
}

impl<P> fmt::Debug for LaneCore<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneCore").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<P> LaneCore<P> {
    pub(crate) fn id(&self) -> LaneId {
        self.id
    }

    /// Where this lane counts; few lanes share it.
    fn counts(&self) -> &Counts {
        &self.shards[self.id as usize % SHARDS]
    }

    /// One more connection is at home here.
    pub(crate) fn move_in(&self) {
        // Relaxed: the caller keeps the lane by its own share.
        self.homes.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether any connection at home here may be away.
    pub(super) fn has_away(&self) -> bool {
        // Relaxed, as all its changes: ordered by the queue's word (L3).
        self.away.load(Ordering::Relaxed) > 0
    }

    pub(super) fn settle(&self, settled: Settled) {
        // Relaxed: counts. A batch may be dropped by any thread.
        let add = |counter: &AtomicU64, more: u64| {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        };
        let counts = self.counts();
        add(&counts.taken, settled.taken);
        add(&counts.forwarded, settled.forwarded);
        add(&counts.withheld, settled.withheld);
        add(&counts.released, settled.released);
    }
}

/// All lanes that have a consumer or a connection at home.
pub(crate) struct Lanes<P> {
    lanes: Map<LaneId, Arc<LaneCore<P>>>,
    next: AtomicU32,
    shards: Arc<[Counts]>,
}

impl<P: Send + Sync + 'static> Lanes<P> {
    pub(crate) fn new() -> Self {
        Self {
            lanes: Map::with_capacity(0),
            next: AtomicU32::new(OWN_QUEUE + 1),
            shards: (0..SHARDS).map(|_| Counts::default()).collect(),
        }
    }

    pub(super) fn open(&self, slots: &Arc<Slots<P>>) -> Arc<LaneCore<P>> {
        loop {
            // Relaxed: unique is all it must be, among the lanes there are.
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let queue = Queue::new();
            queue.open();
            queue.set_lease(LEASE, 0);
            let core = Arc::new(LaneCore {
                id,
                queue,
                parker: Parker::new(),
                slots: Arc::clone(slots),
                away: CachePadded::new(AtomicU64::new(0)),
                homes: AtomicU64::new(1),
                orphan: AtomicU32::new(0),
                drainers: AtomicU64::new(0),
                shards: Arc::clone(&self.shards),
            });
            // After four billion lanes numbers come again.
            if id != OWN_QUEUE
                && Arc::ptr_eq(&self.lanes.get_or_insert_with(&id, || Arc::clone(&core)), &core)
            {
                return core;
            }
        }
    }

    /// Calls `f` with the lane, if it is there.
    pub(crate) fn read<R>(&self, id: LaneId, f: impl FnOnce(&Arc<LaneCore<P>>) -> R) -> Option<R> {
        self.lanes.read(&id, f)
    }

    /// A connection at home on the lane has ended, or its consumer is gone.
    pub(super) fn leave(&self, id: LaneId) {
        // AcqRel: the last one sees all that the others did.
        if self.read(id, |lane| lane.homes.fetch_sub(1, Ordering::AcqRel) == 1) == Some(true) {
            self.lanes.remove_if(&id, |lane| lane.homes.load(Ordering::Acquire) == 0);
        }
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        self.shards.iter().for_each(|counts| counts.add_to(stats));
    }
}

impl<P: Send + Sync + 'static> Engine<P> {
    /// One entry for each lane with members on the channel, whatever their number. The caller has pinned the epoch.
    #[inline(never)]
    pub(crate) fn fan_out_to_lanes(
        &self,
        lanes: &[OnLane],
        excluded: &[SlotId],
        message: &Arc<Message<P>>,
        reach: &mut Reach,
        after: &mut After,
    ) {
        for OnLane { lane, members } in lanes {
            let mut skipped: SmallVec<[SlotId; 4]> =
                excluded.iter().copied().filter(|slot| members.get(*slot).is_some()).collect();
            skipped.dedup();
            let parcel = Parcel { message: Arc::clone(message), members: members.clone(), excluded: skipped };
            let deliveries = parcel.deliveries();
            if deliveries == 0 {
                continue;
            }
            let sent = self.lanes.read(*lane, |lane| {
                let (sent, wake) =
                    match lane.queue.push_entry(Entry::Broadcast(parcel), self.lane_capacity as usize) {
                        Ok(pushed) => (true, pushed == Pushed::SentToSleeper),
                        Err((_, entry)) => self.lane_overflow(lane, entry, &mut after.caught),
                    };
                if sent {
                    // Relaxed: a count.
                    lane.counts().accepted.fetch_add(deliveries as u64, Ordering::Relaxed);
                }
                if wake {
                    after.attempt(|| self.wake_lane(lane));
                }
                sent
            });
            match sent {
                Some(true) => reach.reached += deliveries,
                Some(false) => reach.refused += deliveries,
                // The last of its connections has just ended.
                None => {}
            }
        }
    }

    /// A lane was full: acts by the policy; whether the entry got in after all, and whether to wake the consumer.
    #[cold]
    fn lane_overflow(&self, lane: &LaneCore<P>, entry: Entry<P>, caught: &mut Caught) -> (bool, bool) {
        let tell = |first: bool| {
            if first {
                self.observers.tell(|one| one.lane_overflowed());
            }
        };
        let note_away = |entry: &Entry<P>| {
            if let Entry::Broadcast(parcel) = entry {
                self.for_each_away(lane, parcel, |slot| _ = self.registry.slots.queue(slot).note_lost(1));
            }
        };
        // In this order, as depart() has the opposite one: what one of both does the other sees (L5).
        let refuse = |entry: &Entry<P>| {
            let first = lane.queue.note_lost(1);
            note_away(entry);
            tell(first);
        };
        let dropped = if self.overflow == Overflow::DropNewest { None } else { lane.queue.reset_to() };
        let Some((dropped, first)) = dropped else {
            refuse(&entry);
            return (false, false);
        };
        tell(first);
        for opened in dropped {
            if let Opened::Entry(node) = &opened {
                note_away(&node.entry);
                lane.settle(Settled { released: node.entry.deliveries() as u64, ..Settled::default() });
            }
            caught.attempt(|| drop(opened));
        }
        // Woken in any case: a reset may have moved control events behind the back of a consumer about to sleep.
        match lane.queue.push_entry(entry, self.lane_capacity as usize) {
            Ok(_) => (true, true),
            Err((_, entry)) => {
                refuse(&entry);
                (false, true)
            }
        }
    }

    /// Queues an entry that is no broadcast.
    pub(crate) fn post(&self, lane: &LaneCore<P>, entry: Entry<P>, caught: &mut Caught) {
        // Never refused: it is no broadcast, and a lane's queue is never closed.
        if matches!(lane.queue.push_entry(entry, usize::MAX), Ok(Pushed::SentToSleeper)) {
            caught.attempt(|| self.wake_lane(lane));
        }
    }

    /// Wakes who consumes the lane.
    fn wake_lane(&self, lane: &LaneCore<P>) {
        // Acquire: pairs with Release in abandon(), by way of the queue's word if the lane was parked after it.
        match lane.orphan.load(Ordering::Acquire) {
            0 => lane.parker.wake(),
            _ => self.drain(lane).go_on(),
        }
    }

    /// Another receiver took over a connection: from here on its lane forwards (L1), and tells the old one.
    pub(crate) fn depart(&self, slot: SlotId, caught: &mut Caught) {
        let home = self.registry.slot(slot).home();
        if home == OWN_QUEUE {
            return;
        }
        let gates = self.registry.slots.gates(slot);
        self.lanes.read(home, |lane| {
            lane.away.fetch_add(1, Ordering::Relaxed);
            let was = gates.shut(slot, Shut::Away);
            if was.is_away() || was.has_ended() {
                lane.away.fetch_sub(1, Ordering::Relaxed);
            } else {
                // What the lane lost and nobody was told of yet, the new receiver must know (L5).
                self.registry.slots.queue(slot).note_lost(lane.queue.lost());
                gates.shut(slot, Shut::Told);
            }
            if was.is_open() {
                let (token, born) = (gates.token(slot), self.registry.slot(slot).peek_tenant().born);
                self.post(lane, Entry::Closed { slot, born, token, reason: CloseReason::Superseded }, caught);
            }
        });
    }

    /// The lane is told of a loss: so is the new receiver of a connection whose takeover is under way (L5).
    pub(super) fn pass_on_loss(&self, slot: SlotId, born: u32, broadcasts: u64) {
        let untold = self.registry.slots.gates(slot).state(slot).is_away_untold();
        if untold && self.registry.slot(slot).peek_tenant().born == born {
            self.registry.slots.queue(slot).note_lost(broadcasts);
        }
    }

    /// The tenancy at home on a lane ends: shuts its gate. Returns the token to tell the end to, if that is still served on the lane.
    pub(crate) fn leave_lane(&self, slot: SlotId) -> Option<u64> {
        let gates = self.registry.slots.gates(slot);
        let was = gates.shut(slot, Shut::Ended);
        if was.is_away() {
            self.lanes
                .read(self.registry.slot(slot).home(), |lane| lane.away.fetch_sub(1, Ordering::Relaxed));
        }
        was.is_open().then(|| gates.token(slot))
    }

    /// Shuts the gate of a tenancy whose end another call has begun, and tells the lane, if it is at home on one: so that nothing is handed out any
    /// more by the time that its instance has a new connection (B2). The caller has pinned the epoch.
    pub(crate) fn leave_lane_early(&self, slot: SlotId, tenant: &Tenant, caught: &mut Caught) {
        if self.registry.slot(slot).home() != OWN_QUEUE
            && let Some(token) = self.leave_lane(slot)
            && let State::Closed(reason) = tenant.state
        {
            self.tell_end(slot, tenant, token, reason, caught);
        }
    }

    fn tell_end(&self, slot: SlotId, tenant: &Tenant, token: u64, reason: CloseReason, caught: &mut Caught) {
        let closed = Entry::Closed { slot, born: tenant.born, token, reason };
        self.lanes.read(self.registry.slot(slot).home(), |lane| self.post(lane, closed, caught));
    }

    /// The rest of [`Engine::leave_lane`], when everything else has ended.
    pub(crate) fn left_lane(
        &self,
        slot: SlotId,
        tenant: &Tenant,
        token: Option<u64>,
        reason: CloseReason,
        caught: &mut Caught,
    ) {
        if let Some(token) = token {
            self.tell_end(slot, tenant, token, reason, caught);
        }
        self.lanes.leave(self.registry.slot(slot).home());
    }

    /// Calls `f` for each member of the parcel that is away. The caller has pinned the epoch.
    fn for_each_away(&self, lane: &LaneCore<P>, parcel: &Parcel<P>, mut f: impl FnMut(SlotId)) {
        if lane.has_away() {
            let members = parcel.members.leaves().flat_map(|leaf| leaf.members());
            members
                .filter(|member| self.registry.slots.gates(member.slot).state(member.slot).is_away())
                .filter(|member| parcel.excluded.binary_search(&member.slot).is_err())
                .filter(|member| self.registry.slot(member.slot).peek_tenant().is_of(member.auth))
                .for_each(|member| f(member.slot));
        }
    }

    /// Gives those who are away their share of a parcel, on their own queues. Returns who they are, in order (L2). Called by the one
    /// who consumes the lane.
    pub(super) fn forward(&self, lane: &LaneCore<P>, parcel: &Parcel<P>) -> (SmallVec<[SlotId; 4]>, Caught) {
        let mut forwarded = SmallVec::new();
        if !lane.has_away() {
            return (forwarded, Caught::default());
        }
        // Pinned before a tenant is looked at: a slot whose tenant lives then gets no other before the push (I7).
        let _pin = epoch::pin();
        let bound = self.bound(parcel.message.weight);
        let mut settled = Settled::default();
        let mut after = After::default();
        for leaf in parcel.members.leaves() {
            let mut publication = None;
            for (place, member) in leaf.members().iter().enumerate() {
                let slot = member.slot;
                if !self.registry.slots.gates(slot).state(slot).is_away()
                    || parcel.excluded.binary_search(&slot).is_ok()
                {
                    continue;
                }
                let tenant = self.registry.tenant(slot);
                if !tenant.is_live() || !tenant.is_of(member.auth) {
                    continue;
                }
                forwarded.push(slot);
                let publication =
                    publication.get_or_insert_with(|| Publication::new(Arc::clone(&parcel.message), leaf));
                match self.push_one(publication, place, member, &bound, &mut after) {
                    Pushed::Sent | Pushed::SentToSleeper => settled.forwarded += 1,
                    Pushed::Full | Pushed::Closed => settled.released += 1,
                }
            }
        }
        lane.settle(settled);
        (forwarded, self.settle(after))
    }

    /// Hands a control event of a connection that is away on to its own queue; gives back that of another, if its tenancy goes on. The
    /// caller has pinned the epoch.
    pub(super) fn forward_control(
        &self,
        slot: SlotId,
        born: u32,
        event: Control,
        caught: &mut Caught,
    ) -> Option<Control> {
        let tenant = self.registry.slot(slot).peek_tenant();
        if !tenant.is_live() || tenant.born != born {
            return None;
        }
        if self.registry.slots.gates(slot).state(slot).is_away() {
            self.tell_own_queue(slot, event, caught);
            return None;
        }
        Some(event)
    }

    /// The consumer of a lane is gone, and its connections have ended: others take care of those that are away (L4).
    pub(super) fn abandon(&self, lane: &LaneCore<P>) -> Caught {
        // Release: pairs with Acquire in wake_lane().
        lane.orphan.store(1, Ordering::Release);
        let caught = self.drain(lane);
        self.lanes.leave(lane.id);
        caught
    }

    /// Forwards all that an orphan holds. One thread at a time, so that the order stays (L1); who comes second leaves it to the first,
    /// which looks again.
    #[cold]
    fn drain(&self, lane: &LaneCore<P>) -> Caught {
        let mut caught = Caught::default();
        // AcqRel: the queue's consumer changes hands.
        if lane.drainers.fetch_add(1, Ordering::AcqRel) > 0 {
            return caught;
        }
        let tally = Tally::new();
        let mut seen = 1;
        loop {
            match lane.queue.take(LEASE, &tally) {
                Taken::Entry(node) => {
                    // A panic in between would leave the lane to nobody.
                    caught.attempt(|| self.serve_orphan(lane, node.entry));
                    continue;
                }
                Taken::Busy => {
                    spin();
                    continue;
                }
                // A note of a reset; the rest is not in a lane.
                Taken::Lagged(_) | Taken::Delivery(_) | Taken::Control(_) => continue,
                Taken::Empty | Taken::Closed | Taken::Superseded => {}
            }
            // The next push finds it parked and comes here (see `Parker`).
            if lane.queue.park() != Parked::Yes {
                continue;
            }
            match lane.drainers.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return caught,
                Err(now) => seen = now,
            }
        }
    }

    fn serve_orphan(&self, lane: &LaneCore<P>, entry: Entry<P>) {
        match entry {
            Entry::Broadcast(parcel) => {
                let (forwarded, mut caught) = self.forward(lane, &parcel);
                let released = (parcel.deliveries() - forwarded.len()) as u64;
                lane.settle(Settled { released, ..Settled::default() });
                caught.attempt(|| drop(parcel));
                caught.go_on();
            }
            Entry::Control { slot, born, event } => {
                let _pin = epoch::pin();
                let mut caught = Caught::default();
                drop(self.forward_control(slot, born, event, &mut caught));
                caught.go_on();
            }
            Entry::Shutdown { slot, born } => self.shut_down_one(slot, born),
            // Of those who are gone.
            Entry::Closed { .. } | Entry::Ready(_) => {}
        }
    }
}
