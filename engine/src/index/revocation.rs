//! What a channel remembers of unsubscribes: who, which cid or all of them, and when (rules R2 to R4).

use super::tree::{Entry, Set};
use crate::identity::Identity;
use crate::receipt::Stamp;
use crate::text::Cid;

/// Whom a revocation names, and which cid; `None` for the whole channel.
pub(crate) type Revoked = (Identity, Option<Cid>);

/// When, and which of several that one snapshot recorded.
type Order = (Stamp, u32);

#[derive(Debug, Clone)]
struct ByName {
    revoked: Revoked,
    order: Order,
}

impl Entry for ByName {
    type Key = Revoked;
    fn key(&self) -> &Revoked {
        &self.revoked
    }
}

#[derive(Debug, Clone)]
struct ByStamp {
    order: Order,
    revoked: Revoked,
}

impl Entry for ByStamp {
    type Key = Order;
    fn key(&self) -> &Order {
        &self.order
    }
}

/// The revocations of one channel. Persistent: edits share what they do not change, O(log n) each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revocations {
    by_name: Set<ByName>,
    /// The same in the order in which they expire.
    by_stamp: Set<ByStamp>,
}

impl Revocations {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// When the oldest was recorded.
    pub(crate) fn oldest(&self) -> Option<Stamp> {
        self.by_stamp.first().map(|entry| entry.order.0)
    }

    /// With this revocation, in the place of an older one of the same name.
    pub(crate) fn with(&self, revoked: Revoked, stamp: Stamp) -> Self {
        let mut next = self.without(&revoked);
        let order = (0..).map(|number| (stamp, number)).find(|order| next.by_stamp.get(order).is_none());
        let order = order.unwrap_or((stamp, u32::MAX));
        next.by_stamp = next.by_stamp.with(ByStamp { order, revoked: revoked.clone() });
        next.by_name = next.by_name.with(ByName { revoked, order });
        next
    }

    pub(crate) fn without(&self, revoked: &Revoked) -> Self {
        let Some(entry) = self.by_name.get(revoked) else { return self.clone() };
        let gone = "an entry of both sets";
        Self {
            by_stamp: self.by_stamp.without(&entry.order).expect(gone),
            by_name: self.by_name.without(revoked).expect(gone),
        }
    }

    /// Whether a receipt of this stamp and cid is revoked under one of these identities. A tie goes to the revocation (R3).
    pub(crate) fn covers<'a>(
        &self,
        mut names: impl Iterator<Item = Identity> + 'a,
        cid: &Cid,
        stamp: Stamp,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        let stands =
            |revoked: &Revoked| self.by_name.get(revoked).is_some_and(|entry| entry.order.0 >= stamp);
        names.any(|name| {
            let channel_wide = (name, None);
            stands(&channel_wide) || stands(&(channel_wide.0, Some(cid.clone())))
        })
    }

    /// Without those recorded at `until` or before, at most `most` of them; and how many went.
    pub(crate) fn expired(&self, until: Stamp, most: usize) -> (Self, usize) {
        let mut next = self.clone();
        let mut gone = 0;
        while gone < most {
            let Some(oldest) = next.by_stamp.first().filter(|entry| entry.order.0 <= until).cloned() else {
                break;
            };
            next = next.without(&oldest.revoked);
            gone += 1;
        }
        (next, gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: i64) -> Revoked {
        (Identity::user(n), None)
    }

    #[test]
    fn r3_a_tie_goes_to_the_revocation() {
        let revocations = Revocations::default().with(name(1), Stamp::from_u64(5));
        let covers = |stamp| {
            revocations.covers([Identity::user(1)].into_iter(), &Cid::from("page"), Stamp::from_u64(stamp))
        };
        assert_eq!([4, 5, 6].map(covers), [true, true, false]);
    }

    #[test]
    fn r4_the_oldest_expire_first_and_one_that_was_renewed_stays() {
        let mut revocations = Revocations::default();
        for n in 0..100 {
            revocations = revocations.with(name(n), Stamp::from_u64(n as u64));
        }
        revocations = revocations.with(name(3), Stamp::from_u64(200));
        let (rest, gone) = revocations.expired(Stamp::from_u64(49), usize::MAX);
        assert_eq!((rest.len(), gone, rest.oldest()), (51, 49, Some(Stamp::from_u64(50))));
        let (rest, gone) = rest.expired(Stamp::from_u64(1000), 10);
        assert_eq!((rest.len(), gone), (41, 10));
    }
}
