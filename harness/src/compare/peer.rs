//! What every contestant can do, so that all do the same work.

use std::time::Duration;

use holocast::Channel;

/// Most messages that wait in one queue, for those that have a bound. No workload queues more.
pub(super) const CAPACITY: usize = 32;

/// A way to carry a message to the members of a channel.
///
/// A connection is a [`Receiver`]; its number is its identity. All keep the channel as the same key, share one message among its
/// receivers by reference (params are a `u64`), and look the channel up for every broadcast.
pub(super) trait Peer: Send + Sync + Sized + 'static {
    /// As in the results.
    const NAME: &'static str;
    /// What it is, and what it can't do that holocast does.
    const ABOUT: &'static str;
    /// Whether a broadcast can leave somebody out.
    const EXCLUDES: bool = true;
    /// Whether its receivers can be awaited.
    const AWAITS: bool = true;
    /// Whether it has subscriptions at all; the floor does not.
    const SUBSCRIBES: bool = true;

    type Receiver: Receiver;

    /// Nobody yet, but room for so many connections where room can be made.
    fn new(connections: usize) -> Self;

    /// Connections are made in the order of their numbers, from 0.
    fn connect(&self, number: usize) -> Self::Receiver;

    fn subscribe(&self, room: &Channel, receiver: &mut Self::Receiver);

    /// Subscribes the receivers at these places, in this order; the room is empty before.
    fn subscribe_all(&self, room: &Channel, receivers: &mut [Self::Receiver], order: &[usize]) {
        for &place in order {
            self.subscribe(room, &mut receivers[place]);
        }
    }

    fn unsubscribe(&self, room: &Channel, receiver: &mut Self::Receiver);

    /// Whatever a receiver pays for a room that is not used any more ends. Only for those whose receivers know their rooms.
    fn leave(&self, room: &Channel, receiver: &mut Self::Receiver) {
        let _ = (room, receiver);
    }

    fn publish(&self, room: &Channel, params: u64);

    /// The same in slices of so many receivers; how long each took. Nothing, where that can't be done.
    fn publish_sliced(&self, room: &Channel, slice: usize, params: u64) -> Vec<Duration> {
        let _ = (room, slice, params);
        Vec::new()
    }

    /// To all but one connection.
    fn publish_except(&self, room: &Channel, excluded: usize, params: u64);

    /// A way to publish to one room that keeps what can be kept between broadcasts.
    fn hot(&self, room: &Channel) -> impl Fn(u64) {
        |params| self.publish(room, params)
    }
}

/// One connection.
pub(super) trait Receiver: Send + 'static {
    /// The params of the next message, which is dropped.
    fn try_take(&mut self) -> Option<u64>;

    /// The same, waiting. Never ready where [`Peer::AWAITS`] is false.
    fn take(&mut self) -> impl Future<Output = Option<u64>> + Send;

    /// Drops whatever else waits (events that are no messages); outside the clock.
    fn forget_events(&mut self) {}
}

/// What all but holocast and the floor send.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) params: u64,
    /// Said with every broadcast, as holocast does.
    #[expect(dead_code, reason = "carried, not read")]
    pub(super) action: &'static str,
}

impl Message {
    pub(super) fn new(params: u64) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Message { params, action: ACTION })
    }
}

pub(super) const ACTION: &str = "message";
