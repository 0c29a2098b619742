//! The places of connections: pages of slots that are made when needed and stay until the engine is dropped, so that a member can
//! name its connection by a plain number.
//!
//! * **I7** A slot gets its next tenant only when nobody can still hold a snapshot that names it for the last one: whoever works
//!   with slot numbers out of a snapshot pins the epoch before loading it, and a slot is freed by a deferred call after every
//!   channel's current snapshot has lost it, and after every receiving half that ever had a lease of the tenancy is gone.

use std::ops::Deref;
use std::sync::Arc;

use super::gate::{Gates, LAST_COUNT};
use super::joined::{Joined, Ticket};
use super::tenant::Tenant;
use crate::caught::Caught;
use crate::index::{LaneId, OWN_QUEUE, Seat};
use crate::queue::{Queue, Tally};
use crate::sync::{AtomicU32, AtomicU64, Loaded, MODEL, OnceLock, Ordering, Pool, Swap, epoch};

/// Names a slot.
pub(crate) type SlotId = u32;

pub(crate) const PAGE: usize = if MODEL { 2 } else { 512 };
const PAGES: usize = if MODEL { 32 } else { 16_384 };

/// How many connections can be live at once.
pub(crate) const MAX_SLOTS: usize = PAGE * PAGES;

const _: () = assert!(MODEL || MAX_SLOTS == 8_388_608, "docs/security.md names the bound");

/// What a slot has besides its queue, which lies apart so that a broadcast walks over queues only.
#[derive(Debug)]
pub(crate) struct Slot<P> {
    pub(crate) joined: Joined,
    pub(crate) tally: Tally,
    tenant: Swap<Tenant>,
    tickets: AtomicU64,
    /// Who must be done with the tenancy before the slot gets another: its teardown and every receiving half, superseded or not.
    holders: AtomicU32,
    /// The lane that the tenant is at home on; the same for the whole tenancy.
    home: AtomicU32,
    of: std::marker::PhantomData<fn() -> P>,
}

#[derive(Debug)]
struct Page<P> {
    queues: Arc<[Queue<P>; PAGE]>,
    slots: Arc<[Slot<P>; PAGE]>,
    /// Made when the page gets its first tenant on a lane.
    gates: OnceLock<Box<Gates>>,
}

/// One slot as its receiving half sees it: the way to the queue without the table of pages.
#[derive(Debug)]
pub(crate) struct Place<P> {
    queues: Arc<[Queue<P>; PAGE]>,
    slots: Arc<[Slot<P>; PAGE]>,
    id: SlotId,
}

impl<P> Place<P> {
    pub(crate) fn id(&self) -> SlotId {
        self.id
    }

    pub(crate) fn queue(&self) -> &Queue<P> {
        &self.queues[self.id as usize % PAGE]
    }

    pub(crate) fn slot(&self) -> &Slot<P> {
        &self.slots[self.id as usize % PAGE]
    }
}

/// All slots.
#[derive(Debug)]
pub(crate) struct Slots<P> {
    /// `OnceLock`: a thread that needs a page that another is just putting in waits for that.
    pages: Box<[OnceLock<Page<P>>; PAGES]>,
    /// A take may wait for a put that is half done; then only connects wait, never a publisher or a receiver.
    free: Pool<SlotId>,
    /// The lowest number never given out.
    fresh: AtomicU32,
}

impl<P> Slot<P> {
    fn new(nobody: &Arc<Tenant>, nothing: &Joined) -> Self {
        Self {
            joined: nothing.shared(),
            tally: Tally::new(),
            tenant: Swap::new(Arc::clone(nobody)),
            tickets: AtomicU64::new(1),
            holders: AtomicU32::new(0),
            home: AtomicU32::new(OWN_QUEUE),
            of: std::marker::PhantomData,
        }
    }

    /// The lane that the tenant is at home on. The caller has pinned the epoch since before it heard of the slot, so that this is the
    /// tenancy that it heard of (I7).
    #[inline]
    pub(crate) fn home(&self) -> LaneId {
        // Relaxed: written before the tenancy could be heard of.
        self.home.load(Ordering::Relaxed)
    }

