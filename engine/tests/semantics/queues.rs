//! Section 7 of the rules: queues. Rule Q4 counts heap memory and has a program of its own, `idle_memory.rs`.

use std::pin::pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::task::noop_waker_ref;
use holocast::{Connection, Event, Identity, Overflow, Realtime, RecvTimeoutError, TryRecvError};

use crate::support::{assert_balanced, bound, broadcast, connect, line, lobby, room, seen, subscribe, tab};

/// An engine with small queues, and one tab that is bound to the room.
fn small(capacity: usize, overflow: Overflow) -> (Realtime<u64>, Connection<u64>) {
    let realtime: Realtime<u64> = Realtime::builder()
        .queue_capacity(capacity)
        .overflow(overflow)
        .build()
        .expect("the settings are valid");
    let mut one = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    seen(&mut one);
    (realtime, one)
}

fn all(realtime: &Realtime<u64>, params: std::ops::RangeInclusive<u64>) -> Vec<(usize, usize)> {
    params.map(|n| broadcast(realtime, &room(), n)).collect()
}

/// Q1
#[test]
fn q1_one_queue_for_all_events_is_bounded_in_messages() {
    let realtime: Realtime<u64> = Realtime::new();
    let mut one = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    subscribe(&realtime, &Identity::instance("i1"), &lobby(), "page");
    broadcast(&realtime, &room(), 1);
    realtime.unsubscribe(&Identity::instance("i1"), &room(), "page").expect("names are short");
    broadcast(&realtime, &lobby(), 2);
    let expected = [
        "subscribed {:room, 42} page",
        "subscribed :lobby page",
        "{:room, 42} add 1 for page",
        "unsubscribed {:room, 42} page",
        ":lobby add 2 for page",
    ];
    assert_eq!(seen(&mut one), expected);
    for n in 0..1_024 {
        assert_eq!(broadcast(&realtime, &lobby(), n), (1, 0), "1,024 by default");
    }
    assert_eq!(broadcast(&realtime, &lobby(), 1_024), (0, 1));
    for wrong in [0, 32_768] {
        assert!(Realtime::<u64>::builder().queue_capacity(wrong).build().is_err());
    }
}

/// Q1: what was taken makes room, however the queue hands out a burst.
#[test]
fn q1_the_bound_counts_what_is_queued_and_not_what_was_taken() {
    let (realtime, mut one) = small(3, Overflow::DropNewest);
    assert_eq!(all(&realtime, 1..=3), [(1, 0); 3]);
    assert_eq!(one.try_recv().map(|event| line(&event)), Ok("{:room, 42} add 1 for page".to_string()));
    assert_eq!(all(&realtime, 4..=5), [(1, 0), (0, 1)]);
}

