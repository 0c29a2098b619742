//! Section 3 of the rules on lanes: connections.

use std::collections::BTreeSet;

use holocast::{Client, CloseReason, Event, Identity, LaneEvent, LaneKey};

use super::{ALL_MOVES, On, Own, Place, World, crowd, join, next_batch, rest, send, work_off};
use crate::support::{
    assert_balanced, bound, broadcast, connect, engine, key, lobby, room, seen, shown, subscribe, tab, tab_of,
};

/// A tab of user 7 at a place, 1, bound to the room.
fn one_at(place: Place) -> (World, Client) {
    let mut world = World::new();
    let client = tab_of("i1", 7);
    world.connect(place, &client, 1);
    world.realtime.apply(&client, &[key(room(), "page")], &[]).expect("names are short");
    (world, client)
}

/// C1 and C2
#[test]
fn c2_a_reconnect_on_a_lane_restores_exactly_the_bindings_with_valid_receipts() {
    let realtime = engine();
    let mut lane = realtime.lane();
    let client = tab_of("i1", 7);
    let connected = lane.connect(&client, 1).expect("names are short");
    assert!(connected.receipts.is_empty() && !connected.superseded);
    assert_eq!(realtime.identities_of("i1"), Some(client.clone()));
    let kept = realtime
        .apply(&client, &[key(room(), "page"), key(room(), "layout"), key(lobby(), "page")], &[])
        .expect("names are short")
        .receipts;
    assert!(lane.disconnect(connected.key));
    realtime.unsubscribe(&Identity::user(7), &room(), "layout").expect("names are short");

    let mut other = realtime.lane();
    let back = other.reconnect(&client, &kept, 2).expect("names are short");
    assert!(!back.superseded);
    assert_eq!(shown(&back.receipts), [":lobby page by 7", "{:room, 42} page by 7"]);
    assert_eq!(bound(&realtime, "i1"), [":lobby page by 7", "{:room, 42} page by 7"]);
    broadcast(&realtime, &room(), 1);
    assert_eq!(work_off(&mut lane), [""; 0]);
    assert_eq!(work_off(&mut other), ["2: {:room, 42} add 1 for page"]);
    assert_balanced(&realtime);
}

/// C3
#[test]
fn c3_what_was_queued_and_not_taken_goes_to_the_new_receiver_wherever_both_live() {
    for (from, to) in ALL_MOVES {
        let mut world = World::new();
        let (client, me) = (tab_of("i1", 7), Identity::instance("i1"));
        assert!(!world.connect(from, &client, 1));
        let presented =
            world.realtime.apply(&client, &[key(room(), "page")], &[]).expect("names are short").receipts;
        subscribe(&world.realtime, &me, &lobby(), "page");
        world.realtime.unsubscribe(&me, &room(), "page").expect("names are short");
        world.heard();
        for n in 1..=3 {
            broadcast(&world.realtime, &lobby(), n);
        }
        assert_eq!(world.take(from, 1), [":lobby add 1 for page"], "{from:?}");

        let (receipts, superseded) = world.reconnect(to, &client, &presented, 2);
        assert!(superseded);
        assert_eq!(shown(&receipts), [":lobby page by 7"], "receipts presented are ignored");
        assert_eq!(bound(&world.realtime, "i1"), [":lobby page by 7"]);
        assert_eq!(broadcast(&world.realtime, &lobby(), 4), (1, 0));
        let expected = [":lobby add 2 for page", ":lobby add 3 for page", ":lobby add 4 for page"];
        world.expect([(1, &["closed superseded"]), (2, &expected)]);
        broadcast(&world.realtime, &lobby(), 5);
        world.expect([(2, &[":lobby add 5 for page"])]);
        assert!(world.realtime.disconnect("i1"));
        world.expect([(2, &["closed disconnected"])]);
    }
}

/// C3: the third receiver takes over from the second as that did from the first.
#[test]
fn c3_the_third_receiver_gets_what_neither_of_the_others_took() {
    for (from, to) in ALL_MOVES {
        for last in [Own, On(0), On(1)] {
            let (mut world, client) = one_at(from);
            broadcast(&world.realtime, &room(), 1);
            assert!(world.connect(to, &client, 2));
            broadcast(&world.realtime, &room(), 2);
            assert!(world.connect(last, &client, 3));
            broadcast(&world.realtime, &room(), 3);
            subscribe(&world.realtime, &Identity::user(7), &lobby(), "page");
            let third = [
                "{:room, 42} add 1 for page",
                "{:room, 42} add 2 for page",
                "{:room, 42} add 3 for page",
                "subscribed :lobby page by 7",
            ];
            world.expect([(1, &["closed superseded"]), (2, &["closed superseded"]), (3, &third)]);
            assert_eq!(world.realtime.stats().taken, 3, "{from:?} {to:?} {last:?}");
        }
    }
}

