//! Lanes: one consumer for any number of connections. A broadcast leaves one entry on each lane, whatever the number of its receivers.
//!
//! * [`core`]: what publishers share with the consumer: the queue, who is away, the accounting.
//! * [`batch`]: one broadcast, and the walk over its receivers.
//! * [`guests`]: connections that another receiver had before: served from their own queues.

mod batch;
mod core;
mod guests;
#[cfg(all(test, holocast_loom))]
mod loom_tests;
#[cfg(all(test, not(holocast_loom)))]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::caught::Caught;
use crate::connection::{Connection, PATIENCE, block_until, come_back};
use crate::engine::Engine;
use crate::error::Error;
use crate::event::Event;
use crate::identity::Client;
use crate::lifecycle::Attached;
use crate::queue::{Control, Entry, Parked, Taken, Tally};
use crate::receipt::Receipt;
use crate::registry::SlotId;
use crate::sync::{epoch, spin};

pub use batch::{Batch, Receivers};
use core::LEASE;
pub(crate) use core::{LaneCore, Lanes};
use guests::Guests;

/// What a lane is told.
///
/// See [`Lane`] for an example.
#[derive(Debug)]
#[non_exhaustive]
pub enum LaneEvent<P> {
    /// One broadcast, with all of the lane's connections that get it.
    Broadcast(Batch<P>),
    /// An event of the connection with this token. Broadcasts come this way only to a connection that took another's place (rule C3).
    One(u64, Event<P>),
    /// So many broadcasts were lost because the lane was full: any of its connections may have missed some.
    Lagged(u64),
}

/// Names one connection of a lane, as long as the lane serves it.
///
/// See [`Lane::disconnect`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneKey {
    slot: SlotId,
    /// The tenancy, by the count at which it began; of a guest, the generation of its lease.
    number: u32,
    guest: bool,
}

impl LaneKey {
    /// No slot has this bit.
    const GUEST: u32 = 1 << 31;

    /// The key as one number, for hosts in other languages.
    ///
    /// ```
    /// use holocast::{Client, LaneKey, Realtime};
    ///
    /// let mut lane = Realtime::<String>::new().lane();
    /// let key = lane.connect(&Client::new("tab-1"), 42)?.key;
    /// assert_eq!(LaneKey::from_u64(key.as_u64()), key);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    #[must_use]
    pub fn as_u64(self) -> u64 {
        let guest = if self.guest { Self::GUEST } else { 0 };
        u64::from(self.slot | guest) << 32 | u64::from(self.number)
    }

    /// The key of this number, as [`LaneKey::as_u64`] gave it. A number that it never gave names no connection.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        let slot = (number >> 32) as u32;
        Self { slot: slot & !Self::GUEST, number: number as u32, guest: slot & Self::GUEST != 0 }
    }
}

/// What [`Lane::connect`] and [`Lane::reconnect`] return.
///
/// See [`Lane`] for an example.
#[derive(Debug)]
pub struct LaneConnected {
    /// To end it with.
    pub key: LaneKey,
    /// Fresh receipts for all bindings in force, by channel and cid.
    pub receipts: Vec<Receipt>,
    /// Whether it took the place of a live connection of the same instance (rule C3).
    pub superseded: bool,
}

