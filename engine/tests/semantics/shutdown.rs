//! Rule C7: the graceful end of the whole engine.

use holocast::{CloseReason, Error, Event, Identity, LaneEvent, Overflow, Realtime, TryRecvError};

use crate::support::{
    assert_balanced, broadcast, connect, engine, key, line, receipts, room, seen, subscribe, tab, tab_of,
};

/// C7
#[test]
fn c7_a_shutdown_tells_every_connection_after_what_is_queued() {
    let realtime = engine();
    let mut tabs = [connect(&realtime, &tab_of("i1", 7)), connect(&realtime, &tab_of("i2", 7))];
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    broadcast(&realtime, &room(), 1);
    assert_eq!(realtime.shutdown(), 2);
    let stats = realtime.stats();
    assert_eq!(
        (stats.connections, stats.bindings, stats.queued),
        (0, 0, 2),
        "they have ended, what is queued stays"
    );
    for tab in &mut tabs {
        let told = ["subscribed {:room, 42} page by 7", "{:room, 42} add 1 for page", "closed shutdown"];
        assert_eq!(seen(tab), told);
        assert_eq!(tab.try_recv().unwrap_err(), TryRecvError::Closed);
    }
    assert_eq!(realtime.stats().queued, 0);
    assert_balanced(&realtime);
    assert_eq!(realtime.shutdown(), 0, "once more changes nothing");
}

/// C7
#[test]
fn c7_after_a_shutdown_nothing_is_connected_bound_or_broadcast() {
    let realtime = engine();
    let mut lane = realtime.lane();
    let news = realtime.channel(&room()).expect("names are short");
    let mut held = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    let kept = receipts(&mut held);
    let mut handler = realtime.handler(&tab("i1"));
    handler.broadcast_action(&room(), "add", 1).expect("collected before");
    realtime.shutdown();

    let shut = Some(Error::ShutDown);
    assert_eq!(realtime.connect(&tab("i2")).err(), shut);
    assert_eq!(realtime.reconnect(&tab("i1"), &kept).err(), shut);
    assert_eq!(lane.connect(&tab("i2"), 1).err(), shut);
    assert_eq!(realtime.subscribe(&Identity::user(7), &room(), "page").err(), shut);
    assert_eq!(realtime.put_subscription(&tab("i1"), &room(), "page").err(), shut);
    assert_eq!(realtime.transition(&tab("i1"), &[key(room(), "page")], &[]).err(), shut);
    assert_eq!(realtime.broadcast_action(&room(), "add", 1).err(), shut);
    assert_eq!(realtime.broadcast_sliced(&[], &room(), "add", 1).err(), shut);
    assert_eq!(news.broadcast_action("add", 1).err(), shut);
    assert_eq!(handler.commit().err(), shut);
    assert_eq!(realtime.stats().broadcasts, 0);
}

/// C7
#[test]
fn c7_after_a_shutdown_what_takes_away_still_works() {
    let realtime = engine();
    realtime.shutdown();
    assert_eq!(realtime.unsubscribe(&Identity::user(7), &room(), "page"), Ok(0));
    assert_eq!(realtime.unsubscribe_all(&Identity::user(7), &room()), Ok(0));
    assert_eq!(realtime.delete_subscription(&tab("i1"), &room(), "page"), Ok(true));
    assert_eq!(realtime.identify(&tab("i1")), Ok(false));
    assert!(!realtime.disconnect("i1"));
    assert_eq!(realtime.stats().revocations, 3);
}

/// C7: what waits in a lane comes first.
#[test]
fn c7_a_lane_ends_its_connections_when_it_has_worked_off_what_waits() {
    let realtime = engine();
    let mut lane = realtime.lane();
    for n in 0..2 {
        lane.connect(&tab_of(&format!("i{n}"), 7), n).expect("names are short");
    }
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    while lane.try_recv().is_some() {}
    broadcast(&realtime, &room(), 1);
    assert_eq!(realtime.shutdown(), 2);
    assert_eq!(realtime.stats().connections, 2, "the lane has not come to it");
    let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { panic!("what waits comes first") };
    assert_eq!(batch.receivers().map(|(token, _)| token).collect::<Vec<_>>(), [0, 1]);
    drop(batch);
    let mut ended = Vec::new();
    while let Some(event) = lane.try_recv() {
        let LaneEvent::One(token, Event::Closed(CloseReason::Shutdown)) = event else { panic!("{event:?}") };
        ended.push(token);
    }
    ended.sort_unstable();
    assert_eq!(ended, [0, 1]);
    let stats = realtime.stats();
    assert_eq!((stats.connections, stats.members), (0, 0));
    assert_balanced(&realtime);
}

