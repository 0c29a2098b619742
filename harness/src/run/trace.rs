//! A trace as a workload: its lines at planned times, in one thread, as `replay` runs them.
//!
//! Lines of a trace carry no times, so they are planned at the workload's `rate` times its `speed`. What the people of a trace
//! may hear is not worked out again: its audit is the accounting, and that nothing comes twice or in another order.

use std::collections::HashMap;
use std::path::Path;

use holocast::{Client, Id, Text};

use super::caller::{Caller, refused_by_engine};
use super::crowd::Crowd;
use super::library;
use super::record::{Answer, Call};
use super::script::Op;
use super::workload::Workload;
use super::world::{World, ns};
use crate::failure::Failure;
use crate::trace::{Lines, Op as Line};

/// A trace, read as a whole.
pub(super) struct Trace {
    lines: Vec<Line>,
    tabs: HashMap<Text, u32>,
    /// Lines a second.
    pub(super) rate: f64,
}

impl Trace {
    /// Reads a trace, and whose tabs occur in it.
    pub(super) fn read(path: &Path, workload: &Workload) -> Result<(Self, Crowd), Failure> {
        let source = library::trace(path)?;
        let mut read = Lines::new(source.reader);
        let (mut lines, mut tabs, mut instances) = (Vec::new(), HashMap::new(), Vec::new());
        loop {
            let number = read.number() + 1;
            let line = match read.next_line() {
                Ok(None) => break,
                Ok(Some(line)) => Line::parse(line).map_err(Failure::from),
                Err(error) => Err(Failure::unread(&error)),
            };
            let line = line.map_err(|failure| failure.at_line(&source.name, number))?;
            if let Some(instance) = instance(&line) {
                tabs.entry(instance.clone()).or_insert_with(|| {
                    instances.push(instance.clone());
                    instances.len() as u32 - 1
                });
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Err(Failure::Input(format!("{}: a trace without operations", source.name)));
        }
        Ok((Trace { lines, tabs, rate: workload.rate * workload.speed }, Crowd::of_instances(instances)))
    }

    /// How long it takes as planned.
    pub(super) fn seconds(&self) -> f64 {
        self.lines.len() as f64 / self.rate
    }

    /// How many tabs occur in it.
    pub(super) fn tabs(&self) -> u64 {
        self.tabs.len() as u64
    }

    /// Runs it.
    pub(super) fn run(&self, world: &World) -> Result<Vec<Call>, Failure> {
        let mut player = Player {
            caller: Caller::new(world, 0),
            tabs: &self.tabs,
            who: vec![(None, None); self.tabs.len()],
        };
        for (at, line) in self.lines.iter().enumerate() {
            let due_ns = world.start_ns() + ns(at as f64 / self.rate);
            world.wait_until(due_ns);
            if player.caller.is_overdue(self.seconds()) {
                break;
            }
            player.play(due_ns, line)?;
        }
        Ok(player.caller.calls)
    }
}

/// The tab whose connection or bindings a line is about.
fn instance(line: &Line) -> Option<&Text> {
    match line {
        Line::Connect { client } | Line::Reconnect { client } | Line::Identify { client } => {
            Some(client.instance())
        }
        Line::Transition { instance, .. } | Line::Deltas { instance, .. } => Some(instance),
        _ => None,
    }
}

struct Player<'a> {
    caller: Caller<'a>,
    tabs: &'a HashMap<Text, u32>,
    /// The session and user with which each tab last connected or was identified.
    who: Vec<(Option<Id>, Option<Id>)>,
}

impl Player<'_> {
    fn play(&mut self, due_ns: u64, line: &Line) -> Result<(), Failure> {
        let world = self.caller.world;
        let tab = instance(line).map(|instance| self.tabs[instance]);
        let mut call = |kind, make: &mut dyn FnMut(&mut Caller<'_>) -> Result<Answer, Failure>| {
            self.caller.call(Some(due_ns), Op::Traced(kind), make)
        };
        let matched = |count: Result<usize, holocast::Error>| {
            count.map(|count| Answer::Matched(count as u32)).map_err(refused_by_engine)
        };
        match (line, tab) {
            (Line::Connect { client }, Some(tab)) => {
                if let Some(mut wallet) = world.wallet(tab) {
                    wallet.clear();
                }
                call("connect", &mut |caller| caller.connect(tab, client, false))?;
                self.is_now(tab, client);
            }
            (Line::Reconnect { client }, Some(tab)) => {
                call("reconnect", &mut |caller| caller.connect(tab, client, true))?;
                self.is_now(tab, client);
            }
            (Line::Identify { client }, Some(tab)) => {
                let mut live = false;
                call("identify", &mut |_| {
                    live = world.engine.identify(client).map_err(refused_by_engine)?;
                    Ok(Answer::Matched(u32::from(live)))
                })?;
                if live {
                    self.is_now(tab, client);
                }
            }
            (Line::Disconnect { instance }, _) => call("disconnect", &mut |_| {
                Ok(Answer::Matched(u32::from(world.engine.disconnect(instance))))
            })?,
            (Line::Subscribe { identity, channel, cid }, _) => {
                call("subscribe", &mut |_| matched(world.engine.subscribe(identity, channel, cid.clone())))?;
            }
            (Line::Unsubscribe { identity, channel, cid }, _) => {
                call("unsubscribe", &mut |_| {
                    matched(world.engine.unsubscribe(identity, channel, cid.clone()))
                })?;
            }
            (Line::UnsubscribeAll { identity, channel }, _) => {
                call("unsubscribe_all", &mut |_| matched(world.engine.unsubscribe_all(identity, channel)))?;
            }
            (Line::Broadcast { channel, .. }, _) => {
                call("broadcast", &mut |caller| caller.broadcast(&[], channel))?;
            }
            (Line::BroadcastExcept { excluded, channel, .. }, _) => {
                call("broadcast_except", &mut |caller| caller.broadcast(excluded, channel))?;
            }
            (Line::Transition { instance, bindings }, Some(tab)) => {
                let client = self.client(tab, instance);
                self.caller.call(Some(due_ns), Op::Traced("transition"), |_| {
                    let mut wallet = world.wallet(tab);
                    let claimed = wallet.as_ref().map(|wallet| wallet.presented()).unwrap_or_default();
                    let moved =
                        world.engine.transition(&client, bindings, &claimed).map_err(refused_by_engine)?;
                    let gone = moved.gone.len();
                    if let Some(wallet) = &mut wallet {
                        wallet.forget(&moved.gone);
                        wallet.keep_newest(moved.receipts);
                    }
                    Ok(Answer::Matched(gone as u32))
                })?;
            }
            (Line::Deltas { instance, adds, drops }, Some(tab)) => {
                let client = self.client(tab, instance);
                self.caller.call(Some(due_ns), Op::Traced("deltas"), |_| {
                    let applied = world.engine.apply(&client, adds, drops).map_err(refused_by_engine)?;
                    let dropped = applied.dropped.len();
                    if let Some(mut wallet) = world.wallet(tab) {
                        wallet.forget(&applied.dropped);
                        wallet.keep_newest(applied.receipts);
                    }
                    Ok(Answer::Matched(dropped as u32))
                })?;
            }
            // Nothing that could be called.
            _ => {}
        }
        Ok(())
    }

    fn client(&self, tab: u32, instance: &Text) -> Client {
        let (session, user) = self.who[tab as usize].clone();
        Client::from_parts(instance.clone(), session, user)
    }

    fn is_now(&mut self, tab: u32, client: &Client) {
        self.who[tab as usize] = (client.session().cloned(), client.user().cloned());
    }
}
