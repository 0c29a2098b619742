//! The graceful end of the whole engine (rule C7): nothing new comes in, everybody is told, what is queued can be taken.

#[cfg(all(test, holocast_loom))]
mod loom_tests;

use crate::caught::Caught;
use crate::engine::Engine;
use crate::error::Error;
use crate::event::CloseReason;
use crate::index::OWN_QUEUE;
use crate::queue::Entry;
use crate::registry::SlotId;
use crate::sync::{AtomicU32, Ordering, epoch};

/// Shut once, for good.
///
/// A connect that finds it open when it begins looks again after its instance can be found; a shutdown shuts it before it looks for
/// instances. Both looks are read-modify-writes of one atomic, so one comes first: if the connect's, the shutdown sees the instance that
/// was entered before it; if the shutdown's, the connect finds the latch shut and takes itself back.
#[derive(Debug)]
pub(crate) struct Latch(AtomicU32);

impl Latch {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether new work may begin. What begins beside the shutdown counts as before it.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        // Relaxed: orders nothing; see above for connects.
        if self.0.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(Error::ShutDown) }
    }

    /// Asked by a connect after it has entered its instance.
    pub(crate) fn was_shut_before(&self) -> bool {
        // AcqRel: pairs with shut().
        self.0.fetch_add(0, Ordering::AcqRel) != 0
    }

    fn shut(&self) {
        // AcqRel: pairs with was_shut_before().
        self.0.swap(1, Ordering::AcqRel);
    }
}

impl<P: Send + Sync + 'static> Engine<P> {
    pub(crate) fn shutdown(&self) -> usize {
        self.latch.shut();
        // Pinned before the slots are looked at: none gets another tenant meanwhile (I7).
        let _pin = epoch::pin();
        let mut slots = Vec::new();
        self.registry.for_each_instance(|slot| slots.push(slot));
        let (mut told, mut caught) = (0, Caught::default());
        for slot in slots {
            let home = self.registry.slot(slot).home();
            if home == OWN_QUEUE {
                caught.attempt(|| told += usize::from(self.end(slot, None, CloseReason::Shutdown)));
                continue;
            }
            // After everything that waits in the lane for it; also if another receiver has it by now (L1).
            let tenant = self.registry.slot(slot).peek_tenant();
            if tenant.is_live() {
                let entry = Entry::Shutdown { slot, born: tenant.born };
                told +=
                    usize::from(self.lanes.read(home, |lane| self.post(lane, entry, &mut caught)).is_some());
            }
        }
        caught.go_on();
        told
    }

    /// Ends a connection at home on a lane, when its lane has come to it.
    pub(crate) fn shut_down_one(&self, slot: SlotId, born: u32) {
        // Pinned before the tenant is looked at (I7).
        let _pin = epoch::pin();
        loop {
            let tenant = self.registry.slot(slot).tenant();
            if !tenant.is_live() || tenant.born != born {
                return;
            }
            // Superseded in between: its successor is as much to be ended.
            if self.end(slot, Some(tenant.generation), CloseReason::Shutdown) {
                return;
            }
        }
    }
}
