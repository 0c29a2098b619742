//! Connections: connect, reconnect, supersede, identify, end (rules C1 to C6).
//!
//! A tenancy changes only by a compare-and-swap of the slot's tenant. Each change works through the same steps: claim the new
//! identities, swap the tenant, tell the queue, unclaim the old ones, then visit the channels.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::caught::Caught;
use crate::connection::Connection;
use crate::engine::{Engine, Leaving, Recorded};
use crate::error::Error;
use crate::event::{CloseReason, Key};
use crate::identity::{Client, Identity};
use crate::index::{Cell, OWN_QUEUE, Snapshot, always};
use crate::lane::LaneCore;
use crate::queue::{Control, Parker};
use crate::receipt::Receipt;
use crate::registry::{MAX_SLOTS, Shut, SlotId, State, Tenant};
use crate::sync::epoch;
use crate::text::Cid;

/// What [`Realtime::connect`](crate::Realtime::connect) and [`Realtime::reconnect`](crate::Realtime::reconnect) return.
///
/// ```
/// use holocast::{Client, Connected, Realtime};
///
/// let realtime = Realtime::<String>::new();
/// let Connected { connection, receipts, superseded } = realtime.connect(&Client::new("tab-1"))?;
/// assert_eq!((connection.instance().as_str(), receipts.len(), superseded), ("tab-1", 0, false));
/// # Ok::<(), holocast::Error>(())
/// ```
#[derive(Debug)]
pub struct Connected<P: Send + Sync + 'static> {
    /// The receiving half.
    pub connection: Connection<P>,
    /// Fresh receipts for all bindings in force, by channel and cid.
    pub receipts: Vec<Receipt>,
    /// Whether it took the place of a live connection of the same instance (rule C3).
    pub superseded: bool,
}

/// A connection that was made, or taken over, before it has a receiving half.
pub(crate) struct Attached {
    pub(crate) slot: SlotId,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) superseded: bool,
    /// Of a waker: goes on when the receiving half is made, which ends the connection with it.
    pub(crate) caught: Caught,
}

