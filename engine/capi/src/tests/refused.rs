//! Lengths, texts, kinds and names that are wrong: a status that says so, and nothing changed.

use std::ptr::null;

use super::*;

fn not_utf8() -> Text {
    handed::text(c"ab\xff".as_ptr(), 3)
}

fn long() -> Text {
    const LONG: &str = match std::str::from_utf8(&[b'x'; 1025]) {
        Ok(long) => long,
        Err(_) => panic!("it is ASCII"),
    };
    text(LONG)
}

fn configured(config: Config) -> Status {
    let mut engine = stale(*engine());
    let status = holocast_engine_new(Some(&config), Some(&mut engine));
    assert_eq!(written(engine).is_some(), status == Status::Ok);
    status
}

#[test]
fn pointers_and_lengths_that_cannot_be_are_refused() {
    let (engine, news) = (engine(), channel(&engine(), ":news"));
    let say = |action, params| holocast_broadcast_action(Some(&engine), Some(&news), action, params, None);
    let nothing = handed::bytes(null(), 0);
    fails(say(handed::text(null(), 3), nothing), Status::NullPointer, "the action is null, and its length 3");
    fails(
        say(text("add"), handed::bytes(null(), 1)),
        Status::NullPointer,
        "params is null, and its length 1",
    );
    let beyond = handed::bytes(c"".as_ptr().cast(), usize::MAX);
    fails(say(text("add"), beyond), Status::InvalidArgument, "params is longer than memory can be");
    assert_eq!(say(handed::text(null(), 0), nothing), Status::Ok);

    let except = |excluded| {
        let (engine, news) = (Some(&*engine), Some(&*news));
        holocast_broadcast_action_except(engine, excluded, news, text("add"), nothing, None)
    };
    fails(except(handed::list(null(), 2)), Status::NullPointer, "excluded is null, and its length 2");
    let odd = std::ptr::without_provenance(align_of::<Identity>() + 1);
    fails(except(handed::list(odd, 1)), Status::InvalidArgument, "excluded is not aligned");
    let somebody = user(7);
    fails(
        except(handed::list(&somebody, usize::MAX / 8)),
        Status::InvalidArgument,
        "longer than memory can be",
    );
    let keys = handed::list(null(), 1);
    fails(holocast_set_signing_keys(Some(&engine), keys), Status::NullPointer, "the signing keys is null");
    assert_eq!(engine.realtime.stats().broadcasts, 1);
}

#[test]
fn every_text_has_to_be_utf8() {
    let (engine, seven, tab) = (engine(), user(7), client("tab"));
    let news = channel(&engine, ":news");
    let (engine, news, bad) = (Some(&*engine), Some(&*news), not_utf8());
    let says = "is not UTF-8 from byte 2";
    fails(holocast_channel_parse(engine, bad, Some(&mut Handle::uninit())), Status::NotUtf8, says);
    fails(holocast_subscribe(engine, Some(&seven), news, bad, None), Status::NotUtf8, says);
    fails(holocast_unsubscribe(engine, Some(&seven), news, bad, None), Status::NotUtf8, says);
    let named = handed::identity(IdentityKind::User as u32, handed::value(STRING, 0, bad));
    fails(holocast_unsubscribe_all(engine, Some(&named), news, None), Status::NotUtf8, says);
    fails(
        holocast_broadcast_action(engine, news, bad, handed::bytes(null(), 0), None),
        Status::NotUtf8,
        says,
    );
    let excluded = handed::list(&named, 1);
    let nothing = handed::bytes(null(), 0);
    fails(
        holocast_broadcast_action_except(engine, excluded, news, text("a"), nothing, None),
        Status::NotUtf8,
        says,
    );
    fails(
        holocast_put_subscription(engine, Some(&tab), news, bad, Some(&mut Handle::uninit())),
        Status::NotUtf8,
        says,
    );
    fails(holocast_delete_subscription(engine, Some(&tab), news, bad, None), Status::NotUtf8, says);
    fails(holocast_disconnect(engine, bad, None), Status::NotUtf8, says);
    let nameless = handed::client(bad, no_value(), no_value());
    fails(holocast_identify(engine, Some(&nameless), None), Status::NotUtf8, says);
    fails(holocast_connect(engine, Some(&nameless), Some(&mut Out::uninit())), Status::NotUtf8, says);
}

