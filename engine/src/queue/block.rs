//! Blocks: what one broadcast leaves behind for one leaf of members, in a single allocation.
//!
//! ```text
//!  Header { remaining, message, roster }  Node[0]  Node[1]  …  Node[n - 1]      Node[i] belongs to the roster's i-th member
//! ```
//!
//! A block is written by the one publisher that made it ([`Publication`]); each node is pushed to one queue and comes out of
//! it as one [`Delivery`]. `remaining` starts at `n` and counts nodes that somebody may still look at: a delivery gives one
//! back when it is dropped, the publication gives back all those that it never pushed. Whoever brings it to zero frees the block.
//!
//! * **N1** a node belongs to the publisher until its push succeeded, then to the queue, then to the one delivery taken from it.
//! * **N2** a block is not freed while one of its nodes belongs to anybody (`remaining` > 0), and nobody looks at a block after
//!   giving back what was its own.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use smallvec::SmallVec;

use super::entry::{Entry, EntryNode};
use super::outcome::{Bound, Pushed};
use super::word::Queue;
use crate::channel::Channel;
use crate::event::{Key, Message};
use crate::index::{Leaf, MemberLeaf};
use crate::receipt::Receipt;
use crate::sync::{AtomicU32, Ordering, UnsafeCell};
use crate::text::Cid;

/// The `place` of a node that carries a control event.
const CONTROL: u32 = u32::MAX;
/// The same, in the queue of a lane.
pub(super) const ENTRY_CONTROL: u32 = u32::MAX - 1;
/// The `place` of a node that carries a broadcast to the members of a lane.
pub(super) const ENTRY: u32 = u32::MAX - 2;

/// Members of a leaf, at most.
pub(crate) const LEAF: usize = MemberLeaf::CAPACITY;

/// The links of a queue. Aligned so that the low four bits of its address are free for the queue word's flags.
#[repr(C, align(16))]
#[derive(Debug)]
pub(super) struct Node {
    /// The next older node while queued, the next newer one in a batch.
    pub(super) next: UnsafeCell<*mut Node>,
    /// The member's place in the block's roster, or [`CONTROL`].
    place: u32,
    /// The authorization count of the member's user-authorized bindings (rule C5).
    auth: u32,
}

impl Node {
    pub(super) fn new(next: UnsafeCell<*mut Node>, place: u32, auth: u32) -> Self {
        Self { next, place, auth }
    }
}

#[repr(C, align(16))]
struct Header<P> {
    remaining: AtomicU32,
    len: u32,
    message: Arc<Message<P>>,
    roster: Arc<MemberLeaf>,
    /// The message's, here for the one who takes: it comes with the count that the delivery touches anyway.
    weight: u64,
}

impl<P> Header<P> {
    /// Where the nodes begin, in bytes.
    const NODES: usize = size_of::<Self>();

    fn layout(len: u32) -> Layout {
        let bytes = Self::NODES + len as usize * size_of::<Node>();
        // A roster has at most some hundred members: neither the sum nor the rounding can overflow.
        Layout::from_size_align(bytes, align_of::<Self>()).expect("a block is small")
    }
}

/// Frees the block if these were the last `count` nodes.
///
/// # Safety
/// The caller owns `count` nodes of the block (N1) and looks at none of them afterwards.
unsafe fn give_back<P>(header: *mut Header<P>, count: u32) {
    // SAFETY: the block lives as long as the caller owns a node of it (N2).
    let remaining = unsafe { &raw const (*header).remaining };
    // AcqRel: Release so that what this owner did with its nodes comes before the freeing, Acquire so that the one who frees
    // comes after all the others (N2).
    // SAFETY: as above.
    if unsafe { &*remaining }.fetch_sub(count, Ordering::AcqRel) != count {
        return;
    }
    // SAFETY: nobody else owns a node any more (N2).
    unsafe { free(header) };
}

