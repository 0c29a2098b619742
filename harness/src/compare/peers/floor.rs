//! The floor: what nothing can beat that tells each connection something through memory of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use holocast::Channel;

use crate::compare::peer::{Peer, Receiver};

/// One cache line per connection, side by side in the order of the connections, as the engine's queues lie. A broadcast is an
/// atomic add and a store on each, in that order too, as the engine orders its members; a take is the two loads that match.
pub(in crate::compare) struct Floor {
    lines: Arc<[Line]>,
    connections: AtomicUsize,
}

#[derive(Default)]
#[repr(align(64))]
struct Line {
    count: AtomicU64,
    params: AtomicU64,
}

pub(in crate::compare) struct Reader {
    lines: Arc<[Line]>,
    number: usize,
    seen: u64,
}

impl Peer for Floor {
    const NAME: &'static str = "floor";
    const ABOUT: &'static str = "an atomic add and a store per connection, and the loads that match; it holds no queue, only the newest";
    const AWAITS: bool = false;
    const EXCLUDES: bool = false;
    const SUBSCRIBES: bool = false;

    type Receiver = Reader;

    fn new(connections: usize) -> Self {
        Floor { lines: (0..connections).map(|_| Line::default()).collect(), connections: AtomicUsize::new(0) }
    }

    fn connect(&self, number: usize) -> Reader {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Reader { lines: Arc::clone(&self.lines), number, seen: 0 }
    }

    fn subscribe(&self, _: &Channel, _: &mut Reader) {}

    fn unsubscribe(&self, _: &Channel, _: &mut Reader) {}

    fn publish(&self, _: &Channel, params: u64) {
        for line in &self.lines[..self.connections.load(Ordering::Relaxed)] {
            line.count.fetch_add(1, Ordering::AcqRel);
            line.params.store(params, Ordering::Release);
        }
    }

    fn publish_except(&self, room: &Channel, _: usize, params: u64) {
        self.publish(room, params);
    }
}

impl Receiver for Reader {
    /// One step of the count is one message, though only the newest params are there.
    fn try_take(&mut self) -> Option<u64> {
        let line = &self.lines[self.number];
        if line.count.load(Ordering::Acquire) == self.seen {
            return None;
        }
        self.seen += 1;
        Some(line.params.load(Ordering::Acquire))
    }

    async fn take(&mut self) -> Option<u64> {
        std::future::pending().await
    }
}
