//! The cells of the channels: every change is one compare-and-swap of the channel's snapshot, which is the instant of rule S5.
//!
//! * **I1** Stamps grow along a cell's snapshots, and from a retired cell to its successor by way of `floor`.
//! * **I2** A change resolves identities after it loaded the snapshot that it replaces: the caller's closure runs between the two.
//! * **I5** A snapshot without members, revocations and handles is marked retired in the same step; nobody edits a retired cell, whoever
//!   meets one in the map takes it out. So an edit is never made to a cell that the map has lost: the map loses only retired cells.
//!
//! Revocations expire without a thread (rule R4): every edit gives back a few of its own channel's, and a few of the channel that is
//! due first; `sweep` gives back all.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::snapshot::{Draft, Snapshot};
use super::tree::{Entry, Set};
use crate::channel::Channel;
use crate::observer::Observers;
use crate::receipt::Stamp;
use crate::sync::{AtomicU64, Loaded, Map, Ordering, Swap};

/// Expired revocations of its own channel that an edit gives back.
const OWN_EXPIRED: usize = 2;
/// Expired revocations of the channel due first that an edit gives back.
const DUE_EXPIRED: usize = 64;

/// As many at a time, in a sweep.
const SWEEP_EXPIRED: usize = 1024;

/// In the place of a cell's due time: the cell is retired, and will never be due.
const NEVER_DUE: u64 = u64::MAX;

/// Makes a channel's cell whoever matches ([`ChannelIndex::edit`]).
pub(crate) fn always() -> bool {
    true
}

