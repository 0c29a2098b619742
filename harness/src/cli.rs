//! The command line: what `holocast` accepts, and how it refuses in one line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

/// Arguments of `holocast`.
#[derive(Debug, Parser)]
#[command(name = "holocast", version, about = "An in-memory realtime fan-out engine, put to work", long_about = LONG_ABOUT)]
#[command(after_help = EXIT_CODES, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to run; without a command, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const LONG_ABOUT: &str = "An in-memory realtime fan-out engine, put to work.

Without a command it is `run`: a default set of built-in workloads, audited, and a report of them.";

const EXIT_CODES: &str = "Exit codes: 0 all went well, 1 the engine broke a rule or its accounting does not balance, 2 bad \
arguments, unreadable files or a line that is no operation.";

const ABOUT_REPLAY: &str = "Run recorded traces and print every event that they deliver.

A trace is JSON Lines, one operation a line; so is the output, one event a line. Each file is a trace of its own and runs on a \
fresh engine. Traces are read as a stream, plain or gzip-compressed (told apart by their first bytes); neither they nor the \
output are ever held in memory. A summary (operations, deliveries, wall time, deliveries per second) goes to standard error.";

const ABOUT_COMPARE: &str = "Hold the engine against its peers and against the floor, side by side in one run.

All peers do the same work in turns (A B C A B C ...); figures are medians over the turns with the least and the most, ratios \
are those of turns that ran side by side. docs/benchmarking.md says what each row is.";

const ABOUT_RUN: &str = "Run workloads at planned rates, audit every delivery, and write a report.

Operations have planned times, and a latency counts from there: when the engine falls behind, the wait shows. A workload is a \
file in TOML; those in harness/workloads, where README.md says what one can hold, are built in and go by their names. A trace's \
lines come at the rate. Without any, a default set runs in about a minute. \
Afterwards every delivery is held against the rules: nothing lost, doubled, late after an unsubscribe, or leaked after a logout; \
if one is, the exit code is 1.";

const ABOUT_REPORT: &str = "Make one page of one set of results, or of two that it compares.

The page is one HTML file that needs nothing else. Results are the JSON that `run --format json`, `run --out` and `compare --json` \
write; docs/results.schema.json describes it.";

const ABOUT_STRESS: &str = "Load all cores for minutes to days, and check everything.

Rounds of some seconds, each from a seed of its own. In the first half of a round small engines are called by four threads each, at random, \
and what these saw is checked for linearizability; in the second half a workload of `run` is audited, delivery by delivery. Memory is \
watched: it may swing, it must not climb. The first fault ends it with exit code 1, the smallest history that shows it, and the command that runs its \
round again. A line of figures goes to standard error after each cycle of workloads, and to standard output at the end.";

/// A way to use the engine.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run recorded traces and print every event that they deliver
    #[command(long_about = ABOUT_REPLAY)]
    Replay(ReplayArgs),
    /// Hold the engine against its peers and against the floor, side by side in one run
    #[command(long_about = ABOUT_COMPARE)]
    Compare(CompareArgs),
    /// Run workloads at planned rates, audit every delivery, and write a report
    #[command(long_about = ABOUT_RUN)]
    Run(RunArgs),
    /// Make one page of one set of results, or of two that it compares
    #[command(long_about = ABOUT_REPORT)]
    Report(ReportArgs),
    /// Load all cores for minutes to days, and check everything
    #[command(long_about = ABOUT_STRESS)]
    Stress(StressArgs),
}

/// Arguments of `holocast replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Traces to run, one after the other; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Write the events to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print no events, only the summary
    #[arg(short, long, conflicts_with = "out")]
    pub quiet: bool,

    /// Spread the connections over N lanes (at most 256), one queue for all of a lane's; 0: each has a queue of its own. The events are
    /// the same
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=256))]
    pub lanes: u32,
}

/// Arguments of `holocast compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Fewer sizes and turns: under a minute
    #[arg(long)]
    pub quick: bool,

    /// Write the results to FILE as JSON (docs/results.schema.json)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Only workloads whose names contain one of these
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A table to read
    #[default]
    Text,
    /// The document of docs/results.schema.json
    Json,
    /// One line a run
    Csv,
}

/// Arguments of `holocast run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Names of built-in workloads, workload files, or traces (.jsonl, .jsonl.gz); without any, the default set
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,

    /// How results are printed on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Folder for report.html and report.json [default: report, for the default set; else nothing is written]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Names the operations: the same seed, the same operations
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Length of each measurement, without the warm-up [default: the workload's]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<f64>,

    /// Operations a second in all; the shares of their kinds stay [default: the workload's]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,

    /// Threads that call the engine [default: the workload's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Option<u32>,

    /// Only list the built-in workloads
    #[arg(long)]
    pub list: bool,
}

/// Arguments of `holocast stress`.
#[derive(Debug, Clone, Args)]
pub struct StressArgs {
    /// How long, in seconds, or with a unit: 90, 10m, 8h, 3d; the last round is completed
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = time)]
    pub duration: Duration,

    /// Names the rounds: the same seed, the same scripts; how their threads meet is another matter
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Threads that check histories, and that call the engine in workloads [default: as many as cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Option<u32>,

    /// Only this round
    #[arg(long, value_name = "N")]
    pub round: Option<u64>,
}

/// Arguments of `holocast report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Results of `run` or `compare`; of two, the second is held against the first
    #[arg(required = true, num_args = 1..=2, value_name = "JSON")]
    pub files: Vec<PathBuf>,

    /// The page
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
}

impl Default for RunArgs {
    /// What `holocast` without arguments runs.
    fn default() -> Self {
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            args: RunArgs,
        }
        Alone::parse_from(["holocast"]).args
    }
}

/// The most that `stress` is asked for: a year.
const LONGEST_SECONDS: u64 = 366 * 86_400;

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "not a whole number with s, m, h or d behind it, or nothing".to_owned())?;
    match number.checked_mul(unit) {
        Some(seconds @ 1..=LONGEST_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => Err("not between a second and 366d".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e6 => Ok(seconds),
        Ok(_) => Err("not between 0 and 1000000".to_owned()),
        Err(_) => Err("not a number".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e9 => Ok(rate),
        Ok(_) => Err("not between 0 and 1000000000".to_owned()),
        Err(_) => Err("not a number".to_owned()),
    }
}

/// What to print when the arguments don't parse, and the exit code: help and version as they are, an error in one line.
pub fn refusal(error: &clap::Error) -> (String, u8) {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => (error.to_string(), 0),
        _ => {
            let text = error.to_string();
            let sentence = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = sentence.trim_start_matches("error: ").split_whitespace().collect();
            (format!("holocast: {} (try --help)\n", words.join(" ")), 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
        assert_eq!((RunArgs::default().seed, RunArgs::default().workloads.len()), (1, 0));
    }

    #[test]
    fn an_error_is_one_line() {
        for arguments in [
            &["holocast", "--frob"][..],
            &["holocast", "frob"],
            &["holocast", "replay"],
            &["holocast", "replay", "a", "--quiet", "--out", "b"],
            &["holocast", "replay", "a", "--lanes", "257"],
            &["holocast", "run", "--threads", "0"],
            &["holocast", "run", "--duration", "soon"],
            &["holocast", "run", "--seed"],
            &["holocast", "run", "--format", "a\nb"],
        ] {
            let (text, code) = refusal(&Cli::try_parse_from(arguments).unwrap_err());
            assert_eq!((code, text.matches('\n').count()), (2, 1), "{text}");
        }
    }
}