    /// A number never given out by this slot before.
    pub(crate) fn new_ticket(&self) -> Ticket {
        // Relaxed: unique is all it must be.
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn tenant(&self) -> Arc<Tenant> {
        self.tenant.load_full()
    }

    /// As [`Slot::tenant`], for a short look.
    pub(crate) fn peek_tenant(&self) -> Loaded<Tenant> {
        self.tenant.load()
    }

    pub(crate) fn replace_tenant(&self, current: &Arc<Tenant>, next: Arc<Tenant>) -> bool {
        self.tenant.replace(current, next)
    }

    /// Holds the slot for one more receiving half; false: the tenancy is over.
    pub(crate) fn hold(&self) -> bool {
        // Relaxed: whoever holds was told of the slot by other edges; let_go() orders the end.
        let mut holders = self.holders.load(Ordering::Relaxed);
        while holders > 0 {
            match self.holders.compare_exchange_weak(
                holders,
                holders + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => holders = now,
            }
        }
        false
    }

    /// Called once by each holder, after its last look at the slot's tenancy; true for the last one.
    pub(crate) fn let_go(&self) -> bool {
        // AcqRel: the last sees all that the others did.
        self.holders.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Makes the slot ready for a tenancy, held by its teardown and, unless it is at home on a lane, by its first receiving half; it is the
    /// caller's alone.
    pub(crate) fn prepare(&self, home: LaneId) {
        // Relaxed: published with the tenant.
        self.holders.store(1 + u32::from(home == OWN_QUEUE), Ordering::Relaxed);
        self.home.store(home, Ordering::Relaxed);
        self.joined.open();
    }
}

impl<P: Send + Sync + 'static> Slots<P> {
    pub(super) fn new() -> Self {
        Self {
            pages: array_of::<Box<[_]>, _, _>((0..PAGES).map(|_| OnceLock::new()).collect()),
            free: Pool::new(),
            fresh: AtomicU32::new(0),
        }
    }

    /// A slot for a new tenancy; `None` if all are taken.
    pub(crate) fn allocate(&self) -> Option<SlotId> {
        let id = self.free.take().or_else(|| {
            let mut next = self.fresh.load(Ordering::Relaxed);
            loop {
                if next as usize >= MAX_SLOTS {
                    return None;
                }
                // Relaxed: unique is all it must be.
                match self.fresh.compare_exchange_weak(next, next + 1, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(id) => return Some(id),
                    Err(now) => next = now,
                }
            }
        })?;
        self.pages[id as usize / PAGE].get_or_init(|| {
            let (nobody, nothing) = (Arc::new(Tenant::nobody()), Joined::ended());
            Page {
                queues: array_of::<Arc<[_]>, _, _>((0..PAGE).map(|_| Queue::new()).collect()),
                slots: array_of::<Arc<[_]>, _, _>((0..PAGE).map(|_| Slot::new(&nobody, &nothing)).collect()),
                gates: OnceLock::new(),
            }
        });
        Some(id)
    }

    /// Frees the slot for another tenancy once no reader can hold a snapshot that names it (I7). Called by its last holder.
    pub(crate) fn free_later(self: &Arc<Self>, id: SlotId) {
        let slots = Arc::downgrade(self);
        let guard = epoch::pin();
        guard.defer(move || {
            if let Some(slots) = slots.upgrade() {
                // What a publisher left that was resetting the queue when its last holder let go; no consumer is left now.
                let mut caught = Caught::default();
                slots.queue(id).release(&slots.slot(id).tally, &mut caught);
                // Whoever happens to run this has nothing to do with it.
                caught.forget();
                // One that was used up is not given out again.
                if slots.slot(id).peek_tenant().auth < LAST_COUNT {
                    slots.free.put(id);
                }
            }
        });
        guard.flush();
    }
}

impl<P> Slots<P> {
    pub(crate) fn queue(&self, id: SlotId) -> &Queue<P> {
        &self.page(id).queues[id as usize % PAGE]
    }

    pub(crate) fn slot(&self, id: SlotId) -> &Slot<P> {
        &self.page(id).slots[id as usize % PAGE]
    }

    pub(crate) fn place(&self, id: SlotId) -> Place<P> {
        let Page { queues, slots, .. } = self.page(id);
        Place { queues: Arc::clone(queues), slots: Arc::clone(slots), id }
    }

    /// Where the slot's tenant stands in a snapshot; see [`Slot::home`].
    pub(crate) fn seat(&self, id: SlotId) -> Seat {
        Seat { slot: id, lane: self.slot(id).home() }
    }

    /// The gates of the slot's page: of `id`, and of all numbers with the same quotient by [`PAGE`].
    pub(crate) fn gates(&self, id: SlotId) -> &Gates {
        self.page(id).gates.get_or_init(|| Box::new(Gates::new()))
    }

    fn page(&self, id: SlotId) -> &Page<P> {
        self.pages[id as usize / PAGE % PAGES].get().expect("a number that was given out has its page")
    }

    /// Every slot that was ever given out.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Queue<P>, &Slot<P>)) {
        // Relaxed: whoever was told of a slot sees a number above it. The pages are many, and most engines fill few.
        let fresh = self.fresh.load(Ordering::Relaxed) as usize;
        let pages = self.pages.iter().take(fresh.div_ceil(PAGE));
        let slots = pages.filter_map(OnceLock::get).flat_map(|page| page.queues.iter().zip(&*page.slots));
        slots.take(fresh).for_each(|(queue, slot)| f(queue, slot));
    }
}

/// # Panics
/// Never: the items are as many as the array's.
pub(super) fn array_of<S: Deref<Target = [T]>, T, A>(items: S) -> A
where
    A: TryFrom<S, Error = S>,
{
    items.try_into().unwrap_or_else(|items: S| unreachable!("{} items", items.len()))
}
