//! Section 6 of the rules: broadcast.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use holocast::{Event, Identity, Overflow, Realtime, channel};

use crate::support::{
    assert_balanced, broadcast, connect, engine, key, lobby, room, seen, subscribe, tab, tab_of,
};

/// B1
#[test]
fn b1_a_broadcast_arrives_once_at_every_bound_connection_with_all_its_cids_in_order() {
    let realtime = engine();
    let mut first = connect(&realtime, &tab_of("i1", 7).with_session("s1"));
    let mut second = connect(&realtime, &tab_of("i2", 7));
    let mut other = connect(&realtime, &tab("i3"));
    for cid in ["page", "layout", "zoo", "a"] {
        subscribe(&realtime, &Identity::instance("i1"), &room(), cid);
    }
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    subscribe(&realtime, &Identity::session("s1"), &room(), "page");
    subscribe(&realtime, &Identity::instance("i3"), &lobby(), "page");
    let _ = (seen(&mut first), seen(&mut second), seen(&mut other));
    assert_eq!(broadcast(&realtime, &room(), 1), (2, 0));
    assert_eq!(seen(&mut first), ["{:room, 42} add 1 for a layout page zoo"]);
    assert_eq!(seen(&mut second), ["{:room, 42} add 1 for page"]);
    assert_eq!(seen(&mut other), [""; 0]);
    assert_eq!(broadcast(&realtime, &channel!("empty"), 2), (0, 0));
    let hot = realtime.channel(&room()).expect("the channel is valid");
    assert_eq!(hot.broadcast_action("add", 3).expect("the action is short").reached, 2);
    assert_eq!(seen(&mut second), ["{:room, 42} add 3 for page"]);
}

/// B1: a channel handle outlives the channel's members and sees those that come later.
#[test]
fn b1_a_cached_handle_sees_a_channel_that_was_empty_in_between() {
    let realtime = engine();
    let hot = realtime.channel(&room()).expect("the channel is valid");
    for round in 0..3 {
        assert_eq!(realtime.stats().channels, 0, "a handle alone makes no channel");
        assert_eq!(hot.broadcast_action("add", 0).expect("the action is short").reached, 0);
        let mut one = connect(&realtime, &tab("i1"));
        subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
        seen(&mut one);
        assert_eq!(realtime.stats().channels, 1);
        assert_eq!(hot.broadcast_action("add", round).expect("the action is short").reached, 1);
        assert_eq!(seen(&mut one), [format!("{{:room, 42}} add {round} for page")]);
    }
    drop(hot);
    assert_eq!(realtime.stats().channels, 0, "a cell that nothing keeps");
}

/// B2
#[test]
fn b2_an_excluded_connection_does_not_receive() {
    let realtime = engine();
    let clients = [
        tab_of("i1", 7).with_session("s1"),
        tab_of("i2", 7).with_session("s2"),
        tab("i3").with_user("7").with_session("s1"),
        tab("7"),
    ];
    let mut tabs: Vec<_> = clients.iter().map(|client| connect(&realtime, client)).collect();
    for client in &clients {
        subscribe(&realtime, &Identity::instance(client.instance()), &room(), "page");
    }
    tabs.iter_mut().for_each(|tab| drop(seen(tab)));
    let mut heard = |excluded: &[Identity]| -> Vec<usize> {
        let reach = realtime.broadcast_action_except(excluded, &room(), "add", 1).expect("names are short");
        let heard: Vec<usize> = (0..4).filter(|n| !seen(&mut tabs[*n]).is_empty()).collect();
        assert_eq!(reach.reached, heard.len());
        heard
    };
    assert_eq!(heard(&[]), [0, 1, 2, 3]);
    assert_eq!(heard(&[Identity::user(7)]), [2, 3]);
    assert_eq!(heard(&[Identity::user("7")]), [0, 1, 3]);
    assert_eq!(heard(&[Identity::session("s1")]), [1, 3]);
    assert_eq!(heard(&[Identity::instance("7")]), [0, 1, 2]);
    assert_eq!(heard(&[Identity::instance("i1"), Identity::user(7), Identity::session("s1")]), [3]);
    assert_eq!(
        heard(&[Identity::user(99), Identity::session(7), Identity::instance("nobody")]),
        [0, 1, 2, 3]
    );
}

