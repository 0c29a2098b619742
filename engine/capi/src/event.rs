//! What a receiver gets, read by one function for each of its parts.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use holocast::{
    Batch, Channel, CloseReason as EngineReason, Delivery, Event as EngineEvent, Key as EngineKey, Realtime,
};

use crate::Params;
use crate::raw::{Bytes, Key, List, Text, there};
use crate::receipts::{Issued, Receipt};
use crate::status::{Failure, Status, guard};

/// What an event is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// There is no event.
    None = 0,
    /// A broadcast to one connection: channel, keys, action, params.
    Broadcast = 1,
    /// A broadcast to connections of a lane: channel, action, params, receivers.
    Batch = 2,
    /// A binding was granted or confirmed: channel, keys, receipt.
    Subscribed = 3,
    /// Bindings are gone, and their receipts are worth nothing: keys.
    Unsubscribed = 4,
    /// Broadcasts were lost because a queue was full: lost. Of a lane without a socket: any of its connections may have missed them.
    Lagged = 5,
    /// The end; nothing comes after it: reason.
    Closed = 6,
    /// Something that this interface does not know yet.
    Other = 7,
}

/// Why a connection ended.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// For none of the reasons below.
    Other = 0,
    /// A newer connection of the same instance took its place.
    Superseded = 1,
    /// Somebody disconnected it.
    Disconnected = 2,
    /// Its queue was full.
    Overflow = 3,
    /// The engine was shut down.
    Shutdown = 4,
}

/// One of the connections that a batch is for.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Receiver {
    /// As it was given when the connection was made.
    pub(crate) socket: u64,
    /// The components that it is for, in order; never none.
    pub(crate) cids: List<Text>,
}

/// Something that a connection or a lane is told. Many threads may read one at once, but for holocast_event_receivers, which needs it for
/// itself. It may be kept for as long as you like, also when its connection or lane is freed; a broadcast that is kept keeps its params.
/// All that is read from it is valid until it is freed.
#[derive(Debug)]
pub struct Event {
    content: Content,
    /// Of the connection of a lane.
    socket: Option<u64>,
    channels: OnceLock<Vec<String>>,
    keys: OnceLock<Vec<Key>>,
}

#[derive(Debug)]
enum Content {
    Broadcast(Delivery<Params>),
    Batch(Box<Unloaded>),
    Subscribed(Channel, Issued),
    Unsubscribed(Vec<EngineKey>),
    Lagged(u64),
    Closed(EngineReason),
    Other,
}

/// A batch, and the receivers of it that were read last.
#[derive(Debug)]
struct Unloaded {
    batch: Batch<Params>,
    receivers: Vec<Receiver>,
    cids: Vec<Text>,
}

impl Event {
    fn of(content: Content, socket: Option<u64>) -> Box<Self> {
        Box::new(Self { content, socket, channels: OnceLock::new(), keys: OnceLock::new() })
    }

    pub(crate) fn new(
        realtime: &Realtime<Params>,
        event: EngineEvent<Params>,
        socket: Option<u64>,
    ) -> Box<Self> {
        let content = match event {
            EngineEvent::Broadcast(delivery) => Content::Broadcast(delivery),
            EngineEvent::Subscribed(receipt) => {
                Content::Subscribed(receipt.channel().clone(), Issued::new(realtime, receipt))
            }
            EngineEvent::Unsubscribed(keys) => Content::Unsubscribed(keys),
            EngineEvent::Lagged(lost) => Content::Lagged(lost),
            EngineEvent::Closed(reason) => Content::Closed(reason),
            _ => Content::Other,
        };
        Self::of(content, socket)
    }

    pub(crate) fn batch(batch: Batch<Params>) -> Box<Self> {
        Self::of(Content::Batch(Box::new(Unloaded { batch, receivers: Vec::new(), cids: Vec::new() })), None)
    }

