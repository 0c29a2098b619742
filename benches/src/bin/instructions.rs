//! The hot paths, each in a function that nothing else is in, so that callgrind can count its instructions alone.
//!
//! `.ci/instructions` runs it once for each scenario and holds the counts against `benches/instructions.json`. Counts do not
//! depend on the machine's load; that makes them the speed check that continuous integration can hold.

use std::hint::black_box;

use holocast::{Channel, Client, Connection, Event, Identity, Realtime};
use holocast_benches::{CID, Crowd, drain};

/// Connections of the room.
const MEMBERS: usize = 1_000;

/// Messages that wait in each queue before the first is taken.
const BURST: usize = 8;

/// Changes of a scenario of changes.
const CHANGES: usize = 64;

fn main() {
    let scenario = std::env::args().nth(1).unwrap_or_default();
    let mut crowd = Crowd::new(MEMBERS + 1);
    let room = crowd.room(MEMBERS);
    let (realtime, connections) = crowd.parts();
    // Everything has run once before it is counted.
    warm_up(realtime, &room, connections);
    match scenario.as_str() {
        "publish" => counted_publish(realtime, &room),
        "publish_except" => counted_publish_except(realtime, &room, &[Identity::instance("tab-500")]),
        "take_one" => {
            counted_publish(realtime, &room);
            counted_take(connections);
        }
        "take_burst" => {
            (0..BURST).for_each(|_| counted_publish(realtime, &room));
            counted_take(connections);
        }
        "look_in_vain" => counted_take(connections),
        "unsubscribe_subscribe" => counted_changes(realtime, &room, &Identity::instance("tab-500")),
        "connect_drop" => counted_connects(realtime, &Crowd::client(MEMBERS)),
        _ => {
            eprintln!("instructions: no scenario {scenario:?}");
            std::process::exit(2);
        }
    }
    std::mem::forget(crowd);
}

fn warm_up(realtime: &Realtime<u64>, room: &Channel, connections: &mut [Connection<u64>]) {
    for _ in 0..2 {
        counted_publish(realtime, room);
        drain(&mut *connections);
    }
    counted_changes(realtime, room, &Identity::instance("tab-500"));
    counted_connects(realtime, &Crowd::client(MEMBERS));
    drain(&mut *connections);
}

#[inline(never)]
fn counted_publish(realtime: &Realtime<u64>, room: &Channel) {
    black_box(realtime.broadcast_action(room, "message", 1)).expect("names within the limits");
}

#[inline(never)]
fn counted_publish_except(realtime: &Realtime<u64>, room: &Channel, excluded: &[Identity]) {
    black_box(realtime.broadcast_action_except(excluded, room, "message", 1))
        .expect("names within the limits");
}

#[inline(never)]
fn counted_take(connections: &mut [Connection<u64>]) {
    for connection in connections {
        while let Ok(event) = connection.try_recv() {
            if let Event::Broadcast(delivery) = event {
                black_box(*delivery.params());
            }
        }
    }
}

#[inline(never)]
fn counted_changes(realtime: &Realtime<u64>, room: &Channel, member: &Identity) {
    for _ in 0..CHANGES / 2 {
        realtime.unsubscribe(member, room, CID).expect("names within the limits");
        realtime.subscribe(member, room, CID).expect("names within the limits");
    }
}

#[inline(never)]
fn counted_connects(realtime: &Realtime<u64>, client: &Client) {
    for _ in 0..CHANGES {
        drop(black_box(realtime.connect(client)).expect("names within the limits"));
    }
}