#[test]
fn v3_names_beyond_the_limits_are_refused_by_status() {
    let (engine, seven, tab) = (engine(), user(7), handed::client(long(), no_value(), no_value()));
    let news = channel(&engine, ":news");
    let (engine, news) = (Some(&*engine), Some(&*news));
    let says = "is 1025 bytes long, the limit is 1024";
    fails(holocast_subscribe(engine, Some(&seven), news, long(), None), Status::NameTooLong, says);
    fails(holocast_unsubscribe(engine, Some(&seven), news, long(), None), Status::NameTooLong, says);
    fails(
        holocast_broadcast_action(engine, news, long(), handed::bytes(null(), 0), None),
        Status::NameTooLong,
        says,
    );
    fails(holocast_identify(engine, Some(&tab), None), Status::NameTooLong, says);
    let mut out = Out::uninit();
    fails(holocast_connect(engine, Some(&tab), Some(&mut out)), Status::NameTooLong, says);
    assert!(written(out).connection.is_none());
}

#[test]
fn kinds_that_there_are_not_are_refused() {
    let (engine, kind) = (engine(), Status::InvalidArgument);
    let news = channel(&engine, ":news");
    let bind = |identity| holocast_subscribe(Some(&engine), Some(&identity), Some(&news), text("page"), None);
    fails(bind(handed::identity(0, int(7))), kind, "there is no identity of kind 0");
    fails(bind(handed::identity(4, int(7))), kind, "there is no identity of kind 4");
    fails(
        bind(handed::identity(IdentityKind::Instance as u32, int(7))),
        kind,
        "the id of an instance is a string",
    );
    fails(bind(handed::identity(IdentityKind::User as u32, no_value())), kind, "an identity has no id");
    let atom = handed::value(ATOM, 0, text("a"));
    fails(bind(handed::identity(IdentityKind::Session as u32, atom)), kind, "is of kind 3, expected none");
    let odd = handed::client(text("tab"), handed::value(9, 0, text("")), no_value());
    fails(holocast_identify(Some(&engine), Some(&odd), None), kind, "the session is of kind 9");
    assert_eq!(bind(handed::identity(IdentityKind::Session as u32, string("s1"))), Status::Ok);
}

#[test]
fn v1_what_is_no_channel_is_refused() {
    let engine = engine();
    let refused = |elements: &[Value], expected, says| {
        let mut out = Handle::uninit();
        let list = handed::list(elements.as_ptr(), elements.len());
        fails(holocast_channel_new(Some(&engine), list, Some(&mut out)), expected, says);
        assert!(written(out).is_none());
    };
    let tag = handed::value(ATOM, 0, text("room"));
    refused(&[], Status::InvalidChannel, "a channel has at least one element");
    refused(&[string("room"), int(1)], Status::InvalidChannel, "the tag of the channel is `\"room\"`");
    refused(&[tag, no_value()], Status::InvalidArgument, "element 1 of the channel is of kind 0");
    refused(&[tag, handed::value(STRING, 0, long())], Status::InvalidChannel, "the limit is 1024");
    refused(&[tag, handed::value(STRING, 0, not_utf8())], Status::NotUtf8, "element 1 of the channel");
    refused(&[tag; 17], Status::InvalidChannel, "a tuple of 17 elements");
    let mut out = Handle::uninit();
    fails(
        holocast_channel_parse(Some(&engine), text("{:room}"), Some(&mut out)),
        Status::InvalidChannel,
        "has no elements",
    );
    assert!(written(out).is_none());
}

#[test]
fn v2_parts_and_text_name_the_same_channel() {
    let engine = engine();
    let parts = [handed::value(ATOM, 0, text("room")), int(42), string("42")];
    let mut out = Handle::uninit();
    let made = holocast_channel_new(Some(&engine), handed::list(parts.as_ptr(), 3), Some(&mut out));
    assert_eq!(made, Status::Ok);
    let made = written(out).unwrap();
    assert_eq!(made.channel, channel(&engine, "{:room, 42, \"42\"}").channel);
    assert_eq!(holocast_channel_text(Some(&made)).read("text").unwrap(), "{:room, 42, \"42\"}");
}

