//! What the index promises beyond one cell, under loom: stamps across retirement, and revocations that were given back.

use std::sync::Arc;

use super::{ChannelIndex, Clock, always};
use crate::loom_tests::{channel, engine, explore, race, tab};
use crate::observer::Observers;
use crate::sync::{AtomicU64, Ordering};
use crate::text::Cid;
use crate::{Identity, Realtime};

const EARLY_MS: u64 = 1_000_000;
const LIFETIME_MS: u64 = 80 * 3_600 * 1_000;

/// An index by itself, and its clock.
fn index() -> (Arc<ChannelIndex>, Arc<AtomicU64>) {
    let now_ms = Arc::new(AtomicU64::new(EARLY_MS));
    let clock = Arc::clone(&now_ms);
    // Relaxed: times, which order nothing.
    let clock = Clock(Arc::new(move || clock.load(Ordering::Relaxed)));
    (Arc::new(ChannelIndex::new(0, clock, LIFETIME_MS, Observers::new(Vec::new()))), now_ms)
}

fn revoke(index: &ChannelIndex, cid: &str) {
    index.edit(&channel(), always, |_, _, draft| {
        draft.revoke(&Identity::instance("i"), Some(&Cid::from(cid)));
        Some(())
    });
}

fn grant(index: &ChannelIndex, cid: &str) {
    index.edit(&channel(), always, |_, _, draft| {
        draft.grant(&Identity::instance("i"), &Cid::from(cid));
        Some(())
    });
}

/// Every channel with revocations is due once, and nothing else is.
fn assert_due(index: &ChannelIndex) {
    let revoked = index.read(&channel(), |cell| !cell.snapshot().revocations.is_empty());
    assert_eq!(index.due_len(), usize::from(revoked == Some(true)));
}

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
    const LATE_MS: u64 = EARLY_MS + LIFETIME_MS;
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

/// R4: a revocation that is lifted, which retires its channel, while it is noted as due leaves no entry behind.
/// Fails if `note_due` looks at `due_ms` by a load, or `unlink` puts back 0.
#[test]
fn r4_what_is_lifted_while_it_is_noted_is_due_no_more() {
    explore("revoke/grant", 3, || {
        let (index, _) = index();
        let (revoking, granting) = (Arc::clone(&index), Arc::clone(&index));
        race(move || revoke(&revoking, "a"), move || grant(&granting, "a"));
        assert_due(&index);
    });
}

/// R4: what is revoked while older revocations of the channel are given back is due in its turn.
/// Fails if `expire` gives back first and takes its turn afterwards.
#[test]
fn r4_what_is_revoked_beside_an_expiry_is_due_too() {
    explore("revoke/sweep", 3, || {
        let (index, now_ms) = index();
        revoke(&index, "a");
        // Relaxed: a time, which orders nothing.
        now_ms.store(EARLY_MS + LIFETIME_MS + 1, Ordering::Relaxed);
        let (revoking, sweeping) = (Arc::clone(&index), Arc::clone(&index));
        race(move || revoke(&revoking, "b"), move || sweeping.sweep());
        assert_due(&index);
    });
}

/// S5: `edit` gives up only if it asked `create` while the channel had no cell, also if one came and went meanwhile.
/// Fails if `edit` does not compare `retirements`.
#[test]
fn s5_create_is_asked_while_there_is_no_cell() {
    explore("create/hold", 3, || {
        let (index, _) = index();
        let held = Arc::new(AtomicU64::new(0));
        let (asking, seen, holding) = (Arc::clone(&index), Arc::clone(&held), Arc::clone(&index));
        let (asked_while_held, ()) = race(
            move || {
                let last = std::cell::Cell::new(false);
                let create = || {
                    last.set(seen.fetch_add(0, Ordering::AcqRel) == 1);
                    false
                };
                asking.edit(&channel(), create, |_, _, _| Some(())).is_none() && last.get()
            },
            move || {
                let cell = holding.hold(&channel());
                held.fetch_add(1, Ordering::AcqRel);
                held.fetch_add(1, Ordering::AcqRel);
                holding.let_go(&cell);
            },
        );
        assert!(!asked_while_held);
    });
}
