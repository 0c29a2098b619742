//! Measuring by plan: by size, smallest first, all contestants get a crowd, do the work of that size in turns, and go.

use indicatif::{ProgressBar, ProgressStyle};

use super::by_user::ByUser;
use super::crowd::crowd;
use super::memory::{self, Bytes};
use super::parked::{Flavour, Parked};
use super::peer::Peer;
use super::peers::{
    DashMapTokioMpsc, DashMapTokioMpscBounded, Holocast, PapayaArcSwapSegQueue, RwLockCrossbeamChannel,
    RwLockFlume, TokioBroadcast,
};
use super::plan::{Plan, WORKLOADS};
use super::rounds::Slices;
use super::turns::{Measure, Sample, in_turns, rows};
use super::world::Contestant;
use crate::results::{Machine, Order, Row};

/// Messages of one burst.
const BURST: usize = 8;

/// What is measured of lanes alone, and in what.
const LANE_PARTS: [(&str, &str); 2] =
    [("lane-publish", "ns per call and lane"), ("lane-take", "ns per delivery")];

/// Receivers of one slice.
const SLICE: usize = 1_024;

/// What is measured of slices, and in what.
const SLICE_PARTS: [(&str, &str); 4] = [
    ("publish-slice-median", "ns per slice"),
    ("publish-slice-worst", "ns per slice"),
    ("publish-slice-all", "ns per delivery"),
    ("publish-slice-none", "ns per delivery"),
];