/// C3: each of three receivers took a part.
#[test]
fn c3_an_event_is_handed_out_once_however_often_the_receiver_changes() {
    for (from, to) in ALL_MOVES {
        for last in [Own, On(0), On(1)] {
            let (mut world, client) = one_at(from);
            let page = |n| format!("{{:room, 42}} add {n} for page");
            send(&world.realtime, &room(), 1..=5);
            assert_eq!(world.take(from, 1), [page(1)]);
            world.connect(to, &client, 2);
            // Forwards what waits on the first lane.
            let mut heard = world.heard();
            assert_eq!(heard.remove(&1), Some(vec!["closed superseded".to_string()]));
            assert_eq!(heard.remove(&2), Some((2..=5).map(page).collect()));
            send(&world.realtime, &room(), 6..=7);
            world.connect(last, &client, 3);
            world.expect([(2, &["closed superseded"]), (3, &[&page(6), &page(7)])]);
            assert_eq!(world.realtime.stats().taken, 7);
        }
    }
}

/// C3, **stricter**
#[test]
fn c3_a_takeover_by_another_user_withholds_what_the_former_authorized_and_says_so() {
    for (from, to) in ALL_MOVES {
        let mut world = World::new();
        world.connect(from, &tab("i1"), 1);
        subscribe(&world.realtime, &Identity::instance("i1"), &lobby(), "page");
        world.realtime.identify(&tab_of("i1", 7)).expect("names are short");
        subscribe(&world.realtime, &Identity::user(7), &room(), "page");
        subscribe(&world.realtime, &Identity::user(7), &lobby(), "layout");
        world.heard();
        broadcast(&world.realtime, &room(), 1);
        broadcast(&world.realtime, &lobby(), 2);

        let (receipts, superseded) = world.reconnect(to, &tab_of("i1", 8), &[], 2);
        assert!(superseded);
        assert_eq!(shown(&receipts), [":lobby page"]);
        assert_eq!(bound(&world.realtime, "i1"), [":lobby page"]);
        assert_eq!(broadcast(&world.realtime, &room(), 3), (0, 0));
        let second = [":lobby add 2 for page", "unsubscribed :lobby layout, {:room, 42} page"];
        world.expect([(1, &["closed superseded"]), (2, &second)]);
        assert_eq!(world.realtime.stats().withheld, 1, "{from:?} {to:?}");
    }
}

/// C3: what was taken as a batch before is the old receiver's.
#[test]
fn c3_a_batch_taken_before_the_takeover_is_still_the_old_receivers() {
    let realtime = engine();
    let (mut lane, _) = crowd(&realtime, 3);
    broadcast(&realtime, &room(), 1);
    broadcast(&realtime, &room(), 2);
    let mut batch = next_batch(&mut lane);
    assert_eq!(batch.receivers().next().map(|(token, _)| token), Some(0));
    let mut new = connect(&realtime, &tab_of("i001", 7));
    assert_eq!(rest(&mut batch), ["1: {:room, 42} add 1 for page", "2: {:room, 42} add 1 for page"]);
    assert_eq!(seen(&mut new), [""; 0], "the second waits in the lane");
    let second = ["0: {:room, 42} add 2 for page", "2: {:room, 42} add 2 for page", "1: closed superseded"];
    assert_eq!(work_off(&mut lane), second);
    assert_eq!(seen(&mut new), ["{:room, 42} add 2 for page"]);
    drop(batch);
    assert_balanced(&realtime);
}

