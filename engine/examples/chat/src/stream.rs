//! What tabs listen to: a response of Server-Sent Events, or a WebSocket. Either is opened by a [`Hello`].
//!
//! The page reads Server-Sent Events by `fetch`, not by `EventSource`: it can send its receipts in the body of the request, where an
//! `EventSource` has nothing but the URL, which ends up in logs; and it decides itself when to come back, and with what.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use axum::response::IntoResponse;
use axum::{Json, body::Body};
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use holocast::sse::{Frame, KEEP_ALIVE, Writer};
use holocast::{Connection, Event, Receipt, channel};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use crate::session::{Session, Tab};
use crate::{Answer, App, Chat, MAX_REQUEST, Refusal, refuse};

/// Proxies close what is silent.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A WebSocket that takes nothing for so long is closed.
const STALLED: Duration = Duration::from_secs(20);
/// What a tab that is slow on purpose waits after each event, to show what becomes of it.
const SLOW: Duration = Duration::from_millis(500);

/// How a tab introduces itself.
#[derive(serde::Deserialize)]
pub(crate) struct Hello {
    tab: String,
    /// Tokens of what it listened to before it lost its connection.
    receipts: Vec<String>,
    slow: bool,
}

impl Chat {
    /// A connection, the receipts to be told before what is queued, and a permit to be held as long.
    fn open(&self, session: &Session, hello: &Hello) -> Result<Opened, Refusal> {
        session.owns(&hello.tab)?;
        let permit = Arc::clone(&self.tabs).try_acquire_owned()?;
        // A token that does not hold binds nothing, and the page misses it among the receipts it gets: of a server that has ended, say.
        let presented = hello.receipts.iter().filter_map(|token| self.realtime.verify(token).ok());
        // Held until all is bound: no login or logout falls in between.
        let user = session.user.read();
        let client = session.client(&hello.tab, user.as_deref());
        // Restores what the receipts prove and nobody has revoked: whoever was removed from a room stays out (rule R2).
        let connected = self.realtime.reconnect(&client, &presented.collect::<Vec<_>>())?;
        let own = self.realtime.apply(&client, &session.bindings(user.as_deref()), &[])?;
        // Comes after the receipts: the page knows that it has been told of all that it has.
        let you = json!({ "user": *user, "ready": hello.tab });
        self.realtime.broadcast_json(&channel!("session", &session.name), "you", &you)?;
        self.changed.notify_one();
        let receipts = connected.receipts.into_iter().chain(own.receipts).collect();
        Ok((connected.connection, receipts, permit))
    }
}

type Opened = (Connection<Frame>, Vec<Receipt>, OwnedSemaphorePermit);

pub(crate) async fn events(State(app): State<App>, headers: HeaderMap, Json(hello): Json<Hello>) -> Answer {
    let session = app.session(&headers)?;
    let (connection, receipts, permit) = app.open(&session, &hello)?;
    let (mut writer, mut out, slow) = (Writer::new(&app.realtime), BytesMut::new(), hello.slow);
    receipts.into_iter().for_each(|receipt| _ = writer.write(&Event::Subscribed(receipt), &mut out));
    // When the browser goes away this is dropped, and the connection with it.
    let state = (connection, writer, out, true, permit);
    let body = unfold(state, move |(mut connection, mut writer, mut out, mut goes_on, permit)| async move {
        if out.is_empty() && goes_on {
            let bytes = if slow { 1 } else { 16 << 10 };
            match timeout(KEEP_ALIVE_EVERY, writer.write_next(&mut connection, &mut out, bytes)).await {
                Ok(more) => goes_on = more,
                Err(_) => out.extend_from_slice(KEEP_ALIVE),
            }
            if slow {
                sleep(SLOW).await;
            }
        }
        let bytes = out.split().freeze();
        (!bytes.is_empty()).then(|| (Ok::<_, Infallible>(bytes), (connection, writer, out, goes_on, permit)))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(body)).into_response())
}

pub(crate) async fn socket(State(app): State<App>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Answer {
    // A page of anybody's may open a WebSocket to anywhere, and to other ports and subdomains the cookie goes with it.
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host) != text(HOST) {
        return refuse(StatusCode::FORBIDDEN, "this server serves its own pages only");
    }
    let session = app.session(&headers)?;
    Ok(upgrade.max_message_size(MAX_REQUEST).on_upgrade(async move |mut socket| {
        if let Err(Refusal(status, why)) = converse(&app, &session, &mut socket).await {
            // The codes from 4000 on are free to use.
            let close = CloseFrame { code: 4000 + status.as_u16(), reason: why.into() };
            let _ = socket.send(Message::Close(Some(close))).await;
        }
    }))
}

/// Until either side ends it.
async fn converse(app: &Chat, session: &Session, socket: &mut WebSocket) -> Result<(), Refusal> {
    let Some(hello) = timeout(STALLED, socket.recv()).await? else { return Ok(()) };
    let hello: Hello = serde_json::from_str(hello?.to_text()?)?;
    let (mut connection, receipts, _permit) = app.open(session, &hello)?;
    let (writer, mut out) = (Writer::new(&app.realtime), BytesMut::new());
    for receipt in receipts {
        writer.write_receipt(&receipt, &mut out);
        socket.send(text(&mut out)).await?;
    }
    loop {
        let event = tokio::select! {
            event = timeout(KEEP_ALIVE_EVERY, connection.recv()) => event,
            received = socket.recv() => match received {
                // Nothing is expected, but pings are answered by this, and the end is seen.
                Some(Ok(_)) => continue,
                _ => return Ok(()),
            },
        };
        let message = match event {
            Ok(Some(event)) => {
                writer.write_json(&event, &mut out);
                text(&mut out)
            }
            Ok(None) => return Ok(()),
            Err(_) => Message::Ping(Bytes::new()),
        };
        timeout(STALLED, socket.send(message)).await??;
        if hello.slow {
            sleep(SLOW).await;
        }
    }
}

fn text(out: &mut BytesMut) -> Message {
    Message::Text(out.split().freeze().try_into().expect("JSON is UTF-8"))
}

/// Ends the tab's own connection, as a network that fails does: the page comes back with its receipts.
pub(crate) async fn disconnect(tab: Tab) {
    tab.app.realtime.disconnect(&tab.name);
}
