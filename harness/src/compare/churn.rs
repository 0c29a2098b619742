//! How long one broadcast takes while another thread joins and leaves the same room as fast as it can, and while nobody does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::peer::{Peer, Receiver};
use super::world::World;

/// The longest time told apart, in nanoseconds.
const LONGEST_NS: u64 = 10_000_000_000;

pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_NS, 3).expect("three digits up to ten seconds")
}

/// Receivers are drained between the broadcasts, outside the clock.
pub(super) fn run<P: Peer>(world: &mut World<P>, with: bool, time: Duration) -> Histogram<u64> {
    let World { peer, receivers, guest, room } = world;
    let mut times = histogram();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        if with {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    peer.subscribe(room, guest);
                    peer.unsubscribe(room, guest);
                    guest.forget_events();
                    while guest.try_take().is_some() {}
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < time {
            let start = Instant::now();
            peer.publish(room, 1);
            times.saturating_record(start.elapsed().as_nanos() as u64);
            for receiver in receivers.iter_mut() {
                while receiver.try_take().is_some() {}
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    while guest.try_take().is_some() {}
    times
}