/// B3
#[test]
fn b3_the_publisher_waits_for_nobody_and_learns_whom_it_reached() {
    let realtime: Realtime<u64> = Realtime::builder()
        .queue_capacity(2)
        .overflow(Overflow::DropNewest)
        .build()
        .expect("the settings are valid");
    let mut slow = connect(&realtime, &tab("slow"));
    let mut quick = connect(&realtime, &tab("quick"));
    for instance in ["slow", "quick"] {
        subscribe(&realtime, &Identity::instance(instance), &room(), "page");
    }
    let _ = (seen(&mut slow), seen(&mut quick));
    // Half-way through its queue, the slow receiver holds on to a delivery and takes no other.
    broadcast(&realtime, &room(), 0);
    let held = slow.try_recv();
    let (done, finished) = mpsc::channel();
    let publisher = realtime.clone();
    thread::spawn(move || {
        let reach: Vec<_> = (1..=4).map(|n| broadcast(&publisher, &room(), n)).collect();
        done.send(reach).expect("the test waits");
    });
    let reach = finished.recv_timeout(Duration::from_secs(20)).expect("the publisher does not wait");
    assert_eq!(reach, [(2, 0), (1, 1), (0, 2), (0, 2)], "quick had one queued already");
    assert!(matches!(held, Ok(Event::Broadcast(_))));
    assert_eq!(realtime.stats().refused, 5);
    assert_balanced(&realtime);
}

/// B4
#[test]
fn b4_events_of_one_publisher_arrive_in_the_order_in_which_it_sent_them_across_channels() {
    const MESSAGES: u64 = 6_000;
    let realtime: Realtime<u64> =
        Realtime::builder().queue_capacity(32_767).build().expect("the settings are valid");
    let channels = [room(), lobby(), channel!("doc", "abc")];
    let mut one = connect(&realtime, &tab("i1"));
    for channel in &channels {
        subscribe(&realtime, &Identity::instance("i1"), channel, "page");
    }
    seen(&mut one);
    let publishers: Vec<_> = (0..2)
        .map(|publisher| {
            let (realtime, channels) = (realtime.clone(), channels.clone());
            thread::spawn(move || {
                for n in 0..MESSAGES {
                    broadcast(&realtime, &channels[(n % 3) as usize], publisher * MESSAGES + n);
                }
            })
        })
        .collect();
    let mut next = [0, MESSAGES];
    while next != [MESSAGES, 2 * MESSAGES] {
        let event = one.blocking_recv_timeout(Duration::from_secs(20)).expect("more is to come");
        let Event::Broadcast(delivery) = event else { panic!("{event:?}") };
        let publisher = usize::from(*delivery.params() >= MESSAGES);
        assert_eq!(*delivery.params(), next[publisher], "of publisher {publisher}");
        assert_eq!(delivery.channel(), &channels[(next[publisher] % 3) as usize]);
        next[publisher] += 1;
    }
    publishers.into_iter().for_each(|publisher| publisher.join().expect("no panic"));
}

/// B5
#[test]
fn b5_every_accepted_event_is_taken_queued_released_or_withheld_and_none_twice() {
    for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::Reset] {
        let realtime: Realtime<u64> =
            Realtime::builder().queue_capacity(4).overflow(overflow).build().expect("the settings are valid");
        let mut tabs: Vec<_> = (0..4).map(|n| connect(&realtime, &tab_of(&format!("i{n}"), n))).collect();
        for n in 0..4 {
            subscribe(&realtime, &Identity::user(n), &room(), "page");
        }
        let mut next = [0; 4];
        for round in 1..=100 {
            broadcast(&realtime, &room(), round);
            assert_balanced(&realtime);
            for (n, tab) in tabs.iter_mut().enumerate() {
                for _ in 0..n {
                    if let Ok(Event::Broadcast(delivery)) = tab.try_recv() {
                        assert!(*delivery.params() > next[n], "none twice, none out of order");
                        next[n] = *delivery.params();
                    }
                }
            }
            assert_balanced(&realtime);
        }
        realtime.identify(&tab("i2")).expect("names are short");
        seen(&mut tabs[2]);
        assert_balanced(&realtime);
        drop(tabs);
        let stats = realtime.stats();
        assert_eq!(stats.queued, 0);
        assert!(stats.accepted > 100 && stats.taken > 100 && stats.released > 0, "{overflow:?}: {stats:?}");
        assert_balanced(&realtime);
    }
}

