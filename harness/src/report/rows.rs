//! The rows of `compare`, sorted out: by workload, by what kind of measure it is, by peer.

use super::chart::{Look, Weight};
use super::layout::distinct;
use super::number;
use super::scale::{Axis, Scale};
use crate::results::{Order, Row};

/// The engine's own name among the peers.
pub(super) const HOLOCAST: &str = "holocast";

/// The engine with one lane, and with two.
const LANES: [&str; 2] = ["lanes", "two-lanes"];

/// The name of what no queue per connection can beat.
pub(super) const FLOOR: &str = "floor";

/// What the rows of a workload measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Time per delivery.
    Delivery,
    /// One quantile of a latency; the name ends in `-p99` or `-max`.
    Quantile,
    /// Memory; the name begins with `memory-`.
    Memory,
    /// Any other value.
    Other,
}

/// All rows of one workload.
#[derive(Debug)]
pub(super) struct Workload<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) rows: Vec<&'a Row>,
}

/// The workloads in the order of their first rows.
pub(super) fn workloads(rows: &[Row]) -> Vec<Workload<'_>> {
    let names = distinct(rows.iter().map(|row| row.workload.as_str()));
    let of = |name: &str| rows.iter().filter(|row| row.workload == name).collect::<Vec<_>>();
    names
        .into_iter()
        .map(|name| {
            let rows = of(name);
            let kind = if rows.iter().any(|row| row.total_ns.is_some()) {
                Kind::Delivery
            } else if quantile(name).is_some() {
                Kind::Quantile
            } else if name.starts_with("memory-") {
                Kind::Memory
            } else {
                Kind::Other
            };
            Workload { name, kind, rows }
        })
        .collect()
}

impl<'a> Workload<'a> {
    /// The orders in which receivers take.
    pub(super) fn orders(&self) -> Vec<Option<Order>> {
        distinct(self.rows.iter().map(|row| row.order))
    }

    /// The numbers of subscribers, growing.
    pub(super) fn sizes(&self) -> Vec<u64> {
        let mut sizes = distinct(self.rows.iter().map(|row| row.subscribers));
        sizes.sort_unstable();
        sizes
    }

    /// The peers, holocast, its lanes and the floor first.
    pub(super) fn peers(&self) -> Vec<&'a str> {
        let mut peers = distinct(self.rows.iter().map(|row| row.peer.as_str()));
        let first = [HOLOCAST, LANES[0], LANES[1], FLOOR];
        peers.sort_by_key(|&peer| first.iter().position(|&name| name == peer).unwrap_or(first.len()));
        peers
    }

    /// The row of a peer at a size.
    pub(super) fn find(&self, peer: &str, subscribers: u64, order: Option<Order>) -> Option<&'a Row> {
        let mut rows = self.rows.iter().copied();
        rows.find(|row| row.peer == peer && row.subscribers == subscribers && row.order == order)
    }

    /// A peer's cost by number of subscribers.
    pub(super) fn points(&self, peer: &str, order: Option<Order>) -> Vec<(f64, f64)> {
        let rows = self.rows.iter().filter(|row| row.peer == peer && row.order == order);
        let mut rows: Vec<(u64, f64)> = rows.filter_map(|row| Some((row.subscribers, cost(row)?))).collect();
        rows.sort_by_key(|row| row.0);
        rows.into_iter().map(|(subscribers, cost)| (subscribers as f64, cost)).collect()
    }

    /// The unit of the values, `ns per delivery` for times.
    pub(super) fn unit(&self) -> &'a str {
        let unit = self.rows.iter().find_map(|row| row.unit.as_deref());
        unit.unwrap_or(if self.kind == Kind::Delivery { "ns per delivery" } else { "" })
    }

    /// The axis of the costs.
    pub(super) fn axis(&self) -> Axis {
        match self.unit().split(' ').next() {
            Some("ns") => Axis::times(self.unit()),
            _ => Axis::new(self.unit(), Scale::Log, number::short),
        }
    }

    /// A peer's cost over holocast's at the same size: of turns that ran side by side, or else of the medians.
    pub(super) fn to_holocast(&self, row: &Row) -> Option<f64> {
        row.ratio_to_holocast
            .or_else(|| Some(cost(row)? / cost(self.find(HOLOCAST, row.subscribers, row.order)?)?))
    }

    /// Whether this row is a peer's that did better than holocast.
    pub(super) fn beats(&self, row: &Row) -> bool {
        let better = |ratio| if lower_is_better(self.unit()) { ratio < 1.0 } else { ratio > 1.0 };
        rival(&row.peer) && self.to_holocast(row).is_some_and(better)
    }
}

