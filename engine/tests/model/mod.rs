//! A sequential model of the rules: plain maps and vectors, written from docs/semantics.md alone.
//!
//! Called by the property test and the fuzzer, which drive it and the engine side by side. It uses the engine's names
//! for values (channels, identities, ids) and none of its logic, and it is never called from two threads.

#![allow(dead_code, reason = "each of the programs that include this module uses a part of it")]

pub(crate) mod drive;
pub(crate) mod ops;
pub(crate) mod seats;
pub(crate) mod trace;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holocast::{Channel, Cid, Client, Id, Identity};

pub(crate) use words::{
    Changed, Echoed, End, Key, Policy, Post, Proof, Reached, ReceiverId, Said, Settings, Sums, Taken, Welcome,
};

/// An entry of a queue: a delivery keeps the authorization of each of its bindings, for rule C5.
#[derive(Clone, Debug)]
enum Entry {
    Delivery { channel: Channel, action: String, params: u64, cids: Vec<(Cid, Option<Id>)> },
    Subscribed(Proof),
    Unsubscribed(Vec<Key>),
}

impl Entry {
    /// What the receiver may be told of it.
    fn told(self) -> Option<Said> {
        match self {
            Entry::Delivery { channel, action, params, cids } => {
                let cids: Vec<Cid> = cids.into_iter().map(|(cid, _)| cid).collect();
                (!cids.is_empty()).then_some(Said::Broadcast { channel, action, params, cids })
            }
            Entry::Subscribed(proof) => Some(Said::Subscribed(proof)),
            Entry::Unsubscribed(keys) => Some(Said::Unsubscribed(keys)),
        }
    }

    fn is_delivery(&self) -> bool {
        matches!(self, Entry::Delivery { .. })
    }
}

/// One receiving half that the caller still holds, live or not.
#[derive(Clone, Debug)]
struct Receiver {
    client: Client,
    queue: VecDeque<Entry>,
    lagged: u64,
    end: Option<End>,
    told_end: bool,
}

impl Receiver {
    /// Rule C5 on what is queued when the user changes: deliveries keep only what the new user or nobody authorized. One
    /// that keeps nothing stays queued, to be passed over when its turn comes.
    fn withhold(&mut self) {
        let user = self.client.user();
        for entry in &mut self.queue {
            if let Entry::Delivery { cids, .. } = entry {
                cids.retain(|(_, by)| by.is_none() || by.as_ref() == user);
            }
        }
        self.queue.retain(
            |entry| !matches!(entry, Entry::Subscribed(proof) if proof.user.is_some() && proof.user.as_ref() != user),
        );
    }
}

#[derive(Clone, Copy, Debug)]
struct Revoked {
    tick: u64,
    at_ms: u64,
}

/// The whole state: who is live, what is bound, what is revoked, what is queued.
#[derive(Debug)]
pub(crate) struct Model {
    settings: Settings,
    now_ms: u64,
    tick: u64,
    receivers: BTreeMap<ReceiverId, Receiver>,
    live: BTreeMap<String, ReceiverId>,
    /// Of each instance the bindings and who authorized each.
    bindings: BTreeMap<String, BTreeMap<Key, Option<Id>>>,
    /// `None` in place of a cid: the whole channel.
    revocations: BTreeMap<(Channel, Identity, Option<Cid>), Revoked>,
    next_receiver: ReceiverId,
    sums: Sums,
    /// Steps at which who is live, who they are or what is bound may have changed.
    changes: u64,
}

impl Model {
    pub(crate) fn new(settings: Settings, now_ms: u64) -> Self {
        Model {
            settings,
            now_ms,
            tick: 0,
            receivers: BTreeMap::new(),
            live: BTreeMap::new(),
            bindings: BTreeMap::new(),
            revocations: BTreeMap::new(),
            next_receiver: 0,
            sums: Sums::default(),
            changes: 0,
        }
    }