/// Frees a block of which nobody owns a node any more.
///
/// # Safety
/// As said, and nobody looks at the block any more (N2).
#[cold]
unsafe fn free<P>(header: *mut Header<P>) {
    /// Goes back to the heap also if the params panic when they are dropped.
    struct Memory(*mut u8, Layout);
    impl Drop for Memory {
        fn drop(&mut self) {
            // SAFETY: allocated in `Publication::new` with this layout.
            unsafe { dealloc(self.0, self.1) };
        }
    }
    // SAFETY: the block is the caller's alone.
    let len = unsafe { &*header }.len;
    let _memory = Memory(header.cast(), Header::<P>::layout(len));
    // SAFETY: as above; nodes have nothing to drop.
    unsafe { ptr::drop_in_place(header) };
}

/// What a push needs to know of a member.
#[derive(Debug)]
pub(crate) struct Target<'q, P> {
    pub(crate) queue: &'q Queue<P>,
    pub(crate) auth: u32,
}

/// Places of one leaf.
pub(crate) type Places = SmallVec<[u32; LEAF]>;

/// Out of the way of the loop that pushes.
#[inline(never)]
fn note(places: &mut Places, place: usize) {
    places.push(place as u32);
}

/// A block while its publisher fills it.
pub(crate) struct Publication<P> {
    header: NonNull<Header<P>>,
    /// Nodes that this publication still owns: never pushed, or refused.
    owned: u32,
}

impl<P> Publication<P> {
    /// A block with a node for every member of the roster.
    pub(crate) fn new(message: Arc<Message<P>>, roster: &Arc<MemberLeaf>) -> Self {
        let len = roster.len() as u32;
        let layout = Header::<P>::layout(len);
        // SAFETY: the layout is not empty, it holds a header.
        let start = unsafe { alloc(layout) };
        // The queue word keeps flags and a count in the bits of an address that user space leaves unused: 48 are enough on
        // every supported system; memory beyond is as good as none.
        let Some(header) = NonNull::new(start.cast::<Header<P>>()).filter(|h| h.addr().get() >> 48 == 0)
        else {
            handle_alloc_error(layout)
        };
        let value = Header {
            remaining: AtomicU32::new(len),
            len,
            weight: message.weight,
            message,
            roster: Arc::clone(roster),
        };
        // SAFETY: freshly allocated with room for a header.
        unsafe { header.write(value) };
        Self { header, owned: len }
    }

    /// Pushes the nodes of the members at these places, up to the first that is refused: the place of that one and why. The places
    /// of those whose receivers sleep are noted: the caller must wake them. Each place is pushed at most once.
    ///
    /// A function of its own, so that what a delivery needs stays in registers.
    #[inline(never)]
    pub(crate) fn push_run(
        &mut self,
        targets: &[Target<'_, P>],
        places: Range<usize>,
        bound: &Bound,
        sleepers: &mut Places,
    ) -> Option<(usize, Pushed)> {
        for (place, Target { queue, auth }) in (places.start..).zip(&targets[places.clone()]) {
            match self.push_node(queue, place as u32, *auth, bound) {
                Pushed::Sent => {}
                Pushed::SentToSleeper => note(sleepers, place),
                refused => {
                    self.owned -= (place - places.start) as u32;
                    return Some((place, refused));
                }
            }
        }
        self.owned -= places.len() as u32;
        None
    }

    /// Pushes the node of the member at `place` to that member's queue: one that was not pushed yet, or refused.
    pub(crate) fn push(&mut self, queue: &Queue<P>, place: u32, auth: u32, bound: &Bound) -> Pushed {
        let pushed = self.push_node(queue, place, auth, bound);
        self.owned -= u32::from(matches!(pushed, Pushed::Sent | Pushed::SentToSleeper));
        pushed
    }

    /// The caller counts what was sent in `owned`.
    #[inline(always)]
    fn push_node(&mut self, queue: &Queue<P>, place: u32, auth: u32, bound: &Bound) -> Pushed {
        // SAFETY: `place` is within the roster, so the node is within the block.
        let node = unsafe { self.header.as_ptr().byte_add(Header::<P>::NODES) }.cast::<Node>();
        // SAFETY: as above.
        let node = unsafe { node.add(place as usize) };
        // SAFETY: the node is the publication's own (N1); it may be uninitialised or hold a refused one, with nothing to drop.
        unsafe { node.write(Node { next: UnsafeCell::new(ptr::null_mut()), place, auth }) };
        // SAFETY: N1: initialised, ours, and given to the queue only if the push succeeds.
        unsafe { queue.push_message(node, bound) }
    }

    /// How many nodes were not pushed, or refused.
    pub(crate) fn unsent(&self) -> usize {
        self.owned as usize
    }
}

impl<P> Drop for Publication<P> {
    fn drop(&mut self) {
        if self.owned > 0 {
            // SAFETY: the publication owns exactly these nodes (N1); if it owned none it must not look at the block.
            unsafe { give_back(self.header.as_ptr(), self.owned) };
        }
    }
}

/// An event that is no broadcast; never refused for lack of room (rule Q3).
#[derive(Debug)]
pub(crate) enum Control {
    Subscribed {
        receipt: Receipt,
        /// The authorization count under which the binding was granted; `None` if nobody authorized it (rule C5).
        auth: Option<u32>,
    },
    Unsubscribed(Vec<Key>),
}

/// A node with a control event behind it.
#[repr(C)]
struct ControlNode {
    node: Node,
    event: Control,
}

impl Control {
    /// Gives the event to the heap, as a node that belongs to the caller.
    pub(super) fn into_node(self) -> *mut Node {
        let node = Node { next: UnsafeCell::new(ptr::null_mut()), place: CONTROL, auth: 0 };
        let boxed = Box::into_raw(Box::new(ControlNode { node, event: self }));
        if boxed.addr() >> 48 != 0 {
            handle_alloc_error(Layout::new::<ControlNode>());
        }
        boxed.cast()
    }

