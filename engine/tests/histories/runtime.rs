//! Threads and time, of the system or of shuttle.

#[cfg(not(holocast_shuttle))]
pub(crate) use real::*;
#[cfg(holocast_shuttle)]
pub(crate) use scheduled::*;

/// A generator of numbers (splitmix64): the same seed, the same numbers.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(not(holocast_shuttle))]
mod real {
    use std::cell::RefCell;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    pub(crate) use std::thread;

    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

    /// Nanoseconds. Reading the time is no edge between threads, as a shared counter would be.
    pub(crate) fn now() -> u64 {
        BEGINNING.elapsed().as_nanos() as u64
    }

    /// A clock for the engine. It stands still, but the engine reads it in the middle of changes, and there now and then it lets other
    /// threads go on: on a few cores calls would seldom be interrupted otherwise.
    pub(crate) fn clock() -> u64 {
        thread_local! {
            static RANDOM: RefCell<super::Random> = RefCell::new(super::Random::new(now()));
        }
        if RANDOM.with_borrow_mut(|random| random.below(16) == 0) {
            thread::yield_now();
        }
        1
    }

    /// Lets all threads begin at once: they spin, as one that was asleep would come too late.
    #[derive(Debug)]
    pub(crate) struct Gate(AtomicUsize);

    impl Gate {
        pub(crate) fn new(threads: usize) -> Self {
            Self(AtomicUsize::new(threads))
        }

        pub(crate) fn pass(&self) {
            // Relaxed: the time to begin, nothing else.
            self.0.fetch_sub(1, Ordering::Relaxed);
            while self.0.load(Ordering::Relaxed) > 0 {
                thread::yield_now();
            }
        }
    }
}

#[cfg(holocast_shuttle)]
mod scheduled {
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) use shuttle::thread;

    static CLOCK: AtomicU64 = AtomicU64::new(0);

    /// A number higher than all before. Not shuttle's: all of its threads run on one of the system's.
    pub(crate) fn now() -> u64 {
        CLOCK.fetch_add(1, Ordering::Relaxed)
    }

    /// A clock for the engine; it stands still.
    pub(crate) fn clock() -> u64 {
        1
    }

    /// Nothing to do: shuttle starts threads in any order.
    #[derive(Debug)]
    pub(crate) struct Gate;

    impl Gate {
        pub(crate) fn new(_threads: usize) -> Self {
            Self
        }

        pub(crate) fn pass(&self) {}
    }
}
