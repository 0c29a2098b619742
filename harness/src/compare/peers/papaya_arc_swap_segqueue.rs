//! papaya and arc-swap with crossbeam's SegQueue: the engine's own building blocks, put together the plain way.

use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_queue::SegQueue;
use foldhash::fast::FixedState;
use holocast::Channel;
use papaya::HashMap;

use crate::compare::peer::{Message, Peer, Receiver};

type Queue = Arc<SegQueue<Arc<Message>>>;

/// Channels in a papaya map, each a list of queues behind an arc-swap; a change copies the list.
pub(in crate::compare) struct PapayaArcSwapSegQueue {
    channels: HashMap<Channel, ArcSwap<Vec<(usize, Queue)>>, FixedState>,
}

pub(in crate::compare) struct Inbox {
    number: usize,
    queue: Queue,
}

impl PapayaArcSwapSegQueue {
    fn send(&self, room: &Channel, params: u64, wanted: impl Fn(usize) -> bool) {
        let message = Message::new(params);
        let channels = self.channels.pin();
        if let Some(members) = channels.get(room) {
            for (_, queue) in members.load().iter().filter(|(number, _)| wanted(*number)) {
                queue.push(Arc::clone(&message));
            }
        }
    }

    fn change(&self, room: &Channel, change: impl Fn(&mut Vec<(usize, Queue)>)) {
        let channels = self.channels.pin();
        channels.get_or_insert_with(room.clone(), ArcSwap::default).rcu(|members| {
            let mut members = Vec::clone(members);
            change(&mut members);
            members
        });
    }
}

impl Peer for PapayaArcSwapSegQueue {
    const NAME: &'static str = "papaya-arc-swap-segqueue";
    const ABOUT: &'static str =
        "a queue per connection without a bound or a wake; a change copies all members of the channel";
    const AWAITS: bool = false;

    type Receiver = Inbox;

    fn new(_: usize) -> Self {
        PapayaArcSwapSegQueue { channels: HashMap::default() }
    }

    fn connect(&self, number: usize) -> Inbox {
        Inbox { number, queue: Queue::default() }
    }

    fn subscribe(&self, room: &Channel, inbox: &mut Inbox) {
        self.change(room, |members| members.push((inbox.number, Arc::clone(&inbox.queue))));
    }

    fn subscribe_all(&self, room: &Channel, inboxes: &mut [Inbox], order: &[usize]) {
        self.change(room, |members| {
            members.extend(order.iter().map(|&at| (inboxes[at].number, Arc::clone(&inboxes[at].queue))));
        });
    }

    fn unsubscribe(&self, room: &Channel, inbox: &mut Inbox) {
        self.change(room, |members| members.retain(|(number, _)| *number != inbox.number));
    }

    fn publish(&self, room: &Channel, params: u64) {
        self.send(room, params, |_| true);
    }

    fn publish_except(&self, room: &Channel, excluded: usize, params: u64) {
        self.send(room, params, |number| number != excluded);
    }
}

impl Receiver for Inbox {
    fn try_take(&mut self) -> Option<u64> {
        self.queue.pop().map(|message| message.params)
    }

    async fn take(&mut self) -> Option<u64> {
        std::future::pending().await
    }
}