/// Q2: what is too heavy for an empty queue is told of though nothing follows it.
#[test]
fn q2_a_loss_from_an_empty_queue_is_told_at_the_next_take() {
    let builder = Realtime::builder().weigh(10, |params: &u64| *params).overflow(Overflow::DropNewest);
    let realtime = builder.build().expect("the settings are valid");
    let mut one = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    seen(&mut one);
    assert_eq!(all(&realtime, 11..=12), [(0, 1), (0, 1)]);
    assert!(matches!(one.try_recv(), Ok(Event::Lagged(2))));
    assert_eq!(one.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(all(&realtime, 13..=13), [(0, 1)]);
    assert!(matches!(one.recv().now_or_never(), Some(Some(Event::Lagged(1)))));
}

/// Q1
#[test]
fn q1_a_queue_is_bounded_in_bytes_if_the_caller_weighs_params() {
    let realtime: Realtime<u64> = Realtime::builder()
        .weigh(10, |params: &u64| *params)
        .overflow(Overflow::DropNewest)
        .build()
        .expect("the settings are valid");
    let mut one = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    seen(&mut one);
    let reach: Vec<_> = [6, 4, 1].into_iter().map(|bytes| broadcast(&realtime, &room(), bytes)).collect();
    assert_eq!(reach, [(1, 0), (1, 0), (0, 1)], "6 and 4 fill the queue, 1 is too much");
    assert_eq!(one.try_recv().map(|event| line(&event)), Ok("lagged 1".to_string()));
    assert_eq!(one.try_recv().map(|event| line(&event)), Ok("{:room, 42} add 6 for page".to_string()));
    let reach: Vec<_> = [7, 6].into_iter().map(|bytes| broadcast(&realtime, &room(), bytes)).collect();
    assert_eq!(reach, [(0, 1), (1, 0)], "the 6 that were taken are free again");
    assert_balanced(&realtime);
}

/// Q2
#[test]
fn q2_by_default_a_full_queue_closes_the_connection_after_what_was_queued_before() {
    let (realtime, mut one) = small(2, Overflow::default());
    assert_eq!(all(&realtime, 1..=2), [(1, 0); 2]);
    assert_eq!(all(&realtime, 3..=4), [(0, 1), (0, 0)], "the connection ended with the third");
    assert_eq!(realtime.identities_of("i1"), None);
    assert_eq!((realtime.stats().bindings, realtime.stats().refused), (0, 1));
    let expected = ["{:room, 42} add 1 for page", "{:room, 42} add 2 for page", "closed overflow"];
    assert_eq!(seen(&mut one), expected);
    assert_eq!(one.try_recv().err(), Some(TryRecvError::Closed));
    assert_balanced(&realtime);
}

/// Q2
#[test]
fn q2_drop_newest_refuses_counts_and_tells_the_receiver() {
    let (realtime, mut one) = small(2, Overflow::DropNewest);
    assert_eq!(all(&realtime, 1..=5), [(1, 0), (1, 0), (0, 1), (0, 1), (0, 1)]);
    assert_eq!(realtime.stats().refused, 3);
    assert_eq!(seen(&mut one), ["lagged 3", "{:room, 42} add 1 for page", "{:room, 42} add 2 for page"]);
    assert_eq!(all(&realtime, 6..=6), [(1, 0)]);
    assert_eq!(seen(&mut one), ["{:room, 42} add 6 for page"], "told once");
    assert_balanced(&realtime);
}

/// Q2
#[test]
fn q2_a_loss_is_told_before_the_rest_of_a_burst_that_was_begun() {
    let (realtime, mut one) = small(3, Overflow::DropNewest);
    assert_eq!(all(&realtime, 1..=3), [(1, 0); 3]);
    assert!(matches!(one.try_recv(), Ok(Event::Broadcast(heard)) if *heard.params() == 1));
    assert_eq!(all(&realtime, 4..=5), [(1, 0), (0, 1)]);
    let rest = [2, 3, 4].map(|n| format!("{{:room, 42}} add {n} for page"));
    assert_eq!(seen(&mut one), [&["lagged 1".to_string()], &rest[..]].concat());
}

/// Q2
#[test]
fn q2_reset_releases_what_is_queued_in_favour_of_the_new() {
    let (realtime, mut one) = small(2, Overflow::Reset);
    assert_eq!(all(&realtime, 1..=2), [(1, 0); 2]);
    subscribe(&realtime, &Identity::instance("i1"), &lobby(), "page");
    assert_eq!(all(&realtime, 3..=4), [(1, 0); 2]);
    let expected =
        ["lagged 2", "subscribed :lobby page", "{:room, 42} add 3 for page", "{:room, 42} add 4 for page"];
    assert_eq!(seen(&mut one), expected);
    assert_eq!((realtime.stats().released, realtime.stats().refused), (2, 0));
    assert_balanced(&realtime);
}

/// Q3
#[test]
fn q3_subscribed_unsubscribed_and_closed_are_never_dropped_for_lack_of_room() {
    let (realtime, mut one) = small(1, Overflow::DropNewest);
    assert_eq!(all(&realtime, 1..=2), [(1, 0), (0, 1)]);
    for _ in 0..3 {
        subscribe(&realtime, &Identity::instance("i1"), &lobby(), "page");
        realtime.unsubscribe(&Identity::instance("i1"), &lobby(), "page").expect("names are short");
    }
    let mut expected = vec!["lagged 1".to_string(), "{:room, 42} add 1 for page".to_string()];
    for _ in 0..3 {
        expected.push("subscribed :lobby page".to_string());
        expected.push("unsubscribed :lobby page".to_string());
    }
    assert_eq!(seen(&mut one), expected);
    subscribe(&realtime, &Identity::instance("i1"), &lobby(), "page");
    assert_eq!(all(&realtime, 3..=3), [(1, 0)], "a control event takes no message's room");
    realtime.disconnect("i1");
    assert_eq!(seen(&mut one), ["closed disconnected"]);
}

/// Q5
#[test]
fn q5_the_receiver_takes_by_trying_blocking_or_awaiting() {
    let (realtime, mut one) = small(8, Overflow::Close);
    assert_eq!(one.try_recv().err(), Some(TryRecvError::Empty));
    assert_eq!(one.blocking_recv_timeout(Duration::from_millis(5)).err(), Some(RecvTimeoutError::Timeout));
    all(&realtime, 1..=4);
    let lines = [
        one.try_recv().ok(),
        one.blocking_recv(),
        one.blocking_recv_timeout(Duration::from_secs(5)).ok(),
        one.recv().now_or_never().flatten(),
    ];
    let lines: Vec<_> = lines.iter().flatten().map(line).collect();
    assert_eq!(lines, (1..=4).map(|n| format!("{{:room, 42}} add {n} for page")).collect::<Vec<_>>());
    let sleeper = thread::spawn(move || (one.blocking_recv().map(|event| line(&event)), one));
    thread::sleep(Duration::from_millis(20));
    broadcast(&realtime, &room(), 5);
    let (woken, mut one) = sleeper.join().expect("no panic");
    assert_eq!(woken.as_deref(), Some("{:room, 42} add 5 for page"));
    realtime.disconnect("i1");
    assert!(matches!(one.blocking_recv(), Some(Event::Closed(_))));
    assert!(one.blocking_recv().is_none());
    assert!(matches!(one.recv().now_or_never(), Some(None)));
    assert_eq!(one.blocking_recv_timeout(Duration::ZERO).err(), Some(RecvTimeoutError::Closed));
}

/// Q5: cancel-safe.
#[test]
fn q5_a_cancelled_wait_loses_no_event() {
    let (realtime, mut one) = small(8, Overflow::Close);
    let mut context = Context::from_waker(noop_waker_ref());
    {
        let mut waiting = pin!(one.recv());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        broadcast(&realtime, &room(), 1);
    }
    assert_eq!(seen(&mut one), ["{:room, 42} add 1 for page"], "still queued");
    assert!(one.poll_recv(&mut context).is_pending());
    all(&realtime, 2..=3);
    drop(one.recv());
    let Poll::Ready(Some(event)) = one.poll_recv(&mut context) else { panic!("two are queued") };
    assert_eq!(line(&event), "{:room, 42} add 2 for page");
    assert_eq!(seen(&mut one), ["{:room, 42} add 3 for page"]);
    assert_eq!(bound(&realtime, "i1"), ["{:room, 42} page"]);
}

/// Q5
#[cfg(feature = "stream")]
#[test]
fn q5_a_connection_is_a_stream_that_ends_after_closed() {
    use futures_util::StreamExt;
    let (realtime, mut one) = small(8, Overflow::Close);
    all(&realtime, 1..=2);
    let first = one.next().now_or_never().flatten().map(|event| line(&event));
    assert_eq!(first.as_deref(), Some("{:room, 42} add 1 for page"));
    realtime.disconnect("i1");
    let rest: Vec<_> =
        one.map(|event| line(&event)).collect::<Vec<_>>().now_or_never().expect("it has ended");
    assert_eq!(rest, ["closed disconnected"]);
}
