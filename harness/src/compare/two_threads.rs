//! A publisher and a receiver on two threads.
//!
//! The receiver goes round over all connections until it has all that is due, so it waits for nothing but memory. The clock runs
//! from the first call to the last receipt.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::peer::{CAPACITY, Peer, Receiver};
use super::turns::Sample;
use super::world::World;

/// Deliveries of one turn, about.
const DELIVERIES: usize = 20_000;

pub(super) fn run<P: Peer>(world: &mut World<P>) -> Sample {
    let World { peer, receivers, room, .. } = world;
    // A queue never fills, so that nobody loses or waits; a burst of at least two, so that both work at once.
    let burst = (DELIVERIES / receivers.len()).clamp(2, CAPACITY);
    let rounds = (DELIVERIES / (burst * receivers.len())).clamp(1, 64);
    let due = burst * receivers.len();
    let ready = AtomicBool::new(false);
    let mut total_ns = 0.0;
    for _ in 0..rounds {
        ready.store(false, Ordering::Relaxed);
        total_ns += thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                ready.store(true, Ordering::Release);
                let mut taken = 0;
                while taken < due {
                    for receiver in receivers.iter_mut() {
                        while let Some(params) = receiver.try_take() {
                            black_box(params);
                            taken += 1;
                        }
                    }
                }
                Instant::now()
            });
            while !ready.load(Ordering::Acquire) {
                spin_loop();
            }
            let start = Instant::now();
            (0..burst).for_each(|_| peer.publish(room, 1));
            let end = receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (end - start).as_nanos() as f64
        });
    }
    Sample::Total(total_ns / (rounds * due) as f64)
}
