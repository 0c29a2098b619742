//! A waker that panics, wherever the engine wakes: everybody else is told and woken all the same, what was begun is done, and the panic
//! goes on to the caller at the end. `b3_a_waker_that_panics_leaves_no_other_receiver_asleep` is the case of a plain broadcast.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;

use holocast::{Client, Connection, Identity, Lane, LaneEvent, Overflow, Realtime, channel};

use super::{panics, said};
use crate::support::{
    assert_balanced, bound, broadcast, connect, engine, key, line, lobby, room, seen, subscribe, tab, tab_of,
};

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tabs i0 to i2 of user 7, bound to the room and asleep: the one in the middle with a waker that panics.
struct Sleepers {
    realtime: Realtime<u64>,
    good: [Connection<u64>; 2],
    bad: Bad,
    woken: Arc<Counting>,
}

enum Bad {
    Own(Connection<u64>),
    OnLane(Box<Lane<u64>>),
    Gone,
}

fn asleep(connection: &mut Connection<u64>, waker: &Waker) {
    assert!(connection.poll_recv(&mut Context::from_waker(waker)).is_pending());
}

impl Sleepers {
    fn new(realtime: Realtime<u64>, on_lane: bool) -> Self {
        let client = |n: usize| tab_of(&format!("i{n}"), 7);
        let first = connect(&realtime, &client(0));
        let bad = if on_lane {
            let mut lane = realtime.lane();
            lane.connect(&client(1), 1).expect("names are short");
            Bad::OnLane(Box::new(lane))
        } else {
            Bad::Own(connect(&realtime, &client(1)))
        };
        let good = [first, connect(&realtime, &client(2))];
        assert_eq!(subscribe(&realtime, &Identity::user(7), &room(), "page"), 3);
        let mut sleepers = Sleepers { realtime, good, bad, woken: Arc::default() };
        sleepers.heard();
        let waker = Waker::from(Arc::clone(&sleepers.woken));
        sleepers.good.iter_mut().for_each(|good| asleep(good, &waker));
        let panicking = Waker::from(Arc::new(Panicking));
        match &mut sleepers.bad {
            Bad::Own(bad) => asleep(bad, &panicking),
            Bad::OnLane(bad) => assert!(bad.poll_recv(&mut Context::from_waker(&panicking)).is_pending()),
            Bad::Gone => {}
        }
        sleepers
    }

