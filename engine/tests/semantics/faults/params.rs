//! Params whose drop panics, or whose weigher does: nothing is dropped twice, nothing else is lost, and the accounts stay right.

use std::thread;

use holocast::{Client, Connection, Event, Identity, Lane, LaneEvent, Overflow, Realtime};

use super::{Alive, Bomb, panics, said};
use crate::support::{assert_balanced, lobby, room, tab, tab_of};

fn engine(overflow: Overflow) -> Realtime<Bomb> {
    Realtime::builder()
        .queue_capacity(4)
        .lane_capacity(4)
        .overflow(overflow)
        .build()
        .expect("the settings are valid")
}

/// Tabs of user 7, bound to the room.
fn tabs(realtime: &Realtime<Bomb>, count: usize) -> Vec<Connection<Bomb>> {
    let connect = |n: usize| realtime.connect(&tab_of(&format!("i{n:03}"), 7)).expect("names are short");
    let mut tabs: Vec<_> = (0..count).map(|n| connect(n).connection).collect();
    assert_eq!(realtime.subscribe(&Identity::user(7), &room(), "page"), Ok(count));
    tabs.iter_mut().for_each(|tab| assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_)))));
    tabs
}

/// A lane with one tab, bound to the room.
fn lane_with(realtime: &Realtime<Bomb>, name: &str) -> Lane<Bomb> {
    let mut lane = realtime.lane();
    lane.connect(&tab(name), 0).expect("names are short");
    realtime.subscribe(&Identity::instance(name), &room(), "page").expect("names are short");
    lane
}

/// The broadcasts that wait in the lane.
fn work_off(lane: &mut Lane<Bomb>) -> Vec<u64> {
    let events = std::iter::from_fn(|| lane.try_recv());
    events
        .filter_map(|event| match event {
            LaneEvent::Broadcast(mut batch) => {
                batch.receivers().for_each(drop);
                Some(batch.params().number)
            }
            _ => None,
        })
        .collect()
}

fn send(realtime: &Realtime<Bomb>, bomb: Bomb) -> (usize, usize) {
    let reach = realtime.broadcast_action(&room(), "add", bomb).expect("names are short");
    (reach.reached, reach.refused)
}

fn numbers(tab: &mut Connection<Bomb>) -> Vec<u64> {
    let events = std::iter::from_fn(|| tab.try_recv().ok());
    events
        .filter_map(|event| {
            if let Event::Broadcast(delivery) = event { Some(delivery.params().number) } else { None }
        })
        .collect()
}

/// The engine goes on as if nothing had been.
fn assert_goes_on(realtime: &Realtime<Bomb>) {
    assert_balanced(realtime);
    let alive = Alive::default();
    let mut late = realtime.connect(&tab("late")).expect("names are short").connection;
    realtime.subscribe(&Identity::instance("late"), &room(), "page").expect("names are short");
    for number in 0..3 {
        send(realtime, Bomb::new(number, false, &alive));
    }
    assert_eq!(numbers(&mut late), [0, 1, 2]);
    assert_balanced(realtime);
}

/// V4: the one who drops last gets the panic.
#[test]
fn v4_params_that_panic_when_dropped_by_the_last_receiver_are_that_receivers_to_see() {
    let (realtime, alive) = (engine(Overflow::Close), Alive::default());
    let mut tabs = tabs(&realtime, 100);
    assert_eq!(send(&realtime, Bomb::new(1, true, &alive)), (100, 0));
    let mut held: Vec<_> = tabs.iter_mut().filter_map(|tab| tab.try_recv().ok()).collect();
    let last = held.pop();
    drop(held);
    assert_eq!((panics(|| drop(last)), alive.count()), (true, 0));
    assert_goes_on(&realtime);
}