/// The only consumer of the events of any number of connections: one for each event loop.
///
/// A broadcast costs the publisher one step for each lane, not for each connection, and the lane one event ([`Batch`]). All else is as
/// with [`Connection`](crate::Connection): the rules hold for each connection of a lane. Each has a *token*, a value of the host's
/// own (the number of a socket, an index), that comes with everything that is for it.
///
/// # Ends
/// A connection that ends elsewhere, or that another receiver takes over, is told by `One(token, Closed(reason))`; nothing comes for it
/// after that. One that is taken over and ends at the same moment is told of either. After [`Lane::disconnect`] nothing comes at all. Dropping the lane ends its connections.
///
/// # Lagging
/// The queue of a lane is bounded in broadcasts ([`Builder::lane_capacity`](crate::Builder::lane_capacity)). When it is full the
/// policy decides as for a connection, but no connection is ended: under [`Overflow::DropNewest`](crate::Overflow::DropNewest) the new
/// broadcast is refused, under the others those that wait are released; the next event is [`LaneEvent::Lagged`].
///
/// # Taken over
/// A connection that superseded another one (rule C3) has a queue of its own until it ends, and costs as much as one: a lane hands out
/// its events one by one. If the first of the instance was on a lane, its broadcasts go through the queue of that lane, and come
/// when that lane is worked off: one that finds nothing may have forwarded to another that was looked at before it, which is woken. Where
/// the old loop may hang, end the old connection before, and reconnect by receipts.
///
/// # Panics
/// If the waker of a receiver panics to which a broadcast is forwarded: `try_recv` and the waiting forms go on with its panic when the others
/// have got theirs, and the next call hands out what this one took. So does the drop of the lane, when all is done. More in
/// [`Realtime`](crate::Realtime#panics-of-your-code).
///
/// # Progress
/// As for a connection: a take never waits for publishers and never blocks, and is not lock-free.
///
/// ```
/// use holocast::{Client, Event, Identity, LaneEvent, Realtime, channel};
///
/// let realtime = Realtime::new();
/// let mut lane = realtime.lane();
/// let socket = 42;
/// let connected = lane.connect(&Client::new("tab-1").with_user(7), socket)?;
/// assert!(!connected.superseded);
/// realtime.subscribe(&Identity::user(7), &channel!("room", 42), "page")?;
/// realtime.broadcast_action(&channel!("room", 42), "message", "hello")?;
///
/// assert!(matches!(lane.try_recv(), Some(LaneEvent::One(42, Event::Subscribed(_)))));
/// let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { panic!("a broadcast") };
/// assert_eq!(*batch.params(), "hello");
/// for (token, mut cids) in batch.receivers() {
///     assert_eq!((token, cids.next().map(|cid| cid.as_str())), (42, Some("page")));
/// }
/// assert!(lane.try_recv().is_none());
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct Lane<P: Send + Sync + 'static> {
    engine: Arc<Engine<P>>,
    core: Arc<LaneCore<P>>,
    guests: Guests<P>,
    /// Connections at home here, until their end was told, with the generation of their lease.
    // The keys are ours: nobody can choose them to collide.
    direct: HashMap<LaneKey, u32, foldhash::fast::FixedState>,
    /// What was taken when a waker panicked.
    kept: Option<LaneEvent<P>>,
    /// Whether guests come first this time.
    guests_first: bool,
    /// What the queue asks for and a lane counts otherwise.
    tally: Tally,
}

/// Another consumer is inside the queue.
struct Busy;

