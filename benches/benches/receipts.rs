//! What receipts cost, in one thread. Elements are receipts.
//!
//! - `sign`, `verify`: to and from a token, HMAC-SHA256 included.
//! - `present`: a connection comes with so many receipts for as many rooms of ten members, and goes; receipts are given as they
//!   are, not as tokens.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use holocast::{Client, Realtime, Receipt, SigningKey, channel};
use holocast_benches::CID;

/// Members of each room besides the one who comes.
const MEMBERS: usize = 10;

/// Rooms of the one who comes.
const RECEIPTS: [usize; 3] = [1, 10, 100];

fn benches(criterion: &mut Criterion) {
    let key = SigningKey::new([7; 32]).expect("a key of 32 bytes");
    let realtime: Realtime<u64> =
        Realtime::builder().signing_keys([key]).build().expect("settings within their ranges");
    let largest = RECEIPTS[RECEIPTS.len() - 1];
    let rooms: Vec<_> = (0..largest).map(|room| channel!("room", room as i64)).collect();
    let members: Vec<_> = (0..MEMBERS)
        .map(|number| {
            let client = Client::new(format!("member-{number}")).with_session(number as i64).with_user(1);
            let connected = realtime.connect(&client).expect("names within the limits");
            for room in &rooms {
                realtime.put_subscription(&client, room, CID).expect("names within the limits");
            }
            connected
        })
        .collect();
    let guest = Client::new("guest").with_session(1_000).with_user(2);
    let keys: Vec<_> = rooms.iter().map(|room| (room.clone(), CID.into())).collect();
    // Without a live connection receipts are issued and nothing is bound (rule S7).
    let receipts: Vec<Receipt> =
        realtime.apply(&guest, &keys, &[]).expect("names within the limits").receipts;

    let mut group = criterion.benchmark_group("receipts");
    group.throughput(Throughput::Elements(1));
    group.bench_function("sign", |bencher| {
        bencher.iter(|| black_box(realtime.sign(black_box(&receipts[0]))));
    });
    let token = realtime.sign(&receipts[0]).expect("a key to sign with");
    group.bench_function("verify", |bencher| {
        bencher.iter(|| realtime.verify(black_box(&token)).expect("a token that was just signed"));
    });
    for presented in RECEIPTS {
        group.throughput(Throughput::Elements(presented as u64));
        group.bench_function(BenchmarkId::new("present", presented), |bencher| {
            bencher.iter(|| {
                let connected =
                    realtime.reconnect(&guest, &receipts[..presented]).expect("names within the limits");
                assert_eq!(connected.receipts.len(), presented);
            });
        });
    }
    group.finish();
    drop(members);
}

criterion_group!(proofs, benches);
criterion_main!(proofs);
