//! The set-up that the benches share: a crowd of connections that grows on demand, so that the million is built once per bench
//! binary and not at all if no bench that was asked for needs it. Nothing here is measured.

use std::collections::BTreeSet;

use holocast::{Channel, Client, Connection, Event, Realtime, channel};

/// Crowd and room sizes.
pub const SIZES: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// The cid of every binding.
pub const CID: &str = "page";

/// Tabs of one user.
const TABS: usize = 2;

/// Connections `tab-0`, `tab-1`, …, each with a session of its own and a user that it shares with its neighbour.
#[derive(Debug)]
pub struct Crowd {
    realtime: Realtime<u64>,
    connections: Vec<Connection<u64>>,
    rooms: BTreeSet<usize>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new(SIZES[SIZES.len() - 1])
    }
}

impl Crowd {
    /// Nobody yet, but tables with room for so many: no bench sees them grow.
    pub fn new(connections: usize) -> Self {
        let realtime = Realtime::builder()
            .expected_connections(connections)
            .build()
            .expect("settings within their ranges");
        Self { realtime, connections: Vec::new(), rooms: BTreeSet::new() }
    }

    /// The engine.
    pub fn realtime(&self) -> &Realtime<u64> {
        &self.realtime
    }

    /// Who the connection of this number is.
    pub fn client(number: usize) -> Client {
        Client::new(format!("tab-{number}")).with_session(number as i64).with_user(Self::user(number))
    }

    /// The user of the connection of this number.
    pub fn user(number: usize) -> i64 {
        (number / TABS) as i64
    }

    /// Connects until there are at least so many.
    pub fn grow(&mut self, connections: usize) {
        for number in self.connections.len()..connections {
            self.connections.push(
                self.realtime.connect(&Self::client(number)).expect("names within the limits").connection,
            );
        }
    }

    /// The channel whose members are the first so many connections.
    pub fn room(&mut self, members: usize) -> Channel {
        let room = channel!("room", members as i64);
        self.grow(members);
        if self.rooms.insert(members) {
            self.join(&room, 0..members);
        }
        room
    }

    /// Binds connections to a channel, without any event.
    pub fn join(&self, channel: &Channel, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.realtime
                .put_subscription(&Self::client(number), channel, CID)
                .expect("names within the limits");
        }
    }

    /// The connections, by number.
    pub fn connections(&mut self) -> &mut [Connection<u64>] {
        &mut self.connections
    }

    /// The engine and the connections at once.
    pub fn parts(&mut self) -> (&Realtime<u64>, &mut [Connection<u64>]) {
        (&self.realtime, &mut self.connections)
    }
}

/// Takes one broadcast from each connection.
///
/// # Panics
/// If one has no broadcast to give: the bench would measure something else.
pub fn take_one<'a>(connections: impl IntoIterator<Item = &'a mut Connection<u64>>) {
    for connection in connections {
        match connection.try_recv() {
            Ok(Event::Broadcast(delivery)) => drop(std::hint::black_box(delivery)),
            other => panic!("a broadcast should be queued, not {other:?}"),
        }
    }
}

/// Takes all that each connection has; returns how much it was.
pub fn drain<'a>(connections: impl IntoIterator<Item = &'a mut Connection<u64>>) -> usize {
    let mut events = 0;
    for connection in connections {
        while let Ok(event) = connection.try_recv() {
            drop(std::hint::black_box(event));
            events += 1;
        }
    }
    events
}
