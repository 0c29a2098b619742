//! Section 4 of the rules: subscriptions.

use std::sync::Barrier;
use std::thread;

use holocast::{Client, Identity, Overflow, Realtime, channel};

use crate::support::{
    bound, broadcast, connect, engine, key, lobby, receipts, room, seen, shown, subscribe, tab, tab_of,
};

/// S1
#[test]
fn s1_subscribe_binds_every_live_match_and_each_gets_a_receipt_with_its_bindings_authorization() {
    let realtime = engine();
    let mut early = connect(&realtime, &tab("i1").with_session("s1"));
    assert_eq!(subscribe(&realtime, &Identity::session("s1"), &room(), "page"), 1);
    realtime.identify(&tab_of("i1", 7).with_session("s1")).expect("names are short");
    let mut second = connect(&realtime, &tab_of("i2", 8).with_session("s1"));
    let mut other = connect(&realtime, &tab_of("i3", 8).with_session("s2"));
    assert_eq!(subscribe(&realtime, &Identity::session("s1"), &room(), "page"), 2);
    let mut late = connect(&realtime, &tab("i4").with_session("s1"));

    assert_eq!(seen(&mut early), ["subscribed {:room, 42} page", "subscribed {:room, 42} page"]);
    assert_eq!(seen(&mut second), ["subscribed {:room, 42} page by 8"]);
    assert_eq!((seen(&mut other), seen(&mut late)), (vec![], vec![]));
    assert_eq!(bound(&realtime, "i1"), ["{:room, 42} page"], "an existing binding keeps its authorization");
    assert_eq!(broadcast(&realtime, &room(), 1), (2, 0));
}

/// S1: at one instant.
#[test]
fn s1_a_broadcast_sees_a_subscribe_on_all_tabs_or_on_none() {
    const TABS: usize = 40;
    let realtime: Realtime<u64> = Realtime::builder()
        .queue_capacity(1)
        .overflow(Overflow::DropNewest)
        .build()
        .expect("the settings are valid");
    let tabs: Vec<_> = (0..TABS).map(|n| connect(&realtime, &tab_of(&format!("i{n}"), 7))).collect();
    let halves = thread::scope(|scope| {
        let toggler = scope.spawn(|| {
            for _ in 0..300 {
                subscribe(&realtime, &Identity::user(7), &room(), "page");
                realtime.unsubscribe(&Identity::user(7), &room(), "page").expect("names are short");
                subscribe(&realtime, &Identity::user(7), &room(), "page");
                realtime.unsubscribe_all(&Identity::user(7), &room()).expect("names are short");
            }
        });
        let mut halves = Vec::new();
        while !toggler.is_finished() {
            let (reached, refused) = broadcast(&realtime, &room(), 1);
            if reached + refused != 0 && reached + refused != TABS {
                halves.push(reached + refused);
            }
        }
        halves
    });
    assert_eq!(halves, [0; 0]);
    drop(tabs);
}

/// S2
#[test]
fn s2_subscribe_forgets_the_revocations_of_that_identity_and_no_others() {
    let realtime = engine();
    let (user, session) = (Identity::user(7), Identity::session("s1"));
    let client = tab_of("i1", 7).with_session("s1");
    let mut one = connect(&realtime, &client);
    subscribe(&realtime, &user, &room(), "page");
    subscribe(&realtime, &user, &room(), "layout");
    let kept = receipts(&mut one);
    drop(one);
    realtime.unsubscribe(&user, &room(), "page").expect("names are short");
    realtime.unsubscribe(&user, &room(), "layout").expect("names are short");
    realtime.unsubscribe_all(&user, &room()).expect("names are short");
    realtime.unsubscribe(&session, &room(), "page").expect("names are short");
    assert_eq!(realtime.stats().revocations, 4);
    let restored = |realtime: &Realtime<u64>| {
        let back = realtime.reconnect(&client, &kept).expect("names are short");
        shown(&back.receipts)
    };
    assert_eq!(subscribe(&realtime, &user, &room(), "page"), 0, "nobody matched, and all the same");
    assert_eq!(realtime.stats().revocations, 2, "the user's for page and for the channel are gone");
    assert_eq!(restored(&realtime), [""; 0], "page is revoked by the session, layout by the user");
    subscribe(&realtime, &session, &room(), "page");
    assert_eq!(restored(&realtime), ["{:room, 42} page by 7"]);
    subscribe(&realtime, &user, &room(), "layout");
    assert_eq!(restored(&realtime), ["{:room, 42} layout by 7", "{:room, 42} page by 7"]);
    assert_eq!(realtime.stats().revocations, 0);
}