/// C3 and C4: an old receiver ends nothing.
#[test]
fn c4_letting_go_of_a_superseded_connection_changes_nothing() {
    for to in [Own, On(0), On(1)] {
        for told in [false, true] {
            let mut world = World::new();
            let first = join(&mut world.lanes[0], &tab("i1"), 1);
            assert!(world.connect(to, &tab("i1"), 2));
            if told {
                world.expect([(1, &["closed superseded"])]);
            }
            assert!(!world.lanes[0].disconnect(first));
            subscribe(&world.realtime, &Identity::instance("i1"), &room(), "page");
            broadcast(&world.realtime, &room(), 1);
            let second = ["subscribed {:room, 42} page", "{:room, 42} add 1 for page"];
            world.expect([(2, &second)]);
        }
    }
}

/// C4
#[test]
fn c4_after_the_lane_has_disconnected_nothing_comes_at_all() {
    let realtime = engine();
    let (mut lane, keys) = crowd(&realtime, 2);
    realtime.unsubscribe(&Identity::user(7), &lobby(), "page").expect("names are short");
    broadcast(&realtime, &room(), 1);
    assert!(lane.disconnect(keys[0]) && !lane.disconnect(keys[0]));
    assert_eq!(broadcast(&realtime, &room(), 2), (1, 0));
    assert_eq!(realtime.identities_of("i000"), None);
    assert!(realtime.bindings_of("i000").is_empty() && realtime.members_of(&room()).len() == 1);
    // Nor for another connection under its token.
    let again = join(&mut lane, &tab("new"), 0);
    let expected =
        ["1: unsubscribed :lobby page", "1: {:room, 42} add 1 for page", "1: {:room, 42} add 2 for page"];
    assert_eq!(work_off(&mut lane), expected);
    assert!(lane.disconnect(again) && lane.disconnect(keys[1]));
    assert_eq!(work_off(&mut lane), [""; 0]);
    let stats = realtime.stats();
    assert_eq!((stats.connections, stats.bindings, stats.queued, stats.released), (0, 0, 0, 1));
    assert_eq!(stats.revocations, 1);
    assert_balanced(&realtime);
}

/// C4
#[test]
fn c4_a_batch_half_worked_off_passes_over_those_that_have_ended() {
    let realtime = engine();
    let (mut lane, keys) = crowd(&realtime, 6);
    broadcast(&realtime, &room(), 1);
    let mut batch = next_batch(&mut lane);
    assert_eq!(batch.receivers().next().map(|(token, _)| token), Some(0));
    assert_eq!(batch.len(), 5);
    lane.disconnect(keys[2]);
    lane.disconnect(keys[0]);
    realtime.disconnect("i004");
    // The same instance, and the same token: another connection.
    join(&mut lane, &tab_of("i002", 7), 2);
    let left = [1, 3, 5].map(|n| format!("{n}: {{:room, 42}} add 1 for page"));
    assert_eq!(rest(&mut batch), left);
    assert!(batch.is_empty());
    assert_eq!(work_off(&mut lane), ["4: closed disconnected"]);
    let stats = realtime.stats();
    assert_eq!((stats.taken, stats.released, stats.queued), (4, 2, 0));
    assert_balanced(&realtime);
}

/// C4
#[test]
fn c4_an_end_that_waits_to_be_told_is_not_told_after_the_lane_has_disconnected() {
    for guest in [false, true] {
        let realtime = engine();
        let mut lane = realtime.lane();
        let _old = guest.then(|| connect(&realtime, &tab("i1")));
        let first = join(&mut lane, &tab("i1"), 1);
        assert!(realtime.disconnect("i1"));
        assert!(!lane.disconnect(first), "it has ended");
        assert_eq!(work_off(&mut lane), [""; 0]);
        join(&mut lane, &tab("i1"), 1);
        assert!(realtime.disconnect("i1"));
        assert_eq!(work_off(&mut lane), ["1: closed disconnected"]);
    }
}

/// C4
#[test]
fn c4_after_a_disconnect_elsewhere_only_the_end_is_told() {
    for (from, to) in ALL_MOVES {
        let mut world = World::new();
        world.connect(from, &tab("i1"), 1);
        let token = 1 + u64::from(world.connect(to, &tab("i1"), 2));
        world.heard();
        subscribe(&world.realtime, &Identity::instance("i1"), &room(), "page");
        broadcast(&world.realtime, &room(), 1);
        assert!(world.realtime.disconnect("i1") && !world.realtime.disconnect("i1"));
        assert_eq!(broadcast(&world.realtime, &room(), 2), (0, 0));
        world.expect([(token, &["closed disconnected"])]);
        assert_eq!(world.realtime.stats().released, 1);
    }
}

