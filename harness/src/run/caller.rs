//! One publisher thread: does what its script says when it says so, and writes down what came of it.

use holocast::{Channel, Client, Error, Identity, Reach};

use super::crowd::Crowd;
use super::record::{Answer, Call, Entry, Presented, Record};
use super::script::{Except, Op, Planned, Script};
use super::world::{Message, World, ns};
use crate::failure::Failure;

/// A run that is behind goes on for this many times its length, and [`GRACE_SECONDS`] more; what is not done then stays undone.
const LENGTHS: f64 = 4.0;
const GRACE_SECONDS: f64 = 5.0;

/// How one publisher calls the engine.
pub(super) struct Caller<'w> {
    pub(super) world: &'w World,
    index: usize,
    publishers: usize,
    pub(super) calls: Vec<Call>,
    /// Connections made so far.
    lives: usize,
    /// Messages sent so far.
    messages: usize,
}

impl<'w> Caller<'w> {
    pub(super) fn new(world: &'w World, index: usize) -> Self {
        let publishers = world.on_the_way.len();
        Caller { world, index, publishers, calls: Vec::new(), lives: 0, messages: 0 }
    }

    /// Calls the engine and writes down when and with what answer.
    pub(super) fn call(
        &mut self,
        due_ns: Option<u64>,
        op: Op,
        make: impl FnOnce(&mut Self) -> Result<Answer, Failure>,
    ) -> Result<(), Failure> {
        let called_ns = self.world.now_ns();
        let answer = make(self)?;
        let returned_ns = self.world.now_ns();
        self.calls.push(Call { due_ns: due_ns.unwrap_or(called_ns), called_ns, returned_ns, op, answer });
        Ok(())
    }

    pub(super) fn broadcast(&mut self, excluded: &[Identity], channel: &Channel) -> Result<Answer, Failure> {
        let number = Record::message(self.messages, self.index, self.publishers);
        self.messages += 1;
        let message = Message::new(number, &self.world.on_the_way[self.index]);
        let Reach { reached, refused } = self
            .world
            .engine
            .broadcast_action_except(excluded, channel, "message", message)
            .map_err(refused_by_engine)?;
        Ok(Answer::Reach { reached: reached as u32, refused: refused as u32 })
    }

    /// Connects a tab, with or without the receipts it holds, and gives the connection to its receiver.
    pub(super) fn connect(&mut self, tab: u32, client: &Client, presents: bool) -> Result<Answer, Failure> {
        let receipts = if presents {
            self.world.wallet(tab).map(|wallet| wallet.presented()).unwrap_or_default()
        } else {
            Vec::new()
        };
        let life = Record::message(self.lives, self.index, self.publishers);
        self.lives += 1;
        let (fresh, superseded) =
            self.world.connect(tab, life, client, &receipts).map_err(refused_by_engine)?;
        let presented = receipts.iter().map(|receipt| Presented {
            room: Crowd::room(receipt.channel()),
            by_user: receipt.user().is_some(),
            stamp_ms: self.world.since_zero_ms(receipt.stamp().millis()),
        });
        let mut bound: Vec<(u32, bool)> =
            fresh.iter().map(|receipt| (Crowd::room(receipt.channel()), receipt.user().is_some())).collect();
        // They come by channel and cid. One cid that nobody authorized keeps the room whoever the user is.
        bound.dedup_by(|(room, by_user), (kept, all_by_user)| {
            *all_by_user &= *by_user || room != kept;
            room == kept
        });
        let entry = Entry { tab, life, superseded, presented: presented.collect(), bound };
        if let Some(mut wallet) = self.world.wallet(tab) {
            wallet.keep_newest(fresh);
        }
        Ok(Answer::Entry(Box::new(entry)))
    }

    /// Whether it is too late to go on.
    pub(super) fn is_overdue(&self, length_seconds: f64) -> bool {
        self.world.now_ns() > self.world.start_ns() + ns(length_seconds * LENGTHS + GRACE_SECONDS)
    }
}

/// A publisher of scripted people.
pub(super) struct Publisher<'w> {
    caller: Caller<'w>,
    /// By the crowd's numbers.
    logged_in: Vec<bool>,
    live: Vec<bool>,
}

impl<'w> Publisher<'w> {
    pub(super) fn new(world: &'w World, index: usize) -> Self {
        Publisher {
            caller: Caller::new(world, index),
            logged_in: world.crowd.people.iter().map(|person| person.logged_in).collect(),
            live: vec![false; world.crowd.tabs.len()],
        }
    }

