//! Which connections an overflow closed (Q2), and since when one may have.
//!
//! Nobody is told the moment, but two things are known: some broadcast found the queue full, and it returned after the call of
//! the last message that the connection got, as a closed queue takes nothing. On lanes only who took over has a queue of its own; the lane
//! fills it, when the broadcasts have returned long since, so there only the second is known.

use std::collections::HashMap;

use holocast::CloseReason;

use super::super::record::{Answer, Record, Sent};

#[derive(Debug)]
pub(super) struct Overflows {
    /// By the number of the life: when the last message that it got was called.
    last_sent_ns: HashMap<u32, u64>,
    /// Broadcasts that found a full queue, by their returns: that, and the first call of it and all later ones.
    refusals: Vec<(u64, u64)>,
    on_lanes: bool,
}

impl Overflows {
    pub(super) fn new(record: &Record, sent: &[Vec<Sent>]) -> Self {
        let on_lanes = record.seen.iter().any(|seen| seen.on_lane);
        let closed = record.seen.iter().flat_map(|seen| &seen.closed);
        let overflowed = closed.filter(|(_, reason)| *reason == CloseReason::Overflow);
        let mut last_sent_ns: HashMap<u32, u64> = overflowed.map(|(life, _)| (*life, 0)).collect();
        if last_sent_ns.is_empty() {
            return Overflows { last_sent_ns, refusals: Vec::new(), on_lanes };
        }
        for taken in record.seen.iter().flat_map(|seen| &seen.taken) {
            let (publisher, nth) = Record::publisher(taken.message, sent.len());
            if let Some(last_ns) = last_sent_ns.get_mut(&taken.life)
                && let Some(sent) = sent.get(publisher).and_then(|sent| sent.get(nth))
            {
                *last_ns = sent.called_ns.max(*last_ns);
            }
        }
        // A queue that an overflow closed can still be inherited: whoever came before shared it.
        let mut successors = HashMap::new();
        for call in record.calls.iter().flat_map(|calls| calls.iter().rev()) {
            let Answer::Entry(entry) = &call.answer else { continue };
            let successor = successors.insert(entry.tab, (entry.life, entry.superseded));
            if let Some((life, true)) = successor
                && let Some(last_ns) = last_sent_ns.get(&life).copied()
            {
                let own_ns = last_sent_ns.entry(entry.life).or_insert(0);
                *own_ns = last_ns.max(*own_ns);
            }
        }
        let refusing = sent.iter().flatten().filter(|sent| sent.refused > 0);
        let mut refusals: Vec<(u64, u64)> = refusing.map(|sent| (sent.returned_ns, sent.called_ns)).collect();
        refusals.sort_unstable();
        let mut first_ns = u64::MAX;
        for (_, called_ns) in refusals.iter_mut().rev() {
            first_ns = first_ns.min(*called_ns);
            *called_ns = first_ns;
        }
        Overflows { last_sent_ns, refusals, on_lanes }
    }

    /// If an overflow closed the queue of a life: when the last message that it got was called.
    pub(super) fn of(&self, life: u32) -> Option<u64> {
        self.last_sent_ns.get(&life).copied()
    }

    /// Since when the overflow may be of a queue that got nothing called later than this: the start of the first broadcast that found a
    /// full queue and returned at this time or later; on lanes, this time.
    pub(super) fn first_since(&self, ns: u64) -> Option<u64> {
        if self.on_lanes {
            return Some(ns);
        }
        let at = self.refusals.partition_point(|(returned_ns, _)| *returned_ns < ns);
        self.refusals.get(at).map(|(_, called_ns)| *called_ns)
    }
}
