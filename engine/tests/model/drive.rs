//! The engine and the model side by side: one script for both, everything compared after each operation.
//!
//! Called by the property test and the fuzzer. It never judges which of the two is right; the rules do.

mod compare;
mod taking;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holocast::{HotChannel, Overflow, Realtime, Receipt, Stamp};

use super::ops::{Op, Receipts, Room, Tab};
use super::seats::{Form, Seat, Seated, Seats};
use super::{Changed, Key, Model, Policy, Post, Proof, ReceiverId, Settings, Welcome};
pub(crate) use compare::Mismatch;
use compare::{Check, Found, differ, same};

/// Where the clock starts: any instant that is not close to zero.
const START_MS: u64 = 1_750_000_000_000;

/// How many receipts a client remembers, also of those it was told to forget.
const REMEMBERED: usize = 16;

/// One script's circumstances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) form: Form,
    /// Every receiver is drained after every operation; otherwise events stay queued until a `Take`.
    pub(crate) eager: bool,
}

impl Setup {
    /// From two bytes, as the fuzzer gives them.
    pub(crate) fn from_bytes([policy, capacity]: [u8; 2]) -> Self {
        let policy = match policy % 3 {
            0 => Policy::Close,
            1 => Policy::DropNewest,
            _ => Policy::Reset,
        };
        let settings = Settings {
            capacity: [1024, 1, 2, 3][usize::from(capacity % 4)],
            policy,
            lifetime_ms: 72 * 3_600_000,
        };
        let form = Form::from_byte(capacity / 8);
        Setup { settings, form: Form::OWN, eager: capacity / 4 % 2 == 0 }.in_form(form)
    }

    /// The same with the connections spread otherwise. On lanes no script fills a queue: what is lost then is lost for all of a lane's
    /// connections, which the model, one queue for each, does not know.
    pub(crate) fn in_form(self, form: Form) -> Self {
        let capacity = if form.has_lanes() { 1024 } else { self.settings.capacity };
        Setup { settings: Settings { capacity, ..self.settings }, form, ..self }
    }
}

/// A receipt of the engine and the model's account of it.
type Pair = (Proof, Receipt);

#[derive(Default)]
struct Browser {
    current: Option<(ReceiverId, Seat)>,
    old: VecDeque<(ReceiverId, Seat)>,
    held: BTreeMap<Key, Pair>,
    ever: VecDeque<Pair>,
}

impl Browser {
    fn keep(&mut self, pair: Pair) {
        self.ever.push_front(pair.clone());
        self.ever.truncate(REMEMBERED);
        self.held.insert(pair.0.key(), pair);
    }
}

struct Drive {
    realtime: Realtime<u64>,
    seats: Seats,
    /// Whose receivers are still held.
    owners: BTreeMap<ReceiverId, Tab>,
    /// What is not handed out is counted as soon as in the model.
    exact: bool,
    model: Model,
    clock: Arc<AtomicU64>,
    browsers: BTreeMap<Tab, Browser>,
    handles: BTreeMap<Room, HotChannel<u64>>,
    /// The stamps seen, by channel and by the operation that issued them.
    stamps: Vec<(holocast::Channel, u64, Stamp)>,
}

/// Runs the script on both; the first disagreement ends it.
///
/// Events, returns and counts are compared after every operation, the answers about the state after every one that changed
/// them in the model, after every eighth and at the end.
pub(crate) fn run(setup: Setup, script: &[Op]) -> Result<(), Mismatch> {
    let mut drive = Drive::new(setup);
    let mut compared = 0;
    for (step, op) in script.iter().enumerate() {
        let locate = |found: Found| {
            let (what, engine, model) = *found;
            Mismatch { step, op: format!("{op:?}"), what, engine, model }
        };
        drive.model.step(drive.clock.load(Ordering::Relaxed));
        drive.perform(step as u64, op).map_err(locate)?;
        if setup.eager {
            drive.drain_all().map_err(locate)?;
        }
        if drive.model.changes() != compared || step % 8 == 7 {
            drive.compare_answers().map_err(locate)?;
            compared = drive.model.changes();
        }
        drive.compare_counts().map_err(locate)?;
    }
    drive.finish(script.len() % 2 == 1).map_err(|found| {
        let (what, engine, model) = *found;
        Mismatch { step: script.len(), op: "the end".to_string(), what, engine, model }
    })
}

