//! The queue word under loom: every interleaving of small scripts, with weak orderings. Each test says what it proves, and which
//! weakening was seen to make it fail.

use std::sync::Arc;

use loom::thread;

use super::*;
use crate::caught::Caught;
use crate::channel::Channel;
use crate::event::Message;
use crate::index::{MemberLeaf, OWN_QUEUE, Seat, Snapshot};
use crate::loom_tests::{explore, race};
use crate::receipt::Stamp;
use crate::sync::{AtomicU32, Ordering, spin};
use crate::text::Cid;

const TWO: Bound = Bound { messages: 2, bytes: u64::MAX, weight: 0 };
const MANY: Bound = Bound { messages: 9, bytes: u64::MAX, weight: 0 };

fn roster(slots: u32) -> Arc<MemberLeaf> {
    let mut draft = Snapshot::empty(Stamp::from_u64(0)).draft(Stamp::from_u64(1));
    for slot in 0..slots {
        draft.bind(Seat { slot, lane: OWN_QUEUE }, 0, &Cid::from("page"), true);
    }
    Arc::clone(draft.members().leaves().next().expect("one leaf"))
}

fn message(params: u32) -> Arc<Message<u32>> {
    Arc::new(Message { channel: Channel::atom("c"), action: "a".into(), params, weight: 0 })
}

fn open() -> Arc<Queue<u32>> {
    let queue = Queue::new();
    queue.open();
    queue.set_lease(1, 0);
    Arc::new(queue)
}

fn send(queue: &Queue<u32>, params: u32, bound: &Bound) -> Pushed {
    Publication::new(message(params), &roster(1)).push(queue, 0, 0, bound)
}

/// What one take hands out, as to the first receiver if it is of the first generation; waits for another consumer to step aside.
fn take(queue: &Queue<u32>, generation: u32, tally: &Tally) -> Option<u32> {
    match queue.glance(generation, generation == 1, tally) {
        Glance::Message(delivery) => return Some(*delivery.params()),
        Glance::Nothing => return None,
        Glance::More => {}
    }
    loop {
        match queue.take(generation, tally) {
            Taken::Delivery(delivery) => return Some(*delivery.params()),
            Taken::Busy => spin(),
            _ => return None,
        }
    }
}

/// B4, B5, N1: two pushers and a taker lose nothing, double nothing and keep each pusher's order.
/// Fails if `push` does not release or `take_word` does not acquire (the taker reads links that nobody published to it).
#[test]
fn b5_pushes_and_takes_lose_and_double_nothing() {
    explore("push/push/take", 3, || {
        let (queue, tally) = (open(), Arc::new(Tally::new()));
        let other = Arc::clone(&queue);
        let pusher = thread::spawn(move || assert_eq!(send(&other, 10, &MANY), Pushed::Sent));
        let (pushes, takes, counts) = (Arc::clone(&queue), Arc::clone(&queue), Arc::clone(&tally));
        let ((), mut got) = race(
            move || (1..=2).for_each(|n| assert_eq!(send(&pushes, n, &MANY), Pushed::Sent)),
            move || take(&takes, 1, &counts).into_iter().collect::<Vec<u32>>(),
        );
        pusher.join().unwrap();
        got.extend(std::iter::from_fn(|| take(&queue, 1, &tally)));
        let of_second: Vec<u32> = got.iter().copied().filter(|n| *n < 10).collect();
        assert_eq!((of_second, got.len()), (vec![1, 2], 3));
    });
}

/// Q1, W3: what is queued, batch included, never exceeds the bound: a full queue stays full while its messages move into the batch.
/// Fails if `take_word` does not release, if `push` looks at the word without Acquire, or if it forgets the batch.
#[test]
fn q1_the_bound_holds_while_a_take_empties_the_word() {
    explore("bound", 3, || {
        let (queue, tally) = (open(), Tally::new());
        queue.push_control(Control::Unsubscribed(Vec::new()));
        (1..=2).for_each(|n| assert_eq!(send(&queue, n, &TWO), Pushed::Sent));
        let (pushes, takes) = (Arc::clone(&queue), Arc::clone(&queue));
        let (sent, ()) = race(
            move || (3..=4).map(|n| send(&pushes, n, &TWO)).collect::<Vec<_>>(),
            move || assert!(matches!(takes.take(1, &tally), Taken::Control(_))),
        );
        assert_eq!((sent, queue.queued()), (vec![Pushed::Full; 2], 2));
    });
}

