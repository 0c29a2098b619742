//! The figures of a run, made from its record: latencies, throughput, and how both went over time.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use hdrhistogram::Histogram;

use super::record::{Answer, Record, Seen, Sent, Taken};
use super::script::NS_PER_SECOND;
use super::workload::Workload;
use super::world::ns;
use crate::results::{Audit, Interval, Latency, Quantile, Run};

/// The points of a distribution that are kept, in per cent.
const PERCENTS: [f64; 10] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999];

/// Longest time that is told from longer ones: ten minutes.
const LONGEST_NS: u64 = 600_000_000_000;

/// The parts that the measurement is cut into: at most so many, none shorter than this.
const MOST_PARTS: f64 = 50.0;
const SHORTEST_PART_SECONDS: f64 = 0.1;

/// The time in which a run is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    from_ns: u64,
    /// Operations planned from here on are not measured.
    planned_until_ns: u64,
    /// When the last of the measured operations had returned, but not before the planned end.
    until_ns: u64,
}

impl Window {
    pub(super) fn new(start_ns: u64, workload: &Workload, record: &Record) -> Self {
        let from_ns = start_ns + ns(workload.warm_up_seconds);
        // The last slot may be the end itself.
        let planned_until_ns = from_ns + ns(workload.seconds) + 1;
        let last = record.calls.iter().filter_map(|calls| calls.last()).map(|call| call.returned_ns).max();
        Window { from_ns, planned_until_ns, until_ns: last.unwrap_or(0).max(planned_until_ns) }
    }

    fn plans(&self, due_ns: u64) -> bool {
        (self.from_ns..self.planned_until_ns).contains(&due_ns)
    }

    fn seconds(&self) -> f64 {
        (self.until_ns - self.from_ns) as f64 / NS_PER_SECOND
    }

    fn parts(&self) -> usize {
        (self.seconds() / SHORTEST_PART_SECONDS).floor().clamp(1.0, MOST_PARTS) as usize
    }

    /// The part that a moment falls into; `None` if it is not measured.
    fn part(&self, at_ns: u64) -> Option<usize> {
        let since_ns = at_ns.checked_sub(self.from_ns).filter(|_| at_ns < self.until_ns)?;
        let part = since_ns as f64 / (self.until_ns - self.from_ns) as f64 * self.parts() as f64;
        Some((part as usize).min(self.parts() - 1))
    }
}

