//! What reading the clock costs, to be taken off where it is read around something short.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds between two readings with nothing between them: the median of many.
pub(super) fn clock_ns() -> f64 {
    static COST: OnceLock<f64> = OnceLock::new();
    *COST.get_or_init(|| {
        let mut times: Vec<u128> = (0..10_001)
            .map(|_| {
                let start = Instant::now();
                start.elapsed().as_nanos()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2] as f64
    })
}
