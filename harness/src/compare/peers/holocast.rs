//! The engine.

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
    fn client(number: usize) -> Client {
        Client::new(instance(number)).with_session(number as i64).with_user((number / TABS) as i64)
    }

    /// Binds, or unbinds, all tabs of a user.
    pub(in crate::compare) fn change_user(&self, room: &Channel, user: usize, bind: bool) {
        let user = Identity::user(user as i64);
        let changed = match bind {
            true => self.realtime.subscribe(&user, room, CID).map(drop),
            false => self.realtime.unsubscribe(&user, room, CID).map(drop),
        };
        changed.expect("names within the limits");
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
        Tab { number, identity: Identity::instance(instance(number)), connection: connected.connection }
    }

    fn subscribe(&self, room: &Channel, tab: &mut Tab) {
        self.realtime.subscribe(&tab.identity, room, CID).expect("names within the limits");
    }

    fn subscribe_all(&self, room: &Channel, tabs: &mut [Tab], order: &[usize]) {
        for &place in order {
            self.realtime
                .put_subscription(&Self::client(tabs[place].number), room, CID)
                .expect("names within the limits");
        }
    }

    fn unsubscribe(&self, room: &Channel, tab: &mut Tab) {
        self.realtime.unsubscribe(&tab.identity, room, CID).expect("names within the limits");
    }

    fn publish(&self, room: &Channel, params: u64) {
        self.realtime.broadcast_action(room, ACTION, params).expect("names within the limits");
    }

    fn publish_except(&self, room: &Channel, excluded: usize, params: u64) {
        self.realtime
            .broadcast_action_except(&[Identity::instance(instance(excluded))], room, ACTION, params)
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
