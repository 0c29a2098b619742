//! Real threads against lanes: connections move from lane to lane and to queues of their own, under broadcasts. What each of them got, over
//! all its receivers in the order in which they took over, is laid side by side with what was published (rules B2, B4, B5, C3, C4, C5).
//! `STRESS_ROUNDS` says how often each is run, `STRESS_SEED` with which number to begin.

#![expect(
    clippy::disallowed_types,
    reason = "a lane has one consumer, and here others connect to it too: they take turns"
)]

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use holocast::{
    Channel, Client, Connection, Event, Identity, Lane, LaneEvent, LaneKey, Overflow, Realtime, channel,
};

/// Longer than any wait of a correct engine.
const PATIENCE: Duration = Duration::from_secs(60);
const PUBLISHERS: usize = 3;
/// Never end, are always bound to the lobby, and move.
const STEADY: usize = 6;
/// Come, go, and change their user.
const WILD: usize = 6;
/// Stay where they are; so many that the walk over a lane's members is long.
const FILLERS: usize = 120;
const INSTANCES: usize = STEADY + WILD + FILLERS;
const ROOMS: usize = 4;
const LOBBY: usize = 0;
/// Steady ones come and go.
const SIDE: usize = 1;
/// The first of two that wild ones are bound to, as one user and as the other.
const OF_USER: usize = 2;
/// Of so many broadcasts to the first two rooms one leaves a steady one out.
const EXCEPT: u32 = 7;
/// Receivers of one run, at most.
const RECEIVERS: usize = 1 << 18;

/// What is broadcast: by whom, its number among all of theirs, the room, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    publisher: usize,
    number: u32,
    room: usize,
    nth: u32,
}

impl Note {
    fn left_out(self) -> Option<usize> {
        let leaves_out = self.room <= SIDE && self.number.is_multiple_of(EXCEPT);
        leaves_out.then_some((self.number / EXCEPT) as usize % STEADY)
    }
}

/// All that a publisher sends.
fn notes_of(publisher: usize, broadcasts: u32) -> impl Iterator<Item = Note> {
    let mut sent = [0; ROOMS];
    (0..broadcasts).map(move |number| {
        let room = [LOBBY, SIDE, LOBBY, OF_USER, SIDE, OF_USER + 1][(number as usize + publisher) % 6];
        sent[room] += 1;
        Note { publisher, number, room, nth: sent[room] - 1 }
    })
}

/// A receiver: the instance, and its number among all receivers.
fn token_of(instance: usize, serial: u64) -> u64 {
    (instance as u64) << 32 | serial
}

fn serial_of(token: u64) -> usize {
    token as u32 as usize
}

fn name(instance: usize) -> String {
    format!("i{instance}")
}

/// What one thread handed out.
#[derive(Default)]
struct Heard {
    /// With the cids as they came.
    notes: HashMap<u64, Vec<(Note, String)>>,
    closed: HashSet<u64>,
    lagged: u64,
}

/// How many broadcasts to a room one publisher has begun, and how many have returned.
#[derive(Default)]
struct Progress {
    begun: AtomicU64,
    returned: AtomicU64,
}

struct World {
    realtime: Realtime<Note>,
    rooms: [Channel; ROOMS],
    lanes: [Mutex<Lane<Note>>; 2],
    /// Held while an event of a lane is worked off.
    working: [Mutex<()>; 2],
    clock: AtomicU64,
    /// Since when nothing may come for a receiver, by serial; 0: something may.
    ended: Vec<AtomicU64>,
    /// Since when the one that a receiver is of has which user, by serial: twice the time, and the user; 0: nobody knows.
    users: Vec<AtomicU64>,
    progress: [[Progress; ROOMS]; PUBLISHERS],
    done: AtomicBool,
}

