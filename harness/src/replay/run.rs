//! The replay of one trace: operations in, events out, the clients' state in between.
//!
//! With output every operation is followed by a drain of the connections it reached, in the order of their instances: each is
//! parked, and its waker tells. Without, all connections are drained in turn when there are several events for each:
//! a connection's events keep their order, and a tab is always drained before an operation of its own, so that what it then
//! presents, loses or withholds is the same.
//!
//! On lanes the same holds with a lane in the place of its tabs: all are worked off after every operation, and what comes is put in
//! order before it is shown; without output, the lane of a tab before an operation of the tab's own.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use holocast::{
    Cid, Client, CloseReason, Connection, Error, Event, LaneEvent, NameError, Reach, Realtime, Text,
    TryRecvError,
};

use super::lanes::{Lanes, Told, What};
use super::summary::Summary;
use super::tab::Tab;
use crate::failure::Failure;
use crate::ready::ReadyList;
use crate::trace::{EventWriter, Op, Params};

/// Messages that a queue holds: far more than one drain leaves in any.
const QUEUE_CAPACITY: usize = 32_767;

/// Without output: drain after so many operations. Each puts at most one message into a queue, so none gets full.
const LAZY_OPERATIONS: u64 = 16_384;

/// Without output: drain after so many deliveries, or so many for each tab if that is more. Several for each pay for the look
/// at those that have none; the memory that they hold stays in proportion to that of the tabs.
const LAZY_DELIVERIES: usize = 65_536;
const LAZY_DELIVERIES_PER_TAB: usize = 8;

/// One engine and the clients of one trace.
pub struct Replay<W: Write> {
    engine: Realtime<Params>,
    tabs: Vec<Tab>,
    /// By tab; `None` if it is not live. Apart from the tabs, as a drain of all looks at nothing else.
    connections: Vec<Option<Connection<Params>>>,
    by_name: HashMap<Text, usize>,
    /// Without them, connections have queues of their own.
    lanes: Option<Lanes>,
    told: Told,
    ready: Arc<ReadyList>,
    /// Tabs being drained; kept for its memory.
    woken: Vec<usize>,
    undrained: usize,
    drained_at: u64,
    shown: Shown<W>,
    started: Instant,
}

impl<W: Write> std::fmt::Debug for Replay<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay")
            .field("op", &self.shown.op)
            .field("tabs", &self.tabs.len())
            .finish_non_exhaustive()
    }
}

/// Where events go and what is counted of them.
struct Shown<W: Write> {
    /// The operation being run, from 0.
    op: u64,
    deliveries: u64,
    writer: Option<EventWriter<W>>,
}

impl<W: Write> Replay<W> {
    /// A fresh engine, its connections spread over so many lanes, or with queues of their own if there are none; its events go to `out`,
    /// which should be buffered, or to nobody.
    ///
    /// # Errors
    ///
    /// The engine refuses its configuration.
    pub fn new(out: Option<W>, lanes: usize) -> Result<Self, Failure> {
        let engine = Realtime::builder()
            .queue_capacity(QUEUE_CAPACITY)
            .lane_capacity(QUEUE_CAPACITY)
            .build()
            .map_err(|error| Failure::Broken(format!("the engine refuses its configuration: {error}")))?;
        Ok(Replay {
            lanes: (lanes > 0).then(|| Lanes::new(&engine, lanes)),
            told: Told::default(),
            engine,
            tabs: Vec::new(),
            connections: Vec::new(),
            by_name: HashMap::new(),
            ready: ReadyList::new(),
            woken: Vec::new(),
            undrained: 0,
            drained_at: 0,
            shown: Shown { op: 0, deliveries: 0, writer: out.map(EventWriter::new) },
            started: Instant::now(),
        })
    }

