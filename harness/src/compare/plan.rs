//! What is measured, at which sizes, and how often.
//!
//! By size, smallest first: all contestants get a crowd, do the work of that size in turns, and go.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::by_user::ByUser;
use super::memory::{self, Bytes};
use super::parked::{Flavour, Parked};
use super::peer::Peer;
use super::peers::{
    DashMapTokioMpsc, DashMapTokioMpscBounded, Floor, Holocast, PapayaArcSwapSegQueue,
    RwLockCrossbeamChannel, RwLockFlume, TokioBroadcast,
};
use super::turns::{Measure, Sample, in_turns, rows};
use super::world::{Contestant, World};
use crate::failure::Failure;
use crate::results::{Machine, Order, Row};

/// Messages of one burst.
const BURST: usize = 8;

/// Shares of the broadcasts whose times are shown under churn, in per cent; after them the longest.
const QUANTILES: [(&str, f64); 4] = [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

/// What one connection of all contestants together takes, tasks included; generously.
const BYTES_PER_CONNECTION: u64 = 12 << 10;

/// Every workload, in the order in which one size does them.
const WORKLOADS: [&str; 13] = [
    "fanout",
    "fanout-burst-8",
    "fanout-two-threads",
    "fanout-except",
    "hot",
    "parked-current-thread",
    "parked-multi-thread",
    "subscribe",
    "unsubscribe",
    "publish-calm",
    "publish-churn",
    "subscribe-by-user",
    "memory",
];

/// Sizes for a workload: none, or up to a bound.
type Sizes = fn(&str, usize) -> bool;

/// What to measure.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    sizes: &'static [usize],
    /// Whether a workload is done at a size.
    at: Sizes,
    /// Whether a workload is done in shuffled order too.
    shuffled: Sizes,
    /// Turns, up to 100,000 subscribers and beyond.
    turns: (u32, u32),
    /// Deliveries of one turn, about.
    deliveries: usize,
    churn: Duration,
    /// Connections of the memory measures.
    memory: usize,
    only: Vec<&'static str>,
}

impl Plan {
    /// Everything, in less than ten minutes.
    pub(super) fn whole() -> Self {
        Plan {
            sizes: &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
            at: |workload, size| match workload {
                "hot" => size == 1,
                "publish-calm" | "publish-churn" => (100..=10_000).contains(&size),
                _ => true,
            },
            shuffled: |workload, _| matches!(workload, "fanout" | "fanout-burst-8"),
            turns: (9, 3),
            deliveries: 40_000,
            churn: Duration::from_millis(150),
            memory: 100_000,
            only: WORKLOADS.to_vec(),
        }
    }

    /// The main rows, in less than a minute.
    pub(super) fn quick() -> Self {
        Plan {
            sizes: &[1, 100, 1_000, 10_000, 100_000],
            at: |workload, size| match workload {
                "fanout" => size > 1,
                "hot" => size == 1,
                "subscribe" | "unsubscribe" => size == 1_000,
                "fanout-burst-8" | "fanout-two-threads" | "fanout-except" => size == 1_000,
                "parked-current-thread" | "parked-multi-thread" => size == 1_000,
                "publish-calm" | "publish-churn" => size == 1_000,
                _ => true,
            },
            shuffled: |workload, size| workload == "fanout" && size == 100_000,
            turns: (7, 3),
            deliveries: 20_000,
            churn: Duration::from_millis(60),
            memory: 10_000,
            only: WORKLOADS.to_vec(),
        }
    }

    /// What the report shows.
    pub(super) fn for_report() -> Self {
        Plan {
            sizes: &[1, 10, 100, 1_000, 10_000, 100_000],
            shuffled: |workload, size| workload == "fanout" && size >= 1_000,
            turns: (5, 3),
            only: vec!["fanout", "memory"],
            at: |_, _| true,
            ..Plan::quick()
        }
    }

    /// Only workloads whose names contain one of these; all, if there are none.
    pub(super) fn only(mut self, names: &[String]) -> Result<Self, Failure> {
        if let Some(name) =
            names.iter().find(|name| !WORKLOADS.iter().any(|workload| workload.contains(*name)))
        {
            return Err(Failure::Input(format!(
                "no workload's name contains {name:?}; there are {}",
                WORKLOADS.join(", ")
            )));
        }
        if !names.is_empty() {
            self.only.retain(|workload| names.iter().any(|name| workload.contains(name)));
        }
        Ok(self)
    }

    fn does(&self, workload: &str, size: usize) -> bool {
        self.only.contains(&workload) && (self.at)(workload, size)
    }

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
        // By workload; within it by order and size, which is how they were pushed.
        rows.sort_by_key(|row| (WORKLOADS.iter().position(|name| row.workload.starts_with(name)), row.order));
        rows
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
        let mut contestants = crowd(size);
        for workload in ["fanout", "fanout-burst-8", "fanout-two-threads", "fanout-except", "hot"] {
            if self.does(workload, size) {
                bar.set_message(format!("{workload}, {size} subscribers"));
                self.deliveries(workload, size, Order::Allocation, &mut contestants, all);
            }
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
        let shuffled = ["fanout", "fanout-burst-8"];
        if shuffled.iter().any(|workload| self.does(workload, size) && (self.shuffled)(workload, size)) {
            bar.set_message(format!("shuffling {size} subscribers"));
            contestants.iter_mut().for_each(|contestant| contestant.shuffle());
            for workload in shuffled {
                if self.does(workload, size) && (self.shuffled)(workload, size) {
                    bar.set_message(format!("{workload}, {size} subscribers, shuffled"));
                    self.deliveries(workload, size, Order::Shuffled, &mut contestants, all);
                }
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
            |contestant| workload != "fanout-except" || contestant.excludes(),
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

    fn changes(&self, size: usize, contestants: &mut [Box<dyn Contestant>], all: &mut Vec<Row>) {
        let samples = in_turns(
            contestants,
            self.turns(size),
            |contestant| contestant.subscribes(),
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
                |contestant| contestant.subscribes(),
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

/// Names of all, and what each is.
pub(super) fn legend() -> [(&'static str, &'static str); 8] {
    fn of<P: Peer>() -> (&'static str, &'static str) {
        (P::NAME, P::ABOUT)
    }
    [
        of::<Floor>(),
        of::<Holocast>(),
        of::<TokioBroadcast>(),
        of::<DashMapTokioMpsc>(),
        of::<DashMapTokioMpscBounded>(),
        of::<RwLockFlume>(),
        of::<RwLockCrossbeamChannel>(),
        of::<PapayaArcSwapSegQueue>(),
    ]
}

/// Everybody with a crowd of so many.
fn crowd(connections: usize) -> Vec<Box<dyn Contestant>> {
    fn new<P: Peer>(connections: usize) -> Box<dyn Contestant> {
        Box::new(World::<P>::new(connections))
    }
    vec![
        new::<Floor>(connections),
        new::<Holocast>(connections),
        new::<TokioBroadcast>(connections),
        new::<DashMapTokioMpsc>(connections),
        new::<DashMapTokioMpscBounded>(connections),
        new::<RwLockFlume>(connections),
        new::<RwLockCrossbeamChannel>(connections),
        new::<PapayaArcSwapSegQueue>(connections),
    ]
}
