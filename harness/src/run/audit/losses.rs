//! How many broadcasts each tab may miss because it was told so (Q2).
//!
//! A lane is told its losses once, for all of its connections. So a tab that has two lives on it, of one tenancy or of two, may miss
//! that many once. Who took a connection over is told of them on its own queue too, before the next event there (L5): once something
//! came there, the lane's word is not for that tenancy any more.

use std::collections::{HashMap, HashSet};

use super::super::record::{LaneLoss, Record, Seen, Sent};
use super::model::Model;

/// What one tab's tenancies, from the first to the last, may miss together.
#[derive(Debug, Clone, Copy)]
struct Shared {
    first: u32,
    last: u32,
    broadcasts: u64,
    /// So many explain a missing message.
    used: u64,
}

/// What was told, and what of it explains missing messages.
#[derive(Debug)]
pub(super) struct Losses {
    /// By tenancy: told on its own queue.
    own: Vec<u64>,
    /// By tab: told on its lane. What is only for earlier tenancies comes first.
    shared: HashMap<u32, Vec<Shared>>,
}

impl Losses {
    pub(super) fn new(record: &Record, sent: &[Vec<Sent>], model: &Model) -> Self {
        let mut losses = Losses { own: vec![0; model.tenancies.len()], shared: HashMap::new() };
        for (life, broadcasts) in record.seen.iter().flat_map(|seen| &seen.lagged) {
            if let Some(tenancy) = model.tenancy_of(*life) {
                losses.own[tenancy as usize] += broadcasts;
            }
        }
        let mut of_lanes = record.seen.iter().flat_map(|seen| &seen.lane_lagged).peekable();
        if of_lanes.peek().is_some() {
            let own_queues = OwnQueues::new(record, sent, model);
            of_lanes.for_each(|loss| losses.share(loss, &own_queues));
        }
        for shared in losses.shared.values_mut() {
            shared.sort_by_key(|shared| shared.last);
        }
        losses
    }

    fn share(&mut self, loss: &LaneLoss, own_queues: &OwnQueues<'_>) {
        let (model, told) = (own_queues.model, own_queues.told_of(loss));
        let mut tabs: HashMap<u32, Shared> = HashMap::new();
        for tenancy in loss.lives.iter().filter_map(|life| model.tenancy_of(*life)) {
            if !told.contains(&tenancy) {
                let shared = Shared { first: tenancy, last: tenancy, broadcasts: loss.broadcasts, used: 0 };
                let shared = tabs.entry(model.tenancies[tenancy as usize].tab).or_insert(shared);
                (shared.first, shared.last) = (shared.first.min(tenancy), shared.last.max(tenancy));
            }
        }
        for (tab, shared) in tabs {
            let of_tab = self.shared.entry(tab).or_default();
            match of_tab.last_mut() {
                Some(before) if (before.first, before.last) == (shared.first, shared.last) => {
                    before.broadcasts += shared.broadcasts;
                }
                _ => of_tab.push(shared),
            }
        }
    }

    /// Uses up what explains so many missing messages of a tenancy. If it is too little: how many the tenancy was told of. A tab's
    /// tenancies are asked about in their order; each uses first what later ones can't.
    pub(super) fn explain(&mut self, tab: u32, tenancy: u32, missing: u64) -> Result<(), u64> {
        let own = self.own[tenancy as usize];
        let (mut told, mut left) = (own, missing.saturating_sub(own));
        let shared = self.shared.get_mut(&tab).into_iter().flatten();
        for shared in shared.filter(|shared| (shared.first..=shared.last).contains(&tenancy)) {
            told += shared.broadcasts;
            let used = left.min(shared.broadcasts - shared.used);
            shared.used += used;
            left -= used;
        }
        if left == 0 { Ok(()) } else { Err(told) }
    }
}

/// The queues of those who took a connection over from a lane.
struct OwnQueues<'a> {
    model: &'a Model,
    sent: &'a [Vec<Sent>],
    /// By tenancy: the last take of a message there began after this.
    last_take_ns: Vec<u64>,
}

impl<'a> OwnQueues<'a> {
    fn new(record: &Record, sent: &'a [Vec<Sent>], model: &'a Model) -> Self {
        let mut own_queues = OwnQueues { model, sent, last_take_ns: vec![0; model.tenancies.len()] };
        for (taken, began_ns) in record.seen.iter().flat_map(Seen::handed_out) {
            if let Some(tenancy) = own_queues.taken_over(taken.life) {
                let last_ns = &mut own_queues.last_take_ns[tenancy as usize];
                *last_ns = began_ns.max(*last_ns);
            }
        }
        own_queues
    }

    /// The tenancy of a life that took over from another.
    fn taken_over(&self, life: u32) -> Option<u32> {
        let tenancy = self.model.tenancy_of(life)?;
        (self.model.tenancies[tenancy as usize].first_life != life).then_some(tenancy)
    }

    /// Tenancies that were told of a lane's loss there: something came after all broadcasts had returned that began before the lane
    /// was told, and with them whatever lost a message and noted it.
    fn told_of(&self, loss: &LaneLoss) -> HashSet<u32> {
        let last_return = |sent: &Vec<Sent>| {
            let begun = sent.partition_point(|sent| sent.called_ns <= loss.at_ns);
            sent[..begun].last().map(|sent| sent.returned_ns)
        };
        let noted_ns = self.sent.iter().filter_map(last_return).max().unwrap_or(0);
        let taken_over = loss.lives.iter().filter_map(|life| self.taken_over(*life));
        taken_over.filter(|tenancy| self.last_take_ns[*tenancy as usize] > noted_ns).collect()
    }
}
