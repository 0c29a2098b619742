//! Heap bytes: per idle connection, per binding in a large room, per queued event.

use holocast::{Channel, channel};

use super::peer::{CAPACITY, Peer, Receiver};
use crate::allocation::left_behind;

/// Rooms of one connection.
const BINDINGS: usize = 3;

/// Connections for each room; each room has [`BINDINGS`] times as many members.
const CONNECTIONS_PER_ROOM: usize = 100;

/// Messages that wait in every queue: as many as those with a bound take.
const QUEUED: usize = CAPACITY;

/// The same numbers for everybody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) idle_connection: f64,
    pub(super) binding: f64,
    pub(super) queued_event: f64,
}

fn room(number: usize) -> Channel {
    channel!("room", number as i64)
}

/// Measures with so many connections.
pub(super) fn measure<P: Peer>(connections: usize) -> Bytes {
    let rooms = (connections / CONNECTIONS_PER_ROOM).max(BINDINGS);
    let (world, idle) = left_behind(|| {
        let peer = P::new(connections);
        let mut receivers: Vec<_> = (0..connections).map(|number| peer.connect(number)).collect();
        for (number, receiver) in receivers.iter_mut().enumerate() {
            for binding in 0..BINDINGS {
                peer.subscribe(&room((number + binding * (rooms / BINDINGS)) % rooms), receiver);
            }
            receiver.forget_events();
        }
        (peer, receivers)
    });
    drop(world);

    let peer = P::new(connections);
    let mut receivers: Vec<_> = (0..connections).map(|number| peer.connect(number)).collect();
    let large = room(0);
    let ((), bindings) = left_behind(|| {
        peer.subscribe_all(&large, &mut receivers, &(0..connections).collect::<Vec<_>>());
        receivers.iter_mut().for_each(Receiver::forget_events);
    });
    let ((), queued) = left_behind(|| (0..QUEUED).for_each(|_| peer.publish(&large, 1)));
    let per = |bytes: i64, count: usize| bytes as f64 / count as f64;
    Bytes {
        idle_connection: per(idle, connections),
        binding: per(bindings, connections),
        queued_event: per(queued, connections * QUEUED),
    }
}
