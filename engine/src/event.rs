//! What a receiver gets.

use std::fmt;
use std::sync::Arc;

use crate::channel::Channel;
use crate::queue::Delivery;
use crate::receipt::Receipt;
use crate::text::{Cid, Text};

/// What a binding is of: a channel and a component.
pub type Key = (Channel, Cid);

/// One broadcast, shared by all its receivers.
#[derive(Debug)]
pub(crate) struct Message<P> {
    pub(crate) channel: Channel,
    pub(crate) action: Text,
    pub(crate) params: P,
    /// In the unit of the caller's weigher; 0 without one.
    pub(crate) weight: u64,
}

/// What a connection is told.
///
/// ```
/// use holocast::{Channel, Client, Event, Identity, Realtime};
///
/// let realtime = Realtime::<String>::new();
/// let mut tab = realtime.connect(&Client::new("tab-1"))?.connection;
/// realtime.subscribe(&Identity::instance("tab-1"), &Channel::atom("news"), "page")?;
/// assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(receipt)) if receipt.cid().as_str() == "page"));
/// # Ok::<(), holocast::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<P> {
    /// A broadcast on a channel that the connection is bound to.
    Broadcast(Delivery<P>),
    /// A binding was granted, or confirmed: the receipt to keep for reconnects.
    Subscribed(Receipt),
    /// Bindings are gone, and their receipts are worth nothing.
    Unsubscribed(Vec<Key>),
    /// So many broadcasts were lost because the queue was full ([`Overflow`](crate::Overflow)).
    Lagged(u64),
    /// The end; nothing comes after it.
    Closed(CloseReason),
}

/// Why a connection ended.
///
/// ```
/// use holocast::{Client, CloseReason, Event, Realtime};
///
/// let realtime = Realtime::<String>::new();
/// let mut first = realtime.connect(&Client::new("tab-1"))?.connection;
/// let second = realtime.connect(&Client::new("tab-1"))?.connection;
/// assert!(matches!(first.try_recv(), Ok(Event::Closed(CloseReason::Superseded))));
/// assert_eq!(CloseReason::Superseded.to_string(), "superseded");
/// # Ok::<(), holocast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// A newer connection of the same instance took its place (rule C3).
    Superseded,
    /// [`Realtime::disconnect`](crate::Realtime::disconnect) was called.
    Disconnected,
    /// The queue was full and the policy is [`Overflow::Close`](crate::Overflow::Close).
    Overflow,
    /// [`Realtime::shutdown`](crate::Realtime::shutdown) was called.
    Shutdown,
}

impl CloseReason {
    /// Whether the receiver may still take what was queued before the end (rules Q2 and C7).
    pub(crate) fn keeps_queued(self) -> bool {
        matches!(self, Self::Overflow | Self::Shutdown)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superseded => "superseded",
            Self::Disconnected => "disconnected",
            Self::Overflow => "overflow",
            Self::Shutdown => "shutdown",
        })
    }
}

/// How many connections a broadcast reached, and how many it could not.
///
/// ```
/// use holocast::{Channel, Realtime, Reach};
///
/// let realtime = Realtime::new();
/// let reach = realtime.broadcast_action(&Channel::atom("empty"), "add", ())?;
/// assert_eq!(reach, Reach { reached: 0, refused: 0 });
/// # Ok::<(), holocast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reach {
    /// Connections whose queue took the message.
    pub reached: usize,
    /// Connections whose queue was full.
    pub refused: usize,
}

/// A broadcast of a handler as its own instance is to see it, once per cid (rule S9).
///
/// See [`Handler::commit`](crate::Handler::commit).
#[derive(Debug)]
pub struct Echo<P> {
    pub(crate) message: Arc<Message<P>>,
    pub(crate) cid: Cid,
}

impl<P> Echo<P> {
    /// What was broadcast to.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.message.channel
    }

    /// Which of the originator's components the action is for.
    #[must_use]
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.message.action
    }

    /// The params, shared with every receiver.
    #[must_use]
    pub fn params(&self) -> &P {
        &self.message.params
    }
}

impl<P> Clone for Echo<P> {
    fn clone(&self) -> Self {
        Self { message: Arc::clone(&self.message), cid: self.cid.clone() }
    }
}
