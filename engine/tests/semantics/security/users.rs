//! A user's events never reach another user (C3, C5), under load: tabs log in, out and over, supersede each other and change between
//! lanes and queues of their own, while others grant by user and send every user its own secrets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use holocast::{
    Client, CloseReason, Connection, Event, Identity, Lane, LaneEvent, Overflow, Realtime, TryRecvError,
    channel,
};

use crate::support::assert_balanced;

const USERS: i64 = 3;
const TABS: usize = 6;
/// Events that a host takes from each place in a round: more than it is sent, as grants are never dropped for lack of room.
const TAKES: usize = 32;
const PATIENCE: Duration = Duration::from_secs(20);

/// What one thread does with tabs of its own. Only it changes their users, so it knows at every moment whose events may come.
struct Host<'a> {
    realtime: &'a Realtime<i64>,
    lane: Lane<i64>,
    owns: BTreeMap<u64, Connection<i64>>,
    /// By instance: the token of its newest connection, and its user.
    tabs: Vec<(u64, Option<i64>)>,
    tokens: BTreeMap<u64, usize>,
    name: &'a str,
    heard: &'a AtomicUsize,
}

impl Host<'_> {
    fn client(&self, tab: usize, user: Option<i64>) -> Client {
        let client = Client::new(format!("{}{tab}", self.name)).with_session(self.name);
        match user {
            Some(user) => client.with_user(user),
            None => client,
        }
    }

    /// Connects the tab as this user, on the lane or with a queue of its own, whatever it had before.
    fn connect(&mut self, tab: usize, user: Option<i64>, on_lane: bool, token: u64) {
        let client = self.client(tab, user);
        if on_lane {
            self.lane.connect(&client, token).expect("names are short");
        } else {
            let connected = self.realtime.connect(&client).expect("names are short");
            self.owns.insert(token, connected.connection);
        }
        self.tabs[tab] = (token, user);
        self.tokens.insert(token, tab);
    }

    fn identify(&mut self, tab: usize, user: Option<i64>) {
        assert_eq!(self.realtime.identify(&self.client(tab, user)), Ok(true), "only this host ends its tabs");
        self.tabs[tab].1 = user;
    }

    /// A secret came: only the newest connection of the tab may have it, and only if the secret is its user's.
    fn check(&self, token: u64, secret: i64) {
        let tab = self.tokens[&token];
        assert_eq!(
            (token, Some(secret)),
            self.tabs[tab],
            "the secret of another user, or for a superseded one"
        );
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    fn check_event(&self, token: u64, event: &Event<i64>) {
        match event {
            Event::Broadcast(delivery) => self.check(token, *delivery.params()),
            Event::Subscribed(receipt) => {
                let tab = self.tokens[&token];
                assert_eq!(
                    receipt.user().cloned(),
                    self.tabs[tab].1.map(Into::into),
                    "another user's receipt"
                );
            }
            _ => {}
        }
    }

    /// One event of the lane; changes the user of a tab in the middle of a batch.
    fn take_of_lane(&mut self, round: usize) {
        match self.lane.try_recv() {
            Some(LaneEvent::Broadcast(mut batch)) => {
                let secret = *batch.params();
                if let Some((token, _)) = batch.receivers().next() {
                    self.check(token, secret);
                }
                self.identify(round % TABS, Some((secret + 1) % USERS));
                for (token, _) in batch.receivers() {
                    self.check(token, secret);
                }
            }
            Some(LaneEvent::One(token, event)) => self.check_event(token, &event),
            _ => {}
        }
    }

    fn take_of_owns(&mut self) {
        let mut ended = Vec::new();
        let tokens: Vec<u64> = self.owns.keys().copied().collect();
        for token in tokens {
            for _ in 0..TAKES {
                let event = self.owns.get_mut(&token).map(Connection::try_recv);
                match event {
                    Some(Ok(Event::Closed(CloseReason::Superseded))) | Some(Err(TryRecvError::Closed)) => {
                        assert_ne!(self.tabs[self.tokens[&token]].0, token, "the newest one lives");
                        ended.push(token);
                        break;
                    }
                    Some(Ok(event)) => self.check_event(token, &event),
                    _ => break,
                }
            }
        }
        ended.iter().for_each(|token| drop(self.owns.remove(token)));
    }
}

/// C3, C5
#[test]
fn c5_no_users_event_is_ever_handed_out_to_another_user() {
    const ROUNDS: usize = 4_000;
    let realtime: Realtime<i64> = Realtime::builder()
        .queue_capacity(8)
        .lane_capacity(8)
        .overflow(Overflow::Reset)
        .build()
        .expect("the settings are valid");
    let (done, heard) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let (realtime, done) = (&realtime, &done);
                scope.spawn(move || {
                    for round in sender.. {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        let user = round % USERS;
                        let room = channel!("user", user);
                        if round % 4 == 0 {
                            realtime
                                .subscribe(&Identity::user(user), &room, "page")
                                .expect("names are short");
                        }
                        for _ in 0..3 {
                            realtime.broadcast_action(&room, "secret", user).expect("names are short");
                        }
                        if round % 16 == 0 {
                            realtime.unsubscribe_all(&Identity::user(user), &room).expect("names are short");
                        }
                    }
                })
            })
            .collect();
        let hosts: Vec<_> = ["a", "b"]
            .into_iter()
            .map(|name| {
                let (realtime, heard) = (&realtime, &heard);
                scope.spawn(move || {
                    let lane = realtime.lane();
                    let (owns, tokens) = (BTreeMap::new(), BTreeMap::new());
                    let mut host =
                        Host { realtime, lane, owns, tabs: vec![(0, None); TABS], tokens, name, heard };
                    (0..TABS).for_each(|tab| host.connect(tab, None, tab % 2 == 0, tab as u64));
                    let start = Instant::now();
                    // Until enough has been heard, however the threads take turns.
                    for round in 0.. {
                        if round > ROUNDS && heard.load(Ordering::Relaxed) > ROUNDS / 4 {
                            break;
                        }
                        assert!(
                            start.elapsed() < PATIENCE,
                            "{round} rounds, {heard:?} heard: {:?}",
                            realtime.stats()
                        );
                        // A fixed walk that meets every tab in every way.
                        let (tab, step) = (round * 7 % TABS, round * 31 % 97);
                        let user = if step % 5 == 0 { None } else { Some(step as i64 % USERS) };
                        match step % 4 {
                            0 => host.connect(tab, user, step % 3 == 0, (TABS + round) as u64),
                            _ => host.identify(tab, user),
                        }
                        (0..TAKES).for_each(|_| host.take_of_lane(round));
                        host.take_of_owns();
                    }
                })
            })
            .collect();
        let ends: Vec<_> = hosts.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        ends.into_iter().chain(senders.into_iter().map(thread::ScopedJoinHandle::join)).for_each(|end| {
            end.expect("no panic");
        });
    });
    let stats = realtime.stats();
    assert!(stats.withheld > 0, "there was something to withhold: {stats:?}");
    assert_eq!((stats.connections, stats.queued), (0, 0));
    assert_balanced(&realtime);
}
