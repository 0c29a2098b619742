//! A parked tokio task for every connection: from the call to the last receipt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::peer::{Peer, Receiver};
use super::turns::Sample;
use super::world::{Contestant, World};

/// Which of tokio's runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// The publisher and the tasks share one thread.
    CurrentThread,
    /// As many workers as the machine has cores; the publisher is a task too.
    MultiThread,
}

/// The params that end a task.
pub(super) const STOP: u64 = 0;

/// A crowd of tasks.
pub(super) trait Parked {
    fn name(&self) -> &'static str;

    /// Broadcasts, and waits until all have it; about so many deliveries.
    fn round(&mut self, deliveries: usize) -> Sample;

    /// Ends the tasks and gives the connections back.
    fn unpark(self: Box<Self>) -> Box<dyn Contestant>;
}

struct Tasks<P: Peer> {
    peer: Arc<P>,
    room: holocast::Channel,
    guest: P::Receiver,
    runtime: Runtime,
    tasks: Vec<JoinHandle<P::Receiver>>,
    receipts: Arc<Receipts>,
}

/// Deliveries of a broadcast that nobody has taken yet.
#[derive(Default)]
pub(super) struct Receipts {
    missing: AtomicUsize,
    all: Notify,
}

impl Receipts {
    /// So many were taken.
    pub(super) fn note(&self, taken: usize) {
        // AcqRel: the last receipt comes after all others.
        if self.missing.fetch_sub(taken, Ordering::AcqRel) == taken {
            self.all.notify_one();
        }
    }
}

impl Flavour {
    pub(super) fn runtime(self) -> Runtime {
        let runtime = match self {
            Flavour::CurrentThread => Builder::new_current_thread().build(),
            Flavour::MultiThread => Builder::new_multi_thread().build(),
        };
        runtime.expect("a runtime without drivers asks the system for threads only")
    }
}

/// From the call to the last of so many receipts; the publisher is a task too.
pub(super) fn broadcast(
    runtime: &Runtime,
    receipts: &Arc<Receipts>,
    due: usize,
    publish: impl FnOnce() + Send + 'static,
) -> Duration {
    // Release: with the tasks' AcqRel.
    receipts.missing.store(due, Ordering::Release);
    let receipts = Arc::clone(receipts);
    let handle = runtime.spawn(async move {
        let start = Instant::now();
        publish();
        receipts.all.notified().await;
        start.elapsed()
    });
    runtime.block_on(handle).expect("the publisher does not panic")
}

/// So many broadcasts to so many tasks, each from the call to the last receipt.
pub(super) fn rounds(
    deliveries: usize,
    connections: usize,
    mut broadcast: impl FnMut() -> Duration,
) -> Sample {
    let rounds = (deliveries / connections).clamp(1, 200);
    // A task that has taken waits again within the same poll; the first round of all, in which some were never polled before, is the
    // unmeasured one.
    let time: Duration = (0..rounds).map(|_| broadcast()).sum();
    Sample::Total(time.as_nanos() as f64 / (rounds * connections) as f64)
}

/// What tasks that have ended give back. Ends the runtime, and with it the publisher's task.
pub(super) fn joined<T>(runtime: Runtime, tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    runtime.block_on(async {
        let mut given = Vec::with_capacity(tasks.len());
        for task in tasks {
            given.push(task.await.expect("a receiver does not panic"));
        }
        given
    })
}

pub(super) fn park<P: Peer>(world: World<P>, flavour: Flavour) -> Box<dyn Parked> {
    let World { peer, receivers, guest, room } = world;
    let runtime = flavour.runtime();
    let receipts = Arc::new(Receipts::default());
    let tasks = receivers
        .into_iter()
        .map(|mut receiver| {
            let receipts = Arc::clone(&receipts);
            runtime.spawn(async move {
                loop {
                    let params = receiver.take().await;
                    receipts.note(1);
                    if params.is_none_or(|params| params == STOP) {
                        return receiver;
                    }
                }
            })
        })
        .collect();
    let tasks = Tasks { peer: Arc::new(peer), room, guest, runtime, tasks, receipts };
    Box::new(tasks)
}

impl<P: Peer> Tasks<P> {
    fn broadcast(&self, params: u64) -> Duration {
        let (peer, room) = (Arc::clone(&self.peer), self.room.clone());
        broadcast(&self.runtime, &self.receipts, self.tasks.len(), move || peer.publish(&room, params))
    }
}

impl<P: Peer> Parked for Tasks<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn round(&mut self, deliveries: usize) -> Sample {
        rounds(deliveries, self.tasks.len(), || self.broadcast(1))
    }

    fn unpark(self: Box<Self>) -> Box<dyn Contestant> {
        self.broadcast(STOP);
        let Tasks { peer, room, guest, runtime, tasks, .. } = *self;
        let receivers = joined(runtime, tasks);
        let peer = Arc::into_inner(peer).expect("the publisher has gone");
        Box::new(World { peer, receivers, guest, room })
    }
}
