//! The model's words: what it is told and what it answers.

use holocast::{Channel, Cid, Id, Identity};

/// `(channel, cid)`: what a binding is called inside one instance.
pub(crate) type Key = (Channel, Cid);

/// A receipt as the model knows it: rule R1, with the model's own time in place of the engine's stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) instance: String,
    pub(crate) channel: Channel,
    pub(crate) cid: Cid,
    pub(crate) user: Option<Id>,
    pub(crate) session: Option<Id>,
    /// The operation that issued it: the model's logical time.
    pub(crate) tick: u64,
    /// The clock when it was issued.
    pub(crate) issued_ms: u64,
}

impl Proof {
    pub(crate) fn key(&self) -> Key {
        (self.channel.clone(), self.cid.clone())
    }
}

/// What a receiver is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Broadcast { channel: Channel, action: String, params: u64, cids: Vec<Cid> },
    Subscribed(Proof),
    Unsubscribed(Vec<Key>),
    Lagged(u64),
    Closed(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Superseded,
    Disconnected,
    Overflow,
    Shutdown,
}

/// The answer to one attempt to take an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Event(Said),
    Empty,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Close,
    DropNewest,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) capacity: usize,
    pub(crate) policy: Policy,
    pub(crate) lifetime_ms: u64,
}

/// Names a receiving half; the caller of the model gets one per `connect`.
pub(crate) type ReceiverId = usize;

/// The sums of rule B5, over the broadcasts that went into a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) accepted: u64,
    pub(crate) taken: u64,
    pub(crate) queued: u64,
    pub(crate) released: u64,
    pub(crate) withheld: u64,
    pub(crate) refused: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) reached: usize,
    pub(crate) refused: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) receiver: ReceiverId,
    pub(crate) receipts: Vec<Proof>,
    pub(crate) superseded: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) receipts: Vec<Proof>,
    /// Dropped by `apply`, gone by `transition`.
    pub(crate) dropped: Vec<Key>,
}

/// A broadcast that a handler has queued.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) excluded: Vec<Identity>,
    pub(crate) channel: Channel,
    pub(crate) action: String,
    pub(crate) params: u64,
}

/// `(channel, cid, action, params)`.
pub(crate) type Echoed = (Channel, Cid, String, u64);
