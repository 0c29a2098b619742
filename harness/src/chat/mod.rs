//! The built-in workload: a chat network shaped like IRC, measured and accounted for.
//!
//! Publisher threads run scripted people, receiver threads drain what these cause, and at three rests every message must be
//! accounted for (rule B5).

mod accounts;
mod message;
mod people;
mod publisher;
mod receiver;
mod report;
mod world;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

pub use accounts::{Accounts, Rest};
pub use report::{Latency, OtherEvents, Report, Workload};

use crate::cli::ChatArgs;
use crate::failure::Failure;
use publisher::{Counts, Publisher};
use receiver::{Received, Receiver};
use world::World;

/// Runs the workload, writes the report and prints it.
///
/// # Errors
///
/// The accounting does not balance, or the report can't be written.
pub fn run(args: &ChatArgs) -> Result<(), Failure> {
    let report = measure(args)?;
    let path = report.write(&args.out)?;
    report.print(&path)?;
    match report.accounts.first_fault() {
        None => Ok(()),
        Some(fault) => Err(Failure::Broken(fault)),
    }
}

/// Runs the workload.
///
/// # Errors
///
/// The engine refuses its configuration or a call.
pub fn measure(args: &ChatArgs) -> Result<Report, Failure> {
    let world = World::new(args)?;
    let bar = progress_bar(args);
    // Everybody has joined; nobody has written yet.
    let settled = Barrier::new(args.threads as usize + 1);
    let (published, mut receivers, wall) = thread::scope(|scope| {
        let receivers: Vec<_> = (0..args.receivers as usize)
            .map(|index| {
                scope.spawn({
                    let world = &world;
                    move || Receiver::new(world, index).run()
                })
            })
            .collect();
        let publishers: Vec<_> = (0..args.threads)
            .map(|index| {
                let (world, settled) = (&world, &settled);
                scope.spawn(move || {
                    let mut publisher = Publisher::new(world, args, index);
                    let ready = publisher.settle();
                    settled.wait();
                    let published = ready.and_then(|()| publisher.run());
                    world.publisher_done();
                    published
                })
            })
            .collect();
        settled.wait();
        let started = Instant::now();
        while publishers.iter().any(|publisher| !publisher.is_finished()) {
            bar.set_position(started.elapsed().as_millis() as u64);
            thread::sleep(Duration::from_millis(20));
        }
        let wall = started.elapsed();
        let published: Vec<Result<Counts, Failure>> = publishers.into_iter().map(joined).collect();
        let receivers: Vec<Receiver<'_>> = receivers.into_iter().map(joined).collect();
        (published, receivers, wall)
    });
    bar.finish_and_clear();
    let mut counts = Counts::default();
    for published in published {
        counts += published?;
    }

    let mut accounts = Accounts::new(&counts);
    accounts.rest("as the last publisher stopped", &world, &receivers);
    for receiver in &mut receivers {
        receiver.drain_all();
    }
    accounts.rest("drained", &world, &receivers);
    world.end_half();
    for receiver in &mut receivers {
        receiver.end_all();
    }
    accounts.rest("all ended", &world, &receivers);
    accounts.nothing_is_left(&world);

    let mut received = Received::default();
    for receiver in receivers {
        received += receiver.into_received();
    }
    Ok(Report::new(args, &counts, &received, accounts, wall))
}

/// What a thread returned; if it panicked, so do we.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Time passed, on standard error if that is a terminal and the end is known.
fn progress_bar(args: &ChatArgs) -> ProgressBar {
    if args.operations.is_some() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new((args.seconds * 1e3) as u64);
    if let Ok(style) = ProgressStyle::with_template("chat {wide_bar} {percent} %") {
        bar.set_style(style);
    }
    bar
}
