//! The top of the page: what this is, the key figures, the machine and the command.

use maud::{Markup, html};

use super::audit;
use super::layout::wide;
use super::number;
use super::rows::{self, HOLOCAST, Kind, Workload};
use super::runs;
use crate::results::{Machine, Results, Run};

/// A figure of the summary: what, how much, and what else to know.
struct Key {
    what: String,
    value: String,
    note: String,
}

/// The summary: the audit's verdict and the key figures.
pub(super) fn summary(results: &Results) -> Markup {
    let mut keys = of_runs(&results.runs);
    keys.extend(of_rows(results));
    html! {
        (audit::verdict(&results.runs))
        @if keys.is_empty() {
            p { "Nothing was measured: this document holds neither rows of " code { "compare" } " nor runs of " code { "run" } "." }
        } @else {
            dl.keys {
                @for key in &keys {
                    div { dt { (key.what) } dd { strong { (key.value) } " " span { (key.note) } } }
                }
            }
        }
    }
}

fn of_runs(all: &[Run]) -> Vec<Key> {
    let rate = |run: &&Run| run.deliveries_per_second;
    let finite = || all.iter().filter(|run| run.deliveries_per_second.is_finite());
    let mut keys = Vec::new();
    if let Some(most) = finite().max_by(|a, b| rate(a).total_cmp(&rate(b))) {
        let p99 = runs::quantile(&most.delivery_latency, 99.0).map(number::time);
        let p99 = p99.map_or(String::new(), |p99| format!(", p99 {p99}"));
        keys.push(Key {
            what: "Most deliveries a second".to_owned(),
            value: number::short(most.deliveries_per_second),
            note: format!("{}{p99}", runs::name(most)),
        });
    }
    let p99 = |run: &Run| runs::quantile(&run.delivery_latency, 99.0);
    let latencies = || all.iter().filter_map(|run| Some((p99(run)?, run)));
    if let Some((ns, run)) = latencies().max_by(|a, b| a.0.total_cmp(&b.0)) {
        let note =
            format!("{} at {} deliveries/s", runs::name(run), number::short(run.deliveries_per_second));
        keys.push(Key { what: "Highest p99 of a delivery".to_owned(), value: number::time(ns), note });
    }
    keys
}

fn of_rows(results: &Results) -> Vec<Key> {
    let workloads = rows::workloads(&results.rows);
    let mut keys = Vec::new();
    for workload in workloads.iter().filter(|workload| workload.name == "fanout") {
        keys.extend(workload.orders().into_iter().filter_map(|order| {
            let ours = workload.rows.iter().filter(|row| row.peer == HOLOCAST && row.order == order);
            let row = ours.max_by_key(|row| row.subscribers)?;
            let value = rows::text(row, rows::cost(row)?);
            let peers = || workload.peers().into_iter().filter(|&peer| rows::rival(peer));
            let rivals = peers().filter_map(|peer| workload.find(peer, row.subscribers, order));
            let best = rivals
                .filter_map(|rival| Some((workload.to_holocast(rival)?, rival.peer.as_str())))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let mut note = row
                .ratio_to_floor
                .map_or(String::new(), |floor| format!("{} the floor", number::ratio(floor)));
            if let Some((ratio, peer)) = best {
                let and = if note.is_empty() { "" } else { "; " };
                note.push_str(&format!("{and}best peer {peer}: {}", number::ratio(ratio)));
            }
            let what = format!(
                "A delivery, {} subscribers {}",
                number::short(row.subscribers as f64),
                rows::order(order)
            );
            Some(Key { what: what.trim_end().to_owned(), value, note })
        }));
    }
    keys.extend(beaten(&workloads));
    let singles = workloads.iter().filter(|workload| {
        workload.kind == Kind::Memory || workload.name == "subscribe" || workload.name == "churn-p99.9"
    });
    keys.extend(singles.filter_map(|workload| {
        let ours = workload.rows.iter().filter(|row| row.peer == HOLOCAST);
        let row = ours.max_by_key(|row| row.subscribers)?;
        let note = match (workload.kind, row.subscribers) {
            (Kind::Memory, _) | (_, 0) => String::new(),
            (_, size) => format!("at {} members", number::count(size)),
        };
        let what = workload.name.replacen("memory-", "memory, ", 1).replace('-', " ");
        Some(Key { what: capital(&what), value: rows::text(row, rows::cost(row)?), note })
    }));
    keys
}

/// In how many rows a peer did better.
fn beaten(workloads: &[Workload<'_>]) -> Option<Key> {
    let rivals = || workloads.iter().flat_map(|each| each.rows.iter().map(move |row| (each, row)));
    let rivals = || rivals().filter(|(_, row)| rows::rival(&row.peer));
    let (all, lost) = (rivals().count(), rivals().filter(|(workload, row)| workload.beats(row)).count());
    (all > 0).then(|| Key {
        what: "Rows in which a peer beats holocast".to_owned(),
        value: format!("{lost} of {all}"),
        note: if lost > 0 { "marked ▾ below".to_owned() } else { String::new() },
    })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// What it ran on, beside what the results before ran on.
pub(super) fn machine(results: &Results, before: Option<&Results>) -> Markup {
    let all: Vec<&Results> = before.into_iter().chain([results]).collect();
    let facts: Vec<[(&str, String); 9]> = all.iter().map(|results| facts(results)).collect();
    let differ = |index: usize| facts.iter().any(|each| each[index].1 != facts[0][index].1);
    wide(
        "Machine and command",
        &html! {
            table.facts {
                @if before.is_some() {
                    thead { tr { th scope="col" { "" } th scope="col" { "before" } th scope="col" { "after" } } }
                }
                tbody {
                    @for index in 0..facts[0].len() {
                        tr.differs[differ(index)] {
                            th scope="row" { (facts[0][index].0) }
                            @for each in &facts { td { (each[index].1) } }
                        }
                    }
                }
            }
        },
    )
}

/// Whether two were built alike and ran on machines that look alike.
pub(super) fn alike(a: &Machine, b: &Machine) -> bool {
    let of = |machine: &Machine| {
        let Machine { cpu, cores, platform, kernel, compiler, flags, allocator, .. } = machine.clone();
        (cpu, cores, platform, kernel, compiler, flags, allocator)
    };
    of(a) == of(b)
}

fn facts(results: &Results) -> [(&'static str, String); 9] {
    let machine = &results.machine;
    let memory = match machine.memory_bytes {
        0 => String::new(),
        bytes => format!(", {}", number::bytes(bytes as f64)),
    };
    let cores = if machine.cores == 1 { "1 core".to_owned() } else { format!("{} cores", machine.cores) };
    [
        ("Processor", format!("{}, {cores}{memory}", machine.cpu)),
        ("System", machine.platform.clone()),
        ("Kernel", machine.kernel.clone()),
        ("Compiler", machine.compiler.clone()),
        ("Flags", machine.flags.clone()),
        ("Allocator", machine.allocator.clone()),
        ("Commit", format!("{} (version {})", machine.commit, machine.version)),
        ("Begun", number::moment(machine.started_unix_seconds)),
        ("Command", format!("holocast {}", results.command)),
    ]
}
