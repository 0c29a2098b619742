//! Everything that threads share goes through this file: std, papaya, arc-swap and crossbeam in production; loom or shuttle and small
//! stand-ins under `cfg(holocast_loom)` and `cfg(holocast_shuttle)`. No other file of the engine names an atomic, a lock or one of
//! those crates.
//!
//! The stand-ins keep the contract that the engine relies on and nothing more: [`Swap`] is one atomic whose old values live
//! on, [`Map`] and [`Pool`] are behind loom's mutex, [`epoch`] runs a deferred closure once every pin that was active when it
//! was deferred is gone.

#[cfg(not(any(holocast_loom, holocast_shuttle)))]
pub(crate) use production::*;
#[cfg(any(holocast_loom, holocast_shuttle))]
pub(crate) use stand_in::*;

#[cfg(test)]
mod contract_tests;

/// Under a model checker: nodes, pages and tables are small, so that a short script reaches their edges.
pub(crate) const MODEL: bool = cfg!(any(holocast_loom, holocast_shuttle));

#[cfg(not(holocast_loom))]
mod cell {
    /// Memory without a lock of its own: who may touch it is decided elsewhere.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(not(any(holocast_loom, holocast_shuttle)))]
mod production {
    use std::hash::Hash;
    use std::sync::Arc;

    pub(crate) use super::cell::UnsafeCell;
    pub(crate) use atomic_waker::AtomicWaker;
    pub(crate) use std::sync::OnceLock;
    pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

    /// One turn of a loop that waits for another thread's few instructions.
    pub(crate) fn spin() {
        std::hint::spin_loop();
    }

    /// A cell that holds an `Arc`: loads take part in no contention, changes are compare-and-swaps. The orderings named below are
    /// those that the engine relies on; arc-swap's are sequentially consistent, which nothing needs.
    #[derive(Debug)]
    pub(crate) struct Swap<T>(arc_swap::ArcSwap<T>);

    /// What a load returns; keeps the value alive.
    pub(crate) type Loaded<T> = arc_swap::Guard<Arc<T>>;

    impl<T> Swap<T> {
        pub(crate) fn new(value: Arc<T>) -> Self {
            Self(arc_swap::ArcSwap::new(value))
        }

        /// Acquire.
        pub(crate) fn load(&self) -> Loaded<T> {
            self.0.load()
        }

        /// Acquire.
        pub(crate) fn load_full(&self) -> Arc<T> {
            self.0.load_full()
        }

        /// AcqRel; whether `new` took the place of `current`.
        pub(crate) fn replace(&self, current: &Arc<T>, new: Arc<T>) -> bool {
            Arc::ptr_eq(&self.0.compare_and_swap(current, new), current)
        }

        /// AcqRel.
        pub(crate) fn swap(&self, new: Arc<T>) -> Arc<T> {
            self.0.swap(new)
        }
    }

    /// A concurrent map. Reads are lock-free; an insert may help, or wait for, a resize.
    pub(crate) struct Map<K, V>(papaya::HashMap<K, V, foldhash::fast::RandomState>);

    impl<K: Hash + Eq + Clone, V: Clone> Map<K, V> {
        pub(crate) fn with_capacity(expected: usize) -> Self {
            Self(papaya::HashMap::builder().capacity(expected).hasher(Default::default()).build())
        }

        /// Calls `f` with the value in place, if there is one.
        pub(crate) fn read<R>(&self, key: &K, f: impl FnOnce(&V) -> R) -> Option<R> {
            self.0.pin().get(key).map(f)
        }

        pub(crate) fn get(&self, key: &K) -> Option<V> {
            self.read(key, V::clone)
        }

        pub(crate) fn get_or_insert_with(&self, key: &K, make: impl FnOnce() -> V) -> V {
            let pinned = self.0.pin();
            match pinned.get(key) {
                Some(value) => value.clone(),
                None => pinned.get_or_insert_with(key.clone(), make).clone(),
            }
        }

        /// Atomically replaces the value: `f` sees the current one and returns the next, `None` to remove it. `f` may run
        /// more than once.
        pub(crate) fn update(&self, key: &K, mut f: impl FnMut(Option<&V>) -> Option<V>) {
            use papaya::Operation;
            let pinned = self.0.pin();
            // An insert by `compute` may begin a copy of the table, but never helps to finish one (papaya 0.2.5): a map that grew by it
            // alone would be a longer and longer chain of tables. Other inserts help.
            if pinned.get(key).is_none() {
                let Some(value) = f(None) else { return };
                if pinned.try_insert(key.clone(), value).is_ok() {
                    return;
                }
            }
            pinned.compute(key.clone(), |entry| match (entry, f(entry.map(|(_, value)| value))) {
                (_, Some(next)) => Operation::<V, ()>::Insert(next),
                (Some(_), None) => Operation::Remove,
                (None, None) => Operation::Abort(()),
            });
        }

