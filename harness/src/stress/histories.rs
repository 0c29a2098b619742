//! Histories of the engine's own tests, checked by their checker, on more threads than there are cores.

// They use the engine's public face alone; its tests run them under shuttle too, where this crate is not built.
#[path = "../../../engine/tests/histories/check.rs"]
mod check;
#[path = "../../../engine/tests/histories/runtime.rs"]
mod runtime;
#[path = "../../../engine/tests/histories/spec.rs"]
mod spec;
#[path = "../../../engine/tests/histories/state.rs"]
mod state;
#[path = "../../../engine/tests/histories/world.rs"]
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use runtime::Random;
use world::Plan;

/// The most calls of one thread in a history.
const CALLS: u64 = 12;
/// How long a smaller history than one that failed is looked for.
const SHRINKING: Duration = Duration::from_secs(20);

/// What was checked.
#[derive(Debug, Default, Clone)]
pub(super) struct Checked {
    pub(super) histories: u64,
    pub(super) calls: u64,
    /// Calls beside a call of another thread.
    pub(super) overlapping: u64,
    /// States that the checker looked at.
    pub(super) states: u64,
    /// Histories that were too many-sided to be decided.
    pub(super) undecided: u64,
}

impl Checked {
    pub(super) fn add(&mut self, more: &Checked) {
        self.histories += more.histories;
        self.calls += more.calls;
        self.overlapping += more.overlapping;
        self.states += more.states;
        self.undecided += more.undecided;
    }
}

/// A history that can't have happened.
#[derive(Debug)]
pub(super) struct Faulty {
    /// What its threads were to do.
    pub(super) plan: String,
    /// Calls and takes in it.
    pub(super) calls: usize,
    pub(super) seed: u64,
    /// How many failed before it was the smallest.
    pub(super) tries: usize,
    pub(super) text: String,
}

/// Checks histories on so many threads for so long, half of them with lanes; of those that fail, gives back the smallest that it finds.
pub(super) fn check(seed: u64, threads: u32, length: Duration) -> Result<Checked, Box<Faulty>> {
    let (stop, mut seeds) = (AtomicBool::new(false), Random::new(seed));
    let end = Instant::now() + length;
    let found: Vec<Result<Checked, Box<Faulty>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| (seeds.next(), &stop))
            .map(|(seed, stop)| scope.spawn(move || check_until(seed, end, stop)))
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("it catches panics")).collect()
    });
    let (mut checked, mut smallest) = (Checked::default(), None);
    for found in found {
        match found {
            Ok(of_one) => checked.add(&of_one),
            Err(faulty) => keep_smaller(&mut smallest, faulty),
        }
    }
    match smallest {
        Some(faulty) => Err(shrunk(faulty, Instant::now() + SHRINKING)),
        None => Ok(checked),
    }
}

fn check_until(seed: u64, end: Instant, stop: &AtomicBool) -> Result<Checked, Box<Faulty>> {
    let (mut random, mut checked) = (Random::new(seed), Checked::default());
    // Relaxed: whoever looks later stops later.
    while Instant::now() < end && !stop.load(Ordering::Relaxed) {
        let (calls, lanes) = (random.below(CALLS) + 1, random.below(2) == 0);
        let one = check_one(Plan { calls: calls as usize, lanes }, random.next());
        match one {
            Ok(one) => checked.add(&one),
            Err(faulty) => {
                stop.store(true, Ordering::Relaxed);
                return Err(faulty);
            }
        }
    }
    Ok(checked)
}

fn check_one(plan: Plan, seed: u64) -> Result<Checked, Box<Faulty>> {
    // What a thread finds wrong while it runs is a panic of the script's.
    let history = catch_unwind(AssertUnwindSafe(|| world::run(plan, seed))).map_err(|panic| {
        let calls = plan.calls * (spec::TABS + 1);
        Box::new(Faulty { plan: format!("{plan:?}"), calls, seed, tries: 1, text: said(&*panic) })
    })?;
    let (overlapping, calls) = history.overlapping();
    let (states, undecided) = match history.check() {
        Ok(states) => (states, 0),
        Err(refuted) if refuted.undecided => (refuted.states, 1),
        Err(refuted) => {
            let (plan, text) = (format!("{plan:?}"), history.explain(&refuted));
            return Err(Box::new(Faulty { plan, calls, seed, tries: 1, text }));
        }
    };
    Ok(Checked {
        histories: 1,
        calls: calls as u64,
        overlapping: overlapping as u64,
        states: states as u64,
        undecided,
    })
}

pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic that says nothing").to_owned()
}

fn keep_smaller(smallest: &mut Option<Box<Faulty>>, other: Box<Faulty>) {
    match smallest {
        Some(known) => {
            let tries = known.tries + other.tries;
            if other.calls < known.calls {
                *known = other;
            }
            known.tries = tries;
        }
        None => *smallest = Some(other),
    }
}

/// Looks for a smaller one: real threads don't repeat themselves, so among many new ones, each shorter than the smallest so far.
fn shrunk(faulty: Box<Faulty>, end: Instant) -> Box<Faulty> {
    let (mut smallest, mut random) = (Some(faulty), Random::new(1));
    while Instant::now() < end
        && let Some(known) = &smallest
        && known.calls > 2
    {
        let of_one_thread = (known.calls / (spec::TABS + 1)).max(1) as u64;
        let plan = Plan { calls: (random.below(of_one_thread) + 1) as usize, lanes: random.below(2) == 0 };
        if let Err(found) = check_one(plan, random.next()) {
            keep_smaller(&mut smallest, found);
        }
    }
    smallest.expect("it began with one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty(calls: usize) -> Box<Faulty> {
        Box::new(Faulty { plan: String::new(), calls, seed: 1, tries: 1, text: String::new() })
    }

    #[test]
    fn histories_of_the_engine_are_checked_on_all_threads() {
        let checked = check(1, 2, Duration::from_millis(200)).expect("the engine keeps its rules");
        assert!(
            checked.histories > 10 && checked.calls > checked.histories && checked.states > 0,
            "{checked:?}"
        );
    }

    #[test]
    fn the_smallest_of_those_that_failed_is_kept() {
        let mut smallest = None;
        for calls in [9, 5, 7] {
            keep_smaller(&mut smallest, faulty(calls));
        }
        let smallest = smallest.expect("one of three");
        assert_eq!((smallest.calls, smallest.tries), (5, 3));
        // Nothing else fails here, so it stays.
        assert_eq!(shrunk(smallest, Instant::now()).calls, 5);
    }

    #[test]
    fn a_panic_of_a_script_is_told() {
        let panic = catch_unwind(|| panic!("{} (rule B4)", 3)).unwrap_err();
        assert_eq!(said(&*panic), "3 (rule B4)");
        assert_eq!(said(&*catch_unwind(|| panic!("told")).unwrap_err()), "told");
    }
}
