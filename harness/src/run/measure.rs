//! One variant of a workload, from the first connection to the last: set-up, warm-up, measurement, end.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::audit::{self, Counted};
use super::caller::Publisher;
use super::crowd::Crowd;
use super::figures;
use super::receiver::Receiver;
use super::record::{Answer, Call, Record, Seen};
use super::script::Script;
use super::trace::Trace;
use super::workload::{Variant, Workload};
use super::world::{World, ns};
use crate::failure::Failure;
use crate::results::Run;

/// Longest wait for the receivers to take what the set-up told them.
const SETTLE: Duration = Duration::from_secs(60);

/// What the publishers do.
enum Plan {
    /// Scripted people, by publisher.
    Scripts(Vec<Script>),
    /// The lines of a trace, by one publisher.
    Trace(Trace),
}

/// Runs one variant.
///
/// # Errors
///
/// Its trace can't be read, or the engine refuses its configuration or a call. What the audit finds is no error: it is in the
/// [`Run`].
pub fn measure(variant: &Variant, seed: u64) -> Result<Run, Failure> {
    figures::forget_peak();
    let bar = spinner(variant);
    let mut settings = variant.settings.clone();
    let (plan, crowd) = match &settings.trace {
        Some(path) => {
            let (trace, crowd) = Trace::read(path, &settings)?;
            (settings.threads, settings.warm_up_seconds) = (1, 0.0);
            settings.seconds = trace.seconds();
            (Plan::Trace(trace), crowd)
        }
        None => {
            let crowd = Crowd::new(&settings, seed);
            let scripts = (0..settings.threads).map(|index| Script::new(&settings, &crowd, seed, index));
            (Plan::Scripts(scripts.collect()), crowd)
        }
    };
    let presents = match &plan {
        Plan::Scripts(scripts) => scripts.iter().any(Script::presents),
        Plan::Trace(_) => true,
    };
    let length_seconds = settings.warm_up_seconds + settings.seconds;
    let world = World::new(&settings, crowd, presents)?;
    // Everybody is there; then all begin at once.
    let (settled, begin) =
        (Barrier::new(settings.threads as usize + 1), Barrier::new(settings.threads as usize + 1));
    let (called, mut receivers, connections) = thread::scope(|scope| {
        let receivers: Vec<_> = (0..world.receivers())
            .map(|index| {
                let world = &world;
                scope.spawn(move || Receiver::new(world, index).run())
            })
            .collect();
        let publishers: Vec<_> = (0..settings.threads as usize)
            .map(|index| {
                let (world, plan, settled, begin) = (&world, &plan, &settled, &begin);
                scope.spawn(move || {
                    let meet = || {
                        settled.wait();
                        begin.wait();
                    };
                    match plan {
                        Plan::Scripts(scripts) => {
                            let mut publisher = Publisher::new(world, index);
                            let ready = publisher.set_up(&scripts[index]);
                            meet();
                            ready.and_then(|()| publisher.run(&scripts[index], length_seconds))
                        }
                        Plan::Trace(trace) => {
                            meet();
                            trace.run(world)
                        }
                    }
                })
            })
            .collect();
        settled.wait();
        world.settle(SETTLE);
        let connections = world.engine.stats().connections;
        world.start();
        begin.wait();
        progress(&bar, variant, length_seconds);
        let started = Instant::now();
        while publishers.iter().any(|publisher| !publisher.is_finished()) {
            bar.set_position((started.elapsed().as_secs_f64().min(length_seconds) * 1e3) as u64);
            thread::sleep(Duration::from_millis(20));
        }
        let called: Vec<Result<Vec<Call>, Failure>> = publishers.into_iter().map(joined).collect();
        world.stop();
        let receivers: Vec<Receiver<'_>> = receivers.into_iter().map(joined).collect();
        (called, receivers, connections)
    });
    let calls: Vec<Vec<Call>> = called.into_iter().collect::<Result<_, _>>()?;
    bar.set_message(format!("{}: ending and auditing", title(variant)));
    let mut ended = Ended::new(&calls);
    ended.rest("as the last publisher stopped", &world, &receivers);
    for_each(&mut receivers, Receiver::drain_all);
    ended.rest("drained", &world, &receivers);
    world.end_some();
    for_each(&mut receivers, Receiver::end_all);
    ended.rest("all connections ended", &world, &receivers);
    let accounts = audit::accounts(&world.engine.stats());
    ended.faults.extend(audit::left(&world.engine.stats(), || {
        world.on_the_way.iter().map(|publisher| publisher.messages()).sum()
    }));

    let seen: Vec<Seen> = receivers.into_iter().map(Receiver::into_seen).collect();
    let record = Record { calls, seen };
    let window = figures::Window::new(world.start_ns(), &settings, &record);
    let mut run = figures::run(&record, &window, &settings, |tab| world.is_stalled(tab));
    run.audit = audit::audit(&record, &world.crowd, accounts, ended.faults, settings.trace.is_none());
    (run.workload, run.variant) = (variant.workload.clone(), variant.name.clone());
    run.description.clone_from(&settings.description);
    run.seed = seed;
    (run.planned_rate, run.connections) = match &plan {
        Plan::Scripts(scripts) => (planned_rate(scripts, &settings), connections),
        // Nobody is there before its first line.
        Plan::Trace(trace) => (trace.rate, trace.tabs()),
    };
    bar.finish_and_clear();
    Ok(run)
}

/// Operations a second that are planned in the measurement: those of the rate, and of bursts.
fn planned_rate(scripts: &[Script], settings: &Workload) -> f64 {
    let from_ns = ns(settings.warm_up_seconds);
    let planned = scripts.iter().flat_map(|script| &script.timed);
    planned.filter(|planned| planned.due_ns >= from_ns).count() as f64 / settings.seconds
}

/// The accounting as the run ends.
struct Ended {
    counted: Counted,
    faults: Vec<String>,
}

impl Ended {
    fn new(calls: &[Vec<Call>]) -> Self {
        let mut counted = Counted::default();
        for call in calls.iter().flatten() {
            if let Answer::Reach { reached, refused } = call.answer {
                counted.reached += u64::from(reached);
                counted.refused += u64::from(refused);
            }
        }
        Ended { counted, faults: Vec::new() }
    }

    /// Holds the sums against each other; no other thread works.
    fn rest(&mut self, when: &str, world: &World, receivers: &[Receiver<'_>]) {
        self.counted.received = receivers.iter().map(|receiver| receiver.seen().deliveries()).sum();
        let sums = audit::accounts(&world.engine.stats());
        self.faults.extend(audit::unbalanced(when, &sums, &self.counted));
    }
}

/// Lets every receiver do something on a thread of its own.
fn for_each<'w>(receivers: &mut [Receiver<'w>], act: impl Fn(&mut Receiver<'w>) + Sync) {
    thread::scope(|scope| {
        for receiver in receivers {
            let act = &act;
            scope.spawn(move || act(receiver));
        }
    });
}

/// What a thread returned; if it panicked, so do we.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A run as messages name it.
pub(super) fn title(variant: &Variant) -> String {
    match variant.name.as_str() {
        "" => variant.workload.clone(),
        name => format!("{}, {name}", variant.workload),
    }
}

/// On standard error, if that is a terminal.
fn spinner(variant: &Variant) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(format!("{}: setting up", title(variant)));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn progress(bar: &ProgressBar, variant: &Variant, length_seconds: f64) {
    bar.set_length(ns(length_seconds) / 1_000_000);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} %") {
        bar.set_style(style);
    }
    bar.set_message(title(variant));
}
