//! The queue word's bits: who sleeps, whether it is closed, how much is in it and where, in one value that a compare-and-swap
//! changes whole.
//!
//! ```text
//!   63   62        48 47                               4  3..0
//!  [LONE][ messages   ][ address of the newest node      ][turn, flags]  turn: 2 bits; flags: CLOSED, PARKED
//! ```

use super::block::Node;

pub(super) const CLOSED: usize = 1;
pub(super) const PARKED: usize = 2;
pub(super) const TURN_SHIFT: u32 = 2;
pub(super) const TURNS: usize = 3;
/// There is one node, and it is a message.
pub(super) const LONE: usize = 1 << 63;
const FLAGS: usize = LONE | 0xF;
const COUNT_SHIFT: u32 = 48;
const ADDRESS: usize = ((1 << COUNT_SHIFT) - 1) & !0xF;

/// The most messages a queue can be told to hold.
pub(crate) const MAX_MESSAGES: usize = (1 << 15) - 1;

const _: () = assert!(usize::BITS == 64, "the queue word packs a count beside a 48-bit address");

/// The word, as read.
#[derive(Clone, Copy)]
pub(super) struct Word(pub(super) *mut Node);

impl Word {
    pub(super) fn newest(self) -> *mut Node {
        self.0.map_addr(|bits| bits & ADDRESS)
    }

    pub(super) fn messages(self) -> usize {
        self.0.addr() >> COUNT_SHIFT & MAX_MESSAGES
    }

    pub(super) fn has(self, flag: usize) -> bool {
        self.0.addr() & flag != 0
    }

    pub(super) fn flags(self) -> usize {
        self.0.addr() & FLAGS
    }

    /// Of the takes that emptied it, modulo four.
    pub(super) fn turn(self) -> u32 {
        (self.0.addr() >> TURN_SHIFT & TURNS) as u32
    }

    /// The flags of an empty word in the next turn.
    pub(super) fn next_turn(self) -> usize {
        let turn = (self.turn() as usize + 1) & TURNS;
        self.flags() & !(LONE | TURNS << TURN_SHIFT) | turn << TURN_SHIFT
    }

    /// The flags after a push of so many messages, one or none.
    pub(super) fn pushed_upon(self, messages: usize) -> usize {
        let lone = self.newest().is_null() && messages == 1;
        self.flags() & !(LONE | PARKED) | if lone { LONE } else { 0 }
    }

    pub(super) fn with(node: *mut Node, messages: usize, flags: usize) -> Self {
        Self(node.map_addr(|address| address | messages << COUNT_SHIFT | flags))
    }
}
