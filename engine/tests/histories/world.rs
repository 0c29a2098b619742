//! Threads that call one engine at random and write down what they called, when, and what it returned.

use std::collections::BTreeMap;
use std::sync::Arc;

use holocast::{
    Channel, Cid, Client, CloseReason, Connection, Event, Identity, Lane, LaneEvent, LaneKey, Realtime,
    Receipt,
};

use super::check::{Call, History};
use super::runtime::{self, Gate, Random};
use super::spec::{CIDS, CidId, Cids, End, OpId, Person, Proof, Session, Step, TABS, Tenancy, User, Who};

const USERS: u8 = 2;
const SESSIONS: u8 = 2;
const CID_NAMES: [&str; CIDS as usize] = ["a", "b"];

/// Which calls a script is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Calls of each thread, takes not counted.
    pub(crate) calls: usize,
    /// Tabs may be on lanes.
    pub(crate) lanes: bool,
}

type Engine = Realtime<OpId>;

/// The receiving half of a tab.
enum Seat {
    Own(Connection<OpId>),
    /// With its token.
    Lane(LaneKey, usize),
}

/// A tab, as the thread knows it that connects it.
struct Tab {
    number: u8,
    seat: Option<Seat>,
    /// Tenancies so far.
    tenancies: u8,
    /// What the browser would keep, and more: all receipts that a call returned.
    receipts: Vec<(Proof, Receipt)>,
}

/// One thread of a script.
struct Actor {
    engine: Engine,
    channel: Channel,
    plan: Plan,
    random: Random,
    thread: u32,
    next_op: u32,
    tab: Option<Tab>,
    lane: Option<Lane<OpId>>,
    /// Receivers that were replaced, still drained, and whether they were superseded.
    former: Vec<(Connection<OpId>, Tenancy, bool)>,
    /// The tenancies behind the tokens of the lane, and whether the lane's part in them was superseded.
    tokens: Vec<(Tenancy, bool)>,
    calls: Vec<Call>,
    told: BTreeMap<(Tenancy, CidId), usize>,
    /// The last broadcast of each thread that came to a tenancy (rule B4), with a receiver of its own for each.
    last: BTreeMap<(Tenancy, u32), OpId>,
}

fn name(tab: u8) -> String {
    format!("t{tab}")
}

fn client(person: Person) -> Client {
    let number = |id: Option<u8>| id.map(|id| i64::from(id).into());
    Client::from_parts(name(person.tab), number(person.session), number(person.user))
}

fn identity(who: Who) -> Identity {
    match who {
        Who::Tab(tab) => Identity::instance(name(tab)),
        Who::Session(session) => Identity::session(i64::from(session)),
        Who::User(user) => Identity::user(i64::from(user)),
    }
}

fn cid(number: CidId) -> Cid {
    CID_NAMES[number as usize].into()
}

fn number_of(cid: &Cid) -> CidId {
    CID_NAMES.iter().position(|name| *name == cid.as_str()).expect("a cid of ours") as u8
}

fn set_of<'a>(cids: impl Iterator<Item = &'a Cid>) -> Cids {
    cids.fold(0, |set, cid| set | 1 << number_of(cid))
}

