//! Sections 4 and 6 of the rules on lanes: subscriptions and broadcasts.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use holocast::{Cids, Identity, LaneEvent, Realtime, channel};

use super::{On, Own, Place, World, crowd, join, lines, next_batch, work_off};
use crate::support::{assert_balanced, bound, broadcast, engine, key, lobby, room, subscribe, tab, tab_of};

const PATIENCE: Duration = Duration::from_secs(20);

/// S1 to S4
#[test]
fn s1_s2_s3_s4_a_users_tabs_are_bound_and_unbound_together_wherever_they_live() {
    let mut world = World::new();
    let user = Identity::user(7);
    // At home on each of both lanes, with a queue of its own, and a guest of the second lane.
    for (token, place) in [(1, On(0)), (2, On(1)), (3, Own), (9, On(0))] {
        world.connect(place, &tab_of(&format!("i{token}"), 7), token);
    }
    world.connect(On(1), &tab_of("i9", 7), 4);
    world.connect(On(0), &tab_of("other", 8), 8);
    world.heard();

    assert_eq!(subscribe(&world.realtime, &user, &room(), "page"), 4);
    assert_eq!(subscribe(&world.realtime, &user, &room(), "page"), 4, "bound already, told again");
    assert_eq!(broadcast(&world.realtime, &room(), 1), (4, 0));
    let twice = ["subscribed {:room, 42} page by 7"; 2];
    let told: &[&str] = &[twice[0], twice[1], "{:room, 42} add 1 for page"];
    world.expect([(1, told), (2, told), (3, told), (4, told)]);

    assert_eq!(world.realtime.unsubscribe(&user, &room(), "page"), Ok(4));
    assert_eq!(broadcast(&world.realtime, &room(), 2), (0, 0));
    assert_eq!(world.realtime.unsubscribe(&user, &lobby(), "page"), Ok(4), "bound or not");
    let told: &[&str] = &["unsubscribed {:room, 42} page", "unsubscribed :lobby page"];
    world.expect([(1, told), (2, told), (3, told), (4, told)]);
    assert_eq!(world.realtime.stats().revocations, 2);

    // A new grant removes the revocation.
    for (cid, identity) in [("page", &user), ("layout", &Identity::instance("i2"))] {
        subscribe(&world.realtime, identity, &room(), cid);
    }
    assert_eq!(world.realtime.stats().revocations, 1);
    world.heard();
    assert_eq!(world.realtime.unsubscribe_all(&user, &room()), Ok(4));
    assert_eq!(world.realtime.unsubscribe_all(&user, &room()), Ok(0));
    let told: &[&str] = &["unsubscribed {:room, 42} page"];
    let both: &[&str] = &["unsubscribed {:room, 42} layout, {:room, 42} page"];
    world.expect([(1, told), (2, both), (3, told), (4, told)]);
    assert_eq!(world.realtime.stats().bindings, 0);
}

