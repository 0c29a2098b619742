//! The command `holocast`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holocast_harness::allocation::Counting;
use holocast_harness::cli::{self, Cli, Command, ReplayArgs, RunArgs};
use holocast_harness::failure::Failure;
use holocast_harness::replay::{Summary, replay};
use holocast_harness::trace::Source;
use holocast_harness::{compare, report, run, stress};
use indicatif::{ProgressBar, ProgressStyle};

/// Counts only while `compare` asks for it.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WRITE_BYTES: usize = 256 << 10;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let (text, code) = cli::refusal(&error);
            // Whoever closed the stream does not want to know.
            let _ = if code == 0 { write!(io::stdout(), "{text}") } else { write!(io::stderr(), "{text}") };
            return code.into();
        }
    };
    let ended = match cli.command {
        Some(Command::Replay(args)) => replay_all(&args),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Stress(args)) => stress::run(&args),
        None => run::run(&RunArgs::default()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::OutputClosed) {
                let _ = writeln!(io::stderr(), "holocast: {failure}");
            }
            failure.exit_code().into()
        }
    }
}

/// Replays each file on an engine of its own and prints the summaries.
fn replay_all(args: &ReplayArgs) -> Result<(), Failure> {
    let mut out: Option<Box<dyn Write>> = match &args.out {
        _ if args.quiet => None,
        Some(path) => Some(Box::new(File::create(path).map_err(|error| Failure::unwritten(path, &error))?)),
        None => Some(Box::new(io::stdout().lock())),
    };
    let mut total = Summary::default();
    for path in &args.files {
        let Source { name, reader, total_bytes, read_bytes } =
            Source::open(path).map_err(|error| Failure::unopened(path, &error))?;
        let bar = progress_bar(&name, total_bytes);
        let events = out.as_mut().map(|out| BufWriter::with_capacity(WRITE_BYTES, out));
        let ran = replay(&name, reader, args.lanes as usize, events, || bar.set_position(read_bytes.get()));
        bar.finish_and_clear();
        let summary = ran?;
        total += summary;
        let _ = writeln!(io::stderr(), "{name}: {summary}");
    }
    if args.files.len() > 1 {
        let _ = writeln!(io::stderr(), "{} traces: {total}", args.files.len());
    }
    Ok(())
}

/// Bytes read of the file, on standard error if that is a terminal.
fn progress_bar(name: &str, total_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {bytes}, {bytes_per_sec}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