/// B4, W4: the first receiver's take without the flag, beside a successor's and a push: each message once, and none before an older one.
/// Fails if `glance` does not look at the flag or at the batch, or if the mark stays when a push comes on top.
#[test]
fn b4_a_lone_take_passes_nothing_over() {
    explore("lone/successor/push", 3, || {
        let (queue, tally) = (open(), Arc::new(Tally::new()));
        (1..=2).for_each(|n| assert_eq!(send(&queue, n, &MANY), Pushed::Sent));
        let pushes = Arc::clone(&queue);
        let pusher = thread::spawn(move || assert_eq!(send(&pushes, 3, &MANY), Pushed::Sent));
        // A reset or a release takes under the flag too; here a second consumer of the same lease stands for all of them.
        let (one, one_tally) = (Arc::clone(&queue), Arc::clone(&tally));
        let (two, two_tally) = (Arc::clone(&queue), Arc::clone(&tally));
        let (first, other) = race(
            move || take(&one, 1, &one_tally),
            move || match two.take(1, &two_tally) {
                Taken::Delivery(delivery) => Some(*delivery.params()),
                _ => None,
            },
        );
        pusher.join().unwrap();
        let rest: Vec<u32> = std::iter::from_fn(|| take(&queue, 1, &tally)).collect();
        assert!(rest.is_sorted(), "{rest:?}");
        assert!(rest.is_empty() || rest.first().copied() > first.max(other), "{first:?} {other:?} {rest:?}");
        let mut all: Vec<u32> = first.into_iter().chain(other).chain(rest).collect();
        all.sort_unstable();
        assert_eq!((all, queue.taken()), (vec![1, 2, 3], 3));
    });
}

/// Q1, W3: a push is refused only if the bound is reached; what a take moves into the batch is not counted twice.
/// Fails if `take_word` does not step the turn, or if `queued_with` does not compare it.
#[test]
fn q1_a_push_is_refused_only_if_the_bound_is_reached() {
    explore("turn", usize::MAX, || {
        let (queue, tally) = (open(), Arc::new(Tally::new()));
        assert_eq!(send(&queue, 1, &TWO), Pushed::Sent);
        let (pushes, takes, counts) = (Arc::clone(&queue), Arc::clone(&queue), Arc::clone(&tally));
        // Not as the first receiver, whose lone take moves nothing into the batch.
        let (sent, taken) = race(
            move || send(&pushes, 2, &TWO),
            move || matches!(takes.take(1, &counts), Taken::Delivery(_)),
        );
        assert_eq!((sent, taken, take(&queue, 1, &tally)), (Pushed::Sent, true, Some(2)));
    });
}

/// C3, Q5: a receiver never sleeps over the rest of a burst that its predecessor is about to put into the batch.
/// Fails if `park` does not look at the consumer's flag, or not at the batch after it.
#[test]
fn c3_a_successor_does_not_sleep_over_the_rest_of_a_burst() {
    explore("park/last take", usize::MAX, || {
        let (queue, tally) = (open(), Arc::new(Tally::new()));
        (1..=2).for_each(|n| assert_eq!(send(&queue, n, &MANY), Pushed::Sent));
        let (old, old_tally) = (Arc::clone(&queue), Arc::clone(&tally));
        let (by_old, by_new) = race(
            move || usize::from(take(&old, 1, &old_tally).is_some()),
            move || {
                queue.set_lease(2, 0);
                let mut got = 0;
                loop {
                    match queue.take(2, &tally) {
                        Taken::Delivery(_) => got += 1,
                        Taken::Busy => spin(),
                        _ => match queue.park() {
                            // Asleep, and nobody will wake it: nothing may be left for it.
                            Parked::Yes => return got,
                            Parked::No => {}
                            Parked::Busy => spin(),
                        },
                    }
                }
            },
        );
        assert_eq!(by_old + by_new, 2);
    });
}

/// C4: an event is accepted before the close and then handed out, or refused; nothing is in between.
/// Fails if `close` stores the flag over the word that it read instead of swapping.
#[test]
fn c4_a_push_beside_a_close_is_taken_or_refused() {
    explore("push/close", usize::MAX, || {
        let (queue, tally) = (open(), Tally::new());
        let (pushes, closes) = (Arc::clone(&queue), Arc::clone(&queue));
        let (pushed, ()) = race(move || send(&pushes, 1, &MANY), move || closes.close());
        let got = take(&queue, 1, &tally);
        assert_eq!(got.is_some(), pushed == Pushed::Sent);
        assert!(matches!(queue.take(1, &tally), Taken::Closed));
        assert_eq!(send(&queue, 2, &MANY), Pushed::Closed);
    });
}

/// N2: a block shared by two receivers is freed once, after both.
/// Fails if the count is read and written by two steps. That Relaxed would not do is not shown here: what it orders is memory that loom
/// does not see.
#[test]
fn n2_two_receivers_free_their_block_once() {
    explore("block", usize::MAX, || {
        let queues = [open(), open()];
        let shared = message(1);
        {
            let mut publication = Publication::new(Arc::clone(&shared), &roster(2));
            for (place, queue) in queues.iter().enumerate() {
                publication.push(queue, place as u32, 0, &MANY);
            }
        }
        assert_eq!(Arc::strong_count(&shared), 2);
        let [one, two] = queues.map(|queue| move || take(&queue, 1, &Tally::new()));
        assert_eq!(race(one, two), (Some(1), Some(1)));
        assert_eq!(Arc::strong_count(&shared), 1);
    });
}

