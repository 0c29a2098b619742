//! Lanes: one receiver for any number of connections.

use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use std::time::Duration;

use holocast::{LaneConnected as EngineConnected, LaneEvent, LaneKey, Realtime};

use crate::Params;
use crate::connection::{nothing_yet, too_late};
use crate::engine::Engine;
use crate::event::Event;
use crate::raw::{Client, List, Text, place, tell, there};
use crate::receipts::{Receipts, verify};
use crate::status::{Status, guard};
use crate::waker::Waker;

/// The receiver of any number of connections, for servers with an event loop per core: a broadcast costs its publisher one step for each
/// lane, and comes as one event. One thread at a time may use it, any one.
#[derive(Debug)]
pub struct Lane {
    /// Signs receipts.
    realtime: Realtime<Params>,
    lane: holocast::Lane<Params>,
}

/// What connects and reconnects of a lane give out.
#[repr(C)]
#[derive(Debug)]
pub struct LaneConnected {
    /// To end the connection with.
    pub(crate) key: u64,
    /// Fresh receipts for all bindings in force, to be freed; null if there are none.
    pub(crate) receipts: Option<Box<Receipts>>,
    /// Tokens that are forged, cut, expired or of an unknown key. They bind nothing.
    pub(crate) refused_tokens: usize,
    /// Whether it took the place of a live connection of the same instance.
    pub(crate) superseded: bool,
}

impl Lane {
    fn event(&self, event: LaneEvent<Params>) -> Option<Box<Event>> {
        Some(match event {
            LaneEvent::Broadcast(batch) => Event::batch(batch),
            LaneEvent::One(socket, event) => Event::new(&self.realtime, event, Some(socket)),
            LaneEvent::Lagged(lost) => Event::lane_lagged(lost),
            _ => Event::other(),
        })
    }
}

/// A lane with no connections.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_new(
    engine: Option<&Engine>,
    lane: Option<&mut MaybeUninit<Option<Box<Lane>>>>,
) -> Status {
    guard(|| {
        let out = place(lane, "lane")?;
        let realtime = there(engine, "engine")?.realtime.clone();
        *out = Some(Box::new(Lane { lane: realtime.lane(), realtime }));
        Ok(())
    })
}

/// As holocast_connect, received by the lane. The socket is a value of your own that comes with everything that is for the connection.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_connect(
    lane: Option<&mut Lane>,
    client: Option<&Client>,
    socket: u64,
    connected: Option<&mut MaybeUninit<LaneConnected>>,
) -> Status {
    holocast_lane_reconnect(lane, client, List::lend(&[]), socket, connected)
}

/// As holocast_reconnect, received by the lane.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_reconnect(
    lane: Option<&mut Lane>,
    client: Option<&Client>,
    tokens: List<Text>,
    socket: u64,
    connected: Option<&mut MaybeUninit<LaneConnected>>,
) -> Status {
    guard(|| {
        let nothing = LaneConnected { key: 0, receipts: None, refused_tokens: 0, superseded: false };
        let out = there(connected, "connected")?.write(nothing);
        let (lane, client) = (there(lane, "lane")?, there(client, "client")?.read()?);
        let (presented, refused_tokens) = verify(&lane.realtime, &tokens)?;
        let EngineConnected { key, receipts, superseded } =
            lane.lane.reconnect(&client, &presented, socket)?;
        *out = LaneConnected {
            key: key.as_u64(),
            receipts: Receipts::new(&lane.realtime, receipts),
            refused_tokens,
            superseded,
        };
        Ok(())
    })
}

/// Ends a connection of the lane: nothing comes for it any more, not even its end, and its socket may be given to another one. Whether
/// it was this lane's and live is written to ended, unless that is null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_disconnect(
    lane: Option<&mut Lane>,
    key: u64,
    ended: Option<&mut MaybeUninit<bool>>,
) -> Status {
    guard(|| {
        tell(ended, there(lane, "lane")?.lane.disconnect(LaneKey::from_u64(key)));
        Ok(())
    })
}

/// The next event, if one is queued: OK or EMPTY. The event is to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_try_recv(
    lane: Option<&mut Lane>,
    event: Option<&mut MaybeUninit<Option<Box<Event>>>>,
) -> Status {
    guard(|| {
        let out = place(event, "event")?;
        let lane = there(lane, "lane")?;
        let event = lane.lane.try_recv().ok_or_else(nothing_yet)?;
        *out = lane.event(event);
        Ok(())
    })
}

/// Blocks the thread until the next event, at most so many milliseconds: OK or TIMEOUT. HOLOCAST_FOREVER is no bound. The event is to be
/// freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_recv(
    lane: Option<&mut Lane>,
    timeout_ms: u64,
    event: Option<&mut MaybeUninit<Option<Box<Event>>>>,
) -> Status {
    guard(|| {
        let out = place(event, "event")?;
        let lane = there(lane, "lane")?;
        let event =
            lane.lane.blocking_recv_timeout(Duration::from_millis(timeout_ms)).ok_or_else(too_late)?;
        *out = lane.event(event);
        Ok(())
    })
}

/// The next event, if one is queued: OK or EMPTY. After EMPTY the waker is called once as soon as there may be something; poll again then,
/// and until EMPTY comes. The last waker counts. The event is to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_poll_recv(
    lane: Option<&mut Lane>,
    waker: Option<&Waker>,
    event: Option<&mut MaybeUninit<Option<Box<Event>>>>,
) -> Status {
    guard(|| {
        let out = place(event, "event")?;
        let lane = there(lane, "lane")?;
        let mut context = Context::from_waker(there(waker, "waker")?.task());
        match lane.lane.poll_recv(&mut context) {
            Poll::Ready(event) => *out = lane.event(event),
            Poll::Pending => return Err(nothing_yet()),
        }
        Ok(())
    })
}

/// Ends all connections of a lane and frees it; null is fine. Its events stay valid.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_lane_free(lane: Option<Box<Lane>>) {
    guard(|| {
        drop(lane);
        Ok(())
    });
}