/// C4: a connection that took another's place is ended by its lane too.
#[test]
fn c4_a_guest_that_the_lane_has_disconnected_is_told_nothing_more() {
    for home in [Own, On(0), On(1)] {
        let mut world = World::new();
        world.connect(home, &tab("i1"), 1);
        subscribe(&world.realtime, &Identity::instance("i1"), &room(), "page");
        let guest = join(&mut world.lanes[0], &tab("i1"), 2);
        broadcast(&world.realtime, &room(), 1);
        assert!(world.lanes[0].disconnect(guest) && !world.lanes[0].disconnect(guest));
        assert_eq!(world.realtime.identities_of("i1"), None);
        assert_eq!(broadcast(&world.realtime, &room(), 2), (0, 0));
        world.expect([(1, &["closed superseded"])]);
        assert_eq!(world.realtime.stats().released, 1);
    }
}

/// C4: dropping a lane ends its connections, and no others.
#[test]
fn c4_dropping_a_lane_ends_its_connections_but_not_those_that_were_taken_over() {
    let mut world = World::new();
    let names = ["stays", "to own", "to lane", "guest", "elsewhere"];
    for (token, name) in names.into_iter().enumerate() {
        let place = if name == "guest" || name == "elsewhere" { On(1) } else { On(0) };
        world.connect(place, &tab_of(name, 7), token as u64);
    }
    subscribe(&world.realtime, &Identity::user(7), &room(), "page");
    world.heard();
    broadcast(&world.realtime, &room(), 1);
    for (token, name, place) in [(11, "to own", Own), (12, "to lane", On(1)), (13, "guest", On(0))] {
        assert!(world.connect(place, &tab_of(name, 7), token));
    }
    broadcast(&world.realtime, &room(), 2);
    world.lanes[0] = world.realtime.lane();
    assert_eq!(broadcast(&world.realtime, &room(), 3), (3, 0));
    subscribe(&world.realtime, &Identity::instance("to own"), &lobby(), "page");
    let pages = [1, 2, 3].map(|n| format!("{{:room, 42}} add {n} for page"));
    let [first, second, third] = pages.each_ref().map(String::as_str);
    world.expect([
        (3, &["closed superseded"]),
        (4, &[first, second, third]),
        (11, &[first, second, third, "subscribed :lobby page by 7"]),
        (12, &[first, second, third]),
    ]);
    let live: Vec<_> = world.realtime.connections_of(&Identity::user(7));
    let live: Vec<&str> = live.iter().map(|client| client.instance().as_str()).collect();
    assert_eq!(live, ["elsewhere", "to lane", "to own"]);
    // Nothing is left of the lane when the last of those who were at home on it have ended.
    world.lanes.clear();
    world.owns.clear();
    let stats = world.realtime.stats();
    assert_eq!((stats.connections, stats.bindings, stats.queued, stats.channels), (0, 0, 0, 0));
    assert_balanced(&world.realtime);
}

/// C5
#[test]
fn c5_a_logout_withholds_what_waits_in_the_lane_and_leaves_what_nobody_authorized() {
    for (from, to) in [(On(0), None), (On(0), Some(On(0))), (On(0), Some(Own)), (Own, Some(On(0)))] {
        let mut world = World::new();
        let me = Identity::instance("i1");
        world.connect(from, &tab("i1"), 1);
        subscribe(&world.realtime, &me, &lobby(), "anonymous");
        world.realtime.identify(&tab_of("i1", 7)).expect("names are short");
        let token = 1 + u64::from(to.is_some_and(|to| world.connect(to, &tab_of("i1", 7), 2)));
        world.heard();
        subscribe(&world.realtime, &me, &lobby(), "seven");
        subscribe(&world.realtime, &me, &room(), "page");
        broadcast(&world.realtime, &lobby(), 1);
        broadcast(&world.realtime, &room(), 2);
        assert_eq!(world.realtime.identify(&tab("i1")), Ok(true));
        assert_eq!(broadcast(&world.realtime, &room(), 3), (0, 0));
        broadcast(&world.realtime, &lobby(), 4);
        let expected = [
            ":lobby add 1 for anonymous",
            "unsubscribed :lobby seven, {:room, 42} page",
            ":lobby add 4 for anonymous",
        ];
        world.expect([(token, &expected)]);
        assert_eq!(world.realtime.stats().withheld, 1, "{from:?} {to:?}");
        assert_eq!(bound(&world.realtime, "i1"), [":lobby anonymous"]);
    }
}

