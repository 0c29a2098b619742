//! The alphabet of operations over a small universe, and how eight bytes become one of them.
//!
//! Called by the property test, which draws the bytes, and by the fuzzer, which is given them: both shrink towards zero
//! bytes, and zero bytes are a broadcast that nobody hears. Every byte sequence is a script; nothing here can fail.

use std::fmt;
use std::sync::LazyLock;

use holocast::{Channel, Cid, Client, Element, Id, Identity};

use super::Key;

/// The bytes of one operation: its kind, then its operands.
pub(crate) const OP_BYTES: usize = 8;

/// A number below a bound, made from any byte and shown as what it stands for.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident < $bound:literal, $number:ident => $meaning:ty: $value:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name(u8);

        impl $name {
            pub(crate) fn from_byte(byte: u8) -> Self {
                $name(byte % $bound)
            }

            pub(crate) fn all() -> impl Iterator<Item = Self> {
                (0..$bound).map($name)
            }

            pub(crate) fn value(self) -> &'static $meaning {
                // Made once: in a debug build most of a script's time would go into making them.
                static VALUES: LazyLock<Vec<$meaning>> = LazyLock::new(|| {
                    let value = |$number: u8| $value;
                    (0..$bound).map(value).collect()
                });
                &VALUES[usize::from(self.0)]
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.value())
            }
        }
    };
}

bounded! {
    /// An instance. The last is called like a user and a session.
    Tab < 4, number => &'static str: ["i1", "i2", "i3", "7"][usize::from(number)]
}
bounded! {
    /// A session and a user, each of two or absent.
    Login < 9, number => (Option<Id>, Option<Id>): {
        let session = [None, Some(Id::from("s1")), Some(Id::from(7))][usize::from(number % 3)].clone();
        let user = [None, Some(Id::from(7)), Some(Id::from("7"))][usize::from(number / 3)].clone();
        (session, user)
    }
}
bounded! {
    /// An address: the instances, the sessions, the users and one that nobody has.
    Who < 9, number => Identity: match number {
        tab @ 0..=3 => Identity::instance(*Tab(tab).value()),
        4 => Identity::session("s1"),
        5 => Identity::session(7),
        6 => Identity::user(7),
        7 => Identity::user("7"),
        _ => Identity::user("nobody"),
    }
}
bounded! {
    /// A channel; three of them look alike to whoever joins their parts to one string.
    Room < 4, number => Channel: match number {
        0 => Channel::atom("lobby"),
        1 => tagged(Element::from(42)),
        2 => tagged(Element::from("42")),
        _ => tagged(Element::atom("42")),
    }
}
bounded! {
    /// A component.
    Part < 3, number => Cid: Cid::from(["page", "layout", "x"][usize::from(number)])
}
bounded! {
    /// How far the clock moves: not at all, or around a lifetime of 72 hours.
    Hours < 6, number => u64: [0, 1, 24, 48, 72, 73][usize::from(number)]
}

fn tagged(element: Element) -> Channel {
    Channel::tagged("room", [element]).expect("a tag and an element are a channel")
}

impl Tab {
    pub(crate) fn number(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn client(self, login: Login) -> Client {
        let (session, user) = login.value();
        Client::from_parts(*self.value(), session.clone(), user.clone())
    }
}

fn key(byte: u8) -> Key {
    (Room::from_byte(byte).value().clone(), Part::from_byte(byte / 4).value().clone())
}

/// Up to one key for each byte: three of four bytes name one.
fn keys(bytes: &[u8]) -> Vec<Key> {
    bytes.iter().filter(|byte| **byte % 4 != 0).map(|byte| key(byte / 4)).collect()
}

/// Up to two identities.
fn identities(byte: u8) -> Vec<Identity> {
    match byte % 4 {
        0 | 1 => Vec::new(),
        2 => vec![Who::from_byte(byte / 4).value().clone()],
        _ => [byte / 4, byte / 36].map(|byte| Who::from_byte(byte).value().clone()).to_vec(),
    }
}

/// Which of the receipts that a client ever got are presented or claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipts {
    /// What the client holds.
    Held,
    /// Some of what the client holds, a bit each.
    Some(u8),
    /// Some of all that it ever got, also what it was told to forget; a bit each for the newest.
    Stale(u8),
    /// Those of another instance.
    Stolen(Tab),
}