impl<P: Send + Sync + 'static> Engine<P> {
    pub(crate) fn connect(
        self: &Arc<Self>,
        client: &Client,
        receipts: &[Receipt],
    ) -> Result<Connected<P>, Error> {
        let Attached { slot, tenant, receipts, superseded, caught } = self.attach(client, receipts, None)?;
        let connection = Connection::new(Arc::clone(self), slot, &tenant, !superseded);
        caught.go_on();
        Ok(Connected { connection, receipts, superseded })
    }

    /// Makes a connection for the client, or takes its place in the one that it has. A new one is at home on the lane, if one is given.
    pub(crate) fn attach(
        &self,
        client: &Client,
        receipts: &[Receipt],
        lane: Option<(&LaneCore<P>, u64)>,
    ) -> Result<Attached, Error> {
        self.check_client(client)?;
        self.latch.check()?;
        let _pin = epoch::pin();
        let mut caught = Caught::default();
        loop {
            match self.registry.instance(client.instance()) {
                Some(slot) => {
                    let tenant = self.registry.slot(slot).tenant();
                    if !tenant.is_live() {
                        // Its end is on the way; the name is free as soon as nothing more reaches it (as in `end`).
                        self.registry.slots.queue(slot).close();
                        self.leave_lane_early(slot, &tenant, &mut caught);
                        self.leave_name(slot, &tenant);
                    } else if let Some(mut attached) = self.supersede(client, slot, &tenant) {
                        self.observers.tell(|one| one.connected(client, true));
                        attached.caught.add(caught);
                        return Ok(attached);
                    }
                }
                None => {
                    let Some((slot, tenant)) = self.move_in(client, lane)? else { continue };
                    let restore = || self.restore(slot, &tenant, receipts);
                    let restored = catch_unwind(AssertUnwindSafe(restore));
                    self.observers.tell(|one| one.connected(client, false));
                    if self.latch.was_shut_before() {
                        self.move_out(slot, &tenant, lane.is_some());
                        return Err(Error::ShutDown);
                    }
                    let mut fresh = restored.unwrap_or_else(|panic| {
                        // Of the clock: there is no receiving half that could end the tenancy.
                        self.move_out(slot, &tenant, lane.is_some());
                        resume_unwind(panic)
                    });
                    fresh.sort_by(|a, b| (a.channel(), a.cid()).cmp(&(b.channel(), b.cid())));
                    return Ok(Attached { slot, tenant, receipts: fresh, superseded: false, caught });
                }
            }
        }
    }

    /// A slot of its own for a client; `None` if another connection of the instance was faster.
    fn move_in(
        &self,
        client: &Client,
        lane: Option<(&LaneCore<P>, u64)>,
    ) -> Result<Option<(SlotId, Arc<Tenant>)>, Error> {
        let slots = &self.registry.slots;
        let slot = slots.allocate().ok_or(Error::TooManyConnections { limit: MAX_SLOTS })?;
        let (place, queue) = (slots.slot(slot), slots.queue(slot));
        place.prepare(lane.map_or(OWN_QUEUE, |(lane, _)| lane.id()));
        let last = place.tenant();
        let auth = last.auth + 1;
        let tenant = Arc::new(Tenant {
            client: client.clone(),
            ticket: place.new_ticket(),
            generation: last.generation.wrapping_add(1),
            auth,
            born: auth,
            state: State::Live,
            parker: Arc::new(Parker::new()),
        });
        // In this order: whoever finds the queue open finds this lease or a later one (`Queue::serves`).
        queue.set_lease(tenant.generation, tenant.auth);
        queue.open();
        if let Some((lane, token)) = lane {
            lane.move_in();
            slots.gates(slot).open(slot, auth, token);
        }
        // Before the tenant is seen to live (I2).
        self.registry.claim(client, slot, tenant.ticket);
        place.replace_tenant(&last, Arc::clone(&tenant));
        if self.registry.enter(client.instance(), slot) {
            return Ok(Some((slot, tenant)));
        }
        self.move_out(slot, &tenant, lane.is_some());
        Ok(None)
    }

    /// Ends a tenancy that has no receiving half yet. Nobody was told of it, so nobody is told of its end.
    fn move_out(&self, slot: SlotId, tenant: &Tenant, on_lane: bool) {
        if on_lane {
            self.end_muted(slot, tenant.generation);
        } else {
            self.let_go(slot, tenant.generation);
        }
    }

    /// Takes over a live connection's slot (rule C3); `None` if its tenancy changed meanwhile.
    fn supersede(&self, client: &Client, slot: SlotId, old: &Arc<Tenant>) -> Option<Attached> {
        let next = Tenant {
            client: client.clone(),
            generation: old.generation.wrapping_add(1),
            parker: Arc::new(Parker::new()),
            ..Tenant::clone(old)
        };
        // For the new receiving half, before anybody can end its tenancy.
        if !self.registry.slot(slot).hold() {
            return None;
        }
        let Some(tenant) = self.change_tenant(slot, old, next) else {
            let mut caught = Caught::default();
            self.let_go_of_slot(slot, &mut caught);
            // Of messages that have nothing to do with this client.
            caught.forget();
            return None;
        };
        let mut caught = Caught::default();
        // In any case: the old receiver may be about to sleep under its own parker.
        caught.attempt(|| old.parker.wake());
        self.depart(slot, &mut caught);
        let (receipts, dropped) = self.renew(slot);
        if !dropped.is_empty() {
            self.tell(slot, Control::Unsubscribed(dropped), &mut caught);
        }
        Some(Attached { slot, tenant, receipts, superseded: true, caught })
    }

    /// Swaps a live tenant's state, with the identity index and the queue kept in step (I2, I4, I6).
    fn change_tenant(&self, slot: SlotId, old: &Arc<Tenant>, mut next: Tenant) -> Option<Arc<Tenant>> {
        let place = self.registry.slot(slot);
        next.ticket = place.new_ticket();
        next.auth = old.auth + u32::from(old.client.user() != next.client.user());
        let next = Arc::new(next);
        self.registry.claim(&next.client, slot, next.ticket);
        if !place.replace_tenant(old, Arc::clone(&next)) {
            self.registry.unclaim(&next.client, slot, next.ticket);
            return None;
        }
        self.registry.announce(slot, &next);
        self.registry.unclaim(&old.client, slot, old.ticket);
        Some(next)
    }

    /// Restores the bindings of valid receipts (rule C2).
    fn restore(&self, slot: SlotId, tenant: &Arc<Tenant>, receipts: &[Receipt]) -> Vec<Receipt> {
        let mut seen = HashSet::new();
        receipts
            .iter()
            .filter(|receipt| {
                seen.insert((
                    receipt.channel(),
                    receipt.cid(),
                    receipt.stamp(),
                    receipt.user(),
                    receipt.session(),
                ))
            })
            .filter_map(|receipt| self.restore_one(slot, tenant, receipt))
            .fold(Vec::new(), |mut fresh: Vec<Receipt>, receipt| {
                // Two valid receipts of one binding: the later one counts.
                fresh.retain(|known| (known.channel(), known.cid()) != (receipt.channel(), receipt.cid()));
                fresh.push(receipt);
                fresh
            })
    }

    fn restore_one(&self, slot: SlotId, tenant: &Arc<Tenant>, receipt: &Receipt) -> Option<Receipt> {
        let (client, channel, cid) = (&tenant.client, receipt.channel(), receipt.cid());
        let authorized = receipt.user().is_none_or(|user| client.user() == Some(user));
        if receipt.instance() != client.instance() || !authorized || self.check_key(channel, cid).is_err() {
            return None;
        }
        // Under all of these a revocation counts (rule R2).
        let names = || {
            let mut names = vec![Identity::Instance(client.instance().clone())];
            names.extend(client.shared_identities());
            names.extend(receipt.session().cloned().map(Identity::Session));
            names.extend(receipt.user().cloned().map(Identity::User));
            names.into_iter()
        };
        let now_ms = self.index.clock().now_ms();
        let mut recorded = Recorded::default();
        let seat = self.registry.seat(slot);
        let fresh = self.index.edit(channel, always, |cell, snapshot, draft| {
            recorded.begin();
            // The check and the restore are one change of the snapshot: no revocation falls between them (C2).
            if self.index.receipt_expired(receipt.stamp(), now_ms)
                || draft.revocations.covers(names(), cid, receipt.stamp())
            {
                return None;
            }
            if !snapshot.is_member(seat) && !recorded.record(self, slot, cell) {
                return None;
            }
            let now = self.registry.tenant(slot);
            if !now.is_live() || now.auth != tenant.auth {
                return None;
            }
            draft.refresh(seat, tenant.auth);
            let (_, by_user) = draft.bind(seat, tenant.auth, cid, receipt.user().is_some());
            Some(Receipt::of(&now.client, channel, cid, by_user, draft.stamp))
        });
        recorded.settle(self, |_| fresh.is_some());
        fresh
    }

    /// Visits the channels of a superseded connection: fresh receipts for what is in force, and what the change of user dropped.
    fn renew(&self, slot: SlotId) -> (Vec<Receipt>, Vec<Key>) {
        let (mut receipts, mut dropped) = (Vec::new(), Vec::new());
        for cell in self.registry.slot(slot).joined.visit() {
            self.visit(slot, &cell, &mut dropped, |client, cid, by_user, stamp| {
                receipts.push(Receipt::of(client, &cell.channel, cid, by_user, stamp));
            });
        }
        receipts.sort_by(|a, b| (a.channel(), a.cid()).cmp(&(b.channel(), b.cid())));
        dropped.sort();
        (receipts, dropped)
    }

    /// Drops what the slot's user did not authorize from one channel and shows what is left, at one instant. Always swaps the
    /// snapshot, so that a subscriber that still took the old user for the current one fails and looks again (I4).
    fn visit(
        &self,
        slot: SlotId,
        cell: &Arc<Cell>,
        dropped: &mut Vec<Key>,
        mut show: impl FnMut(&Client, &Cid, bool, crate::Stamp),
    ) {
        let edited = self.index.edit_cell(cell, |cell, _, draft| {
            let (leaving, seat) = (Leaving::new(self, slot, cell), self.registry.seat(slot));
            let tenant = self.registry.tenant(slot);
            let gone = draft.refresh(seat, tenant.auth);
            Some((leaving, tenant, gone, draft.bounds(seat).to_vec(), draft.stamp))
        });
        if let Ok(Some((leaving, tenant, gone, bounds, stamp))) = edited {
            if bounds.is_empty() {
                leaving.forget(self, cell);
            }
            dropped.extend(gone.into_iter().map(|cid| (cell.channel.clone(), cid)));
            bounds.iter().for_each(|bound| show(&tenant.client, &bound.cid, bound.by_user, stamp));
        }
    }

    pub(crate) fn identify(&self, client: &Client) -> Result<bool, Error> {
        self.check_client(client)?;
        let _pin = epoch::pin();
        loop {
            let Some(found) = self.registry.live(client.instance()) else { return Ok(false) };
            let old = found.tenant;
            if old.client == *client {
                return Ok(true);
            }
            let next = Tenant { client: client.clone(), ..Tenant::clone(&old) };
            let Some(tenant) = self.change_tenant(found.slot, &old, next) else { continue };
            let mut caught = Caught::default();
            if tenant.auth != old.auth {
                let mut dropped = Vec::new();
                for cell in self.registry.slot(found.slot).joined.visit() {
                    self.visit(found.slot, &cell, &mut dropped, |_, _, _, _| {});
                }
                if !dropped.is_empty() {
                    dropped.sort();
                    self.tell(found.slot, Control::Unsubscribed(dropped), &mut caught);
                }
            }
            self.observers.tell(|one| one.identified(&old.client, client));
            caught.go_on();
            return Ok(true);
        }
    }

    pub(crate) fn disconnect(&self, instance: &str) -> bool {
        let _pin = epoch::pin();
        match self.registry.live(&instance.into()) {
            Some(found) => self.end(found.slot, None, CloseReason::Disconnected),
            None => false,
        }
    }

    /// Ends the tenancy of a slot, if it is live and, where given, of this generation. Its bindings and index entries are gone
    /// when this returns true. The caller has pinned the epoch.
    pub(crate) fn end(&self, slot: SlotId, generation: Option<u32>, reason: CloseReason) -> bool {
        let place = self.registry.slot(slot);
        let tenant = loop {
            let old = place.tenant();
            if !old.is_live() || generation.is_some_and(|generation| generation != old.generation) {
                return false;
            }
            let closed = Arc::new(Tenant { state: State::Closed(reason), ..Tenant::clone(&old) });
            if place.replace_tenant(&old, Arc::clone(&closed)) {
                break closed;
            }
        };
        let queue = self.registry.slots.queue(slot);
        // Closed before it can't be found any more, so that an exclusion misses it only if nothing is accepted (B2).
        queue.close();
        let seat = self.registry.seat(slot);
        let closed = (seat.lane != OWN_QUEUE).then(|| self.leave_lane(slot));
        self.leave_name(slot, &tenant);
        self.registry.unclaim(&tenant.client, slot, tenant.ticket);
        for cell in place.joined.end() {
            // Swaps the snapshot even if the slot is no member: a subscriber on its way fails and finds the tenant closed (I3).
            let _ = self.index.edit_cell(&cell, |_, _: &Snapshot, draft| {
                draft.unbind_all(seat);
                Some(())
            });
        }
        let mut caught = Caught::default();
        if !reason.keeps_queued() {
            queue.release(&place.tally, &mut caught);
        }
        caught.attempt(|| tenant.parker.wake());
        if let Some(token) = closed {
            self.left_lane(slot, &tenant, token, reason, &mut caught);
        }
        self.let_go_of_slot(slot, &mut caught);
        caught.go_on();
        true
    }

    /// The name of a tenancy that has ended leads nowhere any more: by whoever comes first.
    fn leave_name(&self, slot: SlotId, tenant: &Tenant) {
        if self.registry.leave(tenant.client.instance(), slot)
            && let State::Closed(reason) = tenant.state
        {
            self.observers.tell(|one| {
                if reason == CloseReason::Overflow {
                    one.overflowed(&tenant.client);
                }
                one.disconnected(&tenant.client, reason);
            });
        }
    }

    /// As [`Engine::end`], for a connection at home on a lane and still served there, whose host wants to hear no more of it.
    pub(crate) fn end_muted(&self, slot: SlotId, generation: u32) -> bool {
        self.registry.slots.gates(slot).shut(slot, Shut::Mute);
        self.end(slot, Some(generation), CloseReason::Disconnected)
    }

    /// The receiving half of a lease is gone: ends the connection unless it was superseded.
    pub(crate) fn let_go(&self, slot: SlotId, generation: u32) {
        let _pin = epoch::pin();
        let mut caught = Caught::default();
        caught.attempt(|| _ = self.end(slot, Some(generation), CloseReason::Disconnected));
        let place = self.registry.slot(slot);
        // A newer generation: what is queued is its successor's.
        if place.peek_tenant().generation == generation {
            self.registry.slots.queue(slot).release(&place.tally, &mut caught);
        }
        self.let_go_of_slot(slot, &mut caught);
        caught.go_on();
    }

    /// A holder is done with the slot. The last one leaves nothing queued: the end has closed the queue, and who looked into it before, so
    /// that a receiver on its way out could not release it, was a holder too.
    fn let_go_of_slot(&self, slot: SlotId, caught: &mut Caught) {
        let place = self.registry.slot(slot);
        if place.let_go() {
            self.registry.slots.queue(slot).release(&place.tally, caught);
            self.registry.slots.free_later(slot);
        }
    }
}