/// S3
#[test]
fn s3_unsubscribe_drops_the_binding_everywhere_remembers_it_and_tells_every_match() {
    let realtime = engine();
    let mut first = connect(&realtime, &tab_of("i1", 7));
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    subscribe(&realtime, &Identity::user(7), &room(), "layout");
    let mut second = connect(&realtime, &tab_of("i2", 7));
    let mut other = connect(&realtime, &tab_of("i3", 8));
    let kept = receipts(&mut first);
    assert_eq!(realtime.unsubscribe(&Identity::user(7), &room(), "page"), Ok(2));
    assert_eq!(seen(&mut first), ["unsubscribed {:room, 42} page"]);
    assert_eq!(seen(&mut second), ["unsubscribed {:room, 42} page"], "bound or not");
    assert_eq!(seen(&mut other), [""; 0]);
    assert_eq!(bound(&realtime, "i1"), ["{:room, 42} layout by 7"]);
    drop(first);
    let back = realtime.reconnect(&tab_of("i1", 7), &kept).expect("names are short");
    assert_eq!(shown(&back.receipts), ["{:room, 42} layout by 7"]);
}

/// S4
#[test]
fn s4_unsubscribe_all_drops_every_cid_of_the_channel_and_tells_who_lost_something() {
    let realtime = engine();
    let mut first = connect(&realtime, &tab_of("i1", 7));
    for (channel, cid) in [(room(), "page"), (room(), "layout"), (lobby(), "page")] {
        subscribe(&realtime, &Identity::instance("i1"), &channel, cid);
    }
    let mut second = connect(&realtime, &tab_of("i2", 7));
    let kept = receipts(&mut first);
    assert_eq!(realtime.unsubscribe_all(&Identity::user(7), &room()), Ok(1));
    assert_eq!(seen(&mut first), ["unsubscribed {:room, 42} layout, {:room, 42} page"]);
    assert_eq!(seen(&mut second), [""; 0]);
    assert_eq!(bound(&realtime, "i1"), [":lobby page by 7"]);
    drop(first);
    let back = realtime.reconnect(&tab_of("i1", 7), &kept).expect("names are short");
    assert_eq!(shown(&back.receipts), [":lobby page by 7"], "the revocation covers every cid of the channel");
}

/// S5
#[test]
fn s5_of_a_subscribe_and_an_unsubscribe_the_later_wins_for_bindings_and_revocations_alike() {
    const TABS: usize = 8;
    let realtime: Realtime<u64> = Realtime::new();
    let user = Identity::user(7);
    let mut tabs: Vec<_> = (0..TABS).map(|n| connect(&realtime, &tab_of(&format!("i{n}"), 7))).collect();
    let mut outcomes = [0, 0];
    for round in 0..400 {
        let channel = channel!("room", round);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                if round % 2 == 0 {
                    realtime.unsubscribe_all(&user, &channel).expect("names are short");
                } else {
                    realtime.unsubscribe(&user, &channel, "page").expect("names are short");
                }
            });
            start.wait();
            subscribe(&realtime, &user, &channel, "page");
        });
        let members = realtime.members_of(&channel).len();
        let revocations = realtime.stats().revocations - outcomes[0];
        assert!(
            (members, revocations) == (TABS, 0) || (members, revocations) == (0, 1),
            "{members} of {TABS} tabs are bound and there are {revocations} revocations"
        );
        outcomes[0] += revocations;
        outcomes[1] += u64::from(members == TABS);
        tabs.iter_mut().for_each(|tab| drop(seen(tab)));
    }
    assert_eq!(outcomes[0] + outcomes[1], 400);
}

/// S6
#[test]
fn s6_nobody_is_subscribed_to_an_identity_channel_implicitly() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab_of("i1", 7).with_session("s1"));
    let own = [channel!("user", 7), channel!("session", "s1"), channel!("instance", "i1")];
    for channel in &own {
        assert_eq!(broadcast(&realtime, channel, 1), (0, 0), "{channel}");
    }
    subscribe(&realtime, &Identity::user(7), &own[0], "page");
    assert_eq!(broadcast(&realtime, &own[0], 2), (1, 0));
    assert_eq!(seen(&mut one), ["subscribed {:user, 7} page by 7", "{:user, 7} add 2 for page"]);
}

