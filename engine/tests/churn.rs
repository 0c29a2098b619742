//! Ten days of comings and goings in simulated time: the accounts are exact after each hour, memory is the same after each day, and
//! when everybody has left and all has expired nothing is kept. A program of its own, because it counts every allocation.

mod counting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use counting::held_bytes;
use holocast::{
    Channel, Client, Connection, Event, Identity, Key, Lane, LaneEvent, LaneKey, Overflow, Realtime, Receipt,
    Stats, channel,
};

const HOUR_MS: u64 = 3_600_000;
const LIFETIME_MS: u64 = 72 * HOUR_MS;
const DAYS: u64 = 10;
/// Days after whose end nothing of a day is left: receipts and revocations have expired, and its tabs are forgotten.
const MEMORY_DAYS: u64 = 4;
const TABS: usize = 24;
const STEPS_AN_HOUR: u64 = 500;
/// What may be in use or not at the moment of a measurement: deferred garbage, and tables on the way to another size.
const SLACK_BYTES: isize = 16_384;

/// Params that are counted while they live, with something on the heap.
struct Counted(Arc<AtomicUsize>, #[expect(dead_code, reason = "weighs something")] Box<[u8; 100]>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(alive), Box::new([0; 100]))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Place {
    Nowhere,
    Own(Connection<Counted>),
    On(usize, LaneKey),
}

/// A browser tab, with what it keeps as it is told.
struct Tab {
    client: Client,
    place: Place,
    kept: BTreeMap<Key, Receipt>,
}

impl Tab {
    fn keep(&mut self, receipts: Vec<Receipt>) {
        for receipt in receipts {
            self.kept.insert((receipt.channel().clone(), receipt.cid().clone()), receipt);
        }
    }

    /// Whether it was a broadcast.
    fn hear(&mut self, event: Event<Counted>) {
        match event {
            Event::Subscribed(receipt) => self.keep(vec![receipt]),
            Event::Unsubscribed(keys) => keys.iter().for_each(|key| drop(self.kept.remove(key))),
            Event::Closed(_) => self.place = Place::Nowhere,
            _ => {}
        }
    }
}

/// Always the same numbers: each day does as the one before.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct World {
    realtime: Realtime<Counted>,
    now_ms: Arc<AtomicU64>,
    alive: Arc<AtomicUsize>,
    lanes: [Lane<Counted>; 2],
    /// By day, those of the last few.
    tabs: BTreeMap<u64, Vec<Tab>>,
    day: u64,
    dice: Dice,
    restored: u64,
}

impl World {
    fn new() -> Self {
        let now_ms = Arc::new(AtomicU64::new(1_750_000_000_000));
        let shown = Arc::clone(&now_ms);
        let realtime = Realtime::builder()
            .queue_capacity(16)
            .lane_capacity(16)
            .overflow(Overflow::Reset)
            .clock(move || shown.load(Ordering::Relaxed))
            .build()
            .expect("the settings are valid");
        World {
            lanes: [realtime.lane(), realtime.lane()],
            realtime,
            now_ms,
            alive: Arc::default(),
            tabs: BTreeMap::new(),
            day: 0,
            dice: Dice(1),
            restored: 0,
        }
    }

    /// Names are of their day, so that none comes twice; and of one length, so that all days weigh the same.
    fn client(&mut self, day: u64, tab: usize) -> Client {
        let client = Client::new(format!("tab {day:03}-{tab:03}"))
            .with_session(format!("session {day:03}-{:03}", tab / 2));
        if self.dice.roll(4) == 0 {
            client
        } else {
            client.with_user((day * 1_000 + self.dice.roll(6)) as i64)
        }
    }

    fn room(&mut self) -> Channel {
        match self.dice.roll(3) {
            0 => channel!("lobby"),
            1 => channel!("room", (self.day * 1_000 + self.dice.roll(40)) as i64),
            _ => channel!(
                "document",
                format!("a name on the heap, of {:03}-{:03}", self.day, self.dice.roll(40))
            ),
        }
    }

    fn key(&mut self) -> Key {
        let room = self.room();
        (room, ["page", "layout"][self.dice.roll(2) as usize].into())
    }

    /// Of some tab of this day.
    fn identity(&mut self) -> Identity {
        let tab = self.dice.roll(TABS as u64) as usize;
        match self.dice.roll(3) {
            0 => Identity::instance(format!("tab {:03}-{tab:03}", self.day)),
            1 => Identity::session(format!("session {:03}-{:03}", self.day, tab / 2)),
            _ => Identity::user((self.day * 1_000 + self.dice.roll(6)) as i64),
        }
    }

    fn tab(&mut self, day: u64, tab: usize) -> Option<&mut Tab> {
        self.tabs.get_mut(&day)?.get_mut(tab)
    }