    /// Runs the next operation and shows what it delivers.
    ///
    /// # Errors
    ///
    /// An event can't be written, or the engine refuses or loses something that it must not.
    pub fn run(&mut self, op: Op) -> Result<(), Failure> {
        match op {
            Op::Connect { client } => self.connect(&client, false)?,
            Op::Reconnect { client } => self.connect(&client, true)?,
            Op::Disconnect { instance } => {
                if let Some(&index) = self.by_name.get(&instance) {
                    self.drain(index)?;
                    match &mut self.lanes {
                        Some(lanes) => lanes.disconnect(index),
                        None => self.connections[index] = None,
                    }
                }
            }
            Op::Identify { client } => {
                if let Some(&index) = self.by_name.get(client.instance()) {
                    self.drain(index)?;
                    if self.engine.identify(&client).map_err(refused)? {
                        self.tabs[index].is_now(&client);
                    }
                }
            }
            Op::Subscribe { identity, channel, cid } => {
                self.engine.subscribe(&identity, &channel, cid).map_err(refused)?;
            }
            Op::Unsubscribe { identity, channel, cid } => {
                self.engine.unsubscribe(&identity, &channel, cid).map_err(refused)?;
            }
            Op::UnsubscribeAll { identity, channel } => {
                self.engine.unsubscribe_all(&identity, &channel).map_err(refused)?;
            }
            Op::Broadcast { channel, action, params } => {
                let reach = self.engine.broadcast_action(&channel, action, params).map_err(refused)?;
                self.reached(reach)?;
            }
            Op::BroadcastExcept { excluded, channel, action, params } => {
                let reach = self.engine.broadcast_action_except(&excluded, &channel, action, params);
                self.reached(reach.map_err(refused)?)?;
            }
            Op::Transition { instance, bindings } => {
                let index = self.tab(&instance);
                self.drain(index)?;
                let tab = &mut self.tabs[index];
                let moved = self
                    .engine
                    .transition(&tab.client(), &bindings, &tab.wallet.presented())
                    .map_err(refused)?;
                tab.wallet.forget(&moved.gone);
                tab.wallet.keep(moved.receipts);
            }
            Op::Deltas { instance, adds, drops } => {
                let index = self.tab(&instance);
                self.drain(index)?;
                let tab = &mut self.tabs[index];
                let applied = self.engine.apply(&tab.client(), &adds, &drops).map_err(refused)?;
                tab.wallet.forget(&applied.dropped);
                tab.wallet.keep(applied.receipts);
            }
            Op::InvalidChannel => {
                if let Some(writer) = &mut self.shown.writer {
                    writer.invalid_channel(self.shown.op)?;
                }
            }
        }
        if self.shown.writer.is_some() {
            self.drain_woken()?;
        } else if self.undrained >= LAZY_DELIVERIES.max(self.tabs.len() * LAZY_DELIVERIES_PER_TAB)
            || self.shown.op - self.drained_at >= LAZY_OPERATIONS
        {
            self.drain_all()?;
        }
        self.shown.op += 1;
        Ok(())
    }

    /// Hands out what is left, writes out what is buffered, and gives the figures.
    ///
    /// # Errors
    ///
    /// As of [`run`](Self::run).
    pub fn finish(mut self) -> Result<Summary, Failure> {
        self.drain_all()?;
        if let Some(writer) = &mut self.shown.writer {
            writer.flush()?;
        }
        let Shown { op, deliveries, .. } = self.shown;
        Ok(Summary { operations: op, deliveries, wall: self.started.elapsed() })
    }

    fn connect(&mut self, client: &Client, presents: bool) -> Result<(), Failure> {
        let index = self.tab(client.instance());
        self.drain(index)?;
        let tab = &mut self.tabs[index];
        let presented = if presents { tab.wallet.presented() } else { Vec::new() };
        if !presents {
            tab.wallet.clear();
        }
        tab.is_now(client);
        if let Some(lanes) = &mut self.lanes {
            tab.wallet.keep(lanes.connect(index, client, &presented).map_err(refused)?);
            return Ok(());
        }
        let connected = self.engine.reconnect(client, &presented).map_err(refused)?;
        tab.wallet.keep(connected.receipts);
        // The old receiver's `closed` comes before anything that its successor gets.
        self.drain(index)?;
        self.connections[index] = Some(connected.connection);
        self.ready.push(index);
        Ok(())
    }

    fn tab(&mut self, name: &Text) -> usize {
        if let Some(&index) = self.by_name.get(name) {
            return index;
        }
        let index = self.tabs.len();
        self.tabs.push(Tab::new(name.clone(), self.ready.waker(index)));
        self.connections.push(None);
        self.by_name.insert(name.clone(), index);
        index
    }

    fn reached(&mut self, reach: Reach) -> Result<(), Failure> {
        self.undrained += reach.reached;
        if reach.refused > 0 {
            return Err(self.shown.broken(&format!("{} queues were full", reach.refused)));
        }
        Ok(())
    }

    /// Drains whoever got something, in the order of their instances.
    fn drain_woken(&mut self) -> Result<(), Failure> {
        if self.lanes.is_some() {
            self.work_off_all()?;
            return self.show_told();
        }
        let mut woken = std::mem::take(&mut self.woken);
        self.ready.take(&mut woken);
        woken.sort_unstable_by(|&a, &b| self.tabs[a].name.as_bytes().cmp(self.tabs[b].name.as_bytes()));
        // Who was also drained on its own is here without having anything, which costs a look.
        let drained = woken.iter().try_for_each(|&index| self.drain(index));
        self.woken = woken;
        drained
    }

    /// Drains everybody.
    fn drain_all(&mut self) -> Result<(), Failure> {
        self.undrained = 0;
        self.drained_at = self.shown.op;
        if self.lanes.is_some() {
            self.work_off_all()?;
            return self.show_told();
        }
        self.ready.take(&mut self.woken);
        (0..self.connections.len()).try_for_each(|index| self.drain(index))
    }

