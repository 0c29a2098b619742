//! What `compare` measured: costs by number of subscribers for every peer, quantiles, memory.

use maud::{Markup, html};

use super::about::{self, Target};
use super::bars::{self, Bar};
use super::chart::{Chart, Line, Look, Weight};
use super::layout::{Section, crown, distinct, figures, folded, heads, some, wide};
use super::nines::Nines;
use super::number;
use super::rows::{self, FLOOR, Kind, Peers, Workload};
use super::scale::{Axis, Scale};
use super::verdict;
use crate::results::{Order, Row};

/// A table of no more sizes than these fits beside a chart.
const COLUMNS: usize = 5;

/// The sections that these rows fill.
pub(super) fn sections(rows: &[Row]) -> Vec<Section> {
    let workloads = rows::workloads(rows);
    let peers = Peers::of(rows);
    let of = |kind| workloads.iter().filter(move |workload| workload.kind == kind).collect::<Vec<_>>();
    let all = [
        ("cost", "Cost per delivery", of(Kind::Delivery)),
        ("changes", "Cost of other operations", of(Kind::Other)),
        ("publish-latency", "Publish latency", of(Kind::Quantile)),
        ("memory", "Memory", of(Kind::Memory)),
    ];
    all.into_iter()
        .filter(|(_, _, workloads)| !workloads.is_empty())
        .map(|(id, title, workloads)| {
            let body = match id {
                "publish-latency" => quantiles(&workloads, &peers),
                "memory" => memory(&workloads, &peers),
                _ => html! { @for workload in workloads { (costs(workload, &peers)) } },
            };
            Section { id, title, body }
        })
        .collect()
}

fn costs(workload: &Workload<'_>, peers: &Peers<'_>) -> Markup {
    let several = workload.sizes().len() > 1;
    let orders = workload.orders();
    let graph = |&order| {
        if several { by_size(workload, order, peers) } else { at_one_size(workload, order, peers) }
    };
    let mut cells: Vec<Option<Markup>> = orders.iter().map(graph).collect();
    let matrices: Vec<Markup> = orders.iter().map(|&order| matrix(workload, order)).collect();
    let compared = several && workload.peers().len() > 1;
    // One chart leaves room for a table beside it, if that is not too wide.
    let beside = matrices.len() == 1 && workload.sizes().len() <= COLUMNS;
    if compared && beside {
        cells.extend(matrices.iter().cloned().map(Some));
    }
    let beaten = workload.rows.iter().filter(|row| workload.beats(row)).count();
    let rivals = workload.rows.iter().filter(|row| rows::rival(&row.peer)).count();
    html! {
        div.workload {
            h3 { code { (workload.name) } }
            p { (about::sentence(workload.name)) }
            (figures(cells))
            @if rivals > 0 {
                p.verdict {
                    @if beaten == 0 { "No peer beats holocast here (" (some(rivals, "row", "rows")) ")." }
                    @else { "Peers beat holocast in " strong { (beaten) " of " (some(rivals, "row", "rows")) } ", marked\u{a0}" (crown()) "." }
                }
            }
            (verdict::of(workload))
            @if compared && !beside { @for matrix in &matrices { (matrix) } }
            (folded(&format!("All rows of {}", workload.name), &wide(workload.name, &table(workload))))
        }
    }
}

fn title(workload: &Workload<'_>, order: Option<Order>) -> String {
    match rows::order(order) {
        "" => workload.name.to_owned(),
        words => format!("{}, {words}", workload.name),
    }
}

fn direction(unit: &str) -> &'static str {
    if rows::lower_is_better(unit) { "lower is better" } else { "higher is better" }
}

fn by_size(workload: &Workload<'_>, order: Option<Order>, peers: &Peers<'_>) -> Option<Markup> {
    let mut names = workload.peers();
    // The last line is drawn on top.
    names.reverse();
    let line = |peer: &str| Line {
        name: rows::label(peer).to_owned(),
        look: peers.look(peer),
        points: workload.points(peer, order),
    };
    let mut lines: Vec<Line> = names.iter().map(|peer| line(peer)).collect();
    let mut targets = Vec::new();
    let target = about::target(workload.name);
    match target {
        Some(Target::Floors(times, least, most)) => {
            let floor = workload.points(FLOOR, order).into_iter();
            let within = floor.filter(|(size, _)| (least as f64..=most as f64).contains(size));
            let points = within.map(|(size, cost)| (size, cost * times)).collect();
            let look = Look { slot: 0, dashed: true, weight: Weight::Reference };
            lines.insert(0, Line { name: format!("target: {times} × floor"), look, points });
        }
        Some(Target::Point(size, cost)) => {
            let name = format!("target: {} at {}", number::time(cost), number::count(size));
            targets.push((size as f64, cost, name));
        }
        None => {}
    }
    let chart = Chart {
        title: title(workload, order),
        x: Axis::new("subscribers", Scale::Log, number::short),
        y: workload.axis(),
        lines,
        targets,
    };
    chart.figure(&html! {
        "Median " (workload.unit()) ", " (direction(workload.unit())) "; both axes are logarithmic."
        @if let Some(Target::Floors(times, least, most)) = target {
            " The floor, an atomic add and a store per subscriber, is what no queue per connection can beat; the target is "
            (times) " × the floor from " (number::count(least)) " to " (number::count(most)) " subscribers."
        }
        @if let Some(Target::Point(size, cost)) = target {
            " The cross is the target: " (number::time(cost)) " at " (number::count(size)) " members."
        }
    })
}

