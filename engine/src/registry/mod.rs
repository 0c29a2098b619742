//! Who is connected: instances, identities, slots and leases.
//!
//! * [`slots`]: the places of connections, in pages that never move.
//! * [`tenant`]: who lives in a slot: one atomic cell for identities, lease and end.
//! * [`gate`]: what the consumer of a lane asks for every delivery, packed.
//! * [`joined`]: which channels a slot may be a member of.
//!
//! Two maps lead to slots: `instances` to the one slot of a live instance, `identities` to all slots that may match a session or
//! a user. The second is a superset: an entry is made before the tenant's cell says so and removed after (I2), and carries the
//! tenant's ticket, so that entries of different changes never meet.

mod gate;
mod joined;
mod slots;
mod tenant;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::identity::{Client, Identity};
use crate::index::{Entry, OWN_QUEUE, Seat, Set};
use crate::sync::Map;
use crate::text::Text;

pub(crate) use gate::{Gates, Shut};
pub(crate) use joined::{Ticket, Tickets};
pub(crate) use slots::{MAX_SLOTS, PAGE, Place, Slot, SlotId, Slots};
pub(crate) use tenant::{State, Tenant};

/// A slot that may match an identity, and the tenant's ticket under which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    key: (SlotId, Ticket),
}

impl Entry for Claim {
    type Key = (SlotId, Ticket);
    fn key(&self) -> &(SlotId, Ticket) {
        &self.key
    }
}

/// See the module's text.
pub(crate) struct Registry<P> {
    pub(crate) slots: Arc<Slots<P>>,
    instances: Map<Text, SlotId>,
    identities: Map<Identity, Arc<Set<Claim>>>,
}

/// A live connection that matches an identity, as its tenant's cell said when it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Match {
    pub(crate) slot: SlotId,
    pub(crate) tenant: Arc<Tenant>,
}

impl<P: Send + Sync + 'static> Registry<P> {
    pub(crate) fn new(expected: usize) -> Self {
        Self {
            slots: Arc::new(Slots::new()),
            instances: Map::with_capacity(expected),
            identities: Map::with_capacity(expected),
        }
    }

    pub(crate) fn slot(&self, id: SlotId) -> &Slot<P> {
        self.slots.slot(id)
    }

    /// The slot's tenant, to act upon. Its queue is told first, in case the one who changed the tenant has not come to that: no
    /// member is ever written under an authorization that the queue has not heard of (I4).
    pub(crate) fn tenant(&self, id: SlotId) -> Arc<Tenant> {
        let tenant = self.slot(id).tenant();
        if tenant.is_live() {
            self.announce(id, &tenant);
        }
        tenant
    }

    /// Tells the slot's consumers, with a queue of its own or on a lane, whose it is now (I4, I6).
    pub(crate) fn announce(&self, id: SlotId, tenant: &Tenant) {
        self.slots.queue(id).set_lease(tenant.generation, tenant.auth);
        if self.slot(id).home() != OWN_QUEUE {
            self.slots.gates(id).raise(id, tenant.auth);
        }
    }

    /// Where the slot's tenant stands in a snapshot; see [`Slot::home`].
    pub(crate) fn seat(&self, id: SlotId) -> Seat {
        self.slots.seat(id)
    }

    /// The slot that the instance's name leads to; whether its tenant lives is another question.
    pub(crate) fn instance(&self, instance: &Text) -> Option<SlotId> {
        self.instances.get(instance)
    }

    /// Enters a new tenancy under its name; fails if the name leads elsewhere.
    pub(crate) fn enter(&self, instance: &Text, slot: SlotId) -> bool {
        self.instances.get_or_insert_with(instance, || slot) == slot
    }

    /// Whether the name led there: true once for each tenancy that was entered.
    pub(crate) fn leave(&self, instance: &Text, slot: SlotId) -> bool {
        self.instances.remove_if(instance, |entered| *entered == slot)
    }

    pub(crate) fn for_each_instance(&self, mut f: impl FnMut(SlotId)) {
        self.instances.for_each(|_, slot| f(*slot));
    }

    /// Makes the slot findable by the client's session and user, before its tenant's cell says so (I2).
    pub(crate) fn claim(&self, client: &Client, slot: SlotId, ticket: Ticket) {
        let claim = Claim { key: (slot, ticket) };
        for identity in client.shared_identities() {
            self.identities.update(&identity, |claims| {
                Some(Arc::new(claims.map_or_else(Set::default, |claims| Set::clone(claims)).with(claim)))
            });
        }
    }

    /// Undoes [`Registry::claim`], after the tenant's cell says otherwise.
    pub(crate) fn unclaim(&self, client: &Client, slot: SlotId, ticket: Ticket) {
        for identity in client.shared_identities() {
            self.identities.update(&identity, |claims| {
                let claims = claims?;
                let rest = claims.without(&(slot, ticket)).unwrap_or_else(|| Set::clone(claims));
                (!rest.is_empty()).then(|| Arc::new(rest))
            });
        }
    }

    /// The slots that may match an identity. Ask after loading the snapshot that is to be changed (I2), and then each slot's
    /// tenant by [`Registry::matching`].
    pub(crate) fn candidates(&self, identity: &Identity) -> SmallVec<[SlotId; 4]> {
        if let Identity::Instance(instance) = identity {
            return self.instance(instance).into_iter().collect();
        }
        let claims = self.identities.get(identity);
        let mut slots: SmallVec<[SlotId; 4]> =
            claims.iter().flat_map(|claims| claims.iter()).map(|claim| claim.key.0).collect();
        // A slot stands there twice while its tenant changes.
        slots.dedup();
        slots
    }

    /// The slot's tenant, if it lives and matches the identity.
    pub(crate) fn matching(&self, identity: &Identity, slot: SlotId) -> Option<Match> {
        let tenant = self.tenant(slot);
        (tenant.is_live() && tenant.client.matches(identity)).then(|| Match { slot, tenant })
    }

    /// The slots that a broadcast has to leave out: also a connection on its way out is excluded as long as its queue may still
    /// accept, which it does no more once it can't be found (`Engine::end`).
    pub(crate) fn excluded(&self, identity: &Identity) -> SmallVec<[SlotId; 4]> {
        let mut slots = self.candidates(identity);
        slots.retain(|slot| self.slot(*slot).peek_tenant().client.matches(identity));
        slots
    }

    /// All live connections that match an identity.
    pub(crate) fn resolve(&self, identity: &Identity) -> SmallVec<[Match; 2]> {
        self.candidates(identity).into_iter().filter_map(|slot| self.matching(identity, slot)).collect()
    }

    /// The live connection of an instance.
    pub(crate) fn live(&self, instance: &Text) -> Option<Match> {
        let slot = self.instance(instance)?;
        let tenant = self.tenant(slot);
        (tenant.is_live() && tenant.client.instance() == instance).then(|| Match { slot, tenant })
    }
}
