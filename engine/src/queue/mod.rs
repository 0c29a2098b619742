//! One lock-free queue per connection, and the blocks whose nodes travel through it. The only home of unsafe code.
//!
//! * [`packed`]: the bits of the word.
//! * [`word`]: the queue, one atomic word; push, take, close, park; and, in `word/release.rs`, what leaves it unseen.
//! * [`outcome`]: the bound of a push, and what the queue answers.
//! * [`chain`]: nodes taken out of it together.
//! * [`block`]: the nodes of one broadcast to one leaf of members, allocated together, and the delivery handed out.
//! * [`entry`]: what the queue of a lane holds: one node for all members of the lane.
//! * [`parker`]: who sleeps on a queue.
//! * [`tally`]: what was queued and not handed out.
//!
//! Callers: `fanout.rs` and `lane/` push, `connection.rs` and `lane/` take, `registry/` opens and closes.

mod block;
mod chain;
mod entry;
mod outcome;
mod packed;
mod parker;
mod prefetch;
mod tally;
mod word;

#[cfg(all(test, holocast_loom))]
mod loom_tests;
#[cfg(all(test, not(holocast_loom)))]
mod tests;

pub use block::{Cids, Delivery};
pub(crate) use block::{Control, LEAF, Opened, Places, Publication, Target};
pub(crate) use entry::{Entry, Parcel};
pub(crate) use outcome::{Bound, Glance, Parked, Pushed, Taken};
pub(crate) use packed::MAX_MESSAGES;
pub(crate) use parker::Parker;
pub(crate) use prefetch::prefetch;
pub(crate) use tally::Tally;
pub(crate) use word::Queue;
