//! Nodes that were taken out of a queue together: sifted, or opened one by one.
//!
//! Called by `word.rs` with what one atomic step, or the lock, has made the taker's own (W1); `lane/` opens what a reset gave it. Nothing here
//! is shared, so nothing is atomic.

use std::ptr::{self, NonNull};

use super::block::{Node, Opened, is_control};

/// Nodes that were taken out of a queue together.
pub(crate) struct Chain<P> {
    node: *mut Node,
    of: std::marker::PhantomData<Opened<P>>,
}

impl<P> Chain<P> {
    /// # Safety
    /// The nodes from this one on were taken from a `Queue<P>` and are the caller's (W1).
    pub(super) unsafe fn new(node: *mut Node) -> Self {
        Self { node, of: std::marker::PhantomData }
    }
}

impl<P> Iterator for Chain<P> {
    type Item = Opened<P>;

    fn next(&mut self) -> Option<Opened<P>> {
        let this = NonNull::new(self.node)?;
        // SAFETY: the chain was taken whole and is ours (W1).
        self.node = unsafe { this.as_ref() }.next.with(|next| {
            // SAFETY: as above.
            unsafe { *next }
        });
        // SAFETY: as above, and its link was read.
        Some(unsafe { Opened::new(this) })
    }
}

impl<P> Drop for Chain<P> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// Control events and messages apart.
pub(super) struct Sifted<P> {
    /// The oldest, linked towards newer ones.
    pub(super) controls: *mut Node,
    pub(super) messages: Chain<P>,
    /// Messages.
    pub(super) count: u64,
}

/// Sifts nodes that are linked from the oldest to newer ones, one chain after the other.
///
/// # Safety
/// They were taken from a `Queue<P>` and are the caller's own (W1).
pub(super) unsafe fn sifted<P>(chains: [*mut Node; 2]) -> Sifted<P> {
    let (mut controls, mut last) = (ptr::null_mut::<Node>(), ptr::null_mut::<Node>());
    let mut messages = ptr::null_mut::<Node>();
    let mut count = 0;
    for mut node in chains {
        while !node.is_null() {
            let this = node;
            // SAFETY: the caller's own.
            let link = unsafe { &(*this).next };
            // SAFETY: as above.
            node = link.with(|next| unsafe { *next });
            // SAFETY: as above.
            if unsafe { is_control(this) } {
                // SAFETY: as above.
                link.with_mut(|next| unsafe { *next = ptr::null_mut() });
                match NonNull::new(last) {
                    // SAFETY: as above.
                    Some(last) => unsafe { last.as_ref() }.next.with_mut(|next| {
                        // SAFETY: as above.
                        unsafe { *next = this }
                    }),
                    None => controls = this,
                }
                last = this;
            } else {
                // SAFETY: as above.
                link.with_mut(|next| unsafe { *next = messages });
                messages = this;
                count += 1;
            }
        }
    }
    // SAFETY: passed on.
    Sifted { controls, messages: unsafe { Chain::new(messages) }, count }
}
