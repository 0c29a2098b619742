//! What one channel and the connections around it may do, as a sequential specification.
//!
//! A call is a sequence of steps; each happens at one instant between the call's start and its return. A change of the channel
//! takes two: it looks at the channel ([`Step::Begin`]), then writes, with no other change of the channel in between (rule S5). Who
//! matches is asked for in between, so a connection that comes or changes its user meanwhile may be seen before or after that. All that is
//! promised beyond that instant is in the steps that follow a change of a connection: [`Step::Visit`] and [`Step::Leave`] (rules C4, C5).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub(crate) const TABS: usize = 3;
pub(crate) const CIDS: u8 = 2;

/// Names a call: its place in the order of recording.
pub(crate) type OpId = u32;
pub(crate) type User = u8;
pub(crate) type Session = u8;
pub(crate) type CidId = u8;
/// A set of cids, a bit each.
pub(crate) type Cids = u8;

/// Names a tenancy: the tab, and how many it had before.
pub(crate) type Tenancy = (u8, u8);

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    Tab(u8),
    Session(Session),
    User(User),
}

/// A tab with the identities that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Person {
    pub(crate) tab: u8,
    pub(crate) session: Option<Session>,
    pub(crate) user: Option<User>,
}

/// Names a receipt: the call that issued it, and its cid.
pub(crate) type Proof = (OpId, CidId);

/// One instant of a call, with what the call returned about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Looks at the channel; the writing step that follows is about what it saw. Who means to bind leaves word with every connection before it
    /// looks at that.
    Begin {
        binds: bool,
    },
    Subscribe {
        who: Who,
        cid: CidId,
        matched: usize,
    },
    Unsubscribe {
        who: Who,
        cid: CidId,
        matched: usize,
    },
    UnsubscribeAll {
        who: Who,
        lost: usize,
    },
    Put {
        op: OpId,
        person: Person,
        cid: CidId,
        issued: bool,
    },
    Delete {
        tab: u8,
        cid: CidId,
        dropped: bool,
    },
    /// The connection lives: it is found by session and user.
    Arrive {
        person: Person,
        superseded: bool,
    },
    /// It is found by its instance.
    Enter {
        tab: u8,
    },
    Restore {
        op: OpId,
        person: Person,
        proof: Proof,
        restored: bool,
    },
    /// The visit of who superseded: drops what another user authorized, and shows the rest.
    Renew {
        op: OpId,
        tab: u8,
        shown: Cids,
    },
    Identify {
        person: Person,
        live: bool,
    },
    /// The visit of who identified, if the user changed.
    Visit,
    /// The connection is found no more. `ended`: what the call said, if it said anything.
    End {
        tab: u8,
        ended: Option<bool>,
    },
    /// The bindings of the connection that this call ended are gone.
    Leave,
    Broadcast {
        op: OpId,
        excluded: Option<u8>,
        reached: usize,
    },
    Take {
        tenancy: Tenancy,
        broadcast: OpId,
        cids: Cids,
    },
}

/// What was seen when all threads had returned and all that was queued was taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct End {
    /// The tenancies that ended; what becomes of their events is free.
    pub(crate) ended: BTreeSet<Tenancy>,
    /// What was handed out. Known from the start, so that a broadcast is placed where its deliveries can have come from.
    pub(crate) taken: BTreeMap<(OpId, Tenancy), Cids>,
    /// Tabs may have been on lanes.
    pub(crate) lanes: bool,
    /// Of every live tab: its cids, and whether a user authorized them.
    pub(crate) bindings: BTreeMap<u8, BTreeMap<CidId, Option<User>>>,
    /// Revocations that the engine keeps.
    pub(crate) revocations: usize,
    /// Members of the channel, and those of them that are shown as such.
    pub(crate) members: usize,
    pub(crate) seen: usize,
    /// Channels that the engine keeps: this one, while something is left of it.
    pub(crate) channels: usize,
    /// `Subscribed` events taken.
    pub(crate) told: BTreeMap<(Tenancy, CidId), usize>,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tab(tab) => write!(f, "instance t{tab}"),
            Self::Session(session) => write!(f, "session {session}"),
            Self::User(user) => write!(f, "user {user}"),
        }
    }
}
