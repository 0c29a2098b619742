//! What `run` measured: throughput against latency, latency by percentile and over time, memory of the process.

use maud::{Markup, html};

use super::bars::{self, Bar};
use super::chart::{Chart, Line, Look};
use super::layout::{Section, distinct, figures, folded, heads, some, wide};
use super::nines::Nines;
use super::number;
use super::scale::{Axis, Scale};
use crate::results::{Latency, Run};

/// The sections that these runs fill.
pub(super) fn sections(runs: &[Run]) -> Vec<Section> {
    if runs.is_empty() {
        return Vec::new();
    }
    vec![
        Section { id: "throughput", title: "Throughput against latency", body: throughput(runs) },
        Section { id: "latency", title: "Latency", body: latency(runs) },
        Section { id: "resident", title: "Memory of the process", body: memory(runs) },
    ]
}

/// The runs of each workload.
pub(super) fn by_workload(runs: &[Run]) -> Vec<(&str, Vec<&Run>)> {
    let names = distinct(runs.iter().map(|run| run.workload.as_str()));
    names.into_iter().map(|name| (name, runs.iter().filter(|run| run.workload == name).collect())).collect()
}

/// What tells a run from the others of its workload.
pub(super) fn variant(run: &Run) -> String {
    match run.variant.as_str() {
        "" => format!("{} ops/s", number::short(run.planned_rate)),
        variant => variant.to_owned(),
    }
}

/// A workload and its variant, if it has one.
pub(super) fn name(run: &Run) -> String {
    if run.variant.is_empty() { run.workload.clone() } else { format!("{}, {}", run.workload, run.variant) }
}

/// A percentile, or the next higher one that is known.
pub(super) fn quantile(latency: &Latency, percent: f64) -> Option<f64> {
    let known = latency.quantiles.iter().find(|each| each.percent >= percent - 1e-9).map(|each| each.ns);
    (latency.count > 0).then(|| known.unwrap_or(latency.max_ns) as f64)
}

fn throughput(runs: &[Run]) -> Markup {
    let workloads = by_workload(runs);
    let lines: Vec<Line> = workloads
        .iter()
        .enumerate()
        .map(|(slot, (name, runs))| {
            let mut runs = runs.clone();
            runs.sort_by(|a, b| a.planned_rate.total_cmp(&b.planned_rate));
            let point =
                |run: &&Run| Some((run.deliveries_per_second, quantile(&run.delivery_latency, 99.0)?));
            Line {
                name: (*name).to_owned(),
                look: Look::plain(slot),
                points: runs.iter().filter_map(point).collect(),
            }
        })
        .rev()
        .collect();
    let rates = || lines.iter().flat_map(|line| &line.points).map(|point| point.0).filter(|rate| *rate > 0.0);
    // Workloads as different as a private chat and a firehose would stick to the axis of a linear scale.
    let wide_apart = rates().fold(0.0, f64::max) > 20.0 * rates().fold(f64::INFINITY, f64::min);
    let scale = if wide_apart { Scale::Log } else { Scale::Linear };
    let chart = Chart {
        title: "99th percentile of the delivery latency".to_owned(),
        x: Axis::new("deliveries a second", scale, number::short),
        y: Axis::times("p99 from the planned time"),
        lines,
        targets: Vec::new(),
    };
    let figure = chart.figure(&html! {
        "Right and low is better. Each mark is a run, each line a workload over its variants, in the order of their planned rates."
        " The latency is logarithmic" @if wide_apart { ", and so is the throughput" } "."
    });
    html! {
        p { "Operations have planned times and a latency counts from there: when the engine falls behind, the wait shows." }
        (figures([figure, Some(wide("Runs", &brief(runs)))]))
        (folded("All runs, with their threads, connections and rates", &wide("All runs", &table(runs))))
    }
}

fn at(latency: &Latency, percent: f64) -> String {
    quantile(latency, percent).map_or(number::NONE.to_owned(), number::time)
}

