//! Null in every place of every function.

use std::ptr::null;

use super::*;

const NULL: Status = Status::NullPointer;

#[test]
fn every_function_of_the_header_is_called_with_null() {
    let header = include_str!("../../include/holocast.h");
    let (_, functions) = header.split_once("extern \"C\" {").expect("functions");
    let (functions, _) = functions.split_once("#ifdef __cplusplus").expect("which end");
    let names: Vec<&str> = functions
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#']))
        .filter_map(|line| line.split('(').next()?.split([' ', '*']).next_back())
        .filter(|name| name.starts_with("holocast_"))
        .collect();
    assert!(names.len() > 40, "{names:?}");
    // These take no pointer.
    let pointless =
        ["holocast_config_default", "holocast_status_text", "holocast_last_error", "holocast_version"];
    let called = concat!(include_str!("nulls.rs"), include_str!("refused.rs"));
    for name in names.iter().filter(|name| !pointless.contains(name)) {
        assert!(called.contains(&format!("{name}(")), "nobody calls {name}");
    }
}

#[test]
fn null_is_fine_where_something_is_freed_or_looked_into() {
    holocast_engine_free(None);
    holocast_channel_free(None);
    holocast_connection_free(None);
    holocast_lane_free(None);
    holocast_event_free(None);
    holocast_receipts_free(None);
    holocast_waker_free(None);
    assert_eq!(holocast_event_kind_of(None), EventKind::None);
    assert_eq!(holocast_channel_text(None).read("the text").unwrap(), "");
    assert_eq!(holocast_receipts_list(None).read("the list").unwrap().len(), 0);
}

#[test]
fn null_is_refused_where_a_handle_is_made() {
    let engine = engine();
    fails(holocast_engine_new(None, None), NULL, "engine is null");
    fails(holocast_engine_clone(Some(&engine), None), NULL, "clone is null");
    fails(holocast_channel_parse(Some(&engine), text(":news"), None), NULL, "channel is null");
    fails(holocast_channel_new(Some(&engine), handed::list(null(), 0), None), NULL, "channel is null");
    fails(holocast_lane_new(Some(&engine), None), NULL, "lane is null");
    fails(holocast_waker_new(Some(wake), None, std::ptr::null_mut(), None), NULL, "waker is null");

    let mut out = Handle::uninit();
    fails(holocast_waker_new(None, None, std::ptr::null_mut(), Some(&mut out)), NULL, "wake is null");
    assert!(written(out).is_none());
    let mut out = Handle::uninit();
    fails(holocast_engine_clone(None, Some(&mut out)), NULL, "engine is null");
    assert!(written(out).is_none());
    let mut out = Handle::uninit();
    fails(holocast_channel_parse(None, text(":news"), Some(&mut out)), NULL, "engine is null");
    assert!(written(out).is_none());
    let mut out = Handle::uninit();
    fails(holocast_channel_new(None, handed::list(null(), 0), Some(&mut out)), NULL, "engine is null");
    assert!(written(out).is_none());
    let mut out = Handle::uninit();
    fails(holocast_lane_new(None, Some(&mut out)), NULL, "engine is null");
    assert!(written(out).is_none());
}

#[test]
fn null_is_refused_by_every_operation() {
    let (engine, user, client) = (engine(), user(7), client("tab"));
    let news = channel(&engine, ":news");
    let (engine, news) = (Some(&*engine), Some(&*news));
    let (user, client, page) = (Some(&user), Some(&client), text("page"));
    fails(holocast_subscribe(None, user, news, page, None), NULL, "engine is null");
    fails(holocast_subscribe(engine, None, news, page, None), NULL, "identity is null");
    fails(holocast_subscribe(engine, user, None, page, None), NULL, "channel is null");
    fails(holocast_unsubscribe(None, user, news, page, None), NULL, "engine is null");
    fails(holocast_unsubscribe(engine, None, news, page, None), NULL, "identity is null");
    fails(holocast_unsubscribe(engine, user, None, page, None), NULL, "channel is null");
    fails(holocast_unsubscribe_all(None, user, news, None), NULL, "engine is null");
    fails(holocast_unsubscribe_all(engine, None, news, None), NULL, "identity is null");
    fails(holocast_unsubscribe_all(engine, user, None, None), NULL, "channel is null");
    let none = handed::bytes(null(), 0);
    fails(holocast_broadcast_action(None, news, page, none, None), NULL, "engine is null");
    fails(holocast_broadcast_action(engine, None, page, none, None), NULL, "channel is null");
    let nobody = handed::list(null(), 0);
    fails(holocast_broadcast_action_except(None, nobody, news, page, none, None), NULL, "engine is null");
    fails(holocast_broadcast_action_except(engine, nobody, None, page, none, None), NULL, "channel is null");
    let mut receipts = Handle::uninit();
    fails(holocast_put_subscription(engine, client, news, page, None), NULL, "receipts is null");
    fails(holocast_put_subscription(None, client, news, page, Some(&mut receipts)), NULL, "engine is null");
    fails(holocast_put_subscription(engine, None, news, page, Some(&mut receipts)), NULL, "client is null");
    fails(
        holocast_put_subscription(engine, client, None, page, Some(&mut receipts)),
        NULL,
        "channel is null",
    );
    assert!(written(receipts).is_none());
    fails(holocast_delete_subscription(None, client, news, page, None), NULL, "engine is null");
    fails(holocast_delete_subscription(engine, None, news, page, None), NULL, "client is null");
    fails(holocast_delete_subscription(engine, client, None, page, None), NULL, "channel is null");
    fails(holocast_identify(None, client, None), NULL, "engine is null");
    fails(holocast_identify(engine, None, None), NULL, "client is null");
    fails(holocast_disconnect(None, page, None), NULL, "engine is null");
    fails(holocast_shutdown(None, None), NULL, "engine is null");
    fails(holocast_stats_of(None, None), NULL, "engine is null");
    fails(holocast_stats_of(engine, None), NULL, "stats is null");
    fails(holocast_set_signing_keys(None, handed::list(null(), 0)), NULL, "engine is null");
}

