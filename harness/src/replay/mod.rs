//! Runs traces through the engine and shows what it delivers (semantics, section 8).
//!
//! Only the clients' state is kept: neither the trace nor the output is ever held in memory.

mod lanes;
mod run;
mod summary;
mod tab;
mod wallet;

use std::io::{BufRead, Write};

pub use run::Replay;
pub use summary::Summary;
pub use wallet::Wallet;

use crate::failure::Failure;
use crate::trace::{Lines, Op};

/// Runs one trace on an engine of its own. `name` is the trace's in messages; its connections are spread over so many `lanes`, or have
/// queues of their own if there are none, which changes no event; `out` gets the events, nobody if `None`; `tick` is called now and
/// then, to show progress.
///
/// # Errors
///
/// A line is no operation or can't be read, an event can't be written, or the engine broke a rule.
pub fn replay<R: BufRead, W: Write>(
    name: &str,
    reader: R,
    lanes: usize,
    out: Option<W>,
    mut tick: impl FnMut(),
) -> Result<Summary, Failure> {
    /// Operations between two ticks.
    const TICK: u64 = 1024;

    let mut lines = Lines::new(reader);
    let mut replay = Replay::new(out, lanes)?;
    let outcome = loop {
        let number = lines.number() + 1;
        let ran = match lines.next_line() {
            Ok(None) => break Ok(()),
            Ok(Some(line)) => Op::parse(line).map_err(Failure::from).and_then(|op| replay.run(op)),
            Err(error) => Err(Failure::unread(&error)),
        };
        if let Err(failure) = ran {
            break Err(failure.at_line(name, number));
        }
        if number.is_multiple_of(TICK) {
            tick();
        }
    };
    // Also after a bad line: what came before it has happened and is shown.
    let summary = replay.finish();
    tick();
    outcome.and(summary)
}