impl Receipts {
    fn from_bytes(mode: u8, mask: u8) -> Self {
        match mode % 8 {
            0..=3 => Receipts::Held,
            4 => Receipts::Some(mask),
            5 | 6 => Receipts::Stale(mask),
            _ => Receipts::Stolen(Tab::from_byte(mask)),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Broadcast {
        room: Room,
        excluded: Vec<Identity>,
        hot: bool,
    },
    Subscribe {
        who: Who,
        room: Room,
        part: Part,
    },
    Unsubscribe {
        who: Who,
        room: Room,
        part: Part,
    },
    UnsubscribeAll {
        who: Who,
        room: Room,
    },
    Connect {
        tab: Tab,
        login: Login,
    },
    Reconnect {
        tab: Tab,
        login: Login,
        receipts: Receipts,
    },
    Disconnect {
        tab: Tab,
    },
    /// The receiving half is dropped.
    Hangup {
        tab: Tab,
    },
    /// A receiving half that was superseded or closed before is dropped.
    DropOld {
        tab: Tab,
    },
    Identify {
        tab: Tab,
        login: Login,
    },
    Take {
        tab: Tab,
        events: u8,
    },
    /// From a receiving half that was superseded or closed.
    TakeOld {
        tab: Tab,
    },
    Put {
        tab: Tab,
        login: Login,
        room: Room,
        part: Part,
    },
    Delete {
        tab: Tab,
        login: Login,
        room: Room,
        part: Part,
    },
    Apply {
        tab: Tab,
        login: Login,
        adds: Vec<Key>,
        drops: Vec<Key>,
    },
    Transition {
        tab: Tab,
        login: Login,
        bindings: Vec<Key>,
        claimed: Receipts,
    },
    Handler {
        tab: Tab,
        login: Login,
        puts: Vec<Key>,
        deletes: Vec<Key>,
        posts: Vec<(Room, Vec<Identity>)>,
        commit: bool,
    },
    Advance {
        hours: Hours,
    },
    Sweep,
    /// A call with a name beyond the limits of rule V3.
    Refused {
        who: Who,
        room: Room,
    },
}

impl Op {
    pub(crate) fn from_bytes(bytes: [u8; OP_BYTES]) -> Op {
        let [kind, a, b, c, d, e, f, g] = bytes;
        let (tab, login) = (Tab::from_byte(a), Login::from_byte(b));
        let (who, room, part) = (Who::from_byte(a), Room::from_byte(b), Part::from_byte(c));
        match kind % 66 {
            0..=11 => Op::Broadcast { room: Room::from_byte(a), excluded: identities(b), hot: c % 4 == 3 },
            12..=20 => Op::Subscribe { who, room, part },
            21..=24 => Op::Unsubscribe { who, room, part },
            25..=26 => Op::UnsubscribeAll { who, room },
            27..=30 => Op::Connect { tab, login },
            31..=35 => Op::Reconnect { tab, login, receipts: Receipts::from_bytes(c, d) },
            36 => Op::Disconnect { tab },
            37 => Op::Hangup { tab },
            38 => Op::DropOld { tab },
            39..=42 => Op::Identify { tab, login },
            43..=46 => Op::Take { tab, events: b % 4 + 1 },
            47 => Op::TakeOld { tab },
            48..=49 => Op::Put { tab, login, room: Room::from_byte(c), part: Part::from_byte(d) },
            50 => Op::Delete { tab, login, room: Room::from_byte(c), part: Part::from_byte(d) },
            51..=53 => Op::Apply { tab, login, adds: keys(&[c, d]), drops: keys(&[e, f]) },
            54..=57 => {
                Op::Transition { tab, login, bindings: keys(&[c, d, e]), claimed: Receipts::from_bytes(f, g) }
            }
            58..=61 => Op::Handler {
                tab,
                login,
                puts: keys(&[c]),
                deletes: keys(&[d]),
                posts: vec![(Room::from_byte(e), identities(f)), (Room::from_byte(g), Vec::new())],
                commit: kind % 66 != 61,
            },
            62..=63 => Op::Advance { hours: Hours::from_byte(a) },
            64 => Op::Sweep,
            _ => Op::Refused { who, room },
        }
    }

    /// As many operations as the bytes are enough for.
    pub(crate) fn script(bytes: &[u8]) -> Vec<Op> {
        let whole = bytes.chunks_exact(OP_BYTES);
        whole.map(|op| Op::from_bytes(op.try_into().expect("chunks are exact"))).collect()
    }
}