#[cfg(all(test, not(holocast_loom)))]
mod tests {
    use std::sync::{Arc, OnceLock};

    use crate::sync::{AtomicU32, Ordering};
    use crate::{Channel, Client, Identity, Realtime};

    #[test]
    fn i7_a_slot_gets_no_next_tenant_while_a_superseded_receiver_is_there() {
        let realtime = Realtime::<()>::new();
        let connect = |name: &str| realtime.connect(&Client::new(name)).unwrap().connection;
        let superseded = connect("a");
        drop(connect("a"));
        let slot = superseded.slot();
        let reused = || (0..10_000).any(|n| connect(&n.to_string()).slot() == slot);
        assert!(!reused());
        drop(superseded);
        assert!(reused(), "never given back");
    }

    #[test]
    fn i3_a_connection_remembers_the_channels_that_it_is_on_and_no_others() {
        let realtime = Realtime::<()>::new();
        let client = Client::new("a").with_user(7);
        let connection = realtime.connect(&client).unwrap().connection;
        let (user, channel) = (Identity::user(7), Channel::atom("c"));
        let remembered = || realtime.engine.registry.slot(connection.slot()).joined.visit().len();
        realtime.put_subscription(&client, &channel, "a").unwrap();
        realtime.put_subscription(&client, &channel, "b").unwrap();
        assert_eq!(remembered(), 1);
        // Neither finds anything to do.
        realtime.delete_subscription(&client, &Channel::atom("other"), "a").unwrap();
        realtime.unsubscribe(&user, &Channel::atom("other"), "a").unwrap();
        assert_eq!(remembered(), 1);
        realtime.delete_subscription(&client, &channel, "a").unwrap();
        assert_eq!(remembered(), 1);
        realtime.delete_subscription(&client, &channel, "b").unwrap();
        assert_eq!(remembered(), 0);
        for forget in [&|| realtime.unsubscribe(&user, &channel, "a").unwrap(), &|| {
            realtime.unsubscribe_all(&user, &channel).unwrap()
        }] as [&dyn Fn() -> usize; 2]
        {
            realtime.subscribe(&user, &channel, "a").unwrap();
            assert_eq!(remembered(), 1);
            forget();
            assert_eq!(remembered(), 0);
        }
        realtime.subscribe(&user, &channel, "a").unwrap();
        realtime.transition(&client, &[], &[]).unwrap();
        assert_eq!(remembered(), 0);
        realtime.subscribe(&user, &channel, "a").unwrap();
        realtime.identify(&Client::new("a")).unwrap();
        assert_eq!(remembered(), 0, "the user's binding went with it");
    }

