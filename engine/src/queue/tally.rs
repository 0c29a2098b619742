//! Counts of the messages that were queued and not handed out.

use crate::sync::AtomicU64;

/// What is counted besides the deliveries taken, too seldom for the queue's own cache line.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Messages released with a connection or by a reset.
    pub(crate) released: AtomicU64,
    /// Messages not handed out because of a change of user (rule C5).
    pub(crate) withheld: AtomicU64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { released: AtomicU64::new(0), withheld: AtomicU64::new(0) }
    }
}