    /// Every operation is one step of logical time; the clock may move between operations.
    pub(crate) fn step(&mut self, now_ms: u64) {
        self.tick += 1;
        self.now_ms = now_ms;
    }

    // ---- connections -----------------------------------------------------------------------------------------

    /// Rules C1 (no receipts), C2 and C3.
    pub(crate) fn connect(&mut self, client: &Client, presented: &[Proof]) -> Welcome {
        self.changes += 1;
        let instance = client.instance().to_string();
        let old = self.live.get(&instance).copied();
        let mut receiver = Receiver {
            client: client.clone(),
            queue: VecDeque::new(),
            lagged: 0,
            end: None,
            told_end: false,
        };
        if let Some(old) = old {
            let former = self.receivers.get_mut(&old).expect("a live instance has a receiver");
            receiver.queue = std::mem::take(&mut former.queue);
            receiver.lagged = std::mem::take(&mut former.lagged);
            former.end = Some(End::Superseded);
            let changed = former.client.user() != client.user();
            let dropped = if changed { self.drop_foreign(&instance, client.user()) } else { Vec::new() };
            if changed {
                receiver.withhold();
            }
            if !dropped.is_empty() {
                receiver.queue.push_back(Entry::Unsubscribed(dropped));
            }
        } else {
            for proof in presented {
                if self.valid(proof, client) {
                    self.bind(&instance, proof.key(), proof.user.as_ref());
                }
            }
        }
        let id = self.next_receiver;
        self.next_receiver += 1;
        self.receivers.insert(id, receiver);
        self.live.insert(instance.clone(), id);
        let keys = self.keys_of(&instance);
        let receipts = keys.into_iter().map(|key| self.fresh(client, key)).collect();
        Welcome { receiver: id, receipts, superseded: old.is_some() }
    }

    /// Rule R2: whether a receipt restores its binding for this client now.
    pub(crate) fn valid(&self, proof: &Proof, client: &Client) -> bool {
        let revoked = |identity: Identity| {
            [None, Some(proof.cid.clone())].into_iter().any(|cid| {
                let found = self.revocations.get(&(proof.channel.clone(), identity.clone(), cid));
                found.is_some_and(|revoked| revoked.tick >= proof.tick)
            })
        };
        let sessions = [client.session(), proof.session.as_ref()];
        let users = [client.user(), proof.user.as_ref()];
        proof.instance == client.instance().as_str()
            && (proof.user.is_none() || proof.user.as_ref() == client.user())
            && self.now_ms.saturating_sub(proof.issued_ms) <= self.settings.lifetime_ms
            && !revoked(Identity::instance(client.instance()))
            && !sessions.into_iter().flatten().any(|id| revoked(Identity::session(id)))
            && !users.into_iter().flatten().any(|id| revoked(Identity::user(id)))
    }

    /// Rule C4.
    pub(crate) fn disconnect(&mut self, instance: &str) -> bool {
        let Some(id) = self.live.remove(instance) else { return false };
        self.changes += 1;
        self.unbind_all(instance);
        let receiver = self.receivers.get_mut(&id).expect("a live instance has a receiver");
        self.sums.released += deliveries(&receiver.queue);
        receiver.queue.clear();
        receiver.end = Some(End::Disconnected);
        true
    }

    /// Rule C7, as it is when everybody has taken what is queued: returns how many were live.
    pub(crate) fn shutdown(&mut self) -> usize {
        let live = std::mem::take(&mut self.live);
        for (instance, id) in &live {
            self.changes += 1;
            self.unbind_all(instance);
            self.receivers.get_mut(id).expect("a live instance has a receiver").end = Some(End::Shutdown);
        }
        live.len()
    }