/// The figures; names, description and the audit are the caller's to fill in.
pub(super) fn run(
    record: &Record,
    window: &Window,
    workload: &Workload,
    is_stalled: impl Fn(u32) -> bool + Sync,
) -> Run {
    let sent = record.sent();
    let tab_of = tabs_of_lives(record);
    let stalled = |life: u32| tab_of.get(life as usize).is_some_and(|tab| is_stalled(*tab));
    let taken: Vec<Deliveries> = thread::scope(|scope| {
        let threads: Vec<_> = record
            .seen
            .iter()
            .map(|seen| {
                let (sent, stalled) = (&sent, &stalled);
                scope.spawn(move || Deliveries::of(seen, sent, window, stalled))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let deliveries = taken.into_iter().fold(Deliveries::new(window), Deliveries::and);
    let (mut planned, mut raw) = (histogram(3), histogram(3));
    let mut operations = BTreeMap::new();
    for call in record.calls.iter().flatten().filter(|call| window.plans(call.due_ns)) {
        *operations.entry(call.op.kind().to_owned()).or_insert(0) += 1;
        planned.saturating_record(call.returned_ns - call.due_ns);
        raw.saturating_record(call.returned_ns - call.called_ns);
    }
    let seconds = window.seconds();
    let done: u64 = operations.values().sum();
    Run {
        workload: String::new(),
        variant: String::new(),
        description: String::new(),
        seed: 0,
        publisher_threads: workload.threads,
        receiver_threads: workload.receivers.threads,
        connections: 0,
        planned_rate: 0.0,
        seconds,
        warm_up_seconds: workload.warm_up_seconds,
        operations,
        operations_per_second: done as f64 / seconds,
        deliveries: deliveries.in_window(),
        deliveries_per_second: deliveries.in_window() as f64 / seconds,
        delivery_latency: latency(&deliveries.planned),
        delivery_latency_raw: latency(&deliveries.raw),
        call_latency: latency(&planned),
        call_latency_raw: latency(&raw),
        timeline: deliveries.timeline(window),
        audit: Audit::default(),
        peak_resident_bytes: peak_resident_bytes().unwrap_or(0),
    }
}

/// The tab of each connection, by the number of its life.
fn tabs_of_lives(record: &Record) -> Vec<u32> {
    let mut tabs = Vec::new();
    for call in record.calls.iter().flatten() {
        if let Answer::Entry(entry) = &call.answer {
            let life = entry.life as usize;
            tabs.resize(tabs.len().max(life + 1), u32::MAX);
            tabs[life] = entry.tab;
        }
    }
    tabs
}

/// What one receiver's log gives.
struct Deliveries {
    planned: Histogram<u64>,
    raw: Histogram<u64>,
    /// By part of the window: two digits, as there are many.
    parts: Vec<Histogram<u64>>,
    counts: Vec<u64>,
}

impl Deliveries {
    fn new(window: &Window) -> Self {
        let parts = window.parts();
        Deliveries {
            planned: histogram(3),
            raw: histogram(3),
            parts: (0..parts).map(|_| histogram(2)).collect(),
            counts: vec![0; parts],
        }
    }

    fn of(seen: &Seen, sent: &[Vec<Sent>], window: &Window, stalled: &impl Fn(u32) -> bool) -> Self {
        let mut figures = Self::new(window);
        for &Taken { at_ns, message, life } in &seen.taken {
            let number = message as usize;
            // What only says that the receiver looked has no such number.
            let Some(message) = sent[number % sent.len()].get(number / sent.len()) else { continue };
            let part = window.part(at_ns);
            if let Some(part) = part {
                figures.counts[part] += 1;
            }
            if stalled(life) {
                continue;
            }
            let planned_ns = at_ns.saturating_sub(message.due_ns);
            if let Some(part) = part {
                figures.parts[part].saturating_record(planned_ns);
            }
            if window.plans(message.due_ns) {
                figures.planned.saturating_record(planned_ns);
                figures.raw.saturating_record(at_ns.saturating_sub(message.called_ns));
            }
        }
        figures
    }

    fn and(mut self, other: Self) -> Self {
        let add = |to: &mut Histogram<u64>, from: Histogram<u64>| {
            to.add(from).expect("all histograms of one kind have the same bounds");
        };
        add(&mut self.planned, other.planned);
        add(&mut self.raw, other.raw);
        self.parts.iter_mut().zip(other.parts).for_each(|(to, from)| add(to, from));
        self.counts.iter_mut().zip(other.counts).for_each(|(to, from)| *to += from);
        self
    }

    fn in_window(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn timeline(&self, window: &Window) -> Vec<Interval> {
        let seconds = window.seconds() / self.parts.len() as f64;
        let part = |(at, (part, deliveries)): (usize, (&Histogram<u64>, &u64))| Interval {
            at_seconds: at as f64 * seconds,
            seconds,
            deliveries: *deliveries,
            p50_ns: part.value_at_percentile(50.0),
            p99_ns: part.value_at_percentile(99.0),
            max_ns: part.max(),
        };
        self.parts.iter().zip(&self.counts).enumerate().map(part).collect()
    }
}

fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, digits).expect("the bounds are in order")
}

fn latency(times: &Histogram<u64>) -> Latency {
    Latency {
        count: times.len(),
        mean_ns: times.mean(),
        quantiles: PERCENTS
            .iter()
            .map(|&percent| Quantile { percent, ns: times.value_at_percentile(percent) })
            .collect(),
        max_ns: times.max(),
    }
}

/// Lets the peak count from now, where the system can: else a run would show that of the runs before it.
pub(super) fn forget_peak() {
    // 5: the peak resident set size, proc_pid_clear_refs(5). What can't be written stays as it is.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most that this process held at once since then.
fn peak_resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::super::record::Call;
    use super::super::script::{Except, Op};
    use super::*;

    /// One message planned at 1 s, called at 1.5 s, returned at 1.6 s; one before the window.
    fn record() -> Record {
        let call = |due_ns, called_ns, returned_ns| Call {
            due_ns,
            called_ns,
            returned_ns,
            op: Op::Broadcast { room: 0, except: Except::Nobody },
            answer: Answer::Reach { reached: 1, refused: 0 },
        };
        let taken = vec![
            Taken { at_ns: 1, message: Taken::LOOKED, life: 0 },
            Taken { at_ns: ns(0.6), message: 0, life: 0 },
            // Within a part of the timeline: the window ends just after its planned end, so the parts begin just after full tenths.
            Taken { at_ns: ns(1.85), message: 1, life: 0 },
        ];
        Record {
            calls: vec![vec![call(ns(0.5), ns(0.5), ns(0.5)), call(ns(1.0), ns(1.5), ns(1.6))]],
            seen: vec![Seen { taken, ..Seen::default() }],
        }
    }

    #[test]
    fn a_latency_counts_from_the_planned_time_and_the_raw_one_from_the_call() {
        let workload = Workload { warm_up_seconds: 1.0, seconds: 1.0, ..Workload::default() };
        let record = record();
        let figures = run(&record, &Window::new(0, &workload, &record), &workload, |_| false);
        let near = |ns: u64, seconds: f64| (ns as f64 / 1e9 - seconds).abs() < 0.01;
        assert!(
            near(figures.delivery_latency.max_ns, 0.85) && near(figures.delivery_latency_raw.max_ns, 0.35)
        );
        assert!(near(figures.call_latency.max_ns, 0.6) && near(figures.call_latency_raw.max_ns, 0.1));
        assert_eq!((figures.deliveries, figures.delivery_latency.count), (1, 1), "the warm-up is left out");
        assert_eq!(figures.operations["broadcast"], 1);
        assert_eq!(figures.timeline.iter().map(|part| part.deliveries).sum::<u64>(), 1);
        assert_eq!(figures.timeline[8].deliveries, 1);
    }

    #[test]
    fn the_stalled_are_counted_but_their_latency_is_not() {
        let workload = Workload { warm_up_seconds: 1.0, seconds: 1.0, ..Workload::default() };
        let mut record = record();
        let entry = super::super::record::Entry {
            tab: 0,
            life: 0,
            superseded: false,
            presented: Vec::new(),
            bound: Vec::new(),
        };
        let (called_ns, op) = (0, Op::Connect { tab: 0 });
        let answer = Answer::Entry(Box::new(entry));
        record.calls[0].insert(0, Call { due_ns: 0, called_ns, returned_ns: 1, op, answer });
        let figures = run(&record, &Window::new(0, &workload, &record), &workload, |tab| tab == 0);
        assert_eq!((figures.deliveries, figures.delivery_latency.count), (1, 0));
    }
}
