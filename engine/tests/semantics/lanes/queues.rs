//! Section 7 of the rules on lanes: what is full, and who is woken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use holocast::{Identity, Lane, Overflow, Realtime};

use super::{On, Own, Place, World, crowd, join, lines, narrow, send, work_off};
use crate::support::{
    assert_balanced, broadcast, connect, engine, lobby, room, seen, subscribe, tab, tab_of,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Two tabs of user 7 on the first lane, bound to the room, of which the second, 2, was taken over by 3 at another place.
fn one_taken_over(realtime: Realtime<u64>, to: Place) -> World {
    let mut world = World::of(realtime);
    world.connect(On(0), &tab_of("i1", 7), 1);
    world.connect(On(0), &tab_of("i2", 7), 2);
    subscribe(&world.realtime, &Identity::user(7), &room(), "page");
    world.connect(to, &tab_of("i2", 7), 3);
    world.heard();
    world
}

/// Q1
#[test]
fn q1_a_lane_is_bounded_in_broadcasts_whatever_the_number_of_their_receivers() {
    let realtime = engine();
    let (lane, _) = crowd(&realtime, 3);
    for n in 0..1_024 {
        assert_eq!(broadcast(&realtime, &room(), n), (3, 0), "1,024 by default");
    }
    assert_eq!((lane.queued(), realtime.stats().queued), (1_024, 3_072));
    for wrong in [0, 32_768] {
        assert!(Realtime::<u64>::builder().lane_capacity(wrong).build().is_err());
    }
    for right in [1, 32_767] {
        assert!(Realtime::<u64>::builder().lane_capacity(right).build().is_ok());
    }
}

/// Q2
#[test]
fn q2_a_full_lane_refuses_the_newest_and_says_so() {
    let realtime = narrow(Overflow::DropNewest);
    let (mut lane, _) = crowd(&realtime, 3);
    let mut beside = connect(&realtime, &tab_of("beside", 7));
    subscribe(&realtime, &Identity::instance("beside"), &room(), "page");
    let reach: Vec<_> = (1..=4).map(|n| broadcast(&realtime, &room(), n)).collect();
    assert_eq!(reach, [(4, 0), (4, 0), (1, 3), (1, 3)], "only the lane is full");
    assert_eq!((realtime.stats().refused, realtime.stats().connections), (6, 4));
    realtime.unsubscribe(&Identity::instance("i001"), &room(), "page").expect("names are short");
    let expected = [
        "lagged 2",
        "0: {:room, 42} add 1 for page",
        "1: {:room, 42} add 1 for page",
        "2: {:room, 42} add 1 for page",
        "0: {:room, 42} add 2 for page",
        "1: {:room, 42} add 2 for page",
        "2: {:room, 42} add 2 for page",
        "1: unsubscribed {:room, 42} page",
    ];
    assert_eq!(work_off(&mut lane), expected);
    assert_eq!(seen(&mut beside).len(), 5, "the grant and all four");
    broadcast(&realtime, &room(), 5);
    assert_eq!(
        work_off(&mut lane),
        [0, 2].map(|n| format!("{n}: {{:room, 42}} add 5 for page")),
        "told once"
    );
    assert_balanced(&realtime);
}

/// Q2
#[test]
fn q2_a_full_lane_is_reset_under_the_other_policies_and_ends_nobody() {
    for overflow in [Overflow::Reset, Overflow::Close] {
        let realtime = narrow(overflow);
        let (mut lane, _) = crowd(&realtime, 2);
        let pairs = |params: &[u64]| -> Vec<String> {
            let of = |n: &u64| [0, 1].map(|token| format!("{token}: {{:room, 42}} add {n} for page"));
            params.iter().flat_map(of).collect()
        };
        assert_eq!([1, 2].map(|n| broadcast(&realtime, &room(), n)), [(2, 0); 2]);
        subscribe(&realtime, &Identity::instance("i001"), &lobby(), "page");
        assert_eq!([3, 4].map(|n| broadcast(&realtime, &room(), n)), [(2, 0); 2]);
        let told = ["lagged 2".to_string(), "1: subscribed :lobby page by 7".to_string()];
        assert_eq!(work_off(&mut lane), [&told[..], &pairs(&[3, 4])].concat(), "control events are kept");
        let stats = realtime.stats();
        assert_eq!((stats.released, stats.refused, stats.connections), (4, 0, 2), "{overflow:?}");
        assert_balanced(&realtime);
        broadcast(&realtime, &room(), 5);
        assert_eq!(work_off(&mut lane), pairs(&[5]), "told once");
        // Q3: an end is never dropped either.
        send(&realtime, &room(), 6..=7);
        realtime.disconnect("i000");
        assert_eq!(broadcast(&realtime, &room(), 8), (1, 0));
        let last = ["lagged 2", "0: closed disconnected", "1: {:room, 42} add 8 for page"];
        assert_eq!(work_off(&mut lane), last);
        assert_balanced(&realtime);
    }
}

/// Q2: who was taken over learns of what its first lane lost.
#[test]
fn q2_connections_taken_over_are_told_what_their_first_lane_lost() {
    for overflow in [Overflow::DropNewest, Overflow::Reset] {
        for to in [Own, On(1)] {
            let mut world = one_taken_over(narrow(overflow), to);
            send(&world.realtime, &room(), 1..=3);
            let kept: &[u64] = if overflow == Overflow::Reset { &[3] } else { &[1, 2] };
            let lost = 3 - kept.len();
            let pages = kept.iter().map(|n| format!("{{:room, 42}} add {n} for page"));
            let lagged = [format!("lagged {lost}")];
            let (first, rest): (Vec<_>, Vec<_>) =
                work_off(&mut world.lanes[0]).into_iter().partition(|line| line.starts_with("lagged"));
            assert_eq!(first, lagged);
            assert_eq!(rest, pages.clone().map(|page| format!("1: {page}")).collect::<Vec<_>>());
            let heard = world.heard();
            assert_eq!(heard, BTreeMap::from([(3, [&lagged[..], &pages.collect::<Vec<_>>()].concat())]));
            assert_balanced(&world.realtime);
        }
    }
}

/// Q2: who has a queue of its own is bounded by that.
#[test]
fn q2_a_guest_whose_own_queue_is_full_is_closed_by_default() {
    let realtime = Realtime::builder().queue_capacity(2).build().expect("the settings are valid");
    let mut world = one_taken_over(realtime, On(1));
    (1..=3).for_each(|n| assert_eq!(broadcast(&world.realtime, &room(), n), (2, 0), "the lane has room"));
    let page = |n: u64| format!("{{:room, 42}} add {n} for page");
    assert_eq!(work_off(&mut world.lanes[0]), [1, 2, 3].map(|n| format!("1: {}", page(n))));
    assert_eq!(world.realtime.identities_of("i2"), None);
    world.expect([(3, &[&page(1), &page(2), "closed overflow"])]);
}

/// Q5
#[test]
fn q5_a_lane_takes_by_trying_blocking_or_awaiting() {
    let realtime = engine();
    let (mut lane, _) = crowd(&realtime, 1);
    assert!(lane.try_recv().is_none() && lane.recv().now_or_never().is_none());
    assert!(lane.blocking_recv_timeout(Duration::from_millis(5)).is_none());
    send(&realtime, &room(), 1..=4);
    let told: Vec<String> = [
        lane.try_recv(),
        Some(lane.blocking_recv()),
        lane.blocking_recv_timeout(PATIENCE),
        lane.recv().now_or_never(),
    ]
    .into_iter()
    .flatten()
    .flat_map(lines)
    .collect();
    assert_eq!(told, [1, 2, 3, 4].map(|n| format!("0: {{:room, 42}} add {n} for page")));
    // Cancelled waits lose nothing.
    drop(lane.recv());
    broadcast(&realtime, &room(), 5);
    drop(lane.recv());
    assert_eq!(work_off(&mut lane), ["0: {:room, 42} add 5 for page"]);
}

/// Q5
#[test]
fn q5_a_sleeping_lane_is_woken_by_a_broadcast_an_end_and_events_of_its_guests() {
    type Act = Box<dyn FnOnce(&mut Option<Lane<u64>>)>;
    let realtime = engine();
    let (mut lane, _) = crowd(&realtime, 1);
    let mut home = realtime.lane();
    join(&mut home, &tab("guest"), 8);
    join(&mut lane, &tab("guest"), 9);
    subscribe(&realtime, &Identity::instance("guest"), &lobby(), "page");
    let mut all = [work_off(&mut home), work_off(&mut lane)].concat();
    all.sort();
    assert_eq!(all, ["8: closed superseded", "9: subscribed :lobby page"]);
    let (mut home, shared) = (Some(home), realtime.clone());
    let acts: [(&str, Act); 5] = [
        ("0: {:room, 42} add 1 for page", Box::new(move |_| send(&shared, &room(), 1..=1))),
        ("9: :lobby add 2 for page", {
            let realtime = realtime.clone();
            Box::new(move |home| {
                broadcast(&realtime, &lobby(), 2);
                assert_eq!(home.as_mut().map(work_off), Some(vec![]), "it forwards");
            })
        }),
        ("9: :lobby add 3 for page", {
            let realtime = realtime.clone();
            Box::new(move |home| {
                broadcast(&realtime, &lobby(), 3);
                drop(home.take());
            })
        }),
        ("9: :lobby add 4 for page", {
            let realtime = realtime.clone();
            Box::new(move |_| send(&realtime, &lobby(), 4..=4))
        }),
        ("0: closed disconnected", {
            let realtime = realtime.clone();
            Box::new(move |_| assert!(realtime.disconnect("i000")))
        }),
    ];
    for (expected, act) in acts {
        let sleeper = thread::spawn(move || (lane.blocking_recv_timeout(PATIENCE).map(lines), lane));
        thread::sleep(Duration::from_millis(20));
        act(&mut home);
        let (told, back) = sleeper.join().expect("no panic");
        assert_eq!(told, Some(vec![expected.to_string()]));
        lane = back;
    }
    assert_eq!(work_off(&mut lane), [""; 0]);
    assert_balanced(&realtime);
}

/// Q5: the task is woken once per wait.
#[test]
fn q5_a_polled_lane_wakes_its_task_once_for_each_wait() {
    #[derive(Default)]
    struct Counts(AtomicUsize);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let realtime = engine();
    let (mut lane, _) = crowd(&realtime, 100);
    let _old = connect(&realtime, &tab("guest"));
    join(&mut lane, &tab("guest"), 100);
    subscribe(&realtime, &Identity::instance("guest"), &room(), "page");
    work_off(&mut lane);
    let counts = Arc::new(Counts::default());
    let waker = Waker::from(Arc::clone(&counts));
    for round in 1..=3 {
        assert!(lane.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        (1..=3).for_each(|n| assert_eq!(broadcast(&realtime, &room(), n), (101, 0)));
        assert_eq!(counts.0.load(Ordering::Relaxed), round);
        let mut told = Vec::new();
        while let Poll::Ready(event) = lane.poll_recv(&mut Context::from_waker(Waker::noop())) {
            told.extend(lines(event));
        }
        assert_eq!(told.len(), 303);
    }
    assert_balanced(&realtime);
}

/// Q5
#[cfg(feature = "stream")]
#[test]
fn q5_a_lane_is_a_stream() {
    use futures_util::StreamExt;
    let realtime = engine();
    let (mut lane, _) = crowd(&realtime, 1);
    assert!(lane.next().now_or_never().is_none());
    send(&realtime, &room(), 1..=2);
    realtime.unsubscribe(&Identity::user(7), &room(), "page").expect("names are short");
    let told: Vec<_> = lane.take(3).map(lines).collect::<Vec<_>>().now_or_never().expect("three wait");
    let expected = [
        "0: {:room, 42} add 1 for page",
        "0: {:room, 42} add 2 for page",
        "0: unsubscribed {:room, 42} page",
    ];
    assert_eq!(told.concat(), expected);
}
