//! One workload, run once at one rate.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one workload did and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The workload's name.
    pub workload: String,
    /// Which variant of it; empty if it has none.
    pub variant: String,
    /// What it is, in a sentence.
    pub description: String,
    /// The same seed gives the same operations.
    pub seed: u64,
    /// Threads that call the engine.
    pub publisher_threads: u32,
    /// Threads that drain the queues.
    pub receiver_threads: u32,
    /// Connections at the start of the measurement.
    pub connections: u64,
    /// Operations a second, as planned.
    pub planned_rate: f64,
    /// Length of the measurement; the warm-up before it is left out.
    pub seconds: f64,
    /// Length of the warm-up.
    pub warm_up_seconds: f64,
    /// Operations done in the measurement, by kind.
    pub operations: BTreeMap<String, u64>,
    /// Operations a second, as done.
    pub operations_per_second: f64,
    /// Messages handed out in the measurement.
    pub deliveries: u64,
    /// Messages handed out in a second.
    pub deliveries_per_second: f64,
    /// From the planned time of a broadcast to each receiver's hand.
    pub delivery_latency: Latency,
    /// The same from the moment at which the call was really made: what a closed loop would have shown.
    pub delivery_latency_raw: Latency,
    /// From the planned time of any operation to the return of its call.
    pub call_latency: Latency,
    /// The same from the moment at which the call was really made.
    pub call_latency_raw: Latency,
    /// The measurement, cut into equal parts.
    pub timeline: Vec<Interval>,
    /// Whether every delivery was where it belongs.
    pub audit: Audit,
    /// The most memory that the process held during the run, in bytes, with what its allocator kept of earlier ones; 0 if unknown.
    pub peak_resident_bytes: u64,
}

/// A distribution of times.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Of how many times.
    pub count: u64,
    /// Their mean, in nanoseconds.
    pub mean_ns: f64,
    /// In growing order of per cent.
    pub quantiles: Vec<Quantile>,
    /// The longest, in nanoseconds.
    pub max_ns: u64,
}

/// One point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantile {
    /// So many in a hundred were as fast or faster.
    pub percent: f64,
    /// The time, in nanoseconds.
    pub ns: u64,
}

/// One part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// When it began, in seconds since the measurement did.
    pub at_seconds: f64,
    /// How long it was.
    pub seconds: f64,
    /// Messages handed out in it.
    pub deliveries: u64,
    /// Their median latency, from the planned time, in nanoseconds.
    pub p50_ns: u64,
    /// 99 in a hundred were as fast or faster.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// What was held against the rules of docs/semantics.md.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Nothing was found.
    pub passed: bool,
    /// Deliveries looked at, one by one.
    pub deliveries_checked: u64,
    /// Pairs of broadcast and binding that had to end in a delivery.
    pub deliveries_due: u64,
    /// What was found, the first hundred: which delivery, and what is wrong with it.
    pub faults: Vec<String>,
    /// The engine's accounting at the end (rule B5).
    pub accounts: Accounts,
}

/// accepted = taken + queued + released + withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// Messages that a queue took.
    pub accepted: u64,
    /// Handed out.
    pub taken: u64,
    /// Still waiting.
    pub queued: u64,
    /// Gone with their connection, or by a reset.
    pub released: u64,
    /// Not handed out because the user had changed.
    pub withheld: u64,
    /// Refused by a full queue; never accepted.
    pub refused: u64,
}
