//! Changes of subscriptions from outside, by identity: subscribe, unsubscribe, unsubscribe_all (rules S1 to S5).
//!
//! Each is one edit of the channel's snapshot: bindings and revocations of all matching connections change in one step. Events
//! follow after the step.

use crate::caught::Caught;
use crate::channel::Channel;
use crate::engine::{Engine, Leaving, Recorded};
use crate::error::Error;
use crate::identity::Identity;
use crate::index::always;
use crate::queue::Control;
use crate::receipt::Receipt;
use crate::registry::{Match, SlotId};
use crate::sync::epoch;
use crate::text::Cid;
use std::sync::Arc;

/// A connection that a subscribe found.
struct Granted {
    found: Match,
    by_user: bool,
    /// Bindings of another user than the current one, dropped on the way (rule C5).
    stale: Vec<Cid>,
}

/// A connection that an unsubscribe found.
struct Revoked {
    slot: SlotId,
    dropped: Vec<Cid>,
    leaving: Option<Leaving>,
}

impl<P: Send + Sync + 'static> Engine<P> {
    pub(crate) fn subscribe(
        &self,
        identity: &Identity,
        channel: &Channel,
        cid: &Cid,
    ) -> Result<usize, Error> {
        self.check_identity(identity)?;
        self.check_key(channel, cid)?;
        self.latch.check()?;
        let _pin = epoch::pin();
        let mut recorded = Recorded::default();
        let mut granted: Vec<Granted> = Vec::new();
        // With nobody there, only revocations could be touched, and they would have a cell.
        let create = || !self.registry.candidates(identity).is_empty();
        let stamp = self.index.edit(channel, create, |cell, snapshot, draft| {
            recorded.begin();
            granted.clear();
            draft.grant(identity, cid);
            for slot in self.registry.candidates(identity) {
                // Recorded before the tenant is looked at, so that whoever changes the tenant after that look finds the
                // record (I3, I4).
                let seat = self.registry.seat(slot);
                if !snapshot.is_member(seat) && !recorded.record(self, slot, cell) {
                    continue;
                }
                let Some(found) = self.registry.matching(identity, slot) else { continue };
                let stale = draft.refresh(seat, found.tenant.auth);
                let by_user = found.tenant.client.user().is_some();
                let (_, by_user) = draft.bind(seat, found.tenant.auth, cid, by_user);
                granted.push(Granted { found, by_user, stale });
            }
            Some(draft.stamp)
        });
        recorded
            .settle(self, |slot| stamp.is_some() && granted.iter().any(|granted| granted.found.slot == slot));
        let Some(stamp) = stamp else { return Ok(0) };
        let (matched, mut caught) = (granted.len(), Caught::default());
        for Granted { found: Match { slot, tenant }, by_user, stale } in granted {
            self.tell_dropped(slot, channel, stale, &mut caught);
            let receipt = Receipt::of(&tenant.client, channel, cid, by_user, stamp);
            let auth = by_user.then_some(tenant.auth);
            self.tell(slot, Control::Subscribed { receipt, auth }, &mut caught);
        }
        caught.go_on();
        Ok(matched)
    }

    pub(crate) fn unsubscribe(
        &self,
        identity: &Identity,
        channel: &Channel,
        cid: &Cid,
    ) -> Result<usize, Error> {
        self.check_identity(identity)?;
        self.check_key(channel, cid)?;
        // Pinned until the last event is queued: slots are named by number (I7).
        let _pin = epoch::pin();
        let revoked = self.revoke(identity, channel, Some(cid));
        let (matched, mut caught) = (revoked.len(), Caught::default());
        for Revoked { slot, .. } in revoked {
            // Bound or not: the client must forget its receipt (rule S3).
            self.tell_dropped(slot, channel, vec![cid.clone()], &mut caught);
        }
        caught.go_on();
        Ok(matched)
    }

    pub(crate) fn unsubscribe_all(&self, identity: &Identity, channel: &Channel) -> Result<usize, Error> {
        self.check_identity(identity)?;
        channel.check(&self.limits)?;
        // As above.
        let _pin = epoch::pin();
        let (mut lost, mut caught) = (0, Caught::default());
        for Revoked { slot, dropped, .. } in self.revoke(identity, channel, None) {
            lost += usize::from(!dropped.is_empty());
            self.tell_dropped(slot, channel, dropped, &mut caught);
        }
        caught.go_on();
        Ok(lost)
    }

    /// Records the revocation of one cid, or of all, and drops what it covers, in one step. The caller has pinned the epoch.
    fn revoke(&self, identity: &Identity, channel: &Channel, cid: Option<&Cid>) -> Vec<Revoked> {
        let edited = self.index.edit(channel, always, |cell, _, draft| {
            draft.revoke(identity, cid);
            let revoked = self.registry.resolve(identity).into_iter().map(|Match { slot, .. }| {
                let (leaving, seat) = (Leaving::new(self, slot, cell), self.registry.seat(slot));
                let (dropped, left) = match cid {
                    Some(cid) => {
                        let left = draft.unbind(seat, cid);
                        (left.map(|_| cid.clone()).into_iter().collect::<Vec<_>>(), left)
                    }
                    None => (draft.unbind_all(seat), Some(0)),
                };
                let gone = left == Some(0) && !dropped.is_empty();
                Revoked { slot, dropped, leaving: gone.then_some(leaving) }
            });
            Some((Arc::clone(cell), revoked.collect::<Vec<_>>()))
        });
        let Some((cell, revoked)) = edited else { return Vec::new() };
        revoked
            .iter()
            .filter_map(|revoked| revoked.leaving.as_ref())
            .for_each(|leaving| leaving.forget(self, &cell));
        self.observers.tell(|one| one.revoked(identity, channel, cid));
        revoked
    }
}
