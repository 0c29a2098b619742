//! What all threads share, and what those of publishers and receivers do. Each delivery is held against the rules as it comes (C4, C5).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use holocast::{Channel, Connection, Event, Identity, Lane, LaneEvent, Realtime, channel};
use parking_lot::Mutex;

use super::{Note, OF_USER, PUBLISHERS, Plan, RECEIVERS, ROOMS, name, notes_of, serial_of};

/// What one thread handed out.
#[derive(Default)]
pub(crate) struct Heard {
    /// With the cids as they came.
    pub(crate) notes: HashMap<u64, Vec<(Note, String)>>,
    pub(crate) closed: HashSet<u64>,
    pub(crate) lagged: u64,
}

/// How many broadcasts to a room one publisher has begun, and how many have returned.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) begun: AtomicU64,
    pub(crate) returned: AtomicU64,
}

pub(crate) struct World {
    pub(crate) realtime: Realtime<Note>,
    pub(crate) rooms: [Channel; ROOMS],
    /// A lane has one consumer, and here others connect to it too: they take turns.
    pub(crate) lanes: [Mutex<Lane<Note>>; 2],
    /// Held while an event of a lane is worked off.
    pub(crate) working: [Mutex<()>; 2],
    pub(crate) clock: AtomicU64,
    /// Since when nothing may come for a receiver, by serial; 0: something may.
    pub(crate) ended: Vec<AtomicU64>,
    /// Since when the one that a receiver is of has which user, by serial: twice the time, and the user; 0: nobody knows.
    pub(crate) users: Vec<AtomicU64>,
    pub(crate) progress: [[Progress; ROOMS]; PUBLISHERS],
    pub(crate) done: AtomicBool,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
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

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// A moment after every `now` before.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn has_ended(&self, token: u64, asked: u64) -> bool {
        let ended = self.ended[serial_of(token)].load(Ordering::SeqCst);
        ended > 0 && ended <= asked
    }

    pub(crate) fn end(&self, token: u64) {
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
    pub(crate) fn serve(&self, lane: usize) -> Heard {
        let mut heard = Heard::default();
        for turn in 0_usize.. {
            let working = self.working[lane].lock();
            let asked = self.now();
            let event = {
                let mut lane = self.lanes[lane].lock();
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
    pub(crate) fn serve_own(
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
    pub(crate) fn publish(&self, publisher: usize, plan: Plan) -> u64 {
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

    pub(crate) fn progress(&self, room: usize, of: impl Fn(&Progress) -> &AtomicU64) -> [u64; PUBLISHERS] {
        std::array::from_fn(|publisher| of(&self.progress[publisher][room]).load(Ordering::SeqCst))
    }
}
