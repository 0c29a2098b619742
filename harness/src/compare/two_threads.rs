//! A publisher and a receiver on two threads.
//!
//! The receiver goes round over all connections until it has all that is due, so it waits for nothing but memory. The clock runs
//! from the first call to the last receipt.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::peer::CAPACITY;
use super::turns::Sample;

/// Deliveries of one turn, about.
const DELIVERIES: usize = 20_000;

/// What one turn is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    burst: usize,
    rounds: usize,
    members: usize,
}

impl Round {
    /// A queue never fills, so that nobody loses or waits; a burst is of at least two, so that both work at once.
    pub(super) fn of(members: usize) -> Self {
        let burst = (DELIVERIES / members).clamp(2, CAPACITY);
        Round { burst, rounds: (DELIVERIES / (burst * members)).clamp(1, 64), members }
    }
}

/// `there` takes on the other thread until it has as many messages for each member as it is told; `here` does the same on the
/// publisher's thread when all is published.
pub(super) fn run(
    Round { burst, rounds, members }: Round,
    publish: impl Fn(),
    mut there: impl FnMut(usize) + Send,
    mut here: impl FnMut(usize),
) -> Sample {
    let ready = AtomicBool::new(false);
    let mut total_ns = 0.0;
    for _ in 0..rounds {
        ready.store(false, Ordering::Relaxed);
        total_ns += thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                ready.store(true, Ordering::Release);
                there(burst);
                Instant::now()
            });
            while !ready.load(Ordering::Acquire) {
                spin_loop();
            }
            let start = Instant::now();
            (0..burst).for_each(|_| publish());
            here(burst);
            let end = Instant::now();
            let last = receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).max(end);
            (last - start).as_nanos() as f64
        });
    }
    Sample::Total(total_ns / (rounds * burst * members) as f64)
}
