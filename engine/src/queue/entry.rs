//! What waits in the queue of a lane: one entry for all of its connections that a broadcast reaches, and what concerns one of them.

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use smallvec::SmallVec;

use super::block::{Control, ENTRY, ENTRY_CONTROL, Node};
use crate::event::{CloseReason, Message};
use crate::index::Members;
use crate::sync::UnsafeCell;

/// One broadcast to the members of a channel that are at home on one lane.
#[derive(Debug)]
pub(crate) struct Parcel<P> {
    pub(crate) message: Arc<Message<P>>,
    /// The lane's members in the snapshot of the broadcast: they stay as they were (rule B1).
    pub(crate) members: Members,
    /// Slots of members that the broadcast leaves out, growing (rule B2).
    pub(crate) excluded: SmallVec<[u32; 4]>,
}

impl<P> Parcel<P> {
    /// Members that it is for.
    pub(crate) fn deliveries(&self) -> usize {
        self.members.len() - self.excluded.len()
    }
}

/// What a lane's consumer takes.
#[derive(Debug)]
pub(crate) enum Entry<P> {
    /// Counts against the bound.
    Broadcast(Parcel<P>),
    /// A control event of the connection that lives in the slot since the authorization count `born`.
    Control { slot: u32, born: u32, event: Control },
    /// The end of the connection of that tenancy, as far as the lane serves it.
    Closed { slot: u32, born: u32, token: u64, reason: CloseReason },
    /// A connection that the lane serves from a queue of its own has something to take.
    Ready(u64),
    /// The connection of that tenancy is to be ended when all before this was handed out (rule C7).
    Shutdown { slot: u32, born: u32 },
}

impl<P> Entry<P> {
    /// Deliveries that are lost if it is dropped.
    pub(crate) fn deliveries(&self) -> usize {
        match self {
            Self::Broadcast(parcel) => parcel.deliveries(),
            Self::Control { .. } | Self::Closed { .. } | Self::Ready(_) | Self::Shutdown { .. } => 0,
        }
    }

    /// Whether it counts against the bound.
    pub(super) fn is_message(&self) -> bool {
        matches!(self, Self::Broadcast(_))
    }

    /// Gives the entry to the heap, as a node that belongs to the caller.
    pub(super) fn into_node(self) -> NonNull<Node> {
        let place = if self.is_message() { ENTRY } else { ENTRY_CONTROL };
        let node = Node::new(UnsafeCell::new(ptr::null_mut()), place, 0);
        let boxed = Box::into_raw(Box::new(EntryNode { node, entry: self }));
        // As for a block: memory beyond 48 bits of address is as good as none.
        match NonNull::new(boxed.cast::<Node>()).filter(|node| node.addr().get() >> 48 == 0) {
            Some(node) => node,
            None => handle_alloc_error(Layout::new::<EntryNode<P>>()),
        }
    }

    /// # Safety
    /// `node` came from [`Entry::into_node`] of the same `P` and is the caller's own.
    pub(super) unsafe fn from_node(node: NonNull<Node>) -> Box<EntryNode<P>> {
        // SAFETY: the caller's promise; the node is the first field of the boxed one (`repr(C)`).
        unsafe { Box::from_raw(node.as_ptr().cast::<EntryNode<P>>()) }
    }
}

/// A node with an entry behind it; handed on as it is, so that what takes from other queues carries no entry's weight.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct EntryNode<P> {
    node: Node,
    pub(crate) entry: Entry<P>,
}