/// B1
#[test]
fn b1_a_batch_lists_the_cids_in_order_once_each_as_of_one_instant() {
    let realtime = engine();
    let mut lane = realtime.lane();
    for n in 1..=3 {
        join(&mut lane, &tab_of(&format!("i{n}"), 7), n);
    }
    for cid in ["page", "layout", "page", "x"] {
        subscribe(&realtime, &Identity::instance("i1"), &room(), cid);
    }
    subscribe(&realtime, &Identity::instance("i2"), &room(), "page");
    work_off(&mut lane);
    assert_eq!(broadcast(&realtime, &room(), 1), (2, 0));
    assert_eq!((lane.queued(), broadcast(&realtime, &lobby(), 2)), (1, (0, 0)), "one entry for all");
    // All after the broadcast, before it is taken.
    subscribe(&realtime, &Identity::user(7), &room(), "late");
    realtime.unsubscribe(&Identity::instance("i1"), &room(), "layout").expect("names are short");
    let mut batch = next_batch(&mut lane);
    assert_eq!((batch.channel(), batch.action(), *batch.params(), batch.len()), (&room(), "add", 1, 2));
    let cids: Vec<(u64, Vec<String>)> = batch
        .receivers()
        .map(|(token, cids): (u64, Cids<'_>)| (token, cids.map(ToString::to_string).collect()))
        .collect();
    let expected = [(1, vec!["layout", "page", "x"]), (2, vec!["page"])];
    let expected = expected.map(|(token, cids)| (token, cids.into_iter().map(str::to_string).collect()));
    assert_eq!(cids, expected);
    drop(batch);
    work_off(&mut lane);
    assert_balanced(&realtime);
}

/// B1: one batch for each lane, one delivery for each of the others.
#[test]
fn b1_each_lane_gets_one_batch_and_every_member_is_in_one_place() {
    let mut world = World::new();
    for n in 0..9 {
        let place = [On(0), On(1), Own][n % 3];
        world.connect(place, &tab_of(&format!("i{n}"), 7), n as u64);
    }
    subscribe(&world.realtime, &Identity::user(7), &room(), "page");
    world.heard();
    assert_eq!(broadcast(&world.realtime, &room(), 1), (9, 0));
    for (lane, tokens) in [(0, [0, 3, 6]), (1, [1, 4, 7])] {
        assert_eq!(world.lanes[lane].queued(), 1);
        let mut batch = next_batch(&mut world.lanes[lane]);
        assert_eq!(batch.receivers().map(|(token, _)| token).collect::<Vec<_>>(), tokens);
    }
    let told: &[&str] = &["{:room, 42} add 1 for page"];
    world.expect([(2, told), (5, told), (8, told)]);
}

/// B1: whoever stops in the middle goes on there.
#[test]
fn b1_another_call_of_receivers_goes_on_where_the_last_one_stopped() {
    const MEMBERS: u64 = 200;
    let realtime = engine();
    let (mut lane, keys) = crowd(&realtime, MEMBERS);
    // Leaves hold 64: before, at and behind their edges, and not at all.
    for step in [1, 2, 63, 64, 65, 128, 199, 200, 201] {
        let excluded = [63, 64, 130].map(|n: u64| Identity::instance(format!("i{n:03}")));
        realtime.broadcast_action_except(&excluded, &room(), "add", 1).expect("names are short");
        let mut batch = next_batch(&mut lane);
        let (mut tokens, mut left) = (Vec::new(), MEMBERS as usize - 3);
        while !batch.is_empty() {
            assert_eq!(batch.receivers().take(0).count(), 0);
            tokens.extend(batch.receivers().take(step).map(|(token, _)| token));
            left = left.saturating_sub(step);
            assert_eq!(batch.len(), left);
            assert_eq!(batch.receivers().size_hint(), (0, Some(left)));
        }
        let due: Vec<u64> = (0..MEMBERS).filter(|n| ![63, 64, 130].contains(n)).collect();
        assert_eq!(tokens, due, "by {step}");
        assert!(batch.receivers().next().is_none());
    }
    // Also when those around the stop have ended.
    broadcast(&realtime, &room(), 2);
    let mut batch = next_batch(&mut lane);
    assert_eq!(batch.receivers().take(64).count(), 64);
    for n in [63, 64, 65, 127, 128, 199] {
        lane.disconnect(keys[n]);
    }
    let tokens: Vec<u64> = batch.receivers().map(|(token, _)| token).collect();
    assert_eq!(tokens, (66..199).filter(|n| ![127, 128].contains(n)).collect::<Vec<u64>>());
    drop(batch);
    assert_balanced(&realtime);
}

/// B2
#[test]
fn b2_whoever_is_excluded_among_many_on_lanes_is_left_out_and_nobody_else() {
    type Exclusion<'a> = (Vec<Identity>, &'a dyn Fn(usize) -> bool);
    const MEMBERS: usize = 200;
    let mut world = World::new();
    let name = |n: usize| format!("i{n:03}");
    for n in 0..MEMBERS + 5 {
        let place = if n < 150 { On(0) } else { [On(1), Own][n % 2] };
        let client = tab(&name(n)).with_user((n / 40) as i64).with_session((n % 7) as i64);
        world.connect(place, &client, n as u64);
    }
    for n in (0..MEMBERS).filter(|n| n % 50 != 7) {
        subscribe(&world.realtime, &Identity::instance(name(n)), &room(), "page");
    }
    world.heard();
    let by_name = |of: Vec<usize>| of.into_iter().rev().map(|n| Identity::instance(name(n))).collect();
    let exclusions: [Exclusion<'_>; 8] = [
        (by_name(vec![0]), &|n| n == 0),
        (by_name(vec![62, 63, 64, 65, 126, 127, 128, 129]), &|n| {
            (62..66).contains(&n) || (126..130).contains(&n)
        }),
        (by_name(vec![57, 107, 149, 150, 199, 202]), &|n| [149, 150, 199].contains(&n)),
        (by_name((60..190).collect()), &|n| (60..190).contains(&n)),
        (by_name((0..MEMBERS).collect()), &|_| true),
        (vec![Identity::user(1), Identity::user("1"), Identity::user(99)], &|n| n / 40 == 1),
        (vec![Identity::session(3), Identity::session("3")], &|n| n % 7 == 3),
        (vec![Identity::user(0), Identity::session(0), Identity::instance(name(64))], &|n| {
            n / 40 == 0 || n % 7 == 0 || n == 64
        }),
    ];
    for (identities, is_excluded) in exclusions {
        let reach = world.realtime.broadcast_action_except(&identities, &room(), "add", 1);
        let heard: Vec<u64> = world.heard().into_keys().collect();
        let due: Vec<u64> =
            (0..MEMBERS).filter(|n| n % 50 != 7 && !is_excluded(*n)).map(|n| n as u64).collect();
        assert_eq!((&heard, reach.expect("names are short").reached), (&due, due.len()));
        assert_balanced(&world.realtime);
    }
}

/// B4
#[test]
fn b4_control_events_and_broadcasts_come_in_the_order_in_which_they_were_sent() {
    let (user, doc) = (Identity::user(7), channel!("doc", "abc"));
    let script = |realtime: &Realtime<u64>, from: u64| {
        subscribe(realtime, &user, &room(), "page");
        broadcast(realtime, &room(), from);
        subscribe(realtime, &user, &doc, "page");
        broadcast(realtime, &doc, from + 1);
        broadcast(realtime, &room(), from + 2);
        realtime.unsubscribe(&user, &room(), "page").expect("names are short");
        broadcast(realtime, &room(), from + 3);
        broadcast(realtime, &doc, from + 4);
    };
    let told = |from: u64| {
        [
            "subscribed {:room, 42} page by 7".to_string(),
            format!("{{:room, 42}} add {from} for page"),
            r#"subscribed {:doc, "abc"} page by 7"#.to_string(),
            format!(r#"{{:doc, "abc"}} add {} for page"#, from + 1),
            format!("{{:room, 42}} add {} for page", from + 2),
            "unsubscribed {:room, 42} page".to_string(),
            format!(r#"{{:doc, "abc"}} add {} for page"#, from + 4),
        ]
    };
    let mut world = World::new();
    world.connect(On(0), &tab_of("i1", 7), 1);
    world.connect(On(0), &tab_of("i2", 7), 2);
    script(&world.realtime, 10);
    let heard = world.heard();
    assert_eq!((&heard[&1][..], &heard[&2][..]), (&told(10)[..], &told(10)[..]));

    // Across takeovers: what was queued before, between and after.
    for (token, place) in [(11, On(1)), (12, Own), (13, On(0))] {
        script(&world.realtime, 20);
        assert!(world.connect(place, &tab_of("i1", 7), token));
        script(&world.realtime, 30);
        let heard = world.heard();
        assert_eq!(heard[&token], [told(20), told(30)].concat());
        assert_eq!(heard[&2], [told(20), told(30)].concat());
    }
    assert_balanced(&world.realtime);
}

/// B4
#[test]
fn b4_every_member_of_a_lane_gets_each_publishers_broadcasts_in_order() {
    const MESSAGES: u64 = 3_000;
    let realtime: Realtime<u64> =
        Realtime::builder().lane_capacity(32_767).build().expect("the settings are valid");
    let (mut lane, _) = crowd(&realtime, 3);
    subscribe(&realtime, &Identity::user(7), &lobby(), "page");
    work_off(&mut lane);
    let publishers: Vec<_> = (0..2)
        .map(|publisher| {
            let realtime = realtime.clone();
            thread::spawn(move || {
                for n in 0..MESSAGES {
                    broadcast(&realtime, &[room(), lobby()][(n % 2) as usize], publisher * MESSAGES + n);
                }
            })
        })
        .collect();
    let mut next = [[0, MESSAGES]; 3];
    while next != [[MESSAGES, 2 * MESSAGES]; 3] {
        let event = lane.blocking_recv_timeout(PATIENCE).expect("more is to come");
        let LaneEvent::Broadcast(mut batch) = event else { panic!("{event:?}") };
        let params = *batch.params();
        for (token, _) in batch.receivers() {
            let due = &mut next[token as usize][usize::from(params >= MESSAGES)];
            assert_eq!(params, *due, "of token {token}");
            *due += 1;
        }
    }
    publishers.into_iter().for_each(|publisher| publisher.join().expect("no panic"));
    assert_balanced(&realtime);
}

/// B5
#[test]
fn b5_what_a_dropped_batch_had_left_counts_as_released() {
    let realtime = engine();
    let (mut lane, _) = crowd(&realtime, 10);
    broadcast(&realtime, &room(), 1);
    let counts = |realtime: &Realtime<u64>| {
        assert_balanced(realtime);
        let stats = realtime.stats();
        [stats.accepted, stats.taken, stats.queued, stats.released, stats.withheld]
    };
    assert_eq!(counts(&realtime), [10, 0, 10, 0, 0]);
    let mut batch = next_batch(&mut lane);
    assert_eq!(counts(&realtime), [10, 0, 10, 0, 0]);
    assert_eq!(batch.receivers().take(4).count(), 4);
    assert_eq!(counts(&realtime), [10, 4, 6, 0, 0]);
    drop(batch);
    assert_eq!(counts(&realtime), [10, 4, 0, 6, 0]);

    // One that outlives its lane, and one that waits in it.
    broadcast(&realtime, &room(), 2);
    broadcast(&realtime, &room(), 3);
    let mut batch = next_batch(&mut lane);
    assert_eq!(batch.receivers().take(4).count(), 4);
    drop(lane);
    assert_eq!(counts(&realtime)[1], 8);
    assert_eq!(batch.receivers().count(), 0, "they have ended");
    drop(batch);
    assert_eq!(counts(&realtime), [30, 8, 0, 22, 0]);
}

/// B6
#[test]
fn b6_after_a_binding_was_dropped_no_later_broadcast_reaches_it_on_a_lane() {
    for place in [On(0), On(1)] {
        let mut world = World::new();
        // At home on the first lane; a guest if it is served by the second.
        world.connect(On(0), &tab_of("i1", 7), 1);
        let token = 1 + u64::from(place == On(1) && world.connect(place, &tab_of("i1", 7), 2));
        world.heard();
        let realtime = world.realtime.clone();
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
            world.heard();
            assert_eq!(hot.broadcast_action("add", 1).expect("the action is short").reached, 1);
            world.expect([(token, &["{:room, 42} add 1 for page"])]);
            drop_binding();
            assert_eq!(broadcast(&realtime, &room(), 2), (0, 0), "{name}");
            assert_eq!(hot.broadcast_action("add", 3).expect("the action is short").reached, 0, "{name}");
            let after = world.heard();
            assert!(after.values().flatten().all(|line| !line.contains(" add ")), "{name}: {after:?}");
        }
    }
}

/// What an observer may ask does not depend on where connections live.
#[test]
fn c1_s1_answers_and_counts_are_the_same_wherever_connections_live() {
    let answers = |places: [Place; 4]| {
        let mut world = World::new();
        for (n, place) in places.into_iter().enumerate() {
            let client = tab_of(&format!("i{n}"), (n % 2) as i64).with_session("s1");
            world.connect(place, &client, n as u64);
        }
        // One that was taken over.
        world.connect(places[0], &tab_of("i3", 1).with_session("s1"), 9);
        subscribe(&world.realtime, &Identity::session("s1"), &room(), "page");
        subscribe(&world.realtime, &Identity::user(1), &room(), "layout");
        subscribe(&world.realtime, &Identity::user(1), &lobby(), "page");
        world.realtime.unsubscribe(&Identity::instance("i0"), &lobby(), "x").expect("names are short");
        broadcast(&world.realtime, &room(), 1);
        world.heard();
        let realtime = &world.realtime;
        let stats = realtime.stats();
        (
            (0..4).map(|n| bound(realtime, &format!("i{n}"))).collect::<Vec<_>>(),
            [room(), lobby()].map(|channel| realtime.members_of(&channel)),
            realtime.connections_of(&Identity::session("s1")),
            [stats.connections, stats.channels, stats.members, stats.bindings, stats.revocations],
            [stats.broadcasts, stats.accepted, stats.taken, stats.queued, stats.released, stats.refused],
        )
    };
    let own = answers([Own; 4]);
    assert_eq!(own.3, [4, 2, 6, 8, 1]);
    for places in [[On(0); 4], [On(0), On(1), On(0), On(1)], [Own, On(0), On(1), On(0)]] {
        assert_eq!(answers(places), own);
    }
}

/// B1, B2, B5 and C4 among many.
#[test]
fn b1_b5_a_thousand_members_over_two_lanes_and_queues_of_their_own() {
    const TABS: u64 = 1_000;
    let mut world = World::new();
    let name = |n: u64| format!("i{n:04}");
    let place = |n: u64| [On(0), On(1), Own, On(0), On(1)][(n % 5) as usize];
    for n in 0..TABS {
        world.connect(place(n), &tab_of(&name(n), (n % 10) as i64), n);
    }
    (0..10)
        .for_each(|user| assert_eq!(subscribe(&world.realtime, &Identity::user(user), &room(), "page"), 100));
    world.heard();
    let mut live: BTreeSet<u64> = (0..TABS).collect();
    assert_eq!(broadcast(&world.realtime, &room(), 1), (1_000, 0));
    assert_eq!(world.heard().into_keys().collect::<BTreeSet<_>>(), live);

    // A tenth moves, each with the token that follows; a tenth ends; a tenth is bound no more; two users are excluded.
    for n in (0..TABS).filter(|n| n % 10 == 3) {
        assert!(world.connect(place(n / 10), &tab_of(&name(n), 3), TABS + n));
        live.remove(&n);
        live.insert(TABS + n);
    }
    for n in (0..TABS).filter(|n| n % 10 == 4) {
        assert!(world.realtime.disconnect(&name(n)));
        live.remove(&n);
    }
    assert_eq!(world.realtime.unsubscribe_all(&Identity::user(5), &room()), Ok(100));
    let closed =
        |told: &[String]| told.iter().all(|line| line.starts_with("closed ") || line.starts_with("uns"));
    let heard = world.heard();
    assert!(heard.len() == 300 && heard.values().all(|told| told.len() == 1 && closed(told)));
    live.retain(|n| n % 10 != 5);
    for round in 0..3 {
        let excluded = [Identity::user(round), Identity::user(3 * round)];
        let reach = world.realtime.broadcast_action_except(&excluded, &room(), "add", 2 + round as u64);
        let due: BTreeSet<u64> = live
            .iter()
            .copied()
            .filter(|n| (n % 10) as i64 != round && (n % 10) as i64 != 3 * round)
            .collect();
        let heard = world.heard();
        assert!(heard.values().all(|told| told.len() == 1));
        assert_eq!(heard.into_keys().collect::<BTreeSet<_>>(), due);
        assert_eq!(reach.expect("names are short").reached, due.len());
    }
    assert_eq!(world.realtime.stats().connections, 900);
    assert_balanced(&world.realtime);
    world.lanes.clear();
    world.owns.clear();
    let stats = world.realtime.stats();
    assert_eq!((stats.connections, stats.bindings, stats.queued), (0, 0, 0));
    assert_balanced(&world.realtime);
}

/// B4: connections that live on the lane and those that it took over have their turns, however much either has waiting.
#[test]
fn b4_neither_a_lanes_own_nor_its_guests_starve_the_others() {
    let mut world = World::new();
    world.connect(Own, &tab("guest"), 0);
    join(&mut world.lanes[0], &tab("guest"), 1);
    join(&mut world.lanes[0], &tab("direct"), 2);
    for (name, channel) in [("guest", room()), ("direct", lobby())] {
        subscribe(&world.realtime, &Identity::instance(name), &channel, "page");
    }
    work_off(&mut world.lanes[0]);
    for n in 0..10 {
        broadcast(&world.realtime, &room(), n);
        broadcast(&world.realtime, &lobby(), n);
    }
    let first: Vec<String> = (0..6).flat_map(|_| world.lanes[0].try_recv()).flat_map(lines).collect();
    let of_guest = first.iter().filter(|line| line.starts_with("1: ")).count();
    assert!((2..=4).contains(&of_guest), "{first:?}");
}

/// B1: of a lane with many connections each gets its own, wherever in the engine's tables it stands.
#[test]
fn b1_members_far_apart_are_told_apart() {
    const APART: u64 = 512;
    let realtime = engine();
    let mut lane = realtime.lane();
    for n in 0..=2 * APART {
        join(&mut lane, &tab(&format!("i{n}")), n);
    }
    for n in [0, APART, 2 * APART] {
        subscribe(&realtime, &Identity::instance(format!("i{n}")), &room(), "page");
    }
    work_off(&mut lane);
    broadcast(&realtime, &room(), 1);
    let mut batch = next_batch(&mut lane);
    let tokens: Vec<u64> = batch.receivers().map(|(token, _)| token).collect();
    assert_eq!(tokens, [0, APART, 2 * APART]);
}
