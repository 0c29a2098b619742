//! What C could do wrong, function by function, and what must not come out.

mod nulls;
mod panics;
mod refused;

use std::mem::MaybeUninit;

use crate::raw::handed;
use crate::*;

pub(crate) const INT: u32 = ValueKind::Int as u32;
pub(crate) const STRING: u32 = ValueKind::String as u32;
pub(crate) const ATOM: u32 = ValueKind::Atom as u32;

/// A place for a result.
pub(crate) type Out<T> = MaybeUninit<T>;
pub(crate) type Handle<T> = MaybeUninit<Option<Box<T>>>;

/// The result that a call has written.
pub(crate) fn written<T>(out: Out<T>) -> T {
    // SAFETY: only places are asked that begin with a value, or that a call which ended with OK has filled.
    unsafe { out.assume_init() }
}

/// A place that must be null after a call that fails.
pub(crate) fn stale<T>(value: T) -> Handle<T> {
    MaybeUninit::new(Some(Box::new(value)))
}

pub(crate) fn last_error() -> String {
    holocast_last_error().read("the last error").expect("it is text").to_owned()
}

/// That a call failed like this, for this reason.
#[track_caller]
pub(crate) fn fails(status: Status, expected: Status, says: &str) {
    assert_eq!(status, expected, "{}", last_error());
    assert!(last_error().contains(says), "{:?} does not say {says:?}", last_error());
}

pub(crate) fn text(text: &'static str) -> Text {
    Text::lend(text)
}

pub(crate) fn int(number: i64) -> Value {
    handed::value(INT, number, text(""))
}

pub(crate) fn string(name: &'static str) -> Value {
    handed::value(STRING, 0, text(name))
}

pub(crate) fn no_value() -> Value {
    handed::value(ValueKind::None as u32, 0, text(""))
}

pub(crate) fn user(number: i64) -> Identity {
    handed::identity(IdentityKind::User as u32, int(number))
}

pub(crate) fn client(instance: &'static str) -> Client {
    handed::client(text(instance), no_value(), int(7))
}

pub(crate) fn engine() -> Box<Engine> {
    let mut engine = Handle::uninit();
    assert_eq!(holocast_engine_new(None, Some(&mut engine)), Status::Ok);
    written(engine).expect("an engine")
}

pub(crate) fn channel(engine: &Engine, name: &'static str) -> Box<Channel> {
    let mut channel = Handle::uninit();
    assert_eq!(holocast_channel_parse(Some(engine), text(name), Some(&mut channel)), Status::Ok);
    written(channel).expect("a channel")
}

pub(crate) fn connected(engine: &Engine, instance: &'static str) -> Box<Connection> {
    let mut connected = Out::uninit();
    assert_eq!(holocast_connect(Some(engine), Some(&client(instance)), Some(&mut connected)), Status::Ok);
    written(connected).connection.expect("a connection")
}

pub(crate) fn lane(engine: &Engine) -> Box<Lane> {
    let mut lane = Handle::uninit();
    assert_eq!(holocast_lane_new(Some(engine), Some(&mut lane)), Status::Ok);
    written(lane).expect("a lane")
}

/// The event of an end.
pub(crate) fn closed(engine: &Engine) -> Box<Event> {
    let mut connection = connected(engine, "closed");
    assert_eq!(holocast_disconnect(Some(engine), text("closed"), None), Status::Ok);
    let mut event = Handle::uninit();
    assert_eq!(holocast_connection_try_recv(Some(&mut connection), Some(&mut event)), Status::Ok);
    written(event).expect("an event")
}

unsafe extern "C" fn wake(_: *mut std::ffi::c_void) {}

pub(crate) fn waker() -> Box<Waker> {
    let mut waker = Handle::uninit();
    assert_eq!(holocast_waker_new(Some(wake), None, std::ptr::null_mut(), Some(&mut waker)), Status::Ok);
    written(waker).expect("a waker")
}

#[test]
fn handles_go_where_the_header_says_that_they_may() {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Engine>();
    is_shared::<Channel>();
    is_shared::<Waker>();
    is_shared::<Receipts>();
    is_shared::<Event>();
    moves::<Connection>();
    moves::<Lane>();
}

#[test]
fn every_status_has_a_text_of_its_own() {
    let texts = (0..=17).map(|status| {
        // SAFETY: the function promises a text that ends with a NUL and is valid for good.
        unsafe { std::ffi::CStr::from_ptr(holocast_status_text(status)) }
    });
    // Statuses 0 to 15, and one text for whatever is none.
    assert_eq!(texts.collect::<std::collections::HashSet<_>>().len(), 17);
}
