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
const LONE_SHIFT: u32 = 63;
/// There is one node, and it is a message.
pub(super) const LONE: usize = 1 << LONE_SHIFT;
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

    /// The word after a push of a node upon this one, with so many messages, one or none. The count is below its maximum.
    #[inline]
    pub(super) fn pushed(self, node: *mut Node, messages: usize) -> Self {
        let lone = if self.newest().is_null() { messages << LONE_SHIFT } else { 0 };
        let kept = self.0.addr() & !(ADDRESS | LONE | PARKED);
        // Bits that the node's address does not have: a sum is a union.
        Self(node.wrapping_byte_add(kept + (messages << COUNT_SHIFT) + lone))
    }

    pub(super) fn with(node: *mut Node, messages: usize, flags: usize) -> Self {
        Self(node.map_addr(|address| address | messages << COUNT_SHIFT | flags))
    }
}

#[cfg(all(test, not(holocast_loom)))]
mod tests {
    use std::ptr;

    use super::*;

    /// What a word says: the node's address, messages, turn, and which of LONE, CLOSED and PARKED.
    fn read(word: Word) -> (usize, usize, u32, usize) {
        let flags = [LONE, CLOSED, PARKED].into_iter().filter(|flag| word.has(*flag)).sum();
        (word.newest().addr(), word.messages(), word.turn(), flags)
    }

    #[test]
    fn no_part_of_the_word_touches_another() {
        let [node, other] = [ADDRESS, 0x10].map(ptr::without_provenance_mut::<Node>);
        for turn in 0..=TURNS {
            for flags in [0, CLOSED, PARKED, CLOSED | PARKED] {
                let empty = Word::with(ptr::null_mut(), 0, flags | turn << TURN_SHIFT);
                let (turn, kept, next) = (turn as u32, flags & CLOSED, (turn as u32 + 1) % 4);
                assert_eq!(read(empty), (0, 0, turn, flags));
                let lone = empty.pushed(node, 1);
                assert_eq!(read(lone), (ADDRESS, 1, turn, LONE | kept));
                assert_eq!(read(lone.pushed(other, 1)), (0x10, 2, turn, kept));
                let control = empty.pushed(node, 0);
                assert_eq!(read(control), (ADDRESS, 0, turn, kept));
                assert_eq!(read(control.pushed(other, 1)), (0x10, 1, turn, kept));
                let full = Word::with(node, MAX_MESSAGES, lone.flags());
                assert_eq!(read(full), (ADDRESS, MAX_MESSAGES, turn, LONE | kept));
                for (word, flags) in [(empty, flags), (lone, kept)] {
                    assert_eq!(read(Word::with(ptr::null_mut(), 0, word.next_turn())), (0, 0, next, flags));
                }
            }
        }
    }
}
