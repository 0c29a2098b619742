//! What tabs listen to: a response of Server-Sent Events, or a WebSocket. Either is opened by a [`Hello`].
//!
//! The page reads Server-Sent Events by `fetch`, not by `EventSource`: it can send its receipts in the body of the request, where an
//! `EventSource` has nothing but the URL, which ends up in logs; and it decides itself when to come back, and with what.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use axum::response::IntoResponse;
use axum::{Json, body::Body};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use holocast::sse::{Frame, KEEP_ALIVE, Writer};
use holocast::{Event, channel};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::session::{Session, Tab};
use crate::{Answer, App, Chat, MAX_REQUEST, MAX_TABS, Refusal, refuse};

/// Proxies close what is silent.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A WebSocket that takes nothing for so long is closed.
const STALLED: Duration = Duration::from_secs(20);
/// How long a tab that is slow on purpose waits for each event, to show what becomes of it.
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
    /// Connects a tab. What it is told: an event, or nothing for a time, to keep the connection alive.
    fn open(
        &self,
        session: &Session,
        hello: &Hello,
    ) -> Result<impl Stream<Item = Option<Event<Frame>>> + use<>, Refusal> {
        session.owns(&hello.tab)?;
        let Ok(permit) = Arc::clone(&self.tabs).try_acquire_owned() else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{MAX_TABS} tabs are served at most"));
        };
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

        let receipts = connected.receipts.into_iter().chain(own.receipts);
        let pace = if hello.slow { SLOW } else { Duration::ZERO };
        // When the browser goes away this is dropped, and the connection with it.
        let queued = stream::unfold((connected.connection, permit), move |mut state| async move {
            if !pace.is_zero() {
                sleep(pace).await;
            }
            match timeout(KEEP_ALIVE_EVERY, state.0.recv()).await {
                Ok(event) => Some((Some(event?), state)),
                Err(_) => Some((None, state)),
            }
        });
        Ok(stream::iter(receipts.map(|receipt| Some(Event::Subscribed(receipt)))).chain(queued))
    }
}

pub(crate) async fn events(State(app): State<App>, headers: HeaderMap, Json(hello): Json<Hello>) -> Answer {
    let events = app.open(&*app.session(&headers)?, &hello)?;
    let (mut writer, mut out) = (Writer::new(&app.realtime), BytesMut::new());
    // One write for all that is there.
    let body = events.ready_chunks(64).map(move |events| {
        for event in events {
            match event {
                Some(event) => _ = writer.write(&event, &mut out),
                None => out.extend_from_slice(KEEP_ALIVE),
            }
        }
        Ok::<_, Infallible>(out.split().freeze())
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
    // A script is not told the status of a WebSocket that was refused, but the code of one that was closed.
    let session = app.session(&headers);
    Ok(upgrade.max_message_size(MAX_REQUEST).on_upgrade(async move |mut socket| {
        if let Err(Refusal(status, why)) = converse(&app, session, &mut socket).await {
            // The codes from 4000 on are free to use.
            let close = CloseFrame { code: 4000 + status.as_u16(), reason: why.into() };
            let _ = socket.send(Message::Close(Some(close))).await;
        }
    }))
}

/// Until either side ends it.
async fn converse(
    app: &Chat,
    session: Result<Arc<Session>, Refusal>,
    socket: &mut WebSocket,
) -> Result<(), Refusal> {
    let session = session?;
    let Some(hello) = timeout(STALLED, socket.recv()).await? else { return Ok(()) };
    let Ok(hello) = serde_json::from_str(hello?.to_text()?) else {
        return refuse(StatusCode::BAD_REQUEST, "the first message is no hello");
    };
    let mut events = pin!(app.open(&session, &hello)?);
    let (writer, mut out) = (Writer::new(&app.realtime), BytesMut::new());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // Nothing is expected, but pings are answered by this, and the end is seen.
            received = socket.recv() => match received { Some(Ok(_)) => continue, _ => None },
        };
        let message = match event {
            Some(Some(event)) => {
                writer.write_json(&event, &mut out);
                Message::Text(out.split().freeze().try_into().expect("JSON is UTF-8"))
            }
            Some(None) => Message::Ping(Bytes::new()),
            None => return Ok(()),
        };
        timeout(STALLED, socket.send(message)).await??;
    }
}

/// Ends the tab's own connection, as a network that fails does: the page comes back with its receipts.
pub(crate) async fn disconnect(tab: Tab) {
    tab.app.realtime.disconnect(&tab.name);
}
