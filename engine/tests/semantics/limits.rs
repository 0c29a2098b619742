//! Input at and beyond the limits: refused with a typed error, and then nothing has changed (rules V1 and V3); empty names; JSON that no
//! channel is made of; the ends of stamps and clocks (rules R2 to R4).

use holocast::{
    Channel, ChannelError, Cid, Client, Element, Error, Id, Identity, Lane, NameError, Realtime, channel,
};

use crate::support::{broadcast, connect, engine, key, lobby, room, seen, subscribe, tab, tab_of};

/// All that an observer can ask for, as text.
fn state(realtime: &Realtime<u64>) -> String {
    let asked = (
        realtime.stats(),
        ["i1", "i2", ""].map(|instance| (realtime.bindings_of(instance), realtime.identities_of(instance))),
        [room(), lobby()].map(|channel| realtime.members_of(&channel)),
        [Identity::user(7), Identity::session("s1")].map(|identity| realtime.connections_of(&identity)),
    );
    format!("{asked:?}")
}

/// A call that must be refused, and its name.
type Call = (&'static str, Box<dyn Fn(&Realtime<u64>, &mut Lane<u64>) -> Option<Error>>);

fn call(
    name: &'static str,
    call: impl Fn(&Realtime<u64>, &mut Lane<u64>) -> Option<Error> + 'static,
) -> Call {
    (name, Box::new(call))
}

/// Every call that takes a client, with this one.
fn with_client(client: &Client) -> Vec<Call> {
    let c = client.clone();
    let [c1, c2, c3, c4, c5, c6] = std::array::from_fn(|_| c.clone());
    vec![
        call("connect", move |r, _| r.connect(&c).err()),
        call("reconnect", move |r, _| r.reconnect(&c1, &[]).err()),
        call("lane.connect", move |_, lane| lane.connect(&c2, 9).err()),
        call("identify", move |r, _| r.identify(&c3).err()),
        call("apply", move |r, _| r.apply(&c4, &[key(lobby(), "page")], &[]).err()),
        call("transition", move |r, _| r.transition(&c5, &[key(lobby(), "page")], &[]).err()),
        call("commit", move |r, _| {
            let mut handler = r.handler(&c6);
            handler.put_subscription(&lobby(), "page").expect("names are short");
            handler.broadcast_action(&room(), "add", 1).expect("names are short");
            handler.commit().err()
        }),
    ]
}

fn with_identity(identity: &Identity) -> Vec<Call> {
    let i = identity.clone();
    let [i1, i2, i3, i4] = std::array::from_fn(|_| i.clone());
    vec![
        call("subscribe", move |r, _| r.subscribe(&i, &room(), "page").err()),
        call("unsubscribe", move |r, _| r.unsubscribe(&i1, &room(), "page").err()),
        call("unsubscribe_all", move |r, _| r.unsubscribe_all(&i2, &room()).err()),
        // The identity of another is refused though this one would do.
        call("broadcast_action_except", move |r, _| {
            r.broadcast_action_except(&[Identity::user(8), i3.clone()], &room(), "add", 1).err()
        }),
        call("broadcast_sliced", move |r, _| {
            r.broadcast_sliced(std::slice::from_ref(&i4), &room(), "add", 1).err()
        }),
    ]
}

/// Every call that takes a key, with this one beside a good one; those that take a channel alone only if it is the channel that is bad.
fn with_key(channel: &Channel, cid: &str) -> Vec<Call> {
    let me = || Identity::instance("i1");
    let k = key(channel.clone(), cid);
    let [k1, k2, k3, k4, k5, k6, k7, k8] = std::array::from_fn(|_| k.clone());
    let mut calls = vec![
        call("subscribe", move |r, _| r.subscribe(&me(), &k.0, k.1.clone()).err()),
        call("unsubscribe", move |r, _| r.unsubscribe(&me(), &k1.0, k1.1.clone()).err()),
        call("put_subscription", move |r, _| r.put_subscription(&tab("i1"), &k2.0, k2.1.clone()).err()),
        call("delete_subscription", move |r, _| r.delete_subscription(&tab("i1"), &k3.0, k3.1.clone()).err()),
        call("apply, adds", move |r, _| r.apply(&tab("i1"), &[key(lobby(), "page"), k4.clone()], &[]).err()),
        call("apply, drops", move |r, _| r.apply(&tab("i1"), &[], &[key(room(), "page"), k5.clone()]).err()),
        call("transition", move |r, _| {
            r.transition(&tab("i1"), &[key(lobby(), "page"), k6.clone()], &[]).err()
        }),
        call("a handler's put", move |r, _| {
            r.handler(&tab("i1")).put_subscription(&k7.0, k7.1.clone()).map(drop).err()
        }),
        call("a handler's delete", move |r, _| {
            r.handler(&tab("i1")).delete_subscription(&k8.0, k8.1.clone()).map(drop).err()
        }),
    ];
    if cid == "page" {
        let [c, c1, c2, c3] = std::array::from_fn(|_| channel.clone());
        calls.extend([
            call("unsubscribe_all", move |r, _| r.unsubscribe_all(&me(), &c).err()),
            call("broadcast_action", move |r, _| r.broadcast_action(&c1, "add", 1).err()),
            call("channel", move |r, _| r.channel(&c2).err()),
            call("a handler's broadcast", move |r, _| {
                r.handler(&tab("i1")).broadcast_action(&c3, "add", 1).map(drop).err()
            }),
        ]);
    }
    calls
}

fn with_action(action: &str) -> Vec<Call> {
    let a = action.to_owned();
    let [a1, a2, a3] = std::array::from_fn(|_| a.clone());
    vec![
        call("broadcast_action", move |r, _| r.broadcast_action(&room(), a.as_str(), 1).err()),
        call("broadcast_sliced", move |r, _| r.broadcast_sliced(&[], &room(), a1.as_str(), 1).err()),
        call("a hot channel's broadcast", move |r, _| {
            r.channel(&room()).expect("names are short").broadcast_action(a2.as_str(), 1).err()
        }),
        call("a handler's broadcast", move |r, _| {
            r.handler(&tab("i1")).broadcast_action(&room(), a3.as_str(), 1).map(drop).err()
        }),
    ]
}

/// V1, V3: every call with every kind of name, one byte or one element beyond its limit.
#[test]
fn v1_v3_a_refused_call_says_what_is_too_long_and_changes_nothing() {
    let long = |bytes: usize| "x".repeat(bytes);
    let named = |what| Error::Name(NameError::TooLong { what, bytes: 1025, limit: 1024 });
    let wide = Channel::tagged("t", vec![1_i64; 16]).expect("it has elements");
    let cases = [
        (with_client(&Client::new(long(1025))), named("instance id")),
        (with_client(&tab("i1").with_session(long(1025))), named("session id")),
        (with_client(&tab("i1").with_user(long(1025))), named("user id")),
        (with_identity(&Identity::instance(long(1025))), named("instance id")),
        (with_identity(&Identity::session(long(1025))), named("session id")),
        (with_identity(&Identity::user(long(1025))), named("user id")),
        (with_key(&room(), &long(1025)), named("cid")),
        (
            with_key(&Channel::atom(long(256)), "page"),
            Error::Channel(ChannelError::AtomTooLong { index: 0, bytes: 256, limit: 255 }),
        ),
        (
            with_key(&channel!("room", 1, Element::atom(long(256))), "page"),
            Error::Channel(ChannelError::AtomTooLong { index: 2, bytes: 256, limit: 255 }),
        ),
        (
            with_key(&channel!("room", long(1025)), "page"),
            Error::Channel(ChannelError::StringTooLong { index: 1, bytes: 1025, limit: 1024 }),
        ),
        (with_key(&wide, "page"), Error::Channel(ChannelError::TooManyElements { elements: 17, limit: 16 })),
        (with_action(&long(1025)), named("action")),
    ];
    let realtime = engine();
    let mut lane = realtime.lane();
    let mut one = connect(&realtime, &tab_of("i1", 7).with_session("s1"));
    lane.connect(&tab_of("i2", 7), 2).expect("names are short");
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    seen(&mut one);
    while lane.try_recv().is_some() {}
    let before = state(&realtime);
    for (calls, expected) in cases {
        for (name, call) in calls {
            assert_eq!(call(&realtime, &mut lane), Some(expected.clone()), "{name}");
            assert_eq!(state(&realtime), before, "{name} with {expected}");
            assert_eq!(seen(&mut one), [""; 0], "{name} with {expected}");
            assert!(lane.try_recv().is_none(), "{name} with {expected}");
        }
    }
}

/// V1: the only empty thing that is no channel is a tuple.
#[test]
fn v1_empty_names_are_names_and_empty_lists_change_nothing() {
    let realtime = engine();
    let mut one = connect(&realtime, &Client::from_parts("", Some("".into()), Some("".into())));
    let empties =
        [Channel::atom(""), channel!("", ""), channel!("", Element::atom("")), channel!("", "", "")];
    for (n, channel) in empties.iter().enumerate() {
        assert_eq!(subscribe(&realtime, &Identity::user(""), channel, ""), 1);
        assert_eq!(broadcast(&realtime, channel, n as u64), (1, 0));
        assert_eq!(seen(&mut one).len(), 2, "{channel}");
        assert_eq!(realtime.bindings_of("").len(), n + 1, "{channel} is no other");
    }
    assert_eq!(realtime.connections_of(&Identity::session("")).len(), 1);
    assert_eq!(realtime.connections_of(&Identity::instance("")).len(), 1);
    assert!(realtime.broadcast_action(&empties[0], "", 0).is_ok_and(|reach| reach.reached == 1));
    assert_eq!(seen(&mut one).len(), 1);
    let (before, me) = (state(&realtime), Client::new(""));
    realtime.apply(&me, &[], &[]).expect("nothing is refused");
    realtime.handler(&me).commit().expect("nothing is refused");
    assert_eq!((state(&realtime), seen(&mut one).len()), (before, 0));
    assert!(matches!(Channel::tagged("", Vec::<i64>::new()), Err(ChannelError::NoElements { .. })));
}

/// V1: JSON with strings that are no text and numbers that are no integers of 64 bits.
#[test]
fn v1_json_with_lone_surrogates_or_numbers_beyond_64_bits_is_refused() {
    let numbers = [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1.0",
        "1e3",
        "-0.0",
        "1e999",
        "-1E-999",
    ];
    for number in numbers {
        assert!(serde_json::from_str::<Id>(number).is_err(), "{number}");
        assert!(serde_json::from_str::<Element>(number).is_err(), "{number}");
        for json in [format!("[\"user\",{number}]"), format!("[\"session\",{number}]")] {
            assert!(serde_json::from_str::<Identity>(&json).is_err(), "{json}");
        }
        for json in [format!("[\"room\",{number}]"), format!("[{number},1]"), number.to_owned()] {
            assert!(serde_json::from_str::<Channel>(&json).is_err(), "{json}");
        }
    }
    for exact in [i64::MIN, -1, 0, i64::MAX] {
        let json = format!("[\"room\",{exact}]");
        assert_eq!(serde_json::from_str::<Channel>(&json).ok(), Some(channel!("room", exact)));
        assert_eq!(serde_json::from_str::<Id>(&exact.to_string()).ok(), Some(Id::Int(exact)));
    }
    for text in ["\"\\ud800\"", "\"\\udfff\"", "\"\\ud800\\ud800\"", "\"\\udc00\\ud800\"", "\"a\\ud83d b\""] {
        assert!(serde_json::from_str::<Id>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<Cid>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<Channel>(text).is_err(), "{text}");
        for json in [format!("[\"room\",{text}]"), format!("[\"room\",{{\"atom\":{text}}}]")] {
            assert!(serde_json::from_str::<Channel>(&json).is_err(), "{json}");
        }
        assert!(serde_json::from_str::<Identity>(&format!("[\"instance\",{text}]")).is_err(), "{text}");
    }
    let pair = serde_json::from_str::<Channel>("\"\\ud83d\\ude00\"").ok();
    assert_eq!(pair, Some(Channel::atom("😀")), "a pair of surrogates is text");
}

/// V1: depth is refused and costs no stack, in JSON and in the text form.
#[test]
fn v1_a_channel_nested_100000_deep_is_refused_on_a_small_stack() {
    let refuses = || {
        let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        for json in [deep("[", "]"), deep("{\"atom\":", "}"), deep("[\"room\",", "]")] {
            for json in [format!("[\"room\",{json}]"), json] {
                assert!(serde_json::from_str::<Channel>(&json).is_err());
                assert!(serde_json::from_str::<Identity>(&json).is_err());
                assert!(serde_json::from_str::<Element>(&json).is_err());
            }
        }
        for text in [deep("{:room, ", "}"), deep("{", "}"), "{".repeat(100_000)] {
            let error = text.parse::<Channel>().expect_err("a tuple is no element");
            assert!(error.to_string().len() < 300);
        }
    };
    let small = std::thread::Builder::new().stack_size(256 << 10).spawn(refuses).expect("there is memory");
    small.join().expect("no panic");
}