/// The caller's idea of the time, in milliseconds since the Unix epoch.
#[derive(Clone)]
pub(crate) struct Clock(pub(crate) Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// No later than stamps tell: what is issued at the end of time is not expired at once.
    pub(crate) fn now_ms(&self) -> u64 {
        (self.0)().min(Stamp::LAST_MS)
    }

    /// The same where a panic must not cut a change short: then the clock counts as having stood still, or gone back, to this.
    fn now_ms_or(&self, otherwise: u64) -> u64 {
        catch_unwind(AssertUnwindSafe(|| self.now_ms())).unwrap_or(otherwise)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A channel's place: its current snapshot.
#[derive(Debug)]
pub(crate) struct Cell {
    /// Tells cells apart, also of the same channel.
    pub(crate) id: u64,
    pub(crate) channel: Channel,
    snapshot: Swap<Snapshot>,
    /// Under which time the cell stands in the index's `due` set; 0 if it does not, [`NEVER_DUE`] if it never will.
    due_ms: AtomicU64,
}

impl Cell {
    /// The current snapshot. Wait-free but for arc-swap's own bounded work.
    pub(crate) fn snapshot(&self) -> Loaded<Snapshot> {
        self.snapshot.load()
    }
}

/// A cell with revocations, by the time when the oldest of them has expired.
#[derive(Debug, Clone)]
struct Due {
    key: (u64, u64),
    cell: Arc<Cell>,
}

impl Entry for Due {
    type Key = (u64, u64);
    fn key(&self) -> &(u64, u64) {
        &self.key
    }
}

/// All channels that have members or revocations.
pub(crate) struct ChannelIndex {
    cells: Map<Channel, Arc<Cell>>,
    clock: Clock,
    lifetime_ms: u64,
    next_id: AtomicU64,
    /// No stamp of a retired cell is above this one (I1).
    floor: AtomicU64,
    /// Cells that were retired, or nearly.
    retirements: AtomicU64,
    /// Revocations of this stamp or older may be gone, so receipts of this stamp or older are expired whatever the clock says.
    horizon: AtomicU64,
    due: Swap<Set<Due>>,
    observers: Observers,
}

impl ChannelIndex {
    pub(crate) fn new(expected: usize, clock: Clock, lifetime_ms: u64, observers: Observers) -> Self {
        Self {
            cells: Map::with_capacity(expected),
            clock,
            lifetime_ms,
            next_id: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            retirements: AtomicU64::new(0),
            horizon: AtomicU64::new(0),
            due: Swap::new(Arc::new(Set::default())),
            observers,
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn lifetime_ms(&self) -> u64 {
        self.lifetime_ms
    }

    /// Calls `f` with the channel's cell, if it has one.
    pub(crate) fn read<R>(&self, channel: &Channel, f: impl FnOnce(&Arc<Cell>) -> R) -> Option<R> {
        self.cells.read(channel, f)
    }

    pub(crate) fn for_each(&self, mut f: impl FnMut(&Cell)) {
        self.cells.for_each(|_, cell| f(cell));
    }

    /// Changes a channel: `f` is shown the current snapshot and drafts the next, again whenever another change came first. It
    /// returns `None` to leave the channel as it is. A channel without a cell gets one only if `create` says so; otherwise the
    /// result is `None`.
    ///
    /// Lock-free: a retry means that another change to the same channel succeeded, or that a channel was made or retired.
    pub(crate) fn edit<R>(
        &self,
        channel: &Channel,
        create: impl Fn() -> bool,
        mut f: impl FnMut(&Arc<Cell>, &Snapshot, &mut Draft) -> Option<R>,
    ) -> Option<R> {
        // Read here, where nothing is begun: if it panics, nothing is left behind.
        let now_ms = self.clock.now_ms();
        self.expire_some(now_ms);
        loop {
            // Acquire, also below: pairs with AcqRel in swap_in().
            let retirements = self.retirements.load(Ordering::Acquire);
            let cell = match self.cells.get(channel) {
                Some(cell) => cell,
                None if create() => self.cells.get_or_insert_with(channel, || self.new_cell(channel)),
                // No cell before, none after, and none retired meanwhile: `create` was asked while there was none, so while there
                // was nothing to change (S5).
                None if self.cells.get(channel).is_none()
                    && self.retirements.load(Ordering::Acquire) == retirements =>
                {
                    return None;
                }
                None => continue,
            };
            match self.edit_cell_at(&cell, now_ms, &mut f) {
                Ok(result) => return result,
                Err(Retired) => self.unlink(&cell),
            }
        }
    }

    /// As [`ChannelIndex::edit`], for one cell, whatever the map says. For what must be done in any case: a clock that panics counts
    /// as one that went back.
    pub(crate) fn edit_cell<R>(
        &self,
        cell: &Arc<Cell>,
        f: impl FnMut(&Arc<Cell>, &Snapshot, &mut Draft) -> Option<R>,
    ) -> Result<Option<R>, Retired> {
        self.edit_cell_at(cell, self.clock.now_ms_or(0), f)
    }

    /// The same at a time that was read just now.
    fn edit_cell_at<R>(
        &self,
        cell: &Arc<Cell>,
        mut now_ms: u64,
        mut f: impl FnMut(&Arc<Cell>, &Snapshot, &mut Draft) -> Option<R>,
    ) -> Result<Option<R>, Retired> {
        loop {
            let snapshot = cell.snapshot.load();
            if snapshot.retired {
                return Err(Retired);
            }
            // Above the horizon, or else no receipt of this change would be valid after a clock that ran ahead was set right. Relaxed: a
            // change that misses a rise is one from before it.
            let horizon = Stamp::from_u64(self.horizon.load(Ordering::Relaxed));
            let mut last = snapshot.stamp.max(horizon);
            if snapshot.is_empty() {
                // Acquire: as in new_cell(), once more: the cell may have been made long before the map took it (I1).
                last = last.max(Stamp::from_u64(self.floor.load(Ordering::Acquire)));
            }
            let mut draft = snapshot.draft(Stamp::next(last, now_ms));
            let result = f(cell, &snapshot, &mut draft);
            if result.is_none() && !snapshot.is_empty() {
                return Ok(None);
            }
            // A cell that was made for nothing is retired all the same.
            self.give_back_expired(&mut draft, now_ms, OWN_EXPIRED);
            if self.swap_in(cell, &snapshot, draft) {
                return Ok(result);
            }
            now_ms = self.clock.now_ms_or(now_ms);
        }
    }

    /// The channel's cell, kept from retirement until [`ChannelIndex::let_go`].
    pub(crate) fn hold(&self, channel: &Channel) -> Arc<Cell> {
        let hold = |cell: &Arc<Cell>, _: &Snapshot, draft: &mut Draft| {
            draft.handles += 1;
            Some(Arc::clone(cell))
        };
        self.edit(channel, always, hold).expect("an edit that makes the cell and does not decline")
    }

    /// Undoes one [`ChannelIndex::hold`].
    pub(crate) fn let_go(&self, cell: &Arc<Cell>) {
        // Never retired: it is held.
        let _ = self.edit_cell(cell, |_, _, draft| {
            draft.handles -= 1;
            Some(())
        });
    }

    fn new_cell(&self, channel: &Channel) -> Arc<Cell> {
        // Acquire: pairs with AcqRel in swap_in(): the successor of a retired cell begins above its stamps (I1).
        let floor = Stamp::from_u64(self.floor.load(Ordering::Acquire));
        Arc::new(Cell {
            // Relaxed: a name, related to nothing else.
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            channel: channel.clone(),
            snapshot: Swap::new(Arc::new(Snapshot::empty(floor))),
            due_ms: AtomicU64::new(0),
        })
    }

    /// The linearization point of every change.
    fn swap_in(&self, cell: &Arc<Cell>, current: &Arc<Snapshot>, draft: Draft) -> bool {
        let next = Arc::new(draft.into_snapshot());
        if next.retired {
            // AcqRel: before the cell can be seen retired, so before it can have a successor (I1).
            self.floor.fetch_max(next.stamp.as_u64(), Ordering::AcqRel);
            // AcqRel: who finds the cell gone from the map finds this too.
            self.retirements.fetch_add(1, Ordering::AcqRel);
        }
        if !cell.snapshot.replace(current, Arc::clone(&next)) {
            return false;
        }
        if next.retired {
            self.unlink(cell);
        } else if let Some(oldest) = next.revocations.oldest() {
            self.note_due(cell, oldest);
        }
        match (current.has_no_members(), next.has_no_members()) {
            (true, false) => self.observers.tell(|one| one.channel_opened(&cell.channel, next.stamp)),
            (false, true) => self.observers.tell(|one| one.channel_closed(&cell.channel, next.stamp)),
            _ => {}
        }
        true
    }

    /// Takes a retired cell out of the map (I5).
    fn unlink(&self, cell: &Arc<Cell>) {
        self.cells.remove_if(&cell.channel, |linked| Arc::ptr_eq(linked, cell));
        // AcqRel: see note_due().
        let due_ms = cell.due_ms.swap(NEVER_DUE, Ordering::AcqRel);
        if due_ms != 0 && due_ms != NEVER_DUE {
            self.change_due(|due| due.without(&(due_ms, cell.id)));
        }
    }

    /// Puts a cell with revocations into the `due` set, once.
    ///
    /// No entry outlives its cell: of the last access to `due_ms` here and the swap in `unlink`, both read-modify-writes, one comes
    /// first. If ours does, `unlink` finds our time, and our entry in the set. If the swap does, we find [`NEVER_DUE`], and take our
    /// entry out again.
    fn note_due(&self, cell: &Arc<Cell>, oldest: Stamp) {
        // Relaxed: the common case, the entry stands.
        if cell.due_ms.load(Ordering::Relaxed) != 0 {
            return;
        }
        // No overflow: both have bounds far below, see Stamp and Builder::receipt_lifetime().
        let due_ms = oldest.millis() + self.lifetime_ms + 1;
        // AcqRel: one of several editors makes the entry.
        if cell.due_ms.compare_exchange(0, due_ms, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            let entry = Due { key: (due_ms, cell.id), cell: Arc::clone(cell) };
            self.change_due(|due| Some(due.with(entry.clone())));
            // AcqRel: as above.
            if cell.due_ms.fetch_add(0, Ordering::AcqRel) == NEVER_DUE {
                self.change_due(|due| due.without(&entry.key));
            }
        }
    }

    fn change_due(&self, mut change: impl FnMut(&Set<Due>) -> Option<Set<Due>>) {
        loop {
            let due = self.due.load_full();
            let Some(next) = change(&due) else { return };
            if self.due.replace(&due, Arc::new(next)) {
                return;
            }
        }
    }

    /// The stamp at and below which revocations have expired.
    fn expired_until(&self, now_ms: u64) -> Option<Stamp> {
        let last_ms = now_ms.checked_sub(self.lifetime_ms)?.checked_sub(1)?;
        Some(Stamp::from_u64(last_ms << 16 | 0xFFFF))
    }

    /// Whether a receipt of this stamp has expired (rule R2).
    pub(crate) fn receipt_expired(&self, stamp: Stamp, now_ms: u64) -> bool {
        // Acquire: pairs with AcqRel in give_back_expired().
        stamp.as_u64() <= self.horizon.load(Ordering::Acquire)
            || self.expired_until(now_ms).is_some_and(|until| stamp <= until)
    }

    fn give_back_expired(&self, draft: &mut Draft, now_ms: u64, most: usize) -> usize {
        let Some(until) = self.expired_until(now_ms) else { return 0 };
        if draft.revocations.oldest().is_none_or(|oldest| oldest > until) {
            return 0;
        }
        // AcqRel: before the snapshot without them can be seen, so that no clock that goes back revives what they revoked.
        self.horizon.fetch_max(until.as_u64(), Ordering::AcqRel);
        let (rest, gone) = draft.revocations.expired(until, most);
        draft.revocations = rest;
        gone
    }

    /// Gives back some revocations of the channel that is due first, if it is time.
    fn expire_some(&self, now_ms: u64) {
        let due = self.due.load();
        if let Some(first) = due.first()
            && first.key.0 <= now_ms
        {
            self.expire(first, DUE_EXPIRED, now_ms);
        }
    }

    fn expire(&self, first: &Due, most: usize, now_ms: u64) -> usize {
        let (due_ms, cell) = (first.key.0, &first.cell);
        self.change_due(|due| due.without(&first.key));
        // AcqRel: one of several takes the turn; a failure means that another did, or that the cell was retired.
        if cell.due_ms.compare_exchange(due_ms, 0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return 0;
        }
        let mut total = 0;
        let edit = |_: &Arc<Cell>, _: &Snapshot, draft: &mut Draft| {
            total = self.give_back_expired(draft, now_ms, most);
            Some(())
        };
        match self.edit_cell_at(cell, now_ms, edit) {
            Ok(_) => total,
            Err(Retired) => 0,
        }
    }

    /// How many entries wait for the time at which they are due.
    #[cfg(test)]
    pub(crate) fn due_len(&self) -> usize {
        self.due.load().len()
    }

    /// Gives back every expired revocation; returns how many. O(e log n) for e expired ones.
    pub(crate) fn sweep(&self) -> usize {
        let mut total = 0;
        loop {
            let due = self.due.load_full();
            let now_ms = self.clock.now_ms();
            match due.first().filter(|first| first.key.0 <= now_ms) {
                Some(first) => total += self.expire(first, SWEEP_EXPIRED, now_ms),
                None => return total,
            }
        }
    }
}

/// The cell's channel has another cell by now, or none.
#[derive(Debug)]
pub(crate) struct Retired;