#[test]
fn settings_out_of_their_range_are_refused() {
    let with = |change: fn(&mut Config)| {
        let mut config = holocast_config_default();
        change(&mut config);
        configured(config)
    };
    assert_eq!(with(|_| {}), Status::Ok);
    assert_eq!(with(|config| config.queue_bytes = 1), Status::Ok);
    fails(with(|config| config.queue_capacity = 0), Status::InvalidConfig, "0 messages");
    fails(with(|config| config.lane_capacity = 32768), Status::InvalidConfig, "32768 messages");
    fails(with(|config| config.receipt_lifetime_ms = 0), Status::InvalidConfig, "receipt lifetime");
    fails(with(|config| config.receipt_lifetime_ms = u64::MAX), Status::InvalidConfig, "receipt lifetime");
    fails(with(|config| config.overflow = 3), Status::InvalidArgument, "there is no overflow policy 3");
    let many = "channels are expected, the limit is 134217728";
    fails(with(|config| config.expected_channels = usize::MAX), Status::InvalidArgument, many);
    let many = "connections are expected, the limit is 8388608";
    fails(with(|config| config.expected_connections = usize::MAX), Status::InvalidArgument, many);
    let short = Bytes::lend(b"short");
    let mut config = holocast_config_default();
    config.signing_keys = handed::list(&short, 1);
    fails(configured(config), Status::InvalidConfig, "the signing key is 5 bytes long");
    fails(
        holocast_set_signing_keys(Some(&engine()), config.signing_keys),
        Status::InvalidConfig,
        "5 bytes long",
    );
}

#[test]
fn r5_tokens_that_are_worth_nothing_are_counted() {
    let engine = engine();
    let tokens = [text(""), text("hc1.a.b"), not_utf8()];
    let mut out = Out::uninit();
    let list = handed::list(tokens.as_ptr(), 3);
    assert_eq!(holocast_reconnect(Some(&engine), Some(&client("tab")), list, Some(&mut out)), Status::Ok);
    let connected = written(out);
    assert!(connected.connection.is_some() && connected.receipts.is_none());
    assert_eq!(connected.refused_tokens, 3);

    let mut out = Out::uninit();
    let missing = handed::text(null(), 7);
    let list = handed::list(&missing, 1);
    let again = holocast_reconnect(Some(&engine), Some(&client("other")), list, Some(&mut out));
    fails(again, Status::NullPointer, "a token is null");
    assert!(written(out).connection.is_none() && engine.realtime.identities_of("other").is_none());
}

#[test]
fn r5_a_good_token_without_a_key_is_refused() {
    let (engine, key, news) = (engine(), Bytes::lend(&[7; 32]), channel(&engine(), ":news"));
    let put = |cid| {
        let mut out = Handle::uninit();
        let (engine, news) = (Some(&*engine), Some(&*news));
        assert_eq!(
            holocast_put_subscription(engine, Some(&client("tab")), news, text(cid), Some(&mut out)),
            Status::Ok
        );
        written(out).expect("a receipt")
    };
    assert_eq!(token(&put("unsigned")), "");
    assert_eq!(holocast_set_signing_keys(Some(&engine), handed::list(&key, 1)), Status::Ok);
    let receipts = put("signed");
    let presented = Text::lend(token(&receipts));
    let tokens = handed::list(&presented, 1);
    let mut out = Out::uninit();
    assert_eq!(holocast_reconnect(Some(&engine), Some(&client("tab")), tokens, Some(&mut out)), Status::Ok);
    let connected = written(out);
    assert_eq!((connected.refused_tokens, connected.receipts.is_some()), (0, true));

    assert_eq!(holocast_set_signing_keys(Some(&engine), handed::list(null(), 0)), Status::Ok);
    let mut out = Out::uninit();
    let without = holocast_reconnect(Some(&engine), Some(&client("tab")), tokens, Some(&mut out));
    fails(without, Status::NoSigningKey, "there is no signing key");
}

