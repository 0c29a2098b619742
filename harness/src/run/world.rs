//! What all threads of a run share: the engine, the crowd, the clock, and one desk for each receiver.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holocast::{Client, Connected, Connection, Error, Lane, Realtime, Receipt};

use super::crowd::Crowd;
use super::script::NS_PER_SECOND;
use super::workload::Workload;
use crate::failure::Failure;
use crate::ready::ReadyList;
use crate::replay::Wallet;

/// Sleeping ends late by about as much; the rest of a wait is spent yielding.
const SLEEP_OVERSHOOT: Duration = Duration::from_micros(120);

/// What is broadcast: its number, and a count of the messages still in somebody's hands.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) number: u32,
    alive: OnTheWay,
}

/// How many messages of one publisher exist: on their way, queued, or being handed out.
#[derive(Debug, Clone, Default)]
pub(super) struct OnTheWay(Arc<AtomicU64>);

impl OnTheWay {
    pub(super) fn messages(&self) -> u64 {
        // Relaxed: read at rest, which the joins of the threads order.
        self.0.load(Ordering::Relaxed)
    }
}

impl Message {
    pub(super) fn new(number: u32, alive: &OnTheWay) -> Self {
        // Relaxed: as in `OnTheWay::messages`.
        alive.0.fetch_add(1, Ordering::Relaxed);
        Message { number, alive: alive.clone() }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // Relaxed: as in `OnTheWay::messages`.
        self.alive.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) struct World {
    pub(super) engine: Realtime<Message>,
    pub(super) crowd: Crowd,
    /// What each tab's browser keeps, by tab; empty if nobody ever presents receipts.
    wallets: Vec<Mutex<Wallet>>,
    desks: Vec<Desk>,
    /// By receiver; empty if each tab has a queue of its own.
    stations: Vec<Mutex<Option<Station>>>,
    /// By publisher.
    pub(super) on_the_way: Vec<OnTheWay>,
    stalled_percent: f64,
    /// Time of the run counts from here.
    zero: Instant,
    /// The engine's clock at zero.
    zero_unix_ms: u64,
    /// The start of the warm-up.
    start_ns: AtomicU64,
    /// Nobody calls the engine any more.
    stopped: AtomicBool,
}

/// Where one receiver learns of new connections and of those that got something.
pub(super) struct Desk {
    pub(super) ready: Arc<ReadyList>,
    inbox: Mutex<Vec<Arrival>>,
    /// It had nothing to do when it last looked.
    pub(super) idle: AtomicBool,
}

/// The lane of one receiver. Publishers connect tabs to it, so it is behind a lock; nothing is handed out under that.
pub(super) struct Station {
    pub(super) lane: Lane<Message>,
    /// Lives whose end was not told.
    pub(super) open: HashSet<u32>,
}

/// What a lane knows a life of a tab by.
pub(super) fn token(tab: u32, life: u32) -> u64 {
    u64::from(tab) << 32 | u64::from(life)
}

/// The tab and the life of a token.
pub(super) fn of_token(token: u64) -> (u32, u32) {
    ((token >> 32) as u32, token as u32)
}

/// A new connection on its way to its receiver.
pub(super) struct Arrival {
    pub(super) tab: u32,
    pub(super) life: u32,
    pub(super) connection: Connection<Message>,
}

impl World {
    pub(super) fn new(workload: &Workload, crowd: Crowd, presents: bool) -> Result<Self, Failure> {
        let zero = Instant::now();
        let zero_unix_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let engine = Realtime::builder()
            .queue_capacity(workload.queue.capacity)
            .lane_capacity(workload.queue.capacity)
            .overflow(workload.queue.overflow.into())
            // The run's own clock, so that stamps can be held against the times of calls.
            .clock(move || zero_unix_ms + zero.elapsed().as_millis() as u64)
            .expected_connections(crowd.tabs.len())
            .expected_channels(crowd.rooms.len())
            .build()
            .map_err(|error| Failure::Broken(format!("the engine refuses its configuration: {error}")))?;
        let wallets = if presents { crowd.tabs.len() } else { 0 };
        let desk = || Desk { ready: ReadyList::new(), inbox: Mutex::default(), idle: AtomicBool::new(false) };
        let lanes = if workload.receivers.lanes { workload.receivers.threads } else { 0 };
        let station = || Mutex::new(Some(Station { lane: engine.lane(), open: HashSet::new() }));
        Ok(World {
            stations: (0..lanes).map(|_| station()).collect(),
            engine,
            crowd,
            wallets: (0..wallets).map(|_| Mutex::default()).collect(),
            desks: (0..workload.receivers.threads).map(|_| desk()).collect(),
            on_the_way: (0..workload.threads).map(|_| OnTheWay::default()).collect(),
            stalled_percent: workload.receivers.stalled_percent,
            zero,
            zero_unix_ms,
            start_ns: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// Nanoseconds since the run's zero.
    pub(super) fn now_ns(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    /// Milliseconds since the run's zero of a time on the engine's clock.
    pub(super) fn since_zero_ms(&self, unix_ms: u64) -> u64 {
        unix_ms.saturating_sub(self.zero_unix_ms)
    }

    /// Starts the warm-up now.
    pub(super) fn start(&self) {
        // Relaxed: the barrier that follows orders it.
        self.start_ns.store(self.now_ns(), Ordering::Relaxed);
    }

    pub(super) fn start_ns(&self) -> u64 {
        // Relaxed: as in `start`.
        self.start_ns.load(Ordering::Relaxed)
    }

    /// Comes back at this time or, if it has passed, at once.
    pub(super) fn wait_until(&self, due_ns: u64) {
        loop {
            let left = Duration::from_nanos(due_ns.saturating_sub(self.now_ns()));
            if left.is_zero() {
                return;
            }
            if left > SLEEP_OVERSHOOT {
                thread::sleep(left - SLEEP_OVERSHOOT);
            } else {
                // The receivers may need the core.
                thread::yield_now();
            }
        }
    }

    pub(super) fn desk(&self, receiver: usize) -> &Desk {
        &self.desks[receiver]
    }

    pub(super) fn receivers(&self) -> usize {
        self.desks.len()
    }

    /// Connects a tab and lets its receiver know: the fresh receipts, and whether a live connection was superseded.
    pub(super) fn connect(
        &self,
        tab: u32,
        life: u32,
        client: &Client,
        receipts: &[Receipt],
    ) -> Result<(Vec<Receipt>, bool), Error> {
        let receiver = tab as usize % self.desks.len();
        if let Some(Some(station)) = self.station(receiver).as_deref_mut() {
            let connected = station.lane.reconnect(client, receipts, token(tab, life))?;
            station.open.insert(life);
            let desk = &self.desks[receiver];
            // Relaxed: as in hand_over().
            desk.idle.store(false, Ordering::Relaxed);
            desk.ready.nudge();
            return Ok((connected.receipts, connected.superseded));
        }
        let Connected { connection, receipts, superseded } = self.engine.reconnect(client, receipts)?;
        self.hand_over(Arrival { tab, life, connection });
        Ok((receipts, superseded))
    }

    /// The lane of a receiver; `None` if tabs have queues of their own.
    pub(super) fn station(&self, receiver: usize) -> Option<MutexGuard<'_, Option<Station>>> {
        self.stations.get(receiver).map(locked)
    }

    /// Gives a new connection to the receiver that serves its tab.
    pub(super) fn hand_over(&self, arrival: Arrival) {
        let desk = &self.desks[arrival.tab as usize % self.desks.len()];
        // Relaxed: a hint for whoever waits until all is quiet.
        desk.idle.store(false, Ordering::Relaxed);
        locked(&desk.inbox).push(arrival);
        desk.ready.nudge();
    }

    /// The connections handed over since the last call, oldest first.
    pub(super) fn handed_over(&self, receiver: usize) -> Vec<Arrival> {
        std::mem::take(&mut *locked(&self.desks[receiver].inbox))
    }

    /// What a tab's browser keeps; `None` if nobody ever asks.
    pub(super) fn wallet(&self, tab: u32) -> Option<MutexGuard<'_, Wallet>> {
        self.wallets.get(tab as usize).map(locked)
    }

    /// Whether a tab takes nothing while it is connected: so many of a hundred, evenly spread.
    pub(super) fn is_stalled(&self, tab: u32) -> bool {
        let until = |tab: u32| (f64::from(tab) * self.stalled_percent / 100.0).floor();
        until(tab + 1) > until(tab)
    }

    /// Waits until no receiver has anything to do, or for `patience`.
    pub(super) fn settle(&self, patience: Duration) {
        let since = Instant::now();
        // Relaxed: as in `hand_over`.
        let quiet = || self.desks.iter().all(|desk| desk.idle.load(Ordering::Relaxed));
        while since.elapsed() < patience {
            thread::sleep(Duration::from_millis(2));
            if quiet() {
                return;
            }
        }
    }

    /// The publishers are done: receivers drain what there is and stop.
    pub(super) fn stop(&self) {
        // Relaxed: the nudge's lock orders it.
        self.stopped.store(true, Ordering::Relaxed);
        for desk in &self.desks {
            desk.ready.nudge();
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        // Relaxed: as in `stop`.
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends some connections from the server's side; the others end as their receivers go.
    pub(super) fn end_some(&self) {
        /// Enough to see that it works.
        const MOST: usize = 5_000;

        for tab in self.crowd.tabs.iter().step_by(2).take(MOST) {
            self.engine.disconnect(&tab.instance);
        }
    }
}

/// Nanoseconds of so many seconds.
pub(super) fn ns(seconds: f64) -> u64 {
    (seconds * NS_PER_SECOND) as u64
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked ends the whole run; until then its data is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
