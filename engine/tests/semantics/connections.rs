//! Section 3 of the rules: connections.

use holocast::{Client, Identity, TryRecvError};

use crate::support::{
    assert_balanced, bound, broadcast, connect, engine, key, lobby, receipts, room, seen, shown, subscribe,
    tab, tab_of,
};

/// C1
#[test]
fn c1_connect_makes_a_live_connection_with_no_bindings() {
    let realtime = engine();
    let client = Client::new("i1").with_session("s1").with_user(7);
    let connected = realtime.connect(&client).expect("names are short");
    assert!(connected.receipts.is_empty() && !connected.superseded);
    assert_eq!(connected.connection.instance().as_str(), "i1");
    assert_eq!(realtime.identities_of("i1"), Some(client));
    assert!(realtime.bindings_of("i1").is_empty());
    let _bare = connect(&realtime, &tab("i2"));
    assert_eq!(realtime.identities_of("i2"), Some(Client::new("i2")));
    assert_eq!(realtime.stats().connections, 2);
}

/// C2
#[test]
fn c2_a_reconnect_restores_exactly_the_bindings_with_valid_receipts_and_refreshes_them() {
    let realtime = engine();
    let mut anonymous = connect(&realtime, &tab("i1").with_session("s1"));
    subscribe(&realtime, &Identity::instance("i1"), &lobby(), "page");
    let mut kept = receipts(&mut anonymous);
    realtime.identify(&tab_of("i1", 7).with_session("s1")).expect("names are short");
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    subscribe(&realtime, &Identity::user(7), &room(), "layout");
    kept.extend(receipts(&mut anonymous));
    drop(anonymous);
    realtime.unsubscribe(&Identity::user(7), &room(), "layout").expect("names are short");

    let back = realtime.reconnect(&tab_of("i1", 7).with_session("s2"), &kept).expect("names are short");
    assert!(!back.superseded);
    assert_eq!(bound(&realtime, "i1"), [":lobby page", "{:room, 42} page by 7"]);
    assert_eq!(shown(&back.receipts), [":lobby page", "{:room, 42} page by 7"]);
    for fresh in &back.receipts {
        let old = kept.iter().find(|old| (old.channel(), old.cid()) == (fresh.channel(), fresh.cid()));
        assert!(fresh.stamp() > old.expect("it was presented").stamp(), "a fresh receipt is newer");
        assert_eq!(fresh.session(), Some(&"s2".into()));
    }
}

/// C3
#[test]
fn c3_the_newest_connection_supersedes_and_inherits_bindings_and_what_was_queued() {
    let realtime = engine();
    let mut old = connect(&realtime, &tab_of("i1", 7));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    let presented = receipts(&mut old);
    subscribe(&realtime, &Identity::instance("i1"), &lobby(), "page");
    receipts(&mut old);
    realtime.unsubscribe(&Identity::instance("i1"), &room(), "page").expect("names are short");
    seen(&mut old);
    broadcast(&realtime, &lobby(), 1);
    broadcast(&realtime, &lobby(), 2);
    broadcast(&realtime, &lobby(), 3);
    assert_eq!(
        old.try_recv().map(|event| crate::support::line(&event)),
        Ok(":lobby add 1 for page".to_string())
    );

    let mut new = realtime.reconnect(&tab_of("i1", 7), &presented).expect("names are short");
    assert!(new.superseded);
    assert_eq!(shown(&new.receipts), [":lobby page by 7"], "receipts presented are ignored");
    assert_eq!(bound(&realtime, "i1"), [":lobby page by 7"]);
    broadcast(&realtime, &lobby(), 4);
    assert_eq!(seen(&mut old), ["closed superseded"]);
    assert_eq!(old.try_recv().err(), Some(TryRecvError::Closed));
    let expected = [":lobby add 2 for page", ":lobby add 3 for page", ":lobby add 4 for page"];
    assert_eq!(seen(&mut new.connection), expected);
    drop(old);
    assert_eq!(broadcast(&realtime, &lobby(), 5), (1, 0), "dropping the superseded receiver ends nothing");
    assert_balanced(&realtime);
}

/// C3, **stricter**
#[test]
fn c3_a_supersede_by_another_user_drops_what_the_old_user_authorized() {
    let realtime = engine();
    let mut old = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &lobby(), "page");
    realtime.identify(&tab_of("i1", 7)).expect("names are short");
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    subscribe(&realtime, &Identity::user(7), &lobby(), "layout");
    seen(&mut old);
    broadcast(&realtime, &room(), 1);
    broadcast(&realtime, &lobby(), 2);

    let mut new = realtime.connect(&tab_of("i1", 8)).expect("names are short");
    assert!(new.superseded);
    assert_eq!(shown(&new.receipts), [":lobby page"]);
    assert_eq!(bound(&realtime, "i1"), [":lobby page"]);
    let expected = [":lobby add 2 for page", "unsubscribed :lobby layout, {:room, 42} page"];
    assert_eq!(seen(&mut new.connection), expected, "what user 7 was granted is withheld");
    assert_eq!(realtime.stats().withheld, 1);
    assert_balanced(&realtime);
}

