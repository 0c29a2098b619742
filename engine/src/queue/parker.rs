//! Who sleeps on a queue: one waker per lease, so that a superseded receiver never takes its successor's place.

use std::task::Waker;

use crate::sync::AtomicWaker;

/// The sleeping place of one receiving half.
///
/// Wake-ups follow the order *register, then look again*: the receiver registers its waker, then parks the queue by a
/// compare-and-swap that fails unless the queue is still empty and open, then looks at its lease once more. Whoever pushes
/// clears the parked flag with the push itself and wakes if it was set; whoever ends a lease wakes in any case.
#[derive(Debug)]
pub(crate) struct Parker {
    waker: AtomicWaker,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { waker: AtomicWaker::new() }
    }

    /// Remembers whom to wake. Called by the one receiver of the lease.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Forgets whom to wake. Called by the one receiver of the lease.
    pub(crate) fn forget(&self) {
        drop(self.waker.take());
    }

    /// Wakes the receiver if it registered since the last wake.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }
}