impl<P: Send + Sync + 'static> Lane<P> {
    pub(crate) fn new(engine: Arc<Engine<P>>) -> Self {
        let core = engine.lanes.open(&engine.registry.slots);
        Self {
            guests: Guests::new(&engine, &core),
            engine,
            core,
            direct: HashMap::default(),
            kept: None,
            guests_first: false,
            tally: Tally::new(),
        }
    }

    /// Makes a live connection with no bindings, served by this lane under the token (rule C1), or takes the place of the instance's live
    /// one, wherever that is served (rule C3).
    ///
    /// # Errors
    /// A name beyond the limits; too many connections.
    ///
    /// # Complexity
    /// As for [`Realtime::connect`](crate::Realtime::connect).
    pub fn connect(&mut self, client: &Client, token: u64) -> Result<LaneConnected, Error> {
        self.reconnect(client, &[], token)
    }

    /// As [`Lane::connect`], restoring the bindings of valid receipts (rule C2).
    ///
    /// # Errors
    /// As for [`Lane::connect`].
    ///
    /// ```
    /// use holocast::{Channel, Client, Realtime};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let (tab, mut lane) = (Client::new("tab-1"), realtime.lane());
    /// let key = lane.connect(&tab, 0)?.key;
    /// let kept = realtime.apply(&tab, &[(Channel::atom("news"), "page".into())], &[])?.receipts;
    /// lane.disconnect(key);
    /// assert_eq!(lane.reconnect(&tab, &kept, 1)?.receipts.len(), 1);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn reconnect(
        &mut self,
        client: &Client,
        receipts: &[Receipt],
        token: u64,
    ) -> Result<LaneConnected, Error> {
        let Attached { slot, tenant, receipts, superseded, caught } =
            self.engine.attach(client, receipts, Some((&self.core, token)))?;
        let key = if superseded {
            let connection = Connection::new(Arc::clone(&self.engine), slot, &tenant, false);
            // With the panic the caller loses the connection, which ends.
            caught.go_on();
            let key = LaneKey { slot, number: tenant.generation, guest: true };
            self.guests.insert(key, token, connection);
            key
        } else {
            let key = LaneKey { slot, number: tenant.born, guest: false };
            self.direct.insert(key, tenant.generation);
            key
        };
        Ok(LaneConnected { key, receipts, superseded })
    }

    /// Ends a connection that this lane serves: when its socket is gone, or can't keep up. Nothing is handed out for it after that, not
    /// even its end, and its token is free. False: it had ended before, or another receiver has it by now.
    ///
    /// # Complexity
    /// O(log n) for each channel it is bound to; entries that wait in the lane are not touched.
    ///
    /// ```
    /// use holocast::{Client, Realtime, channel};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let mut lane = realtime.lane();
    /// let key = lane.connect(&Client::new("tab-1"), 42)?.key;
    /// assert!(lane.disconnect(key) && !lane.disconnect(key));
    /// assert!(lane.try_recv().is_none() && realtime.identities_of("tab-1").is_none());
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn disconnect(&mut self, key: LaneKey) -> bool {
        if key.guest {
            // Its end comes with its drop, unless it was superseded.
            return self.guests.remove(key).is_some_and(|connection| connection.end());
        }
        self.direct.remove(&key).is_some_and(|generation| self.end_direct(key, generation))
    }

    fn end_direct(&self, key: LaneKey, generation: u32) -> bool {
        let _pin = epoch::pin();
        let place = self.engine.registry.slot(key.slot);
        let tenant = place.peek_tenant();
        if tenant.born == key.number && tenant.is_live() && self.engine.end_muted(key.slot, generation) {
            return true;
        }
        // Ended or taken over by somebody who may not have shut the gate yet; from here on it must be, and what waits for a connection
        // that was taken over is its new receiver's.
        let tenant = place.peek_tenant();
        if tenant.born == key.number {
            if tenant.is_live() {
                let mut caught = Caught::default();
                self.engine.depart(key.slot, &mut caught);
                caught.go_on();
            } else {
                self.engine.registry.slots.gates(key.slot).mute(key.slot, tenant.born..=tenant.auth);
            }
        }
        false
    }

    /// The next event, if there is one.
    ///
    /// # Complexity
    /// O(1), amortized over the events of a burst; O(n) for a broadcast to n connections if any of the lane's was taken over.
    pub fn try_recv(&mut self) -> Option<LaneEvent<P>> {
        for _ in 0..PATIENCE {
            match self.take() {
                Ok(event) => return event,
                Err(Busy) => spin(),
            }
        }
        None
    }

    fn take(&mut self) -> Result<Option<LaneEvent<P>>, Busy> {
        if let Some(event) = self.kept.take() {
            return Ok(Some(event));
        }
        self.guests_first = !self.guests_first;
        if self.guests_first
            && let Some(event) = self.take_of_guests()
        {
            return Ok(Some(event));
        }
        // Guests come last in any case: the queue may have named one.
        Ok(self.take_of_queue()?.or_else(|| self.take_of_guests()))
    }

    fn take_of_guests(&mut self) -> Option<LaneEvent<P>> {
        self.guests.take().map(|(token, event)| LaneEvent::One(token, event))
    }

    fn take_of_queue(&mut self) -> Result<Option<LaneEvent<P>>, Busy> {
        loop {
            match self.core.queue.take(LEASE, &self.tally) {
                Taken::Entry(node) => {
                    if let Some(event) = self.open(node.entry) {
                        return Ok(Some(event));
                    }
                }
                Taken::Lagged(broadcasts) => {
                    self.pass_on_loss(broadcasts);
                    return Ok(Some(LaneEvent::Lagged(broadcasts)));
                }
                Taken::Busy => return Err(Busy),
                Taken::Empty | Taken::Closed | Taken::Superseded => return Ok(None),
                // What only other queues hold.
                Taken::Delivery(_) | Taken::Control(_) => {}
            }
        }
    }

    /// Who is being taken over just now has not been told of its end yet, so it is in the map.
    fn pass_on_loss(&self, broadcasts: u64) {
        if self.core.has_away() {
            // Pinned before a tenant is looked at (I7).
            let _pin = epoch::pin();
            self.direct.keys().for_each(|key| self.engine.pass_on_loss(key.slot, key.number, broadcasts));
        }
    }

    /// What an entry is for the host, if anything.
    fn open(&mut self, entry: Entry<P>) -> Option<LaneEvent<P>> {
        match entry {
            Entry::Broadcast(parcel) => {
                let (forwarded, mut caught) = self.engine.forward(&self.core, &parcel);
                let mut batch = Some(Batch::new(&self.core, parcel, forwarded));
                if batch.as_ref().is_some_and(Batch::is_empty) {
                    caught.attempt(|| batch = None);
                }
                let event = batch.map(LaneEvent::Broadcast);
                if caught.is_some() {
                    self.kept = event;
                    caught.go_on();
                    return self.kept.take();
                }
                event
            }
            Entry::Control { slot, born, event } => self.open_control(slot, born, event),
            Entry::Closed { slot, born, token, reason } => {
                let key = LaneKey { slot, number: born, guest: false };
                self.direct.remove(&key).map(|_| LaneEvent::One(token, Event::Closed(reason)))
            }
            Entry::Ready(key) => {
                self.guests.ready(key);
                None
            }
            Entry::Shutdown { slot, born } => {
                self.engine.shut_down_one(slot, born);
                None
            }
        }
    }

    fn open_control(&self, slot: SlotId, born: u32, event: Control) -> Option<LaneEvent<P>> {
        // Pinned before the tenant is looked at (I7).
        let _pin = epoch::pin();
        let mut caught = Caught::default();
        let event = self.engine.forward_control(slot, born, event, &mut caught);
        caught.go_on();
        let event = event?;
        let gates = self.engine.registry.slots.gates(slot);
        if !gates.state(slot).is_open() {
            return None;
        }
        let event = match event {
            // A receipt of another user's is not handed out (rule C5).
            Control::Subscribed { auth: Some(auth), .. } if gates.pass(slot, auth).is_none() => {
                return None;
            }
            Control::Subscribed { receipt, .. } => Event::Subscribed(receipt),
            Control::Unsubscribed(keys) => Event::Unsubscribed(keys),
        };
        Some(LaneEvent::One(gates.token(slot), event))
    }

    /// The next event, when there is one. The task is woken once per wait.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<LaneEvent<P>> {
        loop {
            match self.take() {
                Ok(Some(event)) => return Poll::Ready(event),
                Ok(None) => {}
                Err(Busy) if come_back(context) => return Poll::Pending,
                Err(Busy) => continue,
            }
            // Register, then look again: see `Parker`.
            self.core.parker.register(context.waker());
            match self.core.queue.park() {
                Parked::Yes => return Poll::Pending,
                Parked::Busy if come_back(context) => return Poll::Pending,
                Parked::No | Parked::Busy => {}
            }
        }
    }

    /// Waits for the next event, on any executor.
    pub async fn recv(&mut self) -> LaneEvent<P> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// Blocks the thread until the next event.
    ///
    /// ```
    /// use holocast::{Client, CloseReason, Event, LaneEvent, Realtime};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let mut lane = realtime.lane();
    /// lane.connect(&Client::new("tab-1"), 42)?;
    /// realtime.disconnect("tab-1");
    /// assert!(matches!(lane.blocking_recv(), LaneEvent::One(42, Event::Closed(CloseReason::Disconnected))));
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn blocking_recv(&mut self) -> LaneEvent<P> {
        loop {
            if let Some(event) = block_until(None, |context| self.poll_recv(context)) {
                return event;
            }
        }
    }

    /// Blocks the thread until the next event, at most so long.
    pub fn blocking_recv_timeout(&mut self, timeout: Duration) -> Option<LaneEvent<P>> {
        match self.try_recv() {
            // A time too far away to be told is no bound.
            None => block_until(Instant::now().checked_add(timeout), |context| self.poll_recv(context)),
            event => event,
        }
    }

    /// Broadcasts that wait, for all connections together. Exact at rest.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.core.queue.queued()
    }
}

impl<P: Send + Sync + 'static> Drop for Lane<P> {
    fn drop(&mut self) {
        let mut caught = Caught::default();
        // Nobody is left whom a wake would be for.
        caught.attempt(|| self.core.parker.forget());
        for (key, generation) in std::mem::take(&mut self.direct) {
            caught.attempt(|| _ = self.end_direct(key, generation));
        }
        self.guests.clear(&mut caught);
        let _pin = epoch::pin();
        caught.add(self.engine.abandon(&self.core));
        caught.go_on();
    }
}

impl<P: Send + Sync + 'static> fmt::Debug for Lane<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("connections", &(self.direct.len() + self.guests.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "stream")]
impl<P: Send + Sync + 'static> futures_core::Stream for Lane<P> {
    type Item = LaneEvent<P>;

    fn poll_next(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<LaneEvent<P>>> {
        self.get_mut().poll_recv(context).map(Some)
    }
}
