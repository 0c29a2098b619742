//! A connection's queue: one word ([`Word`]).
//!
//! *Push*: read the word, link the new node to the old newest, compare-and-swap. The same step checks the bound, sees CLOSED
//! and learns whether somebody sleeps. *Take*: swap the word for empty and turn the chain round; the rest of it waits as the
//! *batch*, so a burst costs one atomic. A word that comes back bit by bit does no harm to the chain: nodes leave it only all at once,
//! and a push never looks at the old newest node.
//!
//! The batch belongs to the queue, not to the receiver, because a superseding receiver inherits it (rule C3). Consumers exclude
//! each other by the `consumer` flag: the receiver inside one `take`, its successor, an overflow's `reset`, and the release at
//! the end. Nobody waits for it: a receiver that meets another consumer reports [`Taken::Busy`] and comes back, a publisher
//! that wanted to reset refuses its message instead, an end of connection leaves the rest to the last who holds the slot. One take
//! does without the flag (W4).
//!
//! * **W1** nodes reachable from the word or the batch belong to the queue; taking the whole chain by one atomic step makes
//!   them the taker's own (N1).
//! * **W2** `batch`, `batch_len` and `taken` are written only by the holder of `consumer`.
//! * **W3** messages in the word and in the batch together never exceed the bound, and a push is refused only if they reach it.
//!   Every take under the flag that empties the word steps its *turn* and writes `batch_len`, with it, just before. A push reads the
//!   word, then `batch_len`, then swaps the word if unchanged. Turns agree: the batch is the one of this word. They differ: a take
//!   has not emptied the word yet, so the batch is empty; or it has since, and the push's swap fails. (Unless, between two steps of
//!   one push, exactly four takes emptied the word and a node came back to the same address: then the bound is off by one burst,
//!   once.) A release and a reset leave no message in the batch, and their turn in `batch_len`.
//! * **W4** The first receiver of a tenancy may take without the flag what is marked `LONE`: swapping the word for empty takes just
//!   that node, and fails if anybody emptied the word or added to it. Nothing older is passed over: another consumer that has
//!   older events, in the batch or on the way there, emptied the word before this node was pushed, so by that push either its flag is
//!   visible, or its end with the batch. The turn stays: the batch is empty, so no count of it belongs to this turn. Only this
//!   receiver writes `taken_alone`, and the next tenancy's first comes after it is gone (I7).

mod release;

use std::ptr::{self, NonNull};

use super::block::{Control, Delivery, Node, Opened, is_control};
use super::entry::Entry;
use super::outcome::{Bound, Glance, Parked, Pushed, Taken};
use super::packed::{CLOSED, LONE, PARKED, TURN_SHIFT, TURNS, Word};
use super::prefetch::prefetch;
use super::tally::Tally;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, MODEL, Ordering};

/// What a consumer found under the lock; small, so that it goes from hand to hand in registers.
enum Popped {
    Node(NonNull<Node>),
    Lagged(u64),
    Superseded,
    /// Another consumer was faster.
    Nothing,
}

/// The queue of one slot. One cache line; holds no heap memory while idle (rule Q4).
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Queue<P> {
    word: AtomicPtr<Node>,
    /// Whose queue it is: the lease's generation above, the count of user changes below (I4, I6). Only grows.
    lease: AtomicU64,
    /// The oldest node of what was taken from the word and not handed out yet, linked towards newer ones (W2).
    batch: AtomicPtr<Node>,
    /// Refused or released since the receiver was last told.
    lagged: AtomicU64,
    /// What the queued messages weigh together.
    bytes: AtomicU64,
    /// Messages taken under the flag to be handed out or withheld, over all tenants (W2).
    taken: AtomicU64,
    /// The same of lone takes (W4).
    taken_alone: AtomicU64,
    /// Messages in the batch, above the turn of the take that filled it (W2, W3).
    batch_len: AtomicU32,
    /// 1 while somebody consumes.
    consumer: AtomicU32,
    of: std::marker::PhantomData<fn() -> P>,
}

const _: () = assert!(MODEL || size_of::<Queue<()>>() == 64, "an idle queue is one cache line");

pub(crate) fn lease(generation: u32, auth: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(auth)
}

