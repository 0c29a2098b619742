//! The engine.

use std::time::{Duration, Instant};

use holocast::{Channel, Client, Connection, Event, Identity, Realtime, Text};

use crate::compare::peer::{self, CAPACITY, Peer, Receiver};

pub(in crate::compare) struct Holocast {
    pub(in crate::compare) realtime: Realtime<u64>,
}

/// The others carry a reference to it too.
const ACTION: Text = Text::from_static(peer::ACTION);

/// The cid of every binding.
const CID: &str = "page";

/// Tabs of one user.
pub(in crate::compare) const TABS: usize = 2;

impl Holocast {
    pub(in crate::compare) fn client(number: usize) -> Client {
        Client::new(instance(number)).with_session(number as i64).with_user((number / TABS) as i64)
    }

    /// The identity of one connection alone.
    pub(in crate::compare) fn identity(number: usize) -> Identity {
        Identity::instance(instance(number))
    }

    /// Binds a connection without a word to it.
    pub(in crate::compare) fn put(&self, room: &Channel, number: usize) {
        self.realtime.put_subscription(&Self::client(number), room, CID).expect("names within the limits");
    }

    /// Binds, or unbinds, one connection or several.
    pub(in crate::compare) fn change(&self, room: &Channel, identity: &Identity, bind: bool) {
        let changed = match bind {
            true => self.realtime.subscribe(identity, room, CID).map(drop),
            false => self.realtime.unsubscribe(identity, room, CID).map(drop),
        };
        changed.expect("names within the limits");
    }

    /// Binds, or unbinds, all tabs of a user.
    pub(in crate::compare) fn change_user(&self, room: &Channel, user: usize, bind: bool) {
        self.change(room, &Identity::user(user as i64), bind);
    }
}

fn instance(number: usize) -> String {
    format!("tab-{number}")
}

pub(in crate::compare) struct Tab {
    number: usize,
    identity: Identity,
    connection: Connection<u64>,
}

impl Peer for Holocast {
    const NAME: &'static str = "holocast";
    const ABOUT: &'static str =
        "this engine: one queue per connection, addressed by instance, session or user";

    type Receiver = Tab;

    fn new(connections: usize) -> Self {
        let realtime = Realtime::builder()
            .expected_connections(connections)
            .queue_capacity(CAPACITY)
            .build()
            .expect("settings within their ranges");
        Self { realtime }
    }

    fn connect(&self, number: usize) -> Tab {
        let connected = self.realtime.connect(&Self::client(number)).expect("names within the limits");
        Tab { number, identity: Self::identity(number), connection: connected.connection }
    }

    fn subscribe(&self, room: &Channel, tab: &mut Tab) {
        self.change(room, &tab.identity, true);
    }

    fn subscribe_all(&self, room: &Channel, tabs: &mut [Tab], order: &[usize]) {
        for &place in order {
            self.put(room, tabs[place].number);
        }
    }

    fn unsubscribe(&self, room: &Channel, tab: &mut Tab) {
        self.change(room, &tab.identity, false);
    }

    fn publish(&self, room: &Channel, params: u64) {
        self.realtime.broadcast_action(room, ACTION, params).expect("names within the limits");
    }

    fn publish_sliced(&self, room: &Channel, slice: usize, params: u64) -> Vec<Duration> {
        let mut times = Vec::new();
        let mut start = Instant::now();
        let mut broadcast =
            self.realtime.broadcast_sliced(&[], room, ACTION, params).expect("names within the limits");
        loop {
            let more = broadcast.advance(slice);
            times.push(start.elapsed());
            if !more {
                return times;
            }
            start = Instant::now();
        }
    }

    fn publish_except(&self, room: &Channel, excluded: usize, params: u64) {
        self.realtime
            .broadcast_action_except(&[Self::identity(excluded)], room, ACTION, params)
            .expect("names within the limits");
    }

    fn hot(&self, room: &Channel) -> impl Fn(u64) {
        let handle = self.realtime.channel(room).expect("names within the limits");
        move |params| {
            handle.broadcast_action(ACTION, params).expect("names within the limits");
        }
    }
}

impl Receiver for Tab {
    fn try_take(&mut self) -> Option<u64> {
        match self.connection.try_recv() {
            Ok(Event::Broadcast(delivery)) => Some(*delivery.params()),
            _ => None,
        }
    }

    async fn take(&mut self) -> Option<u64> {
        match self.connection.recv().await {
            Some(Event::Broadcast(delivery)) => Some(*delivery.params()),
            _ => None,
        }
    }

    fn forget_events(&mut self) {
        while self.connection.try_recv().is_ok() {}
    }
}
