//! One line of `compare`: a workload, a peer, a size, and what it cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order in which receivers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As the connections were made.
    Allocation,
    /// Subscribed and taken in random order.
    Shuffled,
}

/// Either times per delivery (`publish_ns`, `take_ns`, `total_ns`) or a `value` with its `unit`.
///
/// All are medians over the repetitions; `min` and `max` belong to `total_ns` or to `value`. Ratios are medians of the ratios
/// of repetitions that ran side by side, of `total_ns` or of `value`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// What was done; `docs/benchmarking.md` says what each is.
    pub workload: String,
    /// Who did it: `holocast`, `lanes`, `two-lanes`, `floor`, `tokio-broadcast`, …
    pub peer: String,
    /// Members of the channel, or connections where there is no channel.
    pub subscribers: u64,
    /// Where it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The publisher's share, in nanoseconds per delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_ns: Option<f64>,
    /// The receivers' share, in nanoseconds per delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_ns: Option<f64>,
    /// From the first call to the last receipt, in nanoseconds per delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ns: Option<f64>,
    /// Of measures other than times per delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Of `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The least of all repetitions.
    pub min: f64,
    /// The most of all repetitions.
    pub max: f64,
    /// How often it was measured.
    pub repetitions: u32,
    /// This row's cost over the floor's; above 1 is dearer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_floor: Option<f64>,
    /// This row's cost over holocast's; above 1 is dearer than holocast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_holocast: Option<f64>,
}

#[cfg(test)]
impl Row {
    /// Made up: a value that varies a little, and is held against nobody's.
    pub(crate) fn of_value(workload: &str, peer: &str, subscribers: u64, value: f64, unit: &str) -> Self {
        Row {
            workload: workload.to_owned(),
            peer: peer.to_owned(),
            subscribers,
            order: None,
            publish_ns: None,
            take_ns: None,
            total_ns: None,
            value: Some(value),
            unit: Some(unit.to_owned()),
            min: value * 0.95,
            max: value * 1.2,
            repetitions: 5,
            ratio_to_floor: None,
            ratio_to_holocast: None,
        }
    }
}
