//! Broadcasts as text for browsers (feature `sse`): Server-Sent Events, or the same JSON as WebSocket messages. Each broadcast is encoded once.
//!
//! A [`Frame`] is a broadcast's whole JSON but for the cids, which alone differ between receivers; it is the engine's params type. A
//! [`Writer`], one per connection, turns what the connection hands out into the bytes of a response:
//!
//! | event | JSON |
//! |---|---|
//! | [`Event::Broadcast`] | `{"type":"action","channel":["room",42],"action":"add","params":…,"cids":["page"]}` |
//! | [`Event::Subscribed`] | `{"type":"subscribed","channel":["room",42],"cid":"page","receipt":"…"}`; the receipt is a token, `null` without a signing key |
//! | [`Event::Unsubscribed`] | `{"type":"unsubscribed","keys":[{"channel":["room",42],"cid":"page"}]}` |
//! | [`Event::Lagged`] | `{"type":"lagged","lost":3}` |
//! | [`Event::Closed`] | `{"type":"closed","reason":"superseded"}` |
//!
//! A channel is a string (an atom) or an array of its tag and elements, as with the feature `serde`. As a Server-Sent Event each is one
//! `data:` line and an `id:`, so that a page has one handler for both transports: `source.onmessage = e => handle(JSON.parse(e.data))`.
//!
//! The response wants `content-type: text/event-stream`, `cache-control: no-store`, no compression that buffers, and [`KEEP_ALIVE`] every
//! 15 seconds or so, as proxies close what is silent. A stream that ended without `closed` is opened again by the browser;
//! whoever was told `closed` should close its `EventSource`, or it comes back.
//!
//! ```
//! use bytes::BytesMut;
//! use holocast::{Client, Identity, Realtime, SigningKey, channel, sse::{Frame, Writer}};
//! use serde_json::json;
//!
//! let realtime = Realtime::<Frame>::builder()
//!     .signing_keys([SigningKey::new([7; 32])?])
//!     .weigh(1 << 20, Frame::weight)
//!     .build()?;
//! let mut tab = realtime.connect(&Client::new("tab-1").with_user(7))?.connection;
//! let mut writer = Writer::new(&realtime);
//! realtime.put_subscription(&Client::new("tab-1"), &channel!("room", 42), "page")?;
//! realtime.broadcast_json(&channel!("room", 42), "add", &json!({ "text": "hello" }))?;
//!
//! let mut response = BytesMut::new();
//! assert!(writer.write_queued(&mut tab, &mut response, 1 << 16));
//! assert_eq!(
//!     response,
//!     "data: {\"type\":\"action\",\"channel\":[\"room\",42],\"action\":\"add\",\"params\":{\"text\":\"hello\"},\"cids\":[\"page\"]}\nid: 1\n\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use crate::channel::Channel;
use crate::connection::Connection;
use crate::event::{Echo, Event, Key, Reach};
use crate::handler::{Committed, Handler};
use crate::identity::Identity;
use crate::realtime::Realtime;
use crate::receipt::Receipt;
use crate::text::Cid;

/// A comment: it keeps a connection open that has nothing to say.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// A broadcast, encoded but for the cids; a clone copies nothing.
///
/// ```
/// use holocast::{channel, sse::Frame};
///
/// let frame = Frame::new(&channel!("news"), "add", &[1, 2])?;
/// let mut text = bytes::BytesMut::new();
/// frame.write_json(["page".into()].iter(), &mut text);
/// assert_eq!(text, r#"{"type":"action","channel":"news","action":"add","params":[1,2],"cids":["page"]}"#);
/// # Ok::<(), holocast::sse::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frame").field(&self.0).finish()
    }
}

impl Frame {
    /// Encodes a broadcast.
    ///
    /// # Errors
    /// [`Error::Encode`]: the params have no JSON, such as a map with keys that are no strings.
    pub fn new(channel: &Channel, action: &str, params: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        #[derive(Serialize)]
        struct Head<'a, P: ?Sized> {
            r#type: &'static str,
            channel: &'a Channel,
            action: &'a str,
            params: &'a P,
        }
        let head = Head { r#type: "action", channel, action, params };
        let mut text = serde_json::to_vec(&head).map_err(|error| Error::Encode(error.to_string().into()))?;
        // Raw JSON of the caller's may be laid out in lines, which would end the event. Within strings there are none.
        if text.contains(&b'\n') || text.contains(&b'\r') {
            text.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        }
        // Open again, for the cids.
        text.pop();
        text.extend_from_slice(b",\"cids\":[");
        Ok(Self(text.into()))
    }

