//! Which channels a slot may be a member of: what its end, or a change of its user, has to visit.
//!
//! * **I3** Whoever makes a slot a member of a channel records the channel here first, always by a read-modify-write with a new
//!   ticket. The end of a connection replaces the record by `Ended` and then edits every channel found there, in any case by a
//!   swap, even if the slot is not among the members. A subscriber that records too late finds `Ended` and leaves the slot out; one
//!   that recorded in time either swapped the snapshot before that edit, which then finds the member, or fails against it,
//!   tries again and finds the tenant closed.
//! * A channel is forgotten only under the ticket that was read before the change that removed the slot's last binding: if a
//!   subscriber recorded it anew since, the ticket differs and the record stays. So the record is never too small.

use std::sync::Arc;

use crate::index::{Cell, Entry, Set};
use crate::sync::Swap;

/// A number that its slot gives out once.
pub(crate) type Ticket = u64;

/// A channel that was recorded, and under which ticket last.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    id: u64,
    ticket: Ticket,
    pub(crate) cell: Arc<Cell>,
}

impl Entry for Join {
    type Key = u64;
    fn key(&self) -> &u64 {
        &self.id
    }
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

    /// For a new tenant; the slot is the caller's alone.
    pub(crate) fn open(&self) {
        self.0.swap(Arc::new(Record::Open(Set::default())));
    }

    /// Records that the slot is about to become a member. False: the tenancy has ended.
    pub(crate) fn record(&self, cell: &Arc<Cell>, ticket: Ticket) -> bool {
        let join = Join { id: cell.id, ticket, cell: Arc::clone(cell) };
        self.change(|set| Some(set.with(join.clone())))
    }

    /// The ticket under which the channel was recorded last.
    pub(crate) fn ticket(&self, cell: &Cell) -> Option<Ticket> {
        match &**self.0.load() {
            Record::Open(set) => set.get(&cell.id).map(|join| join.ticket),
            Record::Ended => None,
        }
    }

    /// Forgets a channel, if it was not recorded anew since the ticket was read.
    pub(crate) fn forget(&self, id: u64, ticket: Ticket) {
        self.change(|set| match set.get(&id) {
            Some(join) if join.ticket == ticket => set.without(&id),
            _ => None,
        });
    }

    /// The channels, read by a read-modify-write: a record made later sees what the caller changed before (I4).
    pub(crate) fn visit(&self) -> Vec<Arc<Cell>> {
        let mut cells = Vec::new();
        self.change(|set| {
            cells = set.iter().map(|join| Arc::clone(&join.cell)).collect();
            Some(set.clone())
        });
        cells
    }

    /// Ends the record and returns the channels (I3).
    pub(crate) fn end(&self) -> Vec<Arc<Cell>> {
        match &*self.0.swap(Arc::new(Record::Ended)) {
            Record::Open(set) => set.iter().map(|join| Arc::clone(&join.cell)).collect(),
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
