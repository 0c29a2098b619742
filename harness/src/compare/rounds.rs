//! The clock around work that all contestants do, whatever they are made of.

use std::time::{Duration, Instant};

use super::clock::clock_ns;
use super::turns::Sample;

/// How many members change place in one turn of `subscribe`, at most.
const CHANGES: usize = 64;
/// Changes before them, which don't count.
const WARM_UP: usize = 16;
/// Deliveries of a round among which two readings of the clock are nothing.
const MANY: usize = 10_000;

/// Publishes and takes in turns, and reads the clock around each call: the publisher's share. The total comes from a pass of its
/// own without those readings, unless they are lost among many deliveries.
pub(super) fn rounds(
    burst: usize,
    deliveries: usize,
    members: usize,
    publish: impl Fn(),
    mut take: impl FnMut(),
) -> Sample {
    let rounds = (deliveries / (burst * members)).max(1);
    let per_delivery = 1.0 / (rounds * burst * members) as f64;

    let mut publishing = Duration::ZERO;
    let begun = Instant::now();
    for _ in 0..rounds {
        let start = Instant::now();
        (0..burst).for_each(|_| publish());
        publishing += start.elapsed();
        take();
    }
    let mut total = begun.elapsed();
    if burst * members < MANY {
        let begun = Instant::now();
        for _ in 0..rounds {
            (0..burst).for_each(|_| publish());
            take();
        }
        total = begun.elapsed();
    }
    let total_ns = total.as_nanos() as f64 * per_delivery;
    let clock = clock_ns() * rounds as f64;
    let publish_ns = ((publishing.as_nanos() as f64 - clock) * per_delivery).max(0.0);
    Sample::Delivery { publish_ns, take_ns: (total_ns - publish_ns).max(0.0), total_ns }
}

/// The same one by one, for messages so few that the total is corrected for the clock instead.
pub(super) fn one_by_one(
    deliveries: usize,
    members: usize,
    publish: impl Fn(),
    mut take: impl FnMut(),
) -> Sample {
    let rounds = (deliveries / members).max(1);
    let per_delivery = 1.0 / (rounds * members) as f64;
    let mut publishing = Duration::ZERO;
    let begun = Instant::now();
    for _ in 0..rounds {
        let start = Instant::now();
        publish();
        publishing += start.elapsed();
        take();
    }
    let clock = clock_ns() * rounds as f64;
    let total_ns = (begun.elapsed().as_nanos() as f64 - clock) * per_delivery;
    let publish_ns = ((publishing.as_nanos() as f64 - clock) * per_delivery).max(0.0);
    Sample::Delivery { publish_ns, take_ns: (total_ns - publish_ns).max(0.0), total_ns }
}

/// Both sides apart, each with the clock around it: nanoseconds per call, and per delivery taken.
pub(super) fn apart(rounds: usize, members: usize, publish: impl Fn(), mut take: impl FnMut()) -> (f64, f64) {
    let (mut publishing, mut taking) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        let start = Instant::now();
        publish();
        let between = Instant::now();
        take();
        taking += between.elapsed();
        publishing += between - start;
    }
    let ns = |time: Duration| (time.as_nanos() as f64 / rounds as f64 - clock_ns()).max(0.0);
    (ns(publishing), ns(taking) / members as f64)
}

/// Single calls, so many in a row before `take`, which is outside the clock: the median and the longest, in nanoseconds.
pub(super) fn calls(burst: usize, rounds: usize, publish: impl Fn(), mut take: impl FnMut()) -> (f64, f64) {
    let mut times = Vec::with_capacity(burst * rounds);
    for _ in 0..rounds {
        for _ in 0..burst {
            let start = Instant::now();
            publish();
            times.push(start.elapsed().as_nanos() as f64);
        }
        take();
    }
    times.sort_by(f64::total_cmp);
    let ns = |time: f64| (time - clock_ns()).max(0.0);
    (ns(times[times.len() / 2]), ns(times[times.len() - 1]))
}

/// What broadcasts in slices cost, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slices {
    /// One slice: the median and the longest.
    pub(super) median: f64,
    pub(super) worst: f64,
    /// All slices of a broadcast, per delivery.
    pub(super) sliced: f64,
    /// A broadcast that is not sliced, per delivery.
    pub(super) whole: f64,
}

/// Broadcasts in slices and whole ones, in turns, each taken by all before the next.
pub(super) fn slices(
    rounds: usize,
    members: usize,
    sliced: impl Fn() -> Vec<Duration>,
    whole: impl Fn(),
    mut take: impl FnMut(),
) -> Slices {
    let (mut times, mut together) = (Vec::new(), 0.0);
    for _ in 0..rounds {
        times.extend(sliced().into_iter().map(|time| (time.as_nanos() as f64 - clock_ns()).max(0.0)));
        take();
        let start = Instant::now();
        whole();
        together += (start.elapsed().as_nanos() as f64 - clock_ns()).max(0.0);
        take();
    }
    let deliveries = (rounds * members) as f64;
    let sliced = times.iter().sum::<f64>() / deliveries;
    times.sort_by(f64::total_cmp);
    Slices {
        median: times[times.len() / 2],
        worst: times[times.len() - 1],
        sliced,
        whole: together / deliveries,
    }
}

/// Members leave and come back: nanoseconds per leave and per return. `change` does both for the member at a place, and tells how
/// long each took.
pub(super) fn changes(members: usize, mut change: impl FnMut(usize) -> (Duration, Duration)) -> (f64, f64) {
    let changes = members.min(CHANGES);
    let stride = members / changes;
    let (mut left, mut came) = (Duration::ZERO, Duration::ZERO);
    // Far apart, and never the same two in a row. Before the clock counts, some others: the code is warm, the members are not.
    for index in 0..CHANGES + WARM_UP {
        let counts = index >= WARM_UP;
        let place = index % changes * stride + if counts { 0 } else { stride / 2 };
        let (leaving, coming) = change(place);
        if counts {
            left += leaving;
            came += coming;
        }
    }
    let ns = |time: Duration| (time.as_nanos() as f64 / CHANGES as f64 - clock_ns()).max(0.0);
    (ns(left), ns(came))
}
