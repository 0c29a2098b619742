//! `tokio::sync::broadcast`, one per channel.

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::FixedState;
use holocast::Channel;
use tokio::sync::broadcast;

use crate::compare::peer::{CAPACITY, Message, Peer, Receiver};

/// One ring per channel, shared by its receivers, in a DashMap. A connection has a receiver for each of its channels.
pub(in crate::compare) struct TokioBroadcast {
    channels: DashMap<Channel, broadcast::Sender<Arc<Message>>, FixedState>,
}

pub(in crate::compare) struct Ears(Vec<(Channel, broadcast::Receiver<Arc<Message>>)>);

impl Peer for TokioBroadcast {
    const NAME: &'static str = "tokio-broadcast";
    const ABOUT: &'static str = "a shared ring per channel: no queue per connection, no order across channels, no exclusion, \
                                 and a connection must poll each of its channels";
    const EXCLUDES: bool = false;

    type Receiver = Ears;

    fn new(_: usize) -> Self {
        TokioBroadcast { channels: DashMap::default() }
    }

    fn connect(&self, _: usize) -> Ears {
        Ears(Vec::new())
    }

    fn subscribe(&self, room: &Channel, ears: &mut Ears) {
        let sender = self.channels.entry(room.clone()).or_insert_with(|| broadcast::Sender::new(CAPACITY));
        ears.0.push((room.clone(), sender.subscribe()));
    }

    fn unsubscribe(&self, room: &Channel, ears: &mut Ears) {
        ears.0.retain(|(channel, _)| channel != room);
    }

    fn leave(&self, room: &Channel, ears: &mut Ears) {
        self.unsubscribe(room, ears);
    }

    fn publish(&self, room: &Channel, params: u64) {
        if let Some(sender) = self.channels.get(room) {
            let _ = sender.send(Message::new(params));
        }
    }

    fn publish_except(&self, room: &Channel, _: usize, params: u64) {
        self.publish(room, params);
    }

    fn hot(&self, room: &Channel) -> impl Fn(u64) {
        let sender = self.channels.get(room).expect("somebody is subscribed").clone();
        move |params| {
            let _ = sender.send(Message::new(params));
        }
    }
}

impl Receiver for Ears {
    fn try_take(&mut self) -> Option<u64> {
        self.0.iter_mut().find_map(|(_, ear)| ear.try_recv().ok()).map(|message| message.params)
    }

    /// Of its first channel; the workloads that wait have one.
    async fn take(&mut self) -> Option<u64> {
        let (_, ear) = self.0.first_mut()?;
        ear.recv().await.ok().map(|message| message.params)
    }
}
