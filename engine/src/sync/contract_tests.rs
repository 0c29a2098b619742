//! What the engine relies on of papaya, arc-swap, crossbeam and atomic-waker, asked of whatever stands behind the facade: of the crates
//! themselves in a plain run, of the stand-ins under loom and shuttle. So neither promises what the other does not keep.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::task::{Wake, Waker};

use super::*;
use crate::queue::Parker;

#[cfg(holocast_loom)]
use loom::thread;
#[cfg(holocast_shuttle)]
use shuttle::thread;
#[cfg(not(any(holocast_loom, holocast_shuttle)))]
use std::thread;

/// Runs the script under every schedule that there is, under many, or a few hundred times.
fn check(script: impl Fn() + Send + Sync + 'static) {
    #[cfg(holocast_loom)]
    loom::model(script);
    #[cfg(holocast_shuttle)]
    shuttle::check_random(script, 500);
    #[cfg(not(any(holocast_loom, holocast_shuttle)))]
    (0..300).for_each(|_| script());
}

fn race<A: Send + 'static, B: Send + 'static>(
    a: impl FnOnce() -> A + Send + 'static,
    b: impl FnOnce() -> B + Send + 'static,
) -> (A, B) {
    let (a, b) = (thread::spawn(a), thread::spawn(b));
    (a.join().unwrap(), b.join().unwrap())
}

#[test]
fn of_two_replacements_of_one_value_one_succeeds() {
    check(|| {
        let first = Arc::new(0);
        let cell = Arc::new(Swap::new(Arc::clone(&first)));
        let replace = |value| {
            let (cell, first) = (Arc::clone(&cell), Arc::clone(&first));
            move || cell.replace(&first, Arc::new(value))
        };
        let (one, two) = race(replace(1), replace(2));
        assert!(one != two);
        assert_eq!(**cell.load(), if one { 1 } else { 2 });
    });
}

#[test]
fn a_replacement_compares_places_not_values() {
    check(|| {
        let cell = Swap::new(Arc::new(7));
        let loaded = cell.load_full();
        assert!(!cell.replace(&cell.swap(Arc::new(7)), Arc::new(8)), "it was swapped out");
        assert!(!cell.replace(&loaded, Arc::new(8)), "equal, and another");
        let now = cell.load();
        assert!(cell.replace(&now, Arc::new(8)));
        assert_eq!((**now, *cell.load_full()), (7, 8));
    });
}

#[test]
fn a_value_that_was_loaded_shows_what_was_written_before_it() {
    check(|| {
        let (cell, beside) = (Arc::new(Swap::new(Arc::new(0))), Arc::new(AtomicU64::new(0)));
        let (writes, before) = (Arc::clone(&cell), Arc::clone(&beside));
        race(
            move || {
                before.store(1, Ordering::Relaxed);
                writes.swap(Arc::new(1));
            },
            move || {
                if **cell.load() == 1 {
                    assert_eq!(beside.load(Ordering::Relaxed), 1);
                }
            },
        );
    });
}

#[test]
fn two_that_insert_under_one_key_agree() {
    check(|| {
        let map = Arc::new(Map::<u32, u32>::with_capacity(0));
        let insert = |value| {
            let map = Arc::clone(&map);
            move || map.get_or_insert_with(&1, || value)
        };
        let (one, two) = race(insert(1), insert(2));
        assert!(one == two && map.get(&1) == Some(one));
    });
}

#[test]
fn updates_of_one_entry_lose_nothing() {
    check(|| {
        let map = Arc::new(Map::<u32, u32>::with_capacity(0));
        let add = |more| {
            let map = Arc::clone(&map);
            move || map.update(&1, |sum| Some(sum.copied().unwrap_or(0) + more))
        };
        race(add(1), add(2));
        assert_eq!(map.get(&1), Some(3));
        map.update(&1, |_| None);
        map.update(&1, |sum| sum.copied());
        assert_eq!(map.get(&1), None);
    });
}

#[test]
fn of_two_removals_one_finds_the_entry() {
    check(|| {
        let map = Arc::new(Map::<u32, u32>::with_capacity(0));
        map.get_or_insert_with(&1, || 7);
        assert!(!map.remove_if(&1, |value| *value == 8) && !map.remove_if(&2, |_| true));
        let remove = || {
            let map = Arc::clone(&map);
            move || map.remove_if(&1, |value| *value == 7)
        };
        let (one, two) = race(remove(), remove());
        assert!(one != two && map.read(&1, |_| ()).is_none());
    });
}

#[test]
fn a_walk_finds_whatever_was_there_all_the_time() {
    check(|| {
        let map = Arc::new(Map::<u32, u32>::with_capacity(0));
        (0..3).for_each(|key| _ = map.get_or_insert_with(&key, || key));
        let (walked, changed) = (Arc::clone(&map), Arc::clone(&map));
        let (seen, ()) = race(
            move || {
                let mut seen = Vec::new();
                walked.for_each(|key, _| seen.push(*key));
                seen
            },
            move || {
                changed.remove_if(&1, |_| true);
                changed.get_or_insert_with(&9, || 9);
            },
        );
        assert!(seen.contains(&0) && seen.contains(&2), "{seen:?}");
    });
}

#[test]
fn what_is_put_into_a_pool_is_taken_once() {
    check(|| {
        let pool = Arc::new(Pool::new());
        (1..=2).for_each(|value| pool.put(value));
        let take = || {
            let pool = Arc::clone(&pool);
            move || pool.take()
        };
        let (one, two) = race(take(), take());
        assert_eq!(one.into_iter().chain(two).sum::<u32>(), 3);
        assert!(pool.take().is_none());
    });
}

#[test]
fn what_is_deferred_waits_for_whoever_is_pinned() {
    check(|| {
        let ran = Arc::new(AtomicU64::new(0));
        let (deferred, seen) = (Arc::clone(&ran), Arc::clone(&ran));
        let shown = Arc::new(Swap::new(Arc::new(false)));
        let hidden = Arc::clone(&shown);
        race(
            move || {
                let guard = epoch::pin();
                hidden.swap(Arc::new(true));
                guard.defer(move || deferred.store(1, Ordering::Release));
            },
            move || {
                let _guard = epoch::pin();
                // Pinned before it was hidden: it is there until the pin is gone.
                if !**shown.load() {
                    assert_eq!(seen.load(Ordering::Acquire), 0);
                }
            },
        );
    });
}

#[test]
fn a_wake_after_a_registration_wakes() {
    struct Counts(Count);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    check(|| {
        let (slot, counts) = (Arc::new(Parker::new()), Arc::new(Counts(Count::new(0))));
        let happened = Arc::new(AtomicU64::new(0));
        let (registers, waker) = (Arc::clone(&slot), Waker::from(Arc::clone(&counts)));
        let (looks, happens) = (Arc::clone(&happened), Arc::clone(&happened));
        let (saw, ()) = race(
            move || {
                registers.register(&waker);
                looks.fetch_add(0, Ordering::AcqRel) == 1
            },
            move || {
                happens.fetch_add(1, Ordering::AcqRel);
                slot.wake();
            },
        );
        // Registered, then looked; happened, then woken: one of both is seen.
        assert!(saw || counts.0.load(std::sync::atomic::Ordering::SeqCst) == 1);
    });
}

#[test]
fn what_is_made_once_is_the_same_for_all() {
    check(|| {
        let lock = Arc::new(OnceLock::new());
        let make = |value| {
            let lock = Arc::clone(&lock);
            move || *lock.get_or_init(|| value)
        };
        let (one, two) = race(make(1), make(2));
        assert!(one == two && lock.get() == Some(&one));
    });
}