    /// Everybody comes.
    pub(super) fn set_up(&mut self, script: &Script) -> Result<(), Failure> {
        script.setup.iter().try_for_each(|op| self.perform(None, *op))
    }

    /// Does everything at its time.
    pub(super) fn run(mut self, script: &Script, length_seconds: f64) -> Result<Vec<Call>, Failure> {
        /// Operations between two looks at the clock.
        const LOOK: usize = 256;

        let start_ns = self.caller.world.start_ns();
        for (at, Planned { due_ns, op }) in script.timed.iter().enumerate() {
            self.caller.world.wait_until(start_ns + due_ns);
            if at.is_multiple_of(LOOK) && self.caller.is_overdue(length_seconds) {
                break;
            }
            self.perform(Some(start_ns + due_ns), *op)?;
        }
        Ok(self.caller.calls)
    }

    fn perform(&mut self, due_ns: Option<u64>, op: Op) -> Result<(), Failure> {
        let world = self.caller.world;
        let (engine, crowd) = (&world.engine, &world.crowd);
        match op {
            Op::Connect { tab } | Op::Return { tab } | Op::Supersede { tab } => {
                self.live[tab as usize] = true;
                let client = crowd.client(tab, self.logged_in[crowd.tabs[tab as usize].person as usize]);
                let presents = !matches!(op, Op::Connect { .. });
                self.caller.call(due_ns, op, |caller| caller.connect(tab, &client, presents))
            }
            Op::Broadcast { room, except } => {
                let excluded = match except {
                    Except::Nobody => None,
                    Except::Tab(tab) => Some(Identity::Instance(crowd.tabs[tab as usize].instance.clone())),
                    Except::Person(person) => Some(self.identity(person)),
                };
                self.caller.call(due_ns, op, |caller| {
                    caller.broadcast(excluded.as_slice(), &crowd.rooms[room as usize])
                })
            }
            Op::Join { person, room } | Op::Regrant { person, room } => {
                let (identity, room) = (self.identity(person), &crowd.rooms[room as usize]);
                self.change(due_ns, op, || {
                    crowd.cids.iter().try_fold(0, |_, cid| engine.subscribe(&identity, room, cid.clone()))
                })
            }
            Op::Leave { person, room } => {
                let (identity, room) = (self.identity(person), &crowd.rooms[room as usize]);
                self.change(due_ns, op, || {
                    crowd.cids.iter().try_fold(0, |_, cid| engine.unsubscribe(&identity, room, cid.clone()))
                })
            }
            Op::Kick { person, room } => {
                let (identity, room) = (self.identity(person), &crowd.rooms[room as usize]);
                self.change(due_ns, op, || engine.unsubscribe_all(&identity, room))
            }
            Op::Drop { tab } => {
                self.live[tab as usize] = false;
                let instance = &crowd.tabs[tab as usize].instance;
                self.change(due_ns, op, || Ok(usize::from(engine.disconnect(instance))))
            }
            Op::Login { person } | Op::Logout { person } => {
                let logged_in = matches!(op, Op::Login { .. });
                self.logged_in[person as usize] = logged_in;
                let live = &self.live;
                let clients: Vec<(u32, Client)> = crowd
                    .tabs_of(person)
                    .filter(|tab| live[*tab as usize])
                    .map(|tab| (tab, crowd.client(tab, logged_in)))
                    .collect();
                self.caller.call(due_ns, op, |_| {
                    let mut found = Vec::with_capacity(clients.len());
                    for (tab, client) in &clients {
                        if engine.identify(client).map_err(refused_by_engine)? {
                            found.push(*tab);
                        }
                    }
                    Ok(Answer::Identified(found.into()))
                })
            }
            Op::Traced(_) => Ok(()),
        }
    }

    fn identity(&self, person: u32) -> Identity {
        self.caller.world.crowd.identity(person, self.logged_in[person as usize])
    }

    fn change(
        &mut self,
        due_ns: Option<u64>,
        op: Op,
        make: impl FnOnce() -> Result<usize, Error>,
    ) -> Result<(), Failure> {
        self.caller.call(due_ns, op, |_| {
            make().map(|matched| Answer::Matched(matched as u32)).map_err(refused_by_engine)
        })
    }
}

/// No workload makes a call that the engine may refuse.
pub(super) fn refused_by_engine(error: Error) -> Failure {
    Failure::Broken(format!("the engine refused a call: {error}"))
}
