//! Gates: what the consumer of a lane has to know for every delivery, in arrays that lie in the order of the slots, so that a walk over
//! neighbours reads few cache lines.
//!
//! A gate is open for one authorization count: a member that was written under the same count is of the same tenancy and the same user,
//! and its token may be handed out. It is shut when the tenancy ends, or when another receiver takes it over and everything goes
//! through the connection's own queue from then on; it opens again only for another tenancy, under a higher count.
//!
//! * **G1** A tenancy's token is written before its gate opens and stays until the next one's. The consumer reads the token, then the
//!   gate. So if the gate is open for the member's count, the token is the one of the member's connection.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

use super::slots::{PAGE, SlotId};

/// Nothing is handed out.
const SHUT: u32 = 1 << 31;
/// Another receiver took over: everything goes through the connection's own queue.
const AWAY: u32 = 1 << 30;
/// The tenancy has ended.
const ENDED: u32 = 1 << 29;
/// The lane's host is done with the connection.
const MUTE: u32 = 1 << 28;
/// The new receiver of one that is away was told what the lane had lost.
const TOLD: u32 = 1 << 27;

/// Counts stay below the flags: a slot whose count has come so far gets no other tenant, and this one may go on as far again.
pub(crate) const LAST_COUNT: u32 = TOLD / 2;

/// Why a gate is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shut {
    Away,
    Ended,
    Mute,
    /// For who is away already.
    Told,
}

/// What a gate says, other than to let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(u32);

impl State {
    pub(crate) fn is_open(self) -> bool {
        self.0 & SHUT == 0
    }

    pub(crate) fn is_away(self) -> bool {
        self.0 & (AWAY | ENDED) == AWAY
    }

    pub(crate) fn is_away_untold(self) -> bool {
        self.0 & (AWAY | ENDED | TOLD) == AWAY
    }

    pub(crate) fn has_ended(self) -> bool {
        self.0 & ENDED != 0
    }

    pub(crate) fn is_mute(self) -> bool {
        self.0 & MUTE != 0
    }
}

/// The gates of one page of slots.
#[derive(Debug)]
pub(crate) struct Gates {
    gates: [AtomicU32; PAGE],
    tokens: [AtomicU64; PAGE],
}

impl Gates {
    pub(super) fn new() -> Self {
        Self {
            gates: std::array::from_fn(|_| AtomicU32::new(SHUT)),
            tokens: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Opens the gate for a new tenancy; the slot is the caller's alone.
    pub(crate) fn open(&self, slot: SlotId, auth: u32, token: u64) {
        // Release: whoever reads this token finds the gate shut, or opened again (G1).
        self.tokens[slot as usize % PAGE].store(token, Ordering::Release);
        // Relaxed: published with the tenant.
        self.gates[slot as usize % PAGE].store(auth, Ordering::Relaxed);
    }

    /// The token, if the gate is open for this count.
    #[inline]
    pub(crate) fn pass(&self, slot: SlotId, auth: u32) -> Option<u64> {
        let token = self.token(slot);
        // Relaxed: a call that is known to come after raise() or shut() finds what they left, as it is one location; the token came first.
        (self.gates[slot as usize % PAGE].load(Ordering::Relaxed) == auth).then_some(token)
    }

    /// The token of the tenancy. See G1 for when to trust it.
    #[inline]
    pub(crate) fn token(&self, slot: SlotId) -> u64 {
        // Acquire: pairs with Release in open(); the gate is read after (G1).
        self.tokens[slot as usize % PAGE].load(Ordering::Acquire)
    }

    pub(crate) fn state(&self, slot: SlotId) -> State {
        // Relaxed: as in pass().
        State(self.gates[slot as usize % PAGE].load(Ordering::Relaxed))
    }

    /// Has an open gate ask for a newer count (rule C5).
    pub(crate) fn raise(&self, slot: SlotId, auth: u32) {
        let gate = &self.gates[slot as usize % PAGE];
        // Relaxed, also below: as in pass(). From here on nothing is handed out under the old user.
        let mut now = gate.load(Ordering::Relaxed);
        // Counts only grow, so a late call changes nothing; SHUT is above all of them.
        while now < auth {
            match gate.compare_exchange_weak(now, auth, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => now = newer,
            }
        }
    }

    /// Shuts the gate of a tenancy that has ended, if it is still its own: open for one of these counts.
    pub(crate) fn mute(&self, slot: SlotId, counts: std::ops::RangeInclusive<u32>) {
        let gate = &self.gates[slot as usize % PAGE];
        // Relaxed, also below: as in shut(). The next tenancy's counts are higher ones.
        let mut now = gate.load(Ordering::Relaxed);
        while counts.contains(&now) {
            match gate.compare_exchange_weak(now, now | SHUT | MUTE, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => now = newer,
            }
        }
    }

    /// Shuts the gate and tells what it was before.
    pub(crate) fn shut(&self, slot: SlotId, why: Shut) -> State {
        let why = match why {
            Shut::Away => AWAY,
            Shut::Ended => ENDED,
            Shut::Mute => MUTE,
            Shut::Told => TOLD,
        };
        // Relaxed: as in pass(); of several calls one finds it open. Comes before open() for another tenancy by the slot's own way there.
        State(self.gates[slot as usize % PAGE].fetch_or(SHUT | why, Ordering::Relaxed))
    }
}

#[cfg(all(test, not(holocast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_gate_passes_one_count_until_it_is_shut() {
        let gates = Gates::new();
        assert_eq!(gates.pass(3, 0), None);
        gates.open(3, 7, 42);
        assert_eq!((gates.pass(3, 7), gates.pass(3, 6)), (Some(42), None));
        gates.raise(3, 9);
        gates.raise(3, 8);
        assert_eq!((gates.pass(3, 7), gates.pass(3, 9)), (None, Some(42)));
        assert!(gates.shut(3, Shut::Away).is_open());
        let was = gates.shut(3, Shut::Ended);
        assert!(was.is_away() && !was.is_open());
        assert!(gates.state(3).has_ended() && !gates.state(3).is_away() && !gates.state(3).is_mute());
        gates.raise(3, 10);
        assert_eq!((gates.pass(3, 9), gates.pass(3, 10)), (None, None));
        gates.open(3, 11, 43);
        assert_eq!(gates.pass(3, 11), Some(43));
    }

    #[test]
    fn who_is_away_is_told_once() {
        let gates = Gates::new();
        gates.open(3, 7, 42);
        assert!(!gates.state(3).is_away_untold());
        gates.shut(3, Shut::Away);
        assert!(gates.state(3).is_away_untold());
        gates.shut(3, Shut::Told);
        assert!(gates.state(3).is_away() && !gates.state(3).is_away_untold());
        gates.open(4, 7, 42);
        gates.shut(4, Shut::Away);
        gates.shut(4, Shut::Ended);
        assert!(!gates.state(4).is_away_untold());
    }

    #[test]
    fn a_gate_is_muted_only_by_its_own_tenancy() {
        let gates = Gates::new();
        for slot in [3, 4] {
            gates.open(slot, 7, 42);
        }
        gates.mute(3, 5..=6);
        assert!(gates.state(3).is_open() && !gates.state(3).is_mute());
        gates.mute(3, 5..=7);
        assert!(gates.state(3).is_mute() && !gates.state(3).is_open());
        assert_eq!((gates.pass(3, 7), gates.pass(4, 7)), (None, Some(42)));
    }
}
