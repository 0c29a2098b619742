//! A document such as `compare` and `run` write, for the tests: made up, but of the sizes that are measured.

use crate::results::{
    Accounts, Audit, Interval, Latency, Machine, Order, Quantile, Results, Row, Run, SCHEMA_VERSION,
};

/// Peers with the cost of a delivery and of what is shared by a channel, in nanoseconds.
const PEERS: [(&str, f64, f64); 10] = [
    ("holocast", 190.0, 1000.0),
    ("floor", 34.0, 0.0),
    ("lanes", 19.0, 800.0),
    ("tokio-broadcast", 118.0, 240.0),
    ("dashmap-tokio-mpsc", 410.0, 90.0),
    ("hashmap-tokio-mpsc-bounded", 480.0, 60.0),
    ("rwlock-flume", 355.0, 70.0),
    ("rwlock-crossbeam-channel", 260.0, 75.0),
    ("papaya-segqueue", 230.0, 160.0),
    ("arc-swap-segqueue", 215.0, 40.0),
];

/// The document; `slower` multiplies whatever holocast costs.
pub(super) fn results(slower: f64) -> Results {
    Results {
        schema_version: SCHEMA_VERSION,
        command: "compare --json results.json".to_owned(),
        machine: Machine {
            cpu: "AMD EPYC 9B45".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            platform: "x86_64 linux".to_owned(),
            kernel: "6.18.5".to_owned(),
            compiler: "rustc 1.95.0 (59807616e 2026-04-14)".to_owned(),
            commit: "14f302d".to_owned(),
            flags: "release, opt-level 3".to_owned(),
            allocator: "system".to_owned(),
            version: "0.1.0".to_owned(),
            started_unix_seconds: 1_795_492_345,
        },
        rows: rows(slower),
        runs: runs(slower),
    }
}

fn rows(slower: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    for order in [Order::Allocation, Order::Shuffled] {
        for exponent in 0..=6 {
            deliveries(&mut rows, "fanout", 10_u64.pow(exponent), Some(order), slower);
        }
    }
    for (workload, sizes) in [
        ("fanout-burst-8", &[1, 100, 10_000][..]),
        ("fanout-two-threads", &[100, 10_000]),
        ("parked-current-thread", &[1_000]),
    ] {
        for &size in sizes {
            deliveries(&mut rows, workload, size, None, slower);
        }
    }
    for exponent in 0..=6 {
        for (workload, base, step) in [("subscribe", 6_100.0, 1_600.0), ("unsubscribe", 5_900.0, 1_500.0)] {
            let ns = (base + step * f64::from(exponent)) * slower;
            rows.push(Row::of_value(workload, "holocast", 10_u64.pow(exponent), ns, "ns per change"));
            let mutex = 80.0 + 10.0 * f64::from(exponent);
            rows.push(Row::of_value(
                workload,
                "dashmap-tokio-mpsc",
                10_u64.pow(exponent),
                mutex,
                "ns per change",
            ));
        }
    }
    for (subscribers, publish, take) in [(100, 150.0, 2.4), (1_000, 160.0, 1.9), (1_000_000, 210.0, 2.2)] {
        rows.push(Row::of_value("lane-publish", "lanes", subscribers, publish, "ns per call and lane"));
        rows.push(Row::of_value("lane-take", "lanes", subscribers, take, "ns per delivery"));
    }
    for (family, peers) in [("churn", [64e3, 310e3]), ("calm", [58e3, 64e3])] {
        for (peer, base) in ["holocast", "rwlock-flume"].into_iter().zip(peers) {
            for (quantile, times) in [("p50", 1.0), ("p99", 1.6), ("p99.9", 3.1), ("max", 19.0)] {
                let workload = format!("{family}-{quantile}");
                rows.push(Row::of_value(&workload, peer, 1_000, base * times, "ns"));
            }
        }
    }
    for (workload, ours, theirs) in
        [("idle-connection", 1_180.0, 640.0), ("binding", 212.0, 88.0), ("queued-event", 17.0, 41.0)]
    {
        rows.push(Row::of_value(&format!("memory-{workload}"), "holocast", 100_000, ours, "bytes"));
        rows.push(Row::of_value(
            &format!("memory-{workload}"),
            "dashmap-tokio-mpsc",
            100_000,
            theirs,
            "bytes",
        ));
    }
    rows
}

