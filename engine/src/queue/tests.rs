//! The queue by itself, on one thread: order, bounds, inheritance, and what is given back.

use std::sync::Arc;

use super::*;
use crate::caught::Caught;
use crate::channel::Channel;
use crate::event::Message;
use crate::index::{MemberLeaf, OWN_QUEUE, Seat, Snapshot};
use crate::receipt::Stamp;
use crate::text::Cid;

const UNBOUND: Bound = Bound { messages: 3, bytes: u64::MAX, weight: 0 };

/// Params that tell when they are dropped.
type Counted = Arc<u32>;

fn roster(slots: std::ops::Range<u32>, by_user: bool) -> Arc<MemberLeaf> {
    let mut draft = Snapshot::empty(Stamp::from_u64(0)).draft(Stamp::from_u64(1));
    for slot in slots {
        draft.bind(Seat { slot, lane: OWN_QUEUE }, 0, &Cid::from("page"), by_user);
    }
    Arc::clone(draft.members().leaves().next().expect("one leaf"))
}

fn message(params: &Counted, weight: u64) -> Arc<Message<Counted>> {
    Arc::new(Message { channel: Channel::atom("c"), action: "a".into(), params: Arc::clone(params), weight })
}

fn open() -> Queue<Counted> {
    let queue = Queue::new();
    queue.open();
    queue.set_lease(1, 0);
    queue
}

fn send(queue: &Queue<Counted>, params: u32, bound: &Bound) -> Pushed {
    let message = message(&Arc::new(params), bound.weight);
    Publication::new(message, &roster(0..1, true)).push(queue, 0, 0, bound)
}

fn take(queue: &Queue<Counted>, tally: &Tally) -> Option<u32> {
    match queue.take(1, tally) {
        Taken::Delivery(delivery) => Some(**delivery.params()),
        _ => None,
    }
}

#[test]
fn b4_a_burst_comes_out_in_the_order_of_its_pushes_and_frees_its_blocks() {
    let (queue, tally) = (open(), Tally::new());
    let params = Arc::new(0);
    let rosters = roster(0..5, true);
    for _ in 0..3 {
        let shared = message(&params, 0);
        let mut publication = Publication::new(Arc::clone(&shared), &rosters);
        assert_eq!(publication.push(&queue, 2, 0, &UNBOUND), Pushed::Sent);
    }
    assert_eq!((Arc::strong_count(&params), queue.queued()), (4, 3));
    for left in [3, 2, 1] {
        drop(queue.take(1, &tally));
        assert_eq!(Arc::strong_count(&params), left, "a taken delivery frees its block");
    }
    assert!(matches!(queue.take(1, &tally), Taken::Empty));
    (1..=3).for_each(|n| assert_eq!(send(&queue, n, &UNBOUND), Pushed::Sent));
    assert_eq!([(); 4].map(|()| take(&queue, &tally)), [Some(1), Some(2), Some(3), None]);
}

#[test]
fn q1_the_bound_counts_what_is_in_the_batch_too() {
    let (queue, tally) = (open(), Tally::new());
    (1..=3).for_each(|n| assert_eq!(send(&queue, n, &UNBOUND), Pushed::Sent));
    assert_eq!(send(&queue, 4, &UNBOUND), Pushed::Full);
    assert_eq!(take(&queue, &tally), Some(1));
    assert_eq!([send(&queue, 4, &UNBOUND), send(&queue, 5, &UNBOUND)], [Pushed::Sent, Pushed::Full]);
    assert_eq!(queue.queued(), 3);
}

#[test]
fn q1_weights_are_bounded_and_given_back_when_taken_or_refused() {
    let (queue, tally) = (open(), Tally::new());
    let bound = |weight| Bound { messages: 100, bytes: 10, weight };
    assert_eq!(
        [6, 5, 4, 1].map(|w| send(&queue, w as u32, &bound(w))),
        [Pushed::Sent, Pushed::Full, Pushed::Sent, Pushed::Full]
    );
    assert_eq!(take(&queue, &tally), Some(6));
    assert_eq!(send(&queue, 6, &bound(6)), Pushed::Sent);
    assert!(queue.reset(&tally, &mut Caught::default()).is_some());
    assert_eq!(send(&queue, 10, &bound(10)), Pushed::Sent);
}

#[test]
fn n1_a_chain_that_is_dropped_half_way_gives_back_the_rest() {
    let (queue, params) = (open(), Arc::new(7));
    for _ in 0..3 {
        let pushed = Publication::new(message(&params, 0), &roster(0..1, true)).push(&queue, 0, 0, &UNBOUND);
        assert_eq!(pushed, Pushed::Sent);
    }
    let (mut chain, first) = queue.reset_to().expect("nobody else is there");
    assert!(first && chain.next().is_some());
    assert_eq!(Arc::strong_count(&params), 3, "one was given back");
    drop(chain);
    assert_eq!(Arc::strong_count(&params), 1);
}