    /// Rule C4, from the other side: the receiving half is dropped. A superseded or closed one takes nothing with it
    /// but what is still queued for it.
    pub(crate) fn drop_receiver(&mut self, id: ReceiverId) {
        let Some(receiver) = self.receivers.get(&id) else { return };
        let instance = receiver.client.instance().to_string();
        if self.live.get(&instance) == Some(&id) {
            self.disconnect(&instance);
        }
        let receiver = self.receivers.remove(&id).expect("looked up above");
        self.sums.released += deliveries(&receiver.queue);
    }

    /// Rules C5 and C6.
    pub(crate) fn identify(&mut self, client: &Client) -> bool {
        let instance = client.instance().to_string();
        let Some(&id) = self.live.get(&instance) else { return false };
        let receiver = self.receivers.get_mut(&id).expect("a live instance has a receiver");
        self.changes += 1;
        let changed = receiver.client.user() != client.user();
        receiver.client = client.clone();
        if changed {
            receiver.withhold();
            let dropped = self.drop_foreign(&instance, client.user());
            if !dropped.is_empty() {
                self.tell(id, Entry::Unsubscribed(dropped));
            }
        }
        true
    }

    // ---- subscriptions ---------------------------------------------------------------------------------------

    /// Rules S1 and S2.
    pub(crate) fn subscribe(&mut self, identity: &Identity, channel: &Channel, cid: &Cid) -> usize {
        self.revocations.remove(&(channel.clone(), identity.clone(), Some(cid.clone())));
        self.revocations.remove(&(channel.clone(), identity.clone(), None));
        let matching = self.matching(identity);
        for &id in &matching {
            let client = self.receivers[&id].client.clone();
            let key = (channel.clone(), cid.clone());
            self.bind(client.instance(), key.clone(), client.user());
            let proof = self.fresh(&client, key);
            self.tell(id, Entry::Subscribed(proof));
        }
        matching.len()
    }

    /// Rule S3.
    pub(crate) fn unsubscribe(&mut self, identity: &Identity, channel: &Channel, cid: &Cid) -> usize {
        self.revoke(identity, channel, Some(cid));
        let matching = self.matching(identity);
        for &id in &matching {
            let key = (channel.clone(), cid.clone());
            self.unbind(&self.instance_of(id), &key);
            self.tell(id, Entry::Unsubscribed(vec![key]));
        }
        matching.len()
    }

    /// Rule S4.
    pub(crate) fn unsubscribe_all(&mut self, identity: &Identity, channel: &Channel) -> usize {
        self.revoke(identity, channel, None);
        let mut losers = 0;
        for id in self.matching(identity) {
            let instance = self.instance_of(id);
            let lost: Vec<Key> =
                self.keys_of(&instance).into_iter().filter(|key| key.0 == *channel).collect();
            for key in &lost {
                self.unbind(&instance, key);
            }
            if !lost.is_empty() {
                losers += 1;
                self.tell(id, Entry::Unsubscribed(lost));
            }
        }
        losers
    }

    /// Rule S7.
    pub(crate) fn apply(&mut self, client: &Client, adds: &[Key], drops: &[Key]) -> Changed {
        let instance = client.instance().to_string();
        let drops: BTreeSet<Key> = drops.iter().cloned().collect();
        let adds: BTreeSet<Key> = adds.iter().filter(|key| !drops.contains(*key)).cloned().collect();
        let live = self.current(client);
        let mut changed = Changed::default();
        for key in drops {
            let held = self.unbind(&instance, &key);
            if held || live.is_none() {
                self.revoke(&Identity::instance(client.instance()), &key.0, Some(&key.1));
                changed.dropped.push(key);
            }
        }
        for key in adds {
            if let Some(live) = &live {
                if self.bind(&instance, key.clone(), live.user()) {
                    changed.receipts.push(self.fresh(live, key));
                }
            } else {
                changed.receipts.push(self.proof(client, key, client.user().cloned()));
            }
        }
        changed
    }