/// Whether it is neither the engine, with lanes or without, nor the floor.
pub(super) fn rival(peer: &str) -> bool {
    peer != HOLOCAST && peer != FLOOR && !LANES.contains(&peer)
}

/// Whether it is the engine, with lanes or without.
pub(super) fn ours(peer: &str) -> bool {
    peer == HOLOCAST || LANES.contains(&peer)
}

/// The name of a contestant in words.
pub(super) fn label(peer: &str) -> &str {
    match peer {
        "lanes" => "holocast, lanes",
        "two-lanes" => "holocast, two lanes",
        other => other,
    }
}

/// What a row says: a time per delivery or another value.
pub(super) fn cost(row: &Row) -> Option<f64> {
    row.total_ns.or(row.value).filter(|cost| cost.is_finite())
}

/// A workload's cost as text.
pub(super) fn text(row: &Row, cost: f64) -> String {
    match (&row.unit, row.total_ns) {
        (Some(unit), None) => number::with_unit(cost, unit),
        _ => number::time(cost),
    }
}

/// Rates are better when high, all else is a cost.
pub(super) fn lower_is_better(unit: &str) -> bool {
    !unit.ends_with("/s") && !unit.ends_with("per second") && !unit.ends_with("a second")
}

/// The family and the percentile of a name such as `churn-p99.9`; a maximum is 100.
pub(super) fn quantile(workload: &str) -> Option<(&str, f64)> {
    let (family, which) = workload.rsplit_once('-')?;
    let percent = match which {
        "max" => 100.0,
        _ => which.strip_prefix('p')?.parse().ok()?,
    };
    (0.0..=100.0).contains(&percent).then_some((family, percent))
}

/// The words for an order.
pub(super) fn order(order: Option<Order>) -> &'static str {
    match order {
        None => "",
        Some(Order::Allocation) => "in order of allocation",
        Some(Order::Shuffled) => "in random order",
    }
}

/// Which peer has which colour, the same all over the page.
#[derive(Debug)]
pub(super) struct Peers<'a>(Vec<&'a str>);

impl<'a> Peers<'a> {
    /// The peers in the order of their first rows.
    pub(super) fn of(rows: &'a [Row]) -> Self {
        let peers =
            rows.iter().map(|row| row.peer.as_str()).filter(|&peer| peer != HOLOCAST && peer != FLOOR);
        Peers(distinct(peers))
    }

    /// The colour and mark of a peer. The first is holocast's.
    pub(super) fn slot(&self, peer: &str) -> usize {
        self.0.iter().position(|&name| name == peer).map_or(0, |place| place + 1)
    }

    /// The colour of a peer's bar; the floor has none.
    pub(super) fn bar(&self, peer: &str) -> Option<usize> {
        (peer != FLOOR).then(|| self.slot(peer))
    }

    /// How a peer's line looks.
    pub(super) fn look(&self, peer: &str) -> Look {
        let weight = match peer {
            HOLOCAST | "lanes" => Weight::Strong,
            FLOOR => Weight::Reference,
            _ => Weight::Plain,
        };
        Look { slot: self.slot(peer), dashed: false, weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_known_by_its_name() {
        assert_eq!(quantile("churn-p99.9"), Some(("churn", 99.9)));
        assert_eq!(quantile("calm-max"), Some(("calm", 100.0)));
        for name in ["fanout", "fanout-burst-8", "fanout-p", "x-pNaN", "x-p101", ""] {
            assert_eq!(quantile(name), None, "{name}");
        }
    }

    #[test]
    fn rates_are_better_when_high() {
        assert!(lower_is_better("ns per change") && lower_is_better("bytes") && lower_is_better(""));
        assert!(!lower_is_better("deliveries/s"));
    }
}
