//! What the host holds of the engine's, dropped at an odd moment, by a thread that dies, or never: nobody else is held up.

use std::mem::forget;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use holocast::{Client, Connection, Event, Identity, LaneEvent, Realtime, channel};

use super::{Alive, Bomb, said};
use crate::support::{assert_balanced, lobby, room, tab_of};

const PATIENCE: Duration = Duration::from_secs(20);

fn tab(realtime: &Realtime<Bomb>, name: &str) -> Connection<Bomb> {
    let mut tab = realtime.connect(&tab_of(name, 7)).expect("names are short").connection;
    realtime.subscribe(&Identity::instance(name), &room(), "page").expect("names are short");
    assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
    tab
}

fn send(realtime: &Realtime<Bomb>, number: u64, alive: &Alive) -> usize {
    realtime
        .broadcast_action(&room(), "add", Bomb::new(number, false, alive))
        .expect("names are short")
        .reached
}

/// Q5: a future is dropped at each poll, as by a `select` that another branch won, while a publisher sends.
#[test]
fn q5_a_receive_dropped_at_every_poll_loses_doubles_and_reorders_nothing() {
    const MESSAGES: u64 = 5_000;
    let realtime: Realtime<u64> =
        Realtime::builder().queue_capacity(32_767).build().expect("the settings are valid");
    let mut tab = realtime.connect(&Client::new("i1")).expect("names are short").connection;
    realtime.subscribe(&Identity::instance("i1"), &room(), "page").expect("names are short");
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MESSAGES {
                realtime.broadcast_action(&room(), "add", number).expect("names are short");
                if number % 32 == 0 {
                    thread::yield_now();
                }
            }
        });
        let (mut next, mut pending, start) = (0, 0, Instant::now());
        while next < MESSAGES {
            assert!(start.elapsed() < PATIENCE, "{next} of {MESSAGES} came");
            drop(tab.recv());
            match tab.recv().now_or_never() {
                Some(Some(Event::Broadcast(delivery))) => {
                    assert_eq!(*delivery.params(), next);
                    next += 1;
                }
                Some(Some(Event::Subscribed(_))) => {}
                Some(other) => panic!("not expected: {other:?}"),
                None => pending += 1,
            }
        }
        assert!(pending > 0, "the race was run");
    });
    assert_eq!((realtime.stats().taken, realtime.stats().queued), (MESSAGES, 0));
    assert_balanced(&realtime);
}

/// Q5: a poll that found nothing leaves a waker behind; the connection may go at that moment too.
#[test]
fn q5_a_connection_dropped_in_the_middle_of_a_wait_is_gone() {
    let (realtime, alive) = (Realtime::new(), Alive::default());
    let mut tab = tab(&realtime, "i1");
    {
        let mut waiting = Box::pin(tab.recv());
        assert!(matches!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        assert_eq!(send(&realtime, 1, &alive), 1);
    }
    drop(tab);
    assert_eq!((send(&realtime, 2, &alive), alive.count()), (0, 0));
    assert_eq!((realtime.stats().connections, realtime.stats().released), (0, 1));
    assert_balanced(&realtime);
}

/// C4, V4: a delivery outlives its connection, and the engine; so do a batch and its lane.
#[test]
fn c4_what_was_handed_out_outlives_its_connection_its_lane_and_the_engine() {
    let (realtime, alive) = (Realtime::new(), Alive::default());
    let mut tab = tab(&realtime, "i1");
    let mut lane = realtime.lane();
    lane.connect(&Client::new("l1"), 5).expect("names are short");
    realtime.subscribe(&Identity::instance("l1"), &room(), "page").expect("names are short");
    assert!(matches!(lane.try_recv(), Some(LaneEvent::One(5, Event::Subscribed(_)))));
    assert_eq!(send(&realtime, 1, &alive), 2);
    let Ok(Event::Broadcast(delivery)) = tab.try_recv() else { panic!("one is queued") };
    let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { panic!("one waits") };
    drop(tab);
    drop(lane);
    assert_eq!(batch.receivers().count(), 0, "its connection has ended");
    let stats = realtime.stats();
    assert_eq!((stats.taken, stats.released, stats.connections), (1, 1, 0));
    assert_balanced(&realtime);
    drop(realtime);
    assert_eq!((delivery.params().number, delivery.cids().count(), batch.params().number), (1, 1, 1));
    drop(batch);
    assert_eq!(alive.count(), 1);
    drop(delivery);
    assert_eq!(alive.count(), 0);
}

/// Runs it in a thread that dies of it.
fn dies(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let panic = scope.spawn(work).join().expect_err("it panicked");
        assert_eq!(said(&*panic), "the holder's own");
    });
}

