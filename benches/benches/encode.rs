//! Text for browsers, in one thread: a broadcast encoded once, with the cids of each receiver spliced in (feature `sse`), against encoding it
//! for each receiver. Elements are receivers.
//!
//! - `once`: `Frame::new`, then `Writer::write_action` for each receiver.
//! - `each`: the same JSON by serde for each receiver.

use std::fmt::Write;
use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use holocast::sse::{Frame, Writer};
use holocast::{Channel, Cid, Realtime, channel};
use serde::Serialize;

/// Bytes of text in the params, which are a message of a chat.
const TEXT_BYTES: [usize; 3] = [100, 1_024, 10_240];
const RECEIVERS: [usize; 3] = [1, 100, 1_000];

#[derive(Serialize)]
struct Message {
    id: u64,
    from: &'static str,
    text: String,
}

/// What `Frame` and `Writer` make of it together.
#[derive(Serialize)]
struct Whole<'a> {
    r#type: &'static str,
    channel: &'a Channel,
    action: &'static str,
    params: &'a Message,
    cids: &'a [Cid],
}

fn benches(criterion: &mut Criterion) {
    let (room, cids) = (channel!("room", 42), [Cid::from("page"), Cid::from("sidebar")]);
    let realtime = Realtime::<Frame>::new();
    let mut out = BytesMut::with_capacity(1 << 15);
    for bytes in TEXT_BYTES {
        let message = Message { id: 123_456, from: "ada", text: "a message, \"quoted\" ".repeat(bytes / 20) };
        let mut group = criterion.benchmark_group(format!("encode/{bytes}"));
        for receivers in RECEIVERS {
            group.throughput(Throughput::Elements(receivers as u64));
            group.bench_function(BenchmarkId::new("once", receivers), |bencher| {
                let mut writer = Writer::new(&realtime);
                bencher.iter(|| {
                    let frame = Frame::new(&room, "add", black_box(&message)).expect("it has JSON");
                    for _ in 0..receivers {
                        out.clear();
                        writer.write_action(&frame, &cids, &mut out);
                        black_box(&out);
                    }
                });
            });
            group.bench_function(BenchmarkId::new("each", receivers), |bencher| {
                let mut id = 0_u64;
                bencher.iter(|| {
                    for _ in 0..receivers {
                        let params = black_box(&message);
                        let whole =
                            Whole { r#type: "action", channel: &room, action: "add", params, cids: &cids };
                        let mut text = String::from("data: ");
                        text.push_str(&serde_json::to_string(&whole).expect("it has JSON"));
                        id += 1;
                        write!(text, "\nid: {id}\n\n").expect("a string grows");
                        black_box(text);
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