/// C4
#[test]
fn c4_a_disconnect_or_a_dropped_receiver_leaves_nothing_but_revocations() {
    let realtime = engine();
    for hangup in [false, true] {
        let client = Client::new("i1").with_session("s1").with_user(7);
        let mut one = connect(&realtime, &client);
        subscribe(&realtime, &Identity::user(7), &room(), "page");
        realtime.unsubscribe(&Identity::user(7), &lobby(), "page").expect("names are short");
        seen(&mut one);
        assert_eq!(broadcast(&realtime, &room(), 1), (1, 0));
        let released = realtime.stats().released;
        if hangup {
            drop(one);
        } else {
            assert!(realtime.disconnect("i1"));
            assert_eq!(seen(&mut one), ["closed disconnected"], "what was queued is released");
        }
        assert!(!realtime.disconnect("i1"));
        assert_eq!(broadcast(&realtime, &room(), 2), (0, 0));
        assert_eq!(realtime.identities_of("i1"), None);
        assert!(realtime.connections_of(&Identity::user(7)).is_empty());
        assert!(realtime.connections_of(&Identity::session("s1")).is_empty());
        assert!(realtime.members_of(&room()).is_empty() && realtime.bindings_of("i1").is_empty());
        let stats = realtime.stats();
        assert_eq!((stats.connections, stats.bindings, stats.queued), (0, 0, 0));
        assert_eq!((stats.revocations, stats.channels), (1, 1));
        assert_eq!(stats.released, released + 1);
        assert_balanced(&realtime);
    }
}

/// C5
#[test]
fn c5_a_change_of_user_drops_and_withholds_what_another_user_authorized() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab("i1"));
    let me = Identity::instance("i1");
    subscribe(&realtime, &me, &lobby(), "anonymous");
    realtime.identify(&tab_of("i1", 7)).expect("names are short");
    assert_eq!(bound(&realtime, "i1"), [":lobby anonymous"], "what nobody authorized stays");
    subscribe(&realtime, &me, &lobby(), "seven");
    subscribe(&realtime, &me, &room(), "page");
    subscribe(&realtime, &me, &room(), "layout");
    seen(&mut one);
    broadcast(&realtime, &lobby(), 1);
    broadcast(&realtime, &room(), 2);

    assert_eq!(realtime.identify(&tab_of("i1", 8)), Ok(true));
    broadcast(&realtime, &room(), 3);
    broadcast(&realtime, &lobby(), 4);
    let expected = [
        ":lobby add 1 for anonymous",
        "unsubscribed :lobby seven, {:room, 42} layout, {:room, 42} page",
        ":lobby add 4 for anonymous",
    ];
    assert_eq!(seen(&mut one), expected);
    assert_eq!(
        (realtime.stats().withheld, bound(&realtime, "i1")),
        (1, vec![":lobby anonymous".to_string()])
    );
    realtime.identify(&tab_of("i1", 9)).expect("names are short");
    assert_eq!(seen(&mut one), [""; 0], "nothing dropped, nothing said");
    assert_eq!(realtime.identify(&tab("i2")), Ok(false), "not live");
    assert_balanced(&realtime);
}

/// C5: a queued `Subscribed` is an event too, and its receipt names the other user.
#[test]
fn c5_a_queued_receipt_of_another_user_is_not_handed_out() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab_of("i1", 7));
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    realtime.identify(&tab_of("i1", 8)).expect("names are short");
    assert_eq!(seen(&mut one), ["unsubscribed {:room, 42} page"]);
}

/// C5: logging out is a change of user too.
#[test]
fn c5_a_logout_drops_what_the_user_authorized() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab_of("i1", 7));
    realtime.apply(&tab_of("i1", 7), &[key(room(), "page")], &[]).expect("names are short");
    broadcast(&realtime, &room(), 1);
    realtime.identify(&tab("i1")).expect("names are short");
    assert_eq!(seen(&mut one), ["unsubscribed {:room, 42} page"]);
    assert!(realtime.bindings_of("i1").is_empty());
}

/// C6
#[test]
fn c6_a_change_of_session_changes_the_address_and_nothing_else() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab_of("i1", 7).with_session("s1"));
    subscribe(&realtime, &Identity::session("s1"), &room(), "page");
    seen(&mut one);
    broadcast(&realtime, &room(), 1);
    assert_eq!(realtime.identify(&tab_of("i1", 7).with_session("s2")), Ok(true));
    broadcast(&realtime, &room(), 2);
    assert_eq!(seen(&mut one), ["{:room, 42} add 1 for page", "{:room, 42} add 2 for page"]);
    assert_eq!(bound(&realtime, "i1"), ["{:room, 42} page by 7"]);
    assert_eq!(subscribe(&realtime, &Identity::session("s1"), &lobby(), "page"), 0);
    assert_eq!(subscribe(&realtime, &Identity::session("s2"), &lobby(), "page"), 1);
}