/// Others get theirs, and what they have dropped is given back, whoever comes and goes.
fn assert_nobody_is_held_up(realtime: &Realtime<Bomb>, witness: &mut Connection<Bomb>) {
    while witness.try_recv().is_ok() {}
    let (alive, aside) = (Alive::default(), channel!("aside"));
    realtime.subscribe(&Identity::instance("witness"), &aside, "page").expect("names are short");
    assert!(matches!(witness.try_recv(), Ok(Event::Subscribed(_))));
    for number in 0..200 {
        let mut passing = tab(realtime, "passing");
        realtime.subscribe(&Identity::instance("passing"), &aside, "page").expect("names are short");
        assert!(matches!(passing.try_recv(), Ok(Event::Subscribed(_))));
        let bomb = Bomb::new(number, false, &alive);
        assert_eq!(realtime.broadcast_action(&aside, "add", bomb).expect("names are short").reached, 2);
        for tab in [&mut *witness, &mut passing] {
            assert!(
                matches!(tab.try_recv(), Ok(Event::Broadcast(delivery)) if delivery.params().number == number)
            );
        }
    }
    assert_eq!(alive.count(), 0);

    realtime.transition(&tab_of("witness", 7), &[(room(), "page".into())], &[]).expect("names are short");
    assert_balanced(realtime);
}

/// B5: each kind of thing that a host may hold, in a thread that panics.
#[test]
fn b5_a_thread_that_dies_with_something_of_the_engines_holds_nobody_up() {
    let (realtime, alive) = (Realtime::new(), Alive::default());
    let mut witness = tab(&realtime, "witness");

    let mut connection = tab(&realtime, "i1");
    send(&realtime, 1, &alive);
    send(&realtime, 2, &alive);
    dies(move || {
        let Ok(Event::Broadcast(_delivery)) = connection.try_recv() else { return };
        panic!("the holder's own");
    });
    assert_eq!(realtime.identities_of("i1"), None, "its connection has ended with it");
    assert_nobody_is_held_up(&realtime, &mut witness);

    let mut lane = realtime.lane();
    for token in 0..3 {
        lane.connect(&tab_of(&format!("l{token}"), 8), token).expect("names are short");
    }
    realtime.subscribe(&Identity::user(8), &room(), "page").expect("names are short");
    while lane.try_recv().is_some() {}
    assert_eq!((send(&realtime, 3, &alive), send(&realtime, 4, &alive)), (4, 4));
    let before = realtime.stats();
    dies(|| {
        let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { return };
        for (place, _) in batch.receivers().enumerate() {
            assert!(place != 1, "the holder's own");
        }
    });
    let stats = realtime.stats();
    assert_eq!((stats.taken - before.taken, stats.released - before.released), (2, 1), "of three");
    assert_eq!(work_off(&mut lane), 3, "the lane goes on with the next");
    assert_nobody_is_held_up(&realtime, &mut witness);
    dies(move || {
        let _lane = lane;
        panic!("the holder's own");
    });
    assert!(realtime.connections_of(&Identity::user(8)).is_empty());

    let mut many: Vec<_> = (0..100).map(|n| tab(&realtime, &format!("m{n}"))).collect();
    dies(|| {
        let bomb = Bomb::new(5, false, &alive);
        let mut sliced = realtime.broadcast_sliced(&[], &room(), "add", bomb).expect("names are short");
        assert!(sliced.advance(1));
        panic!("the holder's own");
    });
    let heard = many.iter_mut().filter_map(|tab| tab.try_recv().ok()).count();
    assert_eq!(heard, 100, "the rest is delivered as it is dropped");

    dies(|| {
        let hot = realtime.channel(&lobby()).expect("names are short");
        let mut handler = realtime.handler(&tab_of("witness", 7));
        handler.put_subscription(&lobby(), "page").expect("names are short");
        handler.broadcast_action(&room(), "add", Bomb::new(6, false, &alive)).expect("names are short");
        hot.broadcast_action("add", Bomb::new(7, false, &alive)).expect("names are short");
        panic!("the holder's own");
    });
    assert_eq!(realtime.bindings_of("witness").len(), 1, "nothing was committed");
    drop(many);
    while witness.try_recv().is_ok() {}
    assert_eq!((alive.count(), realtime.stats().channels), (0, 1));
    assert_nobody_is_held_up(&realtime, &mut witness);
}

