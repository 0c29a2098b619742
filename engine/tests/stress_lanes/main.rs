//! Real threads against lanes: connections move from lane to lane and to queues of their own, under broadcasts. What each of them got, over
//! all its receivers in the order in which they took over, is laid side by side with what was published (rules B2, B4, B5, C3, C4, C5).
//! `STRESS_ROUNDS` says how often each is run, `STRESS_SEED` with which number to begin.

mod mover;
mod world;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Barrier, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use holocast::{Client, Event, Identity, Lane, LaneEvent, Overflow, Realtime, channel};

use mover::Mover;
use world::{Heard, World};

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

/// Has the threads come to their end, also when the test fails.
struct Finish<'a>(&'a World);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::SeqCst);
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
    const ROOMY: Self =
        Plan { broadcasts: 3_000, capacity: 32_767, overflow: Overflow::Close, replaces_lanes: false };

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
        run(Plan::ROOMY, seed);
    }
}

/// The same while lanes are dropped on which those who moved away are at home.
#[test]
fn connections_outlive_the_lane_they_left() {
    for seed in rounds() {
        run(Plan { replaces_lanes: true, ..Plan::ROOMY }, seed);
    }
}

/// Q2: what a full lane or queue loses leaves the order and the balance as they are.
#[test]
fn full_lanes_keep_the_order_and_the_balance() {
    for seed in rounds() {
        for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::Reset] {
            for replaces_lanes in [false, true] {
                run(Plan { capacity: 8, overflow, replaces_lanes, ..Plan::ROOMY }, seed);
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
