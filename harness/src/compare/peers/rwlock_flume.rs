//! `RwLock<HashMap>` with flume, one channel per connection.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::FixedState;
use holocast::Channel;

use crate::compare::members::Members;
use crate::compare::peer::{CAPACITY, Message, Peer, Receiver};

type Channels = HashMap<Channel, Members<flume::Sender<Arc<Message>>>, FixedState>;

/// All channels behind one lock; a broadcast holds it for reading.
pub(in crate::compare) struct RwLockFlume {
    channels: RwLock<Channels>,
}

pub(in crate::compare) struct Inbox {
    number: usize,
    sender: flume::Sender<Arc<Message>>,
    receiver: flume::Receiver<Arc<Message>>,
}

impl RwLockFlume {
    fn send(&self, room: &Channel, params: u64, wanted: impl Fn(usize) -> bool) {
        let message = Message::new(params);
        if let Some(members) = self.channels.read().unwrap_or_else(PoisonError::into_inner).get(room) {
            for (_, sender) in members.all().iter().filter(|(number, _)| wanted(*number)) {
                let _ = sender.try_send(Arc::clone(&message));
            }
        }
    }
}

impl Peer for RwLockFlume {
    const NAME: &'static str = "rwlock-flume";
    const ABOUT: &'static str =
        "a bounded queue per connection with a lock in it; every change waits for every broadcast";

    type Receiver = Inbox;

    fn new(_: usize) -> Self {
        RwLockFlume { channels: RwLock::default() }
    }

    fn connect(&self, number: usize) -> Inbox {
        let (sender, receiver) = flume::bounded(CAPACITY);
        Inbox { number, sender, receiver }
    }

    fn subscribe(&self, room: &Channel, inbox: &mut Inbox) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.entry(room.clone()).or_default().add(inbox.number, inbox.sender.clone());
    }

    fn unsubscribe(&self, room: &Channel, inbox: &mut Inbox) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(members) = channels.get_mut(room) {
            members.remove(inbox.number);
        }
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
        self.receiver.try_recv().ok().map(|message| message.params)
    }

    async fn take(&mut self) -> Option<u64> {
        self.receiver.recv_async().await.ok().map(|message| message.params)
    }
}
