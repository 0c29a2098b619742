//! Which channels a slot may be a member of: what its end, or a change of its user, has to visit.
//!
//! * **I3** Whoever makes a slot a member of a channel records the channel here first, always by a read-modify-write with a new
//!   ticket. The end of a connection replaces the record by `Ended` and then edits every channel found there, in any case by a
//!   swap, even if the slot is not among the members. A subscriber that records too late finds `Ended` and leaves the slot out; one
//!   that recorded in time either swapped the snapshot before that edit, which then finds the member, or fails against it,
//!   tries again and finds the tenant closed.
//! * Every record stands by itself, under its cell and ticket. A change that made no member forgets its own; a change that removed
//!   the slot's last binding forgets those that it read before its swap. A subscriber whose record is among those loaded its snapshot
//!   before that swap, so it fails against it and records anew. So a member always has a record, or is about to be removed.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::index::{Cell, Entry, Set};
use crate::sync::Swap;

/// A number that its slot gives out once.
pub(crate) type Ticket = u64;

/// The records of one channel; more than one only while changes race.
pub(crate) type Tickets = SmallVec<[Ticket; 2]>;

/// A channel that was recorded, by the cell's id and the record's ticket.
#[derive(Debug, Clone)]
struct Join {
    key: (u64, Ticket),
    cell: Arc<Cell>,
}

impl Entry for Join {
    type Key = (u64, Ticket);
    fn key(&self) -> &(u64, Ticket) {
        &self.key
    }
}

/// Each channel once.
fn cells(set: &Set<Join>) -> Vec<Arc<Cell>> {
    let mut cells: Vec<Arc<Cell>> = set.iter().map(|join| Arc::clone(&join.cell)).collect();
    cells.dedup_by_key(|cell| cell.id);
    cells
}

/// The record of a slot.
#[derive(Debug)]
enum Record {
    Open(Set<Join>),
    Ended,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Joined(Swap<Record>);

impl Joined {
    /// Of a slot without a tenant.
    pub(crate) fn ended() -> Self {
        Self(Swap::new(Arc::new(Record::Ended)))
    }

    /// Another that begins as this one is now.
    pub(crate) fn shared(&self) -> Self {
        Self(Swap::new(self.0.load_full()))
    }

    /// For a new tenant; the slot is the caller's alone.
    pub(crate) fn open(&self) {
        self.0.swap(Arc::new(Record::Open(Set::default())));
    }

    /// Records that the slot is about to become a member. False: the tenancy has ended.
    pub(crate) fn record(&self, cell: &Arc<Cell>, ticket: Ticket) -> bool {
        let join = Join { key: (cell.id, ticket), cell: Arc::clone(cell) };
        self.change(|set| Some(set.with(join.clone())))
    }

    /// The tickets under which the channel is recorded.
    pub(crate) fn tickets(&self, cell: &Cell) -> Tickets {
        match &**self.0.load() {
            Record::Open(set) => set
                .range_from(&(cell.id, 0))
                .map(|join| join.key)
                .take_while(|key| key.0 == cell.id)
                .map(|key| key.1)
                .collect(),
            Record::Ended => Tickets::new(),
        }
    }

    /// Forgets records of a channel.
    pub(crate) fn forget(&self, id: u64, tickets: &[Ticket]) {
        self.change(|set| {
            let without = |set: Set<Join>, ticket: &Ticket| set.without(&(id, *ticket)).unwrap_or(set);
            let rest = tickets.iter().fold(set.clone(), without);
            (rest.len() < set.len()).then_some(rest)
        });
    }

    /// The channels, read by a read-modify-write: a record made later sees what the caller changed before (I4).
    pub(crate) fn visit(&self) -> Vec<Arc<Cell>> {
        let mut found = Vec::new();
        self.change(|set| {
            found = cells(set);
            Some(set.clone())
        });
        found
    }

    /// Ends the record and returns the channels (I3).
    pub(crate) fn end(&self) -> Vec<Arc<Cell>> {
        match &*self.0.swap(Arc::new(Record::Ended)) {
            Record::Open(set) => cells(set),
            Record::Ended => Vec::new(),
        }
    }

    /// Lock-free. False: the record has ended.
    fn change(&self, mut change: impl FnMut(&Set<Join>) -> Option<Set<Join>>) -> bool {
        loop {
            let record = self.0.load_full();
            let Record::Open(set) = &*record else { return false };
            let Some(next) = change(set) else { return true };
            if self.0.replace(&record, Arc::new(Record::Open(next))) {
                return true;
            }
        }
    }
}
