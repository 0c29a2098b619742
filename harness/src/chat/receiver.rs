//! One receiver thread: drains the connections of its tabs as they get something.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::task::{Context, Poll};
use std::time::Duration;

use hdrhistogram::Histogram;
use holocast::{CloseReason, Connection, Event};

use super::message::Message;
use super::world::World;

/// Longest latency that is told from longer ones.
const LONGEST: Duration = Duration::from_secs(600);

/// Longest sleep; wakes and nudges end it earlier.
const NAP: Duration = Duration::from_millis(100);

/// What a receiver got.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) deliveries: u64,
    pub(super) subscribed: u64,
    pub(super) unsubscribed: u64,
    pub(super) superseded: u64,
    pub(super) disconnected: u64,
    /// Connections that were closed because their queue was full.
    pub(super) overflowed: u64,
    /// From the publisher's call to the receiver's hand, in nanoseconds.
    pub(super) latency_ns: Histogram<u64>,
}

impl Default for Received {
    fn default() -> Self {
        let latency_ns =
            Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3).expect("the bounds are in order");
        Received {
            deliveries: 0,
            subscribed: 0,
            unsubscribed: 0,
            superseded: 0,
            disconnected: 0,
            overflowed: 0,
            latency_ns,
        }
    }
}

impl AddAssign for Received {
    fn add_assign(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.subscribed += other.subscribed;
        self.unsubscribed += other.unsubscribed;
        self.superseded += other.superseded;
        self.disconnected += other.disconnected;
        self.overflowed += other.overflowed;
        self.latency_ns.add(other.latency_ns).expect("all receivers use the same bounds");
    }
}

pub(super) struct Receiver<'w> {
    world: &'w World,
    index: usize,
    /// By tab.
    connections: HashMap<usize, Connection<Message>>,
    received: Received,
}

impl<'w> Receiver<'w> {
    pub(super) fn new(world: &'w World, index: usize) -> Self {
        Receiver { world, index, connections: HashMap::new(), received: Received::default() }
    }

    /// Drains until told to stop, then stops as it is.
    pub(super) fn run(mut self) -> Self {
        let ready = &self.world.desk(self.index).ready;
        let mut woken = Vec::new();
        while !self.world.is_stopped() {
            self.welcome();
            ready.take(&mut woken);
            if woken.is_empty() {
                ready.wait(NAP);
            }
            for &tab in &woken {
                if self.world.is_stopped() {
                    break;
                }
                self.drain(tab);
            }
        }
        self
    }

    /// Takes over new connections; each replaces the tab's last one, after that has given what it had.
    fn welcome(&mut self) {
        for (tab, connection) in self.world.handed_over(self.index) {
            self.drain(tab);
            self.connections.insert(tab, connection);
            self.drain(tab);
        }
    }

    /// Takes all that a tab's connection has and parks it.
    fn drain(&mut self, tab: usize) {
        let Some(connection) = self.connections.get_mut(&tab) else { return };
        let waker = self.world.desk(self.index).ready.waker(tab);
        let mut context = Context::from_waker(&waker);
        loop {
            match connection.poll_recv(&mut context) {
                Poll::Pending => return,
                Poll::Ready(Some(event)) => self.received.count(event, self.world, tab),
                Poll::Ready(None) => break,
            }
        }
        self.connections.remove(&tab);
    }

    /// Takes all that anybody has.
    pub(super) fn drain_all(&mut self) {
        self.welcome();
        let tabs: Vec<usize> = self.connections.keys().copied().collect();
        for tab in tabs {
            self.drain(tab);
        }
    }

    /// Takes what is left and ends every connection.
    pub(super) fn end_all(&mut self) {
        self.drain_all();
        self.connections.clear();
    }

    pub(super) fn deliveries(&self) -> u64 {
        self.received.deliveries
    }

    pub(super) fn into_received(self) -> Received {
        self.received
    }
}

impl Received {
    fn count(&mut self, event: Event<Message>, world: &World, tab: usize) {
        match event {
            Event::Broadcast(delivery) => {
                self.deliveries += 1;
                self.latency_ns.saturating_record(delivery.params().sent.elapsed().as_nanos() as u64);
            }
            Event::Subscribed(receipt) => {
                self.subscribed += 1;
                world.wallet(tab).keep_newest([receipt]);
            }
            Event::Unsubscribed(keys) => {
                self.unsubscribed += 1;
                world.wallet(tab).forget(&keys);
            }
            Event::Closed(CloseReason::Superseded) => self.superseded += 1,
            Event::Closed(CloseReason::Disconnected) => self.disconnected += 1,
            Event::Closed(CloseReason::Overflow) => self.overflowed += 1,
            // Lagged comes under other policies than this engine's.
            _ => {}
        }
    }
}
