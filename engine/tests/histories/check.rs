//! Is there an order of all steps that the specification allows, in which every call's steps lie between its start and its return?
//!
//! Depth first over frontiers (how many steps each thread has done), with what was visited remembered by frontier and state.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use super::spec::{Cids, End, OpId, Step, Tenancy};
use super::state::State;

/// So many states are looked at before a history is called undecided; a thousandth of it is the rule.
const PATIENCE: usize = 2_000_000;

/// One call of one thread.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// For people.
    pub(crate) text: String,
    pub(crate) steps: Vec<Step>,
}

/// What all threads did, each in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) threads: Vec<Vec<Call>>,
    pub(crate) end: End,
}

/// Where a thread stands: its call, and the next step of that.
type Place = (usize, usize);

/// Why a history has no order.
#[derive(Debug)]
pub(crate) struct Refuted {
    /// As far as any order came.
    furthest: Vec<Place>,
    /// Why the ends of all orders were refused, if there were any.
    last: Option<String>,
    /// States looked at.
    pub(crate) states: usize,
    /// They were so many that it was given up: the history may have an order.
    pub(crate) undecided: bool,
}

impl History {
    /// States looked at until an order was found.
    pub(crate) fn check(&self) -> Result<usize, Refuted> {
        let end = End { taken: self.taken(), ..self.end.clone() };
        let start: Vec<Place> = self.threads.iter().map(|_| (0, 0)).collect();
        let mut stack = vec![(start.clone(), State::new(self.threads.len()))];
        let mut seen = HashSet::new();
        let mut refuted = Refuted { furthest: start, last: None, states: 0, undecided: false };
        while let Some((places, state)) = stack.pop() {
            if !seen.insert((places.clone(), state.clone())) {
                continue;
            }
            refuted.states += 1;
            if refuted.states == PATIENCE {
                refuted.undecided = true;
                return Err(refuted);
            }
            let done = |places: &[Place]| places.iter().map(|(call, step)| call * 100 + step).sum::<usize>();
            if done(&places) > done(&refuted.furthest) {
                refuted.furthest.clone_from(&places);
            }
            let next = self.candidates(&places);
            if next.is_empty() {
                match state.is_end(&end) {
                    Ok(()) => return Ok(refuted.states),
                    Err(why) => refuted.last = Some(why),
                }
            }
            // The last one pushed is tried first: who has begun, then who returns first.
            for thread in next {
                let (call, step) = places[thread];
                let steps = &self.threads[thread][call].steps;
                let mut after = places.clone();
                after[thread] = if step + 1 < steps.len() { (call, step + 1) } else { (call + 1, 0) };
                let states = state.after(thread, &steps[step], &end);
                stack.extend(states.into_iter().map(|state| (after.clone(), state)));
            }
        }
        Err(refuted)
    }

    fn taken(&self) -> BTreeMap<(OpId, Tenancy), Cids> {
        let steps = self.threads.iter().flatten().flat_map(|call| &call.steps);
        let takes = steps.filter_map(|step| match *step {
            Step::Take { tenancy, broadcast, cids } => Some(((broadcast, tenancy), cids)),
            _ => None,
        });
        takes.collect()
    }

    /// Threads whose next step may come now: no call returned before theirs began whose steps are not all done.
    fn candidates(&self, places: &[Place]) -> Vec<usize> {
        let call = |thread: usize| self.threads[thread].get(places[thread].0);
        let bound = (0..places.len()).filter_map(call).map(|call| call.end).min().unwrap_or(0);
        let mut able: Vec<usize> = (0..places.len())
            .filter(|thread| call(*thread).is_some_and(|call| call.start <= bound))
            .collect();
        able.sort_by_key(|thread| {
            let has_begun = places[*thread].1 > 0;
            std::cmp::Reverse((!has_begun, call(*thread).map(|call| call.end)))
        });
        able
    }

    /// How many calls overlap a call of another thread, of how many.
    #[cfg(not(holocast_shuttle))]
    pub(crate) fn overlapping(&self) -> (usize, usize) {
        let (mut overlapping, mut all) = (0, 0);
        for (thread, calls) in self.threads.iter().enumerate() {
            for call in calls {
                let others = self.threads.iter().enumerate().filter(|(other, _)| *other != thread);
                let beside = |other: &Call| other.start <= call.end && call.start <= other.end;
                overlapping += usize::from(others.flat_map(|(_, calls)| calls).any(beside));
                all += 1;
            }
        }
        (overlapping, all)
    }

    /// The history for people, with the calls that no order came to marked.
    pub(crate) fn explain(&self, refuted: &Refuted) -> String {
        let mut calls: Vec<(usize, usize, &Call)> = Vec::new();
        for (thread, of_thread) in self.threads.iter().enumerate() {
            calls.extend(of_thread.iter().enumerate().map(|(n, call)| (thread, n, call)));
        }
        calls.sort_by_key(|(_, _, call)| call.start);
        let origin = calls.first().map_or(0, |(_, _, call)| call.start);
        let fault = if refuted.undecided { "no order was found in time" } else { "no order is allowed" };
        let mut text = format!("{fault} of these calls (thread: start..return call; ! not reached):\n");
        for (thread, n, call) in calls {
            let mark = if n >= refuted.furthest[thread].0 { '!' } else { ' ' };
            let (start, end) = (call.start - origin, call.end - origin);
            let _ = writeln!(text, "{mark} {thread}: {start:>8}..{end:<8} {}", call.text);
        }
        let _ = writeln!(text, "in the end: {:?}", self.end);
        if let Some(last) = &refuted.last {
            let _ = writeln!(text, "an order of all calls was refused at the end: {last}");
        }
        text
    }
}