    /// Its length in bytes: a weigher for [`Builder::weigh`](crate::Builder::weigh).
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.0.len() as u64
    }

    /// Appends the JSON for a receiver with these cids. O(length), a copy; the cids alone are encoded.
    pub fn write_json<'a>(&self, cids: impl IntoIterator<Item = &'a Cid>, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
        for (place, cid) in cids.into_iter().enumerate() {
            if place > 0 {
                out.put_u8(b',');
            }
            write_text(cid, out);
        }
        out.extend_from_slice(b"]}");
    }
}

/// Why [`Realtime::broadcast_json`] sent nothing.
///
/// ```
/// use holocast::{channel, sse::{Error, Frame}};
///
/// let unfit = std::collections::HashMap::from([((1, 2), 3)]);
/// let error = Frame::new(&channel!("news"), "add", &unfit).unwrap_err();
/// assert_eq!(error.to_string(), "the params can't be encoded as JSON: key must be a string");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The params have no JSON; why not.
    Encode(Box<str>),
    /// The engine refused the broadcast.
    Refused(crate::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(reason) => write!(f, "the params can't be encoded as JSON: {reason}"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::Refused(error)
    }
}

impl Realtime<Frame> {
    /// [`Realtime::broadcast_action`] of params that are encoded here, once.
    ///
    /// # Errors
    /// The params have no JSON; the engine refuses. Nothing is delivered.
    pub fn broadcast_json(
        &self,
        channel: &Channel,
        action: &str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<Reach, Error> {
        self.broadcast_json_except(&[], channel, action, params)
    }

    /// [`Realtime::broadcast_action_except`] of params that are encoded here, once.
    ///
    /// # Errors
    /// As for [`Realtime::broadcast_json`].
    ///
    /// ```
    /// use holocast::{Identity, Realtime, channel, sse::Frame};
    ///
    /// let realtime = Realtime::<Frame>::new();
    /// realtime.broadcast_json_except(&[Identity::instance("tab-1")], &channel!("room", 42), "typing", "Ann")?;
    /// # Ok::<(), holocast::sse::Error>(())
    /// ```
    pub fn broadcast_json_except(
        &self,
        excluded: &[Identity],
        channel: &Channel,
        action: &str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<Reach, Error> {
        let frame = Frame::new(channel, action, params)?;
        Ok(self.broadcast_action_except(excluded, channel, action, frame)?)
    }
}

impl Handler<'_, Frame> {
    /// [`Handler::broadcast_action`] of params that are encoded here, once.
    ///
    /// # Errors
    /// The params have no JSON; the engine refuses. Nothing is collected.
    ///
    /// ```
    /// use holocast::{Client, Realtime, channel, sse::Frame};
    ///
    /// let realtime = Realtime::<Frame>::new();
    /// let mut handler = realtime.handler(&Client::new("tab-1"));
    /// handler.broadcast_json(&channel!("room", 42), "add", "hello")?;
    /// handler.commit()?;
    /// # Ok::<(), holocast::sse::Error>(())
    /// ```
    pub fn broadcast_json(
        &mut self,
        channel: &Channel,
        action: &str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        self.broadcast_json_except(&[], channel, action, params)
    }

    /// [`Handler::broadcast_action_except`] of params that are encoded here, once.
    ///
    /// # Errors
    /// As for [`Handler::broadcast_json`].
    pub fn broadcast_json_except(
        &mut self,
        excluded: &[Identity],
        channel: &Channel,
        action: &str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        let frame = Frame::new(channel, action, params)?;
        Ok(self.broadcast_action_except(excluded, channel, action, frame)?)
    }
}

/// Writes the events of one connection.
///
/// See the [module](self) for an example; a host's loop is
///
/// ```
/// # use bytes::BytesMut;
/// # use holocast::{Connection, sse::{Frame, Writer}};
/// # async fn send(_: bytes::Bytes) {}
/// async fn serve(mut tab: Connection<Frame>, mut writer: Writer) {
///     let mut out = BytesMut::new();
///     // In a real server: beside a timer that sends KEEP_ALIVE.
///     while writer.write_next(&mut tab, &mut out, 1 << 16).await {
///         send(out.split().freeze()).await;
///     }
///     send(out.freeze()).await;
/// }
/// ```
#[derive(Debug)]
pub struct Writer {
    realtime: Realtime<Frame>,
    id: u64,
}

impl Writer {
    /// A writer whose first event has the id 1. The engine signs its receipts.
    #[must_use]
    pub fn new(realtime: &Realtime<Frame>) -> Self {
        Self { realtime: realtime.clone(), id: 0 }
    }

