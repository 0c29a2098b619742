//! What leaves a queue without being handed out: by the end of its connection, or by an overflow; and what is lost while the connection
//! lives on. Called by `lifecycle.rs`, `fanout.rs`, `registry/` and `lane/`.

use std::ptr;

use super::Queue;
use crate::caught::Caught;
use crate::queue::block::Opened;
use crate::queue::chain::{Chain, Sifted, sifted};
use crate::queue::packed::{TURNS, Word};
use crate::queue::tally::Tally;
use crate::sync::Ordering;

impl<P> Queue<P> {
    /// Releases all that is queued. Returns false if another consumer is at work: it, or the next call, finds the rest.
    pub(crate) fn release(&self, tally: &Tally, caught: &mut Caught) -> bool {
        if !self.lock() {
            return false;
        }
        let (batch, newer) = (self.batch.load(Ordering::Relaxed), self.take_word());
        self.batch.store(ptr::null_mut(), Ordering::Relaxed);
        self.empty_batch();
        self.unlock();
        for node in [batch, newer] {
            // SAFETY: out of the batch and the word, under the lock: ours (W1).
            self.release_chain(unsafe { Chain::new(node) }, tally, caught);
        }
        true
    }

    /// Overflow policy `Reset`: releases the queued messages, keeps the control events, and leaves a note of how many went.
    /// Returns whether they are the first lost since the receiver was told; `None` if another consumer is at work, which makes room itself.
    pub(crate) fn reset(&self, tally: &Tally, caught: &mut Caught) -> Option<bool> {
        let (dropped, first) = self.reset_to()?;
        self.release_chain(dropped, tally, caught);
        Some(first)
    }

    /// The same, with the messages given to the caller to be released.
    pub(crate) fn reset_to(&self) -> Option<(Chain<P>, bool)> {
        if !self.lock() {
            return None;
        }
        let (batch, newer) = (self.batch.load(Ordering::Relaxed), self.take_word());
        // SAFETY: out of the batch and the word, under the lock: ours (W1).
        let Sifted { controls, messages, count } = unsafe { sifted([batch, newer]) };
        self.batch.store(controls, Ordering::Relaxed);
        self.empty_batch();
        // AcqRel: pairs with lost(). The receiver reads the count at its next take.
        let before = self.lagged.fetch_add(count, Ordering::AcqRel);
        self.unlock();
        Some((messages, before == 0 && count > 0))
    }

    /// No message is in the batch any more. Under the lock.
    fn empty_batch(&self) {
        let turn = self.batch_len.load(Ordering::Relaxed) & TURNS as u32;
        self.batch_len.store(turn, Ordering::Relaxed);
    }

    /// Notes messages that were lost while the connection lives on; whether they are the first since the receiver was told.
    pub(crate) fn note_lost(&self, messages: u64) -> bool {
        // AcqRel: pairs with lost(). The receiver reads the count at its next take.
        self.lagged.fetch_add(messages, Ordering::AcqRel) == 0
    }

    /// Lost messages that the receiver was not told of yet. Whoever notes one later sees what the caller did before.
    pub(crate) fn lost(&self) -> u64 {
        // AcqRel: pairs with note_lost() and reset_to(): a read-modify-write, so that one of both comes second.
        self.lagged.fetch_add(0, Ordering::AcqRel)
    }

    fn release_chain(&self, chain: Chain<P>, tally: &Tally, caught: &mut Caught) {
        for opened in chain {
            let released = match &opened {
                Opened::Delivery(delivery) => {
                    if delivery.weight() > 0 {
                        self.bytes.fetch_sub(delivery.weight(), Ordering::Relaxed);
                    }
                    1
                }
                Opened::Entry(node) => node.entry.deliveries() as u64,
                Opened::Control(_) => continue,
            };
            tally.released.fetch_add(released, Ordering::Relaxed);
            // Counted before: dropping params may run the caller's own code, and that may panic.
            caught.attempt(|| drop(opened));
        }
    }
}

impl<P> Drop for Queue<P> {
    fn drop(&mut self) {
        // Relaxed: nobody else is here. Most are empty, and an engine has many.
        if !Word(self.word.load(Ordering::Relaxed)).newest().is_null()
            || !self.batch.load(Ordering::Relaxed).is_null()
        {
            let mut caught = Caught::default();
            self.release(&Tally::new(), &mut caught);
            caught.go_on();
        }
    }
}