impl Drive {
    fn new(Setup { settings, form, eager }: Setup) -> Self {
        let clock = Arc::new(AtomicU64::new(START_MS));
        let overflow = match settings.policy {
            Policy::Close => Overflow::Close,
            Policy::DropNewest => Overflow::DropNewest,
            Policy::Reset => Overflow::Reset,
        };
        let shown = Arc::clone(&clock);
        let realtime = Realtime::builder()
            .queue_capacity(settings.capacity)
            .overflow(overflow)
            .receipt_lifetime(Duration::from_millis(settings.lifetime_ms))
            .clock(move || shown.load(Ordering::Relaxed))
            .build()
            .expect("the settings are valid");
        Drive {
            seats: Seats::new(form, &realtime),
            owners: BTreeMap::new(),
            exact: eager || !form.has_lanes(),
            realtime,
            model: Model::new(settings, START_MS),
            clock,
            browsers: Tab::all().map(|tab| (tab, Browser::default())).collect(),
            handles: BTreeMap::new(),
            stamps: Vec::new(),
        }
    }

    fn perform(&mut self, step: u64, op: &Op) -> Check {
        match op {
            Op::Broadcast { room, excluded, hot } => self.broadcast(step, *room, excluded, *hot),
            Op::Subscribe { who, room, part } => {
                let (who, room, part) = (who.value(), room.value(), part.value());
                let matched = self.realtime.subscribe(who, room, part);
                same("matched", &matched.ok(), &Some(self.model.subscribe(who, room, part)))
            }
            Op::Unsubscribe { who, room, part } => {
                let (who, room, part) = (who.value(), room.value(), part.value());
                let matched = self.realtime.unsubscribe(who, room, part);
                same("matched", &matched.ok(), &Some(self.model.unsubscribe(who, room, part)))
            }
            Op::UnsubscribeAll { who, room } => {
                let lost = self.realtime.unsubscribe_all(who.value(), room.value());
                same("losers", &lost.ok(), &Some(self.model.unsubscribe_all(who.value(), room.value())))
            }
            Op::Connect { tab, login } => {
                let client = tab.client(*login);
                let welcome = self.model.connect(&client, &[]);
                let seated = self.seats.arrive(*tab, &client, None, welcome.receiver);
                self.arrived(*tab, seated, welcome, true)
            }
            Op::Reconnect { tab, login, receipts } => {
                let client = tab.client(*login);
                let presented = self.presented(*tab, &client, *receipts);
                let (proofs, shown): (Vec<Proof>, Vec<Receipt>) = presented.into_iter().unzip();
                let welcome = self.model.connect(&client, &proofs);
                let seated = self.seats.arrive(*tab, &client, Some(&shown), welcome.receiver);
                self.arrived(*tab, seated, welcome, false)
            }
            Op::Disconnect { tab } => {
                let ended = self.realtime.disconnect(tab.value());
                same("was live", &ended, &self.model.disconnect(tab.value()))
            }
            Op::Hangup { tab } => {
                if let Some((id, seat)) = self.browser(*tab).current.take() {
                    self.hang_up(id, seat);
                }
                Ok(())
            }
            Op::DropOld { tab } => match self.browser(*tab).old.pop_front() {
                Some((id, seat)) => self.let_go(id, seat),
                None => Ok(()),
            },
            Op::Identify { tab, login } => {
                let client = tab.client(*login);
                let live = self.realtime.identify(&client);
                same("live", &live.ok(), &Some(self.model.identify(&client)))
            }
            Op::Take { tab, events } => (0..*events).try_for_each(|_| self.take(*tab).map(drop)),
            Op::TakeOld { tab } => self.take_old(*tab).map(drop),
            Op::Put { tab, login, room, part } => {
                let (client, key) = (tab.client(*login), (room.value().clone(), part.value().clone()));
                let receipt = self.realtime.put_subscription(&client, &key.0, key.1.clone());
                let changed = self.model.apply(&client, std::slice::from_ref(&key), &[]);
                match receipt {
                    Ok(receipt) => self.returned(*tab, receipt.into_iter().collect(), Vec::new(), changed),
                    Err(error) => differ("put_subscription", &error, &changed),
                }
            }
            Op::Delete { tab, login, room, part } => {
                let (client, key) = (tab.client(*login), (room.value().clone(), part.value().clone()));
                let deleted = self.realtime.delete_subscription(&client, &key.0, key.1.clone());
                let changed = self.model.apply(&client, &[], std::slice::from_ref(&key));
                same("deleted", &deleted.as_ref().ok(), &Some(&!changed.dropped.is_empty()))?;
                self.returned(*tab, Vec::new(), changed.dropped.clone(), changed)
            }
            Op::Apply { tab, login, adds, drops } => {
                let client = tab.client(*login);
                let applied = self.realtime.apply(&client, adds, drops);
                let changed = self.model.apply(&client, adds, drops);
                match applied {
                    Ok(applied) => self.returned(*tab, applied.receipts, applied.dropped, changed),
                    Err(error) => differ("apply", &error, &changed),
                }
            }
            Op::Transition { tab, login, bindings, claimed } => {
                let client = tab.client(*login);
                // Only a client's own receipts, one a key: of two claims on one key the rules do not say which counts.
                let mut claimed = match claimed {
                    Receipts::Stolen(_) => Vec::new(),
                    own => self.choose(*tab, *own),
                };
                let mut keys = Vec::new();
                claimed.retain(|(proof, _)| {
                    let first = !keys.contains(&proof.key());
                    keys.push(proof.key());
                    first
                });
                let (proofs, shown): (Vec<Proof>, Vec<Receipt>) = claimed.into_iter().unzip();
                let transition = self.realtime.transition(&client, bindings, &shown);
                let changed = self.model.transition(&client, bindings, &proofs);
                match transition {
                    Ok(transition) => self.returned(*tab, transition.receipts, transition.gone, changed),
                    Err(error) => differ("transition", &error, &changed),
                }
            }
            Op::Handler { tab, login, puts, deletes, posts, commit } => {
                self.handle(step, *tab, &tab.client(*login), (puts, deletes), posts, *commit)
            }
            Op::Advance { hours } => {
                self.clock.fetch_add(hours.value() * 3_600_000, Ordering::Relaxed);
                self.model.step(self.clock.load(Ordering::Relaxed));
                Ok(())
            }
            Op::Sweep => {
                let swept = self.realtime.sweep() as u64;
                let most = self.model.sweep();
                if swept > most {
                    return differ("swept", &swept, &most);
                }
                // That all expired ones are gone shows in the counts: the model has no others left.
                Ok(())
            }
            Op::Refused { who, room } => {
                let (who, room, long) = (who.value(), room.value(), "c".repeat(1025));
                let refused = [
                    self.realtime.subscribe(who, room, long.as_str()).is_err(),
                    self.realtime.unsubscribe(who, room, long.as_str()).is_err(),
                    self.realtime.broadcast_action(room, long.as_str(), step).is_err(),
                    self.realtime.unsubscribe_all(who, &holocast::Channel::atom(long.as_str())).is_err(),
                ];
                same("refused", &refused, &[true; 4])
            }
        }
    }

