//! What a broadcast costs that leaves somebody out, by subscribers, in one thread; publish and take. Elements are deliveries.
//!
//! - `instance`: one member; `user`: one user with two tabs; `many`: 64 members.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use holocast::Identity;
use holocast_benches::{Crowd, drain};

/// Sizes of the room.
const MEMBERS: [usize; 3] = [100, 1_000, 10_000];

fn benches(criterion: &mut Criterion) {
    let mut crowd = Crowd::new(MEMBERS[MEMBERS.len() - 1]);
    let mut group = criterion.benchmark_group("except");
    for members in MEMBERS {
        let instance = |number: usize| Identity::instance(Crowd::client(number).instance());
        let many: Vec<Identity> = (0..64).map(|place| instance(place * members / 64)).collect();
        for (name, excluded, out) in [
            ("instance", &many[32..33], 1),
            ("user", &[Identity::user(Crowd::user(members / 2))][..], 2),
            ("many", &many, 64),
        ] {
            group.throughput(Throughput::Elements((members - out) as u64));
            group.bench_function(BenchmarkId::new(name, members), |bencher| {
                let room = crowd.room(members);
                let (realtime, connections) = crowd.parts();
                bencher.iter(|| {
                    black_box(realtime.broadcast_action_except(excluded, &room, "message", 1))
                        .expect("names within the limits");
                    assert_eq!(drain(&mut connections[..members]), members - out);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(exclusions, benches);
criterion_main!(exclusions);
