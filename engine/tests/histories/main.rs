//! Linearizability (rule S5 and its neighbours): threads call one engine at random, what they saw is written down, and a checker looks for
//! an order of it all that a sequential specification allows.
//!
//! The same scripts run on real threads and, with `--cfg holocast_shuttle`, on shuttle's, at random and by PCT. There nearly all calls
//! overlap, and a failure prints a schedule that repeats it.

mod check;
mod checker_tests;
mod runtime;
mod spec;
mod state;
mod world;

#[cfg(not(holocast_shuttle))]
mod real;
#[cfg(holocast_shuttle)]
mod scheduled;
