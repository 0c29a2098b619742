//! The axis of percentiles: each step to the right leaves a tenth as many above, so that the tail gets the room it needs.

use super::number;
use super::scale::{Axis, Scale};
use crate::results::Latency;

/// Where a percentile lies: 0 for none, 1 for 90 %, 2 for 99 %; none for 100 %, which lies at infinity.
fn nines(percent: f64) -> Option<f64> {
    let above = 1.0 - percent / 100.0;
    (above > 0.0 && above <= 1.0).then(|| -above.log10())
}

/// An axis for some percentiles and, one step beyond the last, the maximum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nines {
    top: f64,
}

impl Nines {
    /// The axis for these percentiles.
    pub(super) fn of(percents: impl Iterator<Item = f64>) -> Self {
        let last = percents.filter_map(nines).fold(0.0, f64::max);
        // At least half a step between the last percentile and the maximum.
        Nines { top: (last + 0.5).ceil().max(2.0) }
    }

    /// The axis for what these distributions tell.
    pub(super) fn of_latencies<'a>(all: impl Iterator<Item = &'a Latency>) -> Self {
        Nines::of(all.flat_map(|latency| &latency.quantiles).map(|quantile| quantile.percent))
    }

    /// Where a percentile lies; 100 is the maximum.
    pub(super) fn place(self, percent: f64) -> Option<f64> {
        if percent == 100.0 { Some(self.top) } else { nines(percent) }
    }

    /// A distribution as points, the maximum last.
    pub(super) fn points(self, latency: &Latency) -> Vec<(f64, f64)> {
        if latency.count == 0 {
            return Vec::new();
        }
        let below = latency.quantiles.iter().filter_map(|each| Some((nines(each.percent)?, each.ns as f64)));
        below.chain([(self.top, latency.max_ns as f64)]).collect()
    }

    /// As an axis of a chart.
    pub(super) fn axis(self) -> Axis {
        // Longer names than these would run into each other.
        let known = [(0.0, ""), (50.0, "50"), (90.0, "90"), (99.0, "99"), (99.9, "99.9")];
        let known = known.into_iter().chain([(99.99, "99.99"), (99.999, "99.999")]);
        let names = known.filter_map(|(percent, name)| Some((nines(percent)?, name.to_owned())));
        let below = names.filter(|(at, _)| *at < self.top - 0.1);
        let names = below.chain([(self.top, "max".to_owned())]).collect();
        Axis::new("per cent as fast or faster", Scale::Named(names), percent)
    }
}

/// The percentile of a place.
fn percent(place: f64) -> String {
    let percent = 100.0 * (1.0 - 10_f64.powf(-place));
    let decimals = if place < 2.0 { 0 } else { place as usize - 1 };
    if percent.is_finite() { format!("{percent:.decimals$} %") } else { number::NONE.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_stands_beyond_the_last_percentile() {
        let nines = Nines::of([50.0, 90.0, 99.9, 100.0].into_iter());
        assert_eq!(nines.place(100.0), Some(4.0));
        assert_eq!(nines.place(101.0), None);
        let names: Vec<String> = match nines.axis().scale {
            Scale::Named(names) => names.into_iter().map(|name| name.1).collect(),
            _ => Vec::new(),
        };
        assert_eq!(names, ["", "50", "90", "99", "99.9", "max"]);
        assert_eq!(percent(4.0), "99.990 %");
    }
}
