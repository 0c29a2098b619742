//! One publisher thread: the people of its share join, leave, write, log in and out, are kicked, go and come back.

use std::ops::AddAssign;
use std::thread;
use std::time::{Duration, Instant};

use holocast::{Cid, Error, Identity};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use super::message::{Message, OnTheWay};
use super::people::Person;
use super::world::World;
use crate::cli::ChatArgs;
use crate::failure::Failure;

/// The component that chats.
const CID: &str = "page";

/// Rooms' sizes follow Zipf's law with this exponent.
const ZIPF: f64 = 1.0;

/// Most tabs that are away at once: one in so many.
const AWAY: usize = 10;

/// An outage takes one in so many tabs: the worst minute of joins is also the worst minute of quits.
const OUTAGE: usize = 50;

/// How often each thing happens, of a thousand. The data has 0.5 to 2.3 messages for every join or leave of an archive, and
/// 6 for each in the trace; between these lies this mix, whose people are counted by engine calls.
const MESSAGE: u32 = 840;
const MOVE: u32 = 80;
const GO_OR_RETURN: u32 = 40;
const SUPERSEDE: u32 = 15;
const LOGIN_OR_LOGOUT: u32 = 15;
const KICK: u32 = 9;
const THOUSAND: u32 = 1000;

/// Longest wait for the receivers before another message goes out.
const PATIENCE: Duration = Duration::from_millis(100);

/// Engine calls by kind, and what broadcasts reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) connects: u64,
    pub(super) reconnects: u64,
    pub(super) disconnects: u64,
    pub(super) identifies: u64,
    pub(super) subscribes: u64,
    pub(super) unsubscribes: u64,
    pub(super) kicks: u64,
    pub(super) messages: u64,
    /// Queues that took a message.
    #[serde(skip)]
    pub(super) reached: u64,
    /// Queues that were full.
    #[serde(skip)]
    pub(super) refused: u64,
}

impl Counts {
    pub(super) fn operations(&self) -> u64 {
        let Counts {
            connects,
            reconnects,
            disconnects,
            identifies,
            subscribes,
            unsubscribes,
            kicks,
            messages,
            ..
        } = self;
        connects + reconnects + disconnects + identifies + subscribes + unsubscribes + kicks + messages
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.connects += other.connects;
        self.reconnects += other.reconnects;
        self.disconnects += other.disconnects;
        self.identifies += other.identifies;
        self.subscribes += other.subscribes;
        self.unsubscribes += other.unsubscribes;
        self.kicks += other.kicks;
        self.messages += other.messages;
        self.reached += other.reached;
        self.refused += other.refused;
    }
}

pub(super) struct Publisher<'w> {
    world: &'w World,
    rng: Pcg64Mcg,
    popularity: Zipf<f64>,
    people: Vec<Person>,
    tabs: usize,
    /// Tabs that went, as positions of person and tab.
    away: Vec<(usize, usize)>,
    on_the_way: &'w OnTheWay,
    window: u64,
    /// `None`: the clock decides.
    most_operations: Option<u64>,
    time: Duration,
    cid: Cid,
    counts: Counts,
}

impl<'w> Publisher<'w> {
    pub(super) fn new(world: &'w World, args: &ChatArgs, index: u32) -> Self {
        let people = world.shares[index as usize].clone();
        // A stream of its own for each publisher, none of them that of the crowd.
        let rng = Pcg64Mcg::seed_from_u64(args.seed.wrapping_add((u64::from(index) + 1) << 32));
        let share = |operations: u64| {
            let threads = u64::from(args.threads);
            operations / threads + u64::from(u64::from(index) < operations % threads)
        };
        Publisher {
            world,
            rng,
            popularity: Zipf::new(f64::from(args.rooms), ZIPF)
                .expect("there is a room, and the exponent is not negative"),
            tabs: people.iter().map(|person| person.tabs.len()).sum(),
            people,
            away: Vec::new(),
            on_the_way: &world.on_the_way[index as usize],
            window: u64::from(args.window),
            most_operations: args.operations.map(share),
            time: Duration::from_secs_f64(args.seconds),
            cid: CID.into(),
            counts: Counts::default(),
        }
    }

