//! The engine, its peers and the floor, side by side in one run.
//!
//! * `peer`: what every contestant can do; `peers`: the contestants.
//! * `lanes`: the engine once more, with lanes; `crowd`: all of them.
//! * `world`: one contestant with its crowd, and the work; `rounds`, `two_threads`, `parked`, `churn`, `memory`, `by_user`:
//!   work that needs a file of its own.
//! * `turns`: who works when, and rows from samples; `plan`: what is measured, `measures`: measuring it; `table`: rows as text.

mod by_user;
mod churn;
mod clock;
mod crowd;
mod lanes;
mod measures;
mod members;
mod memory;
mod parked;
mod peer;
mod peers;
mod plan;
mod rounds;
mod table;
mod turns;
mod two_threads;
mod world;

use std::io::{self, Write};

use crate::cli::CompareArgs;
use crate::failure::Failure;
use crate::results::{Results, Row};
use plan::Plan;

/// Runs the command: measures, prints the table, writes the document.
///
/// # Errors
///
/// No workload has such a name, or something can't be written.
pub fn run(args: &CompareArgs) -> Result<(), Failure> {
    let plan = if args.quick { Plan::quick() } else { Plan::whole() };
    let plan = plan.only(&args.workloads)?;
    let mut results = Results::here();
    results.rows = plan.measure();
    if let Some(path) = &args.json {
        results.write(path)?;
    }
    let mut text = Vec::new();
    table::write(&mut text, &results)?;
    match io::stdout().lock().write_all(&text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// What the report shows of the peers: the fan-out and the memory, in about twenty seconds.
pub fn measure_for_report() -> Vec<Row> {
    Plan::for_report().measure()
}
