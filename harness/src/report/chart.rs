//! Line charts as inline SVG, coloured by the page's style sheet so that they follow the reader's scheme.
//!
//! Written here rather than with a plotting library: those write fixed colours and font sizes, and a page that is read on a
//! phone, and in the dark, needs classes; so do the tooltips and the dashes.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::scale::{Axis, Fitted};

/// Size of a chart in its own units; the page scales it.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 370.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 58.0;

/// Colours of the style sheet.
const COLOURS: usize = 8;

/// At most so many marks on a line of many points.
const MARKS: usize = 10;

/// How a line is told from the others: by its colour and its marks, its dashes, its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Which of the colours and marks.
    pub(super) slot: usize,
    pub(super) dashed: bool,
    pub(super) weight: Weight,
}

/// How much a line stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// One of several.
    Plain,
    /// The one that the chart is about, with its name beside it.
    Strong,
    /// What the others are held against: without colour and marks, with its name beside it.
    Reference,
}

impl Look {
    /// One of several lines.
    pub(super) fn plain(slot: usize) -> Self {
        Look { slot, dashed: false, weight: Weight::Plain }
    }

    /// The same, dashed.
    pub(super) fn dashed(self) -> Self {
        Look { dashed: true, ..self }
    }

    fn classes(self) -> String {
        let dash = if self.dashed { " dash" } else { "" };
        match self.weight {
            Weight::Plain => format!("s{}{dash}", self.slot % COLOURS),
            Weight::Strong => format!("s{} strong{dash}", self.slot % COLOURS),
            Weight::Reference => format!("ref{dash}"),
        }
    }

    fn mark(self) -> &'static str {
        const SHAPES: [&str; COLOURS] = [
            "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
            "M-3.6-3.6h7.2v7.2h-7.2z",
            "M0-5l4.6 8h-9.2z",
            "M0-5.2L5.2 0L0 5.2L-5.2 0z",
            "M0 5l4.6-8h-9.2z",
            "M-1.5-4.8h3v3.3h3.3v3h-3.3v3.3h-3v-3.3h-3.3v-3h3.3z",
            "M0-5L4.8-1.5L3 4.2H-3L-4.8-1.5z",
            "M-5-2.6h10v5.2h-10z",
        ];
        // Each round of the colours has its marks moved by one, so that no two of 64 looks are the same.
        SHAPES[(self.slot + self.slot / COLOURS) % COLOURS]
    }
}

/// A line and what is known of its points.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) look: Look,
    /// In the order in which they are joined.
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart. Lines are drawn in the order given, the last on top.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    /// Points to be reached, with their names.
    pub(super) targets: Vec<(f64, f64, String)>,
}

impl Chart {
    /// A chart with its caption; nothing if there is no point to show.
    pub(super) fn figure(&self, caption: &Markup) -> Option<Markup> {
        let svg = self.svg()?;
        Some(html! {
            figure {
                h4 { (self.title) }
                (svg)
                @if self.lines.len() > 1 { (self.legend()) }
                figcaption { (caption) }
            }
        })
    }

    fn shown<'a>(&'a self, line: &'a Line) -> impl Iterator<Item = (f64, f64)> + 'a {
        line.points.iter().copied().filter(|&(x, y)| self.x.shows(x) && self.y.shows(y))
    }