/// What the chart shows, in numbers.
fn brief(runs: &[Run]) -> Markup {
    html! {
        table {
            (heads(&["run", "deliveries/s", "p50", "p99", "p99.9", "max"]))
            tbody {
                @for run in runs {
                    tr {
                        th scope="row" { (name(run)) }
                        td.number { (number::short(run.deliveries_per_second)) }
                        @for percent in [50.0, 99.0, 99.9, 100.0] {
                            td.number { (at(&run.delivery_latency, percent)) }
                        }
                    }
                }
            }
        }
    }
}

fn table(runs: &[Run]) -> Markup {
    html! {
        table {
            (heads(&["run", "threads, publishing + receiving", "connections", "planned ops/s", "ops/s", "deliveries/s", "p50",
                "p99", "p99.9", "max", "p99 as a closed loop sees it", "p99 of a call", "seconds", "seed"]))
            tbody {
                @for run in runs {
                    tr {
                        th scope="row" { (name(run)) }
                        td.number { (run.publisher_threads) " + " (run.receiver_threads) }
                        td.number { (number::count(run.connections)) }
                        td.number { (number::plain(run.planned_rate)) }
                        td.number { (number::plain(run.operations_per_second)) }
                        td.number { (number::plain(run.deliveries_per_second)) }
                        @for percent in [50.0, 99.0, 99.9, 100.0] {
                            td.number { (at(&run.delivery_latency, percent)) }
                        }
                        td.number { (at(&run.delivery_latency_raw, 99.0)) }
                        td.number { (at(&run.call_latency, 99.0)) }
                        td.number { (number::plain(run.seconds)) " after " (number::plain(run.warm_up_seconds)) }
                        td.number { (run.seed) }
                    }
                }
            }
        }
    }
}

fn latency(runs: &[Run]) -> Markup {
    html! {
        p {
            "Solid lines count from the planned time; dashed lines from the moment at which the call was really made, which is what a "
            "closed loop would have shown. Where they part, the engine was behind its plan. Each step to the right leaves a tenth as "
            "many above; the last is the maximum."
        }
        @for (name, runs) in by_workload(runs) {
            div.workload {
                h3 { code { (name) } }
                @for description in distinct(runs.iter().map(|run| &run.description)) { p { (description) } }
                (charts(name, &runs))
            }
        }
    }
}

fn percentiles(title: &str, runs: &[&Run], latencies: fn(&Run) -> [&Latency; 2]) -> Option<Markup> {
    let nines = Nines::of_latencies(runs.iter().flat_map(|run| latencies(run)));
    let mut lines = Vec::new();
    for (slot, run) in runs.iter().enumerate() {
        let [planned, raw] = latencies(run);
        let (look, variant) = (Look::plain(slot), variant(run));
        lines.push(Line { name: variant.clone(), look, points: nines.points(planned) });
        lines.push(Line {
            name: format!("{variant}, from the call"),
            look: look.dashed(),
            points: nines.points(raw),
        });
    }
    lines.reverse();
    let chart = Chart {
        title: title.to_owned(),
        x: nines.axis(),
        y: Axis::times("latency"),
        lines,
        targets: Vec::new(),
    };
    chart.figure(&html! { "Latency by percentile; lower is better." })
}

/// The charts of a workload; over time only the busiest of many runs, and the others on demand.
fn charts(name: &str, runs: &[&Run]) -> Markup {
    let mut busiest = runs.to_vec();
    busiest.sort_by(|a, b| b.planned_rate.total_cmp(&a.planned_rate));
    let (shown, rest) = busiest.split_at(if runs.len() > 2 { 1 } else { runs.len() });
    let mut cells = vec![
        percentiles("From a broadcast to each receiver", runs, |run| {
            [&run.delivery_latency, &run.delivery_latency_raw]
        }),
        percentiles("Of a call", runs, |run| [&run.call_latency, &run.call_latency_raw]),
    ];
    cells.extend(shown.iter().map(|run| timeline(run)));
    cells.push(deliveries_over_time(runs));
    let operations = wide(&format!("Operations of {name}"), &operations(runs));
    // Beside an odd number of charts there is room.
    let room = cells.iter().flatten().count() % 2 == 1;
    if room {
        cells.push(Some(html! { div { h4 { "Done in the measurement" } (operations) } }));
    }
    html! {
        (figures(cells))
        @if !rest.is_empty() {
            (folded(&format!("Latency over time: {}", some(rest.len(), "more run", "more runs")),
                &figures(rest.iter().map(|run| timeline(run)))))
        }
        @if !room { (folded(&format!("Operations of {name}"), &operations)) }
    }
}

