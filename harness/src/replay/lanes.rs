//! A replay's tabs spread over lanes: what comes is kept until the operation is over, and then shown in the order of the format.
//!
//! A tab lives on one lane, also when it connects again, so working that off brings all that there is for it.

use holocast::{Batch, Cid, Client, Error, Event, Lane, LaneEvent, LaneKey, Realtime, Receipt};

use crate::trace::Params;

/// All lanes, and who is on them.
pub(super) struct Lanes {
    lanes: Vec<Lane<Params>>,
    /// By tab; `None` if it is not live.
    keys: Vec<Option<LaneKey>>,
}

impl Lanes {
    /// So many lanes, at least one.
    pub(super) fn new(engine: &Realtime<Params>, lanes: usize) -> Self {
        Lanes { lanes: (0..lanes.max(1)).map(|_| engine.lane()).collect(), keys: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// The lane of a tab.
    pub(super) fn of(&self, tab: usize) -> usize {
        tab % self.lanes.len()
    }

    /// Connects a tab, whose number is its token, and returns its receipts.
    pub(super) fn connect(
        &mut self,
        tab: usize,
        client: &Client,
        presented: &[Receipt],
    ) -> Result<Vec<Receipt>, Error> {
        let lane = self.of(tab);
        let connected = self.lanes[lane].reconnect(client, presented, tab as u64)?;
        if self.keys.len() <= tab {
            self.keys.resize(tab + 1, None);
        }
        self.keys[tab] = Some(connected.key);
        Ok(connected.receipts)
    }

    /// Nothing is handed out for the tab after this.
    pub(super) fn disconnect(&mut self, tab: usize) {
        let lane = self.of(tab);
        if let Some(key) = self.keys.get_mut(tab).and_then(Option::take) {
            self.lanes[lane].disconnect(key);
        }
    }

    /// The next event of a lane.
    pub(super) fn take(&mut self, lane: usize) -> Option<LaneEvent<Params>> {
        self.lanes[lane].try_recv()
    }
}

/// What one tab was told.
pub(super) enum What {
    /// A broadcast, by its number among those kept.
    Broadcast { batch: usize, cids: Vec<Cid> },
    /// Anything that comes to one alone.
    One(Event<Params>),
}

/// What has come and is not shown yet.
#[derive(Default)]
pub(super) struct Told {
    told: Vec<(usize, What)>,
    batches: Vec<Batch<Params>>,
}

impl Told {
    pub(super) fn one(&mut self, tab: usize, event: Event<Params>) {
        self.told.push((tab, What::One(event)));
    }

    pub(super) fn broadcast(&mut self, mut batch: Batch<Params>) {
        let number = self.batches.len();
        let told = batch.receivers().map(|(tab, cids)| {
            (tab as usize, What::Broadcast { batch: number, cids: cids.cloned().collect() })
        });
        self.told.extend(told);
        self.batches.push(batch);
    }

    /// All of it by tab, each tab's in the order in which it came, but an end before what its successor got.
    pub(super) fn take_sorted<'a>(
        &mut self,
        name: impl Fn(usize) -> &'a [u8],
    ) -> (Vec<(usize, What)>, Vec<Batch<Params>>) {
        let is_end = |what: &What| matches!(what, What::One(Event::Closed(_)));
        self.told.sort_by(|(a, told_a), (b, told_b)| {
            name(*a).cmp(name(*b)).then_with(|| is_end(told_b).cmp(&is_end(told_a)))
        });
        (std::mem::take(&mut self.told), std::mem::take(&mut self.batches))
    }
}