/// B6
#[test]
fn b6_after_unsubscribe_returned_no_later_broadcast_arrives() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab_of("i1", 7));
    let hot = realtime.channel(&room()).expect("the channel is valid");
    let user = Identity::user(7);
    let drops: [(&str, &dyn Fn()); 5] = [
        ("unsubscribe", &|| drop(realtime.unsubscribe(&user, &room(), "page"))),
        ("unsubscribe_all", &|| drop(realtime.unsubscribe_all(&user, &room()))),
        ("delete_subscription", &|| drop(realtime.delete_subscription(&tab("i1"), &room(), "page"))),
        ("transition", &|| drop(realtime.transition(&tab("i1"), &[key(lobby(), "page")], &[]))),
        ("disconnect", &|| assert!(realtime.disconnect("i1"))),
    ];
    for (name, drop_binding) in drops {
        subscribe(&realtime, &user, &room(), "page");
        seen(&mut one);
        assert_eq!(broadcast(&realtime, &room(), 1), (1, 0));
        assert_eq!(seen(&mut one), ["{:room, 42} add 1 for page"]);
        drop_binding();
        assert_eq!(broadcast(&realtime, &room(), 2), (0, 0), "{name}");
        assert_eq!(hot.broadcast_action("add", 3).expect("the action is short").reached, 0, "{name}");
        let after = seen(&mut one);
        assert!(after.iter().all(|line| !line.contains(" add ")), "{name}: {after:?}");
    }
}

/// B3: a waker that panics takes nobody else's wake away; whoever slept is told, and the publisher gets the panic at the end.
#[test]
fn b3_a_waker_that_panics_leaves_no_other_receiver_asleep() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker of the host's");
        }
    }
    #[derive(Default)]
    struct Counts(AtomicUsize);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let realtime = engine();
    let counts = Arc::new(Counts::default());
    let wakers = [Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&counts))];
    // More than one leaf of members; every third has the bad waker.
    let mut tabs: Vec<_> = (0..150).map(|n| connect(&realtime, &tab_of(&format!("i{n:03}"), 7))).collect();
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    for (n, tab) in tabs.iter_mut().enumerate() {
        let _ = seen(tab);
        assert!(tab.poll_recv(&mut Context::from_waker(&wakers[usize::from(n % 3 > 0)])).is_pending());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| broadcast(&realtime, &room(), 1))).is_err());
    assert_eq!(counts.0.load(Ordering::Relaxed), 100);
    for tab in &mut tabs {
        assert!(matches!(
            tab.poll_recv(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(Some(Event::Broadcast(_)))
        ));
    }
    assert_balanced(&realtime);
}

/// B2: among members of several leaves, at their edges, next to each other, and beside identities that are no members.
#[test]
fn b2_whoever_is_excluded_among_many_is_left_out_and_nobody_else() {
    const MEMBERS: usize = 200;
    let realtime = engine();
    let name = |n: usize| format!("i{n:03}");
    let mut tabs: Vec<_> = (0..MEMBERS + 5).map(|n| connect(&realtime, &tab(&name(n)))).collect();
    for n in (0..MEMBERS).filter(|n| n % 50 != 7) {
        subscribe(&realtime, &Identity::instance(name(n)), &room(), "page");
    }
    tabs.iter_mut().for_each(|tab| drop(seen(tab)));
    for excluded in
        [vec![0], vec![0, 1, 2, 63, 64, 65, 127, 128, 199], vec![57, 58, 107, 202], (60..190).collect()]
    {
        let identities: Vec<_> = excluded.iter().rev().map(|n| Identity::instance(name(*n))).collect();
        let reach =
            realtime.broadcast_action_except(&identities, &room(), "add", 1).expect("names are short");
        let heard: Vec<usize> = (0..tabs.len()).filter(|n| !seen(&mut tabs[*n]).is_empty()).collect();
        let due: Vec<usize> = (0..MEMBERS).filter(|n| n % 50 != 7 && !excluded.contains(n)).collect();
        assert_eq!((&heard, reach.reached), (&due, due.len()));
    }
    assert_balanced(&realtime);
}
