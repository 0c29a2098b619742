//! Questions: who is bound to what, who is there, how much there is of everything. Each answer is one snapshot; none changes anything.

use std::sync::Arc;

use crate::channel::Channel;
use crate::engine::Engine;
use crate::identity::{Client, Identity};
use crate::registry::SlotId;
use crate::stats::Stats;
use crate::sync::{Ordering, epoch};
use crate::text::{Cid, Id};

/// One binding of a connection ([`Realtime::bindings_of`](crate::Realtime::bindings_of)).
///
/// ```
/// use holocast::{Binding, Channel};
///
/// let binding = Binding { channel: Channel::atom("news"), cid: "page".into(), user: None };
/// assert_eq!(binding.cid.as_str(), "page");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The channel bound to.
    pub channel: Channel,
    /// The component that wants it.
    pub cid: Cid,
    /// Who authorized it; nobody for an anonymous grant.
    pub user: Option<Id>,
}

/// One connection on a channel ([`Realtime::members_of`](crate::Realtime::members_of)).
///
/// ```
/// use holocast::{Client, Member};
///
/// let member = Member { client: Client::new("tab-1"), cids: vec!["page".into()] };
/// assert_eq!(member.client.instance().as_str(), "tab-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose connection it is.
    pub client: Client,
    /// Its cids on the channel, in order.
    pub cids: Vec<Cid>,
}

impl<P: Send + Sync + 'static> Engine<P> {
    pub(crate) fn bindings_of(&self, instance: &str) -> Vec<Binding> {
        let _pin = epoch::pin();
        let Some(found) = self.registry.live(&instance.into()) else { return Vec::new() };
        let mut bindings = Vec::new();
        for cell in self.registry.slot(found.slot).joined.visit() {
            let snapshot = cell.snapshot();
            let Some((auth, bounds)) = snapshot.get(self.registry.seat(found.slot)) else { continue };
            // Stale ones are dropped already, as far as anybody can tell (rule C5).
            let in_force = bounds.iter().filter(|bound| !bound.by_user || auth == found.tenant.auth);
            bindings.extend(in_force.map(|bound| Binding {
                channel: cell.channel.clone(),
                cid: bound.cid.clone(),
                user: found.tenant.client.user().filter(|_| bound.by_user).cloned(),
            }));
        }
        bindings.sort_by(|a, b| (&a.channel, &a.cid).cmp(&(&b.channel, &b.cid)));
        bindings
    }

    pub(crate) fn identities_of(&self, instance: &str) -> Option<Client> {
        let _pin = epoch::pin();
        self.registry.live(&instance.into()).map(|found| found.tenant.client.clone())
    }

    pub(crate) fn connections_of(&self, identity: &Identity) -> Vec<Client> {
        let _pin = epoch::pin();
        let mut clients: Vec<Client> =
            self.registry.resolve(identity).into_iter().map(|found| found.tenant.client.clone()).collect();
        clients.sort_by(|a, b| a.instance().cmp(b.instance()));
        clients
    }

    pub(crate) fn members_of(&self, channel: &Channel) -> Vec<Member> {
        let _pin = epoch::pin();
        let member = |slot: SlotId, auth: u32, bounds: &[crate::index::Bound]| {
            let tenant = self.registry.slot(slot).tenant();
            let in_force = bounds.iter().filter(|bound| !bound.by_user || auth == tenant.auth);
            let cids: Vec<Cid> = in_force.map(|bound| bound.cid.clone()).collect();
            (tenant.is_live() && !cids.is_empty()).then(|| Member { client: tenant.client.clone(), cids })
        };
        let members = self.index.read(channel, |cell| {
            let snapshot = cell.snapshot();
            snapshot
                .leaves()
                .flat_map(|leaf| {
                    leaf.members().iter().enumerate().map(move |(place, m)| (m, leaf.cids(place)))
                })
                .filter_map(|(m, bounds)| member(m.slot, m.auth, bounds))
                .collect()
        });
        let mut members: Vec<Member> = members.unwrap_or_default();
        members.sort_by(|a, b| a.client.instance().cmp(b.client.instance()));
        members
    }

    pub(crate) fn stats(&self) -> Stats {
        let _pin = epoch::pin();
        let mut stats = Stats::default();
        self.counters.add_to(&mut stats);
        self.registry.for_each_instance(|slot| {
            stats.connections += u64::from(self.registry.slot(slot).peek_tenant().is_live());
        });
        self.index.for_each(|cell| {
            let snapshot = cell.snapshot();
            stats.channels += u64::from(!snapshot.is_bare());
            stats.revocations += snapshot.revocations.len() as u64;
            for leaf in snapshot.leaves() {
                stats.members += leaf.len() as u64;
                stats.bindings += (0..leaf.len()).map(|place| leaf.cids(place).len() as u64).sum::<u64>();
            }
        });
        self.registry.slots.for_each(|queue, slot| {
            // Relaxed: counts.
            let withheld = slot.tally.withheld.load(Ordering::Relaxed);
            stats.withheld += withheld;
            // What is withheld was taken before.
            stats.taken += queue.taken().saturating_sub(withheld);
            stats.queued += queue.queued();
            stats.released += slot.tally.released.load(Ordering::Relaxed);
        });
        self.lanes.add_to(&mut stats);
        stats
    }

    /// The cids of a connection on a channel, in order, as of now.
    pub(crate) fn cids_of(&self, instance: &crate::Text, channel: &Channel) -> Vec<Cid> {
        let Some(found) = self.registry.live(instance) else { return Vec::new() };
        let cids = self.index.read(channel, |cell: &Arc<crate::index::Cell>| {
            let snapshot = cell.snapshot();
            let (auth, bounds) = snapshot.get(self.registry.seat(found.slot))?;
            let in_force = bounds.iter().filter(|bound| !bound.by_user || auth == found.tenant.auth);
            Some(in_force.map(|bound| bound.cid.clone()).collect())
        });
        cids.flatten().unwrap_or_default()
    }
}
