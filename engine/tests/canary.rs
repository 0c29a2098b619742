//! Faults that the sanitizers must find: if one of these passes under its sanitizer, what that says about the engine is worth nothing.
//! `.ci/sanitize` runs each by its name and expects it to fail. Nobody else should.

use std::cell::UnsafeCell;
use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Shared by two threads that nothing orders.
#[derive(Default)]
struct Shared {
    value: UnsafeCell<u64>,
    published: AtomicBool,
}

// SAFETY: none, which is the point.
unsafe impl Sync for Shared {}

impl Shared {
    fn write(&self, value: u64) {
        // SAFETY: the pointer is good; that no one else uses it is not so.
        unsafe { self.value.get().write_volatile(value) };
    }

    fn read(&self) -> u64 {
        // SAFETY: as in write().
        unsafe { self.value.get().read_volatile() }
    }
}

#[test]
#[ignore = "a fault, for ThreadSanitizer to find"]
fn race_of_two_writes() {
    let shared = Arc::new(Shared::default());
    let other = Arc::clone(&shared);
    let writer = thread::spawn(move || other.write(1));
    shared.write(2);
    writer.join().expect("no panic");
}

/// As if the queue's push published its block with Relaxed.
#[test]
#[ignore = "a fault, for ThreadSanitizer to find"]
fn race_of_a_value_published_by_relaxed() {
    let shared = Arc::new(Shared::default());
    let other = Arc::clone(&shared);
    let writer = thread::spawn(move || {
        other.write(1);
        other.published.store(true, Ordering::Relaxed);
    });
    while !shared.published.load(Ordering::Relaxed) {
        spin_loop();
    }
    assert_eq!(shared.read(), 1);
    writer.join().expect("no panic");
}

#[test]
#[ignore = "a fault, for AddressSanitizer to find"]
fn use_of_freed_memory() {
    let freed: *const u64 = {
        let value = Box::new(7);
        black_box(&raw const *value)
    };
    // SAFETY: none, which is the point.
    black_box(unsafe { freed.read_volatile() });
}

/// As if two owners of a message's block both took themselves for the last one.
#[test]
#[ignore = "a fault, for AddressSanitizer to find"]
fn freed_twice() {
    let value = Box::into_raw(Box::new(7_u64));
    // SAFETY: the pointer is of a box that nobody else has.
    drop(unsafe { Box::from_raw(value) });
    // SAFETY: none, which is the point.
    drop(unsafe { Box::from_raw(black_box(value)) });
}

#[test]
#[ignore = "a fault, for LeakSanitizer to find"]
fn leak_of_a_box() {
    black_box(Box::leak(Box::new([7_u8; 1_000])));
}

/// As if a connection held the engine that holds it.
#[test]
#[ignore = "a fault, for LeakSanitizer to find"]
fn leak_of_a_ring() {
    #[derive(Default)]
    struct Ring(parking_lot::Mutex<Option<Arc<Ring>>>);
    let ring = Arc::new(Ring::default());
    *ring.0.lock() = Some(Arc::clone(&ring));
}
