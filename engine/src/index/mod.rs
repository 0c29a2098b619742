//! Channel to members: one cell per channel, one immutable snapshot per change.
//!
//! * [`cell`]: the cells, the compare-and-swap loop, retirement and expiry.
//! * [`snapshot`]: what a channel is between two changes, and a change being drafted.
//! * [`member`], [`revocation`]: the two halves of a snapshot; [`tree`]: the persistent tree below both.

mod cell;
#[cfg(all(test, holocast_loom))]
mod loom_tests;
mod member;
mod revocation;
mod snapshot;
mod tree;

pub(crate) use cell::{Cell, ChannelIndex, Clock, always};
pub(crate) use member::{Bound, LaneId, Member, MemberLeaf, Members, OWN_QUEUE, OnLane, Seat};
pub(crate) use snapshot::{Draft, Snapshot};
pub(crate) use tree::{Entry, Leaf, Place, Set};
