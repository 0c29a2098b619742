//! What is measured, at which sizes, and how often.

use std::time::Duration;

use crate::failure::Failure;

/// Every workload, in the order in which one size does them.
pub(super) const WORKLOADS: [&str; 16] = [
    "fanout",
    "fanout-burst-8",
    "fanout-two-threads",
    "fanout-except",
    "hot",
    "lane",
    "publish-call",
    "publish-slice",
    "parked-current-thread",
    "parked-multi-thread",
    "subscribe",
    "unsubscribe",
    "publish-calm",
    "publish-churn",
    "subscribe-by-user",
    "memory",
];

/// Sizes for a workload: none, or up to a bound.
type Sizes = fn(&str, usize) -> bool;

/// What to measure.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) sizes: &'static [usize],
    /// Whether a workload is done at a size.
    pub(super) at: Sizes,
    /// Whether a workload is done in shuffled order too.
    pub(super) shuffled: Sizes,
    /// Turns, up to 100,000 subscribers and beyond.
    pub(super) turns: (u32, u32),
    /// Deliveries of one turn, about.
    pub(super) deliveries: usize,
    pub(super) churn: Duration,
    /// Connections of the memory measures.
    pub(super) memory: usize,
    pub(super) only: Vec<&'static str>,
}

impl Plan {
    /// Everything, in less than ten minutes.
    pub(super) fn whole() -> Self {
        Plan {
            sizes: &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
            at: |workload, size| match workload {
                "hot" => size == 1,
                "lane" => size >= 10,
                "publish-call" | "publish-slice" => matches!(size, 1_000 | 100_000 | 1_000_000),
                "publish-calm" | "publish-churn" => (100..=10_000).contains(&size),
                _ => true,
            },
            shuffled: |workload, _| matches!(workload, "fanout" | "fanout-burst-8" | "lane"),
            turns: (9, 3),
            deliveries: 40_000,
            churn: Duration::from_millis(150),
            memory: 100_000,
            only: WORKLOADS.to_vec(),
        }
    }

    /// The main rows, in less than a minute.
    pub(super) fn quick() -> Self {
        Plan {
            sizes: &[1, 100, 1_000, 10_000, 100_000],
            at: |workload, size| match workload {
                "fanout" | "lane" => size > 1,
                "hot" => size == 1,
                "publish-call" | "publish-slice" => matches!(size, 1_000 | 100_000),
                "subscribe" | "unsubscribe" => size == 1_000,
                "fanout-burst-8" | "fanout-two-threads" | "fanout-except" => size == 1_000,
                "parked-current-thread" | "parked-multi-thread" => size == 1_000,
                "publish-calm" | "publish-churn" => size == 1_000,
                _ => true,
            },
            shuffled: |workload, size| matches!(workload, "fanout" | "lane") && size == 100_000,
            turns: (7, 3),
            deliveries: 20_000,
            churn: Duration::from_millis(60),
            memory: 10_000,
            only: WORKLOADS.to_vec(),
        }
    }

    /// What the report shows.
    pub(super) fn for_report() -> Self {
        Plan {
            sizes: &[1, 10, 100, 1_000, 10_000, 100_000],
            shuffled: |workload, size| workload == "fanout" && size >= 1_000,
            turns: (5, 3),
            only: vec!["fanout", "memory"],
            at: |_, _| true,
            ..Plan::quick()
        }
    }

    /// Only workloads whose names contain one of these; all, if there are none.
    pub(super) fn only(mut self, names: &[String]) -> Result<Self, Failure> {
        if let Some(name) =
            names.iter().find(|name| !WORKLOADS.iter().any(|workload| workload.contains(*name)))
        {
            return Err(Failure::Input(format!(
                "no workload's name contains {name:?}; there are {}",
                WORKLOADS.join(", ")
            )));
        }
        if !names.is_empty() {
            self.only.retain(|workload| names.iter().any(|name| workload.contains(name)));
        }
        Ok(self)
    }

    pub(super) fn does(&self, workload: &str, size: usize) -> bool {
        self.only.contains(&workload) && (self.at)(workload, size)
    }
}
