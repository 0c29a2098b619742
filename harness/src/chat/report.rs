//! What a run of the workload found: as text, and as a file for machines.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::accounts::Accounts;
use super::publisher::Counts;
use super::receiver::Received;
use crate::cli::ChatArgs;
use crate::failure::Failure;

/// The quantiles of the delivery latency that are shown, in per cent.
const QUANTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// One run of the workload.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of the harness.
    pub version: &'static str,
    /// Processor architecture and operating system.
    pub platform: String,
    /// Threads that the machine runs at once.
    pub cores: usize,
    /// The workload.
    pub workload: Workload,
    /// How long the publishers ran.
    pub wall_seconds: f64,
    /// Engine calls, all kinds together.
    pub operations: u64,
    operations_by_kind: Counts,
    /// Deliveries handed out.
    pub deliveries: u64,
    /// Deliveries in one second of the wall clock.
    pub deliveries_per_second: f64,
    /// Engine calls in one second of the wall clock.
    pub operations_per_second: f64,
    /// Events other than deliveries.
    pub events: OtherEvents,
    /// From the publisher's call to the receiver's hand.
    pub latency: Latency,
    /// Rule B5.
    pub accounts: Accounts,
}

/// What was run.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names are those of the command line")]
pub struct Workload {
    pub threads: u32,
    pub receivers: u32,
    pub users: u32,
    pub rooms: u32,
    pub window: u32,
    pub seed: u64,
}

/// Events other than deliveries, as the receivers counted them.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names are those of the events")]
pub struct OtherEvents {
    pub subscribed: u64,
    pub unsubscribed: u64,
    pub superseded: u64,
    pub disconnected: u64,
    pub overflowed: u64,
}

/// Delivery latency in nanoseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Of all deliveries.
    pub mean_ns: f64,
    /// The longest.
    pub max_ns: u64,
    /// Pairs of per cent and nanoseconds.
    pub quantiles_ns: Vec<(f64, u64)>,
}

impl Report {
    pub(super) fn new(
        args: &ChatArgs,
        counts: &Counts,
        received: &Received,
        accounts: Accounts,
        wall: Duration,
    ) -> Self {
        let seconds = wall.as_secs_f64().max(1e-9);
        let latency = &received.latency_ns;
        Report {
            version: env!("CARGO_PKG_VERSION"),
            platform: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            cores: thread::available_parallelism().map_or(1, usize::from),
            workload: Workload {
                threads: args.threads,
                receivers: args.receivers,
                users: args.users,
                rooms: args.rooms,
                window: args.window,
                seed: args.seed,
            },
            wall_seconds: seconds,
            operations: counts.operations(),
            operations_by_kind: *counts,
            deliveries: received.deliveries,
            deliveries_per_second: received.deliveries as f64 / seconds,
            operations_per_second: counts.operations() as f64 / seconds,
            events: OtherEvents {
                subscribed: received.subscribed,
                unsubscribed: received.unsubscribed,
                superseded: received.superseded,
                disconnected: received.disconnected,
                overflowed: received.overflowed,
            },
            latency: Latency {
                mean_ns: latency.mean(),
                max_ns: latency.max(),
                quantiles_ns: QUANTILES
                    .map(|percent| (percent, latency.value_at_percentile(percent)))
                    .to_vec(),
            },
            accounts,
        }
    }

    /// Writes the report as `chat.json` into a folder, making it if need be.
    ///
    /// # Errors
    ///
    /// The folder or the file can't be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, Failure> {
        fs::create_dir_all(folder).map_err(|error| Failure::unwritten(folder, &error))?;
        let path = folder.join("chat.json");
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| Failure::Output(error.to_string()))?;
        json.push(b'\n');
        fs::write(&path, json).map_err(|error| Failure::unwritten(&path, &error))?;
        Ok(path)
    }

    /// Prints the report on standard output.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub fn print(&self, path: &Path) -> Result<(), Failure> {
        let mut text = Vec::new();
        self.text(&mut text, path)?;
        // A reader who has gone does not undo the run: its accounting still decides the exit code.
        match io::stdout().lock().write_all(&text) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn text(&self, out: &mut impl Write, path: &Path) -> io::Result<()> {
        let Workload { threads, receivers, users, rooms, window, seed } = &self.workload;
        writeln!(out, "holocast {} chat, {} with {} cores", self.version, self.platform, self.cores)?;
        writeln!(
            out,
            "{users} people, {rooms} rooms, {threads} publishers with {window} messages on the way each, {receivers} receivers, seed {seed}"
        )?;
        writeln!(out)?;
        let counts = &self.operations_by_kind;
        writeln!(out, "{:<14}{:>14}{:>14}", "", "in all", "per second")?;
        writeln!(out, "{:<14}{:>14}{:>14.0}", "operations", self.operations, self.operations_per_second)?;
        for (kind, count) in [
            ("messages", counts.messages),
            ("joins", counts.subscribes),
            ("leaves", counts.unsubscribes),
            ("kicks", counts.kicks),
            ("connects", counts.connects),
            ("reconnects", counts.reconnects),
            ("disconnects", counts.disconnects),
            ("logins, -outs", counts.identifies),
        ] {
            writeln!(out, "  {kind:<14}{count:>12}{:>14.0}", count as f64 / self.wall_seconds)?;
        }
        writeln!(out, "{:<14}{:>14}{:>14.0}", "deliveries", self.deliveries, self.deliveries_per_second)?;
        writeln!(out, "{:<14}{:>14.3}", "seconds", self.wall_seconds)?;
        writeln!(out)?;
        write!(out, "delivery latency, µs:")?;
        for (percent, ns) in &self.latency.quantiles_ns {
            write!(out, "  p{percent} {:.1}", *ns as f64 / 1e3)?;
        }
        writeln!(out, "  max {:.1}", self.latency.max_ns as f64 / 1e3)?;
        writeln!(out)?;
        writeln!(out, "accounting of messages (rule B5)")?;
        writeln!(
            out,
            "{:>31}{:>12}   ={:>12}   +{:>8}   +{:>10}   +{:>9}",
            "", "accepted", "taken", "queued", "released", "withheld"
        )?;
        for rest in &self.accounts.rests {
            writeln!(
                out,
                "  {:<29}{:>12}   ={:>12}   +{:>8}   +{:>10}   +{:>9}",
                rest.when, rest.accepted, rest.taken, rest.queued, rest.released, rest.withheld
            )?;
        }
        if self.events.overflowed > 0 || self.accounts.refused > 0 {
            writeln!(
                out,
                "  {} refused; {} connections closed with a full queue",
                self.accounts.refused, self.events.overflowed
            )?;
        }
        match self.accounts.faults.as_slice() {
            [] => writeln!(out, "  balances; the receivers got exactly what was taken, and nothing is left")?,
            faults => faults.iter().try_for_each(|fault| writeln!(out, "  FAULT {fault}"))?,
        }
        writeln!(out)?;
        writeln!(out, "report written to {}", path.display())
    }
}