    /// Takes all that a tab's connection has; with output, parks it. Nothing happens to a tab that is not live.
    fn drain(&mut self, index: usize) -> Result<(), Failure> {
        if let Some(lanes) = &self.lanes {
            // With output it has nothing: all lanes were worked off after the last operation.
            let lane = lanes.of(index);
            return self.work_off(lane);
        }
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        if self.shown.writer.is_none() {
            // The many: taken and counted, with nothing in between.
            loop {
                match connection.try_recv() {
                    Ok(Event::Broadcast(_)) => self.shown.deliveries += 1,
                    Ok(event) => self.shown.event(&mut self.tabs[index], event)?,
                    Err(TryRecvError::Empty) => return Ok(()),
                    Err(TryRecvError::Closed) => break,
                }
            }
        } else {
            let tab = &mut self.tabs[index];
            loop {
                match connection.poll_recv(&mut Context::from_waker(&tab.waker)) {
                    Poll::Ready(Some(event)) => self.shown.event(tab, event)?,
                    Poll::Ready(None) => break,
                    Poll::Pending => return Ok(()),
                }
            }
        }
        self.connections[index] = None;
        Ok(())
    }
}

/// On lanes.
impl<W: Write> Replay<W> {
    fn work_off_all(&mut self) -> Result<(), Failure> {
        let lanes = self.lanes.as_ref().map_or(0, Lanes::len);
        (0..lanes).try_for_each(|lane| self.work_off(lane))
    }

    /// Takes all that a lane has, to show it later; without output, only counts it.
    fn work_off(&mut self, lane: usize) -> Result<(), Failure> {
        let Some(lanes) = &mut self.lanes else { return Ok(()) };
        let quiet = self.shown.writer.is_none();
        while let Some(event) = lanes.take(lane) {
            match event {
                LaneEvent::Broadcast(mut batch) if quiet => {
                    self.shown.deliveries += batch.receivers().count() as u64;
                }
                LaneEvent::One(tab, event) if quiet => {
                    self.shown.event(&mut self.tabs[tab as usize], event)?;
                }
                LaneEvent::Broadcast(batch) => self.told.broadcast(batch),
                LaneEvent::One(tab, event) => self.told.one(tab as usize, event),
                LaneEvent::Lagged(lost) => {
                    return Err(self.shown.broken(&format!("a lane lost {lost} messages")));
                }
                other => {
                    return Err(self
                        .shown
                        .broken(&format!("a lane got an event that no trace knows: {other:?}")));
                }
            }
        }
        Ok(())
    }

    /// Shows what has come, in the order of instances.
    fn show_told(&mut self) -> Result<(), Failure> {
        let tabs = &mut self.tabs;
        let (told, batches) = self.told.take_sorted(|tab| tabs[tab].name.as_bytes());
        for (tab, what) in told {
            let tab = &mut tabs[tab];
            match what {
                What::One(event) => self.shown.event(tab, event)?,
                What::Broadcast { batch, cids } => {
                    self.shown.delivery(
                        tab,
                        batches[batch].action(),
                        batches[batch].params(),
                        cids.iter(),
                    )?;
                }
            }
        }
        Ok(())
    }
}

impl<W: Write> Shown<W> {
    /// Counts and shows a broadcast handed out.
    fn delivery<'a>(
        &mut self,
        tab: &Tab,
        action: &str,
        params: &Params,
        cids: impl Iterator<Item = &'a Cid>,
    ) -> Result<(), Failure> {
        self.deliveries += 1;
        if let Some(writer) = &mut self.writer {
            writer.broadcast(self.op, &tab.name, action, params, cids)?;
        }
        Ok(())
    }

    /// Counts and shows one event, and keeps the client's state.
    fn event(&mut self, tab: &mut Tab, event: Event<Params>) -> Result<(), Failure> {
        if let Event::Broadcast(delivery) = &event {
            return self.delivery(tab, delivery.action(), delivery.params(), delivery.cids());
        }
        let Tab { name, wallet, .. } = tab;
        match event {
            Event::Subscribed(receipt) => {
                if let Some(writer) = &mut self.writer {
                    writer.subscribed(self.op, name, receipt.channel(), receipt.cid())?;
                }
                wallet.keep([receipt]);
            }
            Event::Unsubscribed(keys) => {
                wallet.forget(&keys);
                if let Some(writer) = &mut self.writer {
                    writer.unsubscribed(self.op, name, &keys)?;
                }
            }
            Event::Closed(reason) => {
                if let Some(writer) = &mut self.writer {
                    writer.closed(self.op, name, reason)?;
                }
                if reason != CloseReason::Superseded {
                    return Err(self.broken(&format!("{name} was closed: {reason}")));
                }
            }
            Event::Lagged(lost) => return Err(self.broken(&format!("{name} lost {lost} messages"))),
            other => return Err(self.broken(&format!("{name} got an event that no trace knows: {other:?}"))),
        }
        Ok(())
    }

    fn broken(&self, what: &str) -> Failure {
        Failure::Broken(format!("operation {}: the engine broke a rule: {what}", self.op))
    }
}

/// What the engine refuses is no operation, though the reader has checked everything that it can.
fn refused(error: Error) -> Failure {
    match error {
        Error::Name(NameError::TooLong { what, .. }) => Failure::Input(format!("field `{what}`: {error}")),
        error => Failure::Input(error.to_string()),
    }
}
