//! What all threads of the workload share: the engine, the rooms, and one desk for each receiver.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holocast::{Channel, Connection, Realtime, Text};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::message::{Message, OnTheWay};
use super::people::{self, Person};
use crate::cli::ChatArgs;
use crate::failure::Failure;
use crate::ready::ReadyList;
use crate::replay::Wallet;

pub(super) struct World {
    pub(super) engine: Realtime<Message>,
    /// By popularity: ranks are shuffled, so that a popular room is nothing special to the engine.
    pub(super) rooms: Vec<Channel>,
    /// What each tab's browser keeps, by tab.
    wallets: Vec<Mutex<Wallet>>,
    /// Everybody, in the share of one publisher each.
    pub(super) shares: Vec<Vec<Person>>,
    /// The name of each tab.
    pub(super) instances: Vec<Text>,
    desks: Vec<Desk>,
    /// By publisher.
    pub(super) on_the_way: Vec<OnTheWay>,
    publishing: AtomicU32,
    stopped: AtomicBool,
}

/// Where one receiver learns of new connections and of those that got something.
pub(super) struct Desk {
    pub(super) ready: Arc<ReadyList>,
    inbox: Mutex<Vec<(usize, Connection<Message>)>>,
}

impl World {
    pub(super) fn new(args: &ChatArgs) -> Result<Self, Failure> {
        let engine = Realtime::builder()
            .build()
            .map_err(|error| Failure::Broken(format!("the engine refuses its configuration: {error}")))?;
        let mut rng = Pcg64Mcg::seed_from_u64(args.seed);
        let mut numbers: Vec<u32> = (0..args.rooms).collect();
        numbers.shuffle(&mut rng);
        let rooms = numbers.into_iter().map(|number| holocast::channel!("room", number)).collect();
        let (shares, instances) = people::crowd(args, &mut rng);
        let desk = || Desk { ready: ReadyList::new(), inbox: Mutex::default() };
        Ok(World {
            engine,
            rooms,
            wallets: instances.iter().map(|_| Mutex::default()).collect(),
            shares,
            instances,
            desks: (0..args.receivers).map(|_| desk()).collect(),
            on_the_way: (0..args.threads).map(|_| OnTheWay::default()).collect(),
            publishing: AtomicU32::new(args.threads),
            stopped: AtomicBool::new(false),
        })
    }

    pub(super) fn desk(&self, receiver: usize) -> &Desk {
        &self.desks[receiver]
    }

    /// Gives a new connection of a tab to the receiver that serves the tab.
    pub(super) fn hand_over(&self, tab: usize, connection: Connection<Message>) {
        let desk = &self.desks[tab % self.desks.len()];
        locked(&desk.inbox).push((tab, connection));
        desk.ready.nudge();
    }

    /// The connections handed over since the last call, oldest first.
    pub(super) fn handed_over(&self, receiver: usize) -> Vec<(usize, Connection<Message>)> {
        std::mem::take(&mut *locked(&self.desks[receiver].inbox))
    }

    pub(super) fn wallet(&self, tab: usize) -> MutexGuard<'_, Wallet> {
        locked(&self.wallets[tab])
    }

    /// A publisher is done. After the last one the receivers stop as they are: what is queued then is part of the accounting.
    pub(super) fn publisher_done(&self) {
        // AcqRel: whoever is last comes after all the others.
        if self.publishing.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        // Relaxed: the nudge's lock orders it.
        self.stopped.store(true, Ordering::Relaxed);
        for desk in &self.desks {
            desk.ready.nudge();
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        // Relaxed: as in `publisher_done`.
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends every other connection from the server's side; the others end as their receivers go.
    pub(super) fn end_half(&self) {
        for instance in self.instances.iter().step_by(2) {
            self.engine.disconnect(instance);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked ends the whole run; until then its data is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