    /// Rule S8. Of a claim only its key and its authorization count.
    pub(crate) fn transition(&mut self, client: &Client, bindings: &[Key], claimed: &[Proof]) -> Changed {
        let instance = client.instance().to_string();
        let wanted: BTreeSet<Key> = bindings.iter().cloned().collect();
        let live = self.current(client);
        let authority = live.clone().unwrap_or_else(|| client.clone());
        if live.is_some() {
            self.changes += 1;
            self.unbind_all(&instance);
            for key in &wanted {
                self.bind(&instance, key.clone(), authority.user());
            }
        }
        let claims =
            |key: &Key| claimed.iter().any(|p| p.key() == *key && p.user.as_ref() == authority.user());
        let gone: BTreeSet<Key> =
            claimed.iter().map(Proof::key).filter(|key| !wanted.contains(key)).collect();
        let issued = wanted.iter().filter(|key| !claims(key));
        Changed {
            receipts: issued
                .map(|key| self.proof(&authority, key.clone(), authority.user().cloned()))
                .collect(),
            dropped: gone.into_iter().collect(),
        }
    }

    /// Rule S9: what `commit` does and returns, and what each broadcast reached.
    pub(crate) fn commit(
        &mut self,
        client: &Client,
        adds: &[Key],
        drops: &[Key],
        posts: &[Post],
    ) -> (Changed, Vec<Echoed>) {
        let origin = self.current(client).unwrap_or_else(|| client.clone());
        let changed = self.apply(client, adds, drops);
        let own = Identity::instance(client.instance());
        let held = self.keys_of(client.instance());
        let mut echoes = Vec::new();
        for post in posts {
            if !post.excluded.iter().any(|identity| is(identity, &origin)) {
                for (channel, cid) in held.iter().filter(|key| key.0 == post.channel) {
                    echoes.push((channel.clone(), cid.clone(), post.action.clone(), post.params));
                }
            }
            let mut excluded = post.excluded.clone();
            excluded.push(own.clone());
            self.broadcast(&excluded, &post.channel, &post.action, post.params);
        }
        (changed, echoes)
    }

    // ---- broadcast and queues --------------------------------------------------------------------------------

    /// Rules B1, B2, B3 and Q2.
    pub(crate) fn broadcast(
        &mut self,
        excluded: &[Identity],
        channel: &Channel,
        action: &str,
        params: u64,
    ) -> Reached {
        let mut reach = Reached::default();
        let live: Vec<(String, ReceiverId)> =
            self.live.iter().map(|(name, id)| (name.clone(), *id)).collect();
        for (instance, id) in live {
            let bound =
                self.bindings.get(&instance).into_iter().flatten().filter(|(key, _)| key.0 == *channel);
            let cids: Vec<(Cid, Option<Id>)> = bound.map(|(key, by)| (key.1.clone(), by.clone())).collect();
            let receiver = self.receivers.get_mut(&id).expect("a live instance has a receiver");
            if cids.is_empty() || excluded.iter().any(|identity| is(identity, &receiver.client)) {
                continue;
            }
            if deliveries(&receiver.queue) >= self.settings.capacity as u64 {
                match self.settings.policy {
                    Policy::Close => {
                        receiver.end = Some(End::Overflow);
                        self.live.remove(&instance);
                        self.unbind_all(&instance);
                        self.changes += 1;
                    }
                    Policy::DropNewest => receiver.lagged += 1,
                    Policy::Reset => {
                        let released = deliveries(&receiver.queue);
                        receiver.queue.retain(|entry| !entry.is_delivery());
                        receiver.lagged += released;
                        self.sums.released += released;
                    }
                }
                if self.settings.policy != Policy::Reset {
                    reach.refused += 1;
                    self.sums.refused += 1;
                    continue;
                }
            }
            reach.reached += 1;
            let (channel, action) = (channel.clone(), action.to_string());
            self.tell(id, Entry::Delivery { channel, action, params, cids });
        }
        reach
    }