    /// # Safety
    /// `node` came from [`Control::into_node`] and is the caller's own.
    unsafe fn from_node(node: *mut Node) -> Self {
        // SAFETY: the caller's promise; the node is the first field of the boxed one (`repr(C)`).
        unsafe { Box::from_raw(node.cast::<ControlNode>()) }.event
    }
}

/// What a node taken from a queue turns out to be.
pub(crate) enum Opened<P> {
    Delivery(Delivery<P>),
    Control(Control),
    Entry(Box<EntryNode<P>>),
}

impl<P> Opened<P> {
    /// # Safety
    /// The node was taken from a `Queue<P>` and belongs to the caller (N1).
    pub(super) unsafe fn new(node: NonNull<Node>) -> Self {
        // SAFETY: the caller owns the node, so it is alive (N2).
        match unsafe { node.as_ref() }.place {
            // SAFETY: only `into_node` makes nodes with this place.
            CONTROL => Self::Control(unsafe { Control::from_node(node.as_ptr()) }),
            // SAFETY: only `Entry::into_node` makes nodes with these places, and it was pushed to a queue of the same `P`.
            ENTRY | ENTRY_CONTROL => Self::Entry(unsafe { Entry::from_node(node) }),
            // SAFETY: the caller's promise; it is neither.
            _ => Self::Delivery(unsafe { Delivery::new(node) }),
        }
    }
}

/// # Safety
/// The node belongs to the caller or to a queue that the caller has locked for consuming.
pub(super) unsafe fn is_control(node: *mut Node) -> bool {
    // SAFETY: alive by the caller's promise (N2).
    unsafe { (*node).place >= ENTRY_CONTROL }
}

/// One broadcast as one connection got it: the message, shared with all its receivers, and this connection's cids.
///
/// Keeping a delivery keeps the memory of the broadcast to up to 64 neighbouring connections.
///
/// ```
/// use holocast::{Channel, Client, Event, Identity, Realtime};
///
/// let realtime = Realtime::new();
/// let mut tab = realtime.connect(&Client::new("tab-1"))?.connection;
/// let news = Channel::atom("news");
/// realtime.subscribe(&Identity::instance("tab-1"), &news, "page")?;
/// realtime.broadcast_action(&news, "add", "hello")?;
/// while let Ok(event) = tab.try_recv() {
///     if let Event::Broadcast(delivery) = event {
///         assert_eq!((delivery.channel(), delivery.action(), *delivery.params()), (&news, "add", "hello"));
///         assert_eq!(delivery.cids().map(|cid| cid.as_str()).collect::<Vec<_>>(), ["page"]);
///     }
/// }
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct Delivery<P> {
    /// The node; its lowest bit, which the alignment leaves free, is [`STALE`]. One word, so that a take hands it out in a register.
    node: NonNull<Node>,
    of: PhantomData<Header<P>>,
}

/// The connection's user changed since the member was written: only bindings authorized by nobody count (rule C5).
const STALE: usize = 1;

// SAFETY: a delivery shares the message and the roster by reference and gives its node back from any thread; both are sound
// if params may be shared and dropped elsewhere.
unsafe impl<P: Send + Sync> Send for Delivery<P> {}
// SAFETY: as above; all methods take `&self` and only read.
unsafe impl<P: Send + Sync> Sync for Delivery<P> {}

impl<P> Delivery<P> {
    /// # Safety
    /// As for [`Opened::new`], and the node is a message's.
    pub(super) unsafe fn new(node: NonNull<Node>) -> Self {
        Self { node, of: PhantomData }
    }

