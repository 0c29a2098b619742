//! Section 2 of the rules: values.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holocast::{
    Channel, ChannelError, Client, Element, Error, Event, Identity, Limits, NameError, Realtime, channel,
};

use crate::support::{HOUR_MS, broadcast, connect, engine, key, lobby, room, seen, subscribe, tab, timed};

/// V1
#[test]
fn v1_whatever_is_no_channel_is_an_error_that_names_the_offending_element() {
    assert!(matches!(
        Channel::tagged("room", Vec::<i64>::new()),
        Err(ChannelError::NoElements { tag }) if tag == *"room"
    ));
    for text in [
        "{:room}",
        "{}",
        "{42, 1}",
        "{:room, 1.5}",
        "{:room, {:a, 1}}",
        "42",
        "",
        ":",
        "{:room, 9223372036854775808}",
    ] {
        assert!(text.parse::<Channel>().is_err(), "{text}");
    }
    let error = "{:room, 42, 1.5}".parse::<Channel>().expect_err("a float is no element");
    assert!(matches!(&error, ChannelError::BadElement { index: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("element 2") && error.to_string().contains("1.5"), "{error}");
    let good =
        "{:doc, \"abc\", :v2, -7}".parse::<Channel>().expect("an atom, a string, an atom and an integer");
    assert_eq!(good, channel!("doc", "abc", Element::atom("v2"), -7));
}

/// V1, in JSON
#[cfg(feature = "serde")]
#[test]
fn v1_json_that_is_no_channel_is_an_error_that_names_the_offending_element() {
    for json in [
        "null",
        "7",
        "true",
        "[]",
        "[\"room\"]",
        "[42,1]",
        "[\"room\",1.5]",
        "[\"room\",null]",
        "[\"room\",[1]]",
        "{}",
    ] {
        assert!(serde_json::from_str::<Channel>(json).is_err(), "{json}");
    }
    let error = serde_json::from_str::<Channel>("[\"room\",42,1.5]").expect_err("a float is no element");
    assert!(error.to_string().contains("element 2"), "{error}");
    let good: Channel =
        serde_json::from_str("[\"doc\",\"abc\",{\"atom\":\"v2\"}]").expect("the form of section 8");
    assert_eq!(good, channel!("doc", "abc", Element::atom("v2")));
}

/// V1
#[test]
fn v1_a_refused_call_changes_nothing() {
    let realtime = engine();
    let mut one = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    seen(&mut one);
    let before = (realtime.bindings_of("i1"), realtime.stats());
    let (long, far) = ("c".repeat(1025), Channel::atom("a".repeat(256)));
    let me = Identity::instance("i1");
    assert!(realtime.subscribe(&me, &room(), long.as_str()).is_err());
    assert!(realtime.subscribe(&me, &far, "page").is_err());
    assert!(realtime.unsubscribe(&me, &room(), long.as_str()).is_err());
    assert!(realtime.unsubscribe_all(&me, &far).is_err());
    assert!(realtime.broadcast_action(&room(), long.as_str(), 1).is_err());
    let bad = [key(lobby(), "page"), key(far.clone(), "page")];
    assert!(realtime.apply(&tab("i1"), &bad, &[]).is_err());
    assert!(realtime.apply(&tab("i1"), &[key(lobby(), "page")], &bad[1..]).is_err());
    assert!(realtime.transition(&tab("i1"), &bad, &[]).is_err());
    assert!(realtime.identify(&Client::new("i1").with_user(long.as_str())).is_err());
    assert!(realtime.connect(&Client::new(long.as_str())).is_err());
    let after = (realtime.bindings_of("i1"), realtime.stats());
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    assert_eq!(seen(&mut one), [""; 0]);
}

/// V2
#[test]
fn v2_channels_and_users_that_look_alike_are_different() {
    let realtime = engine();
    let alike = [
        channel!("room", 42),
        channel!("room", "42"),
        channel!("room", Element::atom("42")),
        Channel::atom("room:42"),
    ];
    let mut tabs: Vec<_> = (0..4).map(|n| connect(&realtime, &tab(&format!("i{n}")))).collect();
    for (n, channel) in alike.iter().enumerate() {
        assert_eq!(subscribe(&realtime, &Identity::instance(format!("i{n}")), channel, "page"), 1);
        seen(&mut tabs[n]);
    }
    for (n, channel) in alike.iter().enumerate() {
        assert_eq!(broadcast(&realtime, channel, n as u64), (1, 0), "{channel}");
        assert_eq!(seen(&mut tabs[n]), [format!("{channel} add {n} for page")]);
    }
    let _number = connect(&realtime, &Client::new("number").with_user(7).with_session("s"));
    let _text = connect(&realtime, &Client::new("text").with_user("7").with_session(7));
    let names = |identity: Identity| -> Vec<String> {
        realtime.connections_of(&identity).iter().map(|client| client.instance().to_string()).collect()
    };
    assert_eq!(names(Identity::user(7)), ["number"]);
    assert_eq!(names(Identity::user("7")), ["text"]);
    assert_eq!(names(Identity::session(7)), ["text"]);
    assert_eq!(names(Identity::instance("7")), [""; 0]);
}

/// V3
#[test]
fn v3_names_are_bounded_and_longer_ones_are_a_typed_error() {
    let realtime = engine();
    let _one = connect(&realtime, &tab("i1"));
    let me = Identity::instance("i1");
    let cid = |bytes: usize| realtime.subscribe(&me, &room(), "c".repeat(bytes));
    assert_eq!(cid(1024), Ok(1));
    assert_eq!(cid(1025), Err(Error::Name(NameError::TooLong { what: "cid", bytes: 1025, limit: 1024 })));
    let on = |channel: Channel| realtime.subscribe(&me, &channel, "page");
    assert_eq!(on(Channel::atom("a".repeat(255))), Ok(1));
    let error = ChannelError::AtomTooLong { index: 0, bytes: 256, limit: 255 };
    assert_eq!(on(Channel::atom("a".repeat(256))), Err(Error::Channel(error)));
    assert_eq!(on(channel!("room", "s".repeat(1024))), Ok(1));
    let error = ChannelError::StringTooLong { index: 1, bytes: 1025, limit: 1024 };
    assert_eq!(on(channel!("room", "s".repeat(1025))), Err(Error::Channel(error)));
    let wide =
        |elements: usize| Channel::tagged("t", vec![1_i64; elements - 1]).expect("there is an element");
    assert_eq!(on(wide(16)), Ok(1));
    let error = ChannelError::TooManyElements { elements: 17, limit: 16 };
    assert_eq!(on(wide(17)), Err(Error::Channel(error)));
    for client in [
        Client::new("x".repeat(1025)),
        tab("x").with_session("x".repeat(1025)),
        tab("x").with_user("x".repeat(1025)),
    ] {
        assert!(matches!(
            realtime.connect(&client),
            Err(Error::Name(NameError::TooLong { bytes: 1025, .. }))
        ));
    }
    let narrow = Limits { atom_bytes: 4, string_bytes: 4, tuple_elements: 2 };
    let realtime: Realtime<u64> = Realtime::builder().limits(narrow).build().expect("the settings are valid");
    let _two = connect(&realtime, &tab("i2"));
    assert_eq!(realtime.subscribe(&Identity::instance("i2"), &room(), "page"), Ok(1));
    assert!(realtime.subscribe(&Identity::instance("i2"), &channel!("rooms", 42), "page").is_err());
    assert!(realtime.subscribe(&Identity::instance("i2"), &channel!("room", 42, 43), "page").is_err());
    assert!(realtime.subscribe(&Identity::instance("i2"), &room(), "pages").is_err());
}

/// V3
#[test]
fn v3_names_from_outside_grow_no_table_that_is_not_given_back() {
    let (realtime, clock) = timed();
    let nobody = Identity::user("nobody");
    for n in 0..1_000 {
        let channel = Channel::atom(format!("from_outside_{n}"));
        assert_eq!(broadcast(&realtime, &channel, n), (0, 0));
        assert_eq!(realtime.subscribe(&nobody, &channel, "page"), Ok(0));
        assert!(realtime.members_of(&channel).is_empty());
    }
    assert_eq!((realtime.stats().channels, realtime.stats().connections), (0, 0));
    for n in 0..1_000 {
        realtime
            .unsubscribe(&nobody, &Channel::atom(format!("from_outside_{n}")), "page")
            .expect("names are short");
    }
    clock.advance(73 * HOUR_MS);
    realtime.sweep();
    assert_eq!((realtime.stats().channels, realtime.stats().revocations), (0, 0));
}

/// V4
#[test]
fn v4_params_are_shared_by_all_receivers_and_dropped_once() {
    // No Clone, no Debug, no trait at all but the way to count its drops: the engine can neither copy it nor look inside.
    struct Opaque(Arc<AtomicUsize>);
    impl Drop for Opaque {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let realtime: Realtime<Opaque> = Realtime::new();
    let mut tabs = Vec::new();
    for n in 0..100 {
        let connected =
            realtime.connect(&Client::new(format!("i{n}")).with_user(7)).expect("names are short");
        tabs.push(connected.connection);
    }
    realtime.subscribe(&Identity::user(7), &room(), "page").expect("names are short");
    realtime.broadcast_action(&room(), "add", Opaque(Arc::clone(&drops))).expect("names are short");
    let mut held = Vec::new();
    for tab in &mut tabs {
        while let Ok(event) = tab.try_recv() {
            if let Event::Broadcast(delivery) = event {
                held.push(delivery);
            }
        }
    }
    assert_eq!(held.len(), 100);
    assert!(held.iter().all(|delivery| std::ptr::eq(delivery.params(), held[0].params())));
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    drop(held);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}
