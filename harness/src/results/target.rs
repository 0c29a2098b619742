//! Targets of the rows of `compare`, and which rows meet them.

use super::row::Row;

/// What a row's cost is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// So much, in the row's unit.
    AtMost(f64),
    /// So many times holocast's cost, with a queue for each connection.
    TimesHolocast(f64),
    /// So many times the floor's cost.
    TimesFloor(f64),
}

/// A bound for one contestant in one workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The workload's name.
    pub workload: &'static str,
    /// Who is to meet it.
    pub peer: &'static str,
    /// From so many to so many subscribers.
    pub subscribers: (u64, u64),
    /// What is to be met.
    pub bound: Bound,
}

/// One row that a target is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict<'a> {
    /// The row.
    pub row: &'a Row,
    /// Its cost, in the terms of the bound.
    pub measured: f64,
    /// Whether that is within the bound.
    pub met: bool,
}

/// Any number of subscribers.
const ALL: (u64, u64) = (0, u64::MAX);

const fn target(workload: &'static str, peer: &'static str, subscribers: (u64, u64), bound: Bound) -> Target {
    Target { workload, peer, subscribers, bound }
}

/// The targets of lanes, by workload.
pub const TARGETS: [Target; 9] = [
    target("fanout", "lanes", (1_000, 1_000_000), Bound::TimesHolocast(0.5)),
    target("fanout", "lanes", (1_000, 1_000_000), Bound::TimesFloor(1.0)),
    target("lane-publish", "lanes", ALL, Bound::AtMost(200.0)),
    target("lane-publish", "two-lanes", ALL, Bound::AtMost(200.0)),
    target("publish-call-median", "lanes", ALL, Bound::AtMost(200.0)),
    target("lane-take", "lanes", (1_000, u64::MAX), Bound::AtMost(2.0)),
    target("lane-take", "two-lanes", (1_000, u64::MAX), Bound::AtMost(2.0)),
    target("parked-current-thread", "two-lanes", (100_000, 100_000), Bound::TimesHolocast(0.1)),
    target("parked-multi-thread", "two-lanes", (100_000, 100_000), Bound::TimesHolocast(0.1)),
];

impl Target {
    /// The rows that it is about, each with its verdict.
    pub fn judge<'a>(&'a self, rows: impl IntoIterator<Item = &'a Row>) -> impl Iterator<Item = Verdict<'a>> {
        let (least, most) = self.subscribers;
        rows.into_iter()
            .filter(move |row| {
                row.workload == self.workload
                    && row.peer == self.peer
                    && (least..=most).contains(&row.subscribers)
            })
            .filter_map(|row| {
                let (measured, bound) = match self.bound {
                    Bound::AtMost(cost) => (row.total_ns.or(row.value)?, cost),
                    Bound::TimesHolocast(times) => (row.ratio_to_holocast?, times),
                    Bound::TimesFloor(times) => (row.ratio_to_floor?, times),
                };
                Some(Verdict { row, measured, met: measured <= bound })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(workload: &str, peer: &str, subscribers: u64, value: f64) -> Row {
        let ratio_to_holocast = Some(value / 4.0);
        Row { ratio_to_holocast, ..Row::of_value(workload, peer, subscribers, value, "ns") }
    }

    fn judged(target: &Target, rows: &[Row]) -> Vec<(u64, f64, bool)> {
        target.judge(rows).map(|verdict| (verdict.row.subscribers, verdict.measured, verdict.met)).collect()
    }

    #[test]
    fn a_target_is_about_its_workload_its_contestant_and_its_sizes() {
        let most = target("a", "x", (10, 100), Bound::AtMost(2.0));
        let rows = [
            row("a", "x", 1, 1.0),
            row("a", "x", 10, 2.0),
            row("a", "x", 100, 2.1),
            row("a", "x", 1_000, 1.0),
            row("b", "x", 10, 1.0),
            row("a", "y", 10, 1.0),
        ];
        assert_eq!(judged(&most, &rows), [(10, 2.0, true), (100, 2.1, false)]);
        let ratio = Target { bound: Bound::TimesHolocast(0.51), ..most };
        assert_eq!(judged(&ratio, &rows), [(10, 0.5, true), (100, 0.525, false)]);
    }

    #[test]
    fn without_a_ratio_or_with_no_number_nothing_is_met() {
        let floor = target("a", "x", ALL, Bound::TimesFloor(1.0));
        assert_eq!(judged(&floor, &[row("a", "x", 1, 0.1)]), []);
        let most = Target { bound: Bound::AtMost(1.0), ..floor };
        assert!(most.judge(&[row("a", "x", 1, f64::NAN)]).all(|verdict| !verdict.met));
    }
}
