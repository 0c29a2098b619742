//! The engine's part of the same work, without sockets and tasks: what it holds for the connections, and what its part of each delivery takes.

use std::time::Instant;

use bytes::BytesMut;
use holocast::sse::{Frame, Writer};
use holocast::{Client, Connection, Event};
use serde::{Deserialize, Serialize};

use crate::serve::{Params, engine, now_us, room};
use crate::{Failure, Load, system};

/// Deliveries that are timed, at least.
const DELIVERIES: u64 = 500_000;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Of memory for each connection.
    pub(crate) bytes: f64,
    /// Of time for each delivery: the broadcast, encoding included.
    pub(crate) publish_ns: f64,
    /// The take.
    pub(crate) take_ns: f64,
    /// Writing it as an event.
    pub(crate) encode_ns: f64,
}

pub(crate) fn run(load: &Load) -> Result<(), Failure> {
    let realtime = engine(load)?;
    let process = std::process::id();
    let mut connections: Vec<(Connection<Frame>, Writer)> = Vec::with_capacity(load.connections as usize);
    let before = system::resident_bytes(process)?;
    for number in 0..load.connections {
        let client =
            Client::new(format!("tab-{number}")).with_session(i64::from(number)).with_user(i64::from(number));
        let connection = realtime.connect(&client)?.connection;
        realtime.put_subscription(&client, &room(number % load.rooms), "page")?;
        connections.push((connection, Writer::new(&realtime)));
    }
    let bytes = system::resident_bytes(process)?.saturating_sub(before) as f64 / f64::from(load.connections);

    let text = "x".repeat(load.payload as usize);
    let (mut publish, mut take, mut encode, mut deliveries) = (0, 0, 0, 0);
    let mut events: Vec<Event<Frame>> = Vec::with_capacity(connections.len());
    let mut out = BytesMut::new();
    for number in 0.. {
        let (of_room, begin) = ((number % u64::from(load.rooms)) as u32, Instant::now());
        let params = Params { at: now_us(), number, text: &text };
        realtime.broadcast_json(&room(of_room), "tick", &params)?;
        publish += begin.elapsed().as_nanos();
        let listeners = connections.iter_mut().skip(of_room as usize).step_by(load.rooms as usize);
        let begin = Instant::now();
        events.extend(listeners.filter_map(|(connection, _)| connection.try_recv().ok()));
        take += begin.elapsed().as_nanos();
        deliveries += events.len() as u64;
        let begin = Instant::now();
        for (event, (_, writer)) in events.iter().zip(&mut connections) {
            writer.write(event, &mut out);
            out.clear();
        }
        encode += begin.elapsed().as_nanos();
        let begin = Instant::now();
        // The last one of a broadcast frees it.
        events.clear();
        take += begin.elapsed().as_nanos();
        if deliveries >= DELIVERIES {
            break;
        }
    }
    let each = |ns: u128| ns as f64 / deliveries as f64;
    let figures = Figures { bytes, publish_ns: each(publish), take_ns: each(take), encode_ns: each(encode) };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
