//! What a replay did, in figures.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// The figures of one replay, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines of the trace.
    pub operations: u64,
    /// Broadcast events handed out; one for each receiver, whatever the number of its cids.
    pub deliveries: u64,
    /// From before the first line was read to after the last event was written.
    pub wall: Duration,
}

impl Summary {
    /// Deliveries in one second of the wall clock.
    pub fn deliveries_per_second(&self) -> f64 {
        self.deliveries as f64 / self.wall.as_secs_f64().max(1e-9)
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.deliveries += other.deliveries;
        self.wall += other.wall;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { operations, deliveries, wall } = self;
        let (wall, rate) = (wall.as_secs_f64(), self.deliveries_per_second());
        write!(
            f,
            "{operations} operations, {deliveries} deliveries, {wall:.3} s, {rate:.0} deliveries per second"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_and_read_as_one_line() {
        let mut total = Summary { operations: 3, deliveries: 1_000, wall: Duration::from_millis(250) };
        total += total;
        assert_eq!(total.to_string(), "6 operations, 2000 deliveries, 0.500 s, 4000 deliveries per second");
        assert!(Summary::default().deliveries_per_second().abs() < 1e-9);
    }
}