/// B5, C4: all that was queued is released and counted, and the connection is gone.
#[test]
fn c4_params_that_panic_when_released_with_their_connection_hold_up_nothing() {
    for hangup in [false, true] {
        let (realtime, alive) = (engine(Overflow::Close), Alive::default());
        let mut tabs = tabs(&realtime, 2);
        let (mut other, tab) = (tabs.remove(0), tabs.remove(0));
        for number in 0..4 {
            assert_eq!(send(&realtime, Bomb::new(number, number > 0, &alive)), (2, 0));
        }
        // From here on the last to have them is the one that ends.
        let mut taken = std::iter::from_fn(|| other.try_recv().ok());
        assert!(taken.by_ref().take(4).all(|event| matches!(event, Event::Broadcast(_))));
        let mut tab = Some(tab);
        let ended = panics(|| if hangup { drop(tab.take()) } else { _ = realtime.disconnect("i001") });
        assert!(ended, "the panic is the caller's to see");
        assert_eq!((alive.count(), realtime.stats().released), (0, 4), "hangup: {hangup}");
        assert_eq!(realtime.identities_of("i001"), None);
        if let Some(mut tab) = tab {
            assert!(matches!(tab.blocking_recv(), Some(Event::Closed(_))), "and is told");
        }
        assert_goes_on(&realtime);
    }
}

/// B5: the same while the thread unwinds anyway: the second panic stays inside, or the process would abort.
#[test]
fn c4_params_that_panic_while_the_holder_of_the_connection_unwinds_do_not_abort() {
    let (realtime, alive) = (engine(Overflow::Close), Alive::default());
    let tab = tabs(&realtime, 1).remove(0);
    (0..3).for_each(|number| _ = send(&realtime, Bomb::new(number, true, &alive)));
    let holder = thread::spawn(move || {
        let _tab = tab;
        panic!("the holder's own");
    });
    let panic = holder.join().expect_err("it panicked");
    assert_eq!((said(&*panic), alive.count()), ("the holder's own", 0));
    assert_eq!((realtime.stats().released, realtime.stats().connections), (3, 0));
    assert_goes_on(&realtime);
}

/// Q2, B1: a reset in the middle of a broadcast drops the last of others; everybody behind gets the broadcast all the same.
#[test]
fn q2_params_that_panic_when_a_reset_drops_them_cost_nobody_the_broadcast() {
    let (realtime, alive) = (engine(Overflow::Reset), Alive::default());
    // Three leaves of members; one in each does not take.
    let mut tabs = tabs(&realtime, 150);
    for number in 0..4 {
        assert_eq!(send(&realtime, Bomb::new(number, number % 2 == 0, &alive)), (150, 0));
        for (n, tab) in tabs.iter_mut().enumerate().filter(|(n, _)| n % 60 != 7) {
            assert_eq!(numbers(tab), [number], "tab {n}");
        }
    }
    assert!(panics(|| send(&realtime, Bomb::new(4, false, &alive))));
    for (n, tab) in tabs.iter_mut().enumerate() {
        assert_eq!(numbers(tab), [4], "tab {n}");
    }
    let stats = realtime.stats();
    assert_eq!((alive.count(), stats.queued, stats.released, stats.refused), (0, 0, 3 * 4, 0));
    assert_eq!(stats.accepted, 5 * 150);
    assert_goes_on(&realtime);
}

/// Q2: on lanes, beside a queue of its own
#[test]
fn q2_params_that_panic_when_a_lanes_reset_drops_them_cost_nobody_the_broadcast() {
    let (realtime, alive) = (engine(Overflow::Reset), Alive::default());
    let (mut stalled, mut quick) = (lane_with(&realtime, "stalled"), lane_with(&realtime, "quick"));
    let mut beside = tabs(&realtime, 1).remove(0);
    work_off(&mut stalled);
    work_off(&mut quick);
    for number in 0..4 {
        assert_eq!(send(&realtime, Bomb::new(number, true, &alive)), (3, 0));
        assert_eq!((work_off(&mut quick), numbers(&mut beside)), (vec![number], vec![number]));
    }
    assert!(panics(|| send(&realtime, Bomb::new(4, false, &alive))));
    assert_eq!((work_off(&mut quick), numbers(&mut beside)), (vec![4], vec![4]));
    assert!(matches!(stalled.try_recv(), Some(LaneEvent::Lagged(4))));
    assert_eq!((work_off(&mut stalled), alive.count()), (vec![4], 0));
    assert_eq!((realtime.stats().released, realtime.stats().refused), (4, 0));
    assert_goes_on(&realtime);
}