impl Actor {
    fn new(engine: &Engine, channel: &Channel, plan: Plan, thread: u32, seed: u64) -> Self {
        Self {
            engine: engine.clone(),
            channel: channel.clone(),
            plan,
            random: Random::new(seed),
            thread,
            next_op: 0,
            tab: ((thread as usize) < TABS).then(|| Tab {
                number: thread as u8,
                seat: None,
                tenancies: 0,
                receipts: Vec::new(),
            }),
            lane: None,
            former: Vec::new(),
            tokens: Vec::new(),
            calls: Vec::new(),
            told: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// Names the next call: the thread, and how many it made before.
    fn op(&mut self) -> OpId {
        self.next_op += 1;
        self.thread * 1_000 + self.next_op
    }

    fn record<R>(
        &mut self,
        call: impl FnOnce(&mut Self) -> R,
        tell: impl FnOnce(&R) -> (String, Vec<Step>),
    ) -> R {
        let start = runtime::now();
        let result = call(self);
        let end = runtime::now();
        let (text, steps) = tell(&result);
        self.calls.push(Call { start, end, text, steps });
        result
    }

    fn person(&mut self, tab: u8) -> Person {
        let mut maybe = |below| Some(self.random.below(u64::from(below) + 1) as u8).filter(|id| *id < below);
        Person { tab, session: maybe(SESSIONS), user: maybe(USERS) }
    }

    fn who(&mut self) -> Who {
        match self.random.below(5) {
            0 | 1 => Who::Tab(self.random.below(TABS as u64) as u8),
            2 => Who::Session(self.random.below(u64::from(SESSIONS)) as Session),
            _ => Who::User(self.random.below(u64::from(USERS)) as User),
        }
    }

    fn cid(&mut self) -> CidId {
        self.random.below(u64::from(CIDS)) as u8
    }

    fn act(&mut self) {
        let mine = self.tab.is_some();
        match self.random.below(20) {
            0..=3 => self.subscribe(),
            4 | 5 => self.unsubscribe(),
            6 | 7 => self.unsubscribe_all(),
            8..=10 => self.broadcast(),
            11 | 12 => {
                let tab = self.tab.as_ref().map_or_else(|| 0, |tab| tab.number);
                let tab = if mine && self.random.below(3) > 0 { tab } else { self.random.below(3) as u8 };
                self.identify(tab);
            }
            13 if self.random.below(2) == 0 => self.disconnect(),
            14..=16 if mine => self.connect(),
            17 if mine => self.hang_up(),
            18 if mine => self.put(),
            19 if mine => self.delete(),
            _ => self.subscribe(),
        }
        self.take();
    }

    fn subscribe(&mut self) {
        let (who, cid_id) = (self.who(), self.cid());
        self.record(
            |actor| {
                actor.engine.subscribe(&identity(who), &actor.channel, cid(cid_id)).expect("names are short")
            },
            |&matched| {
                let steps = vec![Step::Begin { binds: true }, Step::Subscribe { who, cid: cid_id, matched }];
                (format!("subscribe({who}, {}) = {matched}", CID_NAMES[cid_id as usize]), steps)
            },
        );
    }

    fn unsubscribe(&mut self) {
        let (who, cid_id) = (self.who(), self.cid());
        self.record(
            |actor| {
                actor
                    .engine
                    .unsubscribe(&identity(who), &actor.channel, cid(cid_id))
                    .expect("names are short")
            },
            |&matched| {
                let steps =
                    vec![Step::Begin { binds: false }, Step::Unsubscribe { who, cid: cid_id, matched }];
                (format!("unsubscribe({who}, {}) = {matched}", CID_NAMES[cid_id as usize]), steps)
            },
        );
    }

    fn unsubscribe_all(&mut self) {
        let who = self.who();
        self.record(
            |actor| actor.engine.unsubscribe_all(&identity(who), &actor.channel).expect("names are short"),
            |&lost| {
                let steps = vec![Step::Begin { binds: false }, Step::UnsubscribeAll { who, lost }];
                (format!("unsubscribe_all({who}) = {lost}"), steps)
            },
        );
    }

    fn broadcast(&mut self) {
        let op = self.op();
        let excluded = (self.random.below(3) == 0).then(|| self.random.below(TABS as u64) as u8);
        self.record(
            |actor| {
                let excluded: Vec<_> =
                    excluded.map(|tab| Identity::instance(name(tab))).into_iter().collect();
                let sent = actor.engine.broadcast_action_except(&excluded, &actor.channel, "x", op);
                sent.expect("names are short").reached
            },
            |&reached| {
                let except = excluded.map_or_else(String::new, |tab| format!(" except t{tab}"));
                let steps = vec![Step::Broadcast { op, excluded, reached }];
                (format!("broadcast {op}{except} = {reached}"), steps)
            },
        );
    }

    fn identify(&mut self, tab: u8) {
        let person = self.person(tab);
        self.record(
            |actor| actor.engine.identify(&client(person)).expect("names are short"),
            |&live| {
                let steps = vec![Step::Identify { person, live }, Step::Visit];
                (format!("identify({person:?}) = {live}"), steps)
            },
        );
    }

    fn disconnect(&mut self) {
        let tab = self.random.below(TABS as u64) as u8;
        self.record(
            |actor| actor.engine.disconnect(&name(tab)),
            |&ended| {
                let steps = vec![Step::End { tab, ended: Some(ended) }, Step::Leave];
                (format!("disconnect(t{tab}) = {ended}"), steps)
            },
        );
    }

    /// Lets the receiving half go.
    fn hang_up(&mut self) {
        let Some(tab) = &mut self.tab else { return };
        let number = tab.number;
        match tab.seat.take() {
            Some(Seat::Own(connection)) => self.record(
                |_| drop(connection),
                |()| {
                    (format!("drop of t{number}"), vec![Step::End { tab: number, ended: None }, Step::Leave])
                },
            ),
            Some(Seat::Lane(key, _)) => self.record(
                |actor| {
                    actor.lane.as_mut().expect("it was made").disconnect(key);
                },
                |()| {
                    let steps = vec![Step::End { tab: number, ended: None }, Step::Leave];
                    (format!("drop of t{number} on a lane"), steps)
                },
            ),
            None => {}
        }
    }

    /// Connects the thread's tab, with receipts that it ever had: one of a cid, as only then it is known which one was good.
    fn connect(&mut self) {
        let Some(Tab { number, receipts, .. }) = &self.tab else { return };
        let (number, receipts) = (*number, receipts.clone());
        let mut shown: Vec<(Proof, Receipt)> = Vec::new();
        for cid in 0..CIDS {
            let of_cid: Vec<_> = receipts.iter().filter(|(proof, _)| proof.1 == cid).collect();
            let chosen = self.random.below(of_cid.len() as u64 + 1) as usize;
            shown.extend(of_cid.get(chosen).map(|shown| (*shown).clone()));
        }
        let (op, person, on_lane) =
            (self.op(), self.person(number), self.plan.lanes && self.random.below(2) == 0);
        let presented: Vec<Receipt> = shown.iter().map(|(_, receipt)| receipt.clone()).collect();
        let token = self.tokens.len() as u64;
        if on_lane && self.lane.is_none() {
            self.lane = Some(self.engine.lane());
        }
        let mut connected = None;
        let (superseded, fresh) = self.record(
            |actor| {
                let (seat, receipts, superseded) = match actor.lane.as_mut().filter(|_| on_lane) {
                    Some(lane) => {
                        let found =
                            lane.reconnect(&client(person), &presented, token).expect("names are short");
                        (Seat::Lane(found.key, token as usize), found.receipts, found.superseded)
                    }
                    None => {
                        let found =
                            actor.engine.reconnect(&client(person), &presented).expect("names are short");
                        (Seat::Own(found.connection), found.receipts, found.superseded)
                    }
                };
                connected = Some(seat);
                (superseded, receipts)
            },
            |(superseded, fresh)| {
                let mut steps = vec![Step::Arrive { person, superseded: *superseded }];
                let cids = set_of(fresh.iter().map(Receipt::cid));
                if *superseded {
                    steps.push(Step::Renew { op, tab: number, shown: cids });
                } else {
                    steps.push(Step::Enter { tab: number });
                    for (proof, _) in &shown {
                        let restored = cids & 1 << proof.1 != 0;
                        steps.extend([
                            Step::Begin { binds: true },
                            Step::Restore { op, person, proof: *proof, restored },
                        ]);
                    }
                }
                let proofs: Vec<Proof> = shown.iter().map(|(proof, _)| *proof).collect();
                let how = if *superseded { " superseding" } else { "" };
                let place = if on_lane { " on a lane" } else { "" };
                (format!("connect({person:?}, {proofs:?}){place} = {op}{how}, bound {cids:02b}"), steps)
            },
        );
        let tab = self.tab.as_mut().expect("as above");
        tab.receipts.extend(fresh.into_iter().map(|receipt| ((op, number_of(receipt.cid())), receipt)));
        let old = (number, tab.tenancies.wrapping_sub(1));
        tab.tenancies += u8::from(!superseded);
        let tenancy = (number, tab.tenancies - 1);
        match std::mem::replace(&mut tab.seat, connected) {
            Some(Seat::Own(connection)) => self.former.push((connection, old, superseded)),
            Some(Seat::Lane(_, token)) => self.tokens[token].1 = superseded,
            None => {}
        }
        if on_lane {
            self.tokens.push((tenancy, false));
        }
    }

    fn put(&mut self) {
        let Some(tab) = &self.tab else { return };
        let number = tab.number;
        let (op, cid_id, person) = (self.op(), self.cid(), self.person(number));
        let receipt = self.record(
            |actor| {
                let put = actor.engine.put_subscription(&client(person), &actor.channel, cid(cid_id));
                put.expect("names are short")
            },
            |receipt| {
                let issued = receipt.is_some();
                let steps = vec![Step::Begin { binds: true }, Step::Put { op, person, cid: cid_id, issued }];
                (format!("put {op}({person:?}, {}) = {issued}", CID_NAMES[cid_id as usize]), steps)
            },
        );
        let tab = self.tab.as_mut().expect("as above");
        tab.receipts.extend(receipt.map(|receipt| ((op, cid_id), receipt)));
    }

    fn delete(&mut self) {
        let Some(tab) = &self.tab else { return };
        let number = tab.number;
        let cid_id = self.cid();
        self.record(
            |actor| {
                let person = Client::new(name(number));
                actor
                    .engine
                    .delete_subscription(&person, &actor.channel, cid(cid_id))
                    .expect("names are short")
            },
            |&dropped| {
                let steps =
                    vec![Step::Begin { binds: true }, Step::Delete { tab: number, cid: cid_id, dropped }];
                (format!("delete(t{number}, {}) = {dropped}", CID_NAMES[cid_id as usize]), steps)
            },
        );
    }

    /// Takes all that there is.
    fn take(&mut self) {
        while self.take_former() | self.take_own() | self.take_lane() {}
    }

    fn take_former(&mut self) -> bool {
        let mut any = false;
        let mut former = std::mem::take(&mut self.former);
        former.retain_mut(|(connection, tenancy, superseded)| {
            loop {
                let start = runtime::now();
                let Ok(event) = connection.try_recv() else { return true };
                any = true;
                if let Event::Closed(reason) = event {
                    assert!(!*superseded || reason == CloseReason::Superseded, "{reason:?} (rule C3)");
                    assert!(connection.try_recv().is_err(), "after Closed comes nothing (rule C4)");
                    return false;
                }
                assert!(!*superseded, "{event:?} came to a receiver that was superseded (rule C3)");
                self.event(start, *tenancy, event);
            }
        });
        self.former = former;
        any
    }

    fn take_own(&mut self) -> bool {
        let mut any = false;
        loop {
            let start = runtime::now();
            let Some(Tab { number, tenancies, seat: Some(Seat::Own(connection)), .. }) = &mut self.tab else {
                return any;
            };
            let tenancy = (*number, tenancies.wrapping_sub(1));
            let Ok(event) = connection.try_recv() else { return any };
            any = true;
            self.event(start, tenancy, event);
        }
    }

    fn take_lane(&mut self) -> bool {
        let mut any = false;
        loop {
            let start = runtime::now();
            let Some(event) = self.lane.as_mut().and_then(Lane::try_recv) else { return any };
            any = true;
            match event {
                LaneEvent::One(token, event) => {
                    let (tenancy, superseded) = self.tokens[token as usize];
                    // Of an end beside the takeover the lane may be told instead.
                    let is_end = matches!(event, Event::Closed(_));
                    assert!(!superseded || is_end, "{event:?} came to a lane that was superseded (rule C3)");
                    self.event(start, tenancy, event);
                }
                LaneEvent::Broadcast(mut batch) => {
                    let op = *batch.params();
                    let tokens = self.tokens.clone();
                    let taken: Vec<_> = batch
                        .receivers()
                        .map(|(token, cids)| (tokens[token as usize], set_of(cids)))
                        .collect();
                    for ((tenancy, superseded), cids) in taken {
                        assert!(!superseded, "{op} came to a lane that was superseded (rule C3)");
                        self.delivery(start, tenancy, op, cids);
                    }
                }
                other => panic!("{other:?}: nothing is lost in queues of this size"),
            }
        }
    }

    fn event(&mut self, start: u64, tenancy: Tenancy, event: Event<OpId>) {
        match event {
            Event::Broadcast(delivery) => {
                let (op, cids) = (*delivery.params(), set_of(delivery.cids()));
                self.delivery(start, tenancy, op, cids);
            }
            Event::Subscribed(receipt) => {
                *self.told.entry((tenancy, number_of(receipt.cid()))).or_default() += 1;
            }
            Event::Unsubscribed(_) | Event::Closed(CloseReason::Superseded | CloseReason::Disconnected) => {}
            other => panic!("{other:?}: nothing is lost in queues of this size"),
        }
    }

    fn delivery(&mut self, start: u64, tenancy: Tenancy, op: OpId, cids: Cids) {
        let end = runtime::now();
        let last = self.last.entry((tenancy, op / 1_000)).or_default();
        assert!(*last < op, "{op} came to {tenancy:?} after {last} (rules B4, B5)");
        *last = op;
        let text = format!("t{}.{} takes {op} with {cids:02b}", tenancy.0, tenancy.1);
        self.calls.push(Call { start, end, text, steps: vec![Step::Take { tenancy, broadcast: op, cids }] });
    }
}

/// Runs a script of threads that act at random, and returns what happened.
pub(crate) fn run(plan: Plan, seed: u64) -> History {
    let engine: Engine = Realtime::builder().clock(runtime::clock).build().expect("the settings are valid");
    let channel = Channel::atom("c");
    let mut random = Random::new(seed);
    let mut actors: Vec<Actor> =
        (0..=TABS as u32).map(|thread| Actor::new(&engine, &channel, plan, thread, random.next())).collect();
    // Something to begin with; one after the other, so that the threads meet in the middle of things.
    for actor in &mut actors {
        if random.below(4) > 0 {
            actor.connect();
        }
        if random.below(2) == 0 {
            actor.put();
        }
    }
    let gate = Arc::new(Gate::new(actors.len()));
    let threads: Vec<_> = actors
        .into_iter()
        .map(|mut actor| {
            let gate = Arc::clone(&gate);
            runtime::thread::spawn(move || {
                gate.pass();
                for _ in 0..actor.plan.calls {
                    actor.act();
                }
                actor
            })
        })
        .collect();
    let mut actors: Vec<Actor> =
        threads.into_iter().map(|thread| thread.join().expect("no call panics")).collect();
    // A lane forwards to others, so that one round is not enough.
    for _ in 0..3 {
        actors.iter_mut().for_each(Actor::take);
    }
    let end = End { lanes: plan.lanes, ..end(&engine, &channel, &mut actors) };
    History { threads: actors.into_iter().map(|actor| actor.calls).collect(), end }
}

fn end(engine: &Engine, channel: &Channel, actors: &mut [Actor]) -> End {
    let stats = engine.stats();
    let mut end = End {
        revocations: stats.revocations as usize,
        members: stats.members as usize,
        channels: stats.channels as usize,
        ..End::default()
    };
    assert_eq!(
        stats.accepted,
        stats.taken + stats.queued + stats.released + stats.withheld,
        "rule B5, in {stats:?}"
    );
    assert_eq!(stats.queued, 0, "all was taken: {stats:?}");
    let seen = engine.members_of(channel).len();
    end.seen = seen;
    for actor in actors {
        end.told.append(&mut actor.told);
        let Some(tab) = &actor.tab else { continue };
        let live = engine.identities_of(&name(tab.number)).is_some();
        end.ended.extend((0..tab.tenancies - u8::from(live)).map(|tenancy| (tab.number, tenancy)));
        if live {
            let bindings = engine.bindings_of(&name(tab.number)).into_iter();
            let user = |user: Option<holocast::Id>| {
                user.map(|user| {
                    (0..USERS)
                        .find(|known| holocast::Id::from(i64::from(*known)) == user)
                        .expect("a user of ours")
                })
            };
            let bindings = bindings.map(|binding| (number_of(&binding.cid), user(binding.user)));
            end.bindings.insert(tab.number, bindings.collect());
        }
    }
    end
}
