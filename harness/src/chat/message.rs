//! What the workload broadcasts: a time of departure, and a count of the messages still in somebody's hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many messages of one publisher exist: on their way, queued, or being handed out.
#[derive(Debug, Clone, Default)]
pub(super) struct OnTheWay(Arc<AtomicU64>);

impl OnTheWay {
    pub(super) fn messages(&self) -> u64 {
        // Relaxed: paces the publisher; at rest, the joins of the threads order it.
        self.0.load(Ordering::Relaxed)
    }
}

/// The params of a chat message. The engine shares one among all receivers and drops it after the last.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) sent: Instant,
    on_the_way: OnTheWay,
}

impl Message {
    pub(super) fn new(on_the_way: &OnTheWay) -> Self {
        // Relaxed: as in `OnTheWay::messages`.
        on_the_way.0.fetch_add(1, Ordering::Relaxed);
        Message { sent: Instant::now(), on_the_way: on_the_way.clone() }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // Relaxed: as in `OnTheWay::messages`.
        self.on_the_way.0.fetch_sub(1, Ordering::Relaxed);
    }
}
