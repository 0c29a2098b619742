//! Rules V3 and R4 by counting the heap: what a million names and a million revocations took is given back. A program of its own, because
//! it counts every allocation of its thread.

mod counting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use counting::held_bytes;
use holocast::{Channel, Client, Element, Identity, Key, Realtime};

/// One test at a time: what one thread has put aside to be freed, another may free.
#[expect(clippy::disallowed_types, reason = "tests wait for one another")]
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

const START_MS: u64 = 1_750_000_000_000;
const LIFETIME_MS: u64 = 72 * 3_600_000;

/// A channel of names that nobody else has: a tag, an atom and a string.
fn channel(n: usize) -> Channel {
    let elements = [Element::atom(format!("atom_{n}_of_many")), Element::from(format!("string {n} of many"))];
    Channel::tagged(format!("tag_{n}_of_many"), elements).expect("it has elements")
}

/// Binds so many channels at once and lets go of them, for as many rounds, each with names of its own.
fn names_come_and_go(rounds: usize, channels: usize) {
    let _turn = TURN.lock();
    let realtime: Realtime<u64> = Realtime::new();
    let client = Client::new("i1");
    let mut left = Vec::new();
    for round in 0..rounds {
        let before = held_bytes();
        let _tab = realtime.connect(&client).expect("names are short");
        let key = |n: usize| -> Key { (channel(round * channels + n), format!("cid {n}").into()) };
        let keys: Vec<Key> = (0..channels).map(key).collect();
        let bound = realtime.apply(&client, &keys, &[]).expect("names are short");
        assert_eq!((bound.receipts.len(), realtime.stats().channels), (channels, channels as u64));
        drop((bound, keys));
        let took = held_bytes() - before;
        assert!(took > 200 * channels as isize, "the measurement sees {took} bytes of names");
        // Half of them by another page, the rest with the connection.
        let kept: Vec<Key> = (0..channels / 2).map(key).collect();
        realtime.transition(&client, &kept, &[]).expect("names are short");
        assert_eq!(realtime.stats().channels, kept.len() as u64);
        drop(kept);
        assert!(realtime.disconnect("i1"));
        assert_eq!((realtime.stats().channels, realtime.stats().bindings), (0, 0));
        left.push((held_bytes(), took));
    }
    // The first round leaves lazily made parts and the tables' room; from then on everything comes back.
    let (first, took) = left[0];
    assert!(first < took / 4, "{first} bytes are left of {took}");
    for (held, _) in &left[1..] {
        assert!(*held < first + took / 50, "{held} bytes are left, {first} after the first round, of {took}");
    }
}

/// V3
#[test]
fn v3_atoms_and_channels_give_back_their_memory() {
    names_come_and_go(4, 10_000);
}

/// V3: a million of them.
#[test]
#[ignore = "takes 20 seconds"]
fn v3_a_million_atoms_and_channels_give_back_their_memory() {
    names_come_and_go(5, 200_000);
}

/// R4: of channels of a hundred keys each.
#[test]
fn r4_a_million_revocations_give_back_their_memory_when_they_expire() {
    const REVOCATIONS: usize = 1_000_000;
    let _turn = TURN.lock();
    let clock = Arc::new(AtomicU64::new(START_MS));
    let shown = Arc::clone(&clock);
    let realtime: Realtime<u64> = Realtime::builder()
        .clock(move || shown.load(Ordering::Relaxed))
        .build()
        .expect("the settings are valid");
    let before = held_bytes();
    let nobody = Identity::user("nobody");
    for n in 0..REVOCATIONS {
        realtime.unsubscribe(&nobody, &channel(n / 100), format!("cid {n}")).expect("names are short");
    }
    let took = held_bytes() - before;
    assert_eq!(realtime.stats().revocations, REVOCATIONS as u64);
    assert!(took > 100 * REVOCATIONS as isize, "the measurement sees {took} bytes of revocations");
    clock.fetch_add(LIFETIME_MS, Ordering::Relaxed);
    assert_eq!(realtime.sweep(), 0, "a receipt of that age is still valid");
    clock.fetch_add(1, Ordering::Relaxed);
    assert_eq!(realtime.sweep(), REVOCATIONS);
    assert_eq!((realtime.stats().revocations, realtime.stats().channels), (0, 0));
    let left = held_bytes() - before;
    assert!(left < took / 10, "{left} bytes are left of {took}");
}
