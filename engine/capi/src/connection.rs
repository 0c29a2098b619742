//! Connections: made by connect and reconnect, and received from by polling, blocking or a callback.

use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use std::time::Duration;

use holocast::{
    Connected as EngineConnected, Event as EngineEvent, Realtime, RecvTimeoutError, TryRecvError,
};

use crate::Params;
use crate::engine::Engine;
use crate::event::Event;
use crate::raw::{Client, List, Text, place, there};
use crate::receipts::{Receipts, verify};
use crate::status::{Failure, Status, guard};
use crate::waker::Waker;

/// A timeout that never comes.
pub const HOLOCAST_FOREVER: u64 = u64::MAX;

/// The receiving half of one tab. One thread at a time may use it, any one.
#[derive(Debug)]
pub struct Connection {
    /// Signs receipts.
    realtime: Realtime<Params>,
    connection: holocast::Connection<Params>,
}

/// What connect and reconnect give out.
#[repr(C)]
#[derive(Debug)]
pub struct Connected {
    /// To be freed; null if the call failed.
    pub(crate) connection: Option<Box<Connection>>,
    /// Fresh receipts for all bindings in force, to be freed; null if there are none.
    pub(crate) receipts: Option<Box<Receipts>>,
    /// Tokens that are forged, cut, expired or of an unknown key. They bind nothing.
    pub(crate) refused_tokens: usize,
    /// Whether it took the place of a live connection of the same instance.
    pub(crate) superseded: bool,
}

impl Connection {
    fn event(&self, event: EngineEvent<Params>) -> Option<Box<Event>> {
        Some(Event::new(&self.realtime, event, None))
    }
}

pub(crate) fn nothing_yet() -> Failure {
    Failure::new(Status::Empty, "no event is queued, wait or try again")
}

pub(crate) fn too_late() -> Failure {
    Failure::new(Status::Timeout, "no event came in time, wait again")
}

fn ended() -> Failure {
    Failure::new(Status::Closed, "the connection has ended, free it")
}

/// Makes a live connection with no bindings. If the instance has a live connection, takes its place, with all bindings in force and all
/// that is queued; the receiver of that one gets CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_connect(
    engine: Option<&Engine>,
    client: Option<&Client>,
    connected: Option<&mut MaybeUninit<Connected>>,
) -> Status {
    holocast_reconnect(engine, client, List::lend(&[]), connected)
}

/// As holocast_connect, and restores the bindings whose receipts are valid, presented as tokens. A token that is worth nothing is
/// counted and binds nothing, nor does a receipt that was revoked. If the instance has a live connection, receipts are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_reconnect(
    engine: Option<&Engine>,
    client: Option<&Client>,
    tokens: List<Text>,
    connected: Option<&mut MaybeUninit<Connected>>,
) -> Status {
    guard(|| {
        let nothing = Connected { connection: None, receipts: None, refused_tokens: 0, superseded: false };
        let out = there(connected, "connected")?.write(nothing);
        let (engine, client) = (there(engine, "engine")?, there(client, "client")?.read()?);
        let (presented, refused_tokens) = verify(&engine.realtime, &tokens)?;
        let realtime = engine.realtime.clone();
        let EngineConnected { connection, receipts, superseded } = realtime.reconnect(&client, &presented)?;
        *out = Connected {
            receipts: Receipts::new(&realtime, receipts),
            connection: Some(Box::new(Connection { realtime, connection })),
            refused_tokens,
            superseded,
        };
        Ok(())
    })
}

/// The next event, if one is queued: OK, EMPTY or CLOSED. The event is to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_connection_try_recv(
    connection: Option<&mut Connection>,
    event: Option<&mut MaybeUninit<Option<Box<Event>>>>,
) -> Status {
    guard(|| {
        let out = place(event, "event")?;
        let connection = there(connection, "connection")?;
        *out = match connection.connection.try_recv() {
            Ok(event) => connection.event(event),
            Err(TryRecvError::Empty) => return Err(nothing_yet()),
            Err(TryRecvError::Closed) => return Err(ended()),
        };
        Ok(())
    })
}

/// Blocks the thread until the next event, at most so many milliseconds: OK, TIMEOUT or CLOSED. HOLOCAST_FOREVER is no bound. The event
/// is to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_connection_recv(
    connection: Option<&mut Connection>,
    timeout_ms: u64,
    event: Option<&mut MaybeUninit<Option<Box<Event>>>>,
) -> Status {
    guard(|| {
        let out = place(event, "event")?;
        let connection = there(connection, "connection")?;
        *out = match connection.connection.blocking_recv_timeout(Duration::from_millis(timeout_ms)) {
            Ok(event) => connection.event(event),
            Err(RecvTimeoutError::Timeout) => return Err(too_late()),
            Err(RecvTimeoutError::Closed) => return Err(ended()),
        };
        Ok(())
    })
}

/// The next event, if one is queued: OK, EMPTY or CLOSED. After EMPTY the waker is called once as soon as there may be something; poll again
/// then, and until EMPTY comes. The last waker counts. The event is to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_connection_poll_recv(
    connection: Option<&mut Connection>,
    waker: Option<&Waker>,
    event: Option<&mut MaybeUninit<Option<Box<Event>>>>,
) -> Status {
    guard(|| {
        let out = place(event, "event")?;
        let connection = there(connection, "connection")?;
        let mut context = Context::from_waker(there(waker, "waker")?.task());
        *out = match connection.connection.poll_recv(&mut context) {
            Poll::Ready(Some(event)) => connection.event(event),
            Poll::Ready(None) => return Err(ended()),
            Poll::Pending => return Err(nothing_yet()),
        };
        Ok(())
    })
}

/// Ends a connection, unless it has ended or was superseded, and frees it; null is fine. Its events stay valid.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_connection_free(connection: Option<Box<Connection>>) {
    guard(|| {
        drop(connection);
        Ok(())
    });
}
