//! Broadcasts in slices: one snapshot, walked in parts that the publisher interleaves with other work.
//!
//! Between two slices nothing is pinned, so a slot of the snapshot may have got another tenant (I7). So each slice pins anew and pushes
//! only where the member's tenancy lives then: one look more at the cache line that the push touches anyway (`Queue::serves`).

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::caught::Caught;
use crate::channel::Channel;
use crate::engine::Engine;
use crate::event::{Message, Reach};
use crate::fanout::{After, Begun};
use crate::identity::Identity;
use crate::index::Members;
use crate::queue::{Publication, Pushed};
use crate::registry::SlotId;
use crate::sync::epoch;

/// A broadcast under way. Made by [`Realtime::broadcast_sliced`](crate::Realtime::broadcast_sliced).
///
/// It goes to those who were bound when it was made, once to each (rule B1); who has ended meanwhile is left out. Lanes have got it
/// then already; the connections with queues of their own get it slice by slice. Dropped before its end, it delivers the rest at once.
///
/// # Ordering
/// As of one broadcast, if the publisher sends its next after the last slice (rule B4). What it sends in between may overtake it.
///
/// ```
/// use holocast::{Client, Identity, Realtime, channel};
///
/// let realtime = Realtime::new();
/// let tabs: Vec<_> = (0..200)
///     .map(|n| realtime.connect(&Client::new(format!("tab-{n}")).with_user(7)))
///     .collect::<Result<_, _>>()?;
/// realtime.subscribe(&Identity::user(7), &channel!("news"), "page")?;
///
/// let mut broadcast = realtime.broadcast_sliced(&[], &channel!("news"), "add", "hello")?;
/// while broadcast.advance(64) {
///     // In a task: yield to the others here.
/// }
/// assert_eq!(broadcast.reach().reached, tabs.len());
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct SlicedBroadcast<P: Send + Sync + 'static> {
    engine: Arc<Engine<P>>,
    message: Arc<Message<P>>,
    members: Members,
    /// Slots to leave out, growing.
    excluded: SmallVec<[SlotId; 4]>,
    /// Members with a smaller slot are done; `None`: all are.
    next: Option<SlotId>,
    reach: Reach,
}

impl<P: Send + Sync + 'static> fmt::Debug for SlicedBroadcast<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlicedBroadcast").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl<P: Send + Sync + 'static> SlicedBroadcast<P> {
    pub(crate) fn new(
        engine: &Arc<Engine<P>>,
        channel: &Channel,
        excluded: &[Identity],
        message: Arc<Message<P>>,
    ) -> Self {
        let Begun { members, excluded, reach, caught } = engine.begin(channel, excluded, &message);
        let next = (!members.is_empty()).then_some(0);
        let begun = Self { engine: Arc::clone(engine), message, members, excluded, next, reach };
        // Dropped by the panic, if there was one, it delivers the rest.
        caught.go_on();
        begun
    }

    /// Delivers to so many more receivers, at least one, up to the end of a group of at most 64. Whether there are more.
    ///
    /// # Complexity
    /// O(receivers + log n).
    ///
    /// # Progress
    /// As of [`Realtime::broadcast_action`](crate::Realtime::broadcast_action).
    ///
    /// # Panics
    /// As [`Realtime::broadcast_action`](crate::Realtime::broadcast_action), after the slice.
    pub fn advance(&mut self, receivers: usize) -> bool {
        let Some(from) = self.next else { return false };
        // Pinned for this slice (I7).
        let _pin = epoch::pin();
        let engine = &*self.engine;
        let bound = engine.bound(self.message.weight);
        let mut after = After::default();
        let (mut reached, mut refused, mut passed) = (0, 0, 0);
        self.next = None;
        for leaf in self.members.leaves_from(&from) {
            if passed >= receivers.max(1) {
                self.next = leaf.members().first().map(|member| member.slot);
                break;
            }
            let mut publication = Publication::new(Arc::clone(&self.message), leaf);
            for (place, member) in leaf.members().iter().enumerate() {
                if self.excluded.binary_search(&member.slot).is_ok()
                    || !is_there(engine, member.slot, member.auth)
                {
                    continue;
                }
                match engine.push_one(&mut publication, place, member, &bound, &mut after) {
                    Pushed::Sent | Pushed::SentToSleeper => reached += 1,
                    Pushed::Full => refused += 1,
                    Pushed::Closed => {}
                }
            }
            passed += leaf.members().len();
        }
        engine.counters.add(0, reached, refused);
        self.reach.reached += reached;
        self.reach.refused += refused;
        engine.finish(after);
        self.next.is_some()
    }

    /// Whom it has reached so far.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }
}

/// Whether the tenancy that a member was written under lives. The caller has pinned the epoch.
fn is_there<P: Send + Sync + 'static>(engine: &Engine<P>, slot: SlotId, auth: u32) -> bool {
    if engine.registry.slots.queue(slot).serves(auth) {
        return true;
    }
    // Another user, whom the take judges, or another tenant.
    let tenant = engine.registry.slot(slot).peek_tenant();
    tenant.is_live() && tenant.is_of(auth)
}