fn deliveries(rows: &mut Vec<Row>, workload: &str, subscribers: u64, order: Option<Order>, slower: f64) {
    let size = subscribers as f64;
    // Random order costs cache misses once the crowd leaves the caches.
    let misses = if order == Some(Order::Shuffled) { 60.0 * (size / 3e3).max(1.0).ln() } else { size / 2e4 };
    let cost = |peer: &str, each: f64, shared: f64| {
        let times = if peer == "holocast" { slower } else { 1.0 };
        let away = if peer == "floor" || peer == "lanes" { misses / 4.0 } else { misses };
        (each + shared / size + away) * times
    };
    let [ours, floor] = [PEERS[0], PEERS[1]].map(|(peer, each, shared)| cost(peer, each, shared));
    for (peer, each, shared) in PEERS {
        // The dearest peers end early, as they do where a turn would take too long.
        if subscribers > 100_000 && each > 400.0 {
            continue;
        }
        let total = cost(peer, each, shared);
        rows.push(Row {
            workload: workload.to_owned(),
            peer: peer.to_owned(),
            subscribers,
            order,
            publish_ns: Some(total * 0.35),
            take_ns: Some(total * 0.65),
            total_ns: Some(total),
            value: None,
            unit: None,
            min: total * 0.97,
            max: total * 1.06,
            repetitions: 7,
            ratio_to_floor: Some(total / floor),
            ratio_to_holocast: Some(total / ours),
        });
    }
}

fn runs(slower: f64) -> Vec<Run> {
    let mut runs = Vec::new();
    for (workload, description, fan_out, rates) in [
        (
            "chat",
            "Rooms whose sizes follow Zipf's law; people join, leave and write.",
            20.0,
            &[2e3, 8e3, 32e3][..],
        ),
        ("firehose", "One channel with ten thousand members.", 10_000.0, &[20.0, 80.0, 160.0]),
        ("private", "Messages to one person at a time.", 2.0, &[50e3]),
    ] {
        for &rate in rates {
            let variant = if rates.len() > 1 { format!("{rate}/s") } else { String::new() };
            runs.push(run(workload, &variant, description, rate, fan_out, slower));
        }
    }
    runs
}

fn run(workload: &str, variant: &str, description: &str, rate: f64, fan_out: f64, slower: f64) -> Run {
    let seconds = 10.0;
    let per_second = rate * fan_out;
    let deliveries = (per_second * seconds) as u64;
    // The fuller the machine, the longer the queue.
    let load = (per_second / 2e6).min(0.95);
    let median = 2_000.0 * slower / (1.0 - load) * fan_out.sqrt();
    let accounts = Accounts {
        accepted: deliveries,
        taken: deliveries - 7,
        queued: 0,
        released: 5,
        withheld: 2,
        refused: 0,
    };
    Run {
        workload: workload.to_owned(),
        variant: variant.to_owned(),
        description: description.to_owned(),
        seed: 1,
        publisher_threads: 1,
        receiver_threads: 1,
        connections: 10_000,
        planned_rate: rate,
        seconds,
        warm_up_seconds: 2.0,
        operations: [("broadcast", 0.8), ("subscribe", 0.1), ("unsubscribe", 0.1)]
            .map(|(kind, share)| (kind.to_owned(), (rate * seconds * share) as u64))
            .into(),
        operations_per_second: rate * 0.999,
        deliveries,
        deliveries_per_second: per_second,
        delivery_latency: latency(deliveries, median, 1.0 + 2.0 * load),
        delivery_latency_raw: latency(deliveries, median * 0.9, 1.0),
        call_latency: latency(rate as u64 * 10, median / 3.0, 1.0 + 2.0 * load),
        call_latency_raw: latency(rate as u64 * 10, median / 3.3, 1.0),
        timeline: (0..40)
            .map(|part| {
                let wave = 1.0 + 0.2 * f64::from(part % 7) + if part == 23 { 3.0 } else { 0.0 };
                let at = |times: f64| (median * wave * times) as u64;
                Interval {
                    at_seconds: f64::from(part) * 0.25,
                    seconds: 0.25,
                    deliveries: deliveries / 40,
                    p50_ns: at(1.0),
                    p99_ns: at(4.0),
                    max_ns: at(30.0),
                }
            })
            .collect(),
        audit: Audit {
            passed: true,
            deliveries_checked: deliveries,
            deliveries_due: deliveries - 7,
            faults: Vec::new(),
            accounts,
        },
        peak_resident_bytes: 200 << 20,
    }
}

fn latency(count: u64, median: f64, tail: f64) -> Latency {
    let percents = [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 100.0];
    let at = |percent: f64| {
        let nines = -(1.0 - f64::min(percent, 99.9999) / 100.0).log10();
        (median * (0.6 + 0.4 * nines / 0.3) * 10_f64.powf(0.12 * nines * tail)) as u64
    };
    Latency {
        count,
        mean_ns: median * 1.3,
        quantiles: percents.map(|percent| Quantile { percent, ns: at(percent) }).to_vec(),
        max_ns: at(100.0),
    }
}