    #[test]
    fn i2_a_slot_is_found_by_what_its_tenant_is_and_by_nothing_else() {
        let realtime = Realtime::<()>::new();
        let found = || {
            let identities = [Identity::user(7), Identity::user(8), Identity::session("s")];
            identities.map(|identity| realtime.engine.registry.candidates(&identity).len())
        };
        let (seven, eight) = (Client::new("a").with_user(7).with_session("s"), Client::new("a").with_user(8));
        let connection = realtime.connect(&seven).unwrap().connection;
        assert_eq!(found(), [1, 0, 1]);
        realtime.identify(&eight).unwrap();
        assert_eq!(found(), [0, 1, 0]);
        let successor = realtime.connect(&seven).unwrap().connection;
        assert_eq!(found(), [1, 0, 1]);
        drop(connection);
        assert_eq!(found(), [1, 0, 1]);
        drop(successor);
        assert_eq!(found(), [0, 0, 0]);
    }

    #[test]
    fn c2_no_receipt_is_restored_for_a_tenant_that_changes_meanwhile() {
        let client = Client::new("a").with_user(7);
        let changes: [fn(&Realtime<()>); 2] = [
            |realtime| assert!(realtime.disconnect("a")),
            |realtime| assert!(realtime.identify(&Client::new("a").with_user(8)).unwrap()),
        ];
        for change in changes {
            let (engine, due) = (Arc::new(OnceLock::<Realtime<()>>::new()), Arc::new(AtomicU32::new(0)));
            let (meanwhile, is_due) = (Arc::downgrade(&engine), Arc::clone(&due));
            // Read just before the receipt is judged.
            let clock = move || {
                if is_due.swap(0, Ordering::Relaxed) == 1 {
                    change(meanwhile.upgrade().unwrap().get().unwrap());
                }
                1
            };
            let realtime = engine.get_or_init(|| Realtime::builder().clock(clock).build().unwrap());
            let receipt = realtime.put_subscription(&client, &Channel::atom("c"), "a").unwrap().unwrap();
            due.store(1, Ordering::Relaxed);
            let connected = realtime.reconnect(&client, &[receipt]).unwrap();
            assert_eq!(due.load(Ordering::Relaxed), 0, "the clock was not read");
            assert_eq!((connected.receipts.len(), realtime.stats().members), (0, 0));
        }
    }