    /// Goes on after the id that a browser gives in `Last-Event-ID`. Ids tell a page what it has seen; nothing is kept to be sent again.
    #[must_use]
    pub fn resume_after(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// Appends one event; whether more can come after it.
    pub fn write(&mut self, event: &Event<Frame>, out: &mut BytesMut) -> bool {
        out.extend_from_slice(b"data: ");
        let goes_on = self.write_json(event, out);
        self.end(out);
        goes_on
    }

    /// Appends a broadcast for a receiver with these cids: of a [`Batch`](crate::Batch), say.
    pub fn write_action<'a>(
        &mut self,
        frame: &Frame,
        cids: impl IntoIterator<Item = &'a Cid>,
        out: &mut BytesMut,
    ) {
        out.extend_from_slice(b"data: ");
        frame.write_json(cids, out);
        self.end(out);
    }

    /// Appends what a commit means for its own tab, as events: its receipts, what was dropped, and its own broadcasts, each once with all
    /// cids. The answer to the request, in the form of the stream.
    ///
    /// ```
    /// use holocast::{Client, Realtime, channel, sse::{Frame, Writer}};
    ///
    /// let realtime = Realtime::<Frame>::new();
    /// let (tab, news) = (Client::new("tab-1"), channel!("news"));
    /// let _connected = realtime.connect(&tab)?;
    /// ["page", "ticker"].map(|cid| realtime.put_subscription(&tab, &news, cid).unwrap());
    /// let mut handler = realtime.handler(&tab);
    /// handler.broadcast_json(&news, "add", "hello")?;
    ///
    /// let mut answer = bytes::BytesMut::new();
    /// Writer::new(&realtime).write_committed(&handler.commit()?, &mut answer);
    /// let json = r#"{"type":"action","channel":"news","action":"add","params":"hello","cids":["page","ticker"]}"#;
    /// assert_eq!(answer, format!("data: {json}\nid: 1\n\n"));
    /// # Ok::<(), holocast::sse::Error>(())
    /// ```
    pub fn write_committed(&mut self, committed: &Committed<Frame>, out: &mut BytesMut) {
        for receipt in &committed.receipts {
            self.write(&Event::Subscribed(receipt.clone()), out);
        }
        if !committed.dropped.is_empty() {
            self.write(&Event::Unsubscribed(committed.dropped.clone()), out);
        }
        for echoes in committed.echoes.chunk_by(|one, next| Arc::ptr_eq(&one.message, &next.message)) {
            self.write_action(echoes[0].params(), echoes.iter().map(Echo::cid), out);
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.id = self.id.wrapping_add(1);
        // Never fails: a buffer grows.
        let _ = write!(out.writer(), "\nid: {}\n\n", self.id);
    }

    /// Appends the events that are queued, until there are so many bytes; whether more can come.
    pub fn write_queued(
        &mut self,
        connection: &mut Connection<Frame>,
        out: &mut BytesMut,
        max_bytes: usize,
    ) -> bool {
        while out.len() < max_bytes {
            match connection.try_recv() {
                Ok(event) if self.write(&event, out) => {}
                Ok(_) | Err(crate::TryRecvError::Closed) => return false,
                Err(crate::TryRecvError::Empty) => return true,
            }
        }
        true
    }

    /// Waits for an event, appends it and those that are queued behind it, until there are so many bytes; whether more can come.
    /// Cancelled, it has written and lost nothing.
    pub async fn write_next(
        &mut self,
        connection: &mut Connection<Frame>,
        out: &mut BytesMut,
        max_bytes: usize,
    ) -> bool {
        match connection.recv().await {
            Some(event) => self.write(&event, out) && self.write_queued(connection, out, max_bytes),
            None => false,
        }
    }

    /// Appends the bare JSON of one event: the text of a WebSocket message. Whether more can come after it.
    pub fn write_json(&self, event: &Event<Frame>, out: &mut BytesMut) -> bool {
        match event {
            Event::Broadcast(delivery) => delivery.params().write_json(delivery.cids(), out),
            Event::Subscribed(receipt) => self.write_receipt(receipt, out),
            Event::Unsubscribed(keys) => write_keys(keys, out),
            Event::Lagged(lost) => _ = write!(out.writer(), r#"{{"type":"lagged","lost":{lost}}}"#),
            Event::Closed(reason) => {
                let _ = write!(out.writer(), r#"{{"type":"closed","reason":"{reason}"}}"#);
                return false;
            }
        }
        true
    }

    /// Appends `subscribed` with this receipt, bare: for the receipts that a connect or a commit returns.
    pub fn write_receipt(&self, receipt: &Receipt, out: &mut BytesMut) {
        out.extend_from_slice(br#"{"type":"subscribed","#);
        write_key(receipt.channel(), receipt.cid(), out);
        out.extend_from_slice(br#","receipt":"#);
        match self.realtime.sign(receipt) {
            Ok(token) => write_text(&token, out),
            Err(_) => out.extend_from_slice(b"null"),
        }
        out.put_u8(b'}');
    }
}

/// Appends the field that tells a browser how long to wait before it opens a stream again.
///
/// ```
/// let mut out = bytes::BytesMut::new();
/// holocast::sse::write_retry(std::time::Duration::from_secs(2), &mut out);
/// assert_eq!(out, "retry: 2000\n\n");
/// ```
pub fn write_retry(wait: Duration, out: &mut BytesMut) {
    let _ = write!(out.writer(), "retry: {}\n\n", wait.as_millis());
}

fn write_keys(keys: &[Key], out: &mut BytesMut) {
    out.extend_from_slice(br#"{"type":"unsubscribed","keys":["#);
    for (place, (channel, cid)) in keys.iter().enumerate() {
        out.extend_from_slice(if place > 0 { b",{" } else { b"{" });
        write_key(channel, cid, out);
        out.put_u8(b'}');
    }
    out.extend_from_slice(b"]}");
}

fn write_key(channel: &Channel, cid: &Cid, out: &mut BytesMut) {
    out.extend_from_slice(br#""channel":"#);
    // Never fails: a channel has JSON, a buffer grows.
    let _ = serde_json::to_writer(out.writer(), channel);
    out.extend_from_slice(br#","cid":"#);
    write_text(cid, out);
}

fn write_text(text: &str, out: &mut BytesMut) {
    // Never fails: text has JSON, a buffer grows.
    let _ = serde_json::to_writer(out.writer(), text);
}

#[cfg(all(test, not(any(holocast_loom, holocast_shuttle))))]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Client, Overflow, SigningKey, channel};

    fn engine() -> Realtime<Frame> {
        let keys = [SigningKey::new([7; 32]).expect("long enough")];
        Realtime::builder()
            .signing_keys(keys)
            .queue_capacity(2)
            .overflow(Overflow::DropNewest)
            .build()
            .expect("within the ranges")
    }

    /// The events in the text of a stream: data and id.
    fn parsed(stream: &[u8]) -> Vec<(Value, String)> {
        let stream = std::str::from_utf8(stream).expect("UTF-8");
        assert!(stream.is_empty() || stream.ends_with("\n\n"));
        let events = stream.split_terminator("\n\n").map(|event| {
            let (data, id) = event.split_once('\n').expect("two lines");
            let data = data.strip_prefix("data: ").expect("a data line");
            (serde_json::from_str(data).expect("JSON"), id.strip_prefix("id: ").expect("an id").to_owned())
        });
        events.collect()
    }

    #[test]
    fn every_event_is_one_line_of_json_with_an_id() {
        let realtime = engine();
        let client = Client::new("i1").with_user(7);
        let mut tab = realtime.connect(&client).expect("short").connection;
        let room = channel!("room", 42);
        realtime.subscribe(&Identity::user(7), &room, "a\n\"b\"").expect("short");
        realtime.put_subscription(&client, &room, "page").expect("short");
        (0..3).for_each(|n| _ = realtime.broadcast_json(&room, "add\n", &json!({ "n": n })).expect("JSON"));
        realtime.unsubscribe(&Identity::user(7), &room, "page").expect("short");
        realtime.shutdown();
        let (mut writer, mut out) = (Writer::new(&realtime).resume_after(41), BytesMut::new());
        assert!(!writer.write_queued(&mut tab, &mut out, usize::MAX), "it has ended");
        assert!(!writer.write_queued(&mut tab, &mut out, usize::MAX), "and still has");
        let (mut data, ids): (Vec<Value>, Vec<String>) = parsed(&out).into_iter().unzip();
        // Told with the next take.
        assert_eq!(data.remove(0), json!({"type": "lagged", "lost": 1}));
        let token = data[0]["receipt"].as_str().expect("a token");
        assert_eq!(realtime.verify(token).expect("ours").cid().as_str(), "a\n\"b\"");
        assert_eq!(data[0]["channel"], json!(["room", 42]));
        let action = |n: u64| {
            let cids = ["a\n\"b\"", "page"];
            json!({"type": "action", "channel": ["room", 42], "action": "add\n", "params": {"n": n}, "cids": cids})
        };
        assert_eq!([&data[1], &data[2]], [&action(0), &action(1)]);
        let key = json!({"channel": ["room", 42], "cid": "page"});
        assert_eq!(data[3], json!({"type": "unsubscribed", "keys": [key]}));
        assert_eq!(data[4], json!({"type": "closed", "reason": "shutdown"}));
        assert_eq!(ids, ["42", "43", "44", "45", "46", "47"]);
    }

    #[test]
    fn raw_json_in_lines_does_not_end_an_event() {
        let raw = RawValue::from_string("{\n\"a\":\r\n\"x\\n\"}".to_owned()).expect("JSON");
        let frame = Frame::new(&channel!("news"), "add", &raw).expect("JSON");
        let mut out = BytesMut::new();
        Writer::new(&engine()).write_action(&frame, [&Cid::from("page")], &mut out);
        assert_eq!(parsed(&out)[0].0["params"], json!({"a": "x\n"}));
    }

    #[test]
    fn a_stream_stops_writing_when_the_buffer_is_full_and_goes_on_later() {
        let realtime = engine();
        let mut tab = realtime.connect(&Client::new("i1")).expect("short").connection;
        realtime.put_subscription(&Client::new("i1"), &channel!("news"), "page").expect("short");
        (0..2).for_each(|n| _ = realtime.broadcast_json(&channel!("news"), "add", &n).expect("JSON"));
        let (mut writer, mut out) = (Writer::new(&realtime), BytesMut::new());
        for n in 0..2 {
            assert!(writer.write_queued(&mut tab, &mut out, 1));
            assert_eq!(parsed(&out.split())[0].0["params"], n);
        }
    }

    #[test]
    fn without_a_key_a_receipt_is_null() {
        let realtime = Realtime::<Frame>::new();
        let receipt =
            realtime.put_subscription(&Client::new("i1"), &channel!("news"), "page").expect("short");
        let mut out = BytesMut::new();
        Writer::new(&realtime).write_receipt(&receipt.expect("fresh"), &mut out);
        assert_eq!(out, r#"{"type":"subscribed","channel":"news","cid":"page","receipt":null}"#);
    }

    #[test]
    fn what_has_no_json_is_not_broadcast() {
        let realtime = engine();
        let unfit = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(matches!(realtime.broadcast_json(&channel!("news"), "add", &unfit), Err(Error::Encode(_))));
        let long = "x".repeat(2000);
        assert!(matches!(realtime.broadcast_json(&channel!("news"), &long, &1), Err(Error::Refused(_))));
        assert_eq!(realtime.stats().broadcasts, 0);
    }
}