/// S7
#[test]
fn s7_apply_returns_the_real_adds_and_drops_and_sends_no_events() {
    let realtime = engine();
    let client = tab_of("i1", 7);
    let mut one = connect(&realtime, &client);
    let receipt = realtime.put_subscription(&client, &room(), "page").expect("names are short");
    assert_eq!(shown(&receipt.into_iter().collect::<Vec<_>>()), ["{:room, 42} page by 7"]);
    assert_eq!(realtime.put_subscription(&client, &room(), "page"), Ok(None), "what is held changes nothing");
    assert_eq!(realtime.delete_subscription(&client, &lobby(), "page"), Ok(false));
    assert_eq!(realtime.stats().revocations, 0, "only a real drop is remembered");

    let adds = [key(room(), "page"), key(room(), "layout"), key(lobby(), "x")];
    let drops = [key(room(), "page"), key(lobby(), "y")];
    let applied = realtime.apply(&client, &adds, &drops).expect("names are short");
    assert_eq!(shown(&applied.receipts), [":lobby x by 7", "{:room, 42} layout by 7"]);
    assert_eq!(applied.dropped, [key(room(), "page")], "a key in both is dropped");
    assert_eq!(bound(&realtime, "i1"), [":lobby x by 7", "{:room, 42} layout by 7"]);
    assert_eq!((realtime.stats().revocations, seen(&mut one)), (1, vec![]));
    assert_eq!(realtime.delete_subscription(&client, &lobby(), "x"), Ok(true));
}

/// S7
#[test]
fn s7_without_a_live_connection_nothing_is_bound_and_receipts_and_revocations_are_issued_all_the_same() {
    let realtime = engine();
    let client = tab_of("i1", 7).with_session("s1");
    let applied = realtime
        .apply(&client, &[key(room(), "page"), key(room(), "layout")], &[key(lobby(), "page")])
        .expect("names are short");
    assert_eq!(shown(&applied.receipts), ["{:room, 42} layout by 7", "{:room, 42} page by 7"]);
    assert_eq!(applied.dropped, [key(lobby(), "page")]);
    assert!(realtime.bindings_of("i1").is_empty());
    assert_eq!((realtime.stats().bindings, realtime.stats().revocations), (0, 1));
    let gone = realtime.delete_subscription(&client, &room(), "layout").expect("names are short");
    assert!(gone, "the drop is recorded though nothing was bound");
    let back = realtime.reconnect(&client, &applied.receipts).expect("names are short");
    assert_eq!(shown(&back.receipts), ["{:room, 42} page by 7"]);
}

/// S7: the connection's own current user authorizes, whatever the caller says.
#[test]
fn s7_a_live_connections_own_user_authorizes() {
    let realtime = engine();
    let _one = connect(&realtime, &tab_of("i1", 7).with_session("s1"));
    let receipt = realtime.put_subscription(&tab_of("i1", 8), &room(), "page").expect("names are short");
    let receipt = receipt.expect("it was not held");
    assert_eq!((receipt.user(), receipt.session()), (Some(&7.into()), Some(&"s1".into())));
}

/// S8
#[test]
fn s8_transition_replaces_all_bindings_and_returns_what_the_client_lacks_and_what_is_gone() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab("i1"));
    let anonymous = realtime.put_subscription(&tab("i1"), &lobby(), "page").expect("names are short");
    realtime.identify(&tab_of("i1", 7)).expect("names are short");
    let applied = realtime
        .apply(&tab("i1"), &[key(room(), "page"), key(room(), "layout")], &[])
        .expect("names are short");
    let claimed: Vec<_> = applied.receipts.into_iter().chain(anonymous).collect();

    let next = [key(room(), "page"), key(lobby(), "page"), key(channel!("doc", 1), "page")];
    let transition = realtime.transition(&tab("i1"), &next, &claimed).expect("names are short");
    let expected = [":lobby page by 7", "{:doc, 1} page by 7"];
    assert_eq!(shown(&transition.receipts), expected, "not claimed, or claimed under another authorization");
    assert_eq!(transition.gone, [key(room(), "layout")]);
    assert_eq!(bound(&realtime, "i1"), [":lobby page by 7", "{:doc, 1} page by 7", "{:room, 42} page by 7"]);
    assert_eq!(
        (realtime.stats().revocations, seen(&mut one)),
        (0, vec![]),
        "nothing is revoked, nothing is sent"
    );

    let absent = realtime.transition(&tab_of("i2", 8), &next[..1], &[]).expect("names are short");
    assert_eq!(shown(&absent.receipts), ["{:room, 42} page by 8"]);
    assert!(realtime.bindings_of("i2").is_empty(), "with no live connection only receipts are issued");
}

