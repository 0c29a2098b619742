//! What a lane's host does not see: who is counted as away, and which lanes there are.

use std::sync::Arc;
use std::task::Poll;

use super::{Lane, LaneEvent};
use crate::busy_tests::polled;
use crate::{Channel, Client, Connection, Identity, Realtime};

fn tab() -> Client {
    Client::new("a")
}

fn taken_over(realtime: &Realtime<u32>) -> Connection<u32> {
    realtime.connect(&tab()).unwrap().connection
}

fn is_there(realtime: &Realtime<u32>, lane: &Lane<u32>) -> impl Fn() -> bool + use<> {
    let (engine, id) = (realtime.engine.clone(), lane.core.id());
    move || engine.lanes.read(id, |_| ()).is_some()
}

#[test]
fn l3_nobody_is_counted_as_away_who_has_ended_however_often_it_was_taken_over() {
    let realtime = Realtime::<u32>::new();
    let mut lane = realtime.lane();
    for takeovers in 1..4 {
        lane.connect(&tab(), 1).unwrap();
        assert!(!lane.core.has_away());
        let away: Vec<_> = (0..takeovers).map(|_| taken_over(&realtime)).collect();
        assert!(lane.core.has_away());
        drop(away);
        assert!(!lane.core.has_away(), "taken over {takeovers} times");
        // Also by the lane itself.
        lane.connect(&tab(), 1).unwrap();
        lane.connect(&tab(), 2).unwrap();
        assert!(lane.core.has_away());
        realtime.disconnect("a");
        assert!(!lane.core.has_away());
        while lane.try_recv().is_some() {}
    }
}

#[test]
fn l4_a_lane_is_there_as_long_as_its_consumer_or_anybody_at_home_on_it() {
    let realtime = Realtime::<u32>::new();
    let lane = realtime.lane();
    let is_empty_lane_there = is_there(&realtime, &lane);
    assert!(is_empty_lane_there());
    drop(lane);
    assert!(!is_empty_lane_there());

    let (mut lane, other) = (realtime.lane(), realtime.lane());
    let is_there = is_there(&realtime, &lane);
    lane.connect(&tab(), 1).unwrap();
    lane.connect(&Client::new("b"), 2).unwrap();
    let away = taken_over(&realtime);
    drop(lane);
    assert!(is_there(), "it forwards");
    drop(away);
    assert!(!is_there());
    assert!(realtime.engine.lanes.read(other.core.id(), |_| ()).is_some());
}

#[test]
fn b5_every_lane_counts_however_many_there_were_before() {
    let realtime = Realtime::<u32>::new();
    for lanes in 1..=500 {
        let mut lane = realtime.lane();
        lane.connect(&tab(), 1).unwrap();
        realtime.put_subscription(&tab(), &Channel::atom("c"), "a").unwrap();
        realtime.broadcast_action(&Channel::atom("c"), "x", 1).unwrap();
        let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { panic!("a broadcast was sent") };
        assert_eq!(batch.receivers().count(), 1);
        assert_eq!(realtime.stats().taken, lanes);
    }
}

#[test]
fn b1_receivers_say_how_many_are_left_at_most() {
    let realtime = Realtime::<u32>::new();
    let mut lane = realtime.lane();
    for n in 0..3 {
        lane.connect(&Client::new(format!("{n}")).with_user(7), n).unwrap();
    }
    realtime.subscribe(&Identity::user(7), &Channel::atom("c"), "a").unwrap();
    while lane.try_recv().is_some() {}
    realtime.broadcast_action(&Channel::atom("c"), "x", 1).unwrap();
    let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { panic!("a broadcast was sent") };
    let mut receivers = batch.receivers();
    for left in (0..=3).rev() {
        assert_eq!(receivers.size_hint(), (0, Some(left)));
        assert_eq!(receivers.next().is_some(), left > 0);
    }
}

#[test]
fn q5_a_lane_that_finds_its_queue_busy_is_woken_to_come_back() {
    let realtime = Realtime::<u32>::new();
    let mut lane = realtime.lane();
    lane.connect(&tab(), 1).unwrap();
    let core = Arc::clone(&lane.core);
    assert!(matches!(
        polled(&core.queue, |context| lane.poll_recv(context)),
        (Poll::Pending, 1, Poll::Pending)
    ));
    realtime.put_subscription(&tab(), &Channel::atom("c"), "a").unwrap();
    realtime.broadcast_action(&Channel::atom("c"), "x", 1).unwrap();
    assert!(matches!(
        polled(&core.queue, |context| lane.poll_recv(context)),
        (Poll::Pending, 1, Poll::Ready(LaneEvent::Broadcast(_)))
    ));
}