    #[test]
    fn i5_a_channel_that_nobody_holds_or_is_on_has_no_cell() {
        let realtime = Realtime::<()>::new();
        let channel = Channel::atom("c");
        let cells = || {
            let mut cells = 0;
            realtime.engine.index.for_each(|_| cells += 1);
            cells
        };
        let (hot, other) = (realtime.channel(&channel).unwrap(), realtime.channel(&channel).unwrap());
        drop(hot);
        assert_eq!(cells(), 1, "it is held still");
        drop(other);
        assert_eq!(cells(), 0);
        let (client, tab) = (Client::new("a"), Identity::instance("a"));
        // Nothing to drop, nobody to bind.
        let _connection = realtime.connect(&client).unwrap().connection;
        assert!(!realtime.delete_subscription(&client, &channel, "a").unwrap());
        assert_eq!(cells(), 0);
        realtime.subscribe(&Identity::instance("b"), &channel, "a").unwrap();
        assert_eq!(cells(), 0);
        // A revocation keeps it, as something that will be due, until it is lifted.
        let due = || (cells(), realtime.engine.index.due_len());
        realtime.unsubscribe(&tab, &channel, "a").unwrap();
        assert_eq!(due(), (1, 1));
        realtime.subscribe(&tab, &channel, "a").unwrap();
        realtime.delete_subscription(&client, &channel, "a").unwrap();
        realtime.subscribe(&tab, &channel, "a").unwrap();
        realtime.transition(&client, &[], &[]).unwrap();
        assert_eq!(due(), (0, 0));
    }
}