#[test]
fn c3_a_new_lease_inherits_the_word_and_the_batch() {
    let (queue, tally) = (open(), Tally::new());
    (1..=2).for_each(|n| assert_eq!(send(&queue, n, &UNBOUND), Pushed::Sent));
    assert_eq!(take(&queue, &tally), Some(1));
    assert_eq!(send(&queue, 3, &UNBOUND), Pushed::Sent);
    queue.set_lease(2, 0);
    assert!(matches!(queue.take(1, &tally), Taken::Superseded));
    let rest = [(); 2].map(|()| match queue.take(2, &tally) {
        Taken::Delivery(delivery) => **delivery.params(),
        other => panic!("{other:?}"),
    });
    assert_eq!(rest, [2, 3]);
    assert!(matches!(queue.take(1, &tally), Taken::Superseded), "also when nothing is queued");
}

#[test]
fn c5_what_another_user_authorized_is_withheld_and_counted() {
    let (queue, tally) = (open(), Tally::new());
    assert_eq!(send(&queue, 1, &UNBOUND), Pushed::Sent);
    let nobodys = message(&Arc::new(2), 0);
    Publication::new(nobodys, &roster(0..1, false)).push(&queue, 0, 0, &UNBOUND);
    queue.set_lease(1, 1);
    assert_eq!(take(&queue, &tally), Some(2));
    assert!(matches!(queue.take(1, &tally), Taken::Empty));
    // Relaxed: one thread. Both left the queue, one of them for nobody.
    assert_eq!((tally.withheld.load(crate::sync::Ordering::Relaxed), queue.taken()), (1, 2));
}

#[test]
fn q2_a_reset_keeps_control_events_in_order_and_tells_how_many_went() {
    let (queue, tally) = (open(), Tally::new());
    let params = Arc::new(0);
    let push = || Publication::new(message(&params, 0), &roster(0..1, true)).push(&queue, 0, 0, &UNBOUND);
    let key = |name: &str| (Channel::atom(name), Cid::from("page"));
    push();
    queue.push_control(Control::Unsubscribed(vec![key("first")]));
    push();
    drop(queue.take(1, &tally));
    queue.push_control(Control::Unsubscribed(vec![key("second")]));
    push();
    assert!(queue.reset(&tally, &mut Caught::default()).is_some());
    assert_eq!((Arc::strong_count(&params), queue.queued()), (1, 0));
    assert!(matches!(queue.take(1, &tally), Taken::Lagged(2)));
    for name in ["first", "second"] {
        assert!(
            matches!(queue.take(1, &tally), Taken::Control(Control::Unsubscribed(keys)) if keys == [key(name)])
        );
    }
    assert!(matches!(queue.take(1, &tally), Taken::Empty));
}

#[test]
fn a_closed_queue_refuses_everything_and_hands_out_what_it_has() {
    let (queue, tally) = (open(), Tally::new());
    assert_eq!(send(&queue, 1, &UNBOUND), Pushed::Sent);
    queue.close();
    assert_eq!(send(&queue, 2, &UNBOUND), Pushed::Closed);
    assert_eq!(queue.push_control(Control::Unsubscribed(Vec::new())), Pushed::Closed);
    assert_eq!(take(&queue, &tally), Some(1));
    assert!(matches!(queue.take(1, &tally), Taken::Closed));
}

#[test]
fn a_sleeper_is_announced_to_the_first_push_only() {
    let queue = open();
    assert_eq!(queue.park(), Parked::Yes);
    assert_eq!(send(&queue, 1, &UNBOUND), Pushed::SentToSleeper);
    assert_eq!(send(&queue, 2, &UNBOUND), Pushed::Sent);
    assert_eq!(queue.park(), Parked::No);
}

#[test]
fn what_is_queued_when_a_queue_goes_is_freed() {
    let params = Arc::new(0);
    let queue = open();
    Publication::new(message(&params, 0), &roster(0..9, true)).push(&queue, 7, 0, &UNBOUND);
    queue.push_control(Control::Unsubscribed(Vec::new()));
    drop(queue);
    assert_eq!(Arc::strong_count(&params), 1);
}

#[test]
fn what_is_left_of_a_batch_when_a_queue_goes_is_freed() {
    let (queue, tally) = (open(), Tally::new());
    let params = Arc::new(0);
    for _ in 0..2 {
        Publication::new(message(&params, 0), &roster(0..1, true)).push(&queue, 0, 0, &UNBOUND);
    }
    assert!(take(&queue, &tally).is_some());
    drop(queue);
    assert_eq!(Arc::strong_count(&params), 1);
}