    /// What the next attempt to take gives. `eager_lag`: the engine told of a loss although nothing follows it, which
    /// rule Q2 allows.
    pub(crate) fn take(&mut self, id: ReceiverId, eager_lag: bool) -> Taken {
        let Some(receiver) = self.receivers.get_mut(&id) else { return Taken::Closed };
        if receiver.told_end {
            return Taken::Closed;
        }
        let follows =
            receiver.end.is_some() || receiver.queue.iter().any(|entry| entry.clone().told().is_some());
        if receiver.lagged > 0 && (follows || eager_lag) {
            return Taken::Event(Said::Lagged(std::mem::take(&mut receiver.lagged)));
        }
        while let Some(entry) = receiver.queue.pop_front() {
            let delivery = entry.is_delivery();
            if let Some(said) = entry.told() {
                self.sums.taken += u64::from(delivery);
                return Taken::Event(said);
            }
            self.sums.withheld += 1;
        }
        match receiver.end {
            Some(end) => {
                receiver.told_end = true;
                Taken::Event(Said::Closed(end))
            }
            None => Taken::Empty,
        }
    }

    // ---- what an observer may ask ----------------------------------------------------------------------------

    /// The bindings of an instance and who authorized each, in order.
    pub(crate) fn bindings_of(&self, instance: &str) -> Vec<(Key, Option<Id>)> {
        let own = self.bindings.get(instance).into_iter().flatten();
        own.map(|(key, by)| (key.clone(), by.clone())).collect()
    }

    pub(crate) fn identities_of(&self, instance: &str) -> Option<&Client> {
        self.live.get(instance).map(|id| &self.receivers[id].client)
    }

    pub(crate) fn connections_of(&self, identity: &Identity) -> Vec<&Client> {
        self.matching(identity).into_iter().map(|id| &self.receivers[&id].client).collect()
    }

    /// The live connections on a channel with their cids, by instance.
    pub(crate) fn members_of(&self, channel: &Channel) -> Vec<(&Client, Vec<&Cid>)> {
        let mut members = Vec::new();
        for (instance, bound) in &self.bindings {
            let cids: Vec<&Cid> = bound.keys().filter(|key| key.0 == *channel).map(|key| &key.1).collect();
            if !cids.is_empty() {
                members.push((&self.receivers[&self.live[instance]].client, cids));
            }
        }
        members
    }

