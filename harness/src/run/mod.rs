//! Workloads at planned rates, audited.
//!
//! A workload file becomes a crowd and one script for each publisher thread; these run open-loop, receivers write down what
//! they take, and figures and audit are made from the record afterwards.

mod audit;
mod caller;
mod crowd;
mod figures;
mod library;
mod measure;
mod print;
mod receiver;
mod record;
mod script;
mod trace;
mod workload;
mod world;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use library::{default_set, find, names};
pub use measure::measure;
pub use workload::{
    Burst, CrowdSize, Law, Mix, Overflow, Queue, Receivers, Rooms, Size, Spacing, Variant, Workload, parse,
};

use crate::cli::{Format, RunArgs};
use crate::compare;
use crate::failure::Failure;
use crate::report;
use crate::results::{Results, Run};

/// Where the default set's report goes.
const DEFAULT_FOLDER: &str = "report";

/// Runs the command.
///
/// # Errors
///
/// A workload is wrong or can't be read, a result can't be written, or an audit failed.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    if args.list {
        return list();
    }
    let variants = variants(args)?;
    let folder = match &args.out {
        Some(folder) => Some(folder.clone()),
        None => args.workloads.is_empty().then(|| PathBuf::from(DEFAULT_FOLDER)),
    };
    // A folder that can't be made is known before anything runs.
    if let Some(folder) = &folder {
        fs::create_dir_all(folder).map_err(|error| Failure::unwritten(folder, &error))?;
    }
    let mut results = Results::here();
    if args.workloads.is_empty() {
        // Before the workloads, so that no crowd of theirs is in the way.
        results.rows = compare::measure_for_report();
    }
    let mut measured = Vec::new();
    for of_one_workload in variants.chunk_by(|a, b| a.workload == b.workload) {
        let runs = in_turns(of_one_workload, args.seed)?;
        results.runs.extend_from_slice(&runs);
        measured.extend(of_one_workload.iter().cloned().zip(runs));
    }
    if let Some(folder) = &folder {
        write(folder, &results)?;
    }
    let mut text = match args.format {
        Format::Text => print::text(&results.machine, &measured),
        Format::Json => results.to_json()?,
        Format::Csv => print::csv(&results.runs),
    };
    if let (Format::Text, Some(folder)) = (args.format, &folder) {
        text.push_str(&format!("\nreport written to {}\n", folder.join("report.html").display()));
    }
    show(&text)?;
    verdict(&results.runs)
}

/// Measures the variants of a workload, one after the other and so on in turns, so that what disturbs the machine for a while
/// disturbs all of them. Each is shown by one of its runs.
fn in_turns(variants: &[Variant], seed: u64) -> Result<Vec<Run>, Failure> {
    let turns = variants.iter().map(|variant| variant.settings.turns).max().unwrap_or(1);
    let mut runs = vec![Vec::new(); variants.len()];
    for _ in 0..turns {
        for (variant, runs) in variants.iter().zip(&mut runs) {
            runs.push(measure(variant, seed)?);
        }
    }
    Ok(runs.into_iter().filter_map(shown).collect())
}

/// The run of the median p99, unless an audit failed: then the first whose did.
fn shown(mut runs: Vec<Run>) -> Option<Run> {
    if let Some(failed) = runs.iter().position(|run| !run.audit.passed) {
        return Some(runs.swap_remove(failed));
    }
    runs.sort_by_key(|run| print::quantile(&run.delivery_latency, 99.0));
    let median = runs.len() / 2;
    runs.into_iter().nth(median)
}

/// What is to run, with the command line's settings over the files'.
fn variants(args: &RunArgs) -> Result<Vec<Variant>, Failure> {
    let mut variants = Vec::new();
    for name in &args.workloads {
        variants.extend(find(name, Size::Full)?);
    }
    if args.workloads.is_empty() {
        variants = default_set()?;
    }
    for Variant { workload, settings, .. } in &mut variants {
        if let Some(seconds) = args.duration {
            for burst in &mut settings.burst {
                burst.at_seconds *= seconds / settings.seconds;
            }
            settings.seconds = seconds;
        }
        settings.rate = args.rate.unwrap_or(settings.rate);
        settings.threads = args.threads.unwrap_or(settings.threads);
        settings.check().map_err(|why| Failure::Input(format!("{workload}: {why}")))?;
    }
    Ok(variants)
}

/// Names and descriptions of what is built in.
fn list() -> Result<(), Failure> {
    let mut text = String::new();
    for name in names() {
        let description = find(name, Size::Full)?.swap_remove(0).settings.description;
        text.push_str(&format!("{name:<18}{description}\n"));
    }
    show(&text)
}

fn write(folder: &Path, results: &Results) -> Result<(), Failure> {
    results.write(&folder.join("report.json"))?;
    let page = folder.join("report.html");
    fs::write(&page, report::page(results, None)).map_err(|error| Failure::unwritten(&page, &error))
}

/// A reader who has gone does not undo the runs: their audits still decide the exit code.
fn show(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// An audit that failed ends the command with the first fault.
fn verdict(runs: &[Run]) -> Result<(), Failure> {
    let faults: usize = runs.iter().map(|run| run.audit.faults.len()).sum();
    let Some(run) = runs.iter().find(|run| !run.audit.passed) else { return Ok(()) };
    let first = run.audit.faults.first().map_or("no fault is named", String::as_str);
    let name = if run.variant.is_empty() {
        run.workload.clone()
    } else {
        format!("{}, {}", run.workload, run.variant)
    };
    Err(Failure::Broken(format!("{name}: {first} ({faults} faults in all)")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Audit, Latency, Quantile, Results};

    #[test]
    fn of_several_turns_the_median_is_shown_but_a_failed_audit_is_not_passed_over() {
        let run = |p99_ns: u64, passed: bool| {
            let (mut latency, audit) = (Latency::default(), Audit { passed, ..Audit::default() });
            latency.quantiles.push(Quantile { percent: 99.0, ns: p99_ns });
            Run { delivery_latency: latency, audit, ..small() }
        };
        let p99_of = |runs: [(u64, bool); 3]| {
            let run = shown(runs.map(|(p99_ns, passed)| run(p99_ns, passed)).into()).unwrap();
            run.delivery_latency.quantiles[0].ns
        };
        assert_eq!(p99_of([(3, true), (1, true), (2, true)]), 2);
        assert_eq!(p99_of([(3, false), (1, true), (2, true)]), 3);
        assert_eq!(p99_of([(3, true), (1, false), (2, false)]), 1);
    }

    fn small() -> Run {
        let text = "mix.broadcast = 1\nseconds = 0.01\nwarm_up_seconds = 0";
        measure(&parse("w.toml", "w", text, Size::Full).unwrap()[0], 1).unwrap()
    }

    #[test]
    fn a_failed_audit_is_exit_code_1_and_names_the_fault() {
        let mut run = small();
        assert!(verdict(std::slice::from_ref(&run)).is_ok());
        run.audit = Audit { passed: false, faults: vec!["B1: lost: message 3".to_owned()], ..run.audit };
        let failure = verdict(&[run]).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(failure.to_string(), "w: B1: lost: message 3 (1 faults in all)");
        assert!(Results::here().runs.is_empty());
    }
}