impl World {
    fn new(plan: Plan) -> Self {
        let realtime = Realtime::builder()
            .lane_capacity(plan.capacity)
            .queue_capacity(plan.capacity)
            .overflow(plan.overflow)
            .build()
            .expect("the settings are valid");
        let zeros = |len: usize| (0..len).map(|_| AtomicU64::new(0)).collect();
        Self {
            lanes: [Mutex::new(realtime.lane()), Mutex::new(realtime.lane())],
            realtime,
            rooms: [channel!("lobby"), channel!("side"), channel!("user", 0), channel!("user", 1)],
            working: Default::default(),
            clock: AtomicU64::new(1),
            ended: zeros(RECEIVERS),
            users: zeros(RECEIVERS),
            progress: Default::default(),
            done: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// A moment after every `now` before.
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn has_ended(&self, token: u64, asked: u64) -> bool {
        let ended = self.ended[serial_of(token)].load(Ordering::SeqCst);
        ended > 0 && ended <= asked
    }

    fn end(&self, token: u64) {
        self.ended[serial_of(token)].store(self.tick(), Ordering::SeqCst);
    }

    /// A delivery that was asked for at a moment.
    fn hear(&self, heard: &mut Heard, token: u64, note: Note, cids: String, asked: u64) {
        assert!(!self.has_ended(token, asked), "C4: {note:?} for {token:x} after its end");
        assert!(!heard.closed.contains(&token), "C4: {note:?} for {token:x} after Closed");
        if note.room >= OF_USER {
            let since = self.users[serial_of(token)].load(Ordering::SeqCst);
            let is_settled = since > 0 && since >> 1 <= asked;
            assert!(!is_settled || since as usize & 1 == note.room - OF_USER, "C5: {note:?} for {token:x}");
        }
        heard.notes.entry(token).or_default().push((note, cids));
    }

    fn hear_event(&self, heard: &mut Heard, token: u64, event: Event<Note>, asked: u64) {
        match event {
            Event::Broadcast(delivery) => {
                let cids = delivery.cids().map(|cid| cid.as_str().to_owned()).collect::<Vec<_>>().join(" ");
                self.hear(heard, token, *delivery.params(), cids, asked);
            }
            Event::Closed(reason) => {
                assert!(!self.has_ended(token, asked), "C4: {reason:?} for {token:x} after its end");
                assert!(heard.closed.insert(token), "{token:x} has ended twice");
            }
            Event::Lagged(lost) => heard.lagged += lost,
            event => assert!(!heard.closed.contains(&token), "C4: {event:?} for {token:x} after Closed"),
        }
    }

    /// Works off a lane until all is done.
    fn serve(&self, lane: usize) -> Heard {
        let mut heard = Heard::default();
        for turn in 0_usize.. {
            let working = self.working[lane].lock().expect("no panic");
            let asked = self.now();
            let event = {
                let mut lane = self.lanes[lane].lock().expect("no panic");
                match turn % 8 {
                    0 => lane.blocking_recv_timeout(Duration::from_micros(50)),
                    _ => lane.try_recv(),
                }
            };
            match event {
                Some(LaneEvent::Broadcast(mut batch)) => {
                    let note = *batch.params();
                    // Now and then in pieces, between which others move.
                    let piece = if turn % 3 == 0 { 5 } else { usize::MAX };
                    while !batch.is_empty() {
                        let before = batch.len();
                        let mut receivers = batch.receivers();
                        for _ in 0..piece {
                            let asked = self.now();
                            let Some((token, cids)) = receivers.next() else { break };
                            let cids = cids.map(|cid| cid.as_str().to_owned()).collect::<Vec<_>>().join(" ");
                            self.hear(&mut heard, token, note, cids, asked);
                        }
                        drop(receivers);
                        assert!(batch.len() < before, "B5: {batch:?} keeps what it does not hand out");
                        if piece < usize::MAX {
                            thread::yield_now();
                        }
                    }
                }
                Some(LaneEvent::One(token, event)) => self.hear_event(&mut heard, token, event, asked),
                Some(LaneEvent::Lagged(lost)) => heard.lagged += lost,
                Some(event) => panic!("{event:?}"),
                None if self.done.load(Ordering::SeqCst) => break,
                None => {
                    drop(working);
                    thread::yield_now();
                }
            }
        }
        heard
    }

    /// Serves connections with queues of their own; returns those that are left too.
    fn serve_own(
        &self,
        own: mpsc::Receiver<(u64, Connection<Note>)>,
    ) -> (Heard, Vec<(u64, Connection<Note>)>) {
        let (mut heard, mut tabs) = (Heard::default(), Vec::new());
        loop {
            tabs.extend(own.try_iter());
            let mut any = false;
            tabs.retain_mut(|(token, tab)| {
                for _ in 0..20 {
                    let asked = self.now();
                    let Ok(event) = tab.try_recv() else { break };
                    any = true;
                    let is_end = matches!(event, Event::Closed(_));
                    self.hear_event(&mut heard, *token, event, asked);
                    if is_end {
                        return false;
                    }
                }
                true
            });
            match any {
                false if self.done.load(Ordering::SeqCst) => break (heard, tabs),
                false => thread::yield_now(),
                true => {}
            }
        }
    }

    /// Publishes all of one publisher's; returns how many deliveries were accepted.
    fn publish(&self, publisher: usize, plan: Plan) -> u64 {
        let mut reached = 0;
        for note in notes_of(publisher, plan.broadcasts) {
            let progress = &self.progress[publisher][note.room];
            progress.begun.store(u64::from(note.nth) + 1, Ordering::SeqCst);
            let excluded = note.left_out().map(|steady| Identity::instance(name(steady)));
            let reach = self
                .realtime
                .broadcast_action_except(excluded.as_slice(), &self.rooms[note.room], "add", note)
                .expect("names are short");
            progress.returned.store(u64::from(note.nth) + 1, Ordering::SeqCst);
            reached += reach.reached as u64;
            if note.number % 16 == 0 {
                while plan.is_roomy()
                    && !self.done.load(Ordering::SeqCst)
                    && self.realtime.stats().queued > 60_000
                {
                    thread::yield_now();
                }
                thread::yield_now();
            }
        }
        reached
    }

    fn progress(&self, room: usize, of: impl Fn(&Progress) -> &AtomicU64) -> [u64; PUBLISHERS] {
        std::array::from_fn(|publisher| of(&self.progress[publisher][room]).load(Ordering::SeqCst))
    }
}

/// Has the threads come to their end, also when the test fails.
struct Finish<'a>(&'a World);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::SeqCst);
    }
}