/// Shares of the broadcasts whose times are shown under churn, in per cent; after them the longest.
const QUANTILES: [(&str, f64); 4] = [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

/// What one connection of all contestants together takes, tasks included; generously.
const BYTES_PER_CONNECTION: u64 = 13 << 10;

/// Times the usual number of deliveries, where there are only lanes: they are that much faster.
const ON_LANES: usize = 25;

/// Least broadcasts of a turn where there are only lanes.
const LANE_ROUNDS: usize = 8;

impl Plan {
    /// Measures, with a bar on standard error if that is a terminal.
    pub(super) fn measure(&self) -> Vec<Row> {
        let memory = Machine::this().memory_bytes;
        let (fitting, too_large): (Vec<usize>, Vec<usize>) = self
            .sizes
            .iter()
            .partition(|size| memory == 0 || **size as u64 * BYTES_PER_CONNECTION < memory / 4 * 3);
        let bar = ProgressBar::new(fitting.len() as u64 + 2);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg} {elapsed}") {
            bar.set_style(style);
        }
        if !too_large.is_empty() {
            bar.println(format!("left out for want of memory: {too_large:?} subscribers"));
        }
        let mut rows = Vec::new();
        for size in fitting {
            bar.set_message(format!("{size} subscribers"));
            self.size(size, &bar, &mut rows);
            bar.inc(1);
        }
        if self.only.contains(&"subscribe-by-user") {
            bar.set_message("by user");
            self.by_user(&mut rows);
        }
        bar.inc(1);
        if self.only.contains(&"memory") {
            bar.set_message("memory");
            self.memory(&mut rows);
        }
        bar.finish_and_clear();
        sorted(rows)
    }

    fn turns(&self, size: usize) -> u32 {
        if size > 100_000 { self.turns.1 } else { self.turns.0 }
    }

    /// All work of one size.
    fn size(&self, size: usize, bar: &ProgressBar, all: &mut Vec<Row>) {
        let wanted = |workloads: &[&str]| workloads.iter().any(|workload| self.does(workload, size));
        if !wanted(
            &WORKLOADS.map(|name| if name == "memory" || name == "subscribe-by-user" { "" } else { name }),
        ) {
            return;
        }
        // For these nobody else is needed, or no crowd at all.
        let ours = ["lane", "publish-call", "publish-slice", "subscribe-by-user", "memory"];
        let only_ours = !WORKLOADS.iter().any(|name| !ours.contains(name) && self.does(name, size));
        let mut contestants = crowd(size, only_ours);
        for workload in ["fanout", "fanout-burst-8", "fanout-two-threads", "fanout-except", "hot"] {
            if self.does(workload, size) {
                bar.set_message(format!("{workload}, {size} subscribers"));
                self.deliveries(workload, size, Order::Allocation, &mut contestants, all);
            }
        }
        if self.does("lane", size) {
            self.lane(size, Order::Allocation, &mut contestants, all);
        }
        if self.does("publish-call", size) {
            bar.set_message(format!("publish-call, {size} subscribers"));
            self.calls(size, &mut contestants, all);
        }
        if self.does("publish-slice", size) {
            bar.set_message(format!("publish-slice, {size} subscribers"));
            self.slices(size, &mut contestants, all);
        }
        if wanted(&["subscribe", "unsubscribe"]) {
            self.changes(size, &mut contestants, all);
        }
        if wanted(&["publish-calm", "publish-churn"]) {
            bar.set_message(format!("churn, {size} subscribers"));
            self.churn(size, &mut contestants, all);
        }
        for (workload, flavour) in
            [("parked-current-thread", Flavour::CurrentThread), ("parked-multi-thread", Flavour::MultiThread)]
        {
            if self.does(workload, size) {
                bar.set_message(format!("{workload}, {size} tasks"));
                contestants = self.parked(workload, flavour, size, contestants, all);
            }
        }
        let shuffled = ["fanout", "fanout-burst-8", "lane"]
            .into_iter()
            .filter(|workload| self.does(workload, size) && (self.shuffled)(workload, size));
        for (index, workload) in shuffled.enumerate() {
            if index == 0 {
                bar.set_message(format!("shuffling {size} subscribers"));
                contestants.iter_mut().for_each(|contestant| contestant.shuffle());
            }
            bar.set_message(format!("{workload}, {size} subscribers, shuffled"));
            match workload {
                "lane" => self.lane(size, Order::Shuffled, &mut contestants, all),
                _ => self.deliveries(workload, size, Order::Shuffled, &mut contestants, all),
            }
        }
    }

    fn deliveries(
        &self,
        workload: &str,
        size: usize,
        order: Order,
        contestants: &mut [Box<dyn Contestant>],
        all: &mut Vec<Row>,
    ) {
        let deliveries = self.deliveries;
        let samples = in_turns(
            contestants,
            self.turns(size),
            |contestant| match workload {
                "fanout-except" => contestant.excludes() && contestant.lanes() < 2,
                "fanout-two-threads" => true,
                // One thread has one lane.
                _ => contestant.lanes() < 2,
            },
            |contestant| contestant.name(),
            |contestant| {
                vec![match workload {
                    "fanout-burst-8" => contestant.fan_out(BURST, deliveries),
                    "fanout-two-threads" => contestant.two_threads(),
                    "fanout-except" => contestant.except(deliveries),
                    "hot" => contestant.hot(deliveries),
                    _ => contestant.fan_out(1, deliveries),
                }]
            },
        );
        all.extend(rows(
            &Measure { workload: workload.to_owned(), subscribers: size, order: Some(order), unit: "" },
            &samples,
            0,
        ));
    }

    /// The publisher and the consumer of lanes, apart.
    fn lane(&self, size: usize, order: Order, contestants: &mut [Box<dyn Contestant>], all: &mut Vec<Row>) {
        let rounds = (self.deliveries * ON_LANES / size).max(LANE_ROUNDS);
        let samples = in_turns(
            contestants,
            self.turns.0,
            |contestant| contestant.lanes() > 0,
            |contestant| contestant.name(),
            |contestant| {
                let (call, delivery) = contestant.apart(rounds);
                vec![Sample::Value(call / contestant.lanes() as f64), Sample::Value(delivery)]
            },
        );
        for (index, (workload, unit)) in LANE_PARTS.into_iter().enumerate() {
            let measure = Measure { order: Some(order), ..value(workload, size, unit) };
            all.extend(rows(&measure, &samples, index));
        }
    }

    /// The publisher's call alone, through lanes and through queues.
    fn calls(&self, size: usize, contestants: &mut [Box<dyn Contestant>], all: &mut Vec<Row>) {
        let rounds = (self.deliveries * ON_LANES / (BURST * size)).max(1);
        let samples = in_turns(
            contestants,
            self.turns(size),
            |contestant| contestant.lanes() > 0 || contestant.name() == Holocast::NAME,
            |contestant| contestant.name(),
            |contestant| {
                let (median, worst) = contestant.calls(BURST, rounds);
                vec![Sample::Value(median), Sample::Value(worst)]
            },
        );
        for (index, part) in ["median", "worst"].into_iter().enumerate() {
            all.extend(rows(&value(&format!("publish-call-{part}"), size, "ns per call"), &samples, index));
        }
    }

    /// A broadcast in slices, and the same at once.
    fn slices(&self, size: usize, contestants: &mut [Box<dyn Contestant>], all: &mut Vec<Row>) {
        let rounds = (self.deliveries / size).max(1);
        let samples = in_turns(
            contestants,
            self.turns(size),
            |contestant| contestant.name() == Holocast::NAME,
            |contestant| contestant.name(),
            |contestant| {
                let Slices { median, worst, sliced, whole } = contestant.slices(SLICE, rounds);
                [median, worst, sliced, whole].map(Sample::Value).to_vec()
            },
        );
        for (index, (workload, unit)) in SLICE_PARTS.into_iter().enumerate() {
            all.extend(rows(&value(workload, size, unit), &samples, index));
        }
    }

    fn changes(&self, size: usize, contestants: &mut [Box<dyn Contestant>], all: &mut Vec<Row>) {
        let samples = in_turns(
            contestants,
            self.turns(size),
            |contestant| contestant.subscribes() && contestant.lanes() < 2,
            |contestant| contestant.name(),
            |contestant| {
                let (left, came) = contestant.change();
                vec![Sample::Value(came), Sample::Value(left)]
            },
        );
        for (index, workload) in ["subscribe", "unsubscribe"].into_iter().enumerate() {
            if self.does(workload, size) {
                all.extend(rows(&value(workload, size, "ns"), &samples, index));
            }
        }
    }

    fn churn(&self, size: usize, contestants: &mut [Box<dyn Contestant>], all: &mut Vec<Row>) {
        let mut measured = |workload: &str, with: bool| {
            let samples = in_turns(
                contestants,
                self.turns(size),
                |contestant| contestant.subscribes() && contestant.lanes() < 2,
                |contestant| contestant.name(),
                |contestant| {
                    let times = contestant.churn(with, self.churn);
                    let at =
                        |(_, percent): (&str, f64)| Sample::Value(times.value_at_percentile(percent) as f64);
                    QUANTILES.map(at).to_vec()
                },
            );
            if self.does(workload, size) {
                for (index, (name, _)) in QUANTILES.iter().enumerate() {
                    all.extend(rows(&value(&format!("{workload}-{name}"), size, "ns"), &samples, index));
                }
            }
        };
        measured("publish-calm", false);
        measured("publish-churn", true);
    }

    fn parked(
        &self,
        workload: &str,
        flavour: Flavour,
        size: usize,
        contestants: Vec<Box<dyn Contestant>>,
        all: &mut Vec<Row>,
    ) -> Vec<Box<dyn Contestant>> {
        let names: Vec<&str> = contestants.iter().map(|contestant| contestant.name()).collect();
        let (awaiting, mut others): (Vec<_>, Vec<_>) =
            contestants.into_iter().partition(|contestant| contestant.awaits());
        let mut tasks: Vec<Box<dyn Parked>> =
            awaiting.into_iter().map(|contestant| contestant.park(flavour)).collect();
        let samples = in_turns(
            &mut tasks,
            self.turns(size),
            |_| true,
            |tasks| tasks.name(),
            |tasks| vec![tasks.round(self.deliveries)],
        );
        all.extend(rows(&value(workload, size, ""), &samples, 0));
        others.extend(tasks.into_iter().map(|tasks| tasks.unpark()));
        others.sort_by_key(|contestant| names.iter().position(|name| *name == contestant.name()));
        others
    }

    fn by_user(&self, all: &mut Vec<Row>) {
        let sizes = [1_000, 100_000];
        let mut engines = sizes.map(ByUser::new);
        let mut samples = [Vec::new(), Vec::new()];
        engines.iter_mut().for_each(|engine| {
            engine.turn();
        });
        for _ in 0..self.turns.0 {
            for (engine, samples) in engines.iter_mut().zip(&mut samples) {
                samples.push(vec![Sample::Value(engine.turn())]);
            }
        }
        for (size, samples) in sizes.into_iter().zip(samples) {
            all.extend(rows(
                &value("subscribe-by-user", size, "ns per tab"),
                &[(Holocast::NAME, samples)],
                0,
            ));
        }
    }

    fn memory(&self, all: &mut Vec<Row>) {
        let connections = self.memory;
        let measured = [
            bytes::<Holocast>(connections),
            bytes::<TokioBroadcast>(connections),
            bytes::<DashMapTokioMpsc>(connections),
            bytes::<DashMapTokioMpscBounded>(connections),
            bytes::<RwLockFlume>(connections),
            bytes::<RwLockCrossbeamChannel>(connections),
            bytes::<PapayaArcSwapSegQueue>(connections),
        ];
        type Part = fn(&Bytes) -> f64;
        let of: [(&str, Part); 3] = [
            ("memory-idle-connection", |bytes| bytes.idle_connection),
            ("memory-binding", |bytes| bytes.binding),
            ("memory-queued-event", |bytes| bytes.queued_event),
        ];
        for (workload, part) in of {
            let samples: Vec<_> = measured
                .iter()
                .map(|(name, bytes)| (*name, vec![vec![Sample::Value(part(bytes))]]))
                .collect();
            all.extend(rows(&value(workload, connections, "bytes"), &samples, 0));
        }
    }
}

fn value(workload: &str, size: usize, unit: &'static str) -> Measure {
    Measure { workload: workload.to_owned(), subscribers: size, order: None, unit }
}

fn bytes<P: Peer>(connections: usize) -> (&'static str, Bytes) {
    (P::NAME, memory::measure::<P>(connections))
}

/// By workload; within it by order and size, which is how they were pushed.
fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    let mut names: Vec<String> = Vec::new();
    for row in &rows {
        if !names.contains(&row.workload) {
            names.push(row.workload.clone());
        }
    }
    // What one workload measures has its name in front; the longest counts, for one may begin like another.
    let kind = |name: &str| {
        let kinds = WORKLOADS.iter().enumerate().filter(|(_, kind)| name.starts_with(**kind));
        kinds.max_by_key(|(_, kind)| kind.len()).map(|(place, _)| place)
    };
    rows.sort_by_key(|row| {
        (kind(&row.workload), names.iter().position(|name| *name == row.workload), row.order)
    });
    rows
}
