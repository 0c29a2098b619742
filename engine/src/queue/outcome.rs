//! What a push to a queue may not exceed, and what the operations of a queue answer.

use super::block::{Control, Delivery};
use super::entry::EntryNode;

/// How much a queue may hold, and what the message at hand weighs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) messages: u32,
    /// `u64::MAX`: params are not weighed.
    pub(crate) bytes: u64,
    pub(crate) weight: u64,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Sent,
    /// Sent, and the receiver sleeps: the caller must wake it.
    SentToSleeper,
    Full,
    Closed,
}

/// Whether a receiver may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parked {
    Yes,
    /// There is something to take.
    No,
    /// Another consumer is at work for a few instructions.
    Busy,
}

/// What a take found.
#[derive(Debug)]
pub(crate) enum Taken<P> {
    Delivery(Delivery<P>),
    Control(Control),
    /// Only from the queue of a lane.
    Entry(Box<EntryNode<P>>),
    /// Messages that were refused or released since the last event.
    Lagged(u64),
    Empty,
    /// Empty, and nothing will come.
    Closed,
    /// Another consumer is at work for a few instructions.
    Busy,
    /// The lease is somebody else's now (I6).
    Superseded,
}

/// What a first look found.
#[derive(Debug)]
pub(crate) enum Glance<P> {
    /// A message, taken.
    Message(Delivery<P>),
    /// Nothing to take now, and more may come.
    Nothing,
    /// Something else.
    More,
}
