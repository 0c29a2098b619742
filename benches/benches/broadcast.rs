//! What a broadcast costs, by subscribers, in one thread. One iteration is one broadcast; elements are deliveries.
//!
//! - `publish`: the call alone. Queues are drained outside the clock, after each broadcast or, in small rooms, after a few.
//! - `publish_and_take`: the call, then one `try_recv` for each delivery, the delivery dropped. Receivers go in the order in
//!   which they connected; `shuffled`: in random order; `scattered`: the room is a random tenth of a million connections.
//! - `hot`: through a `HotChannel`, which skips hashing and look-up.
//! - `floor`: an atomic add and a store per subscriber, each with a cache line of its own, and nothing else.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use holocast::{Channel, Connection, Realtime, channel};
use holocast_benches::{Crowd, SIZES, drain, take_one};
use rand::SeedableRng;
use rand::seq::{SliceRandom, index};
use rand_pcg::Pcg64;

const ACTION: &str = "message";

/// The room of the shuffled and the scattered order.
const LARGE: usize = 100_000;

/// From this size on an iteration takes milliseconds.
const SLOW: usize = 100_000;

fn prepare(group: &mut BenchmarkGroup<'_, WallTime>, subscribers: usize) {
    group.throughput(Throughput::Elements(subscribers as u64));
    if subscribers >= SLOW {
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
    }
}

/// The time of the broadcasts alone. At most 64 wait in a queue, and no more than about a thousand in all, so that neither the
/// clock's own cost nor a long queue shows.
fn publish(iterations: u64, receivers: &mut [Connection<u64>], mut broadcast: impl FnMut()) -> Duration {
    let batch = (1_000 / receivers.len() as u64).clamp(1, 64);
    let (mut elapsed, mut left) = (Duration::ZERO, iterations);
    while left > 0 {
        let now = left.min(batch);
        let start = Instant::now();
        (0..now).for_each(|_| broadcast());
        elapsed += start.elapsed();
        assert_eq!(drain(&mut *receivers) as u64, now * receivers.len() as u64);
        left -= now;
    }
    elapsed
}

fn broadcast(realtime: &Realtime<u64>, room: &Channel) {
    black_box(realtime.broadcast_action(room, ACTION, 1)).expect("names within the limits");
}

fn benches(criterion: &mut Criterion) {
    let mut crowd = Crowd::default();

    let mut group = criterion.benchmark_group("publish");
    for subscribers in SIZES {
        prepare(&mut group, subscribers);
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            let room = crowd.room(subscribers);
            let (realtime, connections) = crowd.parts();
            bencher.iter_custom(|iterations| {
                publish(iterations, &mut connections[..subscribers], || broadcast(realtime, &room))
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("publish_and_take");
    for subscribers in SIZES {
        prepare(&mut group, subscribers);
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            let room = crowd.room(subscribers);
            let (realtime, connections) = crowd.parts();
            bencher.iter(|| {
                broadcast(realtime, &room);
                take_one(&mut connections[..subscribers]);
            });
        });
    }
    group.finish();

    orders(criterion, &mut crowd);
    hot(criterion, &mut crowd);
    floor(criterion);
    // The process ends here: tearing a million connections down one by one would only take time.
    std::mem::forget(crowd);
}

/// Receivers that take in an order which is not that of their slots.
fn orders(criterion: &mut Criterion, crowd: &mut Crowd) {
    let mut group = criterion.benchmark_group("publish_and_take");
    prepare(&mut group, LARGE);

    let mut random = Pcg64::seed_from_u64(1);
    group.bench_function(BenchmarkId::new("shuffled", LARGE), |bencher| {
        let room = crowd.room(LARGE);
        let (realtime, connections) = crowd.parts();
        let mut receivers: Vec<_> = connections[..LARGE].iter_mut().collect();
        receivers.shuffle(&mut random);
        bencher.iter(|| {
            broadcast(realtime, &room);
            take_one(receivers.iter_mut().map(|receiver| &mut **receiver));
        });
    });

    let scattered = channel!("scattered");
    let all = SIZES[SIZES.len() - 1];
    let mut members: Vec<bool> = Vec::new();
    group.bench_function(BenchmarkId::new("scattered", LARGE), |bencher| {
        if members.is_empty() {
            members.resize(all, false);
            let numbers = index::sample(&mut random, all, LARGE);
            numbers.iter().for_each(|number| members[number] = true);
            crowd.grow(all);
            crowd.join(&scattered, numbers);
        }
        let (realtime, connections) = crowd.parts();
        let mut receivers: Vec<_> =
            connections.iter_mut().zip(&members).filter(|(_, member)| **member).map(|(it, _)| it).collect();
        receivers.shuffle(&mut random);
        bencher.iter(|| {
            broadcast(realtime, &scattered);
            take_one(receivers.iter_mut().map(|receiver| &mut **receiver));
        });
    });
    group.finish();
}

fn hot(criterion: &mut Criterion, crowd: &mut Crowd) {
    let room = crowd.room(1);
    let (realtime, connections) = crowd.parts();
    let connections = &mut connections[..1];
    let handle = realtime.channel(&room).expect("names within the limits");
    let broadcast = || {
        black_box(handle.broadcast_action(ACTION, 1)).expect("names within the limits");
    };

    let mut group = criterion.benchmark_group("hot");
    prepare(&mut group, 1);
    group.bench_function("publish/1", |bencher| {
        bencher.iter_custom(|iterations| publish(iterations, connections, broadcast));
    });
    group.bench_function("publish_and_take/1", |bencher| {
        bencher.iter(|| {
            broadcast();
            take_one(&mut *connections);
        });
    });
    group.finish();
}

/// A subscriber that nothing can beat that tells each subscriber something.
#[repr(align(64))]
#[derive(Default)]
struct Line {
    count: AtomicU64,
    message: AtomicU64,
}

fn floor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floor");
    let mut lines: Vec<Line> = Vec::new();
    for subscribers in SIZES {
        prepare(&mut group, subscribers);
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            lines.resize_with(subscribers, Line::default);
            bencher.iter(|| {
                for line in &lines {
                    let count = line.count.fetch_add(1, Ordering::AcqRel);
                    line.message.store(count, Ordering::Release);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(broadcasts, benches);
criterion_main!(broadcasts);