    /// Grows whenever one of the answers above may be another than before.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn connections(&self) -> u64 {
        self.live.len() as u64
    }

    pub(crate) fn bound(&self) -> u64 {
        self.bindings.values().map(|bound| bound.len() as u64).sum()
    }

    /// Revocations recorded: all, or those that rule R4 still needs.
    pub(crate) fn revoked(&self, standing_only: bool) -> u64 {
        self.revocations.values().filter(|revoked| !standing_only || self.stands(revoked)).count() as u64
    }

    /// Channels with a binding or a revocation: counting all revocations, or those that rule R4 still needs.
    pub(crate) fn channels(&self, standing_only: bool) -> u64 {
        let bound = self.bindings.values().flatten().map(|(key, _)| &key.0);
        let remembered =
            self.revocations.iter().filter(|(_, revoked)| !standing_only || self.stands(revoked));
        bound.chain(remembered.map(|(key, _)| &key.0)).collect::<BTreeSet<_>>().len() as u64
    }

    /// Rule R4: gives back what no receipt can meet any more, and says how much.
    pub(crate) fn sweep(&mut self) -> u64 {
        let before = self.revocations.len();
        let (now_ms, lifetime_ms) = (self.now_ms, self.settings.lifetime_ms);
        self.revocations.retain(|_, revoked| now_ms.saturating_sub(revoked.at_ms) <= lifetime_ms);
        (before - self.revocations.len()) as u64
    }

    /// Rule B5.
    pub(crate) fn sums(&self) -> Sums {
        let queued = self.receivers.values().map(|receiver| deliveries(&receiver.queue)).sum();
        Sums { queued, ..self.sums }
    }

    // ---- parts -----------------------------------------------------------------------------------------------

    fn stands(&self, revoked: &Revoked) -> bool {
        self.now_ms.saturating_sub(revoked.at_ms) <= self.settings.lifetime_ms
    }

    fn current(&self, client: &Client) -> Option<Client> {
        self.identities_of(client.instance()).cloned()
    }

    fn instance_of(&self, id: ReceiverId) -> String {
        self.receivers[&id].client.instance().to_string()
    }

    fn matching(&self, identity: &Identity) -> Vec<ReceiverId> {
        self.live.values().copied().filter(|id| is(identity, &self.receivers[id].client)).collect()
    }

    fn keys_of(&self, instance: &str) -> Vec<Key> {
        self.bindings.get(instance).into_iter().flatten().map(|(key, _)| key.clone()).collect()
    }

    /// Binds a key unless it is bound; an existing binding keeps its authorization. Returns whether it is new.
    fn bind(&mut self, instance: &str, key: Key, by: Option<&Id>) -> bool {
        let bound = self.bindings.entry(instance.to_string()).or_default();
        let new = !bound.contains_key(&key);
        bound.entry(key).or_insert_with(|| by.cloned());
        self.changes += u64::from(new);
        new
    }

    fn unbind(&mut self, instance: &str, key: &Key) -> bool {
        let held = self.bindings.get_mut(instance).is_some_and(|bound| bound.remove(key).is_some());
        self.changes += u64::from(held);
        held
    }

    fn unbind_all(&mut self, instance: &str) {
        self.bindings.remove(instance);
    }

    /// Drops what somebody else than `user` authorized; what nobody authorized stays (rule C5).
    fn drop_foreign(&mut self, instance: &str, user: Option<&Id>) -> Vec<Key> {
        let Some(bound) = self.bindings.get_mut(instance) else { return Vec::new() };
        let (kept, dropped) =
            std::mem::take(bound).into_iter().partition(|(_, by)| by.is_none() || by.as_ref() == user);
        *bound = kept;
        let dropped: BTreeMap<Key, Option<Id>> = dropped;
        dropped.into_keys().collect()
    }

    /// A fresh receipt of a binding in force: it carries the authorization that the binding has (rule S1).
    fn fresh(&self, client: &Client, key: Key) -> Proof {
        let user = self.bindings[client.instance().as_str()][&key].clone();
        self.proof(client, key, user)
    }

    fn proof(&self, client: &Client, (channel, cid): Key, user: Option<Id>) -> Proof {
        let (instance, session) = (client.instance().to_string(), client.session().cloned());
        Proof { instance, channel, cid, user, session, tick: self.tick, issued_ms: self.now_ms }
    }

    fn revoke(&mut self, identity: &Identity, channel: &Channel, cid: Option<&Cid>) {
        let revoked = Revoked { tick: self.tick, at_ms: self.now_ms };
        self.revocations.insert((channel.clone(), identity.clone(), cid.cloned()), revoked);
    }

    fn tell(&mut self, id: ReceiverId, entry: Entry) {
        self.sums.accepted += u64::from(entry.is_delivery());
        self.receivers.get_mut(&id).expect("told receivers are held").queue.push_back(entry);
    }
}

/// Whether an identity addresses this client.
fn is(identity: &Identity, client: &Client) -> bool {
    match identity {
        Identity::Instance(instance) => instance == client.instance(),
        Identity::Session(session) => client.session() == Some(session),
        Identity::User(user) => client.user() == Some(user),
    }
}

/// What counts against the capacity: control events never lack room (rules Q1 and Q3).
fn deliveries(queue: &VecDeque<Entry>) -> u64 {
    queue.iter().filter(|entry| entry.is_delivery()).count() as u64
}
