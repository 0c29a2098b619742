//! The specification at work: which states a step leads to.

use std::collections::BTreeMap;

use super::spec::{CIDS, CidId, Cids, End, OpId, Person, Proof, Session, Step, TABS, Tenancy, User, Who};

/// A connection as those who look for it see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Tab {
    tenancy: u8,
    live: bool,
    named: bool,
    session: Option<Session>,
    user: Option<User>,
    /// Changes of user so far.
    auth: u32,
}

/// What a tenancy holds on the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Member {
    /// Under which `by_user` holds.
    auth: u32,
    by_user: Cids,
    by_nobody: Cids,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Claim {
    version: u32,
    user: Option<User>,
    session: Option<Session>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Sent {
    auth: u32,
    all: Cids,
    by_nobody: Cids,
}

/// What a thread's call has begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Pending {
    version: u32,
    binds: bool,
    /// How every tab has looked since.
    seen: [Vec<Tab>; TABS],
    /// How tabs looked that have changed their user meanwhile: whom they did not match then may have passed them over (rule S1).
    passed: [Vec<Tab>; TABS],
    /// The connection that this call made, changed or ended.
    own: Option<(Tenancy, u32)>,
}

/// The state after some steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    version: u32,
    tabs: [Tab; TABS],
    members: BTreeMap<Tenancy, Member>,
    revocations: BTreeMap<(Who, Option<CidId>), u32>,
    issued: BTreeMap<Proof, Claim>,
    /// Accepted and not taken.
    sent: BTreeMap<(OpId, Tenancy), Sent>,
    /// `Subscribed` events, by the count under which a user authorized what they tell.
    told: BTreeMap<(Tenancy, CidId, Option<u32>), usize>,
    pending: Vec<Pending>,
}

fn bit(cid: CidId) -> Cids {
    1 << cid
}

impl Tab {
    fn id(&self, tab: u8) -> Tenancy {
        (tab, self.tenancy)
    }

    fn matches(&self, tab: u8, who: Who) -> bool {
        self.live
            && match who {
                Who::Tab(other) => self.named && other == tab,
                Who::Session(session) => self.session == Some(session),
                Who::User(user) => self.user == Some(user),
            }
    }
}

impl Member {
    fn all(&self) -> Cids {
        self.by_user | self.by_nobody
    }

    /// Drops what a former user authorized.
    fn refresh(&mut self, auth: u32) {
        if self.auth != auth {
            (self.auth, self.by_user) = (auth, 0);
        }
    }

    /// Whether the cid is new here; an existing binding keeps its authorization (rule S1).
    fn bind(&mut self, cid: CidId, by_user: bool) -> bool {
        let new = self.all() & bit(cid) == 0;
        if new && by_user {
            self.by_user |= bit(cid);
        } else if new {
            self.by_nobody |= bit(cid);
        }
        new
    }

    fn unbind(&mut self, cids: Cids) {
        self.by_user &= !cids;
        self.by_nobody &= !cids;
    }
}