/// C3, I6, W1, W2: whatever the old lease does not take before it ends, the new one gets, once and in order.
/// Fails if `pop` does not look at the lease under the lock, or with Relaxed in `lock`, `unlock` or `set_lease`.
#[test]
fn c3_a_new_lease_gets_what_the_old_one_did_not_take() {
    explore("lease", 3, || {
        let (queue, tally) = (open(), Arc::new(Tally::new()));
        (1..=3).for_each(|n| assert_eq!(send(&queue, n, &MANY), Pushed::Sent));
        let ended = Arc::new(AtomicU32::new(0));
        let (old_queue, old_tally, old_ended) = (Arc::clone(&queue), Arc::clone(&tally), Arc::clone(&ended));
        let (new_queue, new_tally) = (Arc::clone(&queue), Arc::clone(&tally));
        let (mut got, mut new) = race(
            move || {
                let mut got = Vec::new();
                for _ in 0..2 {
                    // Acquire: pairs with Release below; what starts after the change of lease must find nothing.
                    let over = old_ended.load(Ordering::Acquire) == 1;
                    let taken = take(&old_queue, 1, &old_tally);
                    assert!(!(over && taken.is_some()), "an event for a lease that had ended");
                    got.extend(taken);
                }
                got
            },
            move || {
                new_queue.set_lease(2, 0);
                ended.store(1, Ordering::Release);
                take(&new_queue, 2, &new_tally).into_iter().collect::<Vec<u32>>()
            },
        );
        new.extend(std::iter::from_fn(|| take(&queue, 2, &tally)));
        assert!(new.is_sorted(), "{new:?}");
        got.extend(new);
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3]);
    });
}

/// C3, I6, W4: a lone take that starts after its lease has ended takes nothing, and one beside the change takes it or leaves it.
/// Fails if `glance` does not look at the generation.
#[test]
fn c3_a_lone_take_leaves_the_message_to_a_new_lease() {
    explore("lone/lease", usize::MAX, || {
        let (queue, tally) = (open(), Arc::new(Tally::new()));
        assert_eq!(send(&queue, 1, &MANY), Pushed::Sent);
        let ended = Arc::new(AtomicU32::new(0));
        let (old, old_tally, old_ended) = (Arc::clone(&queue), Arc::clone(&tally), Arc::clone(&ended));
        let (new, new_tally) = (Arc::clone(&queue), Arc::clone(&tally));
        let (by_old, by_new) = race(
            move || {
                // Acquire: pairs with Release below.
                let over = old_ended.load(Ordering::Acquire) == 1;
                let taken = matches!(old.glance(1, true, &old_tally), Glance::Message(_));
                assert!(!(over && taken), "an event for a lease that had ended");
                taken
            },
            move || {
                new.set_lease(2, 0);
                ended.store(1, Ordering::Release);
                take(&new, 2, &new_tally).is_some()
            },
        );
        assert!(by_old != by_new);
        assert_eq!(queue.taken(), 1);
    });
}

/// Q2, B5: a reset beside a take: every message is taken, released or still queued, and the receiver is told the number.
/// Fails without the lock.
#[test]
fn q2_a_reset_beside_a_take_accounts_for_every_message() {
    explore("reset", 3, || {
        let (queue, tally) = (open(), Arc::new(Tally::new()));
        (1..=2).for_each(|n| assert_eq!(send(&queue, n, &TWO), Pushed::Sent));
        queue.push_control(Control::Unsubscribed(Vec::new()));
        // Deliveries, control events, losses.
        let look = |queue: &Queue<u32>, tally: &Tally, seen: (u64, u64, u64)| match queue.take(1, tally) {
            Taken::Delivery(_) => (seen.0 + 1, seen.1, seen.2),
            Taken::Control(_) => (seen.0, seen.1 + 1, seen.2),
            Taken::Lagged(n) => (seen.0, seen.1, seen.2 + n),
            Taken::Busy => {
                spin();
                seen
            }
            _ => seen,
        };
        let (resets, reset_tally) = (Arc::clone(&queue), Arc::clone(&tally));
        let (takes, take_tally) = (Arc::clone(&queue), Arc::clone(&tally));
        let (_, seen) = race(
            move || resets.reset(&reset_tally, &mut Caught::default()),
            move || (0..2).fold((0, 0, 0), |seen, _| look(&takes, &take_tally, seen)),
        );
        let seen = (0..4).fold(seen, |seen, _| look(&queue, &tally, seen));
        assert_eq!((seen.0 + seen.2, seen.1), (2, 1), "{seen:?}");
        assert_eq!(tally.released.load(Ordering::Relaxed), seen.2);
    });
}

/// Q1: a weight beyond everything lets nothing slip past the bound beside it.
/// Fails if it is added before it is looked at.
#[test]
fn q1_a_weight_beyond_everything_lets_nothing_past_the_bound() {
    explore("push/push, weighed", 3, || {
        let queue = open();
        let weigh = |weight| Bound { messages: 9, bytes: 10, weight };
        assert_eq!(send(&queue, 1, &weigh(10)), Pushed::Sent);
        let (heavy, light) = (Arc::clone(&queue), Arc::clone(&queue));
        let pushed = race(move || send(&heavy, 2, &weigh(u64::MAX)), move || send(&light, 3, &weigh(1)));
        assert_eq!(pushed, (Pushed::Full, Pushed::Full));
    });
}
