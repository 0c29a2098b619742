//! Connections that a lane serves from their own queues, because another receiver had them before (rule C3).
//!
//! Each has a waker that puts its key on the lane's queue. So the lane sleeps on one queue only. A wake takes the waker, and a look at the
//! guest registers it again: so there are not many keys of one guest at a time, and one too many is one look too many.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::LaneKey;
use super::core::LaneCore;
use crate::caught::Caught;
use crate::connection::Connection;
use crate::engine::Engine;
use crate::event::Event;
use crate::queue::Entry;

/// Wakes the lane for one of its guests. Holds neither of both: a waker may outlive them.
struct Signal<P: Send + Sync + 'static> {
    engine: Weak<Engine<P>>,
    core: Weak<LaneCore<P>>,
    key: u64,
}

impl<P: Send + Sync + 'static> Wake for Signal<P> {
    fn wake(self: Arc<Self>) {
        if let (Some(engine), Some(core)) = (self.engine.upgrade(), self.core.upgrade()) {
            let mut caught = Caught::default();
            engine.post(&core, Entry::Ready(self.key), &mut caught);
            caught.go_on();
        }
    }
}

struct Guest<P: Send + Sync + 'static> {
    token: u64,
    connection: Connection<P>,
    waker: Waker,
}

/// See the module's text.
pub(super) struct Guests<P: Send + Sync + 'static> {
    engine: Weak<Engine<P>>,
    core: Weak<LaneCore<P>>,
    guests: HashMap<u64, Guest<P>, foldhash::fast::RandomState>,
    /// Those that may have something, in turn.
    ready: VecDeque<u64>,
}

impl<P: Send + Sync + 'static> Guests<P> {
    pub(super) fn new(engine: &Arc<Engine<P>>, core: &Arc<LaneCore<P>>) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            core: Arc::downgrade(core),
            guests: HashMap::default(),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.guests.len()
    }

    pub(super) fn clear(&mut self, caught: &mut Caught) {
        self.guests.drain().for_each(|(_, guest)| caught.attempt(|| drop(guest)));
        self.ready.clear();
    }

    pub(super) fn insert(&mut self, key: LaneKey, token: u64, connection: Connection<P>) {
        let key = key.as_u64();
        let (engine, core) = (Weak::clone(&self.engine), Weak::clone(&self.core));
        let waker = Waker::from(Arc::new(Signal { engine, core, key }));
        self.guests.insert(key, Guest { token, connection, waker });
        // The first look registers the waker.
        self.ready.push_back(key);
    }

    pub(super) fn remove(&mut self, key: LaneKey) -> Option<Connection<P>> {
        self.guests.remove(&key.as_u64()).map(|guest| guest.connection)
    }

    /// A key came out of the lane's queue.
    pub(super) fn ready(&mut self, key: u64) {
        self.ready.push_back(key);
    }

    /// The next event of any guest, with its token.
    pub(super) fn take(&mut self) -> Option<(u64, Event<P>)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(guest) = self.guests.get_mut(&key) else { continue };
            let token = guest.token;
            match guest.connection.poll_recv(&mut Context::from_waker(&guest.waker)) {
                Poll::Ready(Some(event)) => {
                    if matches!(event, Event::Closed(_)) {
                        self.guests.remove(&key);
                    } else {
                        // Behind the others: there may be more.
                        self.ready.push_back(key);
                    }
                    return Some((token, event));
                }
                Poll::Ready(None) => drop(self.guests.remove(&key)),
                // It wakes when there is something.
                Poll::Pending => {}
            }
        }
        None
    }
}
