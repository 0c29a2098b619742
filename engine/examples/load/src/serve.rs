//! The server: axum, a task for each connection, as the chat has it.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::BytesMut;
use futures_util::stream::unfold;
use holocast::sse::{Frame, Writer};
use holocast::{Channel, Client, Realtime, channel};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::{Failure, Load, system};

/// What a broadcast carries.
#[derive(Serialize)]
pub(crate) struct Params<'a> {
    /// When it was planned, in microseconds since the Unix epoch: the clients run on the same clock.
    pub(crate) at: u64,
    /// Counts the broadcasts of its room.
    pub(crate) number: u64,
    pub(crate) text: &'a str,
}

pub(crate) fn room(number: u32) -> Channel {
    channel!("room", i64::from(number))
}

pub(crate) fn engine(load: &Load) -> Result<Realtime<Frame>, Failure> {
    Ok(Realtime::builder().expected_connections(load.connections as usize).queue_capacity(4096).build()?)
}

pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

#[derive(Deserialize)]
struct Tab {
    number: u32,
    room: u32,
}

pub(crate) fn run(load: &Load) -> Result<(), Failure> {
    system::allow_files(u64::from(load.connections) + 100)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let realtime = engine(load)?;
        let router = Router::new()
            .route("/events", get(events))
            .route(
                "/broadcast",
                post({
                    let load = load.clone();
                    move |State(realtime)| broadcast(realtime, load)
                }),
            )
            .with_state(realtime);
        let listener = tokio::net::TcpSocket::new_v4()?;
        listener.bind(([127, 0, 0, 1], 0).into())?;
        let listener = listener.listen(4096)?;
        println!("{}", listener.local_addr()?);
        Ok(axum::serve(listener, router).await?)
    })
}

async fn events(State(realtime): State<Realtime<Frame>>, Query(tab): Query<Tab>) -> Result<Response, String> {
    let client = Client::new(format!("tab-{}", tab.number))
        .with_session(i64::from(tab.number))
        .with_user(i64::from(tab.number));
    let connection = realtime.connect(&client).map_err(|error| error.to_string())?.connection;
    realtime.put_subscription(&client, &room(tab.room), "page").map_err(|error| error.to_string())?;
    // A comment, so that the client knows that it listens.
    let hello = BytesMut::from(&b": bound\n\n"[..]);
    let body = unfold(
        (connection, Writer::new(&realtime), hello),
        |(mut connection, mut writer, mut out)| async move {
            if out.is_empty() {
                writer.write_next(&mut connection, &mut out, 64 << 10).await;
            }
            Some((Ok::<_, Infallible>(out.split().freeze()), (connection, writer, out)))
        },
    );
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response())
}

/// What was broadcast, and to how many.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) broadcasts: u64,
    pub(crate) reached: u64,
    pub(crate) refused: u64,
}

/// Broadcasts at planned times, whether it keeps up or not.
async fn broadcast(realtime: Realtime<Frame>, load: Load) -> Result<Json<Sent>, String> {
    let text = "x".repeat(load.payload as usize);
    let (begin, begin_us) = (Instant::now(), now_us());
    let mut sent = Sent::default();
    for number in 0..u64::from(load.rate) * u64::from(load.seconds) {
        let planned = Duration::from_secs_f64(number as f64 / f64::from(load.rate));
        sleep_until(begin + planned).await;
        let (of_room, number) = ((number % u64::from(load.rooms)) as u32, number / u64::from(load.rooms));
        let params = Params { at: begin_us + planned.as_micros() as u64, number, text: &text };
        let reach =
            realtime.broadcast_json(&room(of_room), "tick", &params).map_err(|error| error.to_string())?;
        sent.broadcasts += 1;
        sent.reached += reach.reached as u64;
        sent.refused += reach.refused as u64;
    }
    Ok(Json(sent))
}