/// The token of the one receipt.
fn token(receipts: &Receipts) -> &str {
    receipts.tokens().next().expect("a receipt")
}

#[test]
fn events_of_another_kind_refuse_what_they_lack() {
    let engine = engine();
    let mut event = closed(&engine);
    let wrong = Status::WrongEvent;
    assert_eq!(holocast_event_kind_of(Some(&event)), EventKind::Closed);
    fails(holocast_event_channel(Some(&event), Some(&mut Out::uninit())), wrong, "Closed has no channel");
    fails(holocast_event_keys(Some(&event), Some(&mut Out::uninit())), wrong, "Closed has no keys");
    fails(holocast_event_action(Some(&event), Some(&mut Out::uninit())), wrong, "Closed has no action");
    fails(holocast_event_params(Some(&event), Some(&mut Out::uninit())), wrong, "Closed has no params");
    fails(holocast_event_receipt(Some(&event), Some(&mut Out::uninit())), wrong, "Closed has no receipt");
    fails(holocast_event_lost(Some(&event), Some(&mut Out::uninit())), wrong, "Closed has no count");
    fails(holocast_event_socket(Some(&event), Some(&mut Out::uninit())), wrong, "Closed has no socket");
    fails(
        holocast_event_receivers(Some(&mut event), 1, Some(&mut Out::uninit())),
        wrong,
        "Closed has no receivers",
    );
    let mut reason = Out::uninit();
    assert_eq!(holocast_event_reason(Some(&event), Some(&mut reason)), Status::Ok);
    assert_eq!(written(reason), CloseReason::Disconnected);
}

#[test]
fn c7_after_a_shutdown_whatever_would_come_in_is_refused() {
    let (engine, seven, tab) = (engine(), user(7), client("tab"));
    let (news, mut lane) = (channel(&engine, ":news"), lane(&engine));
    let (engine, news) = (Some(&*engine), Some(&*news));
    assert_eq!(holocast_shutdown(engine, None), Status::Ok);
    let (over, says) = (Status::ShutDown, "the engine was shut down");
    fails(holocast_connect(engine, Some(&tab), Some(&mut Out::uninit())), over, says);
    fails(holocast_lane_connect(Some(&mut lane), Some(&tab), 0, Some(&mut Out::uninit())), over, says);
    fails(holocast_subscribe(engine, Some(&seven), news, text("page"), None), over, says);
    fails(
        holocast_put_subscription(engine, Some(&tab), news, text("page"), Some(&mut Handle::uninit())),
        over,
        says,
    );
    fails(holocast_broadcast_action(engine, news, text("add"), handed::bytes(null(), 0), None), over, says);
    assert_eq!(holocast_unsubscribe(engine, Some(&seven), news, text("page"), None), Status::Ok);
    assert_eq!(holocast_unsubscribe_all(engine, Some(&seven), news, None), Status::Ok);
    assert_eq!(holocast_delete_subscription(engine, Some(&tab), news, text("page"), None), Status::Ok);
    assert_eq!(holocast_disconnect(engine, text("tab"), None), Status::Ok);
}

#[test]
fn a_key_that_the_lane_never_gave_ends_nothing() {
    let engine = engine();
    let mut lane = lane(&engine);
    let mut out = Out::uninit();
    assert_eq!(holocast_lane_connect(Some(&mut lane), Some(&client("tab")), 1, Some(&mut out)), Status::Ok);
    let key = written(out).key;
    for other in [0, u64::MAX, !key, key ^ 1 << 63, key ^ 1, key ^ 1 << 32] {
        let mut ended = Out::uninit();
        assert_eq!(holocast_lane_disconnect(Some(&mut lane), other, Some(&mut ended)), Status::Ok);
        assert!(other == key || !written(ended), "{other:x} for {key:x}");
    }
    let mut ended = Out::uninit();
    assert_eq!(holocast_lane_disconnect(Some(&mut lane), key, Some(&mut ended)), Status::Ok);
    assert!(written(ended));
}