impl<P: Send + Sync + 'static> Drop for SlicedBroadcast<P> {
    fn drop(&mut self) {
        let mut caught = Caught::default();
        caught.attempt(|| _ = self.advance(usize::MAX));
        caught.go_on();
    }
}

#[cfg(all(test, not(holocast_loom)))]
mod tests {
    use crate::{Client, Connection, Event, Identity, Overflow, Realtime, TryRecvError, channel};

    fn tab(n: usize) -> Client {
        Client::new(format!("tab-{n}")).with_user(7)
    }

    fn tabs(realtime: &Realtime<u32>, count: usize) -> Vec<Connection<u32>> {
        let tabs = (0..count).map(|n| realtime.connect(&tab(n)).unwrap().connection).collect();
        assert_eq!(realtime.subscribe(&Identity::user(7), &channel!("news"), "page"), Ok(count));
        tabs
    }

    fn heard(tab: &mut Connection<u32>) -> Vec<u32> {
        let events = std::iter::from_fn(|| tab.try_recv().ok());
        let params =
            |event| if let Event::Broadcast(delivery) = event { Some(*delivery.params()) } else { None };
        events.filter_map(params).collect()
    }

    #[test]
    fn b1_a_sliced_broadcast_reaches_each_of_one_instant_once() {
        let realtime = Realtime::new();
        let mut tabs = tabs(&realtime, 300);
        let excluded = [Identity::instance("tab-70"), Identity::instance("tab-71")];
        let mut broadcast = realtime.broadcast_sliced(&excluded, &channel!("news"), "add", 1).unwrap();
        let mut late = realtime.connect(&tab(999)).unwrap().connection;
        realtime.subscribe(&Identity::instance("tab-999"), &channel!("news"), "page").unwrap();
        let mut slices = 1;
        while broadcast.advance(100) {
            slices += 1;
        }
        assert!(!broadcast.advance(100));
        assert_eq!((broadcast.reach().reached, broadcast.reach().refused, slices), (298, 0, 3));
        for (n, tab) in tabs.iter_mut().enumerate() {
            assert_eq!(heard(tab).len(), usize::from(n != 70 && n != 71), "tab {n}");
        }
        assert!(heard(&mut late).is_empty());
        let stats = realtime.stats();
        assert_eq!((stats.broadcasts, stats.accepted, stats.taken), (1, 298, 298));
    }

    #[test]
    fn b1_q2_slices_add_up_whom_they_reached_and_who_refused() {
        let realtime = Realtime::builder().queue_capacity(1).overflow(Overflow::DropNewest).build().unwrap();
        let mut tabs = tabs(&realtime, 150);
        tabs.iter_mut().for_each(|tab| assert!(heard(tab).is_empty()));
        tabs.iter().step_by(3).enumerate().for_each(|(n, _)| {
            let only = Identity::instance(format!("tab-{}", 3 * n));
            realtime.subscribe(&only, &channel!("few"), "page").unwrap();
        });
        assert_eq!(realtime.broadcast_action(&channel!("few"), "add", 1).unwrap().reached, 50);
        let mut broadcast = realtime.broadcast_sliced(&[], &channel!("news"), "add", 2).unwrap();
        while broadcast.advance(1) {}
        assert_eq!((broadcast.reach().reached, broadcast.reach().refused), (100, 50));
        assert_eq!(realtime.stats().refused, 50);
    }

    #[test]
    fn c4_c5_i7_a_slice_leaves_out_who_has_ended_and_withholds_after_a_logout() {
        let realtime = Realtime::new();
        let mut tabs = tabs(&realtime, 200);
        let mut broadcast = realtime.broadcast_sliced(&[], &channel!("news"), "add", 1).unwrap();
        assert!(broadcast.advance(1));
        realtime.identify(&Client::new("tab-199")).unwrap();
        let ended: Vec<_> = tabs.drain(100..150).collect();
        drop(ended);
        // Enough turns of the epoch for the slots to be given out again.
        let mut strangers: Vec<_> = (0..2000)
            .map(|n| realtime.connect(&Client::new(format!("stranger-{n}"))).unwrap().connection)
            .collect();
        drop(broadcast);
        assert!(strangers.iter_mut().all(|stranger| stranger.try_recv().unwrap_err() == TryRecvError::Empty));
        let heard: usize = tabs.iter_mut().map(|tab| heard(tab).len()).sum();
        assert_eq!(heard, 149);
        let stats = realtime.stats();
        assert_eq!((stats.accepted, stats.taken, stats.withheld), (150, 149, 1));
    }

    #[test]
    fn b4_a_broadcast_after_the_last_slice_comes_after_it() {
        let realtime = Realtime::new();
        let mut tabs = tabs(&realtime, 130);
        drop(realtime.broadcast_sliced(&[], &channel!("news"), "add", 1).unwrap());
        realtime.broadcast_action(&channel!("news"), "add", 2).unwrap();
        assert!(tabs.iter_mut().all(|tab| heard(tab) == [1, 2]));
    }
}
