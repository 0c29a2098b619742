//! What one publisher thread will do and when: decided by the seed before anything runs.
//!
//! Each publisher owns a share of the people and is the only one that changes them, so every person's life is one sequence.
//! Nothing here depends on what the engine answers or on how long it takes.

use std::collections::VecDeque;

use rand::Rng;
use rand::SeedableRng;
use rand::distr::weighted::WeightedIndex;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Zipf};
use rand_pcg::Pcg64Mcg;

use super::crowd::Crowd;
use super::workload::{Law, Spacing, Workload};

/// How often a kind of operation looks for somebody whom it suits before the slot goes to another kind.
const TRIES: u32 = 8;

pub(super) const NS_PER_SECOND: f64 = 1e9;

/// One operation. People, tabs and rooms go by their numbers in the crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// A tab comes for the first time.
    Connect { tab: u32 },
    /// A message to a room.
    Broadcast { room: u32, except: Except },
    /// A person's tabs are bound to a room.
    Join { person: u32, room: u32 },
    /// The same, after a kick.
    Regrant { person: u32, room: u32 },
    /// A person's tabs leave a room by their own will: each of the room's cids is unsubscribed.
    Leave { person: u32, room: u32 },
    /// A person's tabs are thrown out of a room: all cids at once.
    Kick { person: u32, room: u32 },
    /// A tab loses its connection.
    Drop { tab: u32 },
    /// A tab comes back with its receipts.
    Return { tab: u32 },
    /// A live tab connects again.
    Supersede { tab: u32 },
    /// All live tabs of a person become their user's.
    Login { person: u32 },
    /// All live tabs of a person become nobody's.
    Logout { person: u32 },
    /// A line of a trace, of this kind.
    Traced(&'static str),
}

/// Who does not get a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Except {
    Nobody,
    Tab(u32),
    /// All tabs of a person.
    Person(u32),
}

impl Op {
    /// As results name it.
    pub(super) fn kind(&self) -> &'static str {
        match *self {
            Op::Connect { .. } => "connect",
            Op::Broadcast { except: Except::Nobody, .. } => "broadcast",
            Op::Broadcast { .. } => "broadcast_except",
            Op::Join { .. } => "join",
            Op::Regrant { .. } => "regrant",
            Op::Leave { .. } => "leave",
            Op::Kick { .. } => "kick",
            Op::Drop { .. } => "drop",
            Op::Return { .. } => "reconnect",
            Op::Supersede { .. } => "supersede",
            Op::Login { .. } => "login",
            Op::Logout { .. } => "logout",
            Op::Traced(kind) => kind,
        }
    }

    /// Whether it presents receipts.
    fn presents(&self) -> bool {
        matches!(self, Op::Return { .. } | Op::Supersede { .. })
    }
}

/// An operation and when it is to start, in nanoseconds since the start of the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) due_ns: u64,
    pub(super) op: Op,
}

/// All that one publisher does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// Before the clock starts.
    pub(super) setup: Vec<Op>,
    /// In order of time.
    pub(super) timed: Vec<Planned>,
}

impl Script {
    /// The script of publisher `index`.
    pub(super) fn new(workload: &Workload, crowd: &Crowd, seed: u64, index: u32) -> Self {
        let mut writer = Writer::new(workload, crowd, seed, index);
        let setup = writer.setup();
        let timed = writer.timed();
        Script { setup, timed }
    }

    /// Whether receipts are ever presented; else nobody needs to keep any.
    pub(super) fn presents(&self) -> bool {
        self.timed.iter().any(|planned| planned.op.presents())
    }
}

/// A room that a person is in, and whether their user authorized it.
#[derive(Debug, Clone, Copy)]
struct Place {
    room: u32,
    by_user: bool,
}

struct Writer<'a> {
    workload: &'a Workload,
    crowd: &'a Crowd,
    index: u32,
    rng: Pcg64Mcg,
    popularity: Zipf<f64>,
    /// Of this publisher, by their number among them.
    people: Vec<u32>,
    logged_in: Vec<bool>,
    places: Vec<Vec<Place>>,
    /// Rooms that a logout ended; a login brings them back.
    lost_at_logout: Vec<Vec<u32>>,
    /// Who is in a room.
    inside: Pool,
    /// Who wants to be in another one.
    wanting: Pool,
    kicked: Vec<(u32, u32)>,
    /// By the crowd's number.
    live: Vec<bool>,
    /// Tabs that are away and when they come back, soonest first.
    away: VecDeque<(u64, u32)>,
    /// What must come next.
    next: VecDeque<Op>,
}

