//! What the index promises beyond one cell, under loom: stamps across retirement, and revocations that were given back.

use std::sync::Arc;

use crate::loom_tests::{channel, engine, explore, race, tab};
use crate::sync::{AtomicU64, Ordering};
use crate::{Identity, Realtime};

/// I1: a receipt of a channel's new cell is later than those of the cell that is retired beside it.
/// Fails if `floor` is not raised before the swap that retires.
#[test]
fn i1_stamps_grow_over_the_retirement_of_a_channel() {
    explore("retire/put", 3, || {
        let realtime = engine();
        let leaving = realtime.connect(&tab("i")).unwrap().connection;
        let _staying = realtime.connect(&tab("j")).unwrap().connection;
        let old = realtime.put_subscription(&tab("i"), &channel(), "a").unwrap().unwrap();
        let putting = realtime.clone();
        let (new, ()) = race(
            move || putting.put_subscription(&tab("j"), &channel(), "a").unwrap().unwrap(),
            move || drop(leaving),
        );
        assert!(new.stamp() > old.stamp());
    });
}

/// R4: a revocation that was given back beside a reconnect, under a clock that then went back, lets no receipt through.
/// Fails if `horizon` is not raised before the swap that gives back.
#[test]
fn r4_what_was_given_back_revives_no_receipt() {
    const EARLY_MS: u64 = 1_000_000;
    const LATE_MS: u64 = EARLY_MS + 80 * 3_600 * 1_000;
    explore("give back/reconnect", 3, || {
        let now_ms = Arc::new(AtomicU64::new(EARLY_MS));
        let clock = Arc::clone(&now_ms);
        // Relaxed: times, which order nothing.
        let realtime: Realtime<u32> = Realtime::builder()
            .clock(move || clock.load(Ordering::Relaxed))
            .build()
            .expect("within the ranges");
        // Nobody is live: the receipt is issued, nothing is bound.
        let receipt = realtime.put_subscription(&tab("i"), &channel(), "a").unwrap().unwrap();
        realtime.unsubscribe(&Identity::instance("i"), &channel(), "a").unwrap();
        let sweeping = realtime.clone();
        let (_, connected) = race(
            move || {
                now_ms.store(LATE_MS, Ordering::Relaxed);
                sweeping.sweep();
                now_ms.store(EARLY_MS, Ordering::Relaxed);
            },
            move || realtime.reconnect(&tab("i"), &[receipt]).unwrap(),
        );
        assert!(connected.receipts.is_empty());
    });
}
