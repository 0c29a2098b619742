//! A clock of the host's that panics, at any reading of it: the call that read it ends with its panic, and the engine is as before it, or
//! as after it, or in between where a call is several changes; it can be used on, and forgets nothing for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use holocast::{Channel, Client, Identity, Realtime, Receipt, SigningKey, channel};

use super::panics;
use crate::support::{HOUR_MS, assert_balanced, key, lobby, room, tab, tab_of};

/// A clock that panics at the reading that the fuse counts down to, and at no other.
#[derive(Clone)]
struct Fused {
    now_ms: Arc<AtomicU64>,
    fuse: Arc<AtomicI64>,
}

impl Fused {
    fn engine() -> (Realtime<u64>, Fused) {
        let clock =
            Fused { now_ms: Arc::new(AtomicU64::new(1_750_000_000_000)), fuse: Arc::new(AtomicI64::new(-1)) };
        let read = clock.clone();
        let now = move || {
            assert!(read.fuse.fetch_sub(1, Ordering::Relaxed) != 0, "a clock");
            read.now_ms.load(Ordering::Relaxed)
        };
        let keys = [SigningKey::new([7; 32]).expect("32 bytes are enough")];
        let realtime = Realtime::builder().clock(now).signing_keys(keys).build();
        (realtime.expect("the settings are valid"), clock)
    }

    fn advance(&self, by_ms: u64) {
        self.now_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    fn set_fuse(&self, readings: i64) {
        self.fuse.store(readings, Ordering::Relaxed);
    }
}

fn me() -> Client {
    tab_of("i1", 7).with_session("s1")
}

fn rooms() -> [Channel; 3] {
    [room(), lobby(), channel!("third")]
}

/// What is done while the fuse burns, with the receipts of an earlier connection.
type Act = fn(&Realtime<u64>, &[Receipt]);

/// An engine with a live tab on three channels, receipts of another tab that has ended, and revocations of which some are due.
fn world() -> (Realtime<u64>, Fused, holocast::Connection<u64>, Vec<Receipt>) {
    let (realtime, clock) = Fused::engine();
    let nobody = Identity::user("nobody");
    for n in 0..3 {
        realtime.unsubscribe(&nobody, &Channel::atom(format!("due_{n}")), "page").expect("names are short");
    }
    clock.advance(73 * HOUR_MS);
    // Each with the other's due revocation left alone: the fuse is not lit, but nothing has changed since.
    let tab = realtime.connect(&me()).expect("names are short").connection;
    let keys = rooms().map(|room| key(room, "page"));
    let gone = tab_of("gone", 7).with_session("s1");
    let kept = realtime.apply(&gone, &keys, &[]).expect("names are short").receipts;
    for room in rooms() {
        realtime.subscribe(&Identity::instance("i1"), &room, "page").expect("names are short");
    }
    realtime.unsubscribe(&nobody, &room(), "page").expect("names are short");
    (realtime, clock, tab, kept)
}

/// Does it with a fuse of every length, until it does not burn down.
fn at_every_reading(name: &str, at_least: usize, act: Act) {
    let mut panicked = 0;
    for readings in 0.. {
        let (realtime, clock, tab, kept) = world();
        clock.set_fuse(readings);
        let burnt = panics(|| act(&realtime, &kept));
        let reached = clock.fuse.load(Ordering::Relaxed) < 0;
        clock.set_fuse(-1);
        panicked += usize::from(burnt);

        // No tab is left without a receiver: all but the test's own have ended.
        let live = realtime.connections_of(&Identity::session("s1"));
        assert!(live.iter().all(|client| client.instance() == "i1"), "{name}, {readings}: {live:?}");
        // The engine goes on, on the same channels.
        let mut late = realtime.connect(&tab_of("late", 9)).expect("names are short").connection;
        for room in rooms() {
            realtime.subscribe(&Identity::user(9), &room, "page").expect("names are short");
            let reach = realtime.broadcast_action(&room, "add", 1).expect("names are short");
            assert!((1..=2).contains(&reach.reached), "{name}, {readings}");
        }
        assert_eq!(std::iter::from_fn(|| late.try_recv().ok()).count(), 6);
        // And when everybody has gone and all has expired, nothing is left.
        drop((late, tab));
        clock.advance(73 * HOUR_MS);
        realtime.sweep();
        let stats = realtime.stats();
        let left = (stats.connections, stats.channels, stats.members, stats.revocations, stats.queued);
        assert_eq!(left, (0, 0, 0, 0, 0), "{name}, panic at reading {readings}");
        assert_balanced(&realtime);
        if !reached {
            break;
        }
    }
    assert!(panicked >= at_least, "{name} reads the clock, {panicked} times");
}

/// I1, R4
#[test]
fn r4_a_clock_that_panics_leaves_no_change_half_made_and_nothing_behind() {
    at_every_reading("subscribe", 1, |realtime, _| {
        drop(realtime.subscribe(&Identity::user(7), &room(), "x"));
        drop(realtime.subscribe(&Identity::user(7), &channel!("new"), "x"));
    });
    at_every_reading("unsubscribe", 1, |realtime, _| {
        drop(realtime.unsubscribe(&Identity::user(7), &room(), "page"));
        drop(realtime.unsubscribe_all(&Identity::user(8), &channel!("new")));
    });
    at_every_reading("apply", 1, |realtime, _| {
        drop(realtime.apply(&me(), &[key(channel!("new"), "page")], &[key(room(), "page")]));
        drop(realtime.apply(&tab("absent"), &[key(channel!("new"), "page")], &[key(room(), "page")]));
    });
    at_every_reading("transition", 1, |realtime, kept| {
        drop(realtime.transition(&me(), &[key(channel!("new"), "page"), key(room(), "x")], kept));
    });
    at_every_reading("a handle", 1, |realtime, _| {
        drop(realtime.channel(&channel!("new")));
        drop(realtime.channel(&room()));
    });
    at_every_reading("sweep", 1, |realtime, _| _ = realtime.sweep());
    at_every_reading("verify", 1, |realtime, kept| {
        let token = realtime.sign(&kept[0]).expect("there is a key");
        drop(realtime.verify(&token));
    });
}

/// C2, C3, C4: connections; the end of one is complete in any case.
#[test]
fn c4_a_clock_that_panics_leaves_no_connection_half_made_or_half_ended() {
    at_every_reading("reconnect", 1, |realtime, kept| {
        drop(realtime.reconnect(&tab_of("gone", 7).with_session("s1"), kept));
    });
    at_every_reading("reconnect on a lane", 1, |realtime, kept| {
        let mut lane = realtime.lane();
        drop(lane.reconnect(&tab_of("gone", 7).with_session("s1"), kept, 1));
    });
    at_every_reading("supersede", 0, |realtime, kept| drop(realtime.reconnect(&tab_of("i1", 8), kept)));
    at_every_reading("identify", 0, |realtime, _| drop(realtime.identify(&tab("i1").with_session("s1"))));
    at_every_reading("disconnect", 0, |realtime, _| _ = realtime.disconnect("i1"));
}