impl<P> Queue<P> {
    /// Closed, until its slot gets a tenant.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicPtr::new(Word::with(ptr::null_mut(), 0, CLOSED).0),
            lease: AtomicU64::new(0),
            batch: AtomicPtr::new(ptr::null_mut()),
            lagged: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            taken_alone: AtomicU64::new(0),
            batch_len: AtomicU32::new(0),
            consumer: AtomicU32::new(0),
            of: std::marker::PhantomData,
        }
    }

    /// Opens the queue for a new tenant. The slot is the caller's alone and the queue was released.
    pub(crate) fn open(&self) {
        // Relaxed: published with the tenant, by the registry.
        self.lagged.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.batch_len.store(0, Ordering::Relaxed);
        // Release: pairs with Acquire in push, take and serves.
        self.word.store(ptr::null_mut(), Ordering::Release);
    }

    /// Tells the consumers whose queue it is now. Generations and counts only grow, so a late call changes nothing.
    pub(crate) fn set_lease(&self, generation: u32, auth: u32) {
        // Acquire: as if the read-modify-write had been made and changed nothing.
        if self.lease.load(Ordering::Acquire) < lease(generation, auth) {
            // AcqRel: pairs with Acquire in take(): from here on no event goes to the old lease or under the old user (I4, I6).
            self.lease.fetch_max(lease(generation, auth), Ordering::AcqRel);
        }
    }

    /// # Safety
    /// The node is the caller's own and initialised (N1); it is the queue's if the push was sent.
    #[inline(always)]
    pub(super) unsafe fn push_message(&self, node: *mut Node, bound: &Bound) -> Pushed {
        if bound.bytes != u64::MAX {
            // SAFETY: passed on.
            return unsafe { self.push_weighed(node, bound) };
        }
        // SAFETY: passed on.
        unsafe { self.push(node, 1, bound.messages as usize) }
    }

    /// # Safety
    /// As for [`Queue::push_message`].
    #[inline(never)]
    unsafe fn push_weighed(&self, node: *mut Node, bound: &Bound) -> Pushed {
        if !self.add_weight(bound) {
            // Relaxed: only tells closed from full; both refuse.
            return if Word(self.word.load(Ordering::Relaxed)).has(CLOSED) {
                Pushed::Closed
            } else {
                Pushed::Full
            };
        }
        // SAFETY: passed on.
        let pushed = unsafe { self.push(node, 1, bound.messages as usize) };
        if matches!(pushed, Pushed::Full | Pushed::Closed) {
            self.bytes.fetch_sub(bound.weight, Ordering::Relaxed);
        }
        pushed
    }

    /// Adds to the running sum what fits. What no queue holds is not even tried, or the sum could overflow beside another push.
    fn add_weight(&self, bound: &Bound) -> bool {
        // Relaxed, both: a sum that orders nothing; who exceeds the bound takes its share back.
        let sum = || self.bytes.fetch_add(bound.weight, Ordering::Relaxed) + bound.weight;
        let fits = bound.weight <= bound.bytes;
        let exceeds = fits && sum() > bound.bytes;
        if exceeds {
            self.bytes.fetch_sub(bound.weight, Ordering::Relaxed);
        }
        fits && !exceeds
    }

    /// Queues a control event, whatever the bound (rule Q3). `Closed`: the connection is gone, and the event with it.
    pub(crate) fn push_control(&self, event: Control) -> Pushed {
        let node = event.into_node();
        // SAFETY: freshly made, ours.
        let pushed = unsafe { self.push(node, 0, usize::MAX) };
        if pushed == Pushed::Closed
            && let Some(node) = NonNull::new(node)
        {
            // SAFETY: a refused push leaves the node ours; it came from `into_node`.
            drop(unsafe { Opened::<P>::new(node) });
        }
        pushed
    }

    /// Queues an entry of a lane; a broadcast only if fewer than `bound` are queued. What is refused is given back, with the reason.
    pub(crate) fn push_entry(&self, entry: Entry<P>, bound: usize) -> Result<Pushed, (Pushed, Entry<P>)> {
        let messages = usize::from(entry.is_message());
        let node = entry.into_node();
        // SAFETY: freshly made, ours.
        match unsafe { self.push(node.as_ptr(), messages, bound) } {
            refused @ (Pushed::Full | Pushed::Closed) => {
                // SAFETY: a refused push leaves the node ours; it came from `into_node`.
                let node = unsafe { Entry::from_node(node) };
                Err((refused, node.entry))
            }
            sent => Ok(sent),
        }
    }

    /// # Safety
    /// As for [`Queue::push_message`].
    #[inline(always)]
    unsafe fn push(&self, node: *mut Node, messages: usize, bound: usize) -> Pushed {
        // Acquire: pairs with Release in take(): an emptied word comes with the batch_len that it was emptied into (W3).
        let mut word = Word(self.word.load(Ordering::Acquire));
        loop {
            if word.has(CLOSED) {
                return Pushed::Closed;
            }
            if messages > 0 && self.queued_at_most(word) >= bound && self.queued_with(word) >= bound {
                return Pushed::Full;
            }
            // SAFETY: the node is the caller's own (N1), nobody else looks at it.
            let link = unsafe { &(*node).next };
            link.with_mut(|next| {
                // SAFETY: as above.
                unsafe { *next = word.newest() }
            });
            let new = word.pushed(node, messages);
            // AcqRel: Release pairs with Acquire in take() and publishes the node (N1); later pushes carry it on, as their swaps
            // continue the release sequence. Acquire pairs with park(): whoever clears PARKED finds the tenant that set it.
            // Acquire on failure: as for the load.
            match self.word.compare_exchange_weak(word.0, new.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) if word.has(PARKED) => return Pushed::SentToSleeper,
                Ok(_) => return Pushed::Sent,
                Err(now) => word = Word(now),
            }
        }
    }

    /// Messages in this state of the word and in the batch that belongs to it (W3).
    fn queued_with(&self, word: Word) -> usize {
        // Relaxed: ordered by the word (W3).
        let batch = self.batch_len.load(Ordering::Relaxed);
        let batch = if batch & TURNS as u32 == word.turn() { (batch >> TURN_SHIFT) as usize } else { 0 };
        word.messages() + batch
    }

    /// The same, if the batch belongs to this state of the word; otherwise more.
    #[inline]
    fn queued_at_most(&self, word: Word) -> usize {
        // Relaxed: as above.
        word.messages() + (self.batch_len.load(Ordering::Relaxed) >> TURN_SHIFT) as usize
    }

    /// What most takes find: a message that is alone in the queue, which the first receiver of a tenancy takes without the flag
    /// (W4), the next of a burst, or nothing. After [`Glance::More`] comes [`Queue::take`].
    #[inline]
    pub(crate) fn glance(&self, generation: u32, first: bool, tally: &Tally) -> Glance<P> {
        // Acquire: pairs with Release in push().
        let word = Word(self.word.load(Ordering::Acquire));
        // The locked step below holds back every load after it, but not this.
        prefetch(word.newest());
        // Acquire: pairs with Release in unlock(). Relaxed: the batch by that, `lagged` by the word (see reset()).
        let free = |consumer: u32| {
            consumer == 0
                && self.batch.load(Ordering::Relaxed).is_null()
                && self.lagged.load(Ordering::Relaxed) == 0
                && self.generation() == generation
        };
        if word.newest().is_null() && !word.has(CLOSED) && free(0) {
            return Glance::Nothing;
        }
        if !self.batch.load(Ordering::Relaxed).is_null() {
            return self.glance_at_batch(generation, tally);
        }
        if !first || !word.has(LONE) || !free(self.consumer.load(Ordering::Acquire)) {
            return Glance::More;
        }
        let empty = Word::with(ptr::null_mut(), 0, word.flags() & !LONE);
        // Acquire: pairs with Release in push() and brings the node, which may be a later one at the same address. Publishes nothing.
        if self.word.compare_exchange(word.0, empty.0, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Glance::More;
        }
        count(&self.taken_alone);
        let Some(node) = NonNull::new(word.newest()) else { return Glance::More };
        // SAFETY: taken from the word, so ours (W1, N1), and a message by its mark (W4).
        self.judged(unsafe { Delivery::new(node) }, tally).map_or(Glance::More, Glance::Message)
    }

    /// Takes the oldest of the batch, if it is a message: the second to the last of a burst.
    #[inline(never)]
    fn glance_at_batch(&self, generation: u32, tally: &Tally) -> Glance<P> {
        if !self.lock() {
            return Glance::More;
        }
        let oldest = self.batch.load(Ordering::Relaxed);
        let plain = self.generation() == generation
            && self.lagged.load(Ordering::Relaxed) == 0
            && !oldest.is_null()
            // SAFETY: the batch is the queue's and we hold the lock (W1, W2).
            && !unsafe { is_control(oldest) };
        let node = if plain { self.next_node() } else { None };
        self.unlock();
        let Some(node) = node else { return Glance::More };
        // SAFETY: taken from the batch, so ours (W1, N1), and no control event.
        self.judged(unsafe { Delivery::new(node) }, tally).map_or(Glance::More, Glance::Message)
    }

    /// Takes the next event for the lease of this generation.
    #[inline]
    pub(crate) fn take(&self, generation: u32, tally: &Tally) -> Taken<P> {
        loop {
            // Acquire: pairs with Release in push(), close() and reset().
            let word = Word(self.word.load(Ordering::Acquire));
            // Relaxed: whoever else writes it (a predecessor inside its last take, a reset) is at work right now; park() looks again.
            let idle = word.newest().is_null() && self.batch.load(Ordering::Relaxed).is_null();
            if idle && self.lagged.load(Ordering::Relaxed) == 0 {
                return match (self.generation() == generation, word.has(CLOSED)) {
                    (false, _) => Taken::Superseded,
                    (true, true) => Taken::Closed,
                    (true, false) => Taken::Empty,
                };
            }
            if !self.lock() {
                return Taken::Busy;
            }
            let popped = self.pop(generation);
            self.unlock();
            // Outside the lock: dropping what is withheld may run the caller's own code.
            return match popped {
                Popped::Node(node) => match self.look_into(node, tally) {
                    Some(taken) => taken,
                    None => continue,
                },
                Popped::Lagged(messages) => Taken::Lagged(messages),
                Popped::Superseded => Taken::Superseded,
                Popped::Nothing => continue,
            };
        }
    }

    /// One step of a take, under the lock.
    fn pop(&self, generation: u32) -> Popped {
        if self.generation() != generation {
            return Popped::Superseded;
        }
        if self.lagged.load(Ordering::Relaxed) != 0 {
            // Relaxed: a count. AcqRel is not needed: nothing is published by it.
            return Popped::Lagged(self.lagged.swap(0, Ordering::Relaxed));
        }
        self.next_node().map_or(Popped::Nothing, Popped::Node)
    }

    /// What a node just taken holds; `None` if that is withheld (rule C5).
    #[inline]
    fn look_into(&self, node: NonNull<Node>, tally: &Tally) -> Option<Taken<P>> {
        // SAFETY: taken from the batch, so ours (W1, N1).
        match unsafe { Opened::<P>::new(node) } {
            Opened::Delivery(delivery) => self.judged(delivery, tally).map(Taken::Delivery),
            // A receipt of another user's is not handed out either (rule C5).
            Opened::Control(Control::Subscribed { auth: Some(auth), .. }) if auth != self.auth() => None,
            Opened::Control(event) => Some(Taken::Control(event)),
            Opened::Entry(entry) => Some(Taken::Entry(entry)),
        }
    }

    /// A message just taken, if it is to be handed out to the connection's user; otherwise it is withheld (rule C5).
    #[inline]
    fn judged(&self, delivery: Delivery<P>, tally: &Tally) -> Option<Delivery<P>> {
        if delivery.weight() > 0 {
            self.bytes.fetch_sub(delivery.weight(), Ordering::Relaxed);
        }
        if delivery.is_of(self.auth()) { Some(delivery) } else { judged_stale(delivery, tally) }
    }

    /// Takes the oldest node out of the batch, filling it from the word if need be. Under the lock.
    fn next_node(&self) -> Option<NonNull<Node>> {
        // Relaxed, here and for batch_len: W2, ordered by the lock.
        let mut oldest = self.batch.load(Ordering::Relaxed);
        if oldest.is_null() {
            oldest = self.take_word();
        }
        let node = NonNull::new(oldest)?;
        // SAFETY: the batch is the queue's and we hold the lock (W1, W2).
        let next = unsafe { node.as_ref() }.next.with(|next| {
            // SAFETY: as above.
            unsafe { *next }
        });
        self.batch.store(next, Ordering::Relaxed);
        // SAFETY: still ours; nobody opened it yet.
        if !unsafe { is_control(node.as_ptr()) } {
            self.batch_len
                .store(self.batch_len.load(Ordering::Relaxed) - (1 << TURN_SHIFT), Ordering::Relaxed);
            count(&self.taken);
        }
        Some(node)
    }

    /// Empties the word into `batch_len` and returns its nodes, oldest first. Under the lock, with an empty batch.
    fn take_word(&self) -> *mut Node {
        let mut word = Word(self.word.load(Ordering::Relaxed));
        loop {
            if word.newest().is_null() {
                return ptr::null_mut();
            }
            let empty = Word::with(ptr::null_mut(), 0, word.next_turn());
            self.batch_len.store((word.messages() as u32) << TURN_SHIFT | empty.turn(), Ordering::Relaxed);
            // AcqRel: Acquire pairs with Release in push() and brings the nodes; Release publishes batch_len (W3).
            match self.word.compare_exchange_weak(word.0, empty.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => word = Word(now),
            }
        }
        let (mut node, mut older) = (word.newest(), ptr::null_mut());
        while !node.is_null() {
            // SAFETY: taken from the word, so the holder's of the lock (W1).
            let link = unsafe { &(*node).next };
            let next = link.with_mut(|next| {
                // SAFETY: as above.
                unsafe { ptr::replace(next, older) }
            });
            (older, node) = (node, next);
        }
        older
    }

    /// Whether the receiver may sleep: the queue is empty and open, and the next push will find PARKED.
    ///
    /// A superseded receiver may still be inside its last take, with the rest of a burst not yet in the batch. So after parking
    /// the consumer's flag is looked at by a read-modify-write: if that take is over, its batch is visible; if it is going on,
    /// the flag says so; if it comes later, it synchronizes with this look, finds the new lease, and takes nothing.
    pub(crate) fn park(&self) -> Parked {
        let mut word = Word(self.word.load(Ordering::Relaxed));
        loop {
            if !word.newest().is_null() || word.has(CLOSED) {
                return Parked::No;
            }
            let parked = Word::with(ptr::null_mut(), 0, word.flags() | PARKED);
            // AcqRel: Release hands the registered waker to the push that clears the flag; a read-modify-write even if the
            // flag is set, so that it is ordered against every push and close.
            match self.word.compare_exchange_weak(word.0, parked.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => word = Word(now),
            }
        }
        // AcqRel: see above.
        match self.consumer.fetch_add(0, Ordering::AcqRel) {
            0 if self.batch.load(Ordering::Relaxed).is_null() => Parked::Yes,
            0 => Parked::No,
            _ => Parked::Busy,
        }
    }

    /// Accepts nothing from here on; what is queued stays. The caller wakes the receiver.
    pub(crate) fn close(&self) {
        let mut word = Word(self.word.load(Ordering::Relaxed));
        loop {
            let closed = Word::with(word.newest(), word.messages(), word.flags() | CLOSED);
            // AcqRel: carries on the release sequence of the pushes; pairs with Acquire in take() and push().
            match self.word.compare_exchange_weak(word.0, closed.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = Word(now),
            }
        }
    }

    fn lock(&self) -> bool {
        // Acquire: pairs with Release in unlock(); brings the batch (W2).
        self.consumer.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn unlock(&self) {
        if cfg!(holocast_loom) {
            // loom takes it for open whether a store comes before or after the read-modify-write of park() that read 1 and wrote
            // 1, though coherence says after; it would see the flag stay.
            self.consumer.swap(0, Ordering::Release);
        } else {
            // Release: pairs with Acquire in lock().
            self.consumer.store(0, Ordering::Release);
        }
    }

    /// Does something while another consumer is inside the queue, as it seems.
    #[cfg(all(test, not(holocast_loom)))]
    pub(crate) fn while_consumed<R>(&self, work: impl FnOnce() -> R) -> R {
        assert!(self.lock());
        let done = work();
        self.unlock();
        done
    }

    /// The generation of the current lease.
    pub(crate) fn generation(&self) -> u32 {
        // Acquire: pairs with AcqRel in set_lease().
        (self.lease.load(Ordering::Acquire) >> 32) as u32
    }

    /// How often the connection's user had changed when it was last told (I4).
    fn auth(&self) -> u32 {
        // Acquire: pairs with AcqRel in set_lease(): after that returned, nothing of the old user's is handed out.
        self.lease.load(Ordering::Acquire) as u32
    }

    /// Whether the tenancy and the user are those of this authorization count, and live. The caller has pinned the epoch.
    pub(crate) fn serves(&self, auth: u32) -> bool {
        // Acquire: pairs with Release in open(), so that the lease is not older than the tenancy that opened the word. If that is the
        // count's own, it lives, and goes on to have the slot while the caller is pinned (I7).
        !Word(self.word.load(Ordering::Acquire)).has(CLOSED) && self.auth() == auth
    }

    /// Messages queued. Exact at rest.
    pub(crate) fn queued(&self) -> u64 {
        let word = Word(self.word.load(Ordering::Acquire));
        self.queued_with(word) as u64
    }

    /// Messages handed out or withheld, over all tenants.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed) + self.taken_alone.load(Ordering::Relaxed)
    }
}

/// A message for a connection whose user has changed since: withheld, unless somebody is left for whom nobody authorized it (rule C5).
#[cold]
fn judged_stale<P>(mut delivery: Delivery<P>, tally: &Tally) -> Option<Delivery<P>> {
    if delivery.make_stale() {
        return Some(delivery);
    }
    // Before it is dropped, which may run the caller's own code.
    tally.withheld.fetch_add(1, Ordering::Relaxed);
    None
}

/// Counts one more where only one writer is at a time (W2, W4).
#[inline]
fn count(counter: &AtomicU64) {
    // Relaxed: read by statistics.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