/// S9
#[test]
fn s9_a_handler_does_nothing_before_commit_and_then_subscriptions_first_and_broadcasts_in_order() {
    let realtime = engine();
    let client = tab_of("i1", 7).with_session("s1");
    let mut origin = connect(&realtime, &client);
    let mut other = connect(&realtime, &tab("i2"));
    subscribe(&realtime, &Identity::instance("i2"), &room(), "page");
    seen(&mut other);

    let mut handler = realtime.handler(&client);
    handler.broadcast_action(&room(), "first", 1).expect("names are short");
    handler.put_subscription(&room(), "page").expect("names are short");
    handler.put_subscription(&room(), "layout").expect("names are short");
    let others = [Identity::session("s2")];
    handler.broadcast_action_except(&others, &room(), "second", 2).expect("names are short");
    let own = [Identity::session("s2"), Identity::session("s1")];
    handler.broadcast_action_except(&own, &room(), "third", 3).expect("names are short");
    assert!(
        realtime.bindings_of("i1").is_empty() && seen(&mut other).is_empty(),
        "nothing before the commit"
    );
    let committed = handler.commit().expect("names are short");

    assert_eq!(shown(&committed.receipts), ["{:room, 42} layout by 7", "{:room, 42} page by 7"]);
    let echo = |echo: &holocast::Echo<u64>| format!("{} {} for {}", echo.action(), echo.params(), echo.cid());
    let echoes: Vec<String> = committed.echoes.iter().map(echo).collect();
    assert_eq!(
        echoes,
        ["first 1 for layout", "first 1 for page", "second 2 for layout", "second 2 for page"]
    );
    assert_eq!(seen(&mut origin), [""; 0], "the originator is excluded from its own broadcasts");
    let heard =
        ["{:room, 42} first 1 for page", "{:room, 42} second 2 for page", "{:room, 42} third 3 for page"];
    assert_eq!(seen(&mut other), heard);
}

/// S9
#[test]
fn s9_a_handler_dropped_without_commit_never_happened() {
    let realtime = engine();
    let client = Client::new("i1");
    let _origin = connect(&realtime, &client);
    let mut other = connect(&realtime, &tab("i2"));
    subscribe(&realtime, &Identity::instance("i2"), &room(), "page");
    realtime.put_subscription(&client, &lobby(), "page").expect("names are short");
    seen(&mut other);
    let mut handler = realtime.handler(&client);
    handler.put_subscription(&room(), "page").expect("names are short");
    handler.delete_subscription(&lobby(), "page").expect("names are short");
    handler.broadcast_action(&room(), "add", 1).expect("names are short");
    drop(handler);
    assert_eq!(bound(&realtime, "i1"), [":lobby page"]);
    assert_eq!((seen(&mut other), realtime.stats().revocations), (vec![], 0));
}

/// S9: of a put and a delete of the same binding the later one counts; others are none of its business.
#[test]
fn s9_a_handlers_later_word_on_a_binding_takes_back_the_earlier_one() {
    let realtime = engine();
    let client = tab("i1");
    let _origin = connect(&realtime, &client);
    let held = [key(room(), "a"), key(room(), "b")];
    realtime.apply(&client, &held, &[]).expect("names are short");
    let mut handler = realtime.handler(&client);
    handler.delete_subscription(&room(), "a").expect("names are short");
    handler.delete_subscription(&room(), "b").expect("names are short");
    handler.put_subscription(&room(), "b").expect("names are short");
    handler.put_subscription(&lobby(), "c").expect("names are short");
    handler.put_subscription(&lobby(), "d").expect("names are short");
    handler.delete_subscription(&lobby(), "d").expect("names are short");
    let committed = handler.commit().expect("names are short");
    assert_eq!(committed.dropped, [key(room(), "a")]);
    assert_eq!(bound(&realtime, "i1"), [":lobby c", "{:room, 42} b"]);
}

/// S9: a commit tells how many its broadcasts reached, and how many refused.
#[test]
fn s9_a_commit_adds_up_who_was_reached_and_who_refused() {
    let realtime =
        Realtime::builder().queue_capacity(2).overflow(Overflow::DropNewest).build().expect("valid");
    let (_full, _roomy) = (connect(&realtime, &tab("i1")), connect(&realtime, &tab("i2")));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    subscribe(&realtime, &Identity::instance("i2"), &lobby(), "page");
    (1..=2).for_each(|n| assert_eq!(broadcast(&realtime, &room(), n), (1, 0)));
    let client = tab("i3");
    let mut handler = realtime.handler(&client);
    for channel in [room(), lobby(), room(), lobby()] {
        handler.broadcast_action(&channel, "add", 0).expect("names are short");
    }
    let reach = handler.commit().expect("names are short").reach;
    assert_eq!((reach.reached, reach.refused), (2, 2));
}
