//! What a broadcast costs while the room changes, in a room of 1,000; publish and take. Elements are deliveries.
//!
//! - `calm`: nobody comes or goes.
//! - `joins_and_leaves`: another thread subscribes and unsubscribes one more connection as fast as it can.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use holocast::{Connection, Identity, Realtime};
use holocast_benches::{CID, Crowd, drain};

/// Who stays.
const MEMBERS: usize = 1_000;

/// Joins and leaves until told to stop. The guest's own events are taken on the way.
fn come_and_go(
    realtime: &Realtime<u64>,
    room: &holocast::Channel,
    guest: &mut Connection<u64>,
    stop: &AtomicBool,
) {
    let identity = Identity::instance(guest.instance());
    // Relaxed: ends a loop, orders nothing.
    while !stop.load(Ordering::Relaxed) {
        realtime.subscribe(&identity, room, CID).expect("names within the limits");
        realtime.unsubscribe(&identity, room, CID).expect("names within the limits");
        drain([&mut *guest]);
    }
}

fn benches(criterion: &mut Criterion) {
    let mut crowd = Crowd::new(MEMBERS + 1);
    let room = crowd.room(MEMBERS);
    crowd.grow(MEMBERS + 1);
    let (realtime, connections) = crowd.parts();
    let (members, guests) = connections.split_at_mut(MEMBERS);
    let mut group = criterion.benchmark_group("churn");
    group.throughput(Throughput::Elements(MEMBERS as u64));
    for (name, with) in [("calm", false), ("joins_and_leaves", true)] {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            if with {
                let (guest, room, stop) = (&mut guests[0], &room, &stop);
                scope.spawn(move || come_and_go(realtime, room, guest, stop));
            }
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    black_box(realtime.broadcast_action(&room, "message", 1))
                        .expect("names within the limits");
                    assert_eq!(drain(&mut *members), MEMBERS);
                });
            });
            stop.store(true, Ordering::Relaxed);
        });
    }
    group.finish();
}

criterion_group!(churns, benches);
criterion_main!(churns);