impl<'a> Writer<'a> {
    fn new(workload: &'a Workload, crowd: &'a Crowd, seed: u64, index: u32) -> Self {
        let people: Vec<u32> =
            (index..crowd.people.len() as u32).step_by(workload.threads as usize).collect();
        let rooms = crowd.rooms.len().max(1) as f64;
        Writer {
            workload,
            crowd,
            index,
            // A stream of its own for each publisher, none of them that of the crowd.
            rng: Pcg64Mcg::seed_from_u64(seed.wrapping_add((u64::from(index) + 1) << 32)),
            popularity: Zipf::new(rooms, workload.rooms.exponent)
                .expect("there is a room, and the exponent is not negative"),
            logged_in: people.iter().map(|person| crowd.people[*person as usize].logged_in).collect(),
            places: vec![Vec::new(); people.len()],
            lost_at_logout: vec![Vec::new(); people.len()],
            inside: Pool::new(people.len()),
            wanting: Pool::new(people.len()),
            people,
            kicked: Vec::new(),
            live: vec![false; crowd.tabs.len()],
            away: VecDeque::new(),
            next: VecDeque::new(),
        }
    }

    /// Everybody comes; who is a member from the start joins their rooms.
    fn setup(&mut self) -> Vec<Op> {
        let mut setup = Vec::new();
        for own in 0..self.people.len() {
            let person = self.people[own];
            for tab in self.crowd.tabs_of(person) {
                self.live[tab as usize] = true;
                setup.push(Op::Connect { tab });
            }
            self.resort(own);
            if self.crowd.people[person as usize].member {
                while self.wants_more(own)
                    && let Some(room) = self.new_room(own)
                {
                    setup.push(self.enter(own, room));
                }
            }
        }
        setup
    }

    fn timed(&mut self) -> Vec<Planned> {
        let Workload { rate, threads, warm_up_seconds, seconds, spacing, .. } = *self.workload;
        let end_ns = (warm_up_seconds + seconds) * NS_PER_SECOND;
        let gap_ns = f64::from(threads) * NS_PER_SECOND / rate;
        let mut bursts: VecDeque<_> = self.workload.burst.iter().collect();
        bursts.make_contiguous().sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
        let kinds = WeightedIndex::new(self.workload.mix.shares().map(|(_, share)| share))
            .expect("the workload was checked: shares are not negative, and not all zero");
        let mut timed = Vec::with_capacity((end_ns / gap_ns) as usize + 1);
        let mut slot = 0_u64;
        let mut at_ns = match spacing {
            Spacing::Even => gap_ns * f64::from(self.index) / f64::from(threads),
            Spacing::Random => self.gap(gap_ns),
        };
        loop {
            while let Some(burst) = bursts.front()
                && ((warm_up_seconds + burst.at_seconds) * NS_PER_SECOND <= at_ns || at_ns >= end_ns)
            {
                let due_ns = ((warm_up_seconds + burst.at_seconds) * NS_PER_SECOND) as u64;
                self.burst(due_ns, burst.percent, &mut timed);
                bursts.pop_front();
            }
            if at_ns >= end_ns {
                return timed;
            }
            let due_ns = at_ns as u64;
            timed.extend(self.op(due_ns, &kinds).map(|op| Planned { due_ns, op }));
            slot += 1;
            at_ns = match spacing {
                Spacing::Even => gap_ns * (f64::from(self.index) / f64::from(threads) + slot as f64),
                Spacing::Random => at_ns + self.gap(gap_ns),
            };
        }
    }

    /// An exponential gap with this mean.
    fn gap(&mut self, mean_ns: f64) -> f64 {
        -mean_ns * (1.0 - self.rng.random::<f64>()).ln()
    }

    /// What a slot is used for; nothing, if no kind of operation suits anybody.
    fn op(&mut self, due_ns: u64, kinds: &WeightedIndex<f64>) -> Option<Op> {
        if let Some(op) = self.next.pop_front() {
            return Some(op);
        }
        if let Some(&(back_ns, tab)) = self.away.front()
            && back_ns <= due_ns
        {
            self.away.pop_front();
            self.live[tab as usize] = true;
            return Some(Op::Return { tab });
        }
        if self.people.is_empty() {
            return None;
        }
        (0..TRIES).find_map(|_| match kinds.sample(&mut self.rng) {
            0 => self.write(false),
            1 => self.write(true),
            2 => self.join(),
            3 => self.leave(false),
            4 => self.leave(true),
            5 => self.regrant(),
            6 => self.lose(due_ns),
            7 => self.live_tab().map(|tab| Op::Supersede { tab }),
            _ => Some(self.log_in_or_out()),
        })
    }