    fn broadcast(&mut self, step: u64, room: Room, excluded: &[holocast::Identity], hot: bool) -> Check {
        let channel = room.value();
        let reach = if hot {
            let handle = match self.handles.entry(room) {
                std::collections::btree_map::Entry::Occupied(held) => held.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(self.realtime.channel(channel).expect("the channel is valid"))
                }
            };
            match excluded {
                [] => handle.broadcast_action("add", step),
                _ => handle.broadcast_action_except(excluded, "add", step),
            }
        } else {
            match excluded {
                [] => self.realtime.broadcast_action(channel, "add", step),
                _ => self.realtime.broadcast_action_except(excluded, channel, "add", step),
            }
        };
        let reach = reach.map(|reach| (reach.reached, reach.refused));
        let expected = self.model.broadcast(excluded, channel, "add", step);
        same("reach", &reach.ok(), &Some((expected.reached, expected.refused)))
    }

    fn handle(
        &mut self,
        step: u64,
        tab: Tab,
        client: &holocast::Client,
        (puts, deletes): (&[Key], &[Key]),
        posts: &[(Room, Vec<holocast::Identity>)],
        commit: bool,
    ) -> Check {
        let mut handler = self.realtime.handler(client);
        let mut accepted = true;
        for (channel, cid) in puts {
            accepted &= handler.put_subscription(channel, cid.clone()).is_ok();
        }
        for (channel, cid) in deletes {
            accepted &= handler.delete_subscription(channel, cid.clone()).is_ok();
        }
        for (room, excluded) in posts {
            let queued = match excluded.as_slice() {
                [] => handler.broadcast_action(room.value(), "echo", step),
                _ => handler.broadcast_action_except(excluded, room.value(), "echo", step),
            };
            accepted &= queued.is_ok();
        }
        same("accepted by the handler", &accepted, &true)?;
        if !commit {
            drop(handler);
            return Ok(());
        }
        let committed = handler.commit();
        let post = |(room, excluded): &(Room, Vec<holocast::Identity>)| Post {
            excluded: excluded.clone(),
            channel: room.value().clone(),
            action: "echo".to_string(),
            params: step,
        };
        let posts: Vec<Post> = posts.iter().map(post).collect();
        let (changed, echoed) = self.model.commit(client, puts, deletes, &posts);
        match committed {
            Ok(committed) => {
                let echoes: Vec<super::Echoed> = (committed.echoes.iter())
                    .map(|echo| {
                        (
                            echo.channel().clone(),
                            echo.cid().clone(),
                            echo.action().to_string(),
                            *echo.params(),
                        )
                    })
                    .collect();
                same("echoes", &echoes, &echoed)?;
                self.returned(tab, committed.receipts, committed.dropped, changed)
            }
            Err(error) => differ("commit", &error, &changed),
        }
    }

    /// Which receipts the client shows. Of several valid ones for one key only the first and those that say the same
    /// are shown: the rules do not say which of two authorizations would win.
    fn presented(&mut self, tab: Tab, client: &holocast::Client, receipts: Receipts) -> Vec<Pair> {
        let mut chosen = self.choose(tab, receipts);
        let mut authority: BTreeMap<Key, Option<holocast::Id>> = BTreeMap::new();
        chosen.retain(|(proof, _)| {
            let user = proof.user.clone();
            !self.model.valid(proof, client)
                || *authority.entry(proof.key()).or_insert_with(|| user.clone()) == user
        });
        chosen
    }

    fn choose(&mut self, tab: Tab, receipts: Receipts) -> Vec<Pair> {
        let browser = self.browser(tab);
        let masked = |place: usize, mask: u8| mask >> (place % 8) & 1 == 1;
        match receipts {
            Receipts::Held => browser.held.values().cloned().collect(),
            Receipts::Some(mask) => {
                let held = browser.held.values().enumerate();
                held.filter(|(place, _)| masked(*place, mask)).map(|(_, pair)| pair.clone()).collect()
            }
            Receipts::Stale(mask) => {
                let ever = browser.ever.iter().enumerate();
                ever.filter(|(place, _)| masked(*place, mask)).map(|(_, pair)| pair.clone()).collect()
            }
            Receipts::Stolen(from) => self.browser(from).held.values().cloned().collect(),
        }
    }

    fn arrived(
        &mut self,
        tab: Tab,
        seated: Result<Seated, holocast::Error>,
        welcome: Welcome,
        fresh_page: bool,
    ) -> Check {
        let Seated { seat, receipts, superseded } = match seated {
            Ok(seated) => seated,
            Err(error) => return differ("connect", &error, &welcome),
        };
        same("superseded", &superseded, &welcome.superseded)?;
        self.owners.insert(welcome.receiver, tab);
        let browser = self.browser(tab);
        if fresh_page {
            browser.held.clear();
        }
        let former = browser.current.replace((welcome.receiver, seat));
        browser.old.extend(former);
        let changed = Changed { receipts: welcome.receipts, dropped: Vec::new() };
        self.returned(tab, receipts, Vec::new(), changed)
    }

    fn forget(&mut self, id: ReceiverId) {
        self.owners.remove(&id);
        self.model.drop_receiver(id);
    }

    /// A current receiver is gone, and with a lane that falls all others on it.
    fn hang_up(&mut self, id: ReceiverId, seat: Seat) {
        let fallen = self.seats.hang_up(seat);
        self.forget(id);
        if fallen.is_none() {
            return;
        }
        let falls = |(_, seat): &(ReceiverId, Seat)| seat.lane() == fallen;
        let mut gone: Vec<ReceiverId> = Vec::new();
        for browser in self.browsers.values_mut() {
            gone.extend(browser.current.take_if(|held| falls(held)).map(|(id, _)| id));
            gone.extend(browser.old.iter().filter(|held| falls(held)).map(|(id, _)| id));
            browser.old.retain(|held| !falls(held));
        }
        gone.into_iter().for_each(|id| self.forget(id));
    }

    /// One that was superseded, or whose end was told or waits, ends nothing.
    fn let_go(&mut self, id: ReceiverId, seat: Seat) -> Check {
        let ended = self.seats.let_go(seat);
        self.forget(id);
        same("ended by an old receiver", &ended, &false)
    }

    /// Receipts and drops that a call gave back, against the model's, in any order.
    fn returned(
        &mut self,
        tab: Tab,
        mut receipts: Vec<Receipt>,
        mut dropped: Vec<Key>,
        mut changed: Changed,
    ) -> Check {
        receipts.sort_by_key(|receipt| (receipt.channel().clone(), receipt.cid().clone()));
        changed.receipts.sort_by_key(Proof::key);
        if receipts.len() != changed.receipts.len() {
            return differ("receipts", &receipts, &changed.receipts);
        }
        for (receipt, proof) in receipts.into_iter().zip(changed.receipts) {
            self.issued(&receipt, &proof)?;
            self.browser(tab).keep((proof, receipt));
        }
        dropped.sort();
        changed.dropped.sort();
        same("dropped", &dropped, &changed.dropped)?;
        for key in &dropped {
            self.browser(tab).held.remove(key);
        }
        Ok(())
    }

    /// Rule R1 field by field; stamps are only ordered, like the operations that issued them.
    fn issued(&mut self, receipt: &Receipt, proof: &Proof) -> Check {
        let seen = (
            receipt.instance().to_string(),
            receipt.channel(),
            receipt.cid(),
            receipt.user(),
            receipt.session(),
        );
        let expected =
            (proof.instance.clone(), &proof.channel, &proof.cid, proof.user.as_ref(), proof.session.as_ref());
        same("receipt", &seen, &expected)?;
        same("the receipt's time", &receipt.stamp().millis(), &proof.issued_ms)?;
        let stamp = receipt.stamp();
        for (channel, tick, other) in &self.stamps {
            if *channel == proof.channel
                && (*tick < proof.tick && *other > stamp || *tick > proof.tick && *other < stamp)
            {
                return differ(
                    "stamps in the order of their operations",
                    &(tick, other),
                    &(proof.tick, stamp),
                );
            }
        }
        self.stamps.push((proof.channel.clone(), proof.tick, stamp));
        Ok(())
    }

    /// Everything is taken, perhaps after a shutdown, everybody leaves, every revocation expires: nothing may be left.
    fn finish(&mut self, shut_down: bool) -> Check {
        self.model.step(self.clock.load(Ordering::Relaxed));
        if shut_down {
            same("told of the shutdown", &self.realtime.shutdown(), &self.model.shutdown())?;
        }
        self.drain_all()?;
        self.compare_answers()?;
        self.compare_counts()?;
        for tab in Tab::all() {
            if let Some((id, seat)) = self.browser(tab).current.take() {
                self.hang_up(id, seat);
            }
        }
        self.compare_answers()?;
        self.compare_counts()?;
        self.clock.fetch_add(1000 * 3_600_000, Ordering::Relaxed);
        self.realtime.sweep();
        let stats = self.realtime.stats();
        let left = [stats.connections, stats.bindings, stats.revocations, stats.channels, stats.queued];
        same("connections, bindings, revocations, channels, queued at the end", &left, &[0; 5])
    }

    fn browser(&mut self, tab: Tab) -> &mut Browser {
        self.browsers.get_mut(&tab).expect("there is a browser for every tab")
    }
}
