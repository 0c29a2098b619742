//! Axes: from values to places between 0 and 1, with their ticks.
//!
//! No value breaks an axis: what it can't show (no number; zero or less on a log axis) has no place.

use super::number;

/// How values lie along an axis.
#[derive(Debug, Clone)]
pub(super) enum Scale {
    /// From zero, in equal steps.
    Linear,
    /// By their logarithms.
    Log,
    /// In equal steps between the first and the last of these, which have names.
    Named(Vec<(f64, String)>),
}

/// An axis: what it shows and how.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) scale: Scale,
    /// How a tick is written.
    pub(super) text: fn(f64) -> String,
}

/// An axis fitted to what it has to show.
#[derive(Debug)]
pub(super) struct Fitted {
    log: bool,
    low: f64,
    high: f64,
    /// Places and texts.
    pub(super) ticks: Vec<(f64, String)>,
}

/// More ticks than this are thinned out.
const TICKS: usize = 8;

impl Axis {
    /// An axis of numbers.
    pub(super) fn new(name: impl Into<String>, scale: Scale, text: fn(f64) -> String) -> Self {
        Axis { name: name.into(), scale, text }
    }

    /// An axis of times, by their logarithms.
    pub(super) fn times(name: impl Into<String>) -> Self {
        Axis::new(name, Scale::Log, number::time)
    }

    /// Whether the axis can show a value at all.
    pub(super) fn shows(&self, value: f64) -> bool {
        value.is_finite() && (value > 0.0 || !matches!(self.scale, Scale::Log))
    }

    /// Chooses the ends and the ticks for these values; `None` if none can be shown.
    pub(super) fn fit(&self, values: impl Iterator<Item = f64>) -> Option<Fitted> {
        let (low, high) =
            values.filter(|&value| self.shows(value)).fold(None, |ends: Option<(f64, f64)>, value| {
                Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
            })?;
        Some(match &self.scale {
            Scale::Linear => self.linear(low.min(0.0), high.max(0.0)),
            Scale::Log => self.log(low, high),
            Scale::Named(names) => named(names, low, high),
        })
    }

    fn linear(&self, low: f64, high: f64) -> Fitted {
        // Divided before the subtraction, which the largest numbers would not survive.
        let rough = high / 5.0 - low / 5.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|times| times * decade);
        // Of nothing but zeros there is no step to choose.
        let step =
            steps.into_iter().find(|&step| step >= rough && step > 0.0 && step.is_finite()).unwrap_or(1.0);
        let first = (low / step).floor();
        let last = (high / step).ceil().max(first + 1.0);
        let ends = ((first * step).max(f64::MIN), (last * step).min(f64::MAX));
        let mut fitted = Fitted { log: false, low: ends.0, high: ends.1, ticks: Vec::new() };
        let values = (0..=TICKS).map(|place| (first + place as f64) * step).filter(|&at| at <= ends.1);
        fitted.ticks = values.map(|at| (fitted.place(at), (self.text)(at))).collect();
        fitted
    }

    fn log(&self, low: f64, high: f64) -> Fitted {
        // Thirds of a decade, as in 1, 2, 5, 10; `third(0)` is 1.
        let third =
            |index: i32| [1.0, 2.0, 5.0][index.rem_euclid(3) as usize] * 10_f64.powi(index.div_euclid(3));
        let near = |value: f64| (value.log10() * 3.0).floor() as i32;
        let below = (near(low) - 1..=near(low) + 1)
            .rev()
            .find(|&index| third(index) <= low * (1.0 + 1e-9) && third(index) < 1e308);
        let first = below.unwrap_or(near(low) - 1);
        let above = (near(high)..=near(high) + 2).find(|&index| third(index) >= high * (1.0 - 1e-9));
        let last = above.unwrap_or(near(high) + 1).max(first + 1);
        let ends = (third(first).max(f64::MIN_POSITIVE), third(last).min(f64::MAX));
        let mut fitted = Fitted { log: true, low: ends.0, high: ends.1, ticks: Vec::new() };
        // As fine as fits: every third of a decade, every decade, every other …
        let each =
            if last - first < TICKS as i32 { 1 } else { 3 * ((last - first) / (3 * TICKS as i32) + 1) };
        let values = (first..=last).filter(|index| index.rem_euclid(each) == 0).map(third);
        let ticks = values.map(|at| (fitted.place(at), (self.text)(at)));
        fitted.ticks = ticks.filter(|(place, _)| place.is_finite()).collect();
        fitted
    }
}

/// From the first name that is needed to the last.
fn named(names: &[(f64, String)], low: f64, high: f64) -> Fitted {
    let first = names.iter().map(|name| name.0).rfind(|&at| at <= low).unwrap_or(low);
    let last = names.iter().map(|name| name.0).find(|&at| at >= high).unwrap_or(high);
    let high = if last > first { last } else { first + 1.0 };
    let mut fitted = Fitted { log: false, low: first, high, ticks: Vec::new() };
    let within = names.iter().filter(|(at, _)| (first..=last).contains(at));
    fitted.ticks = within.map(|(at, name)| (fitted.place(*at), name.clone())).collect();
    fitted
}

impl Fitted {
    /// Where a value lies: 0 is the low end, 1 the high end.
    pub(super) fn place(&self, value: f64) -> f64 {
        if self.log {
            (value.log10() - self.low.log10()) / (self.high.log10() - self.low.log10())
        } else {
            // Divided before the subtraction, which the largest numbers would not survive.
            let size = self.low.abs().max(self.high.abs()).max(f64::MIN_POSITIVE);
            (value / size - self.low / size) / (self.high / size - self.low / size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(scale: Scale, values: &[f64]) -> Vec<String> {
        let fitted = Axis::new("", scale, number::plain).fit(values.iter().copied()).unwrap();
        fitted.ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_log_axis_begins_and_ends_at_one_two_or_five() {
        assert_eq!(ticks(Scale::Log, &[34.0, 180.0]), ["20", "50", "100", "200"]);
        assert_eq!(
            ticks(Scale::Log, &[1.0, 1e6]),
            ["1", "10", "100", "1,000", "10,000", "100,000", "1,000,000"]
        );
        assert_eq!(ticks(Scale::Log, &[5.0]), ["5", "10"]);
        assert_eq!(ticks(Scale::Linear, &[3.0, 19.0]), ["0", "5", "10", "15", "20"]);
    }

    #[test]
    fn no_number_breaks_an_axis() {
        let odd = [f64::NAN, f64::INFINITY, 0.0, -1.0, f64::MIN_POSITIVE, 1.0, f64::MAX];
        for scale in [Scale::Linear, Scale::Log, Scale::Named(vec![(0.0, "a".to_owned())])] {
            let axis = Axis::new("", scale, number::plain);
            for some in odd.iter().map(std::slice::from_ref).chain([&odd[..], &odd[2..3], &odd[4..]]) {
                let Some(fitted) = axis.fit(some.iter().copied()) else {
                    assert!(some.iter().all(|&value| !axis.shows(value)));
                    continue;
                };
                assert!(fitted.ticks.len() <= 4 * TICKS, "{some:?}");
                for value in some.iter().copied().filter(|&value| axis.shows(value)) {
                    let place = fitted.place(value);
                    assert!((-1e-6..=1.0 + 1e-6).contains(&place), "{axis:?} {some:?} {value}: {place}");
                }
            }
        }
    }
}