/// C7: also those that a lane holds events for and another receiver has.
#[test]
fn c7_a_connection_taken_over_from_a_lane_is_told_when_its_lane_comes_to_it() {
    for dropped in [false, true] {
        let realtime = engine();
        let mut lane = realtime.lane();
        lane.connect(&tab_of("i1", 7), 1).expect("names are short");
        subscribe(&realtime, &Identity::user(7), &room(), "page");
        while lane.try_recv().is_some() {}
        let mut own = connect(&realtime, &tab_of("i1", 7));
        broadcast(&realtime, &room(), 1);
        if dropped {
            drop(lane);
            assert_eq!(realtime.shutdown(), 1);
        } else {
            assert_eq!(realtime.shutdown(), 1);
            while lane.try_recv().is_some() {}
        }
        assert_eq!(seen(&mut own), ["{:room, 42} add 1 for page", "closed shutdown"]);
        assert_eq!(realtime.stats().connections, 0);
        assert_balanced(&realtime);
    }
}

/// C7: whom its lane disconnects before it comes to the shutdown is passed over.
#[test]
fn c7_a_lane_passes_over_whom_it_has_disconnected_since_the_shutdown() {
    let realtime = engine();
    let mut lane = realtime.lane();
    let gone = lane.connect(&tab("i1"), 1).expect("names are short").key;
    lane.connect(&tab("i2"), 2).expect("names are short");
    assert_eq!(realtime.shutdown(), 2);
    assert!(lane.disconnect(gone));
    let told: Vec<_> = std::iter::from_fn(|| lane.try_recv()).collect();
    assert!(matches!(&told[..], [LaneEvent::One(2, Event::Closed(CloseReason::Shutdown))]), "{told:?}");
    assert_eq!(realtime.stats().connections, 0);
}

/// C7, Q2: a queue that is full tells the end all the same.
#[test]
fn c7_a_full_queue_tells_of_the_shutdown() {
    for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::Reset] {
        let realtime = Realtime::<u64>::builder()
            .queue_capacity(1)
            .overflow(overflow)
            .build()
            .expect("within the ranges");
        let mut slow = connect(&realtime, &tab("i1"));
        realtime.put_subscription(&tab("i1"), &room(), "page").expect("names are short");
        (1..=3).for_each(|n| _ = broadcast(&realtime, &room(), n));
        let told = realtime.shutdown();
        let last = std::iter::from_fn(|| slow.try_recv().ok()).last().expect("an end");
        match overflow {
            Overflow::Close => assert_eq!((told, line(&last)), (0, "closed overflow".to_owned())),
            _ => assert_eq!((told, line(&last)), (1, "closed shutdown".to_owned())),
        }
        assert_balanced(&realtime);
    }
}

/// C7, Q5: receivers that wait are woken.
#[test]
fn c7_a_shutdown_wakes_whoever_waits() {
    let realtime = engine();
    let mut tab = connect(&realtime, &tab("i1"));
    let waiting = std::thread::spawn(move || tab.blocking_recv().map(|event| line(&event)));
    let mut lane = realtime.lane();
    lane.connect(&tab_of("i2", 7), 1).expect("names are short");
    let on_lane =
        std::thread::spawn(move || matches!(lane.blocking_recv(), LaneEvent::One(1, Event::Closed(_))));
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(realtime.shutdown(), 2);
    assert_eq!(waiting.join().expect("no panic").as_deref(), Some("closed shutdown"));
    assert!(on_lane.join().expect("no panic"));
}