    fn write(&mut self, except: bool) -> Option<Op> {
        let own = self.inside.any(&mut self.rng)?;
        let room = self.places[own][self.rng.random_range(0..self.places[own].len())].room;
        let person = self.people[own];
        let except = match except {
            false => Except::Nobody,
            // Mostly the tab that writes, as a handler does; now and then all of its person's.
            true if self.rng.random_range(0..4) > 0 => Except::Tab(self.any_tab(person)),
            true => Except::Person(person),
        };
        Some(Op::Broadcast { room, except })
    }

    fn join(&mut self) -> Option<Op> {
        let own = self.wanting.any(&mut self.rng)?;
        let room = self.new_room(own)?;
        Some(self.enter(own, room))
    }

    /// A room that they are not in, the more likely the more popular; nothing, if none is found.
    fn new_room(&mut self, own: usize) -> Option<u32> {
        (0..TRIES).find_map(|_| Some(self.any_room(own)).filter(|room| !self.is_in(own, *room)))
    }

    fn any_room(&mut self, own: usize) -> u32 {
        match self.workload.rooms.law {
            Law::One => 0,
            Law::Own => self.people[own],
            Law::Zipf => {
                // From 1 to the number of rooms; held in it whatever the rounding.
                let rank = self.popularity.sample(&mut self.rng) as usize;
                self.crowd.ranks[rank.clamp(1, self.crowd.ranks.len()) - 1]
            }
        }
    }

    fn enter(&mut self, own: usize, room: u32) -> Op {
        self.places[own].push(Place { room, by_user: self.logged_in[own] });
        self.resort(own);
        Op::Join { person: self.people[own], room }
    }

    fn leave(&mut self, kick: bool) -> Option<Op> {
        let own = self.inside.any(&mut self.rng)?;
        let at = self.rng.random_range(0..self.places[own].len());
        let (person, room) = (self.people[own], self.places[own].swap_remove(at).room);
        self.resort(own);
        if kick {
            self.kicked.push((own as u32, room));
            return Some(Op::Kick { person, room });
        }
        Some(Op::Leave { person, room })
    }

    fn regrant(&mut self) -> Option<Op> {
        if self.kicked.is_empty() {
            return None;
        }
        let at = self.rng.random_range(0..self.kicked.len());
        let (own, room) = self.kicked.swap_remove(at);
        let (own, person) = (own as usize, self.people[own as usize]);
        if !self.is_in(own, room) {
            self.enter(own, room);
        }
        Some(Op::Regrant { person, room })
    }

    fn lose(&mut self, due_ns: u64) -> Option<Op> {
        let tab = self.live_tab()?;
        self.live[tab as usize] = false;
        self.away.push_back((due_ns + (self.workload.crowd.away_seconds * NS_PER_SECOND) as u64, tab));
        Some(Op::Drop { tab })
    }

    /// Anybody logs out, or in if they are out; what a logout ends is joined again after the next login.
    fn log_in_or_out(&mut self) -> Op {
        let own = self.rng.random_range(0..self.people.len());
        let person = self.people[own];
        self.logged_in[own] = !self.logged_in[own];
        if self.logged_in[own] {
            for room in std::mem::take(&mut self.lost_at_logout[own]) {
                if !self.is_in(own, room) {
                    let join = self.enter(own, room);
                    self.next.push_back(join);
                }
            }
            return Op::Login { person };
        }
        let (lost, kept) = self.places[own].iter().partition::<Vec<Place>, _>(|place| place.by_user);
        self.places[own] = kept;
        self.lost_at_logout[own].extend(lost.into_iter().map(|place| place.room));
        self.resort(own);
        Op::Logout { person }
    }

    /// So many of a hundred live tabs go and come back, all at once.
    fn burst(&mut self, due_ns: u64, percent: f64, timed: &mut Vec<Planned>) {
        let tabs = self.people.iter().flat_map(|person| self.crowd.tabs_of(*person));
        let mut tabs: Vec<u32> = tabs.filter(|tab| self.live[*tab as usize]).collect();
        tabs.shuffle(&mut self.rng);
        tabs.truncate((tabs.len() as f64 * percent / 100.0).round() as usize);
        timed.extend(tabs.iter().map(|&tab| Planned { due_ns, op: Op::Drop { tab } }));
        tabs.shuffle(&mut self.rng);
        timed.extend(tabs.iter().map(|&tab| Planned { due_ns, op: Op::Return { tab } }));
    }

    fn any_tab(&mut self, person: u32) -> u32 {
        self.rng.random_range(self.crowd.tabs_of(person))
    }

    fn live_tab(&mut self) -> Option<u32> {
        let own = self.rng.random_range(0..self.people.len());
        Some(self.any_tab(self.people[own])).filter(|tab| self.live[*tab as usize])
    }