        /// Whether it was removed.
        pub(crate) fn remove_if(&self, key: &K, mut holds: impl FnMut(&V) -> bool) -> bool {
            matches!(self.0.pin().remove_if(key, |_, value| holds(value)), Ok(Some(_)))
        }

        pub(crate) fn for_each(&self, mut f: impl FnMut(&K, &V)) {
            for (key, value) in &self.0.pin() {
                f(key, value);
            }
        }
    }

    /// Values that wait for somebody to take them; no order is promised.
    #[derive(Debug)]
    pub(crate) struct Pool<T>(crossbeam_queue::SegQueue<T>);

    impl<T> Pool<T> {
        pub(crate) const fn new() -> Self {
            Self(crossbeam_queue::SegQueue::new())
        }

        pub(crate) fn put(&self, value: T) {
            self.0.push(value);
        }

        pub(crate) fn take(&self) -> Option<T> {
            self.0.pop()
        }
    }

    /// Grace periods: what is deferred runs when every pin of that moment is gone.
    pub(crate) mod epoch {
        #[derive(Debug)]
        pub(crate) struct Guard(crossbeam_epoch::Guard);

        pub(crate) fn pin() -> Guard {
            Guard(crossbeam_epoch::pin())
        }

        impl Guard {
            pub(crate) fn defer(&self, f: impl FnOnce() + Send + 'static) {
                self.0.defer(f);
            }

            /// Gives what this thread deferred to all threads, so that it is not held until this one works again.
            pub(crate) fn flush(&self) {
                self.0.flush();
            }
        }
    }

    /// The number of this thread, for sharded counters; no other thread ever has the same.
    pub(crate) fn shard() -> usize {
        use std::sync::atomic::AtomicUsize;
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            // Relaxed: a number for this thread, related to nothing else.
            static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        SHARD.with(|shard| *shard)
    }
}

#[cfg(any(holocast_loom, holocast_shuttle))]
#[expect(clippy::disallowed_types, reason = "what the model checker is not to see")]
mod stand_in {
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::Arc;

    #[cfg(holocast_loom)]
    use loom as model;
    #[cfg(holocast_shuttle)]
    use shuttle as model;

    use model::sync::Mutex;
    use model::sync::atomic::AtomicUsize;

    #[cfg(holocast_shuttle)]
    pub(crate) use super::cell::UnsafeCell;
    #[cfg(holocast_loom)]
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use model::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

    pub(crate) fn spin() {
        model::thread::yield_now();
    }

    /// Made at most once, in effect: of two that make it at once one is thrown away. Std's blocks the second one, and with it all
    /// threads of the model.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T>(std::sync::OnceLock<T>);

    impl<T> OnceLock<T> {
        pub(crate) const fn new() -> Self {
            Self(std::sync::OnceLock::new())
        }

        pub(crate) fn get(&self) -> Option<&T> {
            self.0.get()
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            if self.get().is_none() {
                drop(self.0.set(make()));
            }
            self.get().expect("as above")
        }
    }

    /// loom's, under the crate's names.
    #[cfg(holocast_loom)]
    #[derive(Debug)]
    pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

    #[cfg(holocast_loom)]
    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self(loom::future::AtomicWaker::new())
        }

        pub(crate) fn register(&self, waker: &std::task::Waker) {
            self.0.register_by_ref(waker);
        }

        pub(crate) fn take(&self) -> Option<std::task::Waker> {
            self.0.take_waker()
        }

