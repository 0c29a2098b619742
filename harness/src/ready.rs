//! The list of connections that got something since they were last drained.
//!
//! A drained connection is parked with a waker of this list; the first event it gets puts its index here, once. So whoever
//! drains never looks at a connection that has nothing.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

/// The indices of connections that woke, in the order in which they did.
#[derive(Debug, Default)]
pub struct ReadyList {
    woken: Mutex<Woken>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Woken {
    indices: Vec<usize>,
    /// Somebody waits in [`ReadyList::wait`]; else nobody needs to be notified.
    waiting: bool,
    /// [`ReadyList::nudge`] was called.
    nudged: bool,
}

impl ReadyList {
    /// An empty list.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The waker to park the connection `index` with.
    pub fn waker(self: &Arc<Self>, index: usize) -> Waker {
        Waker::from(Arc::new(Bell { index, list: Arc::clone(self) }))
    }

    /// Moves what has woken into `indices`, replacing what was there. Never waits for an event.
    pub fn take(&self, indices: &mut Vec<usize>) {
        indices.clear();
        mem::swap(&mut self.lock().indices, indices);
    }

    /// Waits until something wakes or somebody nudges, for at most `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let mut woken = self.lock();
        if woken.indices.is_empty() && !woken.nudged {
            woken.waiting = true;
            (woken, _) = self.changed.wait_timeout(woken, timeout).unwrap_or_else(PoisonError::into_inner);
            woken.waiting = false;
        }
        woken.nudged = false;
    }

    /// Ends a wait, present or next, although nothing woke.
    pub fn nudge(&self) {
        let mut woken = self.lock();
        woken.nudged = true;
        if mem::take(&mut woken.waiting) {
            drop(woken);
            self.changed.notify_one();
        }
    }

    /// Adds a connection as if it had woken: it has never been drained.
    pub fn push(&self, index: usize) {
        let mut woken = self.lock();
        woken.indices.push(index);
        if mem::take(&mut woken.waiting) {
            drop(woken);
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Woken> {
        // Nothing panics while it holds the lock; a poisoned list is still a list.
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one connection.
struct Bell {
    index: usize,
    list: Arc<ReadyList>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.list.push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_wakes_is_taken_once_in_order() {
        let list = ReadyList::new();
        list.waker(7).wake_by_ref();
        list.waker(3).wake();
        let mut indices = vec![99];
        list.take(&mut indices);
        assert_eq!(indices, [7, 3]);
        list.take(&mut indices);
        assert!(indices.is_empty());
    }

    #[test]
    fn a_wait_ends_with_a_wake_or_a_nudge() {
        let list = ReadyList::new();
        let hour = Duration::from_secs(3600);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| list.wait(hour));
            list.push(1);
            waiting.join().unwrap();
        });
        list.wait(hour);
        list.take(&mut Vec::new());
        list.nudge();
        list.wait(hour);
        list.wait(Duration::ZERO);
    }
}