fn at_one_size(workload: &Workload<'_>, order: Option<Order>, peers: &Peers<'_>) -> Option<Markup> {
    let rows = workload.rows.iter().filter(|row| row.order == order);
    let bars: Vec<Bar> = rows
        .filter_map(|row| {
            let cost = rows::cost(row)?;
            Some(Bar {
                name: rows::label(&row.peer).to_owned(),
                value: cost,
                text: rows::text(row, cost),
                slot: peers.bar(&row.peer),
                beats: workload.beats(row),
            })
        })
        .collect();
    let sizes = workload.sizes();
    let unit = if workload.unit().is_empty() { "Median" } else { workload.unit() };
    bars::figure(
        &title(workload, order),
        &bars,
        &html! {
            (unit) ", median, " (direction(workload.unit()))
            @if let [size] = sizes[..] { @if size > 0 { "; with " (number::count(size)) " subscribers or connections" } } "."
        },
    )
}

/// Peers by sizes, in the unit of the workload.
fn matrix(workload: &Workload<'_>, order: Option<Order>) -> Markup {
    let sizes = workload.sizes();
    let mut names = vec![match rows::order(order) {
        "" => workload.unit().to_owned(),
        words => format!("{}, {words}", workload.unit()),
    }];
    names.extend(sizes.iter().map(|&size| number::count(size)));
    let name = format!("{} by subscribers", title(workload, order));
    wide(
        &name,
        &html! {
            table {
                (heads(&names))
                tbody {
                    @for peer in workload.peers() {
                        tr.ours[rows::ours(peer)].floor[peer == FLOOR] {
                            th scope="row" { (rows::label(peer)) }
                            @for &size in &sizes {
                                @let row = workload.find(peer, size, order);
                                td.number.beats[row.is_some_and(|row| workload.beats(row))] {
                                    @if let Some(row) = row {
                                        @if workload.beats(row) { (crown()) " " }
                                        (rows::cost(row).map_or(number::NONE.to_owned(), number::plain))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// Every row, with all that it says.
fn table(workload: &Workload<'_>) -> Markup {
    let any = |has: fn(&Row) -> bool| workload.rows.iter().any(|row| has(row));
    let (orders, parts) =
        (any(|row| row.order.is_some()), any(|row| row.publish_ns.is_some() || row.take_ns.is_some()));
    let mut names = vec!["peer", "subscribers"];
    names.extend(orders.then_some("order"));
    names.extend(parts.then_some(["publish", "take"]).into_iter().flatten());
    names.extend([workload.unit(), "least", "most", "repetitions", "× floor", "× holocast"]);
    let number = |value: Option<f64>| value.map_or(number::NONE.to_owned(), number::plain);
    html! {
        table {
            (heads(&names))
            tbody {
                @for row in &workload.rows {
                    tr.ours[rows::ours(&row.peer)].floor[row.peer == FLOOR].beats[workload.beats(row)] {
                        th scope="row" { (rows::label(&row.peer)) @if workload.beats(row) { " " (crown()) } }
                        td.number { (number::count(row.subscribers)) }
                        @if orders { td.number { (match row.order {
                            Some(Order::Allocation) => "allocation",
                            Some(Order::Shuffled) => "random",
                            None => number::NONE,
                        }) } }
                        @if parts {
                            td.number { (number(row.publish_ns)) }
                            td.number { (number(row.take_ns)) }
                        }
                        td.number { (number(rows::cost(row))) }
                        td.number { (number::plain(row.min)) }
                        td.number { (number::plain(row.max)) }
                        td.number { (row.repetitions) }
                        td.number { (number(row.ratio_to_floor)) }
                        td.number { (number(row.ratio_to_holocast)) }
                    }
                }
            }
        }
    }
}

/// Bytes, all in one figure: they are few.
fn memory(workloads: &[&Workload<'_>], peers: &Peers<'_>) -> Markup {
    let mut shown = Vec::new();
    for workload in workloads {
        for row in &workload.rows {
            let Some(cost) = rows::cost(row) else { continue };
            let mut name = workload.name.trim_start_matches("memory-").replace('-', " ");
            if workload.sizes().len() > 1 {
                name.push_str(&format!(", {}", number::count(row.subscribers)));
            }
            if workload.peers().len() > 1 {
                name.push_str(&format!(", {}", row.peer));
            }
            let (text, slot, beats) = (rows::text(row, cost), peers.bar(&row.peer), workload.beats(row));
            shown.push(Bar { name, value: cost, text, slot, beats });
        }
    }
    let meanings = html! {
        ul.plain {
            @for workload in workloads {
                @let sentence = about::sentence(workload.name);
                @if !sentence.is_empty() { li { code { (workload.name) } ": " (sentence) } }
            }
        }
    };
    html! {
        (figures([bars::figure("Bytes apiece", &shown, &html! { "Median, lower is better." }), Some(meanings)]))
        @for workload in workloads {
            (folded(&format!("All rows of {}", workload.name), &wide(workload.name, &table(workload))))
        }
    }
}

/// Workloads whose names end in a percentile, drawn as distributions.
fn quantiles(workloads: &[&Workload<'_>], peers: &Peers<'_>) -> Markup {
    let named = || workloads.iter().filter_map(|workload| Some((workload, rows::quantile(workload.name)?)));
    let families = distinct(named().map(|(_, (family, _))| family));
    let nines = Nines::of(named().map(|(_, (_, percent))| percent));
    let sizes = distinct(workloads.iter().flat_map(|workload| workload.sizes()));
    let figure = |&size: &u64| {
        let mut lines = Vec::new();
        for (index, family) in families.iter().enumerate() {
            for peer in distinct(workloads.iter().flat_map(|workload| workload.peers())) {
                let of_family = named().filter(|(_, (name, _))| name == family);
                let mut points: Vec<(f64, f64)> = of_family
                    .flat_map(|(workload, (_, percent))| workload.rows.iter().map(move |row| (percent, row)))
                    .filter(|(_, row)| row.peer == peer && row.subscribers == size)
                    .filter_map(|(percent, row)| Some((nines.place(percent)?, rows::cost(row)?)))
                    .collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                // These two belong together; any other family gets colours of its own.
                let look = match *family {
                    "churn" => peers.look(peer),
                    "calm" => Look::plain(peers.slot(peer)).dashed(),
                    _ => Look::plain(peers.slot(peer) + 7 * index),
                };
                lines.push(Line { name: format!("{peer}, {family}"), look, points });
            }
        }
        lines.reverse();
        let chart = Chart {
            title: if size > 0 {
                format!("{} subscribers", number::count(size))
            } else {
                "Latency".to_owned()
            },
            x: nines.axis(),
            y: Axis::times("latency"),
            lines,
            targets: Vec::new(),
        };
        chart.figure(&html! {
            "Latency by percentile, lower is better; each step to the right leaves a tenth as many above, the last is the maximum."
        })
    };
    let unlisted: Vec<&Row> = workloads.iter().flat_map(|workload| &workload.rows).copied().collect();
    html! {
        @for family in &families {
            @let sentence = about::sentence(family);
            @if !sentence.is_empty() { p { code { (family) } ": " (sentence) } }
        }
        (figures(sizes.iter().map(figure)))
        (folded(&some(unlisted.len(), "row", "rows"), &wide("Latencies", &html! {
            table {
                (heads(&["workload", "peer", "subscribers", "median", "least", "most", "× holocast"]))
                tbody {
                    @for workload in workloads { @for row in &workload.rows {
                        tr.ours[rows::ours(&row.peer)].beats[workload.beats(row)] {
                            th scope="row" { (workload.name) @if workload.beats(row) { " " (crown()) } }
                            td.number { (row.peer) }
                            td.number { (number::count(row.subscribers)) }
                            td.number { (rows::cost(row).map_or(number::NONE.to_owned(), |cost| rows::text(row, cost))) }
                            td.number { (rows::text(row, row.min)) }
                            td.number { (rows::text(row, row.max)) }
                            td.number { (row.ratio_to_holocast.map_or(number::NONE.to_owned(), number::plain)) }
                        }
                    } }
                }
            }
        })))
    }
}