#[test]
fn null_is_refused_where_somebody_connects() {
    let (engine, tab, no_tokens) = (engine(), client("tab"), handed::list(null(), 0));
    let mut lane = lane(&engine);
    fails(holocast_connect(Some(&engine), Some(&tab), None), NULL, "connected is null");
    fails(holocast_lane_connect(Some(&mut lane), Some(&tab), 0, None), NULL, "connected is null");

    let mut out = Out::uninit();
    fails(holocast_connect(None, Some(&tab), Some(&mut out)), NULL, "engine is null");
    fails(holocast_connect(Some(&engine), None, Some(&mut out)), NULL, "client is null");
    fails(holocast_reconnect(None, Some(&tab), no_tokens, Some(&mut out)), NULL, "engine is null");
    fails(holocast_reconnect(Some(&engine), None, no_tokens, Some(&mut out)), NULL, "client is null");
    assert!(written(out).connection.is_none());
    let mut out = Out::uninit();
    fails(holocast_lane_connect(None, Some(&tab), 0, Some(&mut out)), NULL, "lane is null");
    fails(
        holocast_lane_reconnect(Some(&mut lane), None, no_tokens, 0, Some(&mut out)),
        NULL,
        "client is null",
    );
    assert!(written(out).receipts.is_none());
    fails(holocast_lane_disconnect(None, 0, None), NULL, "lane is null");
    assert_eq!(engine.realtime.stats().connections, 0);
}

#[test]
fn null_is_refused_where_events_are_received() {
    let engine = engine();
    let (mut tab, mut lane, waker) = (connected(&engine, "tab"), lane(&engine), waker());
    fails(holocast_connection_try_recv(Some(&mut tab), None), NULL, "event is null");
    fails(holocast_connection_recv(Some(&mut tab), 0, None), NULL, "event is null");
    fails(holocast_connection_poll_recv(Some(&mut tab), Some(&waker), None), NULL, "event is null");
    fails(holocast_lane_try_recv(Some(&mut lane), None), NULL, "event is null");
    fails(holocast_lane_recv(Some(&mut lane), 0, None), NULL, "event is null");
    fails(holocast_lane_poll_recv(Some(&mut lane), Some(&waker), None), NULL, "event is null");
    let mut event = Handle::uninit();
    fails(holocast_connection_try_recv(None, Some(&mut event)), NULL, "connection is null");
    fails(holocast_connection_recv(None, 0, Some(&mut event)), NULL, "connection is null");
    fails(holocast_connection_poll_recv(None, Some(&waker), Some(&mut event)), NULL, "connection is null");
    fails(holocast_connection_poll_recv(Some(&mut tab), None, Some(&mut event)), NULL, "waker is null");
    fails(holocast_lane_try_recv(None, Some(&mut event)), NULL, "lane is null");
    fails(holocast_lane_recv(None, 0, Some(&mut event)), NULL, "lane is null");
    fails(holocast_lane_poll_recv(None, Some(&waker), Some(&mut event)), NULL, "lane is null");
    fails(holocast_lane_poll_recv(Some(&mut lane), None, Some(&mut event)), NULL, "waker is null");
    assert!(written(event).is_none());
}

#[test]
fn null_is_refused_where_events_are_read() {
    let engine = engine();
    let mut event = closed(&engine);
    fails(holocast_event_channel(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_keys(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_action(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_params(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_receipt(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_lost(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_reason(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_socket(None, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_receivers(None, 1, Some(&mut Out::uninit())), NULL, "event is null");
    fails(holocast_event_channel(Some(&event), None), NULL, "channel is null");
    fails(holocast_event_keys(Some(&event), None), NULL, "keys is null");
    fails(holocast_event_action(Some(&event), None), NULL, "action is null");
    fails(holocast_event_params(Some(&event), None), NULL, "params is null");
    fails(holocast_event_receipt(Some(&event), None), NULL, "receipt is null");
    fails(holocast_event_lost(Some(&event), None), NULL, "lost is null");
    fails(holocast_event_reason(Some(&event), None), NULL, "reason is null");
    fails(holocast_event_socket(Some(&event), None), NULL, "socket is null");
    fails(holocast_event_receivers(Some(&mut event), 1, None), NULL, "receivers is null");
}
