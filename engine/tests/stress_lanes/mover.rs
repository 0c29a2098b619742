//! Has connections move, come and go, and keeps what is needed to know what each of them had to get.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use holocast::{Client, Connection, Identity, LaneKey};

use super::world::World;
use super::{
    INSTANCES, LOBBY, Note, OF_USER, PUBLISHERS, Plan, SIDE, STEADY, WILD, name, serial_of, token_of,
};

/// Where the newest receiver of an instance is.
#[derive(Debug, Clone, Copy)]
enum Spot {
    Nowhere,
    Own,
    Lane(usize, LaneKey, u64),
}

/// A time with or without a binding: of each publisher the numbers of which it is certain, from the first to before the last.
pub(crate) struct Interval {
    pub(crate) bound: bool,
    pub(crate) first: [u64; PUBLISHERS],
    pub(crate) last: [u64; PUBLISHERS],
}

/// Has connections move, come and go.
pub(crate) struct Mover<'a> {
    world: &'a World,
    pub(crate) plan: Plan,
    own: mpsc::Sender<(u64, Connection<Note>)>,
    spots: Vec<Spot>,
    /// Of each instance, in the order of takeover.
    pub(crate) receivers: Vec<Vec<u64>>,
    pub(crate) serial: u64,
    random: u64,
    /// Whether steady ones are bound to the side room, and since which numbers.
    side: [(bool, [u64; PUBLISHERS]); STEADY],
    pub(crate) intervals: [Vec<Interval>; STEADY],
    /// Receivers whose end need not be told.
    pub(crate) silent: HashSet<u64>,
}

impl<'a> Mover<'a> {
    pub(crate) fn new(
        world: &'a World,
        own: mpsc::Sender<(u64, Connection<Note>)>,
        plan: Plan,
        seed: u64,
    ) -> Self {
        Self {
            world,
            plan,
            own,
            spots: vec![Spot::Nowhere; INSTANCES],
            receivers: vec![Vec::new(); INSTANCES],
            serial: 0,
            random: (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            side: [(false, [0; PUBLISHERS]); STEADY],
            intervals: Default::default(),
            silent: HashSet::new(),
        }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as usize % bound
    }

    /// Connects, or supersedes, on lane 0 or 1 or on a queue of its own.
    fn connect(&mut self, instance: usize, user: Option<usize>, place: usize) {
        let client = Client::new(name(instance));
        let client = user.into_iter().fold(client, |client, user| client.with_user(user as i64));
        self.serial += 1;
        let token = token_of(instance, self.serial);
        let before = self.receivers[instance].last().copied();
        before.inspect(|before| self.changes(*before));
        let superseded = if place < 2 {
            let mut lane = self.world.lanes[place].lock();
            let connected = lane.connect(&client, token).expect("names are short");
            self.spots[instance] = Spot::Lane(place, connected.key, token);
            connected.superseded
        } else {
            let connected = self.world.realtime.connect(&client).expect("names are short");
            self.own.send((token, connected.connection)).expect("they are served");
            self.spots[instance] = Spot::Own;
            connected.superseded
        };
        self.now_is(token, user);
        // One that an overflow has ended hands out what it had.
        before.filter(|_| superseded).inspect(|before| self.now_is(*before, user));
        let moves = instance < STEADY && before.is_some();
        assert!(superseded || !moves || !self.plan.is_roomy(), "i{instance} has ended");
        self.receivers[instance].push(token);
    }

    fn changes(&self, token: u64) {
        self.world.users[serial_of(token)].store(0, Ordering::SeqCst);
    }

    fn now_is(&self, token: u64, user: Option<usize>) {
        if let Some(user) = user {
            self.world.users[serial_of(token)].store(self.world.tick() << 1 | user as u64, Ordering::SeqCst);
        }
    }

    fn subscribe(&self, identity: &Identity, room: usize, cid: &str) {
        self.world.realtime.subscribe(identity, &self.world.rooms[room], cid).expect("names are short");
    }

    pub(crate) fn settle(&mut self) {
        for instance in (0..STEADY).chain(STEADY + WILD..INSTANCES) {
            self.connect(instance, None, if instance < STEADY { instance % 3 } else { instance % 2 });
            self.subscribe(&Identity::instance(name(instance)), LOBBY, "page");
            if instance < STEADY {
                self.subscribe(&Identity::instance(name(instance)), LOBBY, "aside");
            }
        }
    }

    /// One move of anybody.
    pub(crate) fn act(&mut self) {
        if self.below(2) == 0 {
            let (steady, place) = (self.below(STEADY), self.below(3));
            match self.below(4) {
                0 => self.toggle_side(steady),
                _ => self.connect(steady, None, place),
            }
            return;
        }
        let (wild, user, place) = (STEADY + self.below(WILD), self.below(2), self.below(3));
        let (as_instance, as_user) = (Identity::instance(name(wild)), Identity::user(user as i64));
        match self.below(12) {
            0..3 => self.connect(wild, Some(user), place),
            3..5 => {
                let Some(token) = self.receivers[wild].last().copied() else { return };
                self.changes(token);
                let client = Client::new(name(wild)).with_user(user as i64);
                if self.world.realtime.identify(&client).expect("names are short") {
                    self.now_is(token, Some(user));
                }
            }
            5..7 => self.subscribe(&as_instance, LOBBY, "page"),
            7..9 => self.subscribe(&as_user, OF_USER + user, "page"),
            9 => {
                let room = &self.world.rooms[OF_USER + user];
                self.world.realtime.unsubscribe_all(&as_user, room).expect("names are short");
            }
            _ => self.end(wild),
        }
    }

    fn end(&mut self, instance: usize) {
        match std::mem::replace(&mut self.spots[instance], Spot::Nowhere) {
            Spot::Lane(lane, key, token) if self.below(2) == 0 => {
                self.world.lanes[lane].lock().disconnect(key);
                self.silent.insert(token);
                self.world.end(token);
            }
            _ => drop(self.world.realtime.disconnect(&name(instance))),
        }
    }

    fn toggle_side(&mut self, steady: usize) {
        let (world, instance) = (self.world, Identity::instance(name(steady)));
        let (bound, first) = self.side[steady];
        // Those that had returned before the change began.
        let last = world.progress(SIDE, |progress| &progress.returned);
        if bound {
            world.realtime.unsubscribe(&instance, &world.rooms[SIDE], "page").expect("names are short");
        } else {
            self.subscribe(&instance, SIDE, "page");
        }
        self.intervals[steady].push(Interval { bound, first, last });
        // Those that begin after it has returned.
        self.side[steady] = (!bound, world.progress(SIDE, |progress| &progress.begun));
    }

    /// Puts another lane in the place of one that steady ones have left; what is left on it ends.
    pub(crate) fn replace_lane(&mut self, lane: usize) {
        for instance in 0..STEADY {
            if matches!(self.spots[instance], Spot::Lane(at, ..) if at == lane) {
                let place = if self.below(2) == 0 { 2 } else { 1 - lane };
                self.connect(instance, None, place);
            }
        }
        let world = self.world;
        // What was taken of the old one is worked off.
        let working = world.working[lane].lock();
        let mut held = world.lanes[lane].lock();
        drop(std::mem::replace(&mut *held, world.realtime.lane()));
        self.silent.extend(self.receivers.iter().flatten());
        for spot in &mut self.spots {
            match *spot {
                Spot::Lane(at, _, token) if at == lane => {
                    world.end(token);
                    *spot = Spot::Nowhere;
                }
                _ => {}
            }
        }
        drop((held, working));
    }
}