fn timeline(run: &Run) -> Option<Markup> {
    let line = |slot, name: &str, ns: fn(&crate::results::Interval) -> u64| {
        let points = run.timeline.iter().filter(|part| part.deliveries > 0);
        let points = points.map(|part| (part.at_seconds + part.seconds / 2.0, ns(part) as f64)).collect();
        Line { name: name.to_owned(), look: Look::plain(slot), points }
    };
    let chart = Chart {
        title: format!("Latency over time, {}", variant(run)),
        x: Axis::new("seconds", Scale::Linear, number::plain),
        y: Axis::times("latency from the planned time"),
        lines: vec![
            line(0, "p50", |part| part.p50_ns),
            line(4, "p99", |part| part.p99_ns),
            line(1, "max", |part| part.max_ns),
        ],
        targets: Vec::new(),
    };
    chart.figure(&html! {
        "Deliveries in each part of the measurement; lower and flatter is better. " (number::plain(run.deliveries_per_second))
        " deliveries a second."
    })
}

fn deliveries_over_time(runs: &[&Run]) -> Option<Markup> {
    let line = |(slot, run): (usize, &&Run)| {
        let parts = run.timeline.iter().filter(|part| part.seconds > 0.0);
        let points =
            parts.map(|part| (part.at_seconds + part.seconds / 2.0, part.deliveries as f64 / part.seconds));
        Line { name: variant(run), look: Look::plain(slot), points: points.collect() }
    };
    let chart = Chart {
        title: "Throughput over time".to_owned(),
        x: Axis::new("seconds", Scale::Linear, number::plain),
        y: Axis::new("deliveries a second", Scale::Linear, number::short),
        lines: runs.iter().enumerate().map(line).rev().collect(),
        targets: Vec::new(),
    };
    chart.figure(&html! { "Taken in each part of the measurement; as even as what is sent is best." })
}

fn operations(runs: &[&Run]) -> Markup {
    let variants: Vec<String> = runs.iter().map(|run| variant(run)).collect();
    let mut names = vec!["operation"];
    names.extend(variants.iter().map(String::as_str));
    html! {
        table {
            (heads(&names))
            tbody {
                @for kind in distinct(runs.iter().flat_map(|run| run.operations.keys())) {
                    tr {
                        th scope="row" { (kind) }
                        @for run in runs {
                            td.number { (run.operations.get(kind).map_or(number::NONE.to_owned(), |&count| number::count(count))) }
                        }
                    }
                }
                tr {
                    th scope="row" { "deliveries" }
                    @for run in runs { td.number { (number::count(run.deliveries)) } }
                }
            }
        }
    }
}

fn memory(runs: &[Run]) -> Markup {
    let known = runs.iter().filter(|run| run.peak_resident_bytes > 0);
    let bars: Vec<Bar> = known
        .map(|run| Bar {
            name: name(run),
            value: run.peak_resident_bytes as f64,
            text: number::bytes(run.peak_resident_bytes as f64),
            slot: Some(0),
            beats: false,
        })
        .collect();
    let caption = html! {
        "Peak of the whole process in the run, with the harness, its record of every delivery, and what the allocator kept of "
        "the runs before; lower is better."
    };
    match bars::figure("Peak resident memory", &bars, &caption) {
        None => html! { p { "Unknown: the system does not tell." } },
        figure => figures([figure]),
    }
}