/// B5: what nobody takes is dropped by the publisher, when all is counted.
#[test]
fn b5_params_that_panic_when_refused_are_the_publishers_to_see() {
    let (realtime, alive) = (engine(Overflow::DropNewest), Alive::default());
    let mut tabs = tabs(&realtime, 3);
    (0..4).for_each(|number| assert_eq!(send(&realtime, Bomb::new(number, false, &alive)), (3, 0)));
    assert!(panics(|| send(&realtime, Bomb::new(4, true, &alive))));
    assert_eq!((alive.count(), realtime.stats().refused), (4, 3));
    assert!(tabs.iter_mut().all(|tab| numbers(tab) == [0, 1, 2, 3]));
    // By name, and to nobody.
    let before = realtime.stats().broadcasts;
    assert!(panics(|| realtime.broadcast_action(&lobby(), "add", Bomb::new(5, true, &alive))));
    assert_eq!(realtime.stats().broadcasts, before + 1);
    assert!(panics(|| realtime.broadcast_action(&lobby(), "a".repeat(2_000), Bomb::new(6, true, &alive))));
    assert_eq!(realtime.stats().broadcasts, before + 1, "refused");
    assert_eq!(alive.count(), 0);
    assert_goes_on(&realtime);
}

/// Q2: under `Close` the publisher ends connections after its walk; its own params' panic comes after that.
#[test]
fn q2_params_that_panic_when_refused_keep_no_full_connection_alive() {
    let (realtime, alive) = (engine(Overflow::Close), Alive::default());
    let mut tabs = tabs(&realtime, 2);
    (0..4).for_each(|number| assert_eq!(send(&realtime, Bomb::new(number, false, &alive)), (2, 0)));
    assert!(panics(|| send(&realtime, Bomb::new(4, true, &alive))));
    assert_eq!((realtime.stats().connections, realtime.stats().members), (0, 0));
    assert!(tabs.iter_mut().all(|tab| numbers(tab) == [0, 1, 2, 3]));
    assert_eq!(alive.count(), 0);
    assert_goes_on(&realtime);
}

/// C5: what is withheld is dropped by the take that passes over it.
#[test]
fn c5_params_that_panic_when_withheld_are_counted_and_the_next_take_goes_on() {
    let (realtime, alive) = (engine(Overflow::Close), Alive::default());
    let mut tab = tabs(&realtime, 1).remove(0);
    (0..3).for_each(|number| _ = send(&realtime, Bomb::new(number, number < 2, &alive)));
    realtime.identify(&Client::new("i000")).expect("names are short");
    realtime.subscribe(&Identity::instance("i000"), &room(), "page").expect("names are short");
    send(&realtime, Bomb::new(3, false, &alive));
    assert!(panics(|| tab.try_recv()) && panics(|| tab.try_recv()));
    assert_eq!(numbers(&mut tab), [3]);
    assert_eq!((alive.count(), realtime.stats().withheld, realtime.stats().taken), (0, 3, 1));
    assert_goes_on(&realtime);
}

