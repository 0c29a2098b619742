//! How long one broadcast takes while another thread joins and leaves the same room as fast as it can, and while nobody does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The longest time told apart, in nanoseconds.
const LONGEST_NS: u64 = 10_000_000_000;

pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_NS, 3).expect("three digits up to ten seconds")
}

/// Receivers are drained between the broadcasts, outside the clock; `visit` joins and leaves once, on the other thread.
pub(super) fn run(
    with: bool,
    time: Duration,
    publish: impl Fn(),
    mut drain: impl FnMut(),
    mut visit: impl FnMut() + Send,
) -> Histogram<u64> {
    let mut times = histogram();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        if with {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    visit();
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < time {
            let start = Instant::now();
            publish();
            times.saturating_record(start.elapsed().as_nanos() as u64);
            drain();
        }
        stop.store(true, Ordering::Relaxed);
    });
    times
}
