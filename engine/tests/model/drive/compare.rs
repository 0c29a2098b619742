//! Where engine and model disagree: in an answer about the state, in a count, in what a call returned.

use std::fmt::Debug;

use super::super::Sums;
use super::super::ops::{Room, Tab, Who};
use super::Drive;

/// Where engine and model disagree.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) step: usize,
    pub(crate) op: String,
    pub(crate) what: String,
    pub(crate) engine: String,
    pub(crate) model: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "step {}, {}: {}", self.step, self.op, self.what)?;
        writeln!(f, "  engine: {}", self.engine)?;
        write!(f, "  model:  {}", self.model)
    }
}

/// `(what, engine, model)`: located by the caller.
pub(super) type Found = Box<(String, String, String)>;

pub(super) type Check = Result<(), Found>;

pub(super) fn same<T: PartialEq + Debug>(what: &str, engine: &T, model: &T) -> Check {
    if engine == model { Ok(()) } else { differ(what, engine, model) }
}

pub(super) fn differ(what: &str, engine: &dyn Debug, model: &dyn Debug) -> Check {
    Err(Box::new((what.to_string(), format!("{engine:?}"), format!("{model:?}"))))
}

impl Drive {
    pub(super) fn compare_answers(&self) -> Check {
        for tab in Tab::all() {
            let bindings = self.realtime.bindings_of(tab.value());
            let bindings: Vec<_> =
                bindings.into_iter().map(|bound| ((bound.channel, bound.cid), bound.user)).collect();
            same("bindings_of", &bindings, &self.model.bindings_of(tab.value()))?;
            same(
                "identities_of",
                &self.realtime.identities_of(tab.value()).as_ref(),
                &self.model.identities_of(tab.value()),
            )?;
        }
        for who in Who::all() {
            let connections = self.realtime.connections_of(who.value());
            let found: Vec<&holocast::Client> = connections.iter().collect();
            same("connections_of", &found, &self.model.connections_of(who.value()))?;
        }
        for room in Room::all() {
            let mut members = self.realtime.members_of(room.value());
            members.sort_by(|a, b| a.client.instance().cmp(b.client.instance()));
            let found: Vec<_> =
                members.iter().map(|member| (&member.client, member.cids.iter().collect())).collect();
            same("members_of", &found, &self.model.members_of(room.value()))?;
        }
        Ok(())
    }

    pub(super) fn compare_counts(&self) -> Check {
        let stats = self.realtime.stats();
        same("connections", &stats.connections, &self.model.connections())?;
        same("bindings", &stats.bindings, &self.model.bound())?;
        // Rule R4 lets the engine give expired revocations back when it likes.
        let within = |count: u64, least: u64, most: u64| least <= count && count <= most;
        let (least, most) = (self.model.revoked(true), self.model.revoked(false));
        if !within(stats.revocations, least, most) {
            return differ("revocations", &stats.revocations, &(least..=most));
        }
        let (least, most) = (self.model.channels(true), self.model.channels(false));
        if !within(stats.channels, least, most) {
            return differ("channels", &stats.channels, &(least..=most));
        }
        let sums = self.model.sums();
        let counted = Sums {
            accepted: stats.accepted,
            taken: stats.taken,
            queued: stats.queued,
            released: stats.released,
            withheld: stats.withheld,
            refused: stats.refused,
        };
        // A lane finds out what is released or withheld while it looks for what is not, whoever that is for.
        let rough = |sums: Sums| {
            if self.exact { sums } else { Sums { queued: 0, released: 0, withheld: 0, ..sums } }
        };
        same("sums of rule B5", &rough(counted), &rough(sums))?;
        let balance = stats.taken + stats.queued + stats.released + stats.withheld;
        same("the balance of rule B5", &stats.accepted, &balance)
    }
}