/// B5: of a lane: a batch dropped unseen, a broadcast to connections that have ended, and a lane dropped with all that waits.
#[test]
fn b5_params_that_panic_when_a_lane_drops_them_hold_up_nothing() {
    let (realtime, alive) = (engine(Overflow::DropNewest), Alive::default());
    let mut lane = lane_with(&realtime, "first");
    lane.connect(&tab("second"), 1).expect("names are short");
    realtime.subscribe(&Identity::instance("second"), &room(), "page").expect("names are short");
    work_off(&mut lane);
    (0..4).for_each(|number| assert_eq!(send(&realtime, Bomb::new(number, true, &alive)), (2, 0)));
    let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { panic!("the first waits") };
    assert_eq!(batch.receivers().next().map(|(token, _)| token), Some(0));
    assert!(panics(|| drop(batch)));
    assert_eq!((alive.count(), realtime.stats().taken, realtime.stats().released), (3, 1, 1));
    assert!(panics(|| drop(lane)));
    let stats = realtime.stats();
    assert_eq!((alive.count(), stats.released, stats.queued, stats.connections), (0, 7, 0, 0));
    assert_goes_on(&realtime);
}

/// B5, C4: of the connections that a dropped lane had taken over each ends, whatever the one before dropped.
#[test]
fn c4_params_that_panic_when_a_lane_lets_go_of_its_guests_hold_up_none_of_them() {
    let (realtime, alive) = (engine(Overflow::DropNewest), Alive::default());
    let _superseded = tabs(&realtime, 3);
    let mut lane = realtime.lane();
    for guest in 0..3 {
        assert!(
            lane.connect(&tab_of(&format!("i{guest:03}"), 7), guest).expect("names are short").superseded
        );
    }
    for guest in 0..3 {
        let others: Vec<_> =
            (0..3).filter(|n| *n != guest).map(|n| Identity::instance(format!("i{n:03}"))).collect();
        let sent = realtime.broadcast_action_except(&others, &room(), "add", Bomb::new(guest, true, &alive));
        assert_eq!(sent.expect("names are short").reached, 1);
    }
    assert!(panics(|| drop(lane)));
    let stats = realtime.stats();
    assert_eq!((alive.count(), stats.released, stats.queued, stats.connections), (0, 3, 0, 0));
    assert_goes_on(&realtime);
}

/// B5: the engine goes last, with lanes and connections still full.
#[test]
fn b5_params_that_panic_when_the_engine_is_dropped_are_all_dropped_once() {
    let (realtime, alive) = (engine(Overflow::DropNewest), Alive::default());
    let mut tabs = tabs(&realtime, 3);
    let lane = lane_with(&realtime, "lane");
    (0..4).for_each(|number| _ = send(&realtime, Bomb::new(number, true, &alive)));
    drop(realtime);
    assert!(!panics(|| drop(tabs.pop())), "others have them still");
    assert!(!panics(|| drop(tabs.pop())));
    assert!(!panics(|| drop(lane)));
    assert!(panics(|| drop(tabs.pop())));
    assert_eq!(alive.count(), 0);
}

/// S9, B1: nothing happened, and what was handed over is dropped once.
#[test]
fn q1_a_weigher_that_panics_leaves_everything_as_it_was() {
    let alive = Alive::default();
    let realtime: Realtime<Bomb> = Realtime::builder()
        .weigh(100, |bomb: &Bomb| if bomb.number == 13 { panic!("a weigher") } else { 1 })
        .build()
        .expect("the settings are valid");
    let mut tabs = tabs(&realtime, 2);
    let hot = realtime.channel(&room()).expect("names are short");
    let bad = || Bomb::new(13, false, &alive);
    let before = realtime.stats();
    assert!(panics(|| realtime.broadcast_action(&room(), "add", bad())));
    assert!(panics(|| hot.broadcast_action("add", bad())));
    assert!(panics(|| realtime.broadcast_sliced(&[], &room(), "add", bad())));
    let mut handler = realtime.handler(&Client::new("origin"));
    assert!(panics(|| handler.broadcast_action(&room(), "add", bad())));
    assert_eq!((alive.count(), realtime.stats()), (0, before));
    handler.broadcast_action(&room(), "add", Bomb::new(1, false, &alive)).expect("names are short");
    assert_eq!(handler.commit().expect("names are short").reach.reached, 2);
    assert!(tabs.iter_mut().all(|tab| numbers(tab) == [1]));
    drop(hot);
    assert_goes_on(&realtime);
}