/// C5
#[test]
fn c5_a_logout_withholds_what_is_left_of_a_batch_half_worked_off() {
    let realtime = engine();
    let (mut lane, _) = crowd(&realtime, 5);
    realtime.identify(&tab("i004")).expect("names are short");
    subscribe(&realtime, &Identity::instance("i004"), &room(), "anonymous");
    realtime.identify(&tab_of("i004", 8)).expect("names are short");
    subscribe(&realtime, &Identity::instance("i004"), &room(), "eight");
    work_off(&mut lane);
    broadcast(&realtime, &room(), 1);
    let mut batch = next_batch(&mut lane);
    assert_eq!(batch.receivers().next().map(|(token, _)| token), Some(0));
    // One for good, one back again: what counts is the change.
    realtime.identify(&tab("i001")).expect("names are short");
    realtime.identify(&tab("i003")).expect("names are short");
    realtime.identify(&tab_of("i003", 7)).expect("names are short");
    realtime.identify(&tab("i004")).expect("names are short");
    let left = ["2: {:room, 42} add 1 for page", "4: {:room, 42} add 1 for anonymous"];
    assert_eq!(rest(&mut batch), left);
    let stats = realtime.stats();
    assert_eq!((stats.taken, stats.withheld, stats.queued, stats.released), (3, 2, 0, 0));
    assert_balanced(&realtime);
}

/// C6
#[test]
fn c6_a_change_of_session_withholds_nothing_on_a_lane() {
    let realtime = engine();
    let mut lane = realtime.lane();
    join(&mut lane, &tab_of("i1", 7).with_session("s1"), 1);
    subscribe(&realtime, &Identity::session("s1"), &room(), "page");
    broadcast(&realtime, &room(), 1);
    assert_eq!(realtime.identify(&tab_of("i1", 7).with_session("s2")), Ok(true));
    assert_eq!(subscribe(&realtime, &Identity::session("s1"), &lobby(), "page"), 0);
    let expected = ["1: subscribed {:room, 42} page by 7", "1: {:room, 42} add 1 for page"];
    assert_eq!(work_off(&mut lane), expected);
    assert_balanced(&realtime);
}

/// C4 and B5: an end that a lane tells names its reason.
#[test]
fn c4_the_reason_of_an_end_is_told_on_a_lane() {
    let realtime = engine();
    let mut lane = realtime.lane();
    join(&mut lane, &tab("i1"), 1);
    join(&mut lane, &tab("i2"), 2);
    realtime.disconnect("i1");
    let _new = connect(&realtime, &tab("i2"));
    let ends: Vec<_> = std::iter::from_fn(|| lane.try_recv()).collect();
    assert!(matches!(
        ends[..],
        [
            LaneEvent::One(1, Event::Closed(CloseReason::Disconnected)),
            LaneEvent::One(2, Event::Closed(CloseReason::Superseded))
        ]
    ));
}

/// C4: a key that went through another language as a number ends the connection that it was given for, and no other.
#[test]
fn c4_a_key_that_was_a_number_meanwhile_is_the_same() {
    let realtime = engine();
    let mut lane = realtime.lane();
    let own: Vec<_> = (0..3).map(|n| connect(&realtime, &tab(&format!("g{n}")))).collect();
    let mut keys: Vec<LaneKey> = (0..3).map(|n| join(&mut lane, &tab(&format!("i{n}")), n)).collect();
    keys.extend((0..3).map(|n| join(&mut lane, &tab(&format!("g{n}")), 3 + n)));
    // Slots are used again: later tenancies, so later numbers.
    for (n, key) in keys.iter_mut().enumerate().take(3) {
        assert!(lane.disconnect(*key));
        *key = join(&mut lane, &tab(&format!("i{n}")), 6 + n as u64);
    }
    let numbers: BTreeSet<u64> = keys.iter().map(|key| key.as_u64()).collect();
    assert_eq!(numbers.len(), keys.len());
    for key in keys {
        assert_eq!(LaneKey::from_u64(key.as_u64()), key);
        let connections = realtime.stats().connections;
        assert!(lane.disconnect(LaneKey::from_u64(key.as_u64())) && !lane.disconnect(key));
        assert_eq!(realtime.stats().connections, connections - 1);
    }
    drop(own);
}