    /// Everybody comes and joins their rooms. Not counted.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        for person in 0..self.people.len() {
            for tab in 0..self.people[person].tabs.len() {
                self.connect(person, tab, false)?;
            }
            while self.people[person].rooms.len() < self.people[person].wanted_rooms {
                self.join(person)?;
                // Someone may want more rooms than there are.
                self.people[person].wanted_rooms =
                    self.people[person].wanted_rooms.min(self.world.rooms.len());
            }
        }
        self.counts = Counts::default();
        Ok(())
    }

    /// Runs until the time is over or all operations are done.
    pub(super) fn run(mut self) -> Result<Counts, Failure> {
        /// Steps between two looks at the clock.
        const STEPS: u64 = 32;

        let started = Instant::now();
        let mut steps = 0_u64;
        loop {
            let over = match self.most_operations {
                Some(most) => self.counts.operations() >= most,
                None => steps.is_multiple_of(STEPS) && started.elapsed() >= self.time,
            };
            if over || self.people.is_empty() {
                return Ok(self.counts);
            }
            self.step()?;
            steps += 1;
        }
    }

    fn step(&mut self) -> Result<(), Failure> {
        let person = self.rng.random_range(0..self.people.len());
        let mut choice = self.rng.random_range(0..THOUSAND);
        let mut is = |share: u32| {
            let hit = choice < share;
            choice = choice.wrapping_sub(share);
            hit
        };
        if is(MESSAGE) {
            self.write(person)
        } else if is(MOVE) {
            self.join_or_leave(person)
        } else if is(GO_OR_RETURN) {
            self.go_or_return(person)
        } else if is(SUPERSEDE) {
            let tab = self.any_tab(person);
            if self.people[person].tabs[tab].live { self.connect(person, tab, true) } else { Ok(()) }
        } else if is(LOGIN_OR_LOGOUT) {
            self.log_in_or_out(person)
        } else if is(KICK) {
            self.kick(person)
        } else {
            self.outage()
        }
    }

    fn any_tab(&mut self, person: usize) -> usize {
        self.rng.random_range(0..self.people[person].tabs.len())
    }

    fn write(&mut self, person: usize) -> Result<(), Failure> {
        let tab = self.any_tab(person);
        let person = &self.people[person];
        let Some(&room) = person.rooms.choose(&mut self.rng) else { return Ok(()) };
        if !person.tabs[tab].live {
            return Ok(());
        }
        let waiting = Instant::now();
        while self.on_the_way.messages() >= self.window && waiting.elapsed() < PATIENCE {
            thread::yield_now();
        }
        let author = [Identity::Instance(person.tabs[tab].instance.clone())];
        let message = Message::new(self.on_the_way);
        let reach = self
            .world
            .engine
            .broadcast_action_except(&author, &self.world.rooms[room], "message", message)
            .map_err(refused)?;
        self.counts.messages += 1;
        self.counts.reached += reach.reached as u64;
        self.counts.refused += reach.refused as u64;
        Ok(())
    }

    fn join_or_leave(&mut self, person: usize) -> Result<(), Failure> {
        if self.people[person].rooms.len() < self.people[person].wanted_rooms {
            return self.join(person);
        }
        let at = self.rng.random_range(0..self.people[person].rooms.len());
        let room = self.people[person].rooms.swap_remove(at);
        self.world
            .engine
            .unsubscribe(&self.people[person].identity(), &self.world.rooms[room], self.cid.clone())
            .map_err(refused)?;
        self.counts.unsubscribes += 1;
        Ok(())
    }

    /// Joins a room, the more likely the more popular.
    fn join(&mut self, person: usize) -> Result<(), Failure> {
        // From 1 to the number of rooms; held in it whatever the rounding.
        let rank = self.popularity.sample(&mut self.rng) as usize;
        let room = rank.clamp(1, self.world.rooms.len()) - 1;
        if !self.people[person].rooms.contains(&room) {
            self.people[person].rooms.push(room);
        }
        self.grant(person, room)
    }

    fn grant(&mut self, person: usize, room: usize) -> Result<(), Failure> {
        let identity = self.people[person].identity();
        self.world.engine.subscribe(&identity, &self.world.rooms[room], self.cid.clone()).map_err(refused)?;
        self.counts.subscribes += 1;
        Ok(())
    }

    /// A kick by whoever rules the room; every second time they think better of it.
    fn kick(&mut self, person: usize) -> Result<(), Failure> {
        if self.people[person].rooms.is_empty() {
            return Ok(());
        }
        let at = self.rng.random_range(0..self.people[person].rooms.len());
        let room = self.people[person].rooms[at];
        self.world
            .engine
            .unsubscribe_all(&self.people[person].identity(), &self.world.rooms[room])
            .map_err(refused)?;
        self.counts.kicks += 1;
        if self.rng.random() {
            self.grant(person, room)
        } else {
            self.people[person].rooms.swap_remove(at);
            Ok(())
        }
    }

    /// All tabs change their user; the grants of the old one end, so the rooms are joined again.
    fn log_in_or_out(&mut self, person: usize) -> Result<(), Failure> {
        self.people[person].logged_in = !self.people[person].logged_in;
        for tab in 0..self.people[person].tabs.len() {
            if self.people[person].tabs[tab].live {
                self.world.engine.identify(&self.people[person].client(tab)).map_err(refused)?;
                self.counts.identifies += 1;
            }
        }
        for at in 0..self.people[person].rooms.len() {
            self.grant(person, self.people[person].rooms[at])?;
        }
        Ok(())
    }

    /// A tab goes, or one that went comes back with its receipts.
    fn go_or_return(&mut self, person: usize) -> Result<(), Failure> {
        let crowded = self.away.len() * AWAY >= self.tabs;
        if !self.away.is_empty() && (crowded || self.rng.random()) {
            let at = self.rng.random_range(0..self.away.len());
            let (person, tab) = self.away.swap_remove(at);
            return self.connect(person, tab, true);
        }
        let tab = self.any_tab(person);
        if self.people[person].tabs[tab].live {
            self.disconnect(person, tab);
            self.away.push((person, tab));
        }
        Ok(())
    }

    /// Many tabs lose their connection at once and come back at once.
    fn outage(&mut self) -> Result<(), Failure> {
        let mut lost = Vec::new();
        for _ in 0..self.tabs.div_ceil(OUTAGE) {
            let person = self.rng.random_range(0..self.people.len());
            let tab = self.any_tab(person);
            if self.people[person].tabs[tab].live {
                self.disconnect(person, tab);
                lost.push((person, tab));
            }
        }
        for (person, tab) in lost {
            self.connect(person, tab, true)?;
        }
        Ok(())
    }

    /// Connects a tab, or connects it anew with the receipts it holds; if it is live, the old connection is superseded.
    fn connect(&mut self, person: usize, tab: usize, presents: bool) -> Result<(), Failure> {
        let client = self.people[person].client(tab);
        let entry = &mut self.people[person].tabs[tab];
        entry.live = true;
        let connected = if presents {
            self.counts.reconnects += 1;
            let presented = self.world.wallet(entry.number).presented();
            self.world.engine.reconnect(&client, &presented)
        } else {
            self.counts.connects += 1;
            self.world.engine.connect(&client)
        }
        .map_err(refused)?;
        self.world.wallet(entry.number).keep_newest(connected.receipts);
        self.world.hand_over(entry.number, connected.connection);
        Ok(())
    }

    fn disconnect(&mut self, person: usize, tab: usize) {
        let entry = &mut self.people[person].tabs[tab];
        entry.live = false;
        self.world.engine.disconnect(&entry.instance);
        self.counts.disconnects += 1;
    }
}

/// The workload makes no call that the engine may refuse.
fn refused(error: Error) -> Failure {
    Failure::Broken(format!("the engine refused a call: {error}"))
}
