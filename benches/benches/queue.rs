//! What a connection's queue costs through the public face, by burst: 1, 8 or 64 events wait before any is taken. Elements are
//! deliveries.
//!
//! - `push_and_take`: one connection, alone on its channel; the broadcasts go through a `HotChannel`.
//! - `push`, `take`: the two halves in a room of 1,000 connections, so that the broadcast's own cost is spread over them. The
//!   half that is not measured runs outside the clock.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use holocast::HotChannel;
use holocast_benches::{Crowd, drain};

const BURSTS: [usize; 3] = [1, 8, 64];
const MEMBERS: usize = 1_000;

fn push(room: &HotChannel<u64>, burst: usize) {
    for number in 0..burst {
        black_box(room.broadcast_action("message", number as u64)).expect("names within the limits");
    }
}

/// Which half of a burst's way is on the clock.
#[derive(Clone, Copy)]
enum Half {
    Push,
    Take,
}

fn benches(criterion: &mut Criterion) {
    let mut crowd = Crowd::default();

    let room = crowd.room(1);
    let (realtime, connections) = crowd.parts();
    let one = realtime.channel(&room).expect("names within the limits");
    let mut group = criterion.benchmark_group("queue/push_and_take");
    for burst in BURSTS {
        group.throughput(Throughput::Elements(burst as u64));
        group.bench_function(BenchmarkId::from_parameter(burst), |bencher| {
            bencher.iter(|| {
                push(&one, burst);
                assert_eq!(drain(&mut *connections), burst);
            });
        });
    }
    group.finish();

    let room = crowd.room(MEMBERS);
    let (realtime, connections) = crowd.parts();
    let all = realtime.channel(&room).expect("names within the limits");
    for (name, half) in [("queue/push", Half::Push), ("queue/take", Half::Take)] {
        let mut group = criterion.benchmark_group(name);
        for burst in BURSTS {
            group.throughput(Throughput::Elements((burst * MEMBERS) as u64));
            group.bench_function(BenchmarkId::from_parameter(burst), |bencher| {
                bencher.iter_custom(|iterations| {
                    let mut elapsed = Duration::ZERO;
                    for _ in 0..iterations {
                        let start = Instant::now();
                        push(&all, burst);
                        let pushed = Instant::now();
                        assert_eq!(drain(&mut *connections), burst * MEMBERS);
                        elapsed += match half {
                            Half::Push => pushed - start,
                            Half::Take => pushed.elapsed(),
                        };
                    }
                    elapsed
                });
            });
        }
        group.finish();
    }
}

criterion_group!(queues, benches);
criterion_main!(queues);
