//! Changes of an instance's own subscriptions, by the handlers of its requests: apply and transition (rules S7 and S8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::caught::Caught;
use crate::channel::Channel;
use crate::engine::{Engine, Leaving, Recorded};
use crate::error::Error;
use crate::event::Key;
use crate::identity::{Client, Identity};
use crate::index::{Cell, Draft, Snapshot, always};
use crate::receipt::Receipt;
use crate::registry::Match;
use crate::sync::epoch;
use crate::text::Cid;

/// What [`Realtime::apply`](crate::Realtime::apply) changed.
///
/// ```
/// use holocast::{Channel, Client, Realtime};
///
/// let realtime = Realtime::<String>::new();
/// let tab = Client::new("tab-1");
/// let _connected = realtime.connect(&tab)?;
/// let key = (Channel::atom("news"), "page".into());
/// let applied = realtime.apply(&tab, &[key.clone()], &[])?;
/// assert_eq!((applied.receipts.len(), applied.dropped.len()), (1, 0));
/// let applied = realtime.apply(&tab, &[], &[key.clone()])?;
/// assert_eq!(applied.dropped, [key]);
/// # Ok::<(), holocast::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// Fresh receipts of what was really added, by channel and cid.
    pub receipts: Vec<Receipt>,
    /// What was really dropped, by channel and cid.
    pub dropped: Vec<Key>,
}

/// What the client has to change in its keeping after [`Realtime::transition`](crate::Realtime::transition).
///
/// ```
/// use holocast::{Channel, Client, Realtime};
///
/// let realtime = Realtime::<String>::new();
/// let tab = Client::new("tab-1");
/// let _connected = realtime.connect(&tab)?;
/// let (old, new) = ((Channel::atom("old"), "page".into()), (Channel::atom("new"), "page".into()));
/// let held = realtime.apply(&tab, &[old.clone()], &[])?.receipts;
/// let transition = realtime.transition(&tab, &[new], &held)?;
/// assert_eq!((transition.receipts.len(), transition.gone), (1, vec![old]));
/// # Ok::<(), holocast::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Transition {
    /// Receipts for the bindings that the client does not claim, or claims under another authorization.
    pub receipts: Vec<Receipt>,
    /// Claimed keys that are bound no more.
    pub gone: Vec<Key>,
}

/// The cids of one channel to add and to drop.
#[derive(Debug, Default)]
struct Changes<'a> {
    adds: BTreeSet<&'a Cid>,
    drops: BTreeSet<&'a Cid>,
}

