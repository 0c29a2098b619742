//! Two documents held against each other: every row and every run that is in both.

use maud::{Markup, html};

use super::chart::{Chart, Line, Look, Weight};
use super::head;
use super::layout::{Section, figures, folded, heads, some, wide};
use super::nines::Nines;
use super::number;
use super::rows::{self, FLOOR, HOLOCAST, Workload};
use super::runs;
use super::scale::{Axis, Scale};
use crate::results::{Results, Row, Run};

/// One figure before and after.
#[derive(Debug)]
struct Change {
    what: String,
    before: f64,
    after: f64,
    text: [String; 2],
    lower_is_better: bool,
    /// Whether the spreads of the two, least to most, lie apart; unknown for what was measured once.
    beyond: Option<bool>,
}

impl Change {
    fn ratio(&self) -> f64 {
        self.after / self.before
    }

    /// How far it is from no change, either way.
    fn size(&self) -> f64 {
        self.ratio().ln().abs()
    }

    fn better(&self) -> bool {
        (self.ratio() < 1.0) == self.lower_is_better
    }
}

/// The section of the page.
pub(super) fn section(after: &Results, before: &Results) -> Section {
    let rows = row_changes(&after.rows, &before.rows);
    let (ours, others): (Vec<Change>, Vec<Change>) = {
        let (ours, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(peer, _)| rows::ours(peer));
        let changes = |each: Vec<(&str, Change)>| each.into_iter().map(|(_, change)| change).collect();
        (changes(ours), changes(others))
    };
    let runs = run_changes(&after.runs, &before.runs);
    let body = html! {
        @if !head::alike(&after.machine, &before.machine) {
            p.audit.failed {
                strong { "The machines or the builds differ" } " – changes may be theirs and not the engine's: " a href="#machine" { "see where" } "."
            }
        }
        @if ours.is_empty() && others.is_empty() && runs.is_empty() {
            p { "The two documents have nothing in common that could be compared." }
        } @else {
            p {
                "Before is the first document, after the second; a ratio is after over before. Emphasised are changes whose spreads, "
                "from the least to the most of all repetitions, lie apart."
            }
        }
        (figures(charts(after, before)))
        @if !ours.is_empty() {
            h3 { "Rows of holocast" }
            (tally(&ours))
            (wide("Changes of holocast", &table(&ours)))
        }
        @if !others.is_empty() {
            h3 { "Rows of the peers and the floor" }
            p {
                "Their code is the same, so what changes here is the machine or the noise: half of them changed by no more than "
                (number::ratio(middle(&others))) "."
            }
            (folded(&some(others.len(), "row", "rows"), &wide("Changes of the peers", &table(&others))))
        }
        @if !runs.is_empty() {
            h3 { "Runs" }
            p { "Each was measured once, so there is no spread to tell a change from noise." }
            (wide("Changes of the runs", &table(&runs)))
        }
    };
    Section { id: "comparison", title: "Before and after", body }
}

/// The change, either way, that half of these stay within.
fn middle(changes: &[Change]) -> f64 {
    let mut sizes: Vec<f64> = changes.iter().map(Change::size).filter(|size| size.is_finite()).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.get(sizes.len() / 2).map_or(f64::NAN, |size| size.exp())
}

fn row_changes<'a>(after: &'a [Row], before: &[Row]) -> Vec<(&'a str, Change)> {
    let same = |a: &Row, b: &Row| {
        (&a.workload, &a.peer, a.subscribers, a.order, &a.unit)
            == (&b.workload, &b.peer, b.subscribers, b.order, &b.unit)
    };
    let mut changes: Vec<(&str, Change)> = after
        .iter()
        .filter_map(|row| {
            let old = before.iter().find(|old| same(row, old))?;
            let (is, was) = (rows::cost(row)?, rows::cost(old)?);
            let order = match rows::order(row.order) {
                "" => String::new(),
                words => format!(" {words}"),
            };
            let at = if row.subscribers > 0 {
                format!(", {}", number::count(row.subscribers))
            } else {
                String::new()
            };
            let peer =
                if row.peer == HOLOCAST { String::new() } else { format!(", {}", rows::label(&row.peer)) };
            let change = Change {
                what: format!("{}{order}{at}{peer}", row.workload),
                before: was,
                after: is,
                text: [rows::text(old, was), rows::text(row, is)],
                lower_is_better: row.unit.as_deref().is_none_or(rows::lower_is_better),
                beyond: Some(row.min > old.max || row.max < old.min),
            };
            comparable(&change).then_some((row.peer.as_str(), change))
        })
        .collect();
    changes.sort_by(|a, b| b.1.size().total_cmp(&a.1.size()));
    changes
}

fn comparable(change: &Change) -> bool {
    let ratio = change.ratio();
    change.before > 0.0 && ratio.is_finite() && ratio > 0.0
}

/// The runs that are in both.
fn pairs<'a>(after: &'a [Run], before: &'a [Run]) -> Vec<(&'a Run, &'a Run)> {
    let same = |a: &Run, b: &Run| (&a.workload, &a.variant) == (&b.workload, &b.variant);
    after.iter().filter_map(|run| Some((run, before.iter().find(|old| same(run, old))?))).collect()
}

