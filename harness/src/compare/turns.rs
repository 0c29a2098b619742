//! Turns: everybody does the same work once, in the same order, again and again; and what comes out of it.

use crate::results::{Order, Row};

use super::peer::Peer;
use super::peers::{Floor, Holocast};

/// What one turn of one contestant took.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sample {
    /// Nanoseconds per delivery.
    Delivery { publish_ns: f64, take_ns: f64, total_ns: f64 },
    /// Nanoseconds per delivery, from the first call to the last receipt.
    Total(f64),
    /// In the unit of the measure.
    Value(f64),
}

impl Sample {
    /// What ratios are made of.
    fn cost(self) -> f64 {
        match self {
            Sample::Delivery { total_ns: cost, .. } | Sample::Total(cost) | Sample::Value(cost) => cost,
        }
    }
}

/// What is measured.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) workload: String,
    pub(super) subscribers: usize,
    pub(super) order: Option<Order>,
    /// Of values.
    pub(super) unit: &'static str,
}

/// Lets everybody work once unmeasured, then in turns; gives the samples by contestant.
pub(super) fn in_turns<C: ?Sized>(
    contestants: &mut [Box<C>],
    turns: u32,
    takes_part: impl Fn(&C) -> bool,
    name: impl Fn(&C) -> &'static str,
    mut work: impl FnMut(&mut C) -> Vec<Sample>,
) -> Vec<(&'static str, Vec<Vec<Sample>>)> {
    let mut playing: Vec<&mut Box<C>> =
        contestants.iter_mut().filter(|contestant| takes_part(contestant)).collect();
    let mut samples: Vec<(&'static str, Vec<Vec<Sample>>)> =
        playing.iter().map(|contestant| (name(contestant), Vec::new())).collect();
    for contestant in &mut playing {
        work(contestant);
    }
    for _ in 0..turns {
        for (contestant, (_, samples)) in playing.iter_mut().zip(&mut samples) {
            samples.push(work(contestant));
        }
    }
    samples
}

/// The rows of one measure, one for each contestant; `index` chooses among what one turn measured.
pub(super) fn rows(measure: &Measure, all: &[(&'static str, Vec<Vec<Sample>>)], index: usize) -> Vec<Row> {
    let of = |name: &str| all.iter().find(|(other, _)| *other == name).map(|(_, turns)| turns);
    let ratio_to = |turns: &[Vec<Sample>], name: &str| {
        let ratios =
            turns.iter().zip(of(name)?).map(|(ours, theirs)| ours[index].cost() / theirs[index].cost());
        Some(median(ratios)).filter(|ratio| ratio.is_finite())
    };
    all.iter()
        .map(|(name, turns)| {
            let samples = || turns.iter().map(|turn| turn[index]);
            let costs = || samples().map(Sample::cost);
            let mut row = Row {
                workload: measure.workload.clone(),
                peer: (*name).to_owned(),
                subscribers: measure.subscribers as u64,
                order: measure.order,
                publish_ns: None,
                take_ns: None,
                total_ns: None,
                value: None,
                unit: None,
                min: costs().fold(f64::INFINITY, f64::min),
                max: costs().fold(0.0, f64::max),
                repetitions: turns.len() as u32,
                ratio_to_floor: ratio_to(turns, Floor::NAME),
                ratio_to_holocast: ratio_to(turns, Holocast::NAME),
            };
            match turns[0][index] {
                Sample::Delivery { .. } => {
                    let part = |part: fn(Sample) -> f64| Some(median(samples().map(part)));
                    row.publish_ns = part(|sample| match sample {
                        Sample::Delivery { publish_ns, .. } => publish_ns,
                        other => other.cost(),
                    });
                    row.take_ns = part(|sample| match sample {
                        Sample::Delivery { take_ns, .. } => take_ns,
                        other => other.cost(),
                    });
                    row.total_ns = Some(median(costs()));
                }
                Sample::Total(_) => row.total_ns = Some(median(costs())),
                Sample::Value(_) => {
                    row.value = Some(median(costs()));
                    row.unit = Some(measure.unit.to_owned());
                }
            }
            row
        })
        .collect()
}

/// The middle of some numbers; of an even count, the mean of the two in the middle.
pub(super) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => numbers[odd / 2],
        even => f64::midpoint(numbers[even / 2 - 1], numbers[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure() -> Measure {
        Measure { workload: "fanout".to_owned(), subscribers: 10, order: Some(Order::Allocation), unit: "" }
    }

    fn turn(publish_ns: f64, take_ns: f64) -> Vec<Sample> {
        vec![Sample::Delivery { publish_ns, take_ns, total_ns: publish_ns + take_ns }]
    }

    #[test]
    fn everybody_works_once_unmeasured_and_then_in_turns() {
        let mut log = Vec::new();
        let mut contestants: Vec<Box<str>> = ["a", "b", "c"].map(Box::from).to_vec();
        let samples = in_turns(
            &mut contestants,
            2,
            |name| name != "b",
            |name| if name == "a" { "a" } else { "c" },
            |name| {
                log.push(name.to_owned());
                vec![Sample::Value(log.len() as f64)]
            },
        );
        assert_eq!(log.concat(), "acacac");
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[1].1.iter().map(|turn| turn[0].cost()).collect::<Vec<_>>(), [4.0, 6.0]);
    }

    #[test]
    fn ratios_are_medians_of_turns_side_by_side() {
        let all = [
            (Floor::NAME, vec![turn(1.0, 0.0), turn(2.0, 0.0), turn(100.0, 0.0)]),
            (Holocast::NAME, vec![turn(1.0, 1.0), turn(3.0, 1.0), turn(100.0, 200.0)]),
        ];
        let rows = rows(&measure(), &all, 0);
        assert_eq!((rows[0].ratio_to_floor, rows[1].ratio_to_holocast), (Some(1.0), Some(1.0)));
        // 2, 2 and 3 times the floor, although the medians are 4 and 2.
        assert_eq!(rows[1].ratio_to_floor, Some(2.0));
        assert_eq!(
            (rows[1].total_ns, rows[1].publish_ns, rows[1].take_ns),
            (Some(4.0), Some(3.0), Some(1.0))
        );
        assert_eq!((rows[1].min, rows[1].max, rows[1].repetitions), (2.0, 300.0, 3));
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
    }
}