    /// A new connection of the tab, in the place of its old one if that lives, with every receipt that it ever kept.
    fn connect(&mut self, day: u64, tab: usize) {
        let (client, to) = (self.client(day, tab), self.dice.roll(4) as usize);
        let kept: Vec<Receipt> =
            self.tab(day, tab).map_or_else(Vec::new, |tab| tab.kept.values().cloned().collect());
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        let young = kept
            .iter()
            .filter(|receipt| now_ms.saturating_sub(receipt.stamp().millis()) <= LIFETIME_MS)
            .count();
        let (receipts, superseded, place) = if to < 2 {
            let token = day << 32 | tab as u64;
            let connected = self.lanes[to].reconnect(&client, &kept, token).expect("names are short");
            (connected.receipts, connected.superseded, Place::On(to, connected.key))
        } else {
            let connected = self.realtime.reconnect(&client, &kept).expect("names are short");
            (connected.receipts, connected.superseded, Place::Own(connected.connection))
        };
        assert!(superseded || receipts.len() <= young, "one that has expired was restored");
        self.restored += if superseded { 0 } else { receipts.len() as u64 };
        if let Some(tab) = self.tab(day, tab) {
            let old = std::mem::replace(&mut tab.place, place);
            tab.client = client;
            tab.kept.clear();
            tab.keep(receipts);
            drop(old);
        }
    }

    fn hang_up(&mut self, day: u64, tab: usize) {
        let Some(tab) = self.tab(day, tab) else { return };
        match std::mem::replace(&mut tab.place, Place::Nowhere) {
            Place::Own(connection) => drop(connection),
            Place::On(lane, key) => _ = self.lanes[lane].disconnect(key),
            Place::Nowhere => {}
        }
    }

    /// Takes some of what a tab's own queue holds; most are slow.
    fn take(&mut self, day: u64, tab: usize, events: usize) {
        let Some(tab) = self.tab(day, tab) else { return };
        for _ in 0..events {
            let Place::Own(connection) = &mut tab.place else { break };
            let Ok(event) = connection.try_recv() else { break };
            tab.hear(event);
        }
    }

