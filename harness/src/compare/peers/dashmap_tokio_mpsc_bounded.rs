//! DashMap of HashMaps with tokio's bounded mpsc, one per connection.

use std::collections::HashMap;
use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::FixedState;
use holocast::Channel;
use tokio::sync::mpsc;

use crate::compare::peer::{CAPACITY, Message, Peer, Receiver};

type Members = HashMap<usize, mpsc::Sender<Arc<Message>>, FixedState>;

/// Channels in a DashMap, each a HashMap from connection to sender: what one finds in most chat servers.
pub(in crate::compare) struct DashMapTokioMpscBounded {
    channels: DashMap<Channel, Members, FixedState>,
}

pub(in crate::compare) struct Inbox {
    number: usize,
    sender: mpsc::Sender<Arc<Message>>,
    receiver: mpsc::Receiver<Arc<Message>>,
}

impl Peer for DashMapTokioMpscBounded {
    const NAME: &'static str = "dashmap-tokio-mpsc-bounded";
    const ABOUT: &'static str = "a bounded queue per connection, found through a HashMap per channel; a broadcast and a change of \
                                 the same channel wait for each other";

    type Receiver = Inbox;

    fn new(_: usize) -> Self {
        DashMapTokioMpscBounded { channels: DashMap::default() }
    }

    fn connect(&self, number: usize) -> Inbox {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        Inbox { number, sender, receiver }
    }

    fn subscribe(&self, room: &Channel, inbox: &mut Inbox) {
        self.channels.entry(room.clone()).or_default().insert(inbox.number, inbox.sender.clone());
    }

    fn unsubscribe(&self, room: &Channel, inbox: &mut Inbox) {
        if let Some(mut members) = self.channels.get_mut(room) {
            members.remove(&inbox.number);
        }
    }

    fn publish(&self, room: &Channel, params: u64) {
        let message = Message::new(params);
        if let Some(members) = self.channels.get(room) {
            for sender in members.values() {
                let _ = sender.try_send(Arc::clone(&message));
            }
        }
    }

    fn publish_except(&self, room: &Channel, excluded: usize, params: u64) {
        let message = Message::new(params);
        if let Some(members) = self.channels.get(room) {
            for (_, sender) in members.iter().filter(|(number, _)| **number != excluded) {
                let _ = sender.try_send(Arc::clone(&message));
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