    pub(crate) fn lane_lagged(lost: u64) -> Box<Self> {
        Self::of(Content::Lagged(lost), None)
    }

    pub(crate) fn other() -> Box<Self> {
        Self::of(Content::Other, None)
    }

    fn kind(&self) -> EventKind {
        match self.content {
            Content::Broadcast(_) => EventKind::Broadcast,
            Content::Batch(_) => EventKind::Batch,
            Content::Subscribed(..) => EventKind::Subscribed,
            Content::Unsubscribed(_) => EventKind::Unsubscribed,
            Content::Lagged(_) => EventKind::Lagged,
            Content::Closed(_) => EventKind::Closed,
            Content::Other => EventKind::Other,
        }
    }

    fn lacks(&self, what: &str) -> Failure {
        Failure::new(Status::WrongEvent, format!("an event of the kind {:?} has no {what}", self.kind()))
    }

    /// The one channel that it is of.
    fn channel(&self) -> Option<&Channel> {
        match &self.content {
            Content::Broadcast(delivery) => Some(delivery.channel()),
            Content::Batch(unloaded) => Some(unloaded.batch.channel()),
            Content::Subscribed(channel, _) => Some(channel),
            Content::Unsubscribed(_) | Content::Lagged(_) | Content::Closed(_) | Content::Other => None,
        }
    }

    /// The texts of the channels that it is of, made when somebody asks: one, or one for each key.
    fn channels(&self) -> &[String] {
        self.channels.get_or_init(|| match &self.content {
            Content::Unsubscribed(keys) => keys.iter().map(|(channel, _)| channel.to_string()).collect(),
            _ => self.channel().iter().map(ToString::to_string).collect(),
        })
    }

    fn keys(&self) -> Result<&[Key], Failure> {
        let cids: Vec<Text> = match &self.content {
            // Made once: what was given out points to it.
            _ if self.keys.get().is_some() => Vec::new(),
            Content::Broadcast(delivery) => delivery.cids().map(|cid| Text::lend(cid)).collect(),
            Content::Subscribed(_, issued) => vec![issued.cid()],
            Content::Unsubscribed(keys) => keys.iter().map(|(_, cid)| Text::lend(cid)).collect(),
            _ => return Err(self.lacks("keys")),
        };
        Ok(self.keys.get_or_init(|| {
            // One channel for all, or one for each.
            let channels = self.channels().iter().cycle().map(|text| Text::lend(text));
            channels.zip(cids).map(|(channel, cid)| Key { channel, cid }).collect()
        }))
    }
}

impl Unloaded {
    fn next(&mut self, most: usize) -> &[Receiver] {
        self.receivers.clear();
        self.cids.clear();
        let mut starts = Vec::new();
        for (socket, cids) in self.batch.receivers().take(most) {
            starts.push((socket, self.cids.len()));
            self.cids.extend(cids.map(|cid| Text::lend(cid)));
        }
        // Pointed to only now: the list has moved while it grew.
        let mut rest = self.cids.as_slice();
        let ends = starts.iter().skip(1).map(|(_, start)| *start).chain([self.cids.len()]);
        for ((socket, start), end) in starts.iter().zip(ends) {
            let (cids, others) = rest.split_at(end - start);
            self.receivers.push(Receiver { socket: *socket, cids: List::lend(cids) });
            rest = others;
        }
        &self.receivers
    }
}

/// What an event is; none for null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_kind_of(event: Option<&Event>) -> EventKind {
    event.map_or(EventKind::None, Event::kind)
}

/// The text of the channel that an event is of: of BROADCAST, BATCH and SUBSCRIBED.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_channel(
    event: Option<&Event>,
    channel: Option<&mut MaybeUninit<Text>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(channel, "channel")?);
        let text = match (event.channel(), event.channels().first()) {
            (Some(_), Some(text)) => text,
            _ => return Err(event.lacks("channel")),
        };
        out.write(Text::lend(text));
        Ok(())
    })
}

