//! Subscribing a user with two tabs in a room of a thousand, by the number of connections there are besides.

use std::time::{Duration, Instant};

use holocast::{Channel, channel};

use super::peer::{Peer, Receiver};
use super::peers::{Holocast, TABS};

/// Members of the room.
const MEMBERS: usize = 1_000;

/// Users that change in one turn.
const USERS: usize = 64;

pub(super) struct ByUser {
    engine: Holocast,
    tabs: Vec<<Holocast as Peer>::Receiver>,
    room: Channel,
}

impl ByUser {
    pub(super) fn new(connections: usize) -> Self {
        let engine = Holocast::new(connections);
        let mut tabs: Vec<_> = (0..connections).map(|number| engine.connect(number)).collect();
        let room = channel!("room", 1);
        engine.subscribe_all(&room, &mut tabs, &(0..MEMBERS.min(connections)).collect::<Vec<_>>());
        ByUser { engine, tabs, room }
    }

    /// Nanoseconds per tab and change.
    pub(super) fn turn(&mut self) -> f64 {
        let mut time = Duration::ZERO;
        let users = MEMBERS / TABS;
        for change in 0..USERS {
            let user = change * (users / USERS);
            let start = Instant::now();
            self.engine.change_user(&self.room, user, false);
            self.engine.change_user(&self.room, user, true);
            time += start.elapsed();
            self.tabs[user * TABS..][..TABS].iter_mut().for_each(Receiver::forget_events);
        }
        time.as_nanos() as f64 / (2 * TABS * USERS) as f64
    }
}