        pub(crate) fn wake(&self) {
            self.0.wake();
        }
    }

    /// As the crate's of that name, whose own atomics shuttle would not see.
    #[cfg(holocast_shuttle)]
    #[derive(Debug)]
    pub(crate) struct AtomicWaker(Mutex<Option<std::task::Waker>>);

    #[cfg(holocast_shuttle)]
    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn register(&self, waker: &std::task::Waker) {
            *self.0.lock().unwrap() = Some(waker.clone());
        }

        pub(crate) fn take(&self) -> Option<std::task::Waker> {
            self.0.lock().unwrap().take()
        }

        pub(crate) fn wake(&self) {
            if let Some(waker) = self.take() {
                waker.wake();
            }
        }
    }

    /// The index of the current value is a loom atomic; every value ever held lives on in a list that loom does not see, as
    /// the list gives no ordering that arc-swap would not give.
    pub(crate) struct Swap<T> {
        current: AtomicUsize,
        values: std::sync::Mutex<Vec<Arc<T>>>,
    }

    #[derive(Debug)]
    pub(crate) struct Loaded<T>(Arc<T>);

    impl<T> std::ops::Deref for Loaded<T> {
        type Target = Arc<T>;

        fn deref(&self) -> &Arc<T> {
            &self.0
        }
    }

    impl<T> std::fmt::Debug for Swap<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Swap")
        }
    }

    impl<T> Swap<T> {
        pub(crate) fn new(value: Arc<T>) -> Self {
            Self { current: AtomicUsize::new(0), values: std::sync::Mutex::new(vec![value]) }
        }

        fn value(&self, index: usize) -> Arc<T> {
            self.values.lock().expect("not poisoned")[index].clone()
        }

        fn keep(&self, value: Arc<T>) -> usize {
            let mut values = self.values.lock().expect("not poisoned");
            values.push(value);
            values.len() - 1
        }

        pub(crate) fn load(&self) -> Loaded<T> {
            Loaded(self.load_full())
        }

        pub(crate) fn load_full(&self) -> Arc<T> {
            self.value(self.current.load(Ordering::Acquire))
        }

        pub(crate) fn replace(&self, current: &Arc<T>, new: Arc<T>) -> bool {
            let place = self
                .values
                .lock()
                .expect("not poisoned")
                .iter()
                .position(|value| Arc::ptr_eq(value, current))
                .expect("a value that was loaded from here");
            let next = self.keep(new);
            self.current.compare_exchange(place, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
        }

        pub(crate) fn swap(&self, new: Arc<T>) -> Arc<T> {
            let next = self.keep(new);
            self.value(self.current.swap(next, Ordering::AcqRel))
        }
    }

    pub(crate) struct Map<K, V>(Mutex<BTreeMap<K, V>>);

    impl<K: Ord + Clone, V: Clone> Map<K, V> {
        pub(crate) fn with_capacity(_expected: usize) -> Self {
            Self(Mutex::new(BTreeMap::new()))
        }

        pub(crate) fn read<R>(&self, key: &K, f: impl FnOnce(&V) -> R) -> Option<R> {
            let value = self.get(key);
            value.as_ref().map(f)
        }

        pub(crate) fn get(&self, key: &K) -> Option<V> {
            self.0.lock().unwrap().get(key).cloned()
        }

        pub(crate) fn get_or_insert_with(&self, key: &K, make: impl FnOnce() -> V) -> V {
            self.0.lock().unwrap().entry(key.clone()).or_insert_with(make).clone()
        }

        pub(crate) fn update(&self, key: &K, mut f: impl FnMut(Option<&V>) -> Option<V>) {
            let mut map = self.0.lock().unwrap();
            match f(map.get(key)) {
                Some(next) => drop(map.insert(key.clone(), next)),
                None => drop(map.remove(key)),
            }
        }

        pub(crate) fn remove_if(&self, key: &K, mut holds: impl FnMut(&V) -> bool) -> bool {
            let mut map = self.0.lock().unwrap();
            map.get(key).is_some_and(&mut holds) && map.remove(key).is_some()
        }

        pub(crate) fn for_each(&self, mut f: impl FnMut(&K, &V)) {
            let copy = self.0.lock().unwrap().clone();
            copy.iter().for_each(|(key, value)| f(key, value));
        }
    }

    #[derive(Debug)]
    pub(crate) struct Pool<T>(Mutex<VecDeque<T>>);

    impl<T> Pool<T> {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(VecDeque::new()))
        }

        pub(crate) fn put(&self, value: T) {
            self.0.lock().unwrap().push_back(value);
        }

        pub(crate) fn take(&self) -> Option<T> {
            self.0.lock().unwrap().pop_front()
        }
    }

    pub(crate) mod epoch {
        use super::model::{self, sync::Mutex};
        use std::collections::BTreeSet;

        type Deferred = (BTreeSet<u64>, Box<dyn FnOnce() + Send>);

        #[derive(Default)]
        struct Pins {
            next: u64,
            active: BTreeSet<u64>,
            deferred: Vec<Deferred>,
        }

        model::lazy_static! {
            static ref PINS: Mutex<Pins> = Mutex::new(Pins::default());
        }

        #[derive(Debug)]
        pub(crate) struct Guard(u64);

        pub(crate) fn pin() -> Guard {
            let mut pins = PINS.lock().unwrap();
            pins.next += 1;
            let id = pins.next;
            pins.active.insert(id);
            Guard(id)
        }

        impl Guard {
            pub(crate) fn defer(&self, f: impl FnOnce() + Send + 'static) {
                let mut pins = PINS.lock().unwrap();
                let active = pins.active.clone();
                pins.deferred.push((active, Box::new(f)));
            }

            pub(crate) fn flush(&self) {}
        }

        impl Drop for Guard {
            fn drop(&mut self) {
                let mut ready = Vec::new();
                {
                    let mut pins = PINS.lock().unwrap();
                    pins.active.remove(&self.0);
                    let mut kept = Vec::new();
                    for (mut waits_for, f) in std::mem::take(&mut pins.deferred) {
                        waits_for.remove(&self.0);
                        match waits_for.is_empty() {
                            true => ready.push(f),
                            false => kept.push((waits_for, f)),
                        }
                    }
                    pins.deferred = kept;
                }
                ready.into_iter().for_each(|f| f());
            }
        }
    }

    pub(crate) fn shard() -> usize {
        0
    }
}
