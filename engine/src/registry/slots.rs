//! The places of connections: pages of slots that are made when needed and stay until the engine is dropped, so that a member can
//! name its connection by a plain number.
//!
//! * **I7** A slot gets its next tenant only when nobody can still hold a snapshot that names it for the last one: whoever works
//!   with slot numbers out of a snapshot pins the epoch before loading it, and a slot is freed by a deferred call after every
//!   channel's current snapshot has lost it.

use std::sync::{Arc, OnceLock};

use super::joined::{Joined, Ticket};
use super::tenant::Tenant;
use crate::queue::{Queue, Tally};
use crate::sync::{AtomicU32, AtomicU64, Loaded, Ordering, Pool, Swap, epoch};

/// Names a slot.
pub(crate) type SlotId = u32;

const PAGE: usize = if cfg!(holocast_loom) { 2 } else { 1024 };
const PAGES: usize = if cfg!(holocast_loom) { 4 } else { 8192 };

/// How many connections can be live at once.
pub(crate) const MAX_SLOTS: usize = PAGE * PAGES;

/// What a slot has besides its queue, which lies apart so that a broadcast walks over queues only.
#[derive(Debug)]
pub(crate) struct Slot<P> {
    pub(crate) joined: Joined,
    pub(crate) tally: Tally,
    tenant: Swap<Tenant>,
    tickets: AtomicU64,
    /// How many of the two that must be done with a tenancy are: the receiving half and the teardown.
    done: AtomicU32,
    of: std::marker::PhantomData<fn() -> P>,
}

#[derive(Debug)]
struct Page<P> {
    queues: Box<[Queue<P>]>,
    slots: Box<[Slot<P>]>,
}

/// All slots.
#[derive(Debug)]
pub(crate) struct Slots<P> {
    /// `OnceLock`: a thread that needs a page that another is just putting in waits for that.
    pages: Box<[OnceLock<Page<P>>]>,
    /// A take may wait for a put that is half done; then only connects wait, never a publisher or a receiver.
    free: Pool<SlotId>,
    /// The lowest number never given out.
    fresh: AtomicU32,
}

impl<P> Slot<P> {
    fn new(nobody: &Arc<Tenant>) -> Self {
        Self {
            joined: Joined::ended(),
            tally: Tally::new(),
            tenant: Swap::new(Arc::clone(nobody)),
            tickets: AtomicU64::new(1),
            done: AtomicU32::new(0),
            of: std::marker::PhantomData,
        }
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

    /// Called once by the receiving half of the last lease and once by the teardown, after their last look at the slot's
    /// tenancy; true for the second.
    pub(crate) fn is_done(&self) -> bool {
        // AcqRel: the second sees all that the first did.
        self.done.fetch_add(1, Ordering::AcqRel) == 1
    }

    /// Makes the slot ready for a tenancy; it is the caller's alone.
    pub(crate) fn prepare(&self) {
        // Relaxed: published with the tenant.
        self.done.store(0, Ordering::Relaxed);
        self.joined.open();
    }
}

impl<P: Send + Sync + 'static> Slots<P> {
    pub(super) fn new() -> Self {
        Self {
            pages: (0..PAGES).map(|_| OnceLock::new()).collect(),
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
            let nobody = Arc::new(Tenant::nobody());
            Page {
                queues: (0..PAGE).map(|_| Queue::new()).collect(),
                slots: (0..PAGE).map(|_| Slot::new(&nobody)).collect(),
            }
        });
        Some(id)
    }

    /// Frees the slot for another tenancy once no reader can hold a snapshot that names it (I7). Called when both are done with it
    /// ([`Slot::is_done`]).
    pub(crate) fn free_later(self: &Arc<Self>, id: SlotId) {
        let slots = Arc::downgrade(self);
        let guard = epoch::pin();
        guard.defer(move || {
            let Some(slots) = slots.upgrade() else { return };
            // A receiver that was superseded long ago may be inside a take; then once more, later.
            match slots.queue(id).release(&slots.slot(id).tally) {
                true => slots.free.put(id),
                false => slots.free_later(id),
            }
        });
        guard.flush();
    }

    pub(crate) fn queue(&self, id: SlotId) -> &Queue<P> {
        &self.page(id).queues[id as usize % PAGE]
    }

    pub(crate) fn slot(&self, id: SlotId) -> &Slot<P> {
        &self.page(id).slots[id as usize % PAGE]
    }

    fn page(&self, id: SlotId) -> &Page<P> {
        self.pages[id as usize / PAGE].get().expect("a number that was given out has its page")
    }

    /// Every slot that was ever given out.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Queue<P>, &Slot<P>)) {
        for page in self.pages.iter().map_while(OnceLock::get) {
            page.queues.iter().zip(&page.slots).for_each(|(queue, slot)| f(queue, slot));
        }
    }
}
