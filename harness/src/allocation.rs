//! Counts heap bytes while somebody asks for it; else it costs one relaxed load.

#[cfg(not(feature = "mimalloc"))]
use std::alloc::System as Below;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[cfg(feature = "mimalloc")]
use mimalloc::MiMalloc as Below;

/// The system's allocator, or mimalloc with that feature, counting on demand. The binary installs it.
#[derive(Debug)]
pub struct Counting;

/// The name of the allocator below.
pub const NAME: &str = if cfg!(feature = "mimalloc") { "mimalloc" } else { "system" };

static ON: AtomicBool = AtomicBool::new(false);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

fn count(bytes: i64) {
    // Relaxed, both: a sum, read by the thread that did the work.
    if ON.load(Ordering::Relaxed) {
        LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What the work left on the heap, in bytes as asked for (without the allocator's own overhead). Other threads should rest.
pub fn left_behind<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    ON.store(true, Ordering::Relaxed);
    let result = work();
    ON.store(false, Ordering::Relaxed);
    (result, LIVE_BYTES.load(Ordering::Relaxed) - before)
}

// SAFETY: everything is passed on to the allocator below as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { Below.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { Below.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promise.
        unsafe { Below.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { Below.realloc(pointer, layout, new_size) }
    }
}
