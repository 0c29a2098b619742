//! What goes wrong on the way to a connection that was taken over from a lane: a waker of the host's that panics, a loss before the takeover.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use holocast::{Connection, Identity, Lane, Overflow, Realtime};

use super::{join, lines, narrow};
use crate::support::{assert_balanced, broadcast, connect, engine, room, seen, subscribe, tab};

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

/// Two connections on a lane, `left` and `stays`, of which the first is taken over by one that sleeps with a waker that panics.
fn taken_over_by_a_bad_sleeper(realtime: &Realtime<u64>) -> (Lane<u64>, Connection<u64>) {
    let mut lane = realtime.lane();
    for (token, name) in ["left", "stays"].into_iter().enumerate() {
        join(&mut lane, &tab(name), token as u64);
        subscribe(realtime, &Identity::instance(name), &room(), "page");
    }
    let mut taker = connect(realtime, &tab("left"));
    while lane.try_recv().is_some() {}
    let waker = Waker::from(Arc::new(Panicking));
    while taker.poll_recv(&mut Context::from_waker(&waker)).is_ready() {}
    (lane, taker)
}

/// B1, B5
#[test]
fn b5_a_waker_that_panics_while_a_lane_forwards_costs_nobody_a_broadcast() {
    let realtime = engine();
    let (mut lane, mut taker) = taken_over_by_a_bad_sleeper(&realtime);
    (0..3).for_each(|n| assert_eq!(broadcast(&realtime, &room(), n), (2, 0)));
    let (mut heard, mut panics) = (Vec::new(), 0);
    loop {
        match catch_unwind(AssertUnwindSafe(|| lane.try_recv())) {
            Ok(Some(event)) => heard.extend(lines(event)),
            Ok(None) => break,
            Err(_) => panics += 1,
        }
    }
    assert_eq!(panics, 1, "the panic is the host's to see");
    assert_eq!(heard, [0, 1, 2].map(|n| format!("1: {{:room, 42}} add {n} for page")));
    assert_eq!(seen(&mut taker), [0, 1, 2].map(|n| format!("{{:room, 42}} add {n} for page")));
    assert_eq!(realtime.stats().queued, 0);
    assert_balanced(&realtime);
}

/// B5: of a lane without a consumer.
#[test]
fn b5_a_waker_that_panics_while_a_dropped_lane_is_drained_holds_up_nothing() {
    let realtime = engine();
    let (lane, mut taker) = taken_over_by_a_bad_sleeper(&realtime);
    drop(lane);
    let panicked =
        (0..3).map(|n| catch_unwind(AssertUnwindSafe(|| broadcast(&realtime, &room(), n))).is_err());
    assert_eq!(panicked.collect::<Vec<_>>(), [true, false, false], "as of a publisher that wakes (B3)");
    assert_eq!(seen(&mut taker), [0, 1, 2].map(|n| format!("{{:room, 42}} add {n} for page")));
    assert_eq!(realtime.stats().queued, 0);
    assert_balanced(&realtime);
}

/// B5: the drop of the lane itself forwards what waits, and wakes.
#[test]
fn b5_a_lane_that_is_dropped_while_a_waker_panics_is_forwarded_and_given_up_all_the_same() {
    let realtime = engine();
    let (lane, mut taker) = taken_over_by_a_bad_sleeper(&realtime);
    (0..2).for_each(|n| assert_eq!(broadcast(&realtime, &room(), n), (2, 0)));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(lane))).is_err());
    assert_eq!(broadcast(&realtime, &room(), 2), (1, 0), "the lane's own connection has ended");
    assert_eq!(seen(&mut taker), [0, 1, 2].map(|n| format!("{{:room, 42}} add {n} for page")));
    assert_balanced(&realtime);
}

/// C3, Q2
#[test]
fn q2_what_a_full_lane_lost_before_a_takeover_is_told_to_the_new_receiver() {
    for (policy, told) in [
        (
            Overflow::DropNewest,
            ["lagged 2", "{:room, 42} add 0 for page", "{:room, 42} add 1 for page"].as_slice(),
        ),
        (Overflow::Reset, &["lagged 2", "{:room, 42} add 2 for page", "{:room, 42} add 3 for page"]),
        (Overflow::Close, &["lagged 2", "{:room, 42} add 2 for page", "{:room, 42} add 3 for page"]),
    ] {
        let realtime = narrow(policy);
        let mut lane = realtime.lane();
        join(&mut lane, &tab("tab"), 0);
        subscribe(&realtime, &Identity::instance("tab"), &room(), "page");
        while lane.try_recv().is_some() {}
        for n in 0..4 {
            broadcast(&realtime, &room(), n);
        }
        let mut taker = connect(&realtime, &tab("tab"));
        while lane.try_recv().is_some() {}
        assert_eq!(seen(&mut taker), told, "{policy:?}");
        let mut third = connect(&realtime, &tab("tab"));
        assert_eq!(seen(&mut third), [""; 0], "told once");
        assert_balanced(&realtime);
    }
}