fn work_off<P: Send + Sync + 'static>(lane: &mut holocast::Lane<P>) -> usize {
    let events = std::iter::from_fn(|| lane.try_recv());
    events
        .map(|event| if let LaneEvent::Broadcast(mut batch) = event { batch.receivers().count() } else { 0 })
        .sum()
}

/// B5: the same, never dropped: what was forgotten is kept for good, and nothing else.
#[test]
fn b5_what_a_host_forgets_is_kept_alone_and_holds_nobody_up() {
    let (realtime, alive) = (Realtime::new(), Alive::default());
    let mut witness = tab(&realtime, "witness");
    let mut connection = tab(&realtime, "i1");
    send(&realtime, 1, &alive);
    let Ok(Event::Broadcast(delivery)) = connection.try_recv() else { panic!("one is queued") };
    forget(delivery);
    assert_nobody_is_held_up(&realtime, &mut witness);
    assert_eq!(alive.count(), 1, "the delivery's");
    // A connection that nobody takes from, and nobody drops, ends as any other does.
    forget(connection);
    assert!(realtime.disconnect("i1") && realtime.identities_of("i1").is_none());
    assert_nobody_is_held_up(&realtime, &mut witness);

    let mut lane = realtime.lane();
    lane.connect(&tab_of("l1", 8), 1).expect("names are short");
    realtime.subscribe(&Identity::user(8), &room(), "page").expect("names are short");
    assert_eq!((work_off(&mut lane), send(&realtime, 2, &alive)), (0, 2));
    let Some(LaneEvent::Broadcast(batch)) = lane.try_recv() else { panic!("one waits") };
    forget(batch);
    assert_eq!(realtime.stats().queued, 2, "the witness's, and what nobody knows of");
    assert_nobody_is_held_up(&realtime, &mut witness);
    assert!(realtime.disconnect("l1"));

    forget(realtime.broadcast_sliced(&[], &room(), "add", Bomb::new(3, false, &alive)));
    forget(realtime.handler(&tab_of("witness", 7)));
    forget(realtime.channel(&lobby()));
    assert_nobody_is_held_up(&realtime, &mut witness);
    assert_eq!(realtime.stats().channels, 1, "a forgotten handle keeps a place that counts as none");
    drop(lane);
    assert_nobody_is_held_up(&realtime, &mut witness);
}

/// B3: a publisher that is suspended inside a callback of the host's, here its weigher, waits alone.
#[test]
fn b3_a_publisher_stuck_in_the_hosts_code_holds_up_no_other() {
    static STUCK: AtomicBool = AtomicBool::new(true);
    let realtime: Realtime<u64> = Realtime::builder()
        .weigh(u64::MAX, |params: &u64| {
            let start = Instant::now();
            while *params == 0 && STUCK.load(Ordering::Relaxed) {
                assert!(start.elapsed() < PATIENCE, "the others wait for this one");
                thread::yield_now();
            }
            1
        })
        .build()
        .expect("the settings are valid");
    let mut tab = realtime.connect(&tab_of("i1", 7)).expect("names are short").connection;
    realtime.subscribe(&Identity::user(7), &room(), "page").expect("names are short");
    assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
    thread::scope(|scope| {
        scope.spawn(|| realtime.broadcast_action(&room(), "add", 0).expect("names are short"));
        for number in 1..=500 {
            realtime.broadcast_action(&room(), "add", number).expect("names are short");
            assert!(matches!(tab.try_recv(), Ok(Event::Broadcast(delivery)) if *delivery.params() == number));
            realtime.subscribe(&Identity::user(7), &lobby(), "page").expect("names are short");
            assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
        }
        STUCK.store(false, Ordering::Relaxed);
    });
    assert!(matches!(tab.try_recv(), Ok(Event::Broadcast(delivery)) if *delivery.params() == 0));
    assert_balanced(&realtime);
}