/// The bindings that an event is of: of BROADCAST, one for each component that it is for; of SUBSCRIBED, the one; of UNSUBSCRIBED,
/// those that are gone, in order.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_keys(
    event: Option<&Event>,
    keys: Option<&mut MaybeUninit<List<Key>>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(keys, "keys")?);
        out.write(List::lend(event.keys()?));
        Ok(())
    })
}

/// The name of the action: of BROADCAST and BATCH.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_action(
    event: Option<&Event>,
    action: Option<&mut MaybeUninit<Text>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(action, "action")?);
        out.write(Text::lend(match &event.content {
            Content::Broadcast(delivery) => delivery.action(),
            Content::Batch(unloaded) => unloaded.batch.action(),
            _ => return Err(event.lacks("action")),
        }));
        Ok(())
    })
}

/// The params, shared by all receivers: of BROADCAST and BATCH.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_params(
    event: Option<&Event>,
    params: Option<&mut MaybeUninit<Bytes>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(params, "params")?);
        out.write(Bytes::lend(match &event.content {
            Content::Broadcast(delivery) => delivery.params(),
            Content::Batch(unloaded) => unloaded.batch.params(),
            _ => return Err(event.lacks("params")),
        }));
        Ok(())
    })
}

/// The receipt to keep for reconnects: of SUBSCRIBED.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_receipt(
    event: Option<&Event>,
    receipt: Option<&mut MaybeUninit<Receipt>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(receipt, "receipt")?);
        out.write(match &event.content {
            Content::Subscribed(_, issued) => issued.view(),
            _ => return Err(event.lacks("receipt")),
        });
        Ok(())
    })
}

/// How many broadcasts were lost: of LAGGED.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_lost(event: Option<&Event>, lost: Option<&mut MaybeUninit<u64>>) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(lost, "lost")?);
        out.write(match event.content {
            Content::Lagged(lost) => lost,
            _ => return Err(event.lacks("count of what was lost")),
        });
        Ok(())
    })
}

/// Why the connection ended: of CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_reason(
    event: Option<&Event>,
    reason: Option<&mut MaybeUninit<CloseReason>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(reason, "reason")?);
        out.write(match event.content {
            Content::Closed(EngineReason::Superseded) => CloseReason::Superseded,
            Content::Closed(EngineReason::Disconnected) => CloseReason::Disconnected,
            Content::Closed(EngineReason::Overflow) => CloseReason::Overflow,
            Content::Closed(EngineReason::Shutdown) => CloseReason::Shutdown,
            Content::Closed(_) => CloseReason::Other,
            _ => return Err(event.lacks("reason")),
        });
        Ok(())
    })
}

/// The connection of a lane that an event is for, by the socket it was made with: of all but BATCH, and LAGGED if it is the whole lane's.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_socket(
    event: Option<&Event>,
    socket: Option<&mut MaybeUninit<u64>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(socket, "socket")?);
        out.write(event.socket.ok_or_else(|| event.lacks("socket"))?);
        Ok(())
    })
}

/// The next receivers of a BATCH, at most so many; none: all were handed out. Each is handed out once. Work a batch off before you take the
/// next event. The list is valid until the next call for this event, or until that is freed; what is not read counts as released.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_receivers(
    event: Option<&mut Event>,
    most: usize,
    receivers: Option<&mut MaybeUninit<List<Receiver>>>,
) -> Status {
    guard(|| {
        let (event, out) = (there(event, "event")?, there(receivers, "receivers")?);
        if let Content::Batch(unloaded) = &mut event.content {
            out.write(List::lend(unloaded.next(most)));
            return Ok(());
        }
        Err(event.lacks("receivers"))
    })
}

/// Frees an event; null is fine.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_event_free(event: Option<Box<Event>>) {
    guard(|| {
        drop(event);
        Ok(())
    });
}