    fn svg(&self) -> Option<Markup> {
        let points = || self.lines.iter().flat_map(|line| self.shown(line));
        points().next()?;
        let targets = || self.targets.iter();
        let x = self.x.fit(points().map(|point| point.0).chain(targets().map(|target| target.0)))?;
        let y = self.y.fit(points().map(|point| point.1).chain(targets().map(|target| target.1)))?;
        let label = format!("{}: {} by {}", self.title, self.y.name, self.x.name);
        Some(html! {
            svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
                (self.grid(&x, &y))
                @for line in &self.lines { (self.line(line, &x, &y)) }
                @for line in &self.lines { (self.beside(line, &x, &y)) }
                @for (at_x, at_y, name) in &self.targets {
                    g transform=(place(&x, &y, (*at_x, *at_y))) {
                        path.target d="M-6-6L6 6M-6 6L6-6" { title { (name) } }
                        text.halo x="-10" y="5" text-anchor="end" { "target" }
                    }
                }
            }
        })
    }

    fn grid(&self, x: &Fitted, y: &Fitted) -> Markup {
        let bottom = HEIGHT - BOTTOM;
        html! {
            @for (at, text) in &y.ticks {
                path.grid d=(format!("M{LEFT} {:.1}H{}", down(*at), WIDTH - RIGHT)) {}
                text x=(LEFT - 8.0) y=(format!("{:.1}", down(*at) + 4.5)) text-anchor="end" { (text) }
            }
            @for (at, text) in &x.ticks {
                path.grid d=(format!("M{:.1} {TOP}V{bottom}", across(*at))) {}
                text x=(format!("{:.1}", across(*at))) y=(bottom + 20.0) text-anchor="middle" { (text) }
            }
            path.axis d=(format!("M{LEFT} {bottom}H{}", WIDTH - RIGHT)) {}
            text.name x="2" y="16" { (self.y.name) }
            text.name x=(WIDTH - RIGHT) y=(HEIGHT - 10.0) text-anchor="end" { (self.x.name) " →" }
        }
    }

    fn line(&self, line: &Line, x: &Fitted, y: &Fitted) -> Markup {
        let points: Vec<(f64, f64)> = self.shown(line).collect();
        let mut path = String::new();
        for (index, point) in points.iter().enumerate() {
            let (step, to) = (if index == 0 { 'M' } else { 'L' }, (x.place(point.0), y.place(point.1)));
            // Writing to a string can't fail.
            let _ = write!(path, "{step}{:.1} {:.1}", across(to.0), down(to.1));
        }
        let every = points.len().div_ceil(MARKS).max(1);
        let marks = points.iter().enumerate().filter(|(index, _)| {
            // Lines that lie over each other have their marks at different points.
            line.look.weight != Weight::Reference && (index + line.look.slot).is_multiple_of(every)
        });
        html! {
            g class=(line.look.classes()) {
                @if points.len() > 1 { path.line d=(path) {} }
                @for (_, point) in marks {
                    path.mark d=(line.look.mark()) transform=(place(x, y, *point)) {
                        title { (line.name) ", " (self.x_text(point.0, x)) ": " ((self.y.text)(point.1)) }
                    }
                }
            }
        }
    }

    /// What a point's x is called: by the tick that it stands on, or as a number.
    fn x_text(&self, value: f64, x: &Fitted) -> String {
        let place = x.place(value);
        let tick = x.ticks.iter().find(|(at, _)| (at - place).abs() < 1e-6);
        tick.map_or_else(|| (self.x.text)(value), |(_, text)| text.clone())
    }

    /// The name beside the end of a line that stands out.
    fn beside(&self, line: &Line, x: &Fitted, y: &Fitted) -> Markup {
        let below = match line.look.weight {
            Weight::Plain => return PreEscaped(String::new()),
            Weight::Strong => -11,
            Weight::Reference => 18,
        };
        let Some(last) = self.shown(line).last() else { return PreEscaped(String::new()) };
        html! {
            g class=(line.look.classes()) transform=(place(x, y, last)) {
                text.halo.beside x="2" y=(below) text-anchor="end" { (line.name) }
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for line in self.lines.iter().rev().filter(|line| self.shown(line).next().is_some()) {
                    li {
                        svg.swatch viewBox="0 0 34 14" width="34" height="14" aria-hidden="true" {
                            g class=(line.look.classes()) {
                                path.line d="M1 7H33" {}
                                @if line.look.weight != Weight::Reference {
                                    path.mark d=(line.look.mark()) transform="translate(17 7)" {}
                                }
                            }
                        }
                        (line.name)
                    }
                }
            }
        }
    }
}

fn across(place: f64) -> f64 {
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn down(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
}

fn place(x: &Fitted, y: &Fitted, point: (f64, f64)) -> String {
    format!("translate({:.1} {:.1})", across(x.place(point.0)), down(y.place(point.1)))
}

#[cfg(test)]
mod tests {
    use super::super::scale::Scale;
    use super::*;
    use crate::report::number;

    fn chart(points: &[(f64, f64)]) -> Chart {
        let line = Line { name: "a".to_owned(), look: Look::plain(0), points: points.to_vec() };
        Chart {
            title: "t".to_owned(),
            x: Axis::new("x", Scale::Log, number::short),
            y: Axis::times("y"),
            lines: vec![line],
            targets: Vec::new(),
        }
    }

    #[test]
    fn points_that_no_log_axis_can_show_are_left_out() {
        assert!(chart(&[(0.0, 1.0), (1.0, 0.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)]).svg().is_none());
        let svg = chart(&[(0.0, 1.0), (1.0, 5.0), (10.0, f64::MAX)]).svg().unwrap().into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("class=\"mark\"").count(), 2);
    }

    #[test]
    fn no_two_of_many_lines_look_the_same() {
        let looks: std::collections::BTreeSet<_> =
            (0..64).map(Look::plain).map(|look| (look.classes(), look.mark())).collect();
        assert_eq!(looks.len(), 64);
    }
}