    fn is_stale(&self) -> bool {
        self.node.addr().get() & STALE != 0
    }

    fn node_ptr(&self) -> *mut Node {
        self.node.as_ptr().map_addr(|address| address & !STALE)
    }

    fn node(&self) -> &Node {
        // SAFETY: the delivery owns its node (N1).
        unsafe { &*self.node_ptr() }
    }

    fn header_ptr(&self) -> *mut Header<P> {
        let offset = Header::<P>::NODES + self.node().place as usize * size_of::<Node>();
        // SAFETY: the node at `place` lies so far behind the start of its block (`Publication::push_node`).
        unsafe { self.node_ptr().byte_sub(offset) }.cast()
    }

    fn header(&self) -> &Header<P> {
        // SAFETY: the block lives while the delivery owns a node of it (N2); after publication it is only read.
        unsafe { &*self.header_ptr() }
    }

    /// Whether the member was written under the user of a connection whose user changed `auth` times (rule C5).
    #[inline]
    pub(super) fn is_of(&self, auth: u32) -> bool {
        self.node().auth == auth
    }

    /// What is left of it for another user: what nobody authorized; whether that is anything (rule C5).
    pub(super) fn make_stale(&mut self) -> bool {
        self.node = self.node.map_addr(|address| address | STALE);
        self.cids().next().is_some()
    }

    pub(super) fn weight(&self) -> u64 {
        self.header().weight
    }

    /// What was broadcast to.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.header().message.channel
    }

    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.header().message.action
    }

    /// The params, shared with every other receiver.
    #[must_use]
    pub fn params(&self) -> &P {
        &self.header().message.params
    }

    /// This connection's cids on the channel, in order; never none.
    #[must_use]
    pub fn cids(&self) -> Cids<'_> {
        Cids::new(self.header().roster.cids(self.node().place as usize), self.is_stale())
    }
}

impl<'a> Cids<'a> {
    /// The cids of these bindings: all, or with `stale` only those that nobody authorized (rule C5).
    #[inline]
    pub(crate) fn new(bounds: &'a [crate::index::Bound], stale: bool) -> Self {
        Self { bounds: bounds.iter(), stale }
    }
}

impl<P> Drop for Delivery<P> {
    fn drop(&mut self) {
        // SAFETY: the delivery owns one node and is gone after this (N1).
        unsafe { give_back(self.header_ptr(), 1) };
    }
}

impl<P: fmt::Debug> fmt::Debug for Delivery<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("channel", self.channel())
            .field("action", &self.action())
            .field("params", self.params())
            .field("cids", &self.cids().collect::<Vec<_>>())
            .finish()
    }
}

/// The cids of one delivery, in order ([`Delivery::cids`]).
#[derive(Debug, Clone)]
pub struct Cids<'a> {
    bounds: std::slice::Iter<'a, crate::index::Bound>,
    stale: bool,
}

impl<'a> Iterator for Cids<'a> {
    type Item = &'a Cid;

    #[inline]
    fn next(&mut self) -> Option<&'a Cid> {
        let stale = self.stale;
        self.bounds.find(|bound| !(stale && bound.by_user)).map(|bound| &bound.cid)
    }
}