    fn is_in(&self, own: usize, room: u32) -> bool {
        self.places[own].iter().any(|place| place.room == room)
    }

    fn wants_more(&self, own: usize) -> bool {
        let wanted = self.crowd.people[self.people[own] as usize].wanted_rooms;
        self.places[own].len() < wanted as usize
    }

    /// Keeps the pools in step with a person's places.
    fn resort(&mut self, own: usize) {
        self.inside.put(own, !self.places[own].is_empty());
        self.wanting.put(own, self.wants_more(own));
    }
}

/// A set of numbers of which any can be drawn.
#[derive(Debug)]
struct Pool {
    numbers: Vec<u32>,
    /// Where each number stands; [`Pool::OUT`] if it does not.
    at: Vec<u32>,
}

impl Pool {
    const OUT: u32 = u32::MAX;

    fn new(size: usize) -> Self {
        Pool { numbers: Vec::new(), at: vec![Self::OUT; size] }
    }

    fn any(&self, rng: &mut Pcg64Mcg) -> Option<usize> {
        (!self.numbers.is_empty()).then(|| self.numbers[rng.random_range(0..self.numbers.len())] as usize)
    }

    fn put(&mut self, number: usize, is_in: bool) {
        let at = self.at[number];
        match (at == Self::OUT, is_in) {
            (true, true) => {
                self.at[number] = self.numbers.len() as u32;
                self.numbers.push(number as u32);
            }
            (false, false) => {
                self.numbers.swap_remove(at as usize);
                if let Some(&moved) = self.numbers.get(at as usize) {
                    self.at[moved as usize] = at;
                }
                self.at[number] = Self::OUT;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::workload::{Size, parse};
    use super::*;

    const ALL_KINDS: &str = "threads = 2\nrate = 20000\nseconds = 1\nwarm_up_seconds = 0.1\nspacing = \"random\"\n\
        crowd = { users = 200, tabs = [1, 3], anonymous_percent = 20, away_seconds = 0.01 }\n\
        rooms = { count = 20, per_user = [1, 3], cids = 2 }\n\
        mix = { broadcast = 5, broadcast_except = 5, join = 5, leave = 5, kick = 2, regrant = 2, drop = 2, supersede = 2, login = 2 }\n\
        [[burst]]\nat_seconds = 0.5\npercent = 50\n";

    fn scripts(seed: u64) -> Vec<Script> {
        let workload = &parse("w.toml", "w", ALL_KINDS, Size::Full).unwrap()[0].settings;
        let crowd = Crowd::new(workload, seed);
        (0..workload.threads).map(|index| Script::new(workload, &crowd, seed, index)).collect()
    }

    #[test]
    fn a_seed_gives_the_same_operations_at_the_same_times_and_another_seed_others() {
        assert_eq!(scripts(1), scripts(1));
        assert_ne!(scripts(1), scripts(2));
    }

    #[test]
    fn every_kind_with_a_share_happens_at_about_the_planned_rate_in_order_of_time() {
        let scripts = scripts(1);
        let mut kinds: Vec<_> =
            scripts.iter().flat_map(|script| &script.timed).map(|planned| planned.op.kind()).collect();
        assert!((20_000..25_000).contains(&kinds.len()), "{}", kinds.len());
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(
            kinds,
            [
                "broadcast",
                "broadcast_except",
                "drop",
                "join",
                "kick",
                "leave",
                "login",
                "logout",
                "reconnect",
                "regrant",
                "supersede"
            ]
        );
        for script in &scripts {
            assert!(script.timed.is_sorted_by_key(|planned| planned.due_ns) && script.presents());
        }
    }

    #[test]
    fn a_publisher_moves_only_its_own_people() {
        let workload = &parse("w.toml", "w", ALL_KINDS, Size::Full).unwrap()[0].settings;
        let crowd = Crowd::new(workload, 1);
        for (index, script) in scripts(1).iter().enumerate() {
            let ops = script.setup.iter().chain(script.timed.iter().map(|planned| &planned.op));
            for op in ops {
                let person = match *op {
                    Op::Connect { tab } | Op::Drop { tab } | Op::Return { tab } | Op::Supersede { tab } => {
                        crowd.tabs[tab as usize].person
                    }
                    Op::Join { person, .. } | Op::Leave { person, .. } | Op::Kick { person, .. } => person,
                    Op::Regrant { person, .. } | Op::Login { person } | Op::Logout { person } => person,
                    _ => continue,
                };
                assert_eq!(person as usize % 2, index, "{op:?}");
            }
        }
    }
}