impl<P: Send + Sync + 'static> Engine<P> {
    pub(crate) fn apply(&self, client: &Client, adds: &[Key], drops: &[Key]) -> Result<Applied, Error> {
        self.check_client(client)?;
        self.check_keys(adds)?;
        self.check_keys(drops)?;
        if !adds.is_empty() {
            self.latch.check()?;
        }
        let mut changes: BTreeMap<&Channel, Changes<'_>> = BTreeMap::new();
        for (channel, cid) in adds {
            changes.entry(channel).or_default().adds.insert(cid);
        }
        for (channel, cid) in drops {
            let of_channel = changes.entry(channel).or_default();
            // A key in both is dropped (rule S7).
            of_channel.adds.remove(cid);
            of_channel.drops.insert(cid);
        }
        let _pin = epoch::pin();
        let (mut applied, mut caught) = (Applied::default(), Caught::default());
        for (channel, changes) in changes {
            self.apply_to(client, channel, &changes, &mut applied, &mut caught);
        }
        caught.go_on();
        Ok(applied)
    }

    fn apply_to(
        &self,
        client: &Client,
        channel: &Channel,
        changes: &Changes<'_>,
        applied: &mut Applied,
        caught: &mut Caught,
    ) {
        let instance = Identity::Instance(client.instance().clone());
        self.edit_own(client, channel, caught, |found, draft| {
            let mut outcome = Applied::default();
            let Some(Match { slot, tenant }) = found else {
                changes.drops.iter().for_each(|cid| draft.revoke(&instance, Some(cid)));
                outcome.dropped =
                    changes.drops.iter().map(|cid| (channel.clone(), Cid::clone(cid))).collect();
                let by_user = client.user().is_some();
                outcome.receipts = changes
                    .adds
                    .iter()
                    .map(|cid| Receipt::of(client, channel, cid, by_user, draft.stamp))
                    .collect();
                return (!changes.adds.is_empty() || !changes.drops.is_empty()).then_some(outcome);
            };
            let seat = self.registry.seat(*slot);
            for cid in &changes.drops {
                if draft.unbind(seat, cid).is_some() {
                    draft.revoke(&instance, Some(cid));
                    outcome.dropped.push((channel.clone(), Cid::clone(cid)));
                }
            }
            let by_user = tenant.client.user().is_some();
            for cid in &changes.adds {
                if draft.bind(seat, tenant.auth, cid, by_user).0 {
                    outcome.receipts.push(Receipt::of(&tenant.client, channel, cid, by_user, draft.stamp));
                }
            }
            (!outcome.dropped.is_empty() || !outcome.receipts.is_empty()).then_some(outcome)
        })
        .into_iter()
        .for_each(|outcome| {
            for (channel, cid) in &outcome.dropped {
                self.observers.tell(|one| one.revoked(&instance, channel, Some(cid)));
            }
            applied.receipts.extend(outcome.receipts);
            applied.dropped.extend(outcome.dropped);
        });
    }

    pub(crate) fn transition(
        &self,
        client: &Client,
        bindings: &[Key],
        claimed: &[Receipt],
    ) -> Result<Transition, Error> {
        self.check_client(client)?;
        self.check_keys(bindings)?;
        self.latch.check()?;
        let mut wanted: BTreeMap<&Channel, BTreeSet<&Cid>> = BTreeMap::new();
        for (channel, cid) in bindings {
            wanted.entry(channel).or_default().insert(cid);
        }
        let claimed =
            claimed.iter().filter(|receipt| receipt.instance() == client.instance()).collect::<Vec<_>>();
        let _pin = epoch::pin();
        let (mut transition, mut caught) = (Transition::default(), Caught::default());
        if let Some(found) = self.registry.live(client.instance()) {
            for cell in self.registry.slot(found.slot).joined.visit() {
                if !wanted.contains_key(&cell.channel) {
                    self.leave_channel(&found, &cell);
                }
            }
        }
        for (channel, cids) in &wanted {
            let receipts = self.edit_own(client, channel, &mut caught, |found, draft| {
                let now = found.as_ref().map_or(client, |found| &found.tenant.client);
                let by_user = now.user().is_some();
                if let Some(Match { slot, tenant }) = found {
                    let seat = self.registry.seat(*slot);
                    draft.unbind_all(seat);
                    for cid in cids {
                        draft.bind(seat, tenant.auth, cid, by_user);
                    }
                }
                let is_claimed = |cid: &Cid| {
                    claimed
                        .iter()
                        .any(|held| (held.channel(), held.cid(), held.user()) == (channel, cid, now.user()))
                };
                let missing = cids.iter().filter(|cid| !is_claimed(cid));
                Some(
                    missing
                        .map(|cid| Receipt::of(now, channel, cid, by_user, draft.stamp))
                        .collect::<Vec<_>>(),
                )
            });
            transition.receipts.extend(receipts.into_iter().flatten());
        }
        let is_wanted = |key: &Key| wanted.get(&key.0).is_some_and(|cids| cids.contains(&key.1));
        let keys = claimed.iter().map(|held| (held.channel().clone(), held.cid().clone()));
        transition.gone = keys.filter(|key| !is_wanted(key)).collect();
        transition.gone.sort();
        transition.gone.dedup();
        caught.go_on();
        Ok(transition)
    }

    /// Drops all bindings of a connection on one channel, if it still is the one that was found.
    fn leave_channel(&self, found: &Match, cell: &Arc<Cell>) {
        let edited = self.index.edit_cell(cell, |cell, snapshot: &Snapshot, draft| {
            let (leaving, seat) = (Leaving::new(self, found.slot, cell), self.registry.seat(found.slot));
            snapshot.get(seat)?;
            draft.unbind_all(seat);
            Some(leaving)
        });
        if let Ok(Some(leaving)) = edited {
            leaving.forget(self, cell);
        }
    }

    /// Edits a channel for an instance: `f` gets its live connection, if it has one, with stale bindings already dropped. The
    /// channel is recorded in the connection's own set before, and forgotten after, as the outcome asks for (I3).
    fn edit_own<R>(
        &self,
        client: &Client,
        channel: &Channel,
        caught: &mut Caught,
        mut f: impl FnMut(&Option<Match>, &mut Draft) -> Option<R>,
    ) -> Option<R> {
        let mut recorded = Recorded::default();
        let mut member = None;
        let mut left = None;
        let mut stale = None;
        let result = self.index.edit(channel, always, |cell, snapshot, draft| {
            recorded.begin();
            (member, left, stale) = (None, None, None);
            let mut found = self.registry.live(client.instance());
            let was_member =
                found.as_ref().is_some_and(|found| snapshot.is_member(self.registry.seat(found.slot)));
            if let Some(Match { slot, .. }) = found {
                let leaving = was_member.then(|| Leaving::new(self, slot, cell));
                // Recorded before the tenant is looked at (I3, I4).
                if was_member || recorded.record(self, slot, cell) {
                    found = self.registry.live(client.instance()).filter(|found| found.slot == slot);
                } else {
                    found = None;
                }
                // Of one that has ended nothing is removed here: its end needs the record.
                left = leaving.filter(|_| found.is_some());
            }
            if let Some(found) = &found {
                let gone = draft.refresh(self.registry.seat(found.slot), found.tenant.auth);
                stale = (!gone.is_empty()).then_some((found.slot, gone));
            }
            let result = f(&found, draft)?;
            if let Some(found) = &found
                && !draft.bounds(self.registry.seat(found.slot)).is_empty()
            {
                member = Some(found.slot);
            }
            Some((result, Arc::clone(cell)))
        });
        recorded.settle(self, |slot| result.is_some() && member == Some(slot));
        let (result, cell) = result?;
        if let Some(leaving) = left.filter(|_| member.is_none()) {
            leaving.forget(self, &cell);
        }
        if let Some((slot, cids)) = stale {
            self.tell_dropped(slot, channel, cids, caught);
        }
        Some(result)
    }
}