    /// What each tab was told: the bad one, then the others.
    fn heard(&mut self) -> [Vec<String>; 3] {
        let [first, second] = self.good.each_mut().map(seen);
        let bad = match &mut self.bad {
            Bad::Own(bad) => seen(bad),
            Bad::OnLane(bad) => std::iter::from_fn(|| bad.try_recv()).flat_map(lines).collect(),
            Bad::Gone => vec![],
        };
        [bad, first, second]
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

fn lines(event: LaneEvent<u64>) -> Vec<String> {
    match event {
        LaneEvent::Broadcast(mut batch) => {
            let head = format!("{} {} {} for page", batch.channel(), batch.action(), batch.params());
            batch.receivers().map(|_| head.clone()).collect()
        }
        LaneEvent::One(_, event) => vec![line(&event)],
        other => panic!("no rule knows {other:?}"),
    }
}

/// Does something that all three are told; the panic comes once, and everybody is told all the same.
fn all_are_told(act: fn(&Realtime<u64>), told: &[&str]) {
    for on_lane in [false, true] {
        let mut sleepers = Sleepers::new(engine(), on_lane);
        assert!(panics(|| act(&sleepers.realtime)), "the panic is the caller's to see");
        assert_eq!(sleepers.woken(), 2, "on a lane: {on_lane}");
        assert_eq!(sleepers.heard(), [told, told, told], "on a lane: {on_lane}");
        subscribe(&sleepers.realtime, &Identity::user(7), &lobby(), "page");
        assert_eq!(broadcast(&sleepers.realtime, &lobby(), 9), (3, 0));
        let after = ["subscribed :lobby page by 7", ":lobby add 9 for page"];
        assert_eq!(sleepers.heard(), [after, after, after], "and the engine goes on");
        assert_balanced(&sleepers.realtime);
    }
}

/// S1
#[test]
fn s1_a_waker_that_panics_keeps_no_receipt_from_the_others() {
    let act = |realtime: &Realtime<u64>| _ = subscribe(realtime, &Identity::user(7), &channel!("x"), "page");
    all_are_told(act, &["subscribed :x page by 7"]);
}

/// S3 and S4
#[test]
fn s3_a_waker_that_panics_leaves_nobody_untold_of_a_kick() {
    let one = |realtime: &Realtime<u64>| drop(realtime.unsubscribe(&Identity::user(7), &room(), "page"));
    all_are_told(one, &["unsubscribed {:room, 42} page"]);
    let all = |realtime: &Realtime<u64>| drop(realtime.unsubscribe_all(&Identity::user(7), &room()));
    all_are_told(all, &["unsubscribed {:room, 42} page"]);
}

/// S9: the broadcasts behind the one that woke are sent too.
#[test]
fn s9_a_waker_that_panics_cuts_no_commit_short() {
    let act = |realtime: &Realtime<u64>| {
        let mut handler = realtime.handler(&tab("origin"));
        for n in 1..=2 {
            handler.broadcast_action(&room(), "add", n).expect("names are short");
        }
        drop(handler.commit());
    };
    all_are_told(act, &["{:room, 42} add 1 for page", "{:room, 42} add 2 for page"]);
}

/// B1: by a handle, and in slices, of which the last come with the drop.
#[test]
fn b1_a_waker_that_panics_costs_nobody_a_broadcast_however_it_is_sent() {
    let hot = |realtime: &Realtime<u64>| {
        let hot = realtime.channel(&room()).expect("names are short");
        drop(hot.broadcast_action("add", 1));
    };
    all_are_told(hot, &["{:room, 42} add 1 for page"]);
    let sliced = |realtime: &Realtime<u64>| {
        drop(realtime.broadcast_sliced(&[], &room(), "add", 1).expect("names are short"));
    };
    all_are_told(sliced, &["{:room, 42} add 1 for page"]);
}

/// C4
#[test]
fn c4_a_connection_ends_though_its_waker_panics() {
    for on_lane in [false, true] {
        let mut sleepers = Sleepers::new(engine(), on_lane);
        assert!(panics(|| sleepers.realtime.disconnect("i1")));
        assert_eq!(sleepers.realtime.identities_of("i1"), None);
        assert_eq!(broadcast(&sleepers.realtime, &room(), 1), (2, 0));
        assert_eq!(sleepers.heard()[0], ["closed disconnected"]);
        let _again = connect(&sleepers.realtime, &tab_of("i1", 7));
        assert_balanced(&sleepers.realtime);
    }
}

/// C3: the new connection is lost with the call, and ends; nothing of it is left, and the instance may connect again.
#[test]
fn c3_a_waker_that_panics_in_a_supersede_leaves_no_connection_without_a_receiver() {
    for on_lane in [false, true] {
        for to_lane in [false, true] {
            let mut sleepers = Sleepers::new(engine(), on_lane);
            let mut lane = sleepers.realtime.lane();
            let client = tab_of("i1", 7);
            assert!(panics(|| {
                if to_lane {
                    drop(lane.connect(&client, 5));
                } else {
                    drop(sleepers.realtime.connect(&client));
                }
            }));
            assert_eq!(sleepers.realtime.identities_of("i1"), None, "{on_lane} {to_lane}");
            assert_eq!(broadcast(&sleepers.realtime, &room(), 1), (2, 0));
            assert_eq!(sleepers.heard()[0], ["closed superseded"]);
            assert!(lane.try_recv().is_none());
            let again = sleepers.realtime.connect(&client).expect("names are short");
            assert!(!again.superseded);
            assert_balanced(&sleepers.realtime);
        }
    }
}

/// C5
#[test]
fn c5_a_logout_is_complete_though_the_waker_panics() {
    for on_lane in [false, true] {
        let mut sleepers = Sleepers::new(engine(), on_lane);
        assert!(panics(|| sleepers.realtime.identify(&tab("i1"))));
        assert_eq!(sleepers.realtime.identities_of("i1"), Some(Client::new("i1")));
        assert_eq!(bound(&sleepers.realtime, "i1"), [""; 0]);
        assert_eq!(broadcast(&sleepers.realtime, &room(), 1), (2, 0));
        assert_eq!(sleepers.heard()[0], ["unsubscribed {:room, 42} page"]);
        assert_balanced(&sleepers.realtime);
    }
}

/// Q2: a message too heavy for any queue meets sleepers.
#[test]
fn q2_an_overflow_is_complete_though_a_waker_panics() {
    let realtime = Realtime::builder().weigh(10, |params: &u64| *params).build().expect("valid");
    let mut sleepers = Sleepers::new(realtime, false);
    assert!(panics(|| broadcast(&sleepers.realtime, &room(), 11)));
    assert_eq!(sleepers.realtime.stats().connections, 0, "all three are closed, by the policy");
    let closed = ["closed overflow"];
    assert_eq!(sleepers.heard(), [closed, closed, closed]);
    assert_eq!(sleepers.woken(), 2);
    assert_eq!(sleepers.realtime.stats().refused, 3);
    assert_balanced(&sleepers.realtime);
    let realtime = Realtime::builder()
        .weigh(10, |params: &u64| *params)
        .overflow(Overflow::Reset)
        .build()
        .expect("the settings are valid");
    let mut sleepers = Sleepers::new(realtime, false);
    assert_eq!(broadcast(&sleepers.realtime, &room(), 11), (0, 3), "nobody is woken for what is refused");
    assert!(panics(|| broadcast(&sleepers.realtime, &room(), 1)));
    let told = ["lagged 1", "{:room, 42} add 1 for page"];
    assert_eq!(sleepers.heard(), [told, told, told]);
    assert_balanced(&sleepers.realtime);
}

/// C4: who drops a receiver has nobody to wake; above all not while its thread unwinds, which would abort the process.
#[test]
fn c4_dropping_a_receiver_does_not_call_its_own_waker() {
    for on_lane in [false, true] {
        for unwinding in [false, true] {
            let mut sleepers = Sleepers::new(engine(), on_lane);
            let bad = std::mem::replace(&mut sleepers.bad, Bad::Gone);
            let died = thread::scope(|scope| {
                let holder = scope.spawn(move || {
                    let _bad = bad;
                    assert!(!unwinding, "the holder's own");
                });
                holder.join()
            });
            assert_eq!(died.is_err(), unwinding);
            assert_eq!(sleepers.realtime.identities_of("i1"), None);
            assert_eq!(broadcast(&sleepers.realtime, &room(), 1), (2, 0));
            assert_balanced(&sleepers.realtime);
        }
    }
}

/// S7 and S8
#[test]
fn s7_changes_that_tell_nobody_call_no_waker() {
    let mut sleepers = Sleepers::new(engine(), false);
    let client = tab_of("i1", 7);
    sleepers.realtime.apply(&client, &[key(lobby(), "page")], &[]).expect("names are short");
    sleepers.realtime.transition(&client, &[key(room(), "page")], &[]).expect("names are short");
    assert_eq!(sleepers.heard(), [[""; 0]; 3]);
    let panic = catch_unwind(AssertUnwindSafe(|| broadcast(&sleepers.realtime, &room(), 1)));
    assert_eq!(said(&*panic.expect_err("it sleeps still")), "a waker");
}
