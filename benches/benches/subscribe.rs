//! What a change of the subscriptions costs, by members of the channel, in one thread. Elements are changes.
//!
//! - `unsubscribe_subscribe`: takes a random member out of a channel and puts it back, addressed by its instance; 2 changes.
//!   Their events are taken outside the clock.
//! - `by_user`: the same by a user with 2 tabs, among 100,000 connections, in a channel of 1,000 members; 2 changes of each tab.
//! - `reconnect_drop`: one more connection comes with one receipt for the channel, and goes; an attach and a detach, and all that
//!   a connection takes besides. 1,024 instances take turns; `flapping`: always the same one, so that the tables see one key
//!   inserted and removed over and over.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use holocast::{Channel, Client, Connection, Identity, Realtime, Receipt};
use holocast_benches::{CID, Crowd, SIZES, drain};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// Pairs of changes between two drainings.
const BATCH: u64 = 64;

/// How many members a bench draws from the channel before it starts.
const DRAWN: usize = 1_024;

/// Instances that take turns in `reconnect_drop`.
const GUESTS: usize = 1_024;

/// Connections among which `by_user` looks its tabs up, and members of its channel.
const BY_USER: (usize, usize) = (100_000, 1_000);

/// A member to take out and put back, and the number of its (first) connection.
type Target = (Identity, usize);

fn by_instance(members: usize) -> Vec<Target> {
    let mut random = Pcg64::seed_from_u64(1);
    let mut draw = || random.random_range(0..members);
    (0..DRAWN)
        .map(|_| draw())
        .map(|number| (Identity::instance(Crowd::client(number).instance()), number))
        .collect()
}

fn by_user(members: usize) -> Vec<Target> {
    let mut random = Pcg64::seed_from_u64(1);
    let mut draw = || random.random_range(0..members / 2) * 2;
    (0..DRAWN).map(|_| draw()).map(|number| (Identity::user(Crowd::user(number)), number)).collect()
}

/// Who may come back to the room, each with its receipt; none of them is connected.
fn guests(realtime: &Realtime<u64>, room: &Channel, instances: usize) -> Vec<(Client, Vec<Receipt>)> {
    let key = [(room.clone(), CID.into())];
    (0..instances)
        .map(|number| Crowd::client(SIZES[SIZES.len() - 1] + number))
        .map(|guest| {
            // Without a live connection receipts are issued and nothing is bound (rule S7).
            let receipts = realtime.apply(&guest, &key, &[]).expect("names within the limits").receipts;
            (guest, receipts)
        })
        .collect()
}

/// The time of the changes alone; `tabs` connections follow one another for each target.
fn change(
    iterations: u64,
    targets: &[Target],
    tabs: usize,
    (realtime, connections): (&Realtime<u64>, &mut [Connection<u64>]),
    room: &Channel,
) -> Duration {
    let (mut elapsed, mut left) = (Duration::ZERO, iterations);
    let mut batches = targets.chunks(BATCH as usize).cycle();
    while left > 0 {
        let now = left.min(BATCH);
        let batch = &batches.next().expect("a cycle does not end")[..now as usize];
        let start = Instant::now();
        for (identity, _) in batch {
            assert_eq!(realtime.unsubscribe(identity, room, CID), Ok(tabs));
            assert_eq!(realtime.subscribe(identity, room, CID), Ok(tabs));
        }
        elapsed += start.elapsed();
        batch.iter().for_each(|(_, number)| {
            drain(&mut connections[*number..*number + tabs]);
        });
        left -= now;
    }
    elapsed
}

fn benches(criterion: &mut Criterion) {
    let mut crowd = Crowd::default();

    let mut group = criterion.benchmark_group("unsubscribe_subscribe");
    group.throughput(Throughput::Elements(2));
    for members in SIZES {
        let targets = by_instance(members);
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            let room = crowd.room(members);
            bencher.iter_custom(|iterations| change(iterations, &targets, 1, crowd.parts(), &room));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("reconnect_drop");
    group.throughput(Throughput::Elements(2));
    for (instances, members) in SIZES.map(|members| (GUESTS, members)).into_iter().chain([(1, SIZES[0])]) {
        let id = match instances {
            1 => BenchmarkId::new("flapping", members),
            _ => BenchmarkId::from_parameter(members),
        };
        group.bench_function(id, |bencher| {
            let room = crowd.room(members);
            let guests = guests(crowd.realtime(), &room, instances);
            let mut turns = guests.iter().cycle();
            bencher.iter(|| {
                let (guest, receipts) = turns.next().expect("a cycle does not end");
                let connected = crowd.realtime().reconnect(guest, receipts).expect("names within the limits");
                assert_eq!(connected.receipts.len(), 1);
            });
        });
    }
    group.finish();
    // The process ends here: tearing a million connections down one by one would only take time.
    std::mem::forget(crowd);

    let (connections, members) = BY_USER;
    let mut crowd = Crowd::default();
    let mut group = criterion.benchmark_group("by_user");
    group.throughput(Throughput::Elements(4));
    let targets = by_user(members);
    group.bench_function(BenchmarkId::from_parameter(connections), |bencher| {
        crowd.grow(connections);
        let room = crowd.room(members);
        bencher.iter_custom(|iterations| change(iterations, &targets, 2, crowd.parts(), &room));
    });
    group.finish();
    std::mem::forget(crowd);
}

criterion_group!(subscriptions, benches);
criterion_main!(subscriptions);
