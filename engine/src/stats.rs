//! Counting without contention: sharded counters for publishers, per-slot counters for receivers.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, MODEL, Ordering, shard};

/// What the engine holds and has done ([`Realtime::stats`](crate::Realtime::stats)).
///
/// At rest `accepted == taken + queued + released + withheld` (rule B5); while others work each number is one that the counter
/// had during the call.
///
/// ```
/// let stats = holocast::Realtime::<()>::new().stats();
/// assert_eq!((stats.connections, stats.accepted), (0, 0));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Live connections.
    pub connections: u64,
    /// Channels with a binding or a revocation.
    pub channels: u64,
    /// Members of all channels: connections bound by at least one cid, once per channel.
    pub members: u64,
    /// Bindings of all members.
    pub bindings: u64,
    /// Revocations kept.
    pub revocations: u64,
    /// Broadcasts to a channel or nobody.
    pub broadcasts: u64,
    /// Messages that queues took.
    pub accepted: u64,
    /// Messages handed out.
    pub taken: u64,
    /// Messages waiting.
    pub queued: u64,
    /// Messages released with their connection, or by a reset.
    pub released: u64,
    /// Messages not handed out because the connection's user had changed (rule C5).
    pub withheld: u64,
    /// Messages that no queue took because it was full.
    pub refused: u64,
}

/// Threads that count without a read-modify-write.
const OWN_SHARDS: usize = if MODEL { 0 } else { 16 };
/// For all other threads.
const SHARED_SHARDS: usize = if MODEL { 1 } else { 16 };

#[derive(Debug)]
struct Shard {
    broadcasts: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// The shard of the thread with this number, and whether nobody else writes there: numbers are unique, so the first threads have shards of
/// their own; the others share the rest.
fn place(number: usize) -> (usize, bool) {
    if number < OWN_SHARDS { (number, true) } else { (OWN_SHARDS + number % SHARED_SHARDS, false) }
}

/// What publishers count.
#[derive(Debug)]
pub(crate) struct Counters(Box<[CachePadded<Shard>]>);

impl Counters {
    pub(crate) fn new() -> Self {
        let shard = || Shard {
            broadcasts: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Self((0..OWN_SHARDS + SHARED_SHARDS).map(|_| CachePadded::new(shard())).collect())
    }

    /// Counts one broadcast.
    pub(crate) fn broadcast(&self, accepted: usize, refused: usize) {
        self.add(1, accepted, refused);
    }

    /// Counts broadcasts, and what became of their messages.
    #[inline(always)]
    pub(crate) fn add(&self, broadcasts: usize, accepted: usize, refused: usize) {
        let (place, own) = place(shard());
        let shard = &self.0[place];
        // Relaxed, all of them: counts, summed up by stats().
        let add = |counter: &AtomicU64, more: usize| match own {
            _ if more == 0 => {}
            true => counter.store(counter.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed),
            false => drop(counter.fetch_add(more as u64, Ordering::Relaxed)),
        };
        add(&shard.broadcasts, broadcasts);
        add(&shard.accepted, accepted);
        add(&shard.refused, refused);
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        for shard in &self.0 {
            stats.broadcasts += shard.broadcasts.load(Ordering::Relaxed);
            stats.accepted += shard.accepted.load(Ordering::Relaxed);
            stats.refused += shard.refused.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_threads_own_or_nobodys() {
        let all = OWN_SHARDS + SHARED_SHARDS;
        for number in 0..all * all {
            let (shard, own) = place(number);
            assert!(shard < all);
            assert_eq!(
                (own, own && shard == number),
                (shard < OWN_SHARDS, number < OWN_SHARDS),
                "thread {number}"
            );
        }
    }
}