    fn work_off(&mut self, lane: usize, events: usize) {
        for round in 0..events {
            match self.lanes[lane].try_recv() {
                Some(LaneEvent::Broadcast(mut batch)) => {
                    // Every third is dropped half-way.
                    let most = if round % 3 == 0 { 1 } else { usize::MAX };
                    assert!(batch.receivers().take(most).all(|(_, cids)| cids.count() > 0));
                }
                Some(LaneEvent::One(token, event)) => {
                    let (day, tab) = (token >> 32, token as u32 as usize);
                    let Some(tab) = self.tab(day, tab) else { continue };
                    match event {
                        // Of one that this tab superseded itself.
                        Event::Closed(_) => {}
                        event => tab.hear(event),
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
    }

    fn step(&mut self) {
        // Mostly a tab of the day; now and then one of an earlier day that comes back with old receipts.
        let back = if self.dice.roll(12) == 0 { self.dice.roll(MEMORY_DAYS) } else { 0 };
        let day =
            Some(self.day.saturating_sub(back)).filter(|day| self.tabs.contains_key(day)).unwrap_or(self.day);
        let tab = self.dice.roll(TABS as u64) as usize;
        let ((room, cid), identity) = (self.key(), self.identity());
        let realtime = self.realtime.clone();
        let short = "names are short";
        match self.dice.roll(24) {
            0..=3 => self.connect(day, tab),
            4 => self.hang_up(day, tab),
            5..=8 => _ = realtime.subscribe(&identity, &room, cid).expect(short),
            9 => {
                realtime.unsubscribe(&identity, &room, cid).expect(short);
            }
            10 => {
                realtime.unsubscribe_all(&identity, &room).expect(short);
            }
            11 => {
                let client = self.client(day, tab);
                if realtime.identify(&client).expect(short)
                    && let Some(tab) = self.tab(day, tab)
                {
                    tab.client = client;
                }
            }
            12 => {
                let (next, other) = ([self.key(), self.key()], self.key());
                let client = self.client(day, tab);
                let applied = realtime.apply(&client, &next, &[other]).expect(short);
                if let Some(tab) = self.tab(day, tab) {
                    applied.dropped.iter().for_each(|key| drop(tab.kept.remove(key)));
                    tab.keep(applied.receipts);
                }
            }
            13 => {
                let (next, client) = ([self.key(), self.key()], self.client(day, tab));
                let Some(tab) = self.tab(day, tab) else { return };
                let claimed: Vec<Receipt> = tab.kept.values().cloned().collect();
                let transition = realtime.transition(&client, &next, &claimed).expect(short);
                transition.gone.iter().for_each(|key| drop(tab.kept.remove(key)));
                tab.keep(transition.receipts);
            }
            14 => {
                let mut handler = realtime.handler(&self.client(day, tab));
                handler.broadcast_action(&room, "add", Counted::new(&self.alive)).expect(short);
                if self.dice.roll(2) == 0 {
                    handler.commit().expect(short);
                }
            }
            15 => {
                let hot = realtime.channel(&room).expect(short);
                hot.broadcast_action("add", Counted::new(&self.alive)).expect(short);
            }
            16 => {
                let params = Counted::new(&self.alive);
                let mut sliced = realtime.broadcast_sliced(&[identity], &room, "add", params).expect(short);
                sliced.advance(1);
            }
            17 => {
                let excluded = [identity];
                realtime
                    .broadcast_action_except(&excluded, &room, "add", Counted::new(&self.alive))
                    .expect(short);
            }
            18..=19 => self.take(day, tab, 20),
            20 => self.work_off(tab % 2, 10),
            _ => _ = realtime.broadcast_action(&room, "add", Counted::new(&self.alive)).expect(short),
        }
    }

    fn hour(&mut self) {
        for _ in 0..STEPS_AN_HOUR {
            self.step();
            self.now_ms.fetch_add(HOUR_MS / STEPS_AN_HOUR, Ordering::Relaxed);
        }
        let stats = self.realtime.stats();
        let accounted = stats.taken + stats.queued + stats.released + stats.withheld;
        assert_eq!(stats.accepted, accounted, "rule B5 on day {}, in {stats:?}", self.day);
        assert!(stats.queued <= (TABS as u64 * MEMORY_DAYS * 16) * 2, "bounded: {stats:?}");
    }

    /// A day like every other, at whose end all go home; what was handed out has been dropped, and the accounts are closed.
    fn day(&mut self) {
        self.dice = Dice(0x9E37_79B9_7F4A_7C15);
        let client = Client::new("");
        let tab = || Tab { client: client.clone(), place: Place::Nowhere, kept: BTreeMap::new() };
        self.tabs.insert(self.day, (0..TABS).map(|_| tab()).collect());
        (0..24).for_each(|_| self.hour());
        let days: Vec<u64> = self.tabs.keys().copied().collect();
        for (day, tab) in days.iter().flat_map(|day| (0..TABS).map(|tab| (*day, tab))) {
            self.take(day, tab, 100);
            self.hang_up(day, tab);
        }
        (0..2).for_each(|lane| self.work_off(lane, usize::MAX));
        let oldest = (self.day + 1).saturating_sub(MEMORY_DAYS);
        self.tabs = self.tabs.split_off(&oldest);
        self.day += 1;
        self.realtime.sweep();
        let stats = self.settled();
        assert_eq!((stats.connections, stats.members, stats.bindings, stats.queued), (0, 0, 0, 0));
        assert_eq!(stats.accepted, stats.taken + stats.released + stats.withheld);
        assert_eq!(self.alive.load(Ordering::Relaxed), 0, "params are kept on day {}", self.day);
    }

    /// When all that was deferred has run.
    fn settled(&self) -> Stats {
        (0..5_000).for_each(|_| drop(self.realtime.members_of(&channel!("lobby"))));
        self.realtime.stats()
    }

    /// Until everything has expired.
    fn rest(&mut self) -> Stats {
        self.tabs.clear();
        self.now_ms.fetch_add(LIFETIME_MS + 1, Ordering::Relaxed);
        self.realtime.sweep();
        self.settled()
    }
}

fn assert_empty(stats: &Stats) {
    let left = (stats.connections, stats.members, stats.bindings, stats.channels, stats.revocations);
    assert_eq!(left, (0, 0, 0, 0, 0), "{stats:?}");
}

/// C4, R2, R4, B5
#[test]
fn ten_days_of_churn_leave_nothing_behind() {
    let before = held_bytes();
    let mut world = World::new();
    // Makes what is made once: pages of slots, tables, what this thread keeps for itself.
    (0..=MEMORY_DAYS).for_each(|_| world.day());
    assert_empty(&world.rest());
    let at_rest = held_bytes();

    let mut held = Vec::new();
    for _ in 0..DAYS {
        world.day();
        held.push(held_bytes());
    }
    assert!(
        world.realtime.stats().revocations > 100 && world.restored > 1_000,
        "there was something to keep"
    );
    // The first days fill the memory of revocations and receipts; from then on each has what the one before had.
    let steady = &held[MEMORY_DAYS as usize..];
    assert!(steady.iter().all(|held| (held - steady[0]).abs() < SLACK_BYTES), "from day to day: {held:?}");

    let last = world.rest();
    assert_empty(&last);
    assert!(last.withheld > 0 && last.released > 0 && last.taken > 0, "all ends were met: {last:?}");
    assert_eq!(world.alive.load(Ordering::Relaxed), 0, "params are kept");
    assert!(held_bytes() - at_rest < SLACK_BYTES, "{at_rest} bytes before, {} after", held_bytes());
    drop(world);
    assert!(held_bytes() - before < SLACK_BYTES, "{} bytes outlive the engine", held_bytes() - before);
}
