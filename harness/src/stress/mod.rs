//! `holocast stress`: minutes to days of mixed load on all cores, in rounds that follow from the seed.
//!
//! A round is two things. First *histories*: many small engines that four threads each call at random, in parallel so that threads are
//! interrupted anywhere; what they saw is checked for linearizability, as in the engine's own tests. Then one *workload* of `holocast run`
//! with another seed, whose every delivery and accounts are audited. After each cycle of workloads the memory of the process is looked at.

mod histories;
mod memory;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::cli::StressArgs;
use crate::failure::Failure;
use crate::results::Run;
use crate::run::{self, Size, Variant};
use histories::{Checked, Faulty};
use memory::Watch;

/// What rounds take in turns. Between them they have every operation, every policy, lanes, slow receivers and herds.
const WORKLOADS: [&str; 8] =
    ["tabs", "revoke-storm", "churn", "slow", "herd", "chat-lanes", "churn-lanes", "chat"];

/// How long the two parts of a round are.
const HISTORIES: Duration = Duration::from_millis(1500);
const WORKLOAD: Duration = Duration::from_millis(1500);

/// What was done so far.
#[derive(Debug, Default)]
struct Sums {
    rounds: u64,
    checked: Checked,
    operations: u64,
    deliveries: u64,
    due: u64,
}

/// Runs the command.
///
/// # Errors
///
/// A history that no order of its calls explains, an audit that failed, or memory that grows: [`Failure::Broken`].
pub fn run(args: &StressArgs) -> Result<(), Failure> {
    let threads = args.threads.unwrap_or_else(cores);
    let variants = variants(threads)?;
    let mut watch = Watch::default();
    let mut sums = Sums::default();
    let start = Instant::now();
    let rounds = args.round.map_or(0..=u64::MAX, |round| round..=round);
    for round in rounds {
        let seed = seed_of(args.seed, round);
        let again = || format!("holocast stress --seed {} --round {round} --threads {threads}", args.seed);
        let checked =
            histories::check(seed, threads, HISTORIES).map_err(|faulty| refuted(*faulty, &again()))?;
        sums.checked.add(&checked);
        let variant = &variants[round as usize % variants.len()];
        let ran = measured(variant, seed, &again())?;
        audited(&ran, &again())?;
        decided(&sums.checked)?;
        sums.add(&ran);
        if sums.rounds.is_multiple_of(variants.len() as u64) {
            watch.look().map_err(|grown| Failure::Broken(format!("{grown}; seed {}", args.seed)))?;
            // Who finds it hung, or gone, knows after what.
            let _ = writeln!(io::stderr(), "after {}: {}", again(), sums.line(start.elapsed(), &watch));
        }
        if start.elapsed() >= args.duration {
            break;
        }
    }
    let text = format!("{}\nno fault; seed {}\n", sums.line(start.elapsed(), &watch), args.seed);
    io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::from)
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(2, |cores| cores.get() as u32)
}

/// Each round's own seed: not the next number, which two command lines in a row would share.
fn seed_of(seed: u64, round: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(round.wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn variants(threads: u32) -> Result<Vec<Variant>, Failure> {
    let mut all = Vec::new();
    for name in WORKLOADS {
        for mut variant in run::find(name, Size::Quick)? {
            let settings = &mut variant.settings;
            let seconds = WORKLOAD.as_secs_f64();
            settings.burst.iter_mut().for_each(|burst| burst.at_seconds *= seconds / settings.seconds);
            (settings.seconds, settings.threads) = (seconds, threads.max(settings.threads));
            all.push(variant);
        }
    }
    Ok(all)
}

/// Runs a workload; a panic in it is a fault like others.
fn measured(variant: &Variant, seed: u64, again: &str) -> Result<Run, Failure> {
    catch_unwind(AssertUnwindSafe(|| run::measure(variant, seed))).unwrap_or_else(|panic| {
        let said = histories::said(&*panic);
        Err(Failure::Broken(format!(
            "{} panicked: {said}\nto run its round again: {again}",
            variant.workload
        )))
    })
}

/// A checker that gives up too often checks nothing.
fn decided(checked: &Checked) -> Result<(), Failure> {
    let Checked { histories, undecided, .. } = checked;
    if *undecided > 10 && undecided * 100 > *histories {
        return Err(Failure::Broken(format!("{undecided} of {histories} histories could not be decided")));
    }
    Ok(())
}

fn refuted(Faulty { plan, calls, seed, tries, text }: Faulty, again: &str) -> Failure {
    Failure::Broken(format!(
        "a history of {calls} calls can't have happened, the smallest of {tries} that failed ({plan}, seed {seed}):\n{text}\nto run its round \
         again: {again}"
    ))
}

fn audited(run: &Run, again: &str) -> Result<(), Failure> {
    if run.audit.passed {
        return Ok(());
    }
    let mut text = format!("{} {}: the audit failed\n", run.workload, run.variant);
    for fault in run.audit.faults.iter().take(10) {
        let _ = writeln!(text, "  {fault}");
    }
    let _ = write!(text, "to run its round again: {again}");
    Err(Failure::Broken(text))
}

impl Sums {
    fn add(&mut self, run: &Run) {
        self.rounds += 1;
        self.operations += run.operations.values().sum::<u64>();
        self.deliveries += run.audit.deliveries_checked;
        self.due += run.audit.deliveries_due;
    }

    fn line(&self, elapsed: Duration, watch: &Watch) -> String {
        let Checked { histories, calls, overlapping, states, undecided } = &self.checked;
        let share = 100 * overlapping / calls.max(&1);
        format!(
            "{:.0} s, {} rounds: {histories} histories of {calls} calls ({share} % beside another; {states} states, {undecided} undecided); \
             {} operations, {} deliveries audited, {} of them due; {watch}",
            elapsed.as_secs_f64(),
            self.rounds,
            self.operations,
            self.deliveries,
            self.due,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Audit;

    #[test]
    fn every_workload_of_a_round_is_built_in_and_short() {
        let variants = variants(3).expect("all are built in");
        assert!(variants.len() >= WORKLOADS.len());
        assert!(
            variants.iter().all(|variant| variant.settings.seconds < 2.0 && variant.settings.threads >= 3)
        );
    }

    #[test]
    fn rounds_and_seeds_share_no_seed() {
        let mut seeds: Vec<u64> =
            (0..50).flat_map(|seed| (0..50).map(move |round| seed_of(seed, round))).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 2500);
    }

    #[test]
    fn an_audit_that_failed_is_told_with_the_command_that_repeats_it() {
        let text = "mix.broadcast = 1\nseconds = 0.01\nwarm_up_seconds = 0";
        let variant = run::parse("w.toml", "w", text, Size::Full).expect("a workload").swap_remove(0);
        let mut ran = run::measure(&variant, 1).expect("it runs");
        assert!(audited(&ran, "again").is_ok());
        ran.audit = Audit { passed: false, faults: vec!["B1: lost: message 3".to_owned()], ..ran.audit };
        let failure = audited(&ran, "holocast stress --seed 1 --round 7").unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        let text = failure.to_string();
        assert!(text.contains("B1: lost: message 3") && text.ends_with("--seed 1 --round 7"), "{text}");
    }
}