fn run_changes(after: &[Run], before: &[Run]) -> Vec<Change> {
    let mut changes = Vec::new();
    for (run, old) in pairs(after, before) {
        let mut add = |what: &str, lower_is_better, text: fn(f64) -> String, of: fn(&Run) -> Option<f64>| {
            let (Some(is), Some(was)) = (of(run), of(old)) else { return };
            let text = [text(was), text(is)];
            let what = format!("{}: {what}", runs::name(run));
            let change = Change { what, before: was, after: is, text, lower_is_better, beyond: None };
            changes.extend(comparable(&change).then_some(change));
        };
        add("deliveries/s", false, number::short, |run| Some(run.deliveries_per_second));
        add("p50 of a delivery", true, number::time, |run| runs::quantile(&run.delivery_latency, 50.0));
        add("p99 of a delivery", true, number::time, |run| runs::quantile(&run.delivery_latency, 99.0));
        add("p99.9 of a delivery", true, number::time, |run| runs::quantile(&run.delivery_latency, 99.9));
        add("p99 of a call", true, number::time, |run| runs::quantile(&run.call_latency, 99.0));
        add("peak memory", true, number::bytes, |run| Some(run.peak_resident_bytes as f64));
    }
    changes.sort_by(|a, b| b.size().total_cmp(&a.size()));
    changes
}

fn tally(changes: &[Change]) -> Markup {
    let beyond = |better| {
        let apart = changes.iter().filter(|change| change.beyond == Some(true));
        apart.filter(|change| change.better() == better).count()
    };
    let (better, worse) = (beyond(true), beyond(false));
    html! {
        p.verdict {
            "Beyond the spreads: " strong { (better) " better" } ", " strong { (worse) " worse" } "; the other "
            (changes.len() - better - worse) " of " (some(changes.len(), "row", "rows")) " within them."
        }
    }
}

fn table(changes: &[Change]) -> Markup {
    html! {
        table.changes {
            (heads(&["what", "before", "after", "ratio", "change", "verdict"]))
            tbody {
                @for change in changes {
                    tr.beyond[change.beyond == Some(true)] {
                        th scope="row" { (change.what) }
                        td.number { (change.text[0]) }
                        td.number { (change.text[1]) }
                        td.number { (number::ratio(change.ratio())) }
                        td { (stroke(change)) }
                        td.number { (word(change)) }
                    }
                }
            }
        }
    }
}

fn word(change: &Change) -> &'static str {
    match (change.beyond, change.better()) {
        (Some(false), _) => "within the spread",
        _ if change.ratio() == 1.0 => "same",
        (_, true) => "better",
        (_, false) => "worse",
    }
}

/// A bar from the middle, which is no change, to the ratio; its ends are half and twice.
fn stroke(change: &Change) -> Markup {
    let reach = (change.ratio().log2() * 50.0).clamp(-50.0, 50.0);
    let class = if change.better() { "better" } else { "worse" };
    html! {
        svg.change width="100" height="14" viewBox="0 0 100 14" aria-hidden="true" {
            rect class=(class) x=(format!("{:.1}", 50.0 + reach.min(0.0))) y="2" width=(format!("{:.1}", reach.abs())) height="10" {}
            path.axis d="M50 0V14" {}
        }
    }
}

/// holocast's costs by size and the runs' percentiles, before dashed and after solid.
fn charts(after: &Results, before: &Results) -> Vec<Option<Markup>> {
    let (now, then) = (rows::workloads(&after.rows), rows::workloads(&before.rows));
    let mut charts = Vec::new();
    for workload in now.iter().filter(|workload| workload.sizes().len() > 1) {
        let Some(old) = then.iter().find(|old| old.name == workload.name) else { continue };
        charts.extend(workload.orders().into_iter().map(|order| by_size(workload, old, order)));
    }
    let pairs = pairs(&after.runs, &before.runs);
    for (name, _) in runs::by_workload(&after.runs) {
        let pairs: Vec<_> = pairs.iter().filter(|(run, _)| run.workload == name).collect();
        let nines = Nines::of_latencies(
            pairs.iter().flat_map(|(run, old)| [&run.delivery_latency, &old.delivery_latency]),
        );
        let lines = pairs.iter().enumerate().flat_map(|(slot, (run, old))| {
            let (look, variant) = (Look::plain(slot), runs::variant(run));
            [
                Line { name: format!("{variant}, after"), look, points: nines.points(&run.delivery_latency) },
                Line {
                    name: format!("{variant}, before"),
                    look: look.dashed(),
                    points: nines.points(&old.delivery_latency),
                },
            ]
        });
        let mut lines: Vec<Line> = lines.collect();
        lines.reverse();
        let title = format!("{name}, latency of a delivery");
        let chart = Chart { title, x: nines.axis(), y: Axis::times("latency"), lines, targets: Vec::new() };
        charts.push(chart.figure(&html! { "Before dashed, after solid; lower is better." }));
    }
    charts
}

fn by_size(now: &Workload<'_>, old: &Workload<'_>, order: Option<crate::results::Order>) -> Option<Markup> {
    // No name beside holocast's lines: it would lie over the other of the two.
    let ours = Look::plain(0);
    let floor = Look { weight: Weight::Reference, ..ours };
    let line = |of: &Workload<'_>, peer: &str, when: &str, look| Line {
        name: format!("{peer}, {when}"),
        look,
        points: of.points(peer, order),
    };
    let lines = vec![
        line(now, FLOOR, "after", floor),
        line(old, HOLOCAST, "before", ours.dashed()),
        line(now, HOLOCAST, "after", ours),
    ];
    // Only one of the two would be no comparison.
    if lines[1].points.is_empty() || lines[2].points.is_empty() {
        return None;
    }
    let words = rows::order(order);
    let comma = if words.is_empty() { "" } else { ", " };
    let chart = Chart {
        title: format!("{}{comma}{words}", now.name),
        x: Axis::new("subscribers", Scale::Log, number::short),
        y: now.axis(),
        lines,
        targets: Vec::new(),
    };
    chart.figure(&html! { "Before dashed, after solid; " (now.unit()) "." })
}