/// Where the newest receiver of an instance is.
#[derive(Debug, Clone, Copy)]
enum Spot {
    Nowhere,
    Own,
    Lane(usize, LaneKey, u64),
}

/// A time with or without a binding: of each publisher the numbers of which it is certain, from the first to before the last.
struct Interval {
    bound: bool,
    first: [u64; PUBLISHERS],
    last: [u64; PUBLISHERS],
}

/// Has connections move, come and go.
struct Mover<'a> {
    world: &'a World,
    plan: Plan,
    own: mpsc::Sender<(u64, Connection<Note>)>,
    spots: Vec<Spot>,
    /// Of each instance, in the order of takeover.
    receivers: Vec<Vec<u64>>,
    serial: u64,
    random: u64,
    /// Whether steady ones are bound to the side room, and since which numbers.
    side: [(bool, [u64; PUBLISHERS]); STEADY],
    intervals: [Vec<Interval>; STEADY],
    /// Receivers whose end need not be told.
    silent: HashSet<u64>,
}

impl<'a> Mover<'a> {
    fn new(world: &'a World, own: mpsc::Sender<(u64, Connection<Note>)>, plan: Plan, seed: u64) -> Self {
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

    fn below(&mut self, bound: usize) -> usize {
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
            let mut lane = self.world.lanes[place].lock().expect("no panic");
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

    fn settle(&mut self) {
        for instance in (0..STEADY).chain(STEADY + WILD..INSTANCES) {
            self.connect(instance, None, if instance < STEADY { instance % 3 } else { instance % 2 });
            self.subscribe(&Identity::instance(name(instance)), LOBBY, "page");
            if instance < STEADY {
                self.subscribe(&Identity::instance(name(instance)), LOBBY, "aside");
            }
        }
    }

    /// One move of anybody.
    fn act(&mut self) {
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
                self.world.lanes[lane].lock().expect("no panic").disconnect(key);
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
    fn replace_lane(&mut self, lane: usize) {
        for instance in 0..STEADY {
            if matches!(self.spots[instance], Spot::Lane(at, ..) if at == lane) {
                let place = if self.below(2) == 0 { 2 } else { 1 - lane };
                self.connect(instance, None, place);
            }
        }
        let world = self.world;
        // What was taken of the old one is worked off.
        let working = world.working[lane].lock().expect("no panic");
        let mut held = world.lanes[lane].lock().expect("no panic");
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

#[derive(Debug, Clone, Copy)]
struct Plan {
    broadcasts: u32,
    /// Of lanes, and of queues.
    capacity: usize,
    overflow: Overflow,
    replaces_lanes: bool,
}

impl Plan {
    /// Whether nothing may be lost.
    fn is_roomy(self) -> bool {
        self.capacity > 1024
    }
}

fn run(plan: Plan, seed: u64) {
    let world = World::new(plan);
    let (sender, own) = mpsc::channel();
    let mut mover = Mover::new(&world, sender, plan, seed);
    mover.settle();
    let mut heard = Vec::new();
    let (reached, left) = thread::scope(|scope| {
        let (world, finish) = (&world, Finish(&world));
        let lanes = [0, 1].map(|lane| scope.spawn(move || world.serve(lane)));
        let served = scope.spawn(move || world.serve_own(own));
        let publishers: [_; PUBLISHERS] =
            std::array::from_fn(|publisher| scope.spawn(move || world.publish(publisher, plan)));
        let all_well = || !served.is_finished() && !lanes.iter().any(ScopedJoinHandle::is_finished);
        let start = Instant::now();
        for moves in 1_usize.. {
            if publishers.iter().all(ScopedJoinHandle::is_finished) || !all_well() {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "it does not go on: {:?}", world.realtime.stats());
            mover.act();
            if plan.replaces_lanes && moves % 100 == 0 {
                let lane = mover.below(2);
                mover.replace_lane(lane);
            }
            if moves % 8 == 0 {
                thread::sleep(Duration::from_micros(100));
            }
        }
        let start = Instant::now();
        while all_well() && world.realtime.stats().queued > 0 {
            assert!(start.elapsed() < PATIENCE, "B5: it does not get empty: {:?}", world.realtime.stats());
            thread::sleep(Duration::from_millis(1));
        }
        drop(finish);
        heard.extend(lanes.into_iter().map(|lane| lane.join().expect("no panic")));
        let (own, left) = served.join().expect("no panic");
        heard.push(own);
        let reached = publishers.into_iter().map(|publisher| publisher.join().expect("no panic"));
        (reached.sum::<u64>(), left)
    });
    let stats = world.realtime.stats();
    let handed: usize = heard.iter().flat_map(|heard| heard.notes.values()).map(Vec::len).sum();
    assert_eq!((stats.accepted, stats.taken), (reached, handed as u64), "{stats:?}");
    assert_eq!(
        (stats.queued, stats.accepted),
        (0, stats.taken + stats.released + stats.withheld),
        "B5: {stats:?}"
    );
    assert!(!plan.is_roomy() || heard.iter().all(|heard| heard.lagged == 0), "nothing was full");
    println!(
        "{plan:?}, seed {seed}: {} receivers, {handed} of {reached} handed out, {} lost and told",
        mover.serial,
        heard.iter().map(|heard| heard.lagged).sum::<u64>()
    );
    for instance in 0..INSTANCES {
        verify(&mover, &heard, instance);
    }
    drop(left);
    for instance in 0..INSTANCES {
        world.realtime.disconnect(&name(instance));
    }
    let stats = world.realtime.stats();
    assert_eq!((stats.connections, stats.members, stats.bindings), (0, 0, 0), "{stats:?}");
}

/// Lays what one instance got side by side with what was published.
fn verify(mover: &Mover<'_>, heard: &[Heard], instance: usize) {
    let plan = mover.plan;
    let receivers = &mover.receivers[instance];
    let mut last: [Option<(u32, usize)>; PUBLISHERS] = [None; PUBLISHERS];
    let mut got = HashSet::new();
    for (at, token) in receivers.iter().enumerate() {
        let told: Vec<_> = heard.iter().filter_map(|heard| heard.notes.get(token)).collect();
        assert!(told.len() < 2, "{token:x} was served twice");
        for (note, cids) in told.into_iter().flatten() {
            let before = last[note.publisher].replace((note.number, at));
            assert!(
                before.is_none_or(|(number, _)| number < note.number),
                "B4: i{instance} got {note:?} from receiver {at} of {} after {before:?}, in {plan:?}",
                receivers.len()
            );
            assert_ne!(note.left_out(), Some(instance), "B2: {note:?}");
            let expected = if instance < STEADY && note.room == LOBBY { "aside page" } else { "page" };
            assert!(cids == expected || !plan.is_roomy(), "i{instance}: {note:?} for {cids}");
            got.insert((note.publisher, note.number));
        }
        let ends = heard.iter().filter(|heard| heard.closed.contains(token)).count();
        let told = ends == 1 || mover.silent.contains(token) || at + 1 == receivers.len();
        assert!(told, "i{instance}: receiver {at} of {}, {token:x}, heard {ends} ends", receivers.len());
    }
    let is_steady = instance < STEADY;
    let is_filler = instance >= STEADY + WILD;
    if !plan.is_roomy() || !is_steady && (!is_filler || plan.replaces_lanes) {
        return;
    }
    for note in (0..PUBLISHERS).flat_map(|publisher| notes_of(publisher, plan.broadcasts)) {
        let (by, nth) = (note.publisher, u64::from(note.nth));
        let bound = match note.room {
            LOBBY => Some(true),
            SIDE if is_steady => mover.intervals[instance]
                .iter()
                .find(|interval| nth >= interval.first[by] && nth < interval.last[by])
                .map(|interval| interval.bound),
            _ => Some(false),
        };
        let expected = bound.map(|bound| bound && note.left_out() != Some(instance));
        assert!(
            expected.is_none_or(|expected| expected == got.contains(&(by, note.number))),
            "S1, S5, B5: i{instance}, with {} receivers: {note:?}, expected: {expected:?}, the last of it {:?}",
            receivers.len(),
            last[by]
        );
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// How often, as numbers.
fn rounds() -> std::ops::Range<u64> {
    let first = setting("STRESS_SEED", 0);
    first..first + setting("STRESS_ROUNDS", 1)
}

/// B2, B4, B5, C3 to C5, S1, S5.
#[test]
fn connections_that_move_lose_nothing_and_get_nothing_twice_or_out_of_order() {
    for seed in rounds() {
        let plan =
            Plan { broadcasts: 3_000, capacity: 32_767, overflow: Overflow::Close, replaces_lanes: false };
        run(plan, seed);
    }
}

/// The same while lanes are dropped on which those who moved away are at home.
#[test]
fn connections_outlive_the_lane_they_left() {
    for seed in rounds() {
        let plan =
            Plan { broadcasts: 3_000, capacity: 32_767, overflow: Overflow::Close, replaces_lanes: true };
        run(plan, seed);
    }
}

/// Q2: what a full lane or queue loses leaves the order and the balance as they are.
#[test]
fn full_lanes_keep_the_order_and_the_balance() {
    for seed in rounds() {
        for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::Reset] {
            for replaces_lanes in [false, true] {
                run(Plan { broadcasts: 3_000, capacity: 8, overflow, replaces_lanes }, seed);
            }
        }
    }
}

/// C3: a host is done with a connection while another receiver takes it over. Either it ends, or the new one gets all of it.
#[test]
fn a_disconnect_that_comes_too_late_takes_nothing_from_the_successor() {
    let room = channel!("lobby");
    let client = Client::new("tab");
    let (mut ended, mut late) = (0, 0);
    for round in 0..2_000 * rounds().count() {
        let realtime: Realtime<u64> = Realtime::new();
        let mut lane = realtime.lane();
        let key = lane.connect(&client, 1).expect("names are short").key;
        realtime.subscribe(&Identity::instance("tab"), &room, "page").expect("names are short");
        for n in 0..3 {
            realtime.broadcast_action(&room, "add", n).expect("names are short");
        }
        let start = Barrier::new(2);
        let (disconnected, mut heard, successor) = thread::scope(|scope| {
            let successor = scope.spawn(|| {
                start.wait();
                realtime.connect(&client).expect("names are short")
            });
            start.wait();
            (0..round % 64 * 8).for_each(|_| std::hint::spin_loop());
            let disconnected = lane.disconnect(key);
            // At once: the successor may be on its way still.
            let heard = work_off(&mut lane);
            (disconnected, heard, successor.join().expect("no panic"))
        });
        heard.extend(work_off(&mut lane));
        assert!(heard.is_empty(), "C4: nothing after disconnect");
        let mut tab = successor.connection;
        while let Ok(event) = tab.try_recv() {
            if let Event::Broadcast(delivery) = event {
                heard.push(*delivery.params());
            }
        }
        let expected: &[u64] = if disconnected { &[] } else { &[0, 1, 2] };
        assert_eq!(heard, expected, "round {round}: {:?}", realtime.stats());
        assert_eq!(disconnected, !successor.superseded, "round {round}");
        *(if disconnected { &mut ended } else { &mut late }) += 1;
    }
    println!("{ended} ended, {late} came too late");
}

fn work_off(lane: &mut Lane<u64>) -> Vec<u64> {
    let mut heard = Vec::new();
    while let Some(event) = lane.try_recv() {
        if let LaneEvent::Broadcast(mut batch) = event {
            let params = *batch.params();
            heard.extend(batch.receivers().map(|_| params));
        }
    }
    heard
}
