//! DashMap with tokio's unbounded mpsc, one per connection.

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::FixedState;
use holocast::Channel;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::compare::members::Members;
use crate::compare::peer::{Message, Peer, Receiver};

/// Channels in a DashMap, each with the senders of its members; a broadcast holds its shard's read lock.
pub(in crate::compare) struct DashMapTokioMpsc {
    channels: DashMap<Channel, Members<UnboundedSender<Arc<Message>>>, FixedState>,
}

pub(in crate::compare) struct Inbox {
    number: usize,
    sender: UnboundedSender<Arc<Message>>,
    receiver: UnboundedReceiver<Arc<Message>>,
}

impl Peer for DashMapTokioMpsc {
    const NAME: &'static str = "dashmap-tokio-mpsc";
    const ABOUT: &'static str = "a queue per connection without a bound; a broadcast and a change of the same channel wait for each other";

    type Receiver = Inbox;

    fn new(_: usize) -> Self {
        DashMapTokioMpsc { channels: DashMap::default() }
    }

    fn connect(&self, number: usize) -> Inbox {
        let (sender, receiver) = unbounded_channel();
        Inbox { number, sender, receiver }
    }

    fn subscribe(&self, room: &Channel, inbox: &mut Inbox) {
        self.channels.entry(room.clone()).or_default().add(inbox.number, inbox.sender.clone());
    }

    fn unsubscribe(&self, room: &Channel, inbox: &mut Inbox) {
        if let Some(mut members) = self.channels.get_mut(room) {
            members.remove(inbox.number);
        }
    }

    fn publish(&self, room: &Channel, params: u64) {
        let message = Message::new(params);
        if let Some(members) = self.channels.get(room) {
            for (_, sender) in members.all() {
                let _ = sender.send(Arc::clone(&message));
            }
        }
    }

    fn publish_except(&self, room: &Channel, excluded: usize, params: u64) {
        let message = Message::new(params);
        if let Some(members) = self.channels.get(room) {
            for (_, sender) in members.all().iter().filter(|(number, _)| *number != excluded) {
                let _ = sender.send(Arc::clone(&message));
            }
        }
    }
}

impl Receiver for Inbox {
    fn try_take(&mut self) -> Option<u64> {
        self.receiver.try_recv().ok().map(|message| message.params)
    }

    async fn take(&mut self) -> Option<u64> {
        self.receiver.recv().await.map(|message| message.params)
    }
}