impl State {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            version: 0,
            tabs: [Tab::default(); TABS],
            members: BTreeMap::new(),
            revocations: BTreeMap::new(),
            issued: BTreeMap::new(),
            sent: BTreeMap::new(),
            told: BTreeMap::new(),
            pending: vec![Pending::default(); threads],
        }
    }

    /// All states that the step may lead to; none: it can't happen now.
    pub(crate) fn after(&self, thread: usize, step: &Step, end: &End) -> Vec<State> {
        match *step {
            Step::Begin { binds } => vec![self.begin(thread, binds)],
            Step::Subscribe { who, cid, matched } => self.subscribe(thread, who, cid, matched),
            Step::Unsubscribe { who, cid, matched } => self.unsubscribe(thread, who, Some(cid), matched),
            Step::UnsubscribeAll { who, lost } => self.unsubscribe(thread, who, None, lost),
            Step::Put { op, person, cid, issued } => self.put(thread, op, person, cid, issued),
            Step::Delete { tab, cid, dropped } => self.delete(thread, tab, cid, dropped),
            Step::Arrive { person, superseded } => self.arrive(thread, person, superseded),
            Step::Enter { tab } => {
                let mut next = self.clone();
                // Of a tenancy that has ended already nobody learns the name.
                next.tabs[tab as usize].named = true;
                next.changed(tab);
                vec![next]
            }
            Step::Restore { op, person, proof, restored } => {
                self.restore(thread, op, person, proof, restored)
            }
            Step::Renew { op, tab, shown } => self.renew(thread, op, tab, shown),
            Step::Identify { person, live } => self.identify(thread, person, live),
            Step::Visit => self.visit(thread),
            Step::End { tab, ended } => self.end(thread, tab, ended),
            Step::Leave => vec![self.leave(thread)],
            Step::Broadcast { op, excluded, reached } => self.broadcast(op, excluded, reached, end),
            Step::Take { tenancy, broadcast, cids } => self.take(tenancy, broadcast, cids),
        }
    }

    fn begin(&self, thread: usize, binds: bool) -> State {
        let mut next = self.clone();
        let (version, tabs) = (self.version, self.tabs);
        let pending = &mut next.pending[thread];
        (pending.version, pending.binds) = (version, binds);
        pending.seen = tabs.map(|tab| vec![tab]);
        pending.passed = Default::default();
        next
    }

    /// The tab looks different from now on.
    fn changed(&mut self, tab: u8) {
        let now = self.tabs[tab as usize];
        for pending in &mut self.pending {
            let seen = &mut pending.seen[tab as usize];
            if !seen.is_empty() && !seen.contains(&now) {
                seen.push(now);
            }
        }
    }

    /// The channel changes, and the call is done with it.
    fn write(&mut self, thread: usize) {
        self.version += 1;
        self.members.retain(|_, member| member.all() != 0);
        self.settle(thread);
    }

    fn settle(&mut self, thread: usize) {
        let own = self.pending[thread].own;
        self.pending[thread] = Pending { own, ..Pending::default() };
    }

    /// Whether the channel is as the thread saw it.
    fn unchanged(&self, thread: usize) -> bool {
        self.pending[thread].version == self.version
    }

    /// All sets of tabs that may have been found to match: as some look of theirs since the call began says.
    fn matching(&self, thread: usize, who: Who) -> Vec<Vec<(u8, Tab)>> {
        let mut sets: Vec<Vec<(u8, Tab)>> = vec![Vec::new()];
        for (tab, seen) in (0_u8..).zip(&self.pending[thread].seen) {
            let mut looks: Vec<Option<Tab>> = Vec::new();
            for look in seen {
                let look = Some(*look).filter(|look| look.matches(tab, who));
                // The name and the session make no difference to who was found.
                let key = |look: &Tab| (look.tenancy, look.user, look.auth);
                if !looks.iter().any(|known| known.as_ref().map(key) == look.as_ref().map(key)) {
                    looks.push(look);
                }
            }
            if self.may_be_passed(thread, tab, who) && !looks.contains(&None) {
                looks.push(None);
            }
            sets = sets
                .iter()
                .flat_map(|set| {
                    looks.iter().map(|look| {
                        let mut set = set.clone();
                        set.extend(look.map(|look| (tab, look)));
                        set
                    })
                })
                .collect();
        }
        sets
    }

    /// Whether the tab may have been asked when it did not match.
    fn may_be_passed(&self, thread: usize, tab: u8, who: Who) -> bool {
        self.pending[thread].passed[tab as usize].iter().any(|look| !look.matches(tab, who))
    }

    fn subscribe(&self, thread: usize, who: Who, cid: CidId, matched: usize) -> Vec<State> {
        if !self.unchanged(thread) {
            return Vec::new();
        }
        let grant = |found: Vec<(u8, Tab)>| {
            let mut next = self.clone();
            let own = [(who, Some(cid)), (who, None)];
            let lifted = own.iter().filter(|key| next.revocations.remove(key).is_some()).count();
            for (tab, look) in &found {
                let member = next.members.entry(look.id(*tab)).or_default();
                member.refresh(look.auth);
                member.bind(cid, look.user.is_some());
                let auth = (member.by_user & bit(cid) != 0).then_some(look.auth);
                *next.told.entry((look.id(*tab), cid, auth)).or_default() += 1;
            }
            // What changes nothing stands in nobody's way.
            if found.is_empty() && lifted == 0 {
                next.settle(thread)
            } else {
                next.write(thread)
            }
            next
        };
        self.matching(thread, who).into_iter().filter(|found| found.len() == matched).map(grant).collect()
    }

    /// `count`: who matched, or, for all cids, who lost something.
    fn unsubscribe(&self, thread: usize, who: Who, cid: Option<CidId>, count: usize) -> Vec<State> {
        if !self.unchanged(thread) {
            return Vec::new();
        }
        let revoke = |found: Vec<(u8, Tab)>| {
            let mut next = self.clone();
            let mut lost = 0;
            for (tab, look) in &found {
                if let Some(member) = next.members.get_mut(&look.id(*tab)) {
                    lost += usize::from(member.all() != 0);
                    member.unbind(cid.map_or(Cids::MAX, bit));
                }
            }
            next.revocations.insert((who, cid), self.version + 1);
            next.write(thread);
            let counted = if cid.is_some() { found.len() } else { lost };
            (counted == count).then_some(next)
        };
        self.matching(thread, who).into_iter().filter_map(revoke).collect()
    }

    fn put(&self, thread: usize, op: OpId, person: Person, cid: CidId, issued: bool) -> Vec<State> {
        let Person { tab, session, user } = person;
        if !self.unchanged(thread) {
            return Vec::new();
        }
        let add = |found: Vec<(u8, Tab)>| {
            let mut next = self.clone();
            let (is_new, user, session) = match found.first() {
                Some((_, look)) => {
                    let member = next.members.entry(look.id(tab)).or_default();
                    let had = *member;
                    member.refresh(look.auth);
                    let is_new = member.bind(cid, look.user.is_some());
                    if !is_new {
                        *member = had;
                    }
                    (is_new, look.user, look.session)
                }
                None => (true, user, session),
            };
            if is_new {
                next.issued.insert((op, cid), Claim { version: self.version + 1, user, session });
                next.write(thread);
            } else {
                next.settle(thread);
            }
            (is_new == issued).then_some(next)
        };
        self.looks_of(thread, tab).into_iter().filter_map(add).collect()
    }

    /// As [`State::matching`] by name, but looks that differ by the session count: receipts name it.
    fn looks_of(&self, thread: usize, tab: u8) -> Vec<Vec<(u8, Tab)>> {
        let seen = self.pending[thread].seen[tab as usize].iter();
        let looks = seen.map(|look| Some((tab, *look)).filter(|_| look.matches(tab, Who::Tab(tab))));
        let passed = self.may_be_passed(thread, tab, Who::Tab(tab)).then_some(None);
        looks.chain(passed).map(|look| look.into_iter().collect()).collect()
    }

    fn delete(&self, thread: usize, tab: u8, cid: CidId, dropped: bool) -> Vec<State> {
        if !self.unchanged(thread) {
            return Vec::new();
        }
        let drop = |found: Vec<(u8, Tab)>| {
            let mut next = self.clone();
            let held = match found.first() {
                Some((_, look)) => next.members.get_mut(&look.id(tab)).is_some_and(|member| {
                    let had = *member;
                    member.refresh(look.auth);
                    let held = member.all() & bit(cid) != 0;
                    member.unbind(bit(cid));
                    if !held {
                        *member = had;
                    }
                    held
                }),
                None => true,
            };
            if held {
                next.revocations.insert((Who::Tab(tab), Some(cid)), self.version + 1);
                next.write(thread);
            } else {
                next.settle(thread);
            }
            (held == dropped).then_some(next)
        };
        self.looks_of(thread, tab).into_iter().filter_map(drop).collect()
    }

    fn arrive(&self, thread: usize, person: Person, superseded: bool) -> Vec<State> {
        let Person { tab, session, user } = person;
        let old = self.tabs[tab as usize];
        if superseded != old.live {
            return Vec::new();
        }
        let mut next = self.clone();
        let now = &mut next.tabs[tab as usize];
        *now = if superseded {
            Tab { session, user, auth: old.auth + u32::from(old.user != user), ..old }
        } else {
            let (tenancy, auth) = (old.tenancy + u8::from(old.auth > 0), old.auth + 1);
            Tab { tenancy, live: true, named: false, session, user, auth }
        };
        let own = (now.id(tab), now.auth);
        next.pending[thread].own = Some(own);
        next.changed(tab);
        vec![next]
    }

    fn restore(&self, thread: usize, op: OpId, person: Person, proof: Proof, restored: bool) -> Vec<State> {
        let Some(claim) = self.issued.get(&proof) else { return Vec::new() };
        let (cid, Some((tenancy, auth))) = (proof.1, self.pending[thread].own) else { return Vec::new() };
        let names = [
            Some(Who::Tab(person.tab)),
            person.session.map(Who::Session),
            person.user.map(Who::User),
            claim.session.map(Who::Session),
            claim.user.map(Who::User),
        ];
        let covered = names.into_iter().flatten().any(|who| {
            [Some(cid), None]
                .into_iter()
                .any(|cid| self.revocations.get(&(who, cid)).is_some_and(|stamp| *stamp >= claim.version))
        });
        let stranger = claim.user.is_some() && claim.user != person.user;
        let looks = &self.pending[thread].seen[person.tab as usize];
        let own = |look: &&Tab| look.live && look.id(person.tab) == tenancy && look.auth == auth;
        let mut after = Vec::new();
        if !restored {
            let gone = looks.iter().any(|look| !own(&look));
            if covered || stranger || gone {
                let mut next = self.clone();
                next.settle(thread);
                after.push(next);
            }
        } else if self.unchanged(thread) && !covered && !stranger {
            for look in looks.iter().filter(own) {
                let mut next = self.clone();
                let member = next.members.entry(tenancy).or_default();
                member.refresh(auth);
                member.bind(cid, claim.user.is_some());
                let user = look.user.filter(|_| member.by_user & bit(cid) != 0);
                let claim = Claim { version: self.version + 1, user, session: look.session };
                next.issued.insert((op, cid), claim);
                next.write(thread);
                after.push(next);
            }
        }
        after
    }

    fn renew(&self, thread: usize, op: OpId, tab: u8, shown: Cids) -> Vec<State> {
        let renewed = |mut next: State| {
            let now = next.tabs[tab as usize];
            let member = next.pending[thread].own.and_then(|(tenancy, _)| next.members.get(&tenancy));
            let member = member.copied().unwrap_or_default();
            // Of one that is ending nothing may be found any more.
            if member.all() != shown && (now.live || shown != 0) {
                return None;
            }
            for cid in (0..CIDS).filter(|cid| shown & bit(*cid) != 0) {
                let user = now.user.filter(|_| member.by_user & bit(cid) != 0);
                next.issued.insert((op, cid), Claim { version: next.version, user, session: now.session });
            }
            Some(next)
        };
        self.visit(thread).into_iter().filter_map(renewed).collect()
    }

    fn identify(&self, thread: usize, person: Person, live: bool) -> Vec<State> {
        let Person { tab, session, user } = person;
        let old = self.tabs[tab as usize];
        if live != (old.live && old.named) {
            return Vec::new();
        }
        let mut next = self.clone();
        next.pending[thread].own = None;
        if live {
            let auth = old.auth + u32::from(old.user != user);
            next.tabs[tab as usize] = Tab { session, user, auth, ..old };
            next.changed(tab);
            next.pending[thread].own = (auth != old.auth).then_some((old.id(tab), auth));
        }
        vec![next]
    }

    /// Drops what a former user authorized, or leaves it to the end of the connection, if that has begun. From here on nobody takes the
    /// former user for the current one.
    fn visit(&self, thread: usize) -> Vec<State> {
        let mut next = self.clone();
        let Some((tenancy, _)) = next.pending[thread].own else { return vec![next] };
        let now = next.tabs[tenancy.0 as usize];
        let is_member = next.members.contains_key(&tenancy);
        next.forget_looks(tenancy.0, is_member, |look| look == now);
        let left = (!now.live && is_member).then(|| next.clone());
        if let Some(member) = next.members.get_mut(&tenancy)
            && now.id(tenancy.0) == tenancy
        {
            member.refresh(now.auth);
            next.version += 1;
            next.members.retain(|_, member| member.all() != 0);
        }
        [Some(next), left].into_iter().flatten().collect()
    }

    /// Whoever means to bind the tab, or saw it bound, has to look at it anew. Who revokes what it does not hold may have counted it.
    fn forget_looks(&mut self, tab: u8, is_member: bool, still_holds: impl Fn(Tab) -> bool) {
        for pending in self.pending.iter_mut().filter(|pending| pending.binds || is_member) {
            let (kept, gone) =
                pending.seen[tab as usize].iter().partition::<Vec<_>, _>(|look| still_holds(**look));
            pending.seen[tab as usize] = kept;
            if !is_member {
                pending.passed[tab as usize].extend(gone);
            }
        }
    }

    fn end(&self, thread: usize, tab: u8, ended: Option<bool>) -> Vec<State> {
        let old = self.tabs[tab as usize];
        let lives = old.live && (old.named || ended.is_none());
        if ended.is_some_and(|ended| ended != lives) {
            return Vec::new();
        }
        let mut next = self.clone();
        next.pending[thread].own = None;
        if lives {
            next.tabs[tab as usize].live = false;
            next.changed(tab);
            next.pending[thread].own = Some((old.id(tab), old.auth));
        }
        vec![next]
    }

    fn leave(&self, thread: usize) -> State {
        let mut next = self.clone();
        let Some((tenancy, _)) = next.pending[thread].own.take() else { return next };
        let is_member = next.members.remove(&tenancy).is_some();
        next.version += u32::from(is_member);
        next.forget_looks(tenancy.0, is_member, |look| !look.live || look.id(tenancy.0) != tenancy);
        next
    }

    fn broadcast(&self, op: OpId, excluded: Option<u8>, reached: usize, end: &End) -> Vec<State> {
        let mut next = self.clone();
        let (mut certain, mut possible) = (0, 0);
        for (tenancy, member) in &self.members {
            let tab = self.tabs[tenancy.0 as usize];
            if excluded == Some(tenancy.0) && (tab.named || tab.id(tenancy.0) != *tenancy) {
                // On a lane it may be counted if it ends before it is looked for; nothing is handed out.
                possible += usize::from(end.lanes && end.ended.contains(tenancy));
                continue;
            }
            possible += 1;
            certain += usize::from(!end.ended.contains(tenancy) && excluded != Some(tenancy.0));
            let fits = match end.taken.get(&(op, *tenancy)) {
                Some(cids) => *cids == member.all() || *cids == member.by_nobody,
                // It is to be withheld, unless the connection has ended.
                None => member.by_nobody == 0 || end.ended.contains(tenancy) || excluded == Some(tenancy.0),
            };
            if !fits {
                return Vec::new();
            }
            let sent = Sent { auth: member.auth, all: member.all(), by_nobody: member.by_nobody };
            next.sent.insert((op, *tenancy), sent);
        }
        if (certain..=possible).contains(&reached) { vec![next] } else { Vec::new() }
    }

    fn take(&self, tenancy: Tenancy, broadcast: OpId, cids: Cids) -> Vec<State> {
        let mut next = self.clone();
        let Some(sent) = next.sent.remove(&(broadcast, tenancy)) else { return Vec::new() };
        let now = self.tabs[tenancy.0 as usize];
        let same_user = now.id(tenancy.0) != tenancy || now.auth == sent.auth;
        let due = if same_user { sent.all } else { sent.by_nobody };
        if cids == due { vec![next] } else { Vec::new() }
    }

    /// Whether what was seen in the end is this.
    pub(crate) fn is_end(&self, end: &End) -> Result<(), String> {
        let kept = |tenancy: &Tenancy| !end.ended.contains(tenancy);
        for ((broadcast, tenancy), sent) in self.sent.iter().filter(|((_, tenancy), _)| kept(tenancy)) {
            let withheld = sent.by_nobody == 0 && sent.auth != self.tabs[tenancy.0 as usize].auth;
            if !withheld {
                return Err(format!("broadcast {broadcast} never came to {tenancy:?}"));
            }
        }
        for cid in 0..CIDS {
            for (tab, now) in (0_u8..).zip(&self.tabs).filter(|(_, now)| now.live) {
                let key = (now.id(tab), cid);
                let of_key = self.told.iter().filter(|((tenancy, cid, _), _)| (*tenancy, *cid) == key);
                // What another user authorized is not told (rule C5), unless it was taken before.
                let certain: usize = of_key
                    .clone()
                    .filter(|((_, _, auth), _)| auth.is_none_or(|auth| auth == now.auth))
                    .map(|(_, n)| n)
                    .sum();
                let possible: usize = of_key.map(|(_, n)| n).sum();
                let seen = end.told.get(&key).copied().unwrap_or(0);
                if !(certain..=possible).contains(&seen) {
                    return Err(format!("{seen} Subscribed of {key:?}, and not {certain} to {possible}"));
                }
            }
        }
        for (tab, now) in (0_u8..).zip(&self.tabs) {
            let member = self.members.get(&now.id(tab)).filter(|_| now.live);
            let member = member.copied().unwrap_or_default();
            let held = (0..CIDS).filter(|cid| member.all() & bit(*cid) != 0);
            let held: BTreeMap<_, _> =
                held.map(|cid| (cid, now.user.filter(|_| member.by_user & bit(cid) != 0))).collect();
            let seen = end.bindings.get(&tab);
            if seen.is_some() != now.live || seen.is_some_and(|seen| *seen != held) {
                return Err(format!("bindings of tab {tab}: {held:?}, and not {seen:?}"));
            }
        }
        let (members, revocations) = (self.members.len(), self.revocations.len());
        let counts = (members, members, revocations, usize::from(members + revocations > 0));
        let seen = (end.members, end.seen, end.revocations, end.channels);
        if counts != seen {
            return Err(format!(
                "members, members shown, revocations, channels: {counts:?}, and not {seen:?}"
            ));
        }
        Ok(())
    }
}
