//! What goes wrong on the host's side: receivers that stall, and code of the host's that panics inside the engine. Each test names what
//! others may still rely on. Faults on the way between lanes are in lanes/faults.rs.

mod clocks;
mod guards;
mod params;
mod slow;
mod wakers;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether it panicked; the panic is the host's to see.
fn panics<R>(work: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().unwrap_or_default()
}

/// How many of a type there are.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Params that are counted while they live and panic when dropped, if armed. A second drop of one would make the count wrong.
struct Bomb {
    number: u64,
    armed: bool,
    alive: Alive,
}

impl Bomb {
    fn new(number: u64, armed: bool, alive: &Alive) -> Self {
        alive.0.fetch_add(1, Ordering::Relaxed);
        Bomb { number, armed, alive: alive.clone() }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.alive.0.fetch_sub(1, Ordering::Relaxed);
        if self.armed {
            panic!("params");
        }
    }
}
